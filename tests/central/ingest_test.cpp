#include <random>
#include <thread>

#include "tests/central/central_bench.hpp"

namespace weir::central {
namespace {

using wire::RefusalReason;
using Stored = std::vector<std::pair<Sequence, std::uint32_t>>;

struct IngestTest : ::testing::Test {
    Directory directory;
    CentralConfig config = small_config(directory.path());
    LaneScript lane;
    [[nodiscard]] Stored kept() const { return stored(journal_directory(config)); }
    RefusalReason refusal_of(const Batch& batch) {
        Central central(config);
        ScriptedEdge edge(central.port(), lane);
        edge.send(batch);
        return edge.refusal();
    }
};

TEST_F(IngestTest, AnAckedBatchIsOnTheDisk) {
    Central central(config);
    ScriptedEdge edge(central.port(), lane);
    edge.send(lane.events(3));
    ASSERT_TRUE(edge.await_ack(3));
    EXPECT_EQ(kept(), (Stored{{1, 3}}));  // read while central runs
    edge.send(lane.events(4));
    ASSERT_TRUE(edge.await_ack(7));
    EXPECT_EQ(kept(), (Stored{{1, 3}, {4, 4}}));
}

TEST_F(IngestTest, WhatIsElsewhereIsCountedApartFromWhatIsLostAlsoAfterARestart) {
    {
        Central central(config);
        ScriptedEdge edge(central.port(), lane);
        EXPECT_NE(edge.identity, 0U);
        edge.send(lane.gap(10, wire::gap_elsewhere));
        edge.send(lane.events(2));
        edge.send(lane.gap(3));
        ASSERT_TRUE(edge.await_ack(15));
        EXPECT_EQ(central.shared().positions.row(0).elsewhere.get(), 10U);
        EXPECT_EQ(central.shared().positions.row(0).gap.get(), 3U);
    }
    Central again(config);
    ScriptedEdge edge(again.port());
    edge.hello(lane);
    ASSERT_EQ(edge.welcomed(), 15U);
    EXPECT_EQ(again.shared().positions.row(0).elsewhere.get(), 10U);
    EXPECT_EQ(again.shared().positions.row(0).gap.get(), 3U);
}

TEST_F(IngestTest, APingBeforeTheHelloIsAnsweredAndLeavesNothingBehind) {
    Central central(config);
    ScriptedEdge edge(central.port(), lane);
    {
        ScriptedEdge asking(central.port());
        asking.send_frame(wire::FrameKind::ping, {});
        const auto answer = asking.next();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->header.kind, wire::FrameKind::pong);
        asking.send(lane.events(1));  // a ping is no hello
        EXPECT_EQ(asking.refusal(), RefusalReason::protocol);
    }
    LaneScript same;
    edge.send(same.events(3));
    ASSERT_TRUE(edge.await_ack(3));
    EXPECT_EQ(kept(), (Stored{{1, 3}}));
}

TEST_F(IngestTest, ThePongBeforeAHelloSaysWhichProcessAnswers) {
    const auto life = [](std::uint16_t port) {
        ScriptedEdge asking(port);
        asking.send_frame(wire::FrameKind::ping, {});
        const auto answer = asking.next();
        return answer ? answer->header.tag : std::uint16_t{0};
    };
    std::uint16_t before = 0;
    {
        Central central(config);
        before = life(central.port());
        EXPECT_NE(before, 0U);
        EXPECT_EQ(life(central.port()), before);
        ScriptedEdge edge(central.port(), lane);
        edge.send_frame(wire::FrameKind::ping, {});
        const auto answer = edge.next(wire::FrameKind::pong);
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->header.tag, 0U) << "in a session it is as any frame's";
    }
    Central again(config);
    const std::uint16_t after = life(again.port());
    EXPECT_NE(after, 0U);
    EXPECT_NE(after, before);
}

TEST_F(IngestTest, ABatchAsLargeAsAFrameMayBeIsKept) {
    Central central(config);
    ScriptedEdge edge(central.port(), lane);
    // Rolls segments, fills groups, cuts frames.
    for (int i = 0; i < 12; ++i) ASSERT_TRUE(edge.send_within_credit(lane.events(5, 200U << 10)));
    ASSERT_TRUE(edge.await_ack(60));
    EXPECT_EQ(kept().size(), 12U);
}

