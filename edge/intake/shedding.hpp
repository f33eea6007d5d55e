// Shedding: what becomes of an event whose lane is filling up: a best_effort lane gives it up, with a reason; a durable one never.
//
// Thread    Intake runner.
// Law       Only best_effort lanes shed. A full one sheds all that comes, whatever its policy: "oldest" is the spool's to do, and
//           where that cannot keep up, what arrives goes.
// Cost      A comparison an event; a random number only for lanes that shed at random and are filling up.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/wire/verdict.hpp"
#include "edge/counters.hpp"
#include "edge/handover.hpp"
#include "edge/intake/judgement.hpp"

namespace weir::edge {

// A lane that sheds at random begins above this, and sheds everything at fill_full; between them the chance grows evenly.
inline constexpr std::uint8_t random_shed_above_fill = 50;

class Shedding {
  public:
    // `seed`: of the random policy; the same seed and events shed the same.
    Shedding(const std::vector<LaneState>& streams, std::uint64_t seed);
    // By stream.
    void configure(const std::vector<ShedRule>& rules) noexcept;
    // `stream` holds so many percent of what it may; a lane is as full as the fuller of its parts.
    void filled(StreamIndex stream, std::uint8_t percent) noexcept;
    // Sheds all events for best_effort lanes, for as long as this holds.
    void shed_best_effort(bool sheds) noexcept { is_critical_ = sheds; }

    // A lane is known by the index of its first stream.
    [[nodiscard]] bool is_full(std::uint8_t lane) const noexcept { return fill_[lane] >= fill_full; }
    [[nodiscard]] std::uint8_t fill(std::uint8_t lane) const noexcept { return fill_[lane]; }
    // Whether the next event for it is shed for certain, so that it needs no room.
    [[nodiscard]] bool sheds_all(std::uint8_t lane) const noexcept {
        return rules_[lane].is_best_effort && (is_critical_ || is_full(lane));
    }
    [[nodiscard]] bool may_shed(std::uint8_t lane) const noexcept { return rules_[lane].is_best_effort; }
    // Why the next event for it is shed; nullopt: it is kept. Once for each event.
    [[nodiscard]] std::optional<wire::Reason> judge(std::uint8_t lane) noexcept;

  private:
    [[nodiscard]] std::uint64_t random() noexcept;

    std::vector<ShedRule> rules_;
    std::array<std::uint8_t, lanes_max> lane_of_{};
    std::array<std::uint8_t, lanes_max> fill_of_stream_{};
    std::array<std::uint8_t, lanes_max> fill_{};  // by lane
    std::uint64_t random_;
    bool is_critical_ = false;
};

}  // namespace weir::edge
