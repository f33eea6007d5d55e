// The example of repeat offenders and fraud over the Philadelphia tickets of 2013, against a computation over all of them.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <map>

#include "bench/ndjson.hpp"
#include "central/config.hpp"
#include "tests/analysis/journal_script.hpp"

namespace weir::central::test {
namespace {

struct Ticket {
    std::uint64_t time_ns = 0;
    std::string key;
    std::vector<std::byte> event;
};

std::filesystem::path tickets_path() {
    const char* told = std::getenv("WEIR_SHARED_DATA");
    return std::filesystem::path(told != nullptr ? told : "../shared/data") /
           "violations/philadelphia-2013-tickets.ndjson.gz";
}

std::vector<Ticket> tickets() {
    auto reader = bench::NdjsonReader::open(tickets_path());
    EXPECT_TRUE(reader);
    std::vector<Ticket> all;
    wire::EventBuilder builder;
    while (auto line = reader.value().next()) {
        const ConstBytes built = builder.build(line->event);
        all.push_back({line->event.time.value, std::string(line->event.key), {built.begin(), built.end()}});
    }
    std::stable_sort(all.begin(), all.end(), [](const Ticket& a, const Ticket& b) { return a.time_ns < b.time_ns; });
    return all;
}

// How often `count` tickets of one vehicle came within `within_ns`, each used once.
std::size_t repeats_of(const std::vector<Ticket>& all, std::size_t count, std::uint64_t within_ns) {
    std::map<std::string, std::deque<std::uint64_t>> recent;
    std::size_t found = 0;
    for (const Ticket& one : all) {
        auto& times = recent[one.key];
        times.push_back(one.time_ns);
        while (one.time_ns - times.front() > within_ns) times.pop_front();
        if (times.size() < count) continue;
        ++found;
        times.clear();
    }
    return found;
}

TEST(Example, FindsRepeatOffendersAndFraudInThePhiladelphiaTickets) {
    if (!std::filesystem::exists(tickets_path())) GTEST_SKIP() << tickets_path() << " is not there";
    const auto loaded = load_config("central/analytics.example.toml");
    ASSERT_TRUE(loaded.config) << loaded.errors.front();
    auto engine = analytics::Engine::build(loaded.config->analytics.definitions);
    ASSERT_TRUE(engine.ok());
    const std::vector<Ticket> all = tickets();
    ASSERT_GT(all.size(), 25'000U);

    // As they happened: each arrives a moment after its time, one in a record.
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>("main");
    std::map<std::string, std::size_t> matches, fired;
    std::uint64_t position = 0, latest_ns = 0;
    std::chrono::nanoseconds slowest{};
    analytics::Results out;
    const auto apply = [&](ConstBytes body, std::uint64_t arrival_ns) {
        const auto begun = std::chrono::steady_clock::now();
        out.clear();
        engine.value()->apply(header, body, {arrival_ns}, {++position}, out);
        slowest = std::max<std::chrono::nanoseconds>(slowest, std::chrono::steady_clock::now() - begun);
        const auto& told = loaded.config->analytics.definitions;
        for (const auto& [index, match] : out.patterns) {
            EXPECT_FALSE(match.is_given_up);
            ++matches[told.patterns[index].name];
            // Said as soon as event time has passed it.
            EXPECT_TRUE(body.empty() || arrival_ns >= match.end_ns);
        }
        for (const auto& notice : out.notices) {
            if (notice.kind == analytics::NoticeKind::fired) ++fired[told.alerts[notice.rule].rule.name];
        }
    };
    Batch body;
    for (const Ticket& one : all) {
        body.clear();
        LaneScript::add_frame(body, wire::FrameKind::event, one.event);
        apply(body, latest_ns = one.time_ns + ns_per_ms);
    }
    header.kind = wire::BatchKind::tick;
    for (std::uint64_t tick = 1; tick <= 100; ++tick) apply({}, latest_ns + tick * 1000 * ns_per_second);

    EXPECT_EQ(matches["three-in-a-day"], repeats_of(all, 3, 86'400 * ns_per_second));
    EXPECT_EQ(matches["twice-at-once"], repeats_of(all, 2, 300 * ns_per_second));
    EXPECT_GT(matches["three-in-a-day"], 10U);
    EXPECT_GT(matches["twice-at-once"], 10U);
    EXPECT_GT(fired["repeat-offender"], 0U);
    EXPECT_LE(fired["repeat-offender"], matches["three-in-a-day"]);
    EXPECT_GT(fired["possible-fraud"], 0U);
    EXPECT_GT(fired["odd-source"], 0U);
    RecordProperty("slowest_us", std::to_string(slowest.count() / 1000));
    std::printf("three-in-a-day %zu, twice-at-once %zu, odd-source %zu; slowest record %lld us\n",
                matches["three-in-a-day"], matches["twice-at-once"], fired["odd-source"],
                static_cast<long long>(slowest.count() / 1000));
}

}  // namespace
}  // namespace weir::central::test
