// EventClock: which time an event counts at, and how far event time is known to be complete (the watermark).
//
// Each source (an edge) has a clock of its own, which nobody trusts far:
// - an event that says no time, or one beyond its arrival by more than future_ns_max, counts at its arrival and is marked; it says
//   nothing about its source's clock;
// - a source whose clock has not moved for standing_ns_max, and that still says this same time, counts at its arrival and is marked;
// - a source that falls behind its own best pace by more than idle_ns_max (it is silent, or its clock stands or runs slow) holds nothing
//   open until its clock has moved beyond the watermark; what it sends meanwhile is late, and corrects;
// - a source that comes (back) behind the watermark holds it for join_ns_max, so that a clock slow by less can join;
// - when no source holds it, the watermark goes on with the running time since the furthest source last moved.
//
// Running time is the arrival time's sum of steps forward, each at most step_ns_max: central's clock may be set back or ahead.
//
// Thread    One. No clock is read: time comes with the records of the journal, TICK records included.
// Law       The watermark never goes back, and is a function of the records so far. No source that is silent or stands holds it for
//           more than idle_ns_max of running time; nothing pushes it beyond arrival + future_ns_max - disorder_ns.
// Bounds    sources_max; one more and the source that moved longest ago is forgotten, counted.
#pragma once

#include <vector>

#include "central/analytics/state_io.hpp"

namespace weir::analytics {

struct EventClockSpec {
    std::uint64_t future_ns_max = 300 * ns_per_second;
    std::uint64_t disorder_ns =
        2 * ns_per_second;  // how far events of one source may be out of order and still be on time
    std::uint64_t idle_ns_max = 30 * ns_per_second;
    std::uint64_t join_ns_max = 5 * ns_per_second;
    std::uint64_t standing_ns_max = 600 * ns_per_second;
    std::uint64_t step_ns_max = 3600 * ns_per_second;
    std::uint32_t sources_max = 1024;
};

enum class Dating : std::uint8_t { as_said, by_arrival_unsaid, by_arrival_future, by_arrival_standing };

struct EventClockCounts {
    std::uint64_t unsaid = 0;
    std::uint64_t future = 0;
    std::uint64_t standing = 0;
    std::uint64_t sources_forgotten = 0;
    bool operator==(const EventClockCounts&) const = default;
};

class EventClock {
  public:
    explicit EventClock(const EventClockSpec& spec) : spec_(spec) {}
    // A record of the journal begins: its arrival.
    void arrive(WallNs arrival);
    struct Dated {
        std::uint64_t time_ns = 0;
        Dating dating = Dating::as_said;
    };
    // Of an event in the record that arrive() began.
    [[nodiscard]] Dated date(std::string_view source, WallNs said);
    // After the record's events: the watermark. Every event with a time below it that comes from now on is late.
    [[nodiscard]] std::uint64_t advance();
    [[nodiscard]] std::uint64_t watermark() const { return watermark_; }
    [[nodiscard]] const EventClockCounts& counts() const { return counts_; }
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    struct Source {
        std::string name;
        std::uint64_t latest_ns = 0;         // event time
        std::uint64_t moved_running_ns = 0;  // when it last grew
        std::int64_t pace_best_ns = 0;       // most that event time was ahead of running time
        std::uint64_t waits_since_ns = 0;  // running time since which it is behind the watermark; UINT64_MAX: it is not
        bool keeps_pace = true;
    };
    [[nodiscard]] Source& source_of(std::string_view name);
    void move(Source& source, std::uint64_t time_ns);
    [[nodiscard]] bool holds(Source& source);
    [[nodiscard]] std::uint64_t complete_to(std::uint64_t latest_ns) const {
        return latest_ns > spec_.disorder_ns ? latest_ns - spec_.disorder_ns : 0;
    }

    EventClockSpec spec_;
    std::uint64_t arrival_ns_ = 0;
    std::uint64_t running_ns_ = 0;
    std::uint64_t watermark_ = 0;
    EventClockCounts counts_;
    std::vector<Source> sources_;  // by name
};

}  // namespace weir::analytics
