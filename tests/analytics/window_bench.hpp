// WindowBench: a seeded stream with disorder, duplicates and late events, and a window operator fed with it record by record.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "central/analytics/pane_windows.hpp"
#include "central/analytics/session_windows.hpp"
#include "tests/simulation/random.hpp"

namespace weir::analytics::test {

constexpr std::uint64_t second = ns_per_second;
constexpr std::uint64_t base_ns = 1'700'000'000 * second;
constexpr std::uint64_t the_end = 4'000'000'000 * second;

struct StreamEvent {
    std::uint64_t time_ns = 0;
    std::string key;
    std::int64_t measure = 0;
    bool is_measured = true;
    std::string text;
};
struct Record {
    std::vector<StreamEvent> events;
    std::uint64_t watermark = 0;  // after them
};
struct StreamPlan {
    std::uint64_t seed = 1;
    std::size_t records = 150;
    std::uint64_t keys = 8;
    std::uint64_t late_per_mille = 80;
    std::uint64_t late_s_max = 600;
    bool has_whole_seconds = false;  // so that events lie exactly a gap apart
};

inline std::vector<Record> stream(const StreamPlan& plan) {
    sim::Random random(plan.seed);
    std::vector<Record> records(plan.records);
    std::uint64_t now = base_ns;
    std::uint64_t watermark = 0;
    for (Record& record : records) {
        // Silence now and then, for sessions to end in.
        now += random.chance(100) ? random.within(30, 120) * second : random.below(3 * second);
        for (std::uint64_t left = random.within(1, 20); left > 0; --left) {
            StreamEvent event;
            const bool is_late = random.chance(plan.late_per_mille);
            event.time_ns = now - random.below((is_late ? plan.late_s_max : 5) * second);
            if (plan.has_whole_seconds) event.time_ns -= event.time_ns % second;
            event.key = "key-" + std::to_string(random.below(plan.keys));
            const auto magnitude = static_cast<std::int64_t>(random.next() >> random.within(20, 62));
            event.measure = random.chance(300) ? -magnitude : magnitude;
            event.is_measured = !random.chance(50);
            event.text = "text-" + std::to_string(random.below(40));
            record.events.push_back(event);
            if (random.chance(50)) record.events.push_back(event);  // twice, as two events
        }
        watermark = std::max(watermark, now - random.within(0, 4) * second);
        record.watermark = watermark;
    }
    return records;
}

inline AggregateSpec everything() {
    AggregateSpec spec;
    spec.percentiles = {0, 50'000, 90'000, 99'000, 100'000};
    spec.has_distinct = true;
    spec.top_count = 5;
    return spec;
}

inline Sample sample_of(const StreamEvent& event) {
    Sample sample;
    if (event.is_measured) sample.measure = event.measure;
    sample.distinct = hash_of(event.text);
    sample.top = event.text;
    return sample;
}

template <class Windows>
void feed(Windows& windows, const Record& record, std::uint64_t& ordinal, std::vector<WindowResult>& out) {
    for (const StreamEvent& event : record.events) {
        windows.take({event.time_ns, ++ordinal, event.key, sample_of(event)}, out);
    }
    windows.advance(record.watermark, out);
}

template <class Windows>
std::vector<WindowResult> run(const WindowSpec& spec, const std::vector<Record>& records) {
    Windows windows(spec);
    std::vector<WindowResult> out;
    std::uint64_t ordinal = 0;
    for (const Record& record : records) feed(windows, record, ordinal, out);
    windows.advance(the_end, out);
    EXPECT_EQ(windows.key_count(), 0U) << "state is left when all windows are over";
    EXPECT_EQ(windows.pane_count(), 0U);
    return out;
}

// (key, end) of a window and what is in it.
using WindowName = std::pair<std::string, std::uint64_t>;
using Contents = std::map<WindowName, std::vector<StreamEvent>>;

struct Totals {
    std::int64_t count = 0;
    Int128 sum = 0;
    bool operator==(const Totals&) const = default;
};

inline Totals totals_of(const std::vector<StreamEvent>& events) {
    Totals totals;
    for (const StreamEvent& event : events) {
        ++totals.count;
        if (event.is_measured) totals.sum += event.measure;
    }
    return totals;
}

inline std::string text_of(const std::vector<WindowResult>& results, const AggregateSpec& spec) {
    std::string out;
    for (const WindowResult& result : results) {
        append_json(result, spec, out);
        out.push_back('\n');
    }
    return out;
}

}  // namespace weir::analytics::test
