#include "core/journal/segments.hpp"

#include <dirent.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

#include "core/journal/checkpoint.hpp"
#include "core/journal/posix_file.hpp"
#include "core/wire/frame.hpp"

namespace weir::journal {
namespace {

constexpr std::size_t fill_bytes = 1U << 20;
constexpr auto retry_after = std::chrono::seconds(1);
constexpr std::size_t cut_files_max = 16;  // the oldest goes when one more is made

std::vector<std::string> names_ending(const std::string& directory, std::string_view suffix) {
    std::vector<std::string> names;
    DIR* open = ::opendir(directory.c_str());
    if (open == nullptr) return names;
    while (const dirent* entry = ::readdir(open)) {
        const std::string_view name = entry->d_name;
        if (name.ends_with(suffix)) names.emplace_back(name);
    }
    ::closedir(open);
    std::sort(names.begin(), names.end());
    return names;
}

class FileSegmentStore final : public SegmentStore {
  public:
    FileSegmentStore(std::string directory, std::uint64_t segment_bytes, std::uint32_t recycled_max,
                     void (*wake)(void*), void* wake_context)
        : directory_(std::move(directory)),
          segment_bytes_(segment_bytes),
          recycled_max_(recycled_max),
          wake_(wake),
          wake_context_(wake_context),
          zeros_(make_aligned(fill_bytes)) {
        clean_leftovers();
        worker_ = std::thread([this] { work(); });
    }

    ~FileSegmentStore() override {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        worker_.join();
    }

    Status create_now(const SegmentHeader& header) override {
        const std::string path = path_of(header.segment_index);
        if (::access(path.c_str(), F_OK) == 0) return adopt(path, header);
        const std::lock_guard files(files_mutex_);
        if (const int code = make(header); code != 0) return error_from_errno(code, "make " + path);
        return Done{};
    }

    void prepare(const SegmentHeader& header) override {
        {
            const std::lock_guard lock(mutex_);
            if (asked_.contains(header.segment_index)) return;
            asked_.insert(header.segment_index);
            wanted_.push_back(header);
        }
        changed_.notify_all();
    }

    std::optional<std::string> ready(std::uint64_t segment_index) override {
        const std::lock_guard lock(mutex_);
        if (!ready_.contains(segment_index)) return std::nullopt;
        return path_of(segment_index);
    }

    void release(std::uint64_t segment_index) override {
        {
            const std::lock_guard lock(mutex_);
            released_.push_back(segment_index);
            ready_.erase(segment_index);
            asked_.erase(segment_index);
        }
        changed_.notify_all();
    }

    int prepare_errno() const override {
        const std::lock_guard lock(mutex_);
        return prepare_errno_;
    }

    std::string path_of(std::uint64_t segment_index) const override {
        return directory_ + "/" + segment_file_name(segment_index);
    }

    Status cut_after(Position end) override;
    std::uint64_t first_index() const override { return first_index_; }

  private:
    void clean_leftovers();
    Status adopt(const std::string& path, const SegmentHeader& header) const;
    Status cut_tail_segment(std::uint64_t index, std::uint64_t offset);
    void trim_cut_files() const;
    void work();
    int make(const SegmentHeader& header);
    int fill(const PosixFile& file) const;
    int head(const PosixFile& file, const SegmentHeader& header) const;
    void let_go(std::uint64_t segment_index);
    bool is_stopping() const {
        const std::lock_guard lock(mutex_);
        return stopping_;
    }

    const std::string directory_;
    const std::uint64_t segment_bytes_;
    const std::uint32_t recycled_max_;
    void (*const wake_)(void*);
    void* const wake_context_;
    const AlignedBytes zeros_;
    std::uint64_t first_index_ = 0;

