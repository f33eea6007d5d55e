// Two copies of a checkpoint file: load() gives the content of the newest whole one, and storing that again gives the same bytes.
//
// Input     1 byte: bit 0 (1) seals copy 0 (1), so that more than its checksum is looked at · each copy: 2 bytes length, bytes.
#include "core/base/crc32c.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/wire/frame.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;
using journal::CheckpointFile;
using journal::CheckpointHeader;

// Makes the magic, the version, and the checksum behind the content fit, where there is room for them.
void seal(std::vector<std::byte>& copy) {
    if (copy.size() < sizeof(CheckpointHeader) + sizeof(std::uint32_t)) return;
    auto header = wire::load<CheckpointHeader>(copy);
    header.magic = journal::checkpoint_magic;
    header.version = journal::checkpoint_version;
    wire::store(copy, header);
    const std::size_t room = copy.size() - sizeof header - sizeof(std::uint32_t);
    if (header.content_bytes > room) return;
    const std::size_t covered = sizeof header + header.content_bytes;
    wire::store(Bytes(copy).subspan(covered), crc32c(0, ConstBytes(copy).first(covered)));
}

void must_survive_storing(const journal::LoadedCheckpoint& loaded, const fuzz::ScratchDirectory& directory) {
    const std::string path = directory.path() + "/again";
    CheckpointFile file(path, loaded.serial - 1);
    WEIR_ASSERT(file.store_now(loaded.content).ok());
    const auto again = CheckpointFile::load(path);
    WEIR_ASSERT(again.ok() && again.value().exists && again.value().faults.empty());
    WEIR_ASSERT(again.value().serial == loaded.serial);
    WEIR_ASSERT(again.value().content == loaded.content);
    directory.remove("again.0");
    directory.remove("again.1");
}

// One of the copies begins with what would be written now; reserved fields, which nobody looks at, apart.
bool is_of(const journal::LoadedCheckpoint& loaded, ConstBytes copy) {
    if (copy.size() < sizeof(CheckpointHeader) + loaded.content.size() + sizeof(std::uint32_t)) return false;
    const auto header = wire::load<CheckpointHeader>(copy);
    if (header.magic != journal::checkpoint_magic || header.version != journal::checkpoint_version) return false;
    if (header.serial != loaded.serial || header.content_bytes != loaded.content.size()) return false;
    const ConstBytes content = copy.subspan(sizeof header, loaded.content.size());
    if (!std::equal(content.begin(), content.end(), loaded.content.begin(), loaded.content.end())) return false;
    const std::size_t covered = sizeof header + content.size();
    return wire::load<std::uint32_t>(copy.subspan(covered)) == crc32c(0, copy.first(covered));
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static const fuzz::ScratchDirectory directory;
    fuzz::Input input(data, bytes);
    const auto seals = input.take<std::uint8_t>();
    std::vector<std::byte> copies[2];
    for (unsigned copy = 0; copy < 2; ++copy) {
        copies[copy] = fuzz::copy_of(input.take_part());
        if ((seals >> copy & 1U) != 0) seal(copies[copy]);
        directory.put(copy == 0 ? "state.0" : "state.1", copies[copy]);
    }
    const auto loaded = CheckpointFile::load(directory.path() + "/state");
    WEIR_ASSERT(loaded.ok());
    const journal::LoadedCheckpoint& found = loaded.value();
    if (!found.exists) {
        WEIR_ASSERT(found.content.empty() && found.serial == 0);
        return 0;
    }
    WEIR_ASSERT(is_of(found, copies[0]) || is_of(found, copies[1]));
    must_survive_storing(found, directory);
    return 0;
}
