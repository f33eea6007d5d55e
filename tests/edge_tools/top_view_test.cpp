// The table of `weir-edge top`, from answers that no edge gave.
#include "edge/top_view.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace weir::edge::test {
namespace {

using control::TopLook;

// An edge's /metrics, `n` seconds after its start.
TopLook look_after(int n) {
    std::ostringstream out;
    out.precision(17);
    const auto line = [&](const std::string& name, auto value) { out << name << ' ' << value << '\n'; };
    out << "# HELP weir_edge_info Always 1\n# TYPE weir_edge_info gauge\n";
    line(R"(weir_edge_info{edge="north",io="uring"})", 1);
    line("weir_edge_open_connections", 2);
    line("weir_edge_offered_events_total", 1000 * n);
    line("weir_edge_received_bytes_total", 250000.0 * n);
    line(R"(weir_edge_runner_worked_seconds_total{runner="intake"})", 0.25 * n);
    line(R"(weir_edge_runner_idle_seconds_total{runner="intake"})", 0.75 * n);
    line(R"(weir_edge_runner_cycles_total{runner="intake"})", 5000 * n);
    line(R"(weir_edge_ring_waiting_elements{ring="to_spool"})", 3);
    line(R"(weir_edge_ring_capacity_elements{ring="to_spool"})", 1024);
    line("weir_edge_buffers", 32);
    line("weir_edge_buffers_free", 30);
    line("weir_edge_slots", 64);
    line("weir_edge_slots_held", 1);
    line(R"(weir_edge_lane_accepted_events_total{lane="default",part="live"})", 900 * n);
    line(R"(weir_edge_lane_accepted_events_total{lane="default",part="backlog"})", 50 * n);
    line(R"(weir_edge_lane_accepted_events_total{lane="a\"b\\\n",part="live"})", 7);
    line(R"(weir_edge_spooled_events_total{lane="default",part="live"})", 890 * n);
    line(R"(weir_edge_spooled_events_total{lane="default",part="backlog"})", 45 * n);
    line(R"(weir_edge_delivered_events_total{lane="default",part="live"})", 800 * n);
    line(R"(weir_edge_delivered_events_total{lane="default",part="backlog"})", 20 * n);
    line(R"(weir_edge_gap_events_total{lane="default",part="backlog"})", 5);
    line(R"(weir_edge_expired_events_total{lane="default",part="backlog"})", 2);
    line(R"(weir_edge_shed_events_total{lane="default",part="backlog",reason="lane_full"})", 99);
    line(R"(weir_edge_shed_events_total{lane="default",part="backlog",reason="shed_oldest"})", 3);
    for (const auto& [end, count] :
         {std::pair("0.001", 10 * n), std::pair("0.002", 98 * n), std::pair("+Inf", 100 * n)}) {
        line(std::string(R"(weir_edge_hop_seconds_bucket{hop="spooled",le=")") + end + "\"}", count);
        line(std::string(R"(weir_edge_hop_seconds_bucket{hop="sent",le=")") + end + "\"}", 7 * n);
        line(std::string(R"(weir_edge_spooled_ack_seconds_bucket{le=")") + end + "\"}", count);
    }
    line(R"(weir_edge_hop_seconds_sum{hop="sent"})", 0.007 * n);
    line(R"(weir_edge_hop_seconds_sum{hop="spooled"})", 0.15 * n);
    line("weir_edge_spooled_ack_seconds_sum", 0.16 * n);
    line(R"(weir_edge_hop_seconds_max{hop="sent"})", 0.00025);
    line(R"(weir_edge_hop_seconds_max{hop="spooled"})", 0.0125);
    line("weir_edge_spooled_ack_seconds_max", 0.0135);
    line("weir_edge_spool_bytes_max", 4294967296.0);
    line("weir_edge_journal_needed_bytes", 1073741824);
    line("weir_edge_journal_held_bytes", 1342177280);
    line("weir_edge_journal_written_bytes_total", 1048576.0 * n);
    line("weir_edge_flash_written_bytes_total", 2097152.0 * n);
    line("weir_edge_flash_today_bytes", 5242880);
    line("weir_edge_flash_projected_bytes", 1073741824);
    line("weir_edge_flash_limit_bytes", 536870912);
    line("weir_edge_flash_event_bytes", 480);
    line("weir_edge_flash_over_limit", 1);
    line("weir_edge_uplink_connected", 1);
    line("weir_edge_uplink_endpoint", 1);
    line(R"(weir_edge_uplink_breaker_state{central="10.0.0.1:7500"})", 2);
    line(R"(weir_edge_uplink_breaker_state{central="10.0.0.2:7500"})", 0);
    line("weir_edge_uplink_credit_bytes", 2097152);
    line("weir_edge_uplink_unacked_batches", 4);
    line("weir_edge_uplink_switch_overs_total", 1);
    line(R"(weir_edge_dead_letters_total{reason="rule_failed"})", 10 * n);
    line(R"(weir_edge_dead_letters_total{reason="poison"})", 0);
    const std::string ledger = R"({"edge":"north","offered":)" + std::to_string(1000 * n) +
                               R"(,"accepted":900,"duplicates":1,"rejected":0,"delivered":800,"dead_lettered":10,)"
                               R"("shed":0,"expired":0,"gap":0,"held":90,"residue":-3,"lanes":[]})"
                               "\n";
    return {control::Metrics::read(out.str()), {ledger}};
}

