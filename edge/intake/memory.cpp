#include "edge/intake/memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "core/base/crc32c.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/posix_file.hpp"
#include "core/wire/event.hpp"

namespace weir::edge {
namespace {

constexpr auto unfinished = ".new";  // behind the name of a file that is being written

bool is_readable(const IntakeCheckpointHead& head, std::size_t content_bytes) {
    const bool is_before = head.version == intake_checkpoint_version_before && head.last_block_bytes == 0;
    return head.magic == intake_checkpoint_magic && (is_before || head.version == intake_checkpoint_version) &&
           head.streams <= wire::hello_lanes_max && head.last_block_bytes <= journal::block_bytes &&
           content_bytes >= sizeof head + head.streams * sizeof(CoveredStream) + head.last_block_bytes;
}

// Its bytes; empty where there is no such file.
Result<std::vector<std::byte>> read_file(const std::string& path) {
    const journal::PosixFile file(path, O_RDONLY);
    if (!file.is_open() && errno != ENOENT) return error_from_errno(errno, "open " + path);
    std::vector<std::byte> bytes(file.is_open() ? file.file_bytes() : 0);
    if (bytes.empty()) return bytes;
    const auto count = file.read(bytes, 0);
    if (count < 0) return error_from_errno(static_cast<int>(-count), "read " + path);
    bytes.resize(static_cast<std::size_t>(count));
    return bytes;
}

// By the fields and the seed behind them.
bool is_intact(const FilterEntryBefore& entry, std::uint64_t seed) {
    const auto fields = std::as_bytes(std::span(&entry, 1)).first(offsetof(FilterEntryBefore, crc));
    return entry.index != 0 && entry.crc == crc32c(crc32c(0, fields), std::as_bytes(std::span(&seed, 1)));
}

}  // namespace

IntakeMemory::IntakeMemory(const EdgeConfig& config, std::uint64_t seed, std::string data_dir)
    : data_dir_(std::move(data_dir)),
      filter_({.ids_max = config.cache.ids_max, .lifetime_s = config.cache.lifetime_s, .seed = seed}),
      producers_(std::min(config.cache.producers_max, producer_slots_max)) {}

Result<IntakeMemory> IntakeMemory::load(const EdgeConfig& config, const std::string& data_dir) {
    const std::string path = intake_checkpoint_path(data_dir);
    auto loaded = journal::CheckpointFile::load(path);
    if (!loaded) return loaded.error();
    const auto& content = loaded.value().content;
    IntakeCheckpointHead head;
    bool is_known = content.size() >= sizeof head;
    if (is_known) head = wire::load<IntakeCheckpointHead>(content);
    is_known = is_known && is_readable(head, content.size());
    // A new directory, or nothing left to go on from: another seed, and the whole spool is read.
    if (!is_known) {
        head = IntakeCheckpointHead{};
        if (io::files().random(std::as_writable_bytes(std::span(&head.seed, 1))) != 0) {
            return error_from_errno(errno, "getrandom");
        }
    }
    IntakeMemory memory(config, head.seed, data_dir);
    memory.faults_ = loaded.value().faults;
    memory.serial_ = loaded.value().serial;
    ConstBytes rest = ConstBytes(content).subspan(std::min(content.size(), sizeof head));
    for (std::uint32_t i = 0; i < head.streams; ++i, rest = rest.subspan(sizeof(CoveredStream))) {
        memory.covered_.push_back(wire::load<CoveredStream>(rest));
    }
    const ConstBytes last_block = rest.first(head.last_block_bytes);
    rest = rest.subspan(last_block.size());
    if (is_known && !memory.producers_.decode(rest)) {
        memory.faults_.push_back(path + ": its producers cannot be read");
        memory.covered_.clear();
    }
    if (auto read = memory.load_filter(head, last_block); !read) return read.error();
    if (!is_known) {
        if (loaded.value().exists) memory.faults_.push_back(path + ": no usable copy; the whole spool is read instead");
        journal::CheckpointFile file(path, memory.serial_);
        if (auto stored = file.store_now(std::as_bytes(std::span(&head, 1))); !stored) return stored.error();
        ++memory.serial_;
    }
    return memory;
}

Result<bool> IntakeMemory::remove(const std::string& data_dir) {
    const std::string path = intake_checkpoint_path(data_dir);
    bool is_found = false;
    const std::string filter = filter_path(data_dir);
    for (const auto& file : {path + ".0", path + ".1", filter, filter + unfinished, filter_path_before(data_dir)}) {
        if (io::files().unlink(file) == 0) {
            is_found = true;
        } else if (errno != ENOENT) {
            return error_from_errno(errno, "unlink " + file);
        }
    }
    if (is_found) {
        if (auto synced = journal::sync_directory(data_dir); !synced) return synced.error();
    }
    return is_found;
}

Position IntakeMemory::covered(LaneId lane, wire::Part part) const {
    for (const CoveredStream& one : covered_) {
        if (one.lane == lane && one.part == part) return one.position;
    }
    return {};
}

Status IntakeMemory::load_filter(const IntakeCheckpointHead& head, ConstBytes last_block) {
    const bool is_before = head.version == intake_checkpoint_version_before;
    bool must_store = false;
    if (is_before) {
        const auto found = load_filter_before();
        if (!found) return found.error();
        must_store = found.value();  // whatever lies in the new file already
    }
    if (!must_store) {
        const auto read = read_file(filter_path(data_dir_));
        if (!read) return read.error();
        restore_blocks(last_block, read.value());
        must_store = read.value().size() != filter_file_bytes(filter_.options().ids_max);
    }
    // What the checkpoint counts on is in the file's blocks before this one, or in the checkpoint: those are never written again. Of one of
    // version 2 the last block is in the file alone, as far as it is filled: so it stays.
    const std::uint64_t counted = is_before ? round_up(filter_.next_index(), filter_block_entries)
                                            : std::min(head.filter_next, DuplicateFilter::index_max);
    if (counted > filter_.next_index()) filter_.skip_to(counted);
    next_filter_block_ = counted / filter_block_entries;
    if (must_store) {
        if (auto stored = store_filter(); !stored) return stored;
    }
    const std::string before = filter_path_before(data_dir_);
    const bool is_gone = io::files().unlink(before) == 0 || errno == ENOENT;
    return is_gone ? Status(Done{}) : error_from_errno(errno, "unlink " + before);
}

void IntakeMemory::restore_blocks(ConstBytes last_block, ConstBytes file) {
    struct Found {
        FilterBlockHead head;
        ConstBytes block;
    };
    std::vector<Found> found;
    const auto look_at = [&](ConstBytes block) {
        const FilterBlockHead head = open_filter_block(block, filter_.options().seed);
        if (head.step() != 0) found.push_back({head, block});
    };
    // The checkpoint's own comes before one of the file with the same number: what both have is put in once.
    look_at(last_block);
    for (std::size_t at = 0; at + journal::block_bytes <= file.size(); at += journal::block_bytes) {
        look_at(file.subspan(at, journal::block_bytes));
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const Found& a, const Found& b) { return a.head.number() < b.head.number(); });
    for (const Found& one : found) restore_filter_block(filter_, one.head, one.block);
}

