// WindowResult: one version of what a window says of a key.
//
// A row is named by (key, start, born); its versions count from 1. The first comes when the watermark passes the window's end; a late
// event brings the next, with what changed. So that nothing vanishes, events whose state is gone (they came after lateness_ns, or their
// key had been evicted) make rows of their own: nearly always a window has one row, and its total is the sum of its rows' newest
// versions, which is the sum of all changes.
//
// Law       Summed over all versions of a (key, start), change_count and change_sum are those of all events, exactly.
#pragma once

#include "central/analytics/aggregate.hpp"
#include "central/analytics/hashed_key.hpp"

namespace weir::analytics {

// Bits of WindowResult::marks.
inline constexpr std::uint8_t mark_late = 1;      // a late event made this version
inline constexpr std::uint8_t mark_evicted = 2;   // final: its key had to make room; later events make another row
inline constexpr std::uint8_t mark_detached = 4;  // final: of one event that came when the window's state was gone
inline constexpr std::uint8_t mark_merged = 8;  // final: this session has become part of an older one, and is empty now

struct WindowResult {
    std::string key;
    std::uint64_t start_ns = 0;
    std::uint64_t end_ns = 0;  // not included; of a session: its last event + gap
    std::uint64_t born = 0;    // ordinal of an event in it: names the row
    std::uint64_t version = 0;
    std::uint8_t marks = 0;
    Values values;
    std::int64_t change_count = 0;  // to the version before
    Int128 change_sum = 0;
    bool operator==(const WindowResult&) const = default;
};

// One event as a window takes it.
struct WindowEvent {
    std::uint64_t time_ns = 0;
    std::uint64_t ordinal = 0;  // of the event in the journal, from 1: no two are the same
    HashedKey key;
    Sample sample;
};

struct WindowSpec {
    std::uint64_t length_ns = 60 * ns_per_second;  // tumbling: length == step. 0: a session
    std::uint64_t step_ns = 60 * ns_per_second;    // length is a multiple of it
    std::uint64_t gap_ns = 0;                      // of a session: it ends when nothing came for so long
    std::uint64_t lateness_ns =
        3600 * ns_per_second;  // after its end, a window's state is kept so long for late events
    std::uint64_t spread_ns =
        0;  // answers come up to so much later, each key's by its own part of it; not of a session
    std::uint32_t keys_max = 100'000;
    std::uint32_t panes_max = 1'000'000;  // of all keys; of a session window: sessions
    AggregateSpec aggregate;
};
inline constexpr std::uint32_t panes_per_window_max = 1440;
// Why `spec` cannot be; empty if it can.
[[nodiscard]] std::string fault_of(const WindowSpec& spec);

struct WindowCounts {
    std::uint64_t events = 0;
    std::uint64_t late = 0;      // events that came after a window of theirs had been answered
    std::uint64_t detached = 0;  // rows of single events whose window's state was gone
    std::uint64_t evicted = 0;   // keys that had to make room
    std::uint64_t results = 0;
    bool operator==(const WindowCounts&) const = default;
};
void save(const WindowCounts& counts, StateWriter& out);
void load(WindowCounts& counts, StateReader& in);

// What was last said of a row.
struct Said {
    std::uint64_t version = 0;
    std::uint64_t count = 0;
    Int128 sum = 0;
};
// The next version, and `said` brought up to it.
[[nodiscard]] WindowResult next_version(Said& said, Values values);
// By end, start, key, born, version: an order that no table's layout gets into.
void sort_results(std::vector<WindowResult>& results, std::size_t first);
// One line of JSON without newline. Numbers are exact decimals or shortest reals.
void append_json(const WindowResult& result, const AggregateSpec& spec, std::string& out);

}  // namespace weir::analytics
