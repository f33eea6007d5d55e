// AckBook: which events wait for which word (durable, delivered) before they may be acked, as runs.
//
// A run is a row of consecutive events of one connection in one batch that share a status. It waits in its lane's list,
// or behind a barrier if it is of duplicates; then it lies in its connection's list until an ack frame takes it.
//
// Thread    Intake runner.
// Law       A duplicate is acked only after everything that was taken before it has reached the level it waits for.
// Bounds    runs_count() runs in all, made at construction. Barriers: barriers_max per level; when they are used up the newest one
//           is moved on, which makes duplicates wait a little longer and never too short.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/wire/control.hpp"
#include "edge/counters.hpp"
#include "edge/intake/event_vector.hpp"

namespace weir::edge {

inline constexpr std::uint32_t runs_max = 65'536;  // unless the configuration says fewer or more
inline constexpr std::uint32_t barriers_max = 256;
inline constexpr std::uint32_t runs_for_central_share = 4;  // of all runs a stream's may be one in so many

enum class Wait : std::uint8_t { spooled = 0, delivered = 1 };

struct AckItem {
    std::uint32_t connection = 0;
    std::uint64_t ordinal = 0;
    wire::AckStatus status = wire::AckStatus::accepted;
    wire::Reason reason = wire::Reason::none;
    MonotonicNs received_at{};
    std::uint32_t count = 1;  // events in a row, all of them so; `ordinal` is the first's
};

class AckBook {
  public:
    AckBook(std::uint32_t connections, const std::vector<LaneState>& lanes, IntakeHops& hops,
            std::uint32_t runs = runs_max);

    // `batch` names the open batch: a run never reaches into the next one.
    void wait_for(Wait wait, std::uint8_t lane, Sequence sequence, Sequence batch, const AckItem& item) noexcept;
    void wait_behind_all(Wait wait, const AckItem& item) noexcept;
    void ack_now(const AckItem& item) noexcept;
    // `lane` was given sequences up to here.
    void appended(std::uint8_t lane, Sequence sequence) noexcept {
        appended_[lane] = sequence;
        ++stamp_;
    }
    // The sequences first .. last were shed: whoever waits for central to have them is told so.
    void shed(std::uint8_t stream, Sequence first, Sequence last) noexcept;
    // False: so many runs of this stream wait for central that who else would has to wait, so that those of others find some.
    [[nodiscard]] bool may_wait_for_central(std::uint8_t stream) const {
        return for_central_[stream] < runs_count() / runs_for_central_share;
    }
    // `told_at`: when the spool learned it, for the hop behind it; 0: not just now.
    void reached(Wait wait, std::uint8_t lane, Sequence sequence, MonotonicNs now, MonotonicNs told_at = {}) noexcept;

    [[nodiscard]] std::uint32_t runs_count() const { return static_cast<std::uint32_t>(runs_.size()); }
    [[nodiscard]] std::uint32_t free_runs() const { return free_count_; }
    [[nodiscard]] std::uint32_t runs_of(std::uint32_t connection) const { return owners_[connection].runs; }
    [[nodiscard]] bool has_ready(std::uint32_t connection) const { return owners_[connection].ready.head != none; }
    // Moves ready ranges out, oldest first; `events` counts what they cover.
    std::uint32_t take_ready(std::uint32_t connection, std::span<wire::AckRange> ranges,
                             std::uint64_t& events) noexcept;
    // Its runs are worth nothing any more.
    void forget(std::uint32_t connection) noexcept;
    // Frees the runs of forgotten connections that still wait.
    void sweep() noexcept;
    [[nodiscard]] bool has_forgotten() const { return forgotten_; }
    // Nothing waits for this word any more.
    [[nodiscard]] bool is_quiet(Wait wait) const noexcept;

  private:
    static constexpr std::uint32_t none = UINT32_MAX;
    struct Run {
        std::uint64_t first_ordinal = 0;
        Sequence last_sequence = 0;
        Sequence batch = 0;
        MonotonicNs received_at{};   // of its first event
        std::uint64_t later_ns = 0;  // by how much the others came later, in all
        std::uint32_t count = 0;
        std::uint32_t connection = 0;
        std::uint32_t next = none;
        std::uint16_t generation = 0;
        wire::AckStatus status = wire::AckStatus::accepted;
        wire::Reason reason = wire::Reason::none;
    };
    struct List {
        std::uint32_t head = none;
        std::uint32_t tail = none;
    };
    struct Barrier {
        std::array<Sequence, lanes_max> until{};
        std::uint64_t stamp = 0;
        List runs;
    };
    struct Level {
        std::array<Sequence, lanes_max> reached{};
        std::array<List, lanes_max> waiting;
        std::vector<Barrier> barriers;  // a ring
        std::uint32_t barrier_head = 0;
        std::uint32_t barrier_count = 0;
    };
    struct Owner {
        List ready;
        std::uint32_t runs = 0;
        std::uint16_t generation = 0;
    };

    [[nodiscard]] Level& level(Wait wait) { return levels_[static_cast<std::size_t>(wait)]; }
    [[nodiscard]] const Level& level(Wait wait) const { return levels_[static_cast<std::size_t>(wait)]; }
    [[nodiscard]] std::uint32_t new_run(const AckItem& item) noexcept;
    void free_run(std::uint32_t run) noexcept;
    [[nodiscard]] bool extend(const List& list, const AckItem& item, Sequence batch) noexcept;
    void push(List& list, std::uint32_t run) noexcept;
    [[nodiscard]] std::uint32_t pop(List& list) noexcept;
    void release(std::uint32_t run) noexcept;
    void sweep(List& list, std::uint32_t& freed) noexcept;
    [[nodiscard]] bool is_open(const Level& at, const std::array<Sequence, lanes_max>& until) const noexcept;
    void open_barriers(Level& at) noexcept;

    std::size_t lanes_;
    IntakeHops& hops_;
    std::vector<Run> runs_;
    std::uint32_t free_head_ = 0;
    std::uint32_t free_count_;
    std::vector<Owner> owners_;
    std::array<Level, 2> levels_;
    std::array<Sequence, lanes_max> appended_{};
    std::array<std::uint32_t, lanes_max> for_central_{};  // runs in the streams' lists
    std::uint64_t stamp_ = 0;
    bool forgotten_ = false;
};

}  // namespace weir::edge