// False: there is no such file.
Result<bool> IntakeMemory::load_filter_before() {
    const std::string path = filter_path_before(data_dir_);
    const journal::PosixFile file(path, O_RDONLY);
    if (!file.is_open() && errno != ENOENT) return error_from_errno(errno, "open " + path);
    if (!file.is_open()) return false;
    std::vector<FilterEntryBefore> entries(file.file_bytes() / sizeof(FilterEntryBefore));
    const auto count = file.read(std::as_writable_bytes(std::span(entries)), 0);
    if (count < 0) return error_from_errno(static_cast<int>(-count), "read " + path);
    const std::uint64_t seed = filter_.options().seed;
    std::erase_if(entries, [&](const FilterEntryBefore& entry) { return !is_intact(entry, seed); });
    std::sort(entries.begin(), entries.end(),
              [](const FilterEntryBefore& a, const FilterEntryBefore& b) { return a.index < b.index; });
    for (const FilterEntryBefore& entry : entries) {
        (void)filter_.restore(entry.index, {.high = entry.high, .low = entry.low}, entry.seconds);
    }
    return true;
}

// A new file, or one of another length: blocks have other places in it.
Status IntakeMemory::store_filter() const {
    const std::string path = filter_path(data_dir_);
    const std::string fresh = path + unfinished;
    const std::uint32_t ids_max = filter_.options().ids_max;
    {
        const journal::PosixFile file(fresh, O_RDWR | O_CREAT | O_TRUNC);
        if (!file.is_open()) return error_from_errno(errno, "open " + fresh);
        // Written whole, not only sized: a cut that fails for want of space would cover nothing, and what nothing covers is
        // never trimmed: a full disk would stay full for good.
        std::vector<std::byte> bytes(filter_file_bytes(ids_max));
        const std::uint64_t end = round_up(filter_.next_index(), filter_block_entries) / filter_block_entries;
        for (std::uint64_t block = filter_.oldest_index() / filter_block_entries; block < end; ++block) {
            const std::uint64_t place = block % filter_file_blocks(ids_max) * journal::block_bytes;
            seal_filter_block(filter_, block, Bytes(bytes).subspan(place, journal::block_bytes));
        }
        int code = file.write(bytes, 0);
        if (code == 0) code = file.sync();
        if (code != 0) {
            (void)io::files().unlink(fresh);  // it would take the room that is missing
            return error_from_errno(code, "write " + fresh);
        }
    }
    if (io::files().rename(fresh, path) != 0) return error_from_errno(errno, "rename " + fresh);
    return journal::sync_directory(data_dir_);
}

void IntakeMemory::note(const wire::FrameView& frame, std::uint32_t seconds) {
    if (frame.header.tag != 0) {
        const std::uint32_t slot = frame.header.tag - 1U;
        if (frame.header.number != 0) producers_.recover(slot, frame.header.number);
        // A letter that was applied is known by its source and id too: its producer may send it again.
        if (slot >= producers_.count() || !producers_.is_replay(slot)) return;
    }
    if (frame.header.kind != wire::FrameKind::event) return;
    wire::EventView event;
    if (wire::verify_event(frame.body, event) != wire::Reason::none) return;
    const Fingerprint fingerprint = filter_.fingerprint(event.source, event.id);
    if (!filter_.contains(fingerprint, seconds)) filter_.insert(fingerprint, seconds);
}

void IntakeMemory::replay(const wire::BatchHeader& header, ConstBytes body) {
    if (header.kind != wire::BatchKind::events) return;
    const std::uint32_t seconds = filter_.newest_seconds();
    wire::for_each_frame(body, [&](const wire::FrameView& frame, std::uint32_t) { note(frame, seconds); });
}

}  // namespace weir::edge
