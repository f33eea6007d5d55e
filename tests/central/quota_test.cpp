// One edge that is at its quota gets no further, harms nobody, and goes on where it may.
#include "tests/central/central_bench.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t quota_bytes = 2U << 20;
constexpr std::uint32_t piece_bytes = 100U << 10;

class QuotaTest : public testing::Test {
  protected:
    QuotaTest() { letters.lane = dead_letter_lane, letters.lane_name = std::string(dead_letter_lane_name); }
    // Sends as an edge does that keeps to its credit, until it may send no more of that lane; the bytes of batches that were taken.
    static std::uint64_t fill(ScriptedEdge& edge, LaneScript& lane) {
        std::uint64_t taken = 0, used = 0, granted = UINT64_MAX;
        // Reads up to a frame of that kind, and what is said of the lane before it.
        const auto read_to = [&](wire::FrameKind kind) {
            while (const auto said = edge.next()) {
                if (said->header.kind == kind) return true;
                if (said->header.kind != wire::FrameKind::credit) continue;
                if (const auto one = said->as<wire::Credit>(); one.lane == lane.lane) granted = one.credit_bytes;
            }
            return false;
        };
        for (int i = 0; i < 200; ++i) {
            edge.send_frame(wire::FrameKind::ping, {});
            if (!read_to(wire::FrameKind::pong)) break;
            const LaneScript before = lane;
            const Batch batch =
                lane.lane == dead_letter_lane ? lane.dead_letters(1, piece_bytes) : lane.events(1, piece_bytes);
            used += wire::frame_bytes(static_cast<std::uint32_t>(batch.size()));
            if (used > granted) {
                lane = before;
                return taken;
            }
            edge.send(batch);
            if (!read_to(wire::FrameKind::edge_ack)) break;
            taken += batch.size();
        }
        ADD_FAILURE() << "it may send for ever";
        return taken;
    }
    Directory directory;
    CentralConfig config = small_config(directory.path());
    LaneScript north;
    LaneScript letters;
};

TEST_F(QuotaTest, AnEdgeThatHasUsedUpItsPartOfTheJournalIsGrantedNoMoreAndOthersGoOn) {
    config.limits.edge_journal_bytes_max = quota_bytes;
    Central central(config);
    ScriptedEdge edge(central.port());
    edge.hello(north);
    ASSERT_EQ(edge.welcomed(), 0U);
    const std::uint64_t taken = fill(edge, north);
    EXPECT_GE(taken, quota_bytes);
    EXPECT_LT(taken, quota_bytes + 2 * piece_bytes);
    const EdgeQuota::Row& row = central.shared().quota.row(0);
    EXPECT_EQ(wire::name_of(row.edge), "north");
    EXPECT_EQ(row.is_over_journal.get(), 1U);
    EXPECT_EQ(row.is_over_letters.get(), 0U);
    EXPECT_EQ(row.journal_bytes.get(), taken);
    LaneScript south{.edge = "south"};
    ScriptedEdge other(central.port());
    other.hello(south);
    ASSERT_EQ(other.welcomed(), 0U);
    other.send(south.events(1));
    EXPECT_TRUE(other.await_ack(1));
}

TEST_F(QuotaTest, WhoSendsOnBeyondAllThatWasGrantedIsRefusedWithTheQuotasNameAndANewLineageIsNoWayOut) {
    config.limits.edge_journal_bytes_max = quota_bytes;
    config.listen.credit_bytes = credit_floor_bytes;
    Central central(config);
    std::uint64_t stored = 0;
    std::string why;
    // Each time as another lineage, and with all that a connection may have on its way before it has heard of a bound.
    for (std::uint64_t lineage = 1; lineage <= 12 && why.empty(); ++lineage) {
        LaneScript lane{.lineage = lineage};
        ScriptedEdge edge(central.port());
        edge.hello(lane, lineage);
        lane.epoch = lineage;
        if (edge.welcomed() != 0) break;
        for (int i = 0; i < 9; ++i) edge.send(lane.events(1, piece_bytes));
        while (const auto answer = edge.next()) {
            if (answer->header.kind == wire::FrameKind::edge_ack && answer->as<wire::EdgeAck>().last_sequence == 9)
                break;
            if (answer->header.kind != wire::FrameKind::refusal) continue;
            const auto refusal = answer->as<wire::Refusal>();
            EXPECT_EQ(refusal.reason, wire::RefusalReason::limit);
            why = std::string(wire::name_of(refusal.detail));
            break;
        }
        stored = central.shared().quota.row(0).journal_bytes.get();
    }
    EXPECT_EQ(why, "quota: limits.edge_journal_bytes_max");
    EXPECT_LE(stored, quota_bytes + credit_floor_bytes + 2 * piece_bytes);
    EXPECT_EQ(central.shared().quota.row_count(), 1U);
}

