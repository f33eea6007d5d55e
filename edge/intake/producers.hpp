// Producers: what is known of each numbered producer: its slot and which of its numbers were taken.
//
// Thread    Intake runner (control thread during recovery).
// Law       A number is taken at most once. A slot, once given, stays with its name.
// Bounds    producers_max slots. Ranges above a hole come from recovery only; at run time they only go away. One slot is
//           another kind: a replay of dead letters, whose numbers are taken in any order, in replay_ranges_max ranges.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/wire/control.hpp"

namespace weir::edge {

inline constexpr std::size_t ranges_above_max = 65'536;  // per producer
// Of a replay of dead letters: letters that were applied, with others between them that were not. In the checkpoint 256 KiB.
inline constexpr std::size_t replay_ranges_max = 16'384;
inline constexpr std::int32_t no_connection = -1;

enum class NumberVerdict : std::uint8_t { fresh, duplicate, gap };
enum class ReplayVerdict : std::uint8_t { fresh, no_room };

class Producers {
  public:
    explicit Producers(std::uint32_t producers_max) {
        slots_.reserve(producers_max);
        replay_ranges_.reserve(replay_ranges_max);
    }

    [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(slots_.size()); }
    [[nodiscard]] std::optional<std::uint32_t> find(std::string_view name) const noexcept;
    // A new slot; nullopt when all are used.
    [[nodiscard]] std::optional<std::uint32_t> add(std::string_view name) noexcept;
    [[nodiscard]] std::string_view name(std::uint32_t slot) const { return wire::name_of(slots_[slot].name); }
    [[nodiscard]] std::uint64_t last_number(std::uint32_t slot) const { return slots_[slot].last_number; }
    [[nodiscard]] std::int32_t connection(std::uint32_t slot) const { return slots_[slot].connection; }
    void set_connection(std::uint32_t slot, std::int32_t connection) { slots_[slot].connection = connection; }

    // Judges the next number of a producer, and takes it if it is fresh. A number that comes behind a hole which recovery found
    // closes the hole; beyond all that is known it is a gap.
    [[nodiscard]] NumberVerdict take(std::uint32_t slot, std::uint64_t number) noexcept;
    // A crash may have forgotten numbers of it that were answered and are not in the spool: those that were rejected, shed or only
    // received. So until it has said goodbye with nothing unanswered, what it leaves out was answered.
    [[nodiscard]] bool may_leave_out(std::uint32_t slot) const { return slots_[slot].is_recovered; }
    // Takes all numbers before this one.
    void leave_out_before(std::uint32_t slot, std::uint64_t number) noexcept;
    // What recovery knows is known: numbers up to known_before() came in an earlier life.
    void end_recovery() noexcept;
    [[nodiscard]] std::uint64_t known_before(std::uint32_t slot) const { return slots_[slot].known_before; }
    void said_goodbye(std::uint32_t slot) { slots_[slot].is_recovered = false; }
    // Of a slot whose name is a replay name (core/wire/replay.hpp).
    [[nodiscard]] bool is_replay(std::uint32_t slot) const { return slots_[slot].is_replay; }
    [[nodiscard]] bool is_taken(std::uint32_t slot, std::uint64_t number) const noexcept;
    // Takes a number that is not taken, wherever it lies; no_room: nothing is taken.
    [[nodiscard]] ReplayVerdict take_replayed(std::uint32_t slot, std::uint64_t number) noexcept;
    // A number found in the spool, in any order; unknown slots are left alone. May allocate: recovery only.
    void recover(std::uint32_t slot, std::uint64_t number);

    // No slot will ever be this or above.
    [[nodiscard]] std::size_t slots_max() const noexcept { return slots_.capacity(); }
    // Appends the table's stored form to `out`, which must have the capacity if nothing may be allocated.
    void encode(std::vector<std::byte>& out) const;
    [[nodiscard]] std::size_t encoded_bytes() const noexcept;
    // False if `bytes` is no stored form.
    [[nodiscard]] bool decode(ConstBytes bytes);

  private:
    struct Range {
        std::uint64_t first = 0;
        std::uint64_t last = 0;
    };
    static_assert(sizeof(Range) * replay_ranges_max == 256U << 10, "the budget's term in edge/config.cpp");
    struct Slot {
        std::array<char, wire::producer_name_bytes_max> name{};
        std::uint64_t last_number = 0;  // every number up to here is taken
        std::int32_t connection = no_connection;
        std::uint64_t known_before = 0;  // the highest number of an earlier life
        bool is_replay = false;
        bool is_recovered = false;   // from an earlier life of the edge, and has not said goodbye since
        std::size_t above_head = 0;  // ranges before it are used up
        std::vector<Range> above;    // sorted, apart, above last_number + 1
    };
    static void absorb(Slot& slot) noexcept;
    // False: it would have been one more range than `ranges_max`. Allocates only beyond the capacity of slot.above.
    static bool insert(Slot& slot, std::uint64_t number, std::size_t ranges_max);

    std::vector<Slot> slots_;
    std::vector<Range> replay_ranges_;  // memory for the replay's slot, until there is one
};

}  // namespace weir::edge
