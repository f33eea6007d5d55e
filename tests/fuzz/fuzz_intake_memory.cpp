// What an intake knew before: its checkpoint and the duplicate filter's file. Whatever they hold, it starts; producers' numbers are
// taken at most once; and what was loaded is the same when it is loaded again.
//
// Input     1 byte: bit 0 makes the filter's checksums fit · the checkpoint's content: 2 bytes length, bytes · the filter's file.
#include <bit>

#include "core/base/crc32c.hpp"
#include "core/journal/checkpoint.hpp"
#include "edge/intake/memory.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;
using edge::FilterEntry;

std::vector<std::byte> sealed_filter(ConstBytes bytes, std::uint64_t seed) {
    std::vector<std::byte> file = fuzz::copy_of(bytes);
    for (std::size_t at = 0; at + sizeof(FilterEntry) <= file.size(); at += sizeof(FilterEntry)) {
        auto entry = wire::load<FilterEntry>(ConstBytes(file).subspan(at));
        const auto fields = std::as_bytes(std::span(&entry, 1)).first(offsetof(FilterEntry, crc));
        entry.crc = crc32c(crc32c(0, fields), std::as_bytes(std::span(&seed, 1)));
        wire::store(Bytes(file).subspan(at), entry);
    }
    return file;
}

void put_checkpoint(const fuzz::ScratchDirectory& directory, ConstBytes content) {
    journal::CheckpointHeader header;
    header.content_bytes = static_cast<std::uint32_t>(content.size());
    header.serial = 2;
    std::vector<std::byte> file(sizeof header + content.size() + sizeof(std::uint32_t));
    wire::store(file, header);
    std::copy(content.begin(), content.end(), file.begin() + sizeof header);
    const std::size_t covered = sizeof header + content.size();
    wire::store(Bytes(file).subspan(covered), crc32c(0, ConstBytes(file).first(covered)));
    directory.put("intake.0", file);
}

std::vector<std::byte> stored_form(const edge::Producers& producers) {
    std::vector<std::byte> bytes;
    producers.encode(bytes);
    WEIR_ASSERT(bytes.size() == producers.encoded_bytes());
    return bytes;
}

// Numbers come in order; each is fresh at most once, and those that were known never.
void must_take_once(edge::Producers& producers) {
    for (std::uint32_t slot = 0; slot < producers.count(); ++slot) {
        const std::uint64_t known = producers.last_number(slot);
        if (known > UINT64_MAX - 4) continue;
        for (std::uint64_t number = known + 1; number < known + 4; ++number) {
            const auto first = producers.take(slot, number);
            WEIR_ASSERT(first != edge::NumberVerdict::gap);
            WEIR_ASSERT(producers.take(slot, number) == edge::NumberVerdict::duplicate);
        }
        WEIR_ASSERT(producers.last_number(slot) >= known + 3);
    }
}

struct Known {
    std::vector<std::byte> producers;
    std::uint64_t covered, next, count;
    bool operator==(const Known&) const = default;
};
Known known_by(edge::IntakeMemory& memory) {
    const edge::DuplicateFilter& filter = memory.filter();
    WEIR_ASSERT(filter.count() <= filter.options().ids_max);
    WEIR_ASSERT(filter.next_index() - filter.oldest_index() <= filter.options().ids_max);
    return {stored_form(memory.producers()), memory.covered(0, wire::Part::live).value, filter.next_index(),
            filter.count()};
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static const fuzz::ScratchDirectory directory;
    fuzz::Input input(data, bytes);
    const bool seals = input.take<std::uint8_t>() % 2 != 0;
    const ConstBytes content = input.take_part();
    const ConstBytes filter = input.rest();
    put_checkpoint(directory, content);
    directory.remove("intake.1");
    const bool has_head = content.size() >= sizeof(edge::IntakeCheckpointHead);
    const std::uint64_t seed = has_head ? wire::load<edge::IntakeCheckpointHead>(content).seed : 0;
    directory.put("filter.ring", seals ? sealed_filter(filter, seed) : fuzz::copy_of(filter));

    edge::EdgeConfig config;
    config.cache.ids_max = 1024;
    config.cache.producers_max = 4;
    auto memory = edge::IntakeMemory::load(config, directory.path());
    WEIR_ASSERT(memory.ok());
    const Known first = known_by(memory.value());
    if (memory.value().faults().empty() && has_head && !first.producers.empty()) {
        const std::uint64_t streams = wire::load<edge::IntakeCheckpointHead>(content).streams;
        const ConstBytes stored =
            content.subspan(sizeof(edge::IntakeCheckpointHead) + streams * sizeof(edge::CoveredStream));
        WEIR_ASSERT(std::equal(first.producers.begin(), first.producers.end(), stored.begin(), stored.end()));
    }
    auto again = edge::IntakeMemory::load(config, directory.path());
    WEIR_ASSERT(again.ok());
    WEIR_ASSERT(known_by(again.value()) == first);
    must_take_once(memory.value().producers());
    return 0;
}