    std::mutex files_mutex_;           // held while files are made: create_now beside the worker
    std::vector<std::string> spares_;  // under files_mutex_
    mutable std::mutex mutex_;         // the fields below; never held during a system call
    std::condition_variable changed_;
    std::deque<SegmentHeader> wanted_;
    std::deque<std::uint64_t> released_;
    std::set<std::uint64_t> asked_;
    std::set<std::uint64_t> ready_;
    int prepare_errno_ = 0;
    bool stopping_ = false;
    std::thread worker_;
};

void FileSegmentStore::clean_leftovers() {
    for (const auto& name : names_ending(directory_, ".tmp")) {
        static_cast<void>(::unlink((directory_ + "/" + name).c_str()));
    }
    for (const auto& name : names_ending(directory_, ".spare")) {
        const std::string path = directory_ + "/" + name;
        if (spares_.size() < recycled_max_) {
            spares_.push_back(path);
        } else {
            static_cast<void>(::unlink(path.c_str()));
        }
    }
    for (const auto& name : names_ending(directory_, ".seg")) {
        if (const auto index = segment_index_of(name)) {
            first_index_ = *index;
            break;
        }
    }
}

Status FileSegmentStore::adopt(const std::string& path, const SegmentHeader& header) const {
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

Status FileSegmentStore::cut_after(Position end) {
    const std::uint64_t tail_index = end.value / segment_bytes_;
    for (const auto& name : names_ending(directory_, ".seg")) {
        const auto index = segment_index_of(name);
        if (!index || *index < tail_index) continue;
        if (*index == tail_index) {
            if (auto cut = cut_tail_segment(*index, end.value % segment_bytes_); !cut) return cut;
            continue;
        }
        // Made ahead before the last stop. It is made again, so that nothing in it can be of use to anyone.
        const std::string path = directory_ + "/" + name;
        if (auto cut = cut_tail_segment(*index, segment_header_bytes); !cut) return cut;
        if (::unlink(path.c_str()) != 0) return error_from_errno(errno, "unlink " + path);
    }
    trim_cut_files();
    return sync_directory(directory_);
}

Status FileSegmentStore::cut_tail_segment(std::uint64_t index, std::uint64_t offset) {
    const std::string path = path_of(index);
    const PosixFile file(path, O_RDWR);
    if (!file.is_open()) return error_from_errno(errno, "open " + path);
    const std::uint64_t first_place = index * segment_bytes_;
    std::vector<std::byte> bytes(fill_bytes);
    std::uint64_t found_end = 0;
    for (std::uint64_t at = offset; at < segment_bytes_; at += bytes.size()) {
        const auto count = file.read(bytes, at);
        if (count < 0) return error_from_errno(static_cast<int>(-count), "read " + path);
        for (std::size_t i = 0; i + sizeof(RecordHeader) <= static_cast<std::size_t>(count);
             i += wire::frame_alignment) {
            std::uint32_t magic;
            std::memcpy(&magic, bytes.data() + i, sizeof magic);
            if (magic != record_magic) continue;
            const auto header = wire::load<RecordHeader>(ConstBytes(bytes).subspan(i));
            if (header.position != first_place + at + i || header.batch_bytes > wire::frame_body_bytes_max) continue;
            found_end = std::max(found_end, round_up(at + i + record_bytes(header.batch_bytes), block_bytes));
        }
    }
    if (found_end == 0) return Done{};
    found_end = std::min(found_end, segment_bytes_);
    std::vector<std::byte> cut(found_end - offset);
    if (const auto count = file.read(cut, offset); count < 0) {
        return error_from_errno(static_cast<int>(-count), "read " + path);
    }
    // Nothing is deleted on doubt: it was never acked, or it was damaged; a person can tell from the copy.
    const std::string cut_path =
        path.substr(0, path.size() - 4) + "-" + std::to_string(offset) + "-" + std::to_string(::time(nullptr)) + ".cut";
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

void FileSegmentStore::trim_cut_files() const {
    const auto names = names_ending(directory_, ".cut");
    for (std::size_t i = 0; i + cut_files_max < names.size(); ++i) {
        static_cast<void>(::unlink((directory_ + "/" + names[i]).c_str()));
    }
}

void FileSegmentStore::work() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (!released_.empty()) {
            const std::uint64_t index = released_.front();
            released_.pop_front();
            lock.unlock();
            let_go(index);
            lock.lock();
            continue;
        }
        if (wanted_.empty()) {
            changed_.wait(lock);
            continue;
        }
        const SegmentHeader header = wanted_.front();
        lock.unlock();
        int code;
        {
            const std::lock_guard files(files_mutex_);
            code = make(header);
        }
        lock.lock();
        prepare_errno_ = code == ECANCELED ? 0 : code;
        if (code != 0) {
            changed_.wait_for(lock, retry_after, [this] { return stopping_ || !released_.empty(); });
            continue;
        }
        wanted_.pop_front();
        ready_.insert(header.segment_index);
        lock.unlock();
        if (wake_ != nullptr) wake_(wake_context_);
        lock.lock();
    }
}

// 0 or errno. The name ends in .seg only once everything is on the disk.
int FileSegmentStore::make(const SegmentHeader& header) {
    WEIR_ASSERT(header.segment_bytes == segment_bytes_);
    const std::string path = path_of(header.segment_index);
    const std::string tmp = path.substr(0, path.size() - 4) + ".tmp";
    // Spares stay in the list until they are renamed to their new name: a failed try loses nothing.
    static_cast<void>(::unlink(tmp.c_str()));
    bool is_recycled = false;
    while (!spares_.empty() && !is_recycled) {
        const std::string spare = spares_.back();
        spares_.pop_back();
        if (PosixFile(spare, O_RDONLY).file_bytes() != segment_bytes_) {
            static_cast<void>(::unlink(spare.c_str()));
        } else {
            is_recycled = ::rename(spare.c_str(), tmp.c_str()) == 0;
        }
    }
    PosixFile file(tmp, O_RDWR | O_CREAT | O_DIRECT);
    if (!file.is_open() && errno == EINVAL) file = PosixFile(tmp, O_RDWR | O_CREAT);
    int code = file.is_open() ? 0 : errno;
    if (code == 0 && !is_recycled) code = fill(file);
    if (code == 0) code = head(file, header);
    if (code == 0) code = file.sync();
    if (code == 0 && ::rename(tmp.c_str(), path.c_str()) != 0) code = errno;
    if (code != 0) {
        static_cast<void>(::unlink(tmp.c_str()));  // gives its space back while there is none
        return code;
    }
    const auto synced = sync_directory(directory_);
    return synced ? 0 : synced.error().code;
}

int FileSegmentStore::fill(const PosixFile& file) const {
    // Zeros are written, not only allocated: an O_DSYNC write into an unwritten extent would have to sync metadata each
    // time.
    for (std::uint64_t at = 0; at < segment_bytes_; at += fill_bytes) {
        if (is_stopping()) return ECANCELED;
        const std::uint64_t part = std::min<std::uint64_t>(fill_bytes, segment_bytes_ - at);
        if (const int code = file.write({zeros_.get(), part}, at); code != 0) return code;
    }
    return 0;
}

int FileSegmentStore::head(const PosixFile& file, const SegmentHeader& header) const {
    const AlignedBytes block = make_aligned(block_bytes);
    wire::store(Bytes(block.get(), block_bytes), header);
    return file.write({block.get(), block_bytes}, 0);
}

void FileSegmentStore::let_go(std::uint64_t segment_index) {
    const std::lock_guard files(files_mutex_);
    const std::string path = path_of(segment_index);
    if (spares_.size() < recycled_max_) {
        const std::string spare = path.substr(0, path.size() - 4) + ".spare";
        if (::rename(path.c_str(), spare.c_str()) == 0) spares_.push_back(spare);
        return;
    }
    static_cast<void>(::unlink(path.c_str()));
}

}  // namespace

std::unique_ptr<SegmentStore> make_segment_store(std::string directory, std::uint64_t segment_bytes,
                                                 std::uint32_t recycled_max, void (*wake)(void*), void* wake_context) {
    return std::make_unique<FileSegmentStore>(std::move(directory), segment_bytes, recycled_max, wake, wake_context);
}

}  // namespace weir::journal
