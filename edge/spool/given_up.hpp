// GivenUp: sequences of a stream that its lane's policy has given up, until central's ack settles that it knows. Of a lane in memory
// also those that an earlier life took along (wire::gap_not_kept): they too are named only once a checkpoint knows how many they were.
//
// They are in doubt where an earlier session may have sent them, so that central may have them. Its next welcome says, unless it is
// itself unsettled (wire::position_unsettled): what it has is delivered, the rest is settled. A gap names only what a stored
// checkpoint knows as settled, so that what central turns out to know of it is by that gap, and of what is in doubt by the events themselves.
//
// Law       Ranges ascend and lie apart.
// Bounds    given_up_max ranges. A policy's that would take the last place counts with the newest, for that one's reason, where it
//           follows it at once: a lane that sheds and expires by turns goes on with both, and a place is left for what comes in doubt
//           behind what is settled. What finds no place is not given up. A start of a lane in memory leaves policy_places where it can;
//           what it finds no place for is given up when its turn to be named comes.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/types.hpp"
#include "core/wire/batch.hpp"

namespace weir::edge {

inline constexpr std::uint32_t given_up_settled = 0x100;
inline constexpr std::size_t given_up_max = 4;
// Of a lane in memory, until the next start: one that sheds and expires by turns.
inline constexpr std::size_t policy_places = 2;

struct GivenUp {
    Sequence first_sequence = 0;
    std::uint32_t count = 0;
    std::uint32_t reason =
        0;  // wire::gap_shed, gap_expired or gap_not_kept, with given_up_settled or without; 0 where there are none
    [[nodiscard]] Sequence last_sequence() const { return first_sequence + count - 1; }
    [[nodiscard]] std::uint8_t why() const { return static_cast<std::uint8_t>(reason); }
    [[nodiscard]] bool is_settled() const { return reason >= given_up_settled; }
    bool operator==(const GivenUp&) const = default;
};
using GivenUpRanges = std::array<GivenUp, given_up_max>;

// Gives up what of first..last is not yet; how many events that is. 0 and no change if there is no place for it.
[[nodiscard]] std::uint64_t give_up_between(GivenUpRanges& ranges, Sequence first, Sequence last, std::uint32_t reason);
// The first of `first` and all behind it that is not given up.
[[nodiscard]] Sequence first_kept(const GivenUpRanges& ranges, Sequence first);

// The same for a lane's policy: `reason` is wire::gap_shed or gap_expired, settled or not. For which of them it counts: see Bounds.
struct PolicyGaveUp {
    std::uint64_t events = 0;  // 0: no change
    std::uint8_t why = 0;
};
[[nodiscard]] PolicyGaveUp give_up_by_policy(GivenUpRanges& ranges, Sequence first, Sequence last,
                                             std::uint32_t reason);

// The same for a start of a lane in memory: what an earlier life took along, in doubt. Where that leaves a policy no places, what is in doubt
// already counts as not kept too and makes room: of a life that is over nobody needs to know more.
struct TookAlong {
    std::uint64_t events = 0;   // that nobody had given up; 0 and no change if there is no place
    std::uint64_t shed = 0;     // that had counted as shed ...
    std::uint64_t expired = 0;  // ... as expired
};
[[nodiscard]] TookAlong give_up_took_along(GivenUpRanges& ranges, Sequence first, Sequence last);

struct Arrived {
    std::uint64_t shed = 0;
    std::uint64_t expired = 0;
    std::uint64_t not_kept = 0;
    bool has_changed = false;
};
// Central is known to have all up to `at_central`, and may turn out to have more: of what was in doubt that was not given up after all, and
// the rest stays in doubt.
[[nodiscard]] Arrived take_arrived(GivenUpRanges& ranges, Sequence at_central);
// The same where it has no more: nothing is in doubt any more.
[[nodiscard]] Arrived settle_doubt(GivenUpRanges& ranges, Sequence at_central);

}  // namespace weir::edge
