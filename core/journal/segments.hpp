// SegmentStore: makes segment files ready ahead of time, recycles and deletes them, on a thread of its own, so that the
// runner never waits for a directory or an allocation.
//
// A segment is made under a temporary name, filled with zeros or allocated to its full length, given its header, synced, renamed to
// its name, and the directory synced: a name that ends in .seg is a whole file (RELIABILITY P1). A released file is
// renamed away and the directory synced before it may be used again, old bytes in it being told by position and chain, or is deleted in
// pieces.
//
// Thread    prepare, use, ready, release: the runner; they neither lock nor wait nor take memory. A worker thread does the work. A simulator
//           does it at once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"
#include "core/journal/record.hpp"

namespace weir::journal {

class SegmentStore {
  public:
    virtual ~SegmentStore() = default;
    // Blocking, at start: makes the segment file now if it does not exist. `previous_crc` as in SegmentHeader. One that is there
    // under another key must hold nothing that counts: it is made anew.
    [[nodiscard]] virtual Status create_now(const SegmentHeader& header) = 0;
    // Asks for the file of header.segment_index (previous_crc is not known ahead: it is 0 and the chain is kept by the
    // segment's first record). Asking again changes nothing. Precondition: the one asked for last is ready; this is a later one.
    virtual void prepare(const SegmentHeader& header) = 0;
    // So many bytes of the open segment are used, or all of them where the runner waits: what was asked for is made in time for that, and
    // not much before, as its writes stand in the way of the journal's own (segment_orders.hpp).
    virtual void use(std::uint64_t bytes) { static_cast<void>(bytes); }
    // The path of the one asked for last when it is ready, until another is asked for; null while it is not.
    [[nodiscard]] virtual const std::string* ready(std::uint64_t segment_index) = 0;
    // The file of this index is no longer needed. Precondition: it is the one behind that released last; any as the first.
    virtual void release(std::uint64_t segment_index) = 0;
    // Something in the file of this index cannot be read: released, it goes to quarantine/ instead of being used again. Any
    // thread. Where more of them wait for the worker than damage_marks_max, those between them count as damaged too.
    virtual void mark_damaged(std::uint64_t segment_index) { static_cast<void>(segment_index); }
    // Files that went to quarantine/ since the start.
    [[nodiscard]] virtual std::uint64_t quarantined() const { return 0; }
    // Written to make files ready, since the start: any thread.
    [[nodiscard]] virtual std::uint64_t prepared_bytes() const { return 0; }
    // errno of the last failed preparation, 0 if the last one went well (ENOSPC: it is tried again every second).
    [[nodiscard]] virtual int prepare_errno() const = 0;
    // For start: it takes memory.
    [[nodiscard]] virtual std::string path_of(std::uint64_t segment_index) const = 0;
    // Blocking, at start, before the first append at `end`: what a crash left beyond it (records of writes that never
    // became durable in order) is saved to a .cut file and wiped, so that it can never be taken for a successor of what
    // comes next.
    [[nodiscard]] virtual Status cut_after(Position end) {
        static_cast<void>(end);
        return Done{};
    }
    // No segment below this index existed at start.
    [[nodiscard]] virtual std::uint64_t first_index() const { return 0; }
};

// The thread that makes, recycles and deletes for one or more real stores, in turns: one whose disk is full holds up no other.
//
// Thread    Made and ended by the control thread, after the last of its stores. It works on its maker's io::files().
class SegmentWorker {
  public:
    // `wake` is called from its thread when a segment became ready (to ring the runner's doorbell).
    SegmentWorker(void (*wake)(void*), void* wake_context);
    ~SegmentWorker();
    SegmentWorker(const SegmentWorker&) = delete;
    SegmentWorker& operator=(const SegmentWorker&) = delete;

    struct State;
    [[nodiscard]] State& state() { return *state_; }

  private:
    std::unique_ptr<State> state_;
};
// A real store for one directory, which is made with its first segment. `worker` outlives it.
[[nodiscard]] std::unique_ptr<SegmentStore> make_segment_store(SegmentWorker& worker, std::string directory,
                                                               std::uint64_t segment_bytes, std::uint32_t recycled_max);
// One with a thread of its own.
[[nodiscard]] std::unique_ptr<SegmentStore> make_segment_store(std::string directory, std::uint64_t segment_bytes,
                                                               std::uint32_t recycled_max, void (*wake)(void*),
                                                               void* wake_context);

}  // namespace weir::journal
