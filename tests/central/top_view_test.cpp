// The table of `weir-central top`, from answers that no central gave.
#include "central/top/top_view.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

namespace weir::central {
namespace {

using control::TopLook;

constexpr std::uint64_t second_ms = 1000;
constexpr WallNs wall{1'517'385'600ULL * ns_per_second};  // 2018-01-31T08:00:00Z

std::string edge(const std::string& name, bool is_connected, std::uint64_t seen_ago_ms, const std::string& more) {
    return R"({"edge":")" + name + R"(","connected":)" + (is_connected ? "true" : "false") +
           R"(,"lineage":"00000000000000a1","last_seen_ms":)" + std::to_string(wall.value / ns_per_ms - seen_ago_ms) +
           R"(,"events":1500,"types":{"a":1})" + more + "}";
}

// Central's answers, `n` seconds after its start.
TopLook look_after(int n) {
    std::ostringstream out;
    out.precision(17);
    const auto line = [&](const std::string& name, auto value) { out << name << ' ' << value << '\n'; };
    line(R"(weir_central_info{io="uring"})", 1);
    const auto appended = [&](const char* edge, const char* lane, int value) {
        out << R"(weir_central_appended_events_total{edge=")" << edge << R"(",lineage="a1",lane=")" << lane
            << R"(",part="live"} )" << value << '\n';
    };
    appended("north", "default", 1000 * n);
    appended("north", "meters", 20 * n);
    appended("south", "default", 500);
    line(R"(weir_central_duplicate_events_total{edge="north",lineage="a1",lane="default",part="live"})", 7);
    line(R"(weir_central_gap_events_total{edge="south",lineage="a1",lane="default",part="live"})", 3);
    line(R"(weir_central_dead_lettered_events_total{edge="north",lineage="a1",lane="dead-letters",part="live"})",
         4 * n);
    line(R"(weir_central_lane_held{lane="meters"})", 1);
    line("weir_central_written_bytes_total", 1048576.0 * n);
    line("weir_central_journal_position_bytes", 1073741824.0);
    line("weir_central_reader_position_bytes", 1073741824.0 - 8192 - 100);
    line("weir_central_analytics_position_bytes", 1073741824.0 - 1048576);
    line("weir_central_analytics_running", 1);
    line("weir_central_analytics_firing_alerts", 2);
    line("weir_central_disk_free_bytes", 10737418240.0);
    line("weir_central_disk_bytes", 107374182400.0);
    line("weir_central_dead_letters_expired_total", 1);
    line("weir_central_dead_letters_bytes", 65536);
    for (const auto& [hop, times] : {std::pair("read", 10 * n), std::pair("stored", 50 * n)}) {
        for (const char* const end : {"0.001", "+Inf"}) {
            out << "weir_central_hop_seconds_bucket{hop=\"" << hop << "\",le=\"" << end << "\"} " << times << '\n';
        }
        out << "weir_central_hop_seconds_max{hop=\"" << hop << "\"} " << (hop[0] == 'r' ? 0.0005 : 0.02) << '\n';
    }
    const std::string ledger =
        R"({"lanes":[],"totals":{"received":3000,"appended":2990,"duplicates":7,"rejected":0,"dead_lettered":8,)"
        R"("gap":3,"elsewhere":0,"dead_letters_expired":1,"residue":3}})"
        "\n";
    const std::string edges = R"({"edges":[)" + edge("north", true, 40, R"(,"lag_ms":12.5,"held":90)") + "," +
                              edge("south", false, 7 * 60 * second_ms, R"(,"lag_ms":null,"held":null)") + "," +
                              edge("west\\u001b[2J", true, 100, "") + "]}";
    const std::string alerts =
        R"({"position":9,"alerts":[{"serial":2,"name":"busy","position":8,"arrival_ns":1,"data":{"rule":"busy",)"
        R"("kind":"fired","fate":"told","severity":"critical","key":"5th street","time_ns":1517385599000000000}}]})";
    return {control::Metrics::read(out.str()), {ledger, edges, alerts}};
}

