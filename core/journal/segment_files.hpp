// SegmentFiles: a journal's segment files on the disk: made whole, adopted, cut after a crash, recycled, deleted.
//
// A segment is made under a temporary name, filled with zeros or allocated to its full length, given its header, synced, renamed to
// its name, and the directory synced: a name that ends in .seg is a whole file (RELIABILITY P1).
//
// Cost      A small O_DSYNC write into what is only allocated takes half as long again, for the metadata that it syncs; but a segment that
//           is filled before it is used has the disk write all of it twice. So where zeros cannot be in time for who writes much, the rest
//           is allocated (segment_orders.hpp). It reads as zeros too.
//
// The directory is made with the first segment, where it is not there.
//
// Thread    Any, blocking, but for let_go() and what stands with it: one. A SegmentStore decides on which and when.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/journal/posix_file.hpp"
#include "core/journal/record.hpp"

namespace weir::journal {

// The longest write of zeros: at a start, and of FillPace::hurried (segment_orders.hpp has the others). A group that becomes due waits for
// one of them at most: of 1 MiB each they trebled the time of the groups beside them.
inline constexpr std::uint64_t fill_bytes_max = 256U << 10;

// What is deleted goes in pieces from its end, one each shrink_pause_ns (50 MiB/s of each journal): a file system that tells its device what
// became free (mount option discard) held up every write beside it for about 30 ms where 64 MiB went at once (bench/NOTES.md).
inline constexpr std::uint64_t shrink_bytes = 256U << 10;
inline constexpr std::uint64_t shrink_pause_ns = 5 * ns_per_ms;
// Files of a journal that may wait for that; where more come at a time the next one goes at once.
inline constexpr std::size_t shrinking_max = 1;

class SegmentFiles {
  public:
    // Clears what a crash left half made. `recycled_max` released files are kept to be used again.
    SegmentFiles(std::string directory, std::uint64_t segment_bytes, std::uint32_t recycled_max);
    ~SegmentFiles() { delete_shrinking(); }  // what still shrinks goes at once
    SegmentFiles(const SegmentFiles&) = delete;
    SegmentFiles& operator=(const SegmentFiles&) = delete;

    // The file of header.segment_index is whole and synced when this returns: made now, or there already.
    [[nodiscard]] Status create(const SegmentHeader& header);
    // Zeros, header, sync, name, all at once: 0 or errno. The name ends in .seg only once everything is on the disk.
    [[nodiscard]] int make(const SegmentHeader& header);
    // make() in steps, for who has other things to do between them: begin(), fill() or allocate_rest() until is_whole(), finish(). Where one
    // fails (errno) its temporary file is gone and it is over (a sync of the directory that failed leaves the file under its name);
    // abandon() gives it up. One thread for all steps of a Making.
    struct Making {
        SegmentHeader header;
        std::string temporary;
        PosixFile file;
        std::uint64_t filled = 0;   // bytes from its begin
        bool is_allocated = false;  // as many as it needs, filled or not

        [[nodiscard]] bool is_whole() const { return is_allocated || filled == header.segment_bytes; }
    };
    [[nodiscard]] int begin(const SegmentHeader& header, Making& making);
    // At most so many bytes more (a multiple of block_bytes), and at most fill_bytes_max. 0 or errno.
    [[nodiscard]] int fill(Making& making, std::uint64_t bytes_max);
    // EOPNOTSUPP: nothing is allocated here, whatever the reason, and fill() is to go on.
    [[nodiscard]] int allocate_rest(Making& making);
    [[nodiscard]] int finish(Making& making);
    void abandon(Making& making);
    // Not needed any more: kept to be used again, renamed to be deleted by shrink(), or, if it was marked as damaged, moved to quarantine/.
    // Beyond shrinking_max, or where it cannot be renamed, it is deleted at once.
    // let_go(), is_shrinking(), shrink() and give_back(): one thread.
    void let_go(std::uint64_t segment_index);
    [[nodiscard]] bool is_shrinking() const { return !shrinking_.empty(); }
    // One piece less of what is to be deleted; a file that cannot be cut goes whole. True: a file is gone. Precondition: is_shrinking().
    [[nodiscard]] bool shrink();
    // Deletes at once what is only kept for reuse or shrinks: a disk without room needs it elsewhere. True if there was any.
    [[nodiscard]] bool give_back();
    // Something in it cannot be read: it is evidence, and no later life may use it for something else.
    void mark_damaged(std::uint64_t segment_index);
    // Written to make segments ready: their zeros and their headers.
    [[nodiscard]] std::uint64_t prepared_bytes() const { return prepared_bytes_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t quarantined() const { return quarantined_.load(std::memory_order_relaxed); }
    // As SegmentStore::cut_after.
    [[nodiscard]] Status cut_after(Position end);
    [[nodiscard]] std::uint64_t first_index() const { return first_index_; }
    [[nodiscard]] std::string path_of(std::uint64_t segment_index) const {
        return directory_ + "/" + segment_file_name(segment_index);
    }

  private:
    void clean_leftovers();
    [[nodiscard]] Status adopt(const std::string& path, const SegmentHeader& header) const;
    [[nodiscard]] Status cut_tail_segment(std::uint64_t index, std::uint64_t offset, std::uint64_t look_bytes);
    void trim_cut_files() const;
    [[nodiscard]] PosixFile open_spare(const SegmentHeader& header, std::string& name);
    [[nodiscard]] int head(const PosixFile& file, const SegmentHeader& header);
    [[nodiscard]] bool begin_to_shrink(const std::string& path);
    void delete_shrinking();

    const std::string directory_;
    const std::uint64_t segment_bytes_;
    const std::uint32_t recycled_max_;
    std::uint64_t first_index_ = 0;
    std::mutex mutex_;                 // of the two below alone: create() and the worker's calls beside each other
    std::vector<std::string> spares_;  // under mutex_
    std::set<std::uint64_t> damaged_;  // under mutex_
    struct Shrinking {
        std::string path;
        PosixFile file;
        std::uint64_t bytes = 0;
    };
    std::deque<Shrinking> shrinking_;  // of let_go()'s thread; the oldest first
    std::atomic<std::uint64_t> quarantined_{0};
    std::atomic<std::uint64_t> prepared_bytes_{0};
};

// The oldest goes when one more comes (P12: bounded).
inline constexpr std::size_t quarantine_files_max = 8;
// Moves a segment file to DIRECTORY/quarantine/ under a name that no later one takes.
[[nodiscard]] Status quarantine(const std::string& directory, std::uint64_t segment_index);

}  // namespace weir::journal
