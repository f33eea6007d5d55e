#include "core/wire/status.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/wire/golden.hpp"
#include "tests/wire/samples.hpp"

namespace weir::wire {
namespace {

std::vector<std::byte> status_of(const EdgeStatusHead& head, const std::vector<LaneStatus>& lanes) {
    std::vector<std::byte> body;
    samples::append_struct(body, head);
    for (const LaneStatus& lane : lanes) samples::append_struct(body, lane);
    return body;
}

std::vector<LaneStatus> sample_lanes() {
    return {{3, Part::live, LaneClass::durable, 0, 42, 8192},
            {3, Part::backlog, LaneClass::durable, 0, 1000, 1U << 20},
            {4, Part::live, LaneClass::best_effort, 0, 7, 0},
            {dead_letter_lane, Part::live, LaneClass::dead_letters, 0, 1, 4096}};
}

EdgeStatusHead sample_head() {
    return {1'512'086'408'000'000'000, Rung::degraded, {}, 4};
}

TEST(Status, IsTheGoldenBytes) {
    std::vector<std::byte> ask, status;
    const StatusAsk asked{1000, 0};
    samples::append_frame(ask, FrameKind::status_ask, std::as_bytes(std::span(&asked, 1)));
    golden::expect_golden("status-ask", ask);
    samples::append_frame(status, FrameKind::edge_status, status_of(sample_head(), sample_lanes()));
    const auto bytes = golden::expect_golden("edge-status", status);
    const ConstBytes body = ConstBytes(bytes).subspan(sizeof(FrameHeader), load<FrameHeader>(bytes).body_bytes);
    EdgeStatusHead head;
    ASSERT_EQ(check_status(body, head), nullptr);
    EXPECT_EQ(head.rung, Rung::degraded);
    EXPECT_EQ(head.wall_ns, 1'512'086'408'000'000'000U);
    const LaneStatus letters = lane_status(body, 3);
    EXPECT_EQ(letters.lane, dead_letter_lane);
    EXPECT_EQ(letters.lane_class, LaneClass::dead_letters);
    EXPECT_EQ(letters.last_sequence, 1U);
    EXPECT_EQ(letters.held_bytes, 4096U);
    EXPECT_EQ(lane_status(body, 1).part, Part::backlog);
}

TEST(Status, OneThatIsCutTooLongOrNamesALaneTwiceIsNone) {
    const auto whole = status_of(sample_head(), sample_lanes());
    EdgeStatusHead head;
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
        EXPECT_NE(check_status(ConstBytes(whole).first(bytes), head), nullptr) << bytes;
    }
    auto longer = whole;
    longer.resize(whole.size() + sizeof(LaneStatus));
    EXPECT_NE(check_status(longer, head), nullptr);
    auto lanes = sample_lanes();
    lanes[1].part = Part::live;  // now the first lane's
    EXPECT_NE(check_status(status_of(sample_head(), lanes), head), nullptr);
    lanes[1].part = static_cast<Part>(2);
    EXPECT_NE(check_status(status_of(sample_head(), lanes), head), nullptr);
}

TEST(Status, HasAsManyLanesAsAHelloAndNoMore) {
    for (const std::uint32_t count : {0U, hello_lanes_max, hello_lanes_max + 1}) {
        std::vector<LaneStatus> lanes;
        for (std::uint32_t i = 0; i < count; ++i) lanes.push_back({.lane = static_cast<LaneId>(i)});
        EdgeStatusHead head = sample_head();
        head.lanes = count;
        const auto body = status_of(head, lanes);
        EXPECT_EQ(check_status(body, head) == nullptr, count <= hello_lanes_max) << count;
        EXPECT_EQ(body.size() <= status_body_bytes_max, count <= hello_lanes_max) << count;
    }
}

TEST(Status, WhatANewerEdgeMaySayIsNoFaultAndIsNotKnown) {
    EdgeStatusHead head = sample_head();
    head.rung = static_cast<Rung>(9);
    auto lanes = sample_lanes();
    lanes[0].lane_class = static_cast<LaneClass>(7);
    const auto body = status_of(head, lanes);
    ASSERT_EQ(check_status(body, head), nullptr);
    EXPECT_FALSE(is_known(head.rung));
    EXPECT_FALSE(is_known(lane_status(body, 0).lane_class));
    EXPECT_TRUE(is_known(lane_status(body, 2).lane_class));
    EXPECT_EQ(text(lane_status(body, 2).lane_class), "best_effort");
    EXPECT_EQ(text(static_cast<LaneClass>(7)), "unknown");
}

}  // namespace
}  // namespace weir::wire
