#include "core/journal/segment_files.hpp"
#include "core/base/planted.hpp"

#include <algorithm>
#include <cstring>
#include <ctime>

#include "core/journal/at_rest.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/wire/frame.hpp"

namespace weir::journal {
namespace {

constexpr std::uint64_t look_bytes_each = 1U << 20;  // read at once from a segment that is cut
// In a segment made ahead there is at most what was being written when the life ended: looked for so far behind what was found last.
constexpr std::uint64_t look_ahead_bytes = 16U << 20;
constexpr std::size_t cut_files_max = 16;  // the oldest goes when one more is made
constexpr std::string_view damaged_suffix = ".damaged";

// One for all journals: what a segment is filled with.
const std::byte* zeros() {
    static const AlignedBytes bytes = make_aligned(fill_bytes_max);
    return bytes.get();
}

std::vector<std::string> names_ending(const std::string& directory, std::string_view suffix) {
    std::vector<std::string> names;
    static_cast<void>(io::files().list(directory, names));
    std::erase_if(names, [&](const std::string& name) { return !name.ends_with(suffix); });
    std::sort(names.begin(), names.end());
    return names;
}

// The number between the last '-' and the suffix: when the file was set aside, in seconds since 1970.
std::uint64_t set_aside_at(std::string_view name) {
    std::uint64_t seconds = 0;
    for (const char c : name.substr(std::min(name.find_last_of('-'), name.size() - 1) + 1)) {
        if (c < '0' || c > '9') break;
        seconds = seconds * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return seconds;
}

// Those set aside in `directory`, the oldest first, whatever their index: a new lineage counts from 0 again.
std::vector<std::string> set_aside(const std::string& directory, std::string_view suffix) {
    auto names = names_ending(directory, suffix);
    std::stable_sort(names.begin(), names.end(),
                     [](const std::string& a, const std::string& b) { return set_aside_at(a) < set_aside_at(b); });
    return names;
}

// Later than all that is there, whatever the clock says: no name twice, and the newest sorts last.
std::string set_aside_time(const std::string& directory, std::string_view suffix) {
    const auto names = set_aside(directory, suffix);
    const auto now = static_cast<std::uint64_t>(::time(nullptr));
    return std::to_string(names.empty() ? now : std::max(now, set_aside_at(names.back()) + 1));
}

// Not through the page cache, where the file system lets it.
PosixFile open_to_write(const std::string& path) {
    PosixFile file(path, O_RDWR | O_CREAT | O_DIRECT);
    return file.is_open() || errno != EINVAL ? std::move(file) : PosixFile(path, O_RDWR | O_CREAT);
}

// Of a segment's header; nullopt where that is not whole.
std::optional<std::uint32_t> key_id_of(const std::string& path) {
    const PosixFile file(path, O_RDONLY);
    SegmentHeader header;
    if (!file.is_open() ||
        file.read(std::as_writable_bytes(std::span(&header, 1)), 0) != static_cast<std::int64_t>(sizeof header)) {
        return std::nullopt;
    }
    if (header.magic != segment_magic || header.crc != segment_crc(header)) return std::nullopt;
    return header.key_id;
}

}  // namespace

SegmentFiles::SegmentFiles(std::string directory, std::uint64_t segment_bytes, std::uint32_t recycled_max)
    : directory_(std::move(directory)), segment_bytes_(segment_bytes), recycled_max_(recycled_max) {
    clean_leftovers();
}

Status SegmentFiles::create(const SegmentHeader& header) {
    const std::string path = path_of(header.segment_index);
    const auto key_id = key_id_of(path);
    if (key_id && *key_id != header.key_id) {
        // Made ahead by a life with another key, or none. The caller found nothing whole in it.
        if (auto cut = cut_tail_segment(header.segment_index, segment_header_bytes, look_ahead_bytes); !cut) return cut;
        if (io::files().unlink(path) != 0) return error_from_errno(errno, "unlink " + path);
    }
    if (io::files().exists(path)) return adopt(path, header);
    if (const int code = make(header); code != 0) return error_from_errno(code, "make " + path);
    return Done{};
}

void SegmentFiles::clean_leftovers() {
    for (const auto& name : names_ending(directory_, ".tmp")) {
        static_cast<void>(io::files().unlink(directory_ + "/" + name));
    }
    const auto spares = names_ending(directory_, ".spare");
    const bool may_keep = !spares.empty() && sync_directory(directory_).ok();  // as in let_go()
    for (const auto& name : spares) {
        const std::string path = directory_ + "/" + name;
        if (may_keep && spares_.size() < recycled_max_) {
            spares_.push_back(path);
        } else {
            static_cast<void>(io::files().unlink(path));
        }
    }
    for (const auto& name : names_ending(directory_, ".seg")) {
        if (const auto index = segment_index_of(name)) {
            first_index_ = *index;
            break;
        }
    }
    for (const auto& name : names_ending(directory_, damaged_suffix)) {
        const auto index = segment_index_of(std::string_view(name).substr(0, name.size() - damaged_suffix.size()));
        if (index && io::files().exists(path_of(*index))) {
            damaged_.insert(*index);
        } else {
            static_cast<void>(io::files().unlink(directory_ + "/" + name));
        }
    }
}

Status quarantine(const std::string& directory, std::uint64_t segment_index) {
    const std::string place = directory + "/quarantine";
    if (auto made = make_directory(place); !made) return made;
    const std::string name = segment_file_name(segment_index);
    const std::string from = directory + "/" + name;
    const std::string to = place + "/" + name.substr(0, name.size() - 4) + "-" + set_aside_time(place, ".seg") + ".seg";
    if (io::files().rename(from, to) != 0) return error_from_errno(errno, "rename " + from + " to " + to);
    const auto names = set_aside(place, ".seg");
    for (std::size_t i = 0; i + quarantine_files_max < names.size(); ++i) {
        static_cast<void>(io::files().unlink(place + "/" + names[i]));
    }
    if (auto synced = sync_directory(place); !synced) return synced;
    return sync_directory(directory);
}

Status SegmentFiles::adopt(const std::string& path, const SegmentHeader& header) const {
    const PosixFile file(path, O_RDWR);
    if (!file.is_open()) return error_from_errno(errno, "open " + path);
    SegmentHeader present;
    const auto count = file.read(std::as_writable_bytes(std::span(&present, 1)), 0);
    if (count != sizeof present || present.magic != segment_magic || present.crc != segment_crc(present)) {
        return Error{0, path + ": not a whole segment; it is left as it is"};
    }
    if (present.segment_bytes != header.segment_bytes || file.file_bytes() != header.segment_bytes) {
        return Error{0, path + ": has " + std::to_string(present.segment_bytes) + " segment bytes, not " +
                            std::to_string(header.segment_bytes)};
    }
    if (present.journal_id != header.journal_id || present.segment_index != header.segment_index ||
        present.role != header.role) {
        return Error{0, path + ": belongs to another journal"};
    }
    // What recovery read may still be in the page cache only (a file system without O_DIRECT): make it true before it
    // counts.
    if (const int code = file.sync(); code != 0) return error_from_errno(code, "fsync " + path);
    return sync_directory(directory_);
}

Status SegmentFiles::cut_after(Position end) {
    const std::uint64_t tail_index = end.value / segment_bytes_;
    // The last first: on a full disk the one that was made ahead gives the room for what is cut from the tail.
    auto names = names_ending(directory_, ".seg");
    std::reverse(names.begin(), names.end());
    for (const auto& name : names) {
        const auto index = segment_index_of(name);
        if (!index || *index < tail_index) continue;
        if (*index == tail_index) {
            if (auto cut = cut_tail_segment(*index, end.value % segment_bytes_, segment_bytes_); !cut) return cut;
            continue;
        }
        // Made ahead before the last stop. It is made again, so that nothing in it can be of use to anyone.
        const std::string path = directory_ + "/" + name;
        if (auto cut = cut_tail_segment(*index, segment_header_bytes, look_ahead_bytes); !cut) return cut;
        if (io::files().unlink(path) != 0) return error_from_errno(errno, "unlink " + path);
    }
    trim_cut_files();
    return sync_directory(directory_);
}

Status SegmentFiles::cut_tail_segment(std::uint64_t index, std::uint64_t offset, std::uint64_t look_bytes) {
    const std::string path = path_of(index);
    const PosixFile file(path, O_RDWR);
    if (!file.is_open()) return error_from_errno(errno, "open " + path);
    const std::uint64_t first_place = index * segment_bytes_;
    std::vector<std::byte> bytes(std::min(look_bytes_each, segment_bytes_));
    std::uint64_t found_end = 0;
    for (std::uint64_t at = offset; at < std::min(segment_bytes_, std::max(offset, found_end) + look_bytes);
         at += bytes.size()) {
        const auto count = file.read(bytes, at);
        if (count < 0) return error_from_errno(static_cast<int>(-count), "read " + path);
        for (std::size_t i = 0; i + sizeof(RecordHeader) <= static_cast<std::size_t>(count);
             i += wire::frame_alignment) {
            std::uint32_t magic;
            std::memcpy(&magic, bytes.data() + i, sizeof magic);
            if (magic != record_magic && magic != sealed_magic) continue;
            const auto header = wire::load<RecordHeader>(ConstBytes(bytes).subspan(i));
            if (header.position != first_place + at + i || header.batch_bytes > wire::frame_body_bytes_max) continue;
            found_end = std::max(
                found_end, round_up(at + i + stored_bytes(header.batch_bytes, magic == sealed_magic), block_bytes));
        }
    }
    if (found_end == 0) return Done{};
    found_end = std::min(found_end, segment_bytes_);
    std::vector<std::byte> cut(found_end - offset);
    if (const auto count = file.read(cut, offset); count < 0) {
        return error_from_errno(static_cast<int>(-count), "read " + path);
    }
    // Nothing is deleted on doubt: it was never acked, or it was damaged; a person can tell from the copy.
    const std::string cut_path = path.substr(0, path.size() - 4) + "-" + std::to_string(offset) + "-" +
                                 set_aside_time(directory_, ".cut") + ".cut";
    const PosixFile copy(cut_path, O_RDWR | O_CREAT);
    int code = copy.is_open() ? copy.write(cut, 0) : errno;
    if (code == 0) code = copy.sync();
    if (code != 0) return error_from_errno(code, "write " + cut_path);
    std::fill(cut.begin(), cut.end(), std::byte{0});
    code = file.write(cut, offset);
    if (code == 0) code = file.sync();
    if (code != 0) return error_from_errno(code, "write " + path);
    return Done{};
}

void SegmentFiles::trim_cut_files() const {
    const auto names = set_aside(directory_, ".cut");
    for (std::size_t i = 0; i + cut_files_max < names.size(); ++i) {
        static_cast<void>(io::files().unlink(directory_ + "/" + names[i]));
    }
}

int SegmentFiles::make(const SegmentHeader& header) {
    Making making;
    int code = begin(header, making);
    while (code == 0 && !making.is_whole()) code = fill(making, fill_bytes_max);
    return code != 0 ? code : finish(making);
}

PosixFile SegmentFiles::open_spare(const SegmentHeader& header, std::string& name) {
    const std::lock_guard lock(mutex_);
    while (!spares_.empty()) {
        name = spares_.back();
        spares_.pop_back();
        // What was written under no key must not lie on in a segment that is under one.
        if (PosixFile(name, O_RDONLY).file_bytes() == segment_bytes_ &&
            (header.key_id == 0 || key_id_of(name).value_or(0) != 0)) {
            return open_to_write(name);
        }
        static_cast<void>(io::files().unlink(name));
    }
    name.clear();
    return {};
}

int SegmentFiles::begin(const SegmentHeader& header, Making& making) {
    WEIR_ASSERT(header.segment_bytes == segment_bytes_);
    const std::string path = path_of(header.segment_index);
    making.header = header;
    const std::string fresh = path.substr(0, path.size() - 4) + ".tmp";
    static_cast<void>(io::files().unlink(fresh));
    // A spare keeps its name until its new header is synced: one rename then makes it the new segment, whole or not at all.
    making.temporary.clear();
    making.is_allocated = false;
    making.file = open_spare(header, making.temporary);
    making.filled = segment_bytes_;
    if (making.temporary.empty()) {
        making.temporary = fresh;
        making.filled = 0;
        making.file = open_to_write(fresh);
        if (!making.file.is_open() && errno == ENOENT) {
            if (const auto directory = make_directory(directory_); !directory) return directory.error().code;
            making.file = open_to_write(fresh);
        }
    }
    if (making.file.is_open()) return 0;
    const int code = errno;
    abandon(making);
    return code;
}

int SegmentFiles::fill(Making& making, std::uint64_t bytes_max) {
    const std::uint64_t bytes = std::min({bytes_max, fill_bytes_max, segment_bytes_ - making.filled});
    if (const int code = making.file.write({zeros(), bytes}, making.filled); code != 0) {
        abandon(making);
        return code;
    }
    making.filled += bytes;
    prepared_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return 0;
}

int SegmentFiles::allocate_rest(Making& making) {
    const int code = making.file.allocate(segment_bytes_);
    making.is_allocated = code == 0;
    const bool is_disks = code == ENOSPC || code == EDQUOT || code == EFBIG || code == EIO;
    if (code != 0 && !is_disks)
        return EOPNOTSUPP;  // ENOSYS, EPERM, EINVAL: what refuses the call may be a container, or FUSE
    if (code != 0) abandon(making);
    return code;
}

int SegmentFiles::finish(Making& making) {
    WEIR_ASSERT(making.is_whole());
    int code = head(making.file, making.header);
    if (code == 0) code = making.file.sync();
    if (code == 0 && io::files().rename(making.temporary, path_of(making.header.segment_index)) != 0) code = errno;
    if (code != 0) {
        abandon(making);
        return code;
    }
    if (WEIR_PLANTED(no_directory_sync)) return 0;
    const auto synced = sync_directory(directory_);
    return synced ? 0 : synced.error().code;
}

void SegmentFiles::abandon(Making& making) {
    making.file = {};
    static_cast<void>(io::files().unlink(making.temporary));  // gives its space back while there is none
}

int SegmentFiles::head(const PosixFile& file, const SegmentHeader& header) {
    const AlignedBytes block = make_aligned(block_bytes);
    wire::store(Bytes(block.get(), block_bytes), header);
    prepared_bytes_.fetch_add(block_bytes, std::memory_order_relaxed);
    return file.write({block.get(), block_bytes}, 0);
}

void SegmentFiles::mark_damaged(std::uint64_t segment_index) {
    const std::lock_guard lock(mutex_);
    if (!io::files().exists(path_of(segment_index)) || !damaged_.insert(segment_index).second) return;
    // Best effort: where the mark is not kept, a later start may use the file again.
    const PosixFile mark(path_of(segment_index) + std::string(damaged_suffix), O_RDWR | O_CREAT);
    if (mark.is_open()) static_cast<void>(sync_directory(directory_));
}

void SegmentFiles::let_go(std::uint64_t segment_index) {
    const std::lock_guard lock(mutex_);
    const std::string path = path_of(segment_index);
    // It cannot be read now; whoever has its key can. Only people delete it.
    if (const auto key_id = key_id_of(path); key_id && *key_id != 0 && !keyring().holds(*key_id)) return;
    if (damaged_.contains(segment_index)) {
        if (!quarantine(directory_, segment_index)) return;  // it stays where it is
        static_cast<void>(io::files().unlink(path + std::string(damaged_suffix)));
        damaged_.erase(segment_index);
        quarantined_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    if (spares_.size() < recycled_max_) {
        const std::string spare = path.substr(0, path.size() - 4) + ".spare";
        if (io::files().rename(path, spare) != 0) return;
        // Were its old name still on the disk when it gets its next one, one file would be two segments after a power loss,
        // and letting the older one go would take the newer one with it.
        if (sync_directory(directory_)) spares_.push_back(spare);
        return;
    }
    if (!begin_to_shrink(path)) static_cast<void>(io::files().unlink(path));
}

// False: it is still there under its name.
bool SegmentFiles::begin_to_shrink(const std::string& path) {
    if (shrinking_.size() >= shrinking_max || segment_bytes_ <= shrink_bytes) return false;
    // A start clears away what ends so.
    const std::string gone = path.substr(0, path.size() - 4) + "-gone.tmp";
    if (io::files().rename(path, gone) != 0) return false;
    // Before its bytes go its old name is off the disk: a segment under its name is whole.
    PosixFile file(gone, O_RDWR);
    if (sync_directory(directory_) && file.is_open()) {
        shrinking_.push_back({gone, std::move(file), segment_bytes_});
    } else {
        static_cast<void>(io::files().unlink(gone));
    }
    return true;
}

bool SegmentFiles::shrink() {
    Shrinking& oldest = shrinking_.front();
    oldest.bytes -= std::min(oldest.bytes, shrink_bytes);
    if (oldest.bytes > 0 && io::files().truncate(oldest.file.handle(), oldest.bytes) == 0) return false;
    static_cast<void>(io::files().unlink(oldest.path));
    shrinking_.pop_front();
    return true;
}

void SegmentFiles::delete_shrinking() {
    for (const Shrinking& one : shrinking_) static_cast<void>(io::files().unlink(one.path));
    shrinking_.clear();
}

bool SegmentFiles::give_back() {
    const std::lock_guard lock(mutex_);
    const bool had_any = !spares_.empty() || is_shrinking();
    for (const std::string& spare : spares_) static_cast<void>(io::files().unlink(spare));
    spares_.clear();
    delete_shrinking();
    return had_any;
}

}  // namespace weir::journal
