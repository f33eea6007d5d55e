// The operators over real events, some of them delayed, against a computation over all events at once.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "bench/ndjson.hpp"
#include "central/analytics/engine.hpp"
#include "core/base/json_scan.hpp"
#include "tests/simulation/random.hpp"
#include "tests/wire/samples.hpp"

namespace weir::analytics::test {
namespace {

constexpr std::uint64_t second = ns_per_second;
constexpr std::uint64_t hour = 3600 * second;
constexpr std::uint64_t day = 24 * hour;
constexpr std::uint64_t now_ns = 1'800'000'000 * second;
constexpr std::size_t record_events = 64;

struct RealEvent {
    std::string type;
    std::string key;
    std::string zip;
    std::uint64_t time_ns = 0;
    std::int64_t fine = 0;  // in millionths
    std::optional<std::int64_t> latitude{};
};

// `delayed_per_mille` of the events come up to 2,000 places later.
std::vector<RealEvent> run_file(const std::filesystem::path& path, std::uint64_t delayed_per_mille, Engine& engine,
                                Results& out) {
    auto reader = bench::NdjsonReader::open(path);
    EXPECT_TRUE(reader);
    std::vector<std::pair<RealEvent, std::vector<std::byte>>> read;
    wire::EventBuilder builder;
    while (auto line = reader.value().next()) {
        EXPECT_EQ(line->fault, "");
        const wire::EventView& event = line->event;
        RealEvent seen{std::string(event.type), std::string(event.key), {}, event.time.value, 0, {}};
        if (const auto zip = json_path(event.payload, "zip"); zip && zip->kind == JsonKind::string) {
            EXPECT_TRUE(json_text(*zip, seen.zip));
        }
        if (const auto fine = json_path(event.payload, "fine"))
            seen.fine = std::llround(json_number(*fine).value_or(0) * 1e6);
        if (const auto latitude = json_path(event.payload, "lat"); latitude && latitude->kind == JsonKind::number) {
            seen.latitude = measure_of(rules::read_number(latitude->raw), decimals_default);
        }
        const ConstBytes built = builder.build(event);
        read.emplace_back(std::move(seen), std::vector<std::byte>(built.begin(), built.end()));
    }
    sim::Random random(1);
    for (std::size_t at = 0; at + 2000 < read.size(); ++at) {
        if (random.chance(delayed_per_mille)) std::swap(read[at], read[at + random.below(2000)]);
    }
    std::vector<RealEvent> events;
    wire::BatchHeader header = wire::samples::batch_header();
    std::vector<std::byte> body;
    for (auto& [seen, built] : read) {
        events.push_back(std::move(seen));
        wire::samples::append_frame(body, wire::FrameKind::event, built);
        if (events.size() % record_events != 0 && events.size() < read.size()) continue;
        engine.apply(header, body, {now_ns}, {events.size()}, out);
        body.clear();
    }
    header.kind = wire::BatchKind::tick;
    for (std::uint64_t ticks = 1; ticks <= 240; ++ticks)  // beyond the end of the longest window
        engine.apply(header, {}, {now_ns + ticks * hour}, {events.size() + ticks}, out);
    return events;
}

std::filesystem::path shared_data() {
    const char* told = std::getenv("WEIR_SHARED_DATA");
    return told != nullptr ? told : "../shared/data";
}

}  // namespace

TEST(RealEvents, WindowsAndSessionsOfThePhiladelphiaTicketsEqualTheBatch) {
    const auto path = shared_data() / "violations/philadelphia-2013-tickets.ndjson.gz";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
    Definitions told;
    WindowDefinition fines;
    fines.name = "fines";
    fines.key = "data.zip";
    fines.value = "data.fine";
    fines.spec.length_ns = fines.spec.step_ns = day;
    fines.spec.lateness_ns = 3650 * day;
    WindowDefinition short_lived = fines;
    short_lived.name = "short";
    short_lived.spec.lateness_ns = day;
    short_lived.spec.keys_max = 20;
    WindowDefinition visits = fines;
    visits.name = "visits";
    visits.key = "key";
    visits.spec.length_ns = 0;
    visits.spec.gap_ns = day;
    told.windows = {fines, short_lived, visits};
    auto engine = Engine::build(told);
    ASSERT_TRUE(engine);
    Results out;
    const auto events = run_file(path, 100, *engine.value(), out);
    ASSERT_GT(events.size(), 25'000U);

    using Totals = std::pair<std::int64_t, std::int64_t>;  // events, fines
    std::map<std::pair<std::string, std::uint64_t>, Totals> by_zip;
    std::map<std::string, std::vector<RealEvent>> by_vehicle;
    for (const RealEvent& event : events) {
        Totals& totals = by_zip[{event.zip, event.time_ns / day * day + day}];
        ++totals.first;
        totals.second += event.fine;
        by_vehicle[event.key].push_back(event);
    }
    std::map<std::pair<std::string, std::uint64_t>, Totals> newest;
    std::map<std::pair<std::string, std::uint64_t>, Totals> summed;
    std::map<std::pair<std::string, std::uint64_t>, Totals> sessions;  // by born
    std::uint64_t corrections = 0;
    std::uint8_t marks = 0;
    for (const auto& [index, one] : out.windows) {
        const Totals totals{one.values.count, static_cast<std::int64_t>(one.values.sum)};
        corrections += one.version > 1 ? 1 : 0;
        if (index == 0) newest[{one.key, one.end_ns}] = totals;
        if (index == 1) {
            Totals& sum = summed[{one.key, one.end_ns}];
            sum.first += one.change_count;
            sum.second += static_cast<std::int64_t>(one.change_sum);
            marks |= one.marks;
        }
        if (index == 2) sessions[{one.key, one.born}] = totals;
    }
    EXPECT_EQ(newest, by_zip);
    EXPECT_EQ(summed, by_zip);
    EXPECT_EQ(marks, mark_late | mark_evicted | mark_detached);
    EXPECT_GT(corrections, 1000U) << "nothing came late";
    std::multimap<std::string, Totals> by_visit;
    for (auto& [key, of_key] : by_vehicle) {
        std::sort(of_key.begin(), of_key.end(),
                  [](const RealEvent& a, const RealEvent& b) { return a.time_ns < b.time_ns; });
        Totals visit;
        for (std::size_t at = 0; at < of_key.size(); ++at) {
            ++visit.first;
            visit.second += of_key[at].fine;
            if (at + 1 < of_key.size() && of_key[at + 1].time_ns - of_key[at].time_ns < day) continue;
            by_visit.emplace(key, std::exchange(visit, {}));
        }
    }
    std::map<std::string, std::multiset<Totals>> said;
    std::map<std::string, std::multiset<Totals>> wanted;
    for (const auto& [name, totals] : sessions) {
        if (totals.first > 0) said[name.first].insert(totals);
    }
    for (const auto& [key, totals] : by_visit) wanted[key].insert(totals);
    EXPECT_EQ(said, wanted);
}

TEST(RealEvents, SlidingWindowsAndPercentilesOfTheMontgomeryCitationsEqualTheBatch) {
    const auto path = shared_data() / "violations/montgomery-traffic.ndjson.gz";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
    Definitions told;
    WindowDefinition weeks;
    weeks.name = "weeks";
    weeks.value = "data.lat";
    weeks.spec.length_ns = 7 * day;
    weeks.spec.step_ns = day;
    weeks.spec.lateness_ns = 3650 * day;
    weeks.spec.spread_ns = hour;
    weeks.spec.aggregate.percentiles = {50'000, 90'000};
    told.windows = {weeks};
    auto engine = Engine::build(told);
    ASSERT_TRUE(engine);
    Results out;
    const auto events = run_file(path, 100, *engine.value(), out);
    ASSERT_GT(events.size(), 4'900U);

    std::map<std::pair<std::string, std::uint64_t>, std::pair<std::uint64_t, std::vector<std::int64_t>>> wanted;
    for (const RealEvent& event : events) {
        for (std::uint64_t end = event.time_ns / day * day + day; end <= event.time_ns / day * day + 7 * day;
             end += day) {
            auto& [count, latitudes] = wanted[{event.key, end}];
            ++count;
            if (event.latitude) latitudes.push_back(*event.latitude);
        }
    }
    std::map<std::pair<std::string, std::uint64_t>, Values> newest;
    std::uint64_t corrections = 0;
    for (const auto& [index, one] : out.windows) {
        corrections += one.version > 1 ? 1 : 0;
        newest[{one.key, one.end_ns}] = one.values;
    }
    EXPECT_GT(corrections, 500U) << "nothing came late";
    ASSERT_EQ(newest.size(), wanted.size());
    for (auto& [name, content] : wanted) {
        auto& [count, latitudes] = content;
        const Values& said = newest[name];
        ASSERT_EQ(said.count, count) << name.first;
        ASSERT_EQ(said.measured, latitudes.size());
        std::sort(latitudes.begin(), latitudes.end());
        for (std::size_t at = 0; at < said.percentiles.size() && !latitudes.empty(); ++at) {
            const auto rank = (latitudes.size() - 1) * weeks.spec.aggregate.percentiles[at] / percentile_whole;
            const auto exact = static_cast<double>(latitudes[rank]);
            ASSERT_LE(std::abs(said.percentiles[at] - exact), sketch_error * std::abs(exact) * (1 + 1e-12))
                << name.first;
        }
    }
}

TEST(RealEvents, RidesThatDoNotEndAreFound) {
    const auto path = shared_data() / "rides/nyc-taxi-rides.ndjson.gz";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
    Definitions told;
    constexpr std::uint64_t within = 5 * 60 * second;
    told.patterns = {
        {"open", "start -> !end within 5m by key\nstart: type == \"taxi.start\"\nend: type == \"taxi.end\"\n", {}}};
    auto engine = Engine::build(told);
    ASSERT_TRUE(engine);
    Results out;
    const auto events = run_file(path, 0, *engine.value(), out);
    std::map<std::string, std::pair<std::uint64_t, std::size_t>> ends;  // time, and place in the file
    for (std::size_t at = 0; at < events.size(); ++at) {
        if (events[at].type == "taxi.end") ends[events[at].key] = {events[at].time_ns, at};
    }
    std::multimap<std::string, std::uint64_t> wanted;
    for (std::size_t at = 0; at < events.size(); ++at) {
        const RealEvent& event = events[at];
        if (event.type != "taxi.start") continue;
        const auto end = ends.find(event.key);
        const bool is_ended = end != ends.end() && end->second > std::pair(event.time_ns, at) &&
                              end->second.first <= event.time_ns + within;
        if (!is_ended) wanted.emplace(event.key, event.time_ns + within);
    }
    std::multimap<std::string, std::uint64_t> said;
    for (const auto& [index, match] : out.patterns) said.emplace(match.key, match.end_ns);
    EXPECT_GT(wanted.size(), 100U);
    EXPECT_LT(wanted.size(), 2555U);
    EXPECT_EQ(said, wanted);
}

}  // namespace weir::analytics::test
