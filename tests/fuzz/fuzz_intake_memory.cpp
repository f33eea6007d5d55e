// What an intake knew before: its checkpoint and the duplicate filter's file. Whatever they hold, it starts; producers' numbers are
// taken at most once; and what was loaded is the same when it is loaded again.
//
// Input     1 byte: bit 0 makes the filter's checksums fit, bit 1 says that its file is of this edition, bit 2 that it has its length · the
//           checkpoint's content: 2 bytes length, bytes · the filter's file.
#include <bit>

#include "core/base/crc32c.hpp"
#include "core/journal/checkpoint.hpp"
#include "edge/intake/memory.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;
using edge::FilterEntryBefore;

// Under the CRC that it should have.
void seal_block(Bytes block, std::uint64_t seed) {
    if (block.size() < sizeof(edge::FilterBlockHead)) return;
    constexpr std::size_t crc_at = offsetof(edge::FilterBlockHead, crc);
    wire::store(block.subspan(crc_at), std::uint32_t{0});
    const std::uint32_t crc = crc32c(crc32c(0, std::as_bytes(std::span(&seed, 1))), block);
    wire::store(block.subspan(crc_at), crc);
}
std::vector<std::byte> sealed_filter(ConstBytes bytes, std::uint64_t seed) {
    std::vector<std::byte> file = fuzz::copy_of(bytes);
    for (std::size_t at = 0; at + journal::block_bytes <= file.size(); at += journal::block_bytes) {
        seal_block(Bytes(file).subspan(at, journal::block_bytes), seed);
    }
    return file;
}

// The same of what an earlier edition wrote.
std::vector<std::byte> sealed_filter_before(ConstBytes bytes, std::uint64_t seed) {
    std::vector<std::byte> file = fuzz::copy_of(bytes);
    for (std::size_t at = 0; at + sizeof(FilterEntryBefore) <= file.size(); at += sizeof(FilterEntryBefore)) {
        auto entry = wire::load<FilterEntryBefore>(ConstBytes(file).subspan(at));
        const auto fields = std::as_bytes(std::span(&entry, 1)).first(offsetof(FilterEntryBefore, crc));
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
    WEIR_ASSERT(memory.next_filter_block() * edge::filter_block_entries <= filter.next_index());
    return {stored_form(memory.producers()), memory.covered(0, wire::Part::live).value, filter.next_index(),
            filter.count()};
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static const fuzz::ScratchDirectory directory;
    fuzz::Input input(data, bytes);
    const auto kind = input.take<std::uint8_t>();
    const bool seals = kind % 2 != 0;
    std::vector<std::byte> content = fuzz::copy_of(input.take_part());
    std::vector<std::byte> filter = fuzz::copy_of(input.rest());
    const bool has_head = content.size() >= sizeof(edge::IntakeCheckpointHead);
    const auto head = has_head ? wire::load<edge::IntakeCheckpointHead>(content) : edge::IntakeCheckpointHead{};
    const std::size_t last_block_at = sizeof head + head.streams * sizeof(edge::CoveredStream);
    const std::size_t producers_at = last_block_at + head.last_block_bytes;
    if (seals && producers_at <= content.size())
        seal_block(Bytes(content).subspan(last_block_at, head.last_block_bytes), head.seed);
    put_checkpoint(directory, content);
    directory.remove("intake.1");
    edge::EdgeConfig config;
    config.cache.ids_max = 1024;
    const bool is_before = (kind & 2U) == 0;
    if ((kind & 4U) != 0 && !is_before) filter.resize(edge::filter_file_bytes(config.cache.ids_max));
    if (seals) filter = is_before ? sealed_filter_before(filter, head.seed) : sealed_filter(filter, head.seed);
    directory.put(is_before ? "filter.ring" : "filter.blocks", filter);
    directory.remove(is_before ? "filter.blocks" : "filter.ring");

    config.cache.producers_max = 4;
    auto memory = edge::IntakeMemory::load(config, directory.path());
    WEIR_ASSERT(memory.ok());
    const Known first = known_by(memory.value());
    if (memory.value().faults().empty() && has_head && !first.producers.empty()) {
        const ConstBytes stored = ConstBytes(content).subspan(producers_at);
        WEIR_ASSERT(std::equal(first.producers.begin(), first.producers.end(), stored.begin(), stored.end()));
    }
    auto again = edge::IntakeMemory::load(config, directory.path());
    WEIR_ASSERT(again.ok());
    WEIR_ASSERT(known_by(again.value()) == first);
    must_take_once(memory.value().producers());
    return 0;
}
