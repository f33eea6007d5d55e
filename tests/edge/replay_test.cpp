// Dead letters that are offered again: each is applied once, in whatever order and however often it comes; what still fails stays
// the one letter that it was.
#include <set>

#include "core/wire/replay.hpp"
#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

using wire::AckLevel;
using wire::AckStatus;
using wire::RefusalReason;

constexpr std::string_view letters_of_north = "dead-letters-0000000000000007-north";  // the bench's edge and lineage

EdgeConfig strict_at(const std::string& directory) {
    EdgeConfig config = IntakeBench::config_at(directory);
    config.rules = {RuleConfig{.types = {"read*"}, .require = {}, .ranges = {{"data.n", std::nullopt, 5.0}}}};
    return config;
}

// The answers so far, one for each event, in the order of their ordinals.
std::vector<AckStatus> answers(const TestProducer& producer) {
    std::vector<AckStatus> all(producer.acked);
    for (const wire::AckRange& range : producer.ranges) {
        for (std::uint32_t i = 0; i < range.count; ++i) all.at(range.first_ordinal - 1 + i) = range.status;
    }
    return all;
}

TEST(ReplayName, SaysLineageAndEdgeAndNothingElseParses) {
    EXPECT_EQ(wire::replay_name(7, "north"), letters_of_north);
    const std::string longest = wire::replay_name(UINT64_MAX, std::string(32, 'e'));
    EXPECT_TRUE(wire::is_name(longest, wire::producer_name_bytes_max));
    const auto parsed = wire::parse_replay_name(longest);
    ASSERT_TRUE(parsed.has_value());
    EXPECT_EQ(parsed->lineage, UINT64_MAX);
    EXPECT_EQ(parsed->edge, std::string(32, 'e'));
    for (const char* text :
         {"cam", "dead-letters-", "dead-letters-0000000000000007-", "dead-letters-0000000000000007north",
          "dead-letters-000000000000000g-north", "dead-letters--00000000000000a-north"}) {
        EXPECT_FALSE(wire::parse_replay_name(text).has_value()) << text;
    }
}

TEST(Replay, AppliesEachLetterOnceInWhateverOrderItComes) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    TestProducer first(bench);
    first.hello(AckLevel::spooled, letters_of_north);
    first.send_event("nine", 9);
    first.send_event("two", 2);
    first.send_event("nine", 9);
    ASSERT_TRUE(first.wait_acked(3));
    EXPECT_EQ(answers(first), (std::vector{AckStatus::accepted, AckStatus::accepted, AckStatus::duplicate}));
    // On another connection, and with another text: the number is what counts.
    TestProducer busy(bench);
    busy.hello(AckLevel::spooled, letters_of_north);
    ASSERT_TRUE(busy.refusal.has_value());
    EXPECT_EQ(busy.refusal->reason, RefusalReason::busy);
    first.send_event("another", 2);
    first.send_event("one", 1);
    ASSERT_TRUE(first.wait_acked(5));
    EXPECT_EQ(answers(first)[3], AckStatus::duplicate);
    EXPECT_EQ(answers(first)[4], AckStatus::accepted);
    EXPECT_EQ(bench.events_spooled, 3U);
    EXPECT_EQ(bench.counters.offered.get(), 5U);
    EXPECT_EQ(bench.counters.accepted.get(), 3U);
    EXPECT_EQ(bench.counters.duplicates.get(), 2U);
}

TEST(Replay, ALetterThatStillFailsIsRejectedWithoutANewLetterAndMayComeAgain) {
    IntakeDirectory directory;
    {
        IntakeBench bench(strict_at(directory.path));
        TestProducer replay(bench);
        replay.hello(AckLevel::spooled, letters_of_north);
        replay.send_event("over", 4, "{\"n\":6}");
        const std::array<std::byte, 24> garbage{};
        replay.send_frame(wire::FrameKind::event, garbage, 5);
        replay.send_event("fine", 6, "{\"n\":5}");
        ASSERT_TRUE(replay.wait_acked(3));
        EXPECT_EQ(answers(replay), (std::vector{AckStatus::rejected, AckStatus::rejected, AckStatus::accepted}));
        std::set<std::uint8_t> reasons;
        for (const wire::AckRange& range : replay.ranges) reasons.insert(range.reason);
        EXPECT_TRUE(reasons.contains(static_cast<std::uint8_t>(wire::Reason::out_of_range)));
        EXPECT_EQ(bench.events_spooled, 1U);
        EXPECT_EQ(bench.counters.rejected.get(), 2U);
        for (const Counter& letters : bench.counters.dead_letters_by_reason) EXPECT_EQ(letters.get(), 0U);
        EXPECT_EQ(bench.stored.size(), 1U);
        EXPECT_EQ(bench.stored[0].header.lane, 0U);
    }
    // Under other rules it is taken, once.
    IntakeBench bench(IntakeBench::config_at(directory.path));
    TestProducer replay(bench);
    replay.hello(AckLevel::spooled, letters_of_north);
    replay.send_event("over", 4, "{\"n\":6}");
    replay.send_event("over", 4, "{\"n\":6}");
    ASSERT_TRUE(replay.wait_acked(2));
    EXPECT_EQ(answers(replay), (std::vector{AckStatus::accepted, AckStatus::duplicate}));
}