TEST_F(IngestTest, WithoutRoomForTheNextSegmentItSaysSoAndGoesOnWhenThereIs) {
    Central central(config);
    // A directory in the way of the third segment: making it fails, and is tried again every second.
    const std::string in_the_way = journal_directory(config) + "/00000000000000000002.tmp";
    ASSERT_TRUE(std::filesystem::create_directory(in_the_way));
    ScriptedEdge edge(central.port(), lane);
    // Two segments and a bit: the last group waits.
    std::thread sending([&] {
        for (int i = 0; i < 10; ++i) EXPECT_TRUE(edge.send_within_credit(lane.events(5, 200U << 10)));
    });
    for (int looks = 0; looks < 10'000 && central.shared().full_errno.get() == 0; ++looks) ::usleep(1000);
    EXPECT_EQ(central.shared().full_errno.get(), static_cast<std::uint64_t>(EISDIR));
    EXPECT_EQ(central.shared().poison_errno.get(), 0U);
    std::filesystem::remove(in_the_way);
    sending.join();
    ASSERT_TRUE(edge.await_ack(50));
    EXPECT_EQ(central.shared().full_errno.get(), 0U);
    EXPECT_EQ(kept().size(), 10U);
}

TEST_F(IngestTest, ABatchSentTwiceIsKeptOnceCountedAndAckedAgain) {
    Central central(config);
    ScriptedEdge edge(central.port(), lane);
    const auto batch = lane.events(3);
    edge.send(batch);
    ASSERT_TRUE(edge.await_ack(3));
    edge.send(batch);
    ASSERT_TRUE(edge.await_ack(3));
    EXPECT_EQ(kept(), (Stored{{1, 3}}));
    const PositionRow& row = central.shared().positions.row(0);
    EXPECT_EQ(row.received.get(), 6U);
    EXPECT_EQ(row.appended.get(), 3U);
    EXPECT_EQ(row.duplicates.get(), 3U);
}

TEST_F(IngestTest, AMissingBatchIsASequenceGap) {
    static_cast<void>(lane.events(2));
    EXPECT_EQ(refusal_of(lane.events(2)), RefusalReason::sequence_gap);
    EXPECT_EQ(kept(), Stored{});
}

TEST_F(IngestTest, ABrokenChainIsDiverged) {
    lane.previous_crc = 99;
    EXPECT_EQ(refusal_of(lane.events(2)), RefusalReason::diverged);
}

TEST_F(IngestTest, AnOverlapIsDiverged) {
    Central central(config);
    ScriptedEdge edge(central.port(), lane);
    edge.send(lane.events(3));
    ASSERT_TRUE(edge.await_ack(3));
    lane.next = 2;
    edge.send(lane.events(5));
    EXPECT_EQ(edge.refusal(), RefusalReason::diverged);
}

TEST_F(IngestTest, AFlippedBitIsAChecksumRefusal) {
    auto batch = lane.events(2);
    batch.back() ^= std::byte{1};
    EXPECT_EQ(refusal_of(batch), RefusalReason::checksum);
}

// A batch of ten with poison in the middle, between good ones: nothing stalls, nothing is lost, each event counts once.
TEST_F(IngestTest, AnEventThatCannotBeVerifiedIsSetAsideAndTheRestOfItsBatchAndLaneGoOn) {
    const auto poisoned = lane.with_poison(10, 4);
    const auto behind = lane.events(3);
    const auto expect_account = [](const PositionRow& row) {
        EXPECT_EQ(row.appended.get(), 13U);
        EXPECT_EQ(row.dead_lettered.get(), 1U);
        EXPECT_EQ(row.rejected.get(), 0U);
        EXPECT_EQ(row.received.get(), row.appended.get() + row.duplicates.get());
    };
    {
        Central central(config);
        ScriptedEdge edge(central.port(), lane);
        edge.send(poisoned);
        edge.send(behind);
        ASSERT_TRUE(edge.await_ack(13));
        edge.send(poisoned);
        ASSERT_TRUE(edge.await_ack(13));
        expect_account(central.shared().positions.row(0));
        EXPECT_EQ(central.shared().positions.row(0).duplicates.get(), 10U);
    }
    EXPECT_EQ(kept(), (Stored{{1, 10}, {11, 3}})) << "its bytes too";
    {
        Central central(config);
        EXPECT_FALSE(central.recovered().from_checkpoint);
        expect_account(central.shared().positions.row(0));
        central.drain();
    }
    Central central(config);
    ScriptedEdge edge(central.port());
    edge.hello(lane, 2);
    ASSERT_EQ(edge.welcomed(), 13U);
    edge.send(lane.with_poison(2, 0));
    ASSERT_TRUE(edge.await_ack(15));
    central.drain();
    PositionTable table(config.limits.positions_max, config.limits.edges_max);
    const auto recovered = recover(config, table);
    ASSERT_TRUE(recovered.ok());
    EXPECT_TRUE(recovered.value().from_checkpoint);
    EXPECT_EQ(table.row(0).appended.get(), 15U);
    EXPECT_EQ(table.row(0).dead_lettered.get(), 2U);
}

TEST_F(IngestTest, ACheckpointOfTheVersionBeforeIsRead) {
    {
        Central central(config);
        ScriptedEdge edge(central.port(), lane);
        edge.send(lane.events(3));
        ASSERT_TRUE(edge.await_ack(3));
        central.drain();
    }
    auto loaded = journal::CheckpointFile::load(checkpoint_path(config));
    ASSERT_TRUE(loaded.ok());
    Batch content = loaded.value().content;
    auto head = wire::load<CheckpointHead>(content);
    head.version = 2;
    const auto row = checkpoint_entry(content, wire::load<CheckpointHead>(content), 0).row;
    content.resize(sizeof head + sizeof row);
    wire::store(content, head);
    wire::store(Bytes(content).subspan(sizeof head), row);
    journal::CheckpointFile file(checkpoint_path(config), loaded.value().serial);
    ASSERT_TRUE(file.store_now(content).ok());
    PositionTable table(config.limits.positions_max, config.limits.edges_max);
    const auto recovered = recover(config, table);
    ASSERT_TRUE(recovered.ok());
    EXPECT_TRUE(recovered.value().from_checkpoint);
    EXPECT_EQ(table.row(0).appended.get(), 3U);
}

TEST_F(IngestTest, AnotherEdgesBatchIsRefused) {
    LaneScript other = lane;
    other.edge = "south";
    EXPECT_EQ(refusal_of(other.events(1)), RefusalReason::protocol);
}

TEST_F(IngestTest, ABatchOfANewerEpochThanTheSessionIsRefusedAndAnOlderTaken) {
    Central central(config);
    ScriptedEdge edge(central.port());
    edge.hello(lane, 5);
    ASSERT_EQ(edge.welcomed(), 0U);
    lane.epoch = 4;
    edge.send(lane.events(1));
    ASSERT_TRUE(edge.await_ack(1));
    lane.epoch = 6;
    edge.send(lane.events(1));
    EXPECT_EQ(edge.refusal(), RefusalReason::protocol);
}

TEST_F(IngestTest, AnOlderEpochIsFencedAlsoAfterARestart) {
    {
        Central central(config);
        ScriptedEdge edge(central.port());
        lane.epoch = 7;
        edge.hello(lane, 7);
        ASSERT_EQ(edge.welcomed(), 0U);
        edge.send(lane.events(1));
        ASSERT_TRUE(edge.await_ack(1));
        ScriptedEdge older(central.port());
        older.hello(lane, 6);
        EXPECT_EQ(older.refusal(), RefusalReason::fenced);
    }
    Central central(config);
    ScriptedEdge older(central.port());
    older.hello(lane, 6);
    EXPECT_EQ(older.refusal(), RefusalReason::fenced);
}

TEST_F(IngestTest, ANewerEpochReplacesTheConnectionAndTheSameOneIsBusy) {
    Central central(config);
    ScriptedEdge first(central.port());
    first.hello(lane, 1);
    ASSERT_EQ(first.welcomed(), 0U);
    ScriptedEdge same(central.port());
    same.hello(lane, 1);
    EXPECT_EQ(same.refusal(), RefusalReason::busy);
    ScriptedEdge newer(central.port());
    newer.hello(lane, 2);
    EXPECT_EQ(newer.welcomed(), 0U);
    EXPECT_EQ(first.refusal(), RefusalReason::fenced);
    newer.send(lane.events(2));
    EXPECT_TRUE(newer.await_ack(2));
}

TEST_F(IngestTest, BadHellosAreRefusedAndHurtNobodyElse) {
    Central central(config);
    ScriptedEdge good(central.port(), lane);
    LaneScript bad = lane;
    bad.edge = "No_Name";
    ScriptedEdge unnamed(central.port());
    unnamed.hello(bad);
    EXPECT_EQ(unnamed.refusal(), RefusalReason::name);
    ScriptedEdge hasty(central.port());
    hasty.send(Batch(200));
    EXPECT_EQ(hasty.refusal(), RefusalReason::protocol);
    ScriptedEdge large(central.port());
    const wire::FrameHeader oversized{.body_bytes = 17U << 10, .kind = wire::FrameKind::edge_hello};
    large.send_raw(std::as_bytes(std::span(&oversized, 1)));
    EXPECT_EQ(large.refusal(), RefusalReason::too_large);
    good.send(lane.events(1));
    EXPECT_TRUE(good.await_ack(1));
}

TEST_F(IngestTest, CreditGrowsByWhatIsDurableAndMoreThanThatIsRefused) {
    config.listen.credit_bytes = 1U << 20;
    Central central(config);
    ScriptedEdge edge(central.port(), lane);
    EXPECT_EQ(edge.credit, 1U << 20);
    const auto batch = lane.events(2);
    edge.send(batch);
    const auto grown = edge.next(wire::FrameKind::credit);
    ASSERT_TRUE(grown.has_value());
    EXPECT_EQ(grown->as<wire::Credit>().credit_bytes,
              (1U << 20) + wire::frame_bytes(static_cast<std::uint32_t>(batch.size())));
}

// The model is a sum: in the end credit is what was granted at first and every byte that was sent and is done with, whether it
// was new or known; and no word before is less than one before it, or more than that.
TEST_F(IngestTest, CreditIsTheSumOfAllThatWasSentOnEachConnection) {
    config.listen.credit_bytes = 1U << 20;
    Central central(config);
    std::mt19937_64 random(9);
    std::vector<Batch> kept;
    for (std::uint64_t epoch = 1; epoch <= 4; ++epoch) {
        ScriptedEdge edge(central.port());
        edge.hello(lane, epoch);
        ASSERT_EQ(edge.welcomed(), lane.next - 1);
        std::uint64_t sum = edge.credit, said = edge.credit;
        ASSERT_EQ(sum, config.listen.credit_bytes);
        for (int step = 0; step < 60; ++step) {
            SCOPED_TRACE("epoch " + std::to_string(epoch) + ", step " + std::to_string(step));
            for (std::uint64_t i = 0; i <= random() % 4; ++i) {
                const bool is_new = kept.empty() || random() % 2 == 0;
                if (is_new) kept.push_back(lane.events(1 + static_cast<std::uint32_t>(random() % 3), random() % 3000));
                const Batch& batch = is_new ? kept.back() : kept[random() % kept.size()];
                edge.send(batch);
                sum += wire::frame_bytes(static_cast<std::uint32_t>(batch.size()));
            }
            while (said < sum) {
                const auto answer = edge.next(wire::FrameKind::credit);
                ASSERT_TRUE(answer.has_value()) << "it never came to " << sum << " but to " << said;
                const std::uint64_t now = answer->as<wire::Credit>().credit_bytes;
                ASSERT_GE(now, said);
                ASSERT_LE(now, sum);
                said = now;
            }
        }
    }
}

TEST_F(IngestTest, DeadLettersAreKeptApart) {
    Central central(config);
    lane.lane = dead_letter_lane;
    lane.lane_name = std::string(dead_letter_lane_name);
    ScriptedEdge edge(central.port(), lane);
    edge.send(lane.dead_letters(3));
    ASSERT_TRUE(edge.await_ack(3));
    EXPECT_EQ(kept(), Stored{});
    EXPECT_EQ(stored(dead_letters_directory(config)), (Stored{{1, 3}}));
    EXPECT_EQ(central.shared().positions.row(0).dead_lettered.get(), 3U);
}

TEST_F(IngestTest, AGapIsJournaledAndTheSequenceGoesOn) {
    Central central(config);
    ScriptedEdge edge(central.port(), lane);
    edge.send(lane.events(2));
    edge.send(lane.gap(10));
    edge.send(lane.events(1));
    ASSERT_TRUE(edge.await_ack(13));
    EXPECT_EQ(kept(), (Stored{{1, 2}, {3, 10}, {13, 1}}));
    EXPECT_EQ(central.shared().positions.row(0).gap.get(), 10U);
}

TEST_F(IngestTest, AfterAGapOneBatchNeedNotChainAlsoAcrossARestartAndTheNextOneMust) {
    for (const bool is_drained : {true, false}) {
        Central central(config);
        ScriptedEdge edge(central.port());
        edge.hello(lane);
        ASSERT_EQ(edge.welcomed(), lane.next - 1);
        if (lane.next > 1) edge.send(lane.events(1));  // the first one after the gap, at the next central
        edge.send(lane.gap(5));
        ASSERT_TRUE(edge.await_ack(lane.next - 1));
        is_drained ? central.drain() : central.halt();
    }
    Central central(config);
    ScriptedEdge edge(central.port());
    edge.hello(lane);
    ASSERT_EQ(edge.welcomed(), 11U);
    edge.send(lane.events(2));
    ASSERT_TRUE(edge.await_ack(13));
    lane.previous_crc ^= 1;
    edge.send(lane.events(1));
    EXPECT_EQ(edge.refusal(), RefusalReason::diverged);
}

struct RestartTest : IngestTest, ::testing::WithParamInterface<const char*> {};
TEST_P(RestartTest, GoesOnExactlyWhereItStopped) {
    const std::string how = GetParam();
    {
        Central central(config);
        ScriptedEdge edge(central.port(), lane);
        for (int i = 0; i < 20; ++i) edge.send(lane.events(3));
        ASSERT_TRUE(edge.await_ack(60));
        how == "halted" ? central.halt() : central.drain();
    }
    if (how == "lost checkpoint") {
        const bool had_first = std::filesystem::remove(checkpoint_path(config) + ".0");
        const bool had_second = std::filesystem::remove(checkpoint_path(config) + ".1");
        ASSERT_TRUE(had_first || had_second);
    }
    for (int round = 1; round <= 3; ++round) {  // the chain must hold over several restarts
        Central central(config);
        EXPECT_EQ(central.recovered().from_checkpoint, how == "drained" || (how == "lost checkpoint" && round > 1));
        ScriptedEdge edge(central.port());
        edge.hello(lane);
        ASSERT_EQ(edge.welcomed(), 60U + 3U * static_cast<unsigned>(round - 1));
        edge.send(lane.events(3));
        ASSERT_TRUE(edge.await_ack(60U + 3U * static_cast<unsigned>(round)));
        EXPECT_EQ(kept().size(), 20U + static_cast<unsigned>(round));
        how == "halted" ? central.halt() : central.drain();
    }
}
INSTANTIATE_TEST_SUITE_P(Ways, RestartTest, ::testing::Values("drained", "halted", "lost checkpoint"));

TEST_F(IngestTest, TwoEdgesBatchesLandInOneJournalInOneOrder) {
    Central central(config);
    LaneScript south = lane;
    south.edge = "south";
    ScriptedEdge a(central.port()), b(central.port());
    a.hello(lane);
    b.hello(south);
    ASSERT_EQ(a.welcomed(), 0U);
    ASSERT_EQ(b.welcomed(), 0U);
    for (int i = 0; i < 50; ++i) {
        a.send(lane.events(2));
        b.send(south.events(2));
    }
    ASSERT_TRUE(a.await_ack(100));
    ASSERT_TRUE(b.await_ack(100));
    EXPECT_EQ(kept().size(), 100U);
    EXPECT_LE(central.shared().groups.get(), 100U);
}

}  // namespace
}  // namespace weir::central
