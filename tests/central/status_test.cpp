// What central knows of an edge's spool: asked for, judged, kept, and less with each ack.
#include "core/wire/status.hpp"

#include <chrono>

#include "central/api/held.hpp"
#include "tests/central/central_bench.hpp"

namespace weir::central {
namespace {

using wire::LaneClass;
using wire::RefusalReason;

Batch status_of(const std::vector<wire::LaneStatus>& lanes, wire::EdgeStatusHead head = {}) {
    head.lanes = static_cast<std::uint32_t>(lanes.size());
    Batch body(sizeof head + lanes.size() * sizeof(wire::LaneStatus));
    wire::store(body, head);
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        wire::store(Bytes(body).subspan(sizeof head + i * sizeof(wire::LaneStatus)), lanes[i]);
    }
    return body;
}

struct CentralStatus : ::testing::Test {
    Directory directory;
    CentralConfig config = small_config(directory.path());
    LaneScript lane;
    LaneScript backlog{.lane_name = "main", .part = wire::Part::backlog};
    LaneScript other{.lane = 2, .lane_name = "meters"};

    static void greet(ScriptedEdge& edge, const std::vector<const LaneScript*>& lanes) {
        edge.features = wire::edge_feature_status;
        edge.hello(lanes);
        EXPECT_NE(edge.welcomed(), UINT64_MAX);
    }
    // All that was sent before has been looked at.
    static void settle(ScriptedEdge& edge) {
        edge.send_frame(wire::FrameKind::ping, {});
        ASSERT_TRUE(edge.next(wire::FrameKind::pong));
    }
    static void say(ScriptedEdge& edge, const Batch& status) {
        edge.send_frame(wire::FrameKind::edge_status, status);
        settle(edge);
    }
    // Asks for a pong behind it, and looks at all that comes before that.
    static std::vector<std::uint32_t> asks_of(ScriptedEdge& edge) {
        std::vector<std::uint32_t> intervals;
        edge.send_frame(wire::FrameKind::ping, {});
        for (auto answer = edge.next(); answer && answer->header.kind != wire::FrameKind::pong; answer = edge.next()) {
            if (answer->header.kind == wire::FrameKind::status_ask) {
                intervals.push_back(answer->as<wire::StatusAsk>().interval_ms);
            }
        }
        return intervals;
    }
    RefusalReason refusal_of(const Batch& status) {
        Central central(config);
        ScriptedEdge edge(central.port());
        greet(edge, {&lane, &other});
        edge.send_frame(wire::FrameKind::edge_status, status);
        return edge.refusal();
    }
};

TEST_F(CentralStatus, AnEdgeThatCanIsAskedOnceBehindItsWelcomeAndNobodyElse) {
    config.listen.status_interval_ms = 700;
    Central central(config);
    ScriptedEdge plain(central.port());
    plain.features = ~(wire::edge_feature_status | 1U);
    plain.hello(other);
    EXPECT_EQ(plain.welcomed(), 0U);
    EXPECT_EQ(asks_of(plain), std::vector<std::uint32_t>{});
    LaneScript of_south{.edge = "south"};
    ScriptedEdge edge(central.port());
    greet(edge, {&of_south});
    EXPECT_EQ(asks_of(edge), std::vector<std::uint32_t>{700});
    EXPECT_EQ(asks_of(edge), std::vector<std::uint32_t>{});
}

TEST_F(CentralStatus, WithoutAnIntervalNobodyIsAskedAndNobodyMaySay) {
    config.listen.status_interval_ms = 0;
    Central central(config);
    ScriptedEdge edge(central.port());
    greet(edge, {&lane});
    EXPECT_EQ(asks_of(edge), std::vector<std::uint32_t>{});
    edge.send_frame(wire::FrameKind::edge_status, status_of({}));
    EXPECT_EQ(edge.refusal(), RefusalReason::protocol);
}

TEST_F(CentralStatus, WhatAnEdgeHoldsIsKnownFromItsHelloGrowsWithItsStatusesAndFallsWithEachAck) {
    Central central(config);
    const PositionTable& positions = central.shared().positions;
    EXPECT_EQ(edges_held(positions), std::nullopt);
    lane.at_edge = 10;
    backlog.at_edge = 4;
    ScriptedEdge edge(central.port());
    greet(edge, {&lane, &backlog});
    ASSERT_EQ(positions.row_count(), 2U);  // of a lane that has something, before its first batch
    EXPECT_EQ(held_facts(positions).at(0).held, 14U);
    EXPECT_EQ(held_facts(positions).at(0).backlog, 4U);
    EXPECT_EQ(held_facts(positions).at(0).bytes, std::nullopt);
    EXPECT_EQ(held_facts(positions).at(0).rung, std::nullopt);
    edge.send(lane.events(3));
    ASSERT_TRUE(edge.await_ack(3));
    EXPECT_EQ(edges_held(positions), 11U);
    say(edge, status_of({{.last_sequence = 30, .held_bytes = 5000},
                         {.part = wire::Part::backlog, .last_sequence = 5, .held_bytes = 600}},
                        {.rung = wire::Rung::degraded}));
    EXPECT_EQ(edges_held(positions), 32U);
    EXPECT_EQ(held_facts(positions).at(0).backlog, 5U);
    EXPECT_EQ(held_facts(positions).at(0).bytes, 5600U);
    EXPECT_EQ(held_facts(positions).at(0).rung, "degraded");
    edge.send(lane.events(20));
    ASSERT_TRUE(edge.await_ack(23));
    EXPECT_EQ(edges_held(positions), 12U);
    // Beyond what it has said: none, and not less.
    edge.send(lane.events(20));
    ASSERT_TRUE(edge.await_ack(43));
    EXPECT_EQ(held_facts(positions).at(0).held, 5U);
    EXPECT_EQ(edges_held(positions, "north", "main"), 5U);
    EXPECT_EQ(edges_held(positions, "north", "meters"), 0U);
    EXPECT_EQ(edges_held(positions, "south"), std::nullopt);
    EXPECT_EQ(central.shared().statuses.get(), 1U);
}

TEST_F(CentralStatus, OfAnEdgeThatIsAwayItIsWhatItSaidLastUntilCentralStartsAgain) {
    {
        Central central(config);
        const PositionTable& positions = central.shared().positions;
        lane.at_edge = 10;
        {
            ScriptedEdge edge(central.port());
            greet(edge, {&lane});
            edge.send(lane.events(4));
            ASSERT_TRUE(edge.await_ack(4));
        }
        for (int looks = 0; looks < 10'000 && positions.edge(0).connected.get() != 0; ++looks) ::usleep(1000);
        ASSERT_EQ(positions.edge(0).connected.get(), 0U);
        EXPECT_EQ(held_facts(positions).at(0).held, 6U);
        EXPECT_GT(held_facts(positions).at(0).as_of_ms.value(), 1'600'000'000'000U);
        central.drain();
    }
    Central again(config);
    ASSERT_EQ(again.shared().positions.edge_count(), 1U);
    EXPECT_EQ(held_facts(again.shared().positions).at(0).held, std::nullopt);
    EXPECT_EQ(edges_held(again.shared().positions), std::nullopt);
}

TEST_F(CentralStatus, AnotherLineageOfAnEdgeTakesThePlaceOfWhatTheOneBeforeHeld) {
    Central central(config);
    const PositionTable& positions = central.shared().positions;
    lane.at_edge = 100;
    ScriptedEdge edge(central.port());
    greet(edge, {&lane});
    EXPECT_EQ(edges_held(positions), 100U);
    LaneScript renewed{.lineage = 78, .at_edge = 7};
    ScriptedEdge newer(central.port());
    greet(newer, {&renewed});
    EXPECT_EQ(edges_held(positions), 7U);
    EXPECT_EQ(held_facts(positions).at(0).held, 100U);
    EXPECT_EQ(present_lineages(positions).size(), 1U);
}

TEST_F(CentralStatus, AClassAndAClockAreAsTheEdgeSaysThem) {
    Central central(config);
    const PositionTable& positions = central.shared().positions;
    lane.at_edge = other.at_edge = 1;
    ScriptedEdge edge(central.port());
    greet(edge, {&lane, &other});
    EXPECT_EQ(class_text(positions.row(0)), "");
    const auto ahead_ns = static_cast<std::uint64_t>(
        std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
    say(edge, status_of({{.lane_class = LaneClass::durable, .last_sequence = 1},
                         {.lane = 2, .lane_class = LaneClass::best_effort, .last_sequence = 1}},
                        {.wall_ns = ahead_ns + 3600 * ns_per_second}));
    EXPECT_EQ(class_text(positions.row(0)), "durable");
    EXPECT_EQ(class_text(positions.row(1)), "best_effort");
    EXPECT_NEAR(held_facts(positions).at(0).clock_offset_ms.value(), 3'600'000, 60'000);
    // Of a newer edge what is not known here is not said.
    say(edge, status_of({{.lane_class = static_cast<LaneClass>(9), .last_sequence = 1}},
                        {.wall_ns = ahead_ns - 3600 * ns_per_second, .rung = static_cast<wire::Rung>(9)}));
    EXPECT_EQ(class_text(positions.row(0)), "durable");
    EXPECT_EQ(held_facts(positions).at(0).rung, std::nullopt);
    EXPECT_NEAR(held_facts(positions).at(0).clock_offset_ms.value(), -3'600'000, 60'000);
}

TEST_F(CentralStatus, OneOfALaneThatNobodyOfferedOrThatIsNoneIsRefused) {
    EXPECT_EQ(refusal_of(status_of({{.lane = 3, .last_sequence = 1}})), RefusalReason::protocol);
    EXPECT_EQ(refusal_of(status_of({{.part = wire::Part::backlog, .last_sequence = 1}})), RefusalReason::protocol);
    EXPECT_EQ(refusal_of(status_of({{.last_sequence = 1}, {.last_sequence = 1}})), RefusalReason::protocol);
    EXPECT_EQ(refusal_of(Batch(15)), RefusalReason::protocol);
    EXPECT_EQ(refusal_of(Batch(17)), RefusalReason::protocol);
}

TEST_F(CentralStatus, NothingCountsOfOneThatIsRefused) {
    Central central(config);
    ScriptedEdge edge(central.port());
    greet(edge, {&lane});
    edge.send_frame(wire::FrameKind::edge_status, status_of({{.last_sequence = 50}, {.lane = 3, .last_sequence = 1}}));
    EXPECT_EQ(edge.refusal(), RefusalReason::protocol);
    EXPECT_EQ(edges_held(central.shared().positions), 0U);
    EXPECT_EQ(central.shared().statuses.get(), 0U);
}

TEST_F(CentralStatus, ALaneThatCameWithABatchMayBeNamed) {
    Central central(config);
    ScriptedEdge edge(central.port());
    greet(edge, {&lane});
    edge.send(other.events(2));
    edge.send_frame(wire::FrameKind::edge_status, status_of({{.lane = 2, .last_sequence = 9}}));
    ASSERT_TRUE(edge.await_ack(2));
    settle(edge);
    EXPECT_EQ(edges_held(central.shared().positions), 7U);
}

TEST_F(CentralStatus, OneThatCannotPossiblyBeIsKeptWithoutASumThatWraps) {
    Central central(config);
    ScriptedEdge edge(central.port());
    greet(edge, {&lane, &other});
    say(edge, status_of({{.last_sequence = UINT64_MAX - 1, .held_bytes = UINT64_MAX},
                         {.lane = 2, .last_sequence = UINT64_MAX - 1, .held_bytes = UINT64_MAX}}));
    EXPECT_EQ(edges_held(central.shared().positions), UINT64_MAX);
    EXPECT_EQ(held_facts(central.shared().positions).at(0).held, UINT64_MAX);
    EXPECT_EQ(held_facts(central.shared().positions).at(0).bytes, UINT64_MAX);
}

TEST_F(CentralStatus, WithoutAPlaceForItsLaneAnEdgeGoesOnUnknown) {
    config.limits.edges_max = 1;
    config.limits.positions_max = 1;
    Central central(config);
    lane.at_edge = other.at_edge = 5;
    ScriptedEdge edge(central.port());
    greet(edge, {&lane, &other});
    EXPECT_EQ(edges_held(central.shared().positions), 5U);
    say(edge, status_of({{.last_sequence = 6}, {.lane = 2, .last_sequence = 6}}));
    EXPECT_EQ(edges_held(central.shared().positions), 6U);
}

}  // namespace
}  // namespace weir::central