TEST_F(QuotaTest, DeadLettersHaveAQuotaOfTheirOwnAndTheLanesOfEventsGoOn) {
    config.limits.edge_letters_bytes_max = quota_bytes;
    Central central(config);
    ScriptedEdge edge(central.port());
    edge.hello({&north, &letters});
    ASSERT_EQ(edge.welcomed(), 0U);
    const std::uint64_t taken = fill(edge, letters);
    EXPECT_GE(taken, quota_bytes);
    EXPECT_LT(taken, quota_bytes + letters_credit_bytes(config) + 2 * piece_bytes);
    EXPECT_EQ(central.shared().quota.row(0).is_over_letters.get(), 1U);
    EXPECT_EQ(central.shared().quota.row(0).is_over_journal.get(), 0U);
    edge.send(north.events(3));
    EXPECT_TRUE(edge.await_ack(3));
}

TEST_F(QuotaTest, WhatAnEdgeHasStoredIsKnownAfterARestartFromTheCheckpointAndFromTheJournal) {
    config.limits.edge_journal_bytes_max = quota_bytes;
    std::uint64_t taken = 0;
    {
        Central central(config);
        ScriptedEdge edge(central.port());
        edge.hello(north);
        ASSERT_EQ(edge.welcomed(), 0U);
        taken = fill(edge, north);
        central.drain();
    }
    for (const bool has_checkpoint : {true, false}) {
        if (!has_checkpoint) {
            std::filesystem::remove(checkpoint_path(config) + ".0");
            std::filesystem::remove(checkpoint_path(config) + ".1");
        }
        Central central(config);
        EXPECT_EQ(central.recovered().from_checkpoint, has_checkpoint);
        ASSERT_EQ(central.shared().quota.row_count(), 1U);
        EXPECT_EQ(central.shared().quota.row(0).journal_bytes.get(), taken);
        ScriptedEdge edge(central.port());
        edge.hello(north, 2);
        edge.welcomed();
        EXPECT_LT(edge.next_credit(north.lane).value_or(UINT64_MAX), 4096U);
    }
}

TEST(EdgeQuota, LettersComeBackWithTimeAndAreKeptUpToTwiceTheQuota) {
    EdgeQuota quota({.letters_bytes_max = 1000, .letters_ns = 100, .granted_bytes_max = 10, .edges_max = 2});
    const auto north = quota.claim(wire::name_field<wire::edge_id_bytes_max>("north"));
    const MonotonicNs begin{1'000'000};
    quota.took(north, dead_letter_lane, 999, begin);
    EXPECT_FALSE(quota.is_over(north, dead_letter_lane, begin));
    quota.took(north, dead_letter_lane, 1, begin);
    EXPECT_TRUE(quota.is_over(north, dead_letter_lane, begin));
    EXPECT_FALSE(quota.is_far_over(north, dead_letter_lane, begin));
    quota.took(north, dead_letter_lane, 10, begin);
    EXPECT_TRUE(quota.is_far_over(north, dead_letter_lane, begin));
    EXPECT_FALSE(quota.is_over(north, 0, begin));
    EXPECT_TRUE(quota.note_state(north, begin));
    EXPECT_FALSE(quota.note_state(north, begin));
    EXPECT_TRUE(quota.is_over(north, dead_letter_lane, begin.plus_ns(1)));
    EXPECT_FALSE(quota.is_over(north, dead_letter_lane, begin.plus_ns(2)));
    EXPECT_TRUE(quota.note_state(north, begin.plus_ns(2)));
    // As much as it may, all the time: within one period after the first it is the quota once more.
    std::uint64_t sent = 0;
    for (std::uint64_t ns = 0; ns <= 100; ++ns) {
        while (!quota.is_over(north, dead_letter_lane, begin.plus_ns(1000 + ns))) {
            quota.took(north, dead_letter_lane, 10, begin.plus_ns(1000 + ns));
            sent += 10;
        }
    }
    EXPECT_LE(sent, 2000U + 10U);
    EXPECT_GE(sent, 1900U);
    EXPECT_EQ(quota.claim(wire::name_field<wire::edge_id_bytes_max>("south")), 1U);
    EXPECT_EQ(quota.claim(wire::name_field<wire::edge_id_bytes_max>("west")), no_row);
    EXPECT_FALSE(quota.is_over(no_row, 0, begin));
}

}  // namespace
}  // namespace weir::central
