#include "edge/intake/memory.hpp"

#include <algorithm>
#include <cerrno>

#include "core/journal/checkpoint.hpp"
#include "core/journal/posix_file.hpp"
#include "core/wire/event.hpp"

namespace weir::edge {

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
    is_known = is_known && head.magic == intake_checkpoint_magic && head.version == intake_checkpoint_version &&
               head.streams <= wire::hello_lanes_max &&
               content.size() >= sizeof head + head.streams * sizeof(CoveredStream);
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
    if (is_known && !memory.producers_.decode(rest)) {
        memory.faults_.push_back(path + ": its producers cannot be read");
        memory.covered_.clear();
    }
    if (auto read = memory.load_filter(); !read) return read.error();
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
    for (const auto& file : {path + ".0", path + ".1", filter_path(data_dir)}) {
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

Status IntakeMemory::load_filter() {
    const std::string path = filter_path(data_dir_);
    std::uint64_t entries_count = 0;
    {
        const journal::PosixFile file(path, O_RDONLY);
        if (!file.is_open() && errno != ENOENT) return error_from_errno(errno, "open " + path);
        if (file.is_open()) {
            entries_count = file.file_bytes() / sizeof(FilterEntry);
            std::vector<FilterEntry> entries(entries_count);
            const auto count = file.read(std::as_writable_bytes(std::span(entries)), 0);
            if (count < 0) return error_from_errno(static_cast<int>(-count), "read " + path);
            std::erase_if(entries, [this](const FilterEntry& entry) { return !filter_.is_intact(entry); });
            std::sort(entries.begin(), entries.end(),
                      [](const FilterEntry& a, const FilterEntry& b) { return a.index < b.index; });
            for (const FilterEntry& entry : entries) filter_.restore(entry);
        }
    }
    return entries_count == filter_file_entries(filter_.options().ids_max) ? Status(Done{}) : store_filter();
}

// A new file, or one of another length: entries have other places in it.
Status IntakeMemory::store_filter() const {
    const std::string path = filter_path(data_dir_);
    const std::string fresh = path + ".new";
    const std::uint32_t ids_max = filter_.options().ids_max;
    {
        const journal::PosixFile file(fresh, O_RDWR | O_CREAT | O_TRUNC);
        if (!file.is_open()) return error_from_errno(errno, "open " + fresh);
        // Written whole, not only sized: a cut that fails for want of space would cover nothing, and what nothing covers is
        // never trimmed: a full disk would stay full for good.
        std::vector<FilterEntry> entries(filter_file_entries(ids_max));
        for (std::uint64_t index = filter_.oldest_index(); index < filter_.next_index(); ++index) {
            entries[index % ids_max] = filter_.sealed(index);
        }
        if (const int code = file.write(std::as_bytes(std::span(entries)), 0); code != 0) {
            return error_from_errno(code, "write " + fresh);
        }
        if (const int code = file.sync(); code != 0) return error_from_errno(code, "fsync " + fresh);
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