TEST(TopView, IsThisTable) {
    const TopLook before = look_after(1);
    EXPECT_EQ(top_table(look_after(3), &before, 2.0, {}),
              R"(weir-edge north   io uring   producers 2   events/s 1,000   bytes/s in 250,000

RUNNER           worked       idle       cycles/s
intake           25.0 %     75.0 %          5,000

ROOM             in use         of
ring spool            3      1,024
buffers               2         32
slots                 1         64

LANE                   accepted        spooled      delivered         held   events/s
default                   2,700          2,670          2,400          300        900
default.backlog             150            135             60           80         50
a"b\?                         7              0              0            7          0

HOP (at most)                  events/s       mean        p50        p99        max
received to judged                    0          -          -          -       0 us
  to batch closed                     0          -          -          -       0 us
  to write begun                      0          -          -          -       0 us
  to spooled                        100     1.5 ms     2.0 ms    12.5 ms    12.5 ms
    and said                          0          -          -          -       0 us
  to sent                             7     1.0 ms     250 us     250 us     250 us
  to central's ack                    0          -          -          -       0 us
    and said                          0          -          -          -       0 us
received to spooled ack             100     1.6 ms     2.0 ms    13.5 ms    13.5 ms
received to delivered ack             0          -          -          -       0 us

SPOOL   needed 1 GiB of 4 GiB (25.0 %)   kept 1.2 GiB   written/s 1 MiB
DISK    written/s 2 MiB   today 5 MiB, on course for 1 GiB of 512 MiB   an event 480 bytes   OVER
UPLINK  connected   credit 2 MiB   unacked batches 4   switched 1 times
        10.0.0.1:7500   breaker open
        10.0.0.2:7500   breaker closed   in use

DEAD LETTERS               events   events/s
rule_failed                    30         10

LEDGER  offered 3,000  accepted 900  duplicates 1  rejected 0  residue -3
        delivered 800  dead_lettered 10  shed 0  expired 0  gap 0  held 90
)");
}

TEST(TopView, WithoutAnEarlierLookThereAreNoRates) {
    const std::string table = top_table(look_after(2), nullptr, 0, {});
    EXPECT_NE(table.find("events/s -"), std::string::npos) << table;
    EXPECT_NE(table.find("  to spooled                        200     1.5 ms     2.0 ms"), std::string::npos) << table;
}

TEST(TopView, IsCutToTheTerminal) {
    const std::string table = top_table(look_after(2), nullptr, 0, {.columns = 10, .rows = 4});
    EXPECT_EQ(table, "weir-edge \n\nRUNNER    \n... 35 mor\n");
}

TEST(TopView, AnEdgeThatSaysNothingIsATableToo) {
    EXPECT_NE(top_table({control::Metrics::read(""), {"no json"}}, nullptr, 0, {}).find("not connected"),
              std::string::npos);
}

TEST(MetricsReader, LeavesOutWhatIsNoMetric) {
    const auto metrics = control::Metrics::read(
        "a 1\n# a 2\nb{x=\"1\"} 2 1700000000\nb{x=\"2\"} +Inf\nc{x=\"1\" 3\nc{x=1} 3\nc{} 4\nd\nd nan\nd NaN\n 5\n{} "
        "6\ne{x=\"\\\"\\\\\\n\"} 7");
    EXPECT_EQ(metrics.value("a"), 1);
    EXPECT_EQ(metrics.value("b", "x", "1"), 2);
    EXPECT_TRUE(metrics.value("b", "x", "2") > 1e300);
    ASSERT_EQ(metrics.all("c").size(), 1U);
    EXPECT_EQ(metrics.all("c")[0].value, 4);
    EXPECT_TRUE(metrics.all("d").empty());
    EXPECT_TRUE(metrics.all("").empty());
    EXPECT_EQ(metrics.all("e")[0].label("x"), "\"\\\n");
}

}  // namespace
}  // namespace weir::edge::test