TEST(Replay, AnAppliedLetterStaysAppliedUnderARuleThatWouldRefuseItNow) {
    IntakeDirectory directory;
    std::vector<StoredBatch> spooled;
    {
        IntakeBench bench(IntakeBench::config_at(directory.path));
        TestProducer replay(bench);
        replay.hello(AckLevel::spooled, letters_of_north);
        replay.send_event("over", 4, "{\"n\":6}");
        ASSERT_TRUE(replay.wait_acked(1));
        spooled = bench.stored;
    }
    IntakeBench bench(strict_at(directory.path), {}, &spooled);
    TestProducer replay(bench);
    replay.hello(AckLevel::spooled, letters_of_north);
    replay.send_event("over", 4, "{\"n\":6}");
    ASSERT_TRUE(replay.wait_acked(1));
    EXPECT_EQ(answers(replay), (std::vector{AckStatus::duplicate}));
}

TEST(Replay, WhatWasAppliedIsKnownAfterACrashFromTheSpoolAloneByNumberAndById) {
    IntakeDirectory directory;
    const EdgeConfig config = IntakeBench::config_at(directory.path);
    std::vector<LaneState> lanes = IntakeBench::lanes_of(config);
    std::vector<StoredBatch> spooled;
    {
        IntakeBench bench(config);
        TestProducer replay(bench);
        replay.hello(AckLevel::spooled, letters_of_north);  // its name is durable now; what follows is in no checkpoint
        for (const std::uint64_t number : {30U, 10U, 20U}) replay.send_event("e" + std::to_string(number), number);
        ASSERT_TRUE(replay.wait_acked(3));
        spooled = bench.stored;
        lanes[0].last_sequence = 3;
        lanes[0].previous_crc = bench.stored.back().header.header_crc;
    }
    IntakeBench bench(config, lanes, &spooled);
    TestProducer replay(bench);
    replay.hello(AckLevel::spooled, letters_of_north);
    replay.send_event("e10", 10);
    replay.send_event("e15", 15);
    replay.send_event("under another id", 20);
    replay.send_event("e30", 30);
    ASSERT_TRUE(replay.wait_acked(4));
    EXPECT_EQ(answers(replay),
              (std::vector{AckStatus::duplicate, AckStatus::accepted, AckStatus::duplicate, AckStatus::duplicate}));
    TestProducer plain(bench);
    plain.hello(AckLevel::spooled);
    plain.send_event("e20");
    ASSERT_TRUE(plain.wait_acked(1));
    EXPECT_EQ(answers(plain), (std::vector{AckStatus::duplicate}));
}

TEST(Replay, TwoLettersOfOneEventApplyItOnceAndItsProducersRetryIsKnown) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    TestProducer plain(bench);
    plain.hello(AckLevel::spooled);
    plain.send_event("sent-again");
    ASSERT_TRUE(plain.wait_acked(1));
    TestProducer replay(bench);
    replay.hello(AckLevel::spooled, letters_of_north);
    replay.send_event("sent-again", 1);
    replay.send_event("twice", 2);
    replay.send_event("twice", 3);
    ASSERT_TRUE(replay.wait_acked(3));
    EXPECT_EQ(answers(replay), (std::vector{AckStatus::duplicate, AckStatus::accepted, AckStatus::duplicate}));
    plain.send_event("twice");
    ASSERT_TRUE(plain.wait_acked(2));
    EXPECT_EQ(answers(plain)[1], AckStatus::duplicate);
    EXPECT_EQ(bench.counters.accepted.get(), 2U);
}

TEST(Replay, LettersOfAnotherEdgeOrSpoolAreRefusedAndNoProducerMayTakeSuchAName) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    for (const char* name :
         {"dead-letters-0000000000000007-south", "dead-letters-0000000000000008-north", "dead-letters-mine"}) {
        TestProducer producer(bench);
        producer.hello(AckLevel::spooled, name);
        ASSERT_TRUE(producer.refusal.has_value()) << name;
        EXPECT_EQ(producer.refusal->reason, RefusalReason::name);
    }
    EXPECT_EQ(bench.counters.producers.get(), 0U);
}

}  // namespace
}  // namespace weir::edge::test
