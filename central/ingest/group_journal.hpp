// GroupJournal: gathers the batches of many edges into write groups and appends them: one write, one sync for all.
//
//   reserve room ─▶ copy the batch once ─▶ note whom it concerns ─▶ group closes ─▶ JournalWriter ─▶ durable: tell them
//
// Thread    The ingest runner.
// Pressure  put() says false when the open group is full and no other buffer is free.
// Law       Groups become durable in the order in which they were opened. A group is written when no write is in flight,
//           or when it is full: alone an edge waits for nothing, together they share.
// Cost      One copy of a batch; nothing is allocated after construction.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/base/touch.hpp"
#include "core/io/io.hpp"
#include "core/journal/posix_file.hpp"
#include "core/journal/writer.hpp"

namespace weir::central {

// Whom a batch in a group concerns once it is durable.
struct Touch {
    std::uint32_t row = 0;
    std::uint32_t session = 0;
    std::uint16_t generation = 0;
    std::uint8_t lane_credit = 0;  // of the session
    std::uint32_t frame_bytes = 0;
    Sequence last_sequence = 0;
    std::uint32_t events = 0;  // of which hops are counted
    MonotonicNs received_at{};
    MonotonicNs appended_at{};
};

class GroupJournal {
  public:
    struct Options {
        std::uint32_t groups = 4;
        std::uint32_t group_bytes = 1U << 20;  // wish; made larger if one largest batch needs it
        journal::JournalOptions journal;
        journal::Tail tail;
        Position last_group{};
        io::Token token;
    };
    GroupJournal(io::Io& io, journal::SegmentStore& segments, Options options);

    void touch() const {
        for (const Group& one : groups_) {
            weir::touch(one.slots);
            weir::touch(one.touches);
        }
    }
    [[nodiscard]] Status open() { return writer_.open(); }
    // The largest batch that can be kept.
    [[nodiscard]] std::uint32_t batch_bytes_max() const { return batch_bytes_max_; }
    [[nodiscard]] bool put(ConstBytes batch, const Touch& touch);
    [[nodiscard]] bool has_room(std::size_t batch_bytes);
    // Appends what may be appended now; returns how many groups. `now`: when their writes begin.
    std::size_t flush(WallNs arrival, MonotonicNs now);
    void release_before(Position position) { writer_.release_before(position); }
    void on_completion(const io::Completion& completion) { writer_.on_completion(completion); }
    // Calls tell(const Touch&, MonotonicNs written_at) for each batch of every group that has become durable since, and frees the
    // groups.
    template <class Tell>
    std::size_t collect_durable(Tell&& tell) {
        std::size_t count = 0;
        while (written_ > 0 && group(0).end <= writer_.durable_position()) {
            for (const Touch& touch : group(0).touches) tell(touch, group(0).written_at);
            count += group(0).touches.size();
            free_oldest();
        }
        return count;
    }
    [[nodiscard]] bool is_empty() const { return used_ == 0; }             // all is durable
    [[nodiscard]] bool is_submitted() const { return used_ == written_; }  // nothing waits for its write to begin
    [[nodiscard]] bool is_waiting() const { return used_ != written_; }
    // A group that could not be appended although no write is under way.
    [[nodiscard]] bool is_waiting_for_segment() const { return is_waiting() && writer_.writes_in_flight() == 0; }
    [[nodiscard]] Position last_group() const { return last_group_; }
    [[nodiscard]] const journal::JournalWriter& writer() const { return writer_; }
    [[nodiscard]] std::uint64_t groups_written() const { return groups_written_; }

  private:
    struct Group {
        journal::AlignedBytes bytes;
        std::uint32_t used_bytes = 0;
        Position end{};
        MonotonicNs written_at{};
        std::vector<journal::RecordSlot> slots;
        std::vector<Touch> touches;
    };
    [[nodiscard]] Group& group(std::uint32_t nth) { return groups_[(oldest_ + nth) % groups_.size()]; }
    void free_oldest();

    std::uint32_t capacity_bytes_;
    std::uint32_t batch_bytes_max_;
    std::uint32_t group_bytes_;
    std::uint32_t records_max_;
    std::vector<Group> groups_;
    // Of the ring of groups from oldest_: the first written_ are with the writer, the rest of used_ gather or wait.
    std::uint32_t oldest_ = 0;
    std::uint32_t written_ = 0;
    std::uint32_t used_ = 0;
    Position last_group_{};
    std::uint64_t groups_written_ = 0;
    journal::JournalWriter writer_;
};

}  // namespace weir::central