TEST(CentralTopView, IsThisTable) {
    const TopLook before = look_after(1);
    EXPECT_EQ(top_table(look_after(3), &before, 2.0, wall, {}),
              R"(weir-central   io uring   edges 2 of 3   events/s 1,020   written/s 1 MiB

EDGE                            lag       held   events/s        events     seen
south                AWAY         -          -          0         1,500    7 min
north                       12.5 ms         90      1,020         1,500  40.0 ms
west?[2J                          -          -          0         1,500 100.0 ms

LANE                         stored   events/s   duplicates      gap
default                       3,500      1,000            7        3
meters                           60         20            0        0  HELD

LATENCY (at most)                   times/s        p50        p99        max
hop read                                 10     500 us     500 us     500 us
hop stored                               50     1.0 ms     1.0 ms    20.0 ms

JOURNAL  1 GiB   disk free 10 GiB of 100 GiB (10.0 %)
BEHIND   read model 8 KiB   analytics 1 MiB
DEAD LETTERS  12   events/s 4   expired 1   kept 64 KiB

ALERTS  2 firing
2018-01-31T07:59:59  critical  fired     busy                 5th street

LEDGER  received 3,000  appended 2,990  residue 3
        duplicates 7  rejected 0  dead_lettered 8
        gap 3  elsewhere 0  dead_letters_expired 1
)");
}

std::size_t widest(const std::string& table) {
    std::istringstream lines(table);
    std::size_t width = 0;
    for (std::string line; std::getline(lines, line);) width = std::max(width, line.size());
    return width;
}

TEST(CentralTopView, FitsInEightyColumnsUncut) {
    const TopLook before = look_after(1);
    EXPECT_LE(widest(top_table(look_after(3), &before, 2.0, wall, {.columns = 1000})), 80U);
}

TEST(CentralTopView, WithoutAnEarlierLookThereAreNoRates) {
    const std::string table = top_table(look_after(2), nullptr, 0, wall, {});
    EXPECT_NE(table.find("events/s -"), std::string::npos) << table;
    EXPECT_NE(table.find("hop stored                              100     1.0 ms"), std::string::npos) << table;
}

// A small terminal: what is away and what lags most stays, and so do the sections below.
TEST(CentralTopView, ShowsTheEdgesThatNeedALookWhereNotAllFit) {
    TopLook look = look_after(2);
    std::string edges = R"({"edges":[)";
    for (int index = 0; index < 50; ++index) {
        edges += (index > 0 ? "," : "") + edge("edge-" + std::to_string(index), index != 33, 40,
                                               R"(,"lag_ms":)" + std::to_string(index == 21 ? 900 : 1));
    }
    look.answers[1] = edges + "]}";
    const std::string table = top_table(look, nullptr, 0, wall, {.columns = 80, .rows = 30});
    EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 30);
    const auto away = table.find("edge-33"), slow = table.find("edge-21"), first = table.find("edge-0 ");
    EXPECT_LT(away, slow);
    EXPECT_LT(slow, first);
    EXPECT_NE(table.find("more edges"), std::string::npos) << table;
    EXPECT_NE(table.find("residue 3"), std::string::npos) << table;
}

TEST(CentralTopView, AnEdgeOfSeveralLineagesIsOneRow) {
    TopLook look = look_after(2);
    look.answers[1] = R"({"edges":[)" + edge("north", false, 90'000, R"(,"held":77)") + "," +
                      edge("north", true, 40, R"(,"held":5)") + "," + edge("north", false, 80'000, R"(,"held":66)") +
                      "]}";
    const std::string table = top_table(look, nullptr, 0, wall, {});
    EXPECT_NE(table.find("edges 1 of 1"), std::string::npos) << table;
    // What the others held nobody can send any more.
    EXPECT_NE(table.find(" -          5 "), std::string::npos) << table;
    EXPECT_NE(table.find("4,500  40.0 ms"), std::string::npos) << table;
}

TEST(CentralTopView, ACentralThatSaysNothingIsATableToo) {
    EXPECT_NE(top_table({control::Metrics::read(""), {"no json", "[]", "{\"alerts\":7}"}}, nullptr, 0, wall, {})
                  .find("edges 0 of 0"),
              std::string::npos);
    EXPECT_NE(top_table({control::Metrics::read(""), {}}, nullptr, 0, wall, {}).find("edges 0 of 0"),
              std::string::npos);
}

TEST(CentralTopView, ADiskThatFailedIsSaidFirst) {
    TopLook look = look_after(2);
    look.metrics = control::Metrics::read("weir_central_journal_poisoned 1\nweir_central_dead_letters_poisoned 1\n");
    const std::string table = top_table(look, nullptr, 0, wall, {});
    EXPECT_LT(table.find("THE JOURNAL CANNOT BE WRITTEN"), table.find("EDGE"));
    EXPECT_LT(table.find("DEAD LETTERS CANNOT BE WRITTEN"), table.find("EDGE"));
}

}  // namespace
}  // namespace weir::central
