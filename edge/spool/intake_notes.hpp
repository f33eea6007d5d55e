// IntakeNotes: the spool's side of Ring<ToIntake>: what does not fit now is kept, newest word per lane, and goes out later.
//
// Thread    Spool runner.
// Bounds    One word of each kind per stream, but shed_rows_max of what was shed; one return per buffer: nothing grows.
// Law       A buffer's return is never lost and never said twice, nor is a row of sequences that was shed; words about a lane only
//           move forward.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/assert.hpp"
#include "core/pipeline/doorbell.hpp"
#include "edge/handover.hpp"

namespace weir::edge {

// Rows of a stream's sequences, apart from each other, that may wait to be said to be shed. While there is no place, nothing is shed.
inline constexpr std::size_t shed_rows_max = 4;

class IntakeNotes {
  public:
    IntakeNotes(RingWriter<ToIntake> ring, Doorbell& intake_doorbell, std::size_t lanes, std::size_t buffers)
        : ring_(ring),
          doorbell_(intake_doorbell),
          durable_(lanes),
          delivered_(lanes),
          opens_in_(lanes),
          filled_(lanes),
          shed_(lanes) {
        returned_.reserve(buffers);
    }

    // `at`: when it was learned, if that was now.
    void durable(std::size_t stream, Sequence last_sequence, Position end, MonotonicNs at = {}) {
        send({.kind = ToIntake::Kind::durable,
              .stream = static_cast<StreamIndex>(stream),
              .last_sequence = last_sequence,
              .position = end,
              .at = at},
             durable_[stream]);
    }
    void delivered(std::size_t stream, Sequence last_sequence, MonotonicNs at = {}) {
        send({.kind = ToIntake::Kind::delivered,
              .stream = static_cast<StreamIndex>(stream),
              .last_sequence = last_sequence,
              .at = at},
             delivered_[stream]);
    }
    // `lane` is the lane's first stream, `stream` the part that its batches belong to from now on.
    void opens_in(std::size_t lane, std::size_t stream) {
        send({.kind = ToIntake::Kind::opens_in, .stream = static_cast<StreamIndex>(stream)}, opens_in_[lane]);
    }
    void filled(std::size_t stream, std::uint8_t fill) {
        send({.kind = ToIntake::Kind::filled, .stream = static_cast<StreamIndex>(stream), .fill = fill},
             filled_[stream]);
    }
    // Whether shed() of a row has a place.
    [[nodiscard]] bool may_shed(std::size_t stream) const { return shed_[stream].count < shed_rows_max; }
    // The row first_sequence .. last_sequence; `shed_events` in all. Precondition: may_shed(stream).
    void shed(std::size_t stream, Sequence first_sequence, Sequence last_sequence, std::uint64_t shed_events) {
        WEIR_ASSERT(may_shed(stream));
        ShedRows& rows = shed_[stream];
        const ToIntake note{.kind = ToIntake::Kind::shed,
                            .stream = static_cast<StreamIndex>(stream),
                            .first_sequence = first_sequence,
                            .last_sequence = last_sequence,
                            .shed_events = shed_events};
        if (waiting_ == 0 && publish(note)) return;
        ToIntake* last = rows.count > 0 ? &rows.notes[rows.count - 1] : nullptr;
        if (last != nullptr && last->last_sequence + 1 == first_sequence) {
            last->last_sequence = last_sequence;
            last->shed_events = shed_events;
            return;
        }
        rows.notes[rows.count++] = note;
        ++waiting_;
    }
    // That it is so many in all, and no row.
    void shed_in_all(std::size_t stream, std::uint64_t shed_events) {
        ShedRows& rows = shed_[stream];
        if (rows.count > 0) {
            rows.notes[rows.count - 1].shed_events = shed_events;
        } else {
            shed(stream, 0, 0, shed_events);
        }
    }
    void returned(std::uint32_t buffer) {
        const ToIntake note{.kind = ToIntake::Kind::returned, .buffer = buffer};
        if (waiting_ == 0 && publish(note)) return;
        returned_.push_back(note);
        ++waiting_;
    }
    void poisoned() { send({.kind = ToIntake::Kind::poisoned}, poisoned_); }

    // Sends what waited, as far as there is room; returns how many went.
    std::size_t flush() {
        if (waiting_ == 0) return 0;
        const std::size_t before = waiting_;
        for (auto& note : durable_) flush_one(note);
        // Before central's word that it knows of them: who waits for it is told that they were shed.
        for (auto& rows : shed_) flush_rows(rows);
        for (auto& note : delivered_) flush_one(note);
        for (auto& note : opens_in_) flush_one(note);
        for (auto& note : filled_) flush_one(note);
        while (!returned_.empty() && publish(returned_.back())) {
            returned_.pop_back();
            --waiting_;
        }
        flush_one(poisoned_);
        return before - waiting_;
    }
    // Rings intake's doorbell if anything was published since the last call.
    void ring_if_published() {
        if (!published_) return;
        published_ = false;
        doorbell_.ring();
    }

  private:
    using Slot = std::optional<ToIntake>;
    struct ShedRows {  // the oldest first
        std::array<ToIntake, shed_rows_max> notes{};
        std::size_t count = 0;
    };

    [[nodiscard]] bool publish(const ToIntake& note) {
        if (!ring_.publish(note)) return false;
        published_ = true;
        return true;
    }
    void send(const ToIntake& note, Slot& slot) {
        // Once something waits, everything waits: a lane's later word never overtakes an earlier one.
        if (waiting_ == 0 && publish(note)) return;
        const MonotonicNs since = slot ? slot->at : note.at;
        if (!slot) ++waiting_;
        slot = note;
        slot->at = since;  // as long as the first of them waits
    }
    void flush_one(Slot& slot) {
        if (!slot || !publish(*slot)) return;
        slot.reset();
        --waiting_;
    }

    void flush_rows(ShedRows& rows) {
        std::size_t said = 0;
        while (said < rows.count && publish(rows.notes[said])) ++said;
        if (said == 0) return;
        std::copy(rows.notes.begin() + said, rows.notes.begin() + rows.count, rows.notes.begin());
        rows.count -= said;
        waiting_ -= said;
    }

    RingWriter<ToIntake> ring_;
    Doorbell& doorbell_;
    std::vector<Slot> durable_;
    std::vector<Slot> delivered_;
    std::vector<Slot> opens_in_;
    std::vector<Slot> filled_;
    std::vector<ShedRows> shed_;
    std::vector<ToIntake> returned_;
    Slot poisoned_;
    std::size_t waiting_ = 0;
    bool published_ = false;
};

}  // namespace weir::edge
