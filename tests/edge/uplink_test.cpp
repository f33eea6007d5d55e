// The spool stage and its uplink against a scripted central on a real loopback and a real disk.
#include <gtest/gtest.h>

#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

TEST(Uplink, DeliversWhatIsSpooledInOrderAndReturnsEveryBuffer) {
    ScriptedCentral central;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 4; ++i) {
        bench.feed(0);
        bench.feed(1);
    }
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered) && bench.free_buffers.size() == 8; }));
    EXPECT_EQ(central.stored.size(), 8U);
    EXPECT_EQ(central.hellos.front().lanes, 3U);
    EXPECT_EQ(bench.counters.lanes[0].delivered.get(), 12U);
}

TEST(Uplink, SpoolsOnWithoutACentralAndCatchesUpFromDiskWhenOneComes) {
    std::string address;
    {
        ScriptedCentral gone;
        address = gone.address();
    }
    SpoolBench bench({address});
    bench.open();
    for (int i = 0; i < 60; ++i) {
        ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
        bench.feed(static_cast<LaneId>(i % 2), 1 + static_cast<std::uint32_t>(i) * 7, 200);
    }
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable) && bench.free_buffers.size() == 8; }));
    EXPECT_TRUE(bench.delivered.empty());
    ScriptedCentral central(address);
    bench.centrals = {&central};
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(central.stored.size(), 60U);
    EXPECT_GT(bench.counters.resent_batches.get(), 0U);
    // Caught up: what comes now goes from memory.
    const auto read_back = bench.counters.resent_batches.get();
    bench.feed(0);
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(bench.counters.resent_batches.get(), read_back);
}

TEST(Uplink, SendsAgainWhatWasNotAckedWhenTheConnectionIsCut) {
    ScriptedCentral central;
    central.acks = false;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 4; ++i) bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return central.stored.size() == 4; }));
    // Central forgets the last two: they were not durable there.
    central.positions[0] = 6;
    central.stored.resize(2);
    central.acks = true;
    central.cut();
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(central.stored.size(), 4U);
    EXPECT_EQ(central.duplicates, 0U);
    EXPECT_EQ(bench.counters.sessions.get(), 2U);
}

TEST(Uplink, TakesCentralsWordForAcksThatWereLost) {
    ScriptedCentral central;
    central.acks = false;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 4; ++i) bench.feed(1);
    ASSERT_TRUE(bench.until([&] { return central.stored.size() == 4; }));
    EXPECT_TRUE(bench.delivered.empty());
    central.cut();
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(central.stored.size(), 4U);
    EXPECT_EQ(central.duplicates, 0U);
}

TEST(Uplink, SendsKeptRecordsAgainToACentralThatLostWhatItHadAcked) {
    ScriptedCentral central;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 6; ++i) bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    central.positions.clear();
    central.stored.clear();
    central.cut();
    EXPECT_TRUE(bench.until([&] { return central.positions[0] == 18 && bench.is_all(bench.delivered); }));
    EXPECT_EQ(central.stored.size(), 6U);
    EXPECT_EQ(bench.counters.central_behind.get(), 1U);
}

TEST(Uplink, NamesAGapForSequencesThatTheSpoolNoLongerHas) {
    ScriptedCentral central;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    // The journal is empty, its records were delivered and trimmed; central lost the end of them.
    bench.start.lanes[0].state.last_sequence = bench.start.lanes[0].state.delivered_sequence = 100;
    bench.fed[0] = bench.durable[0] = 100;
    central.positions[0] = 40;
    bench.open();
    EXPECT_TRUE(bench.until([&] { return central.positions[0] == 100; }));
    bench.feed(0);
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    ASSERT_EQ(central.stored.size(), 2U);
    EXPECT_EQ(central.stored[0].kind, wire::BatchKind::gap);
    EXPECT_EQ(central.stored[0].first, 41U);
    EXPECT_EQ(central.stored[0].last, 100U);
    EXPECT_EQ(central.stored[1].first, 101U);
    EXPECT_EQ(bench.counters.gap_events.get(), 60U);
    EXPECT_EQ(bench.counters.lanes[0].delivered.get(), 43U);
}

TEST(Uplink, MixesNothingWithACentralThatHasMoreThanThisSpool) {
    ScriptedCentral central;
    central.positions[0] = 1000;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    bench.feed(0);
    EXPECT_TRUE(bench.until([&] { return bench.counters.central_ahead.get() >= 2; }));
    EXPECT_TRUE(bench.until([&] { return bench.durable[0] == 3U; }));  // it spools on
    EXPECT_TRUE(central.stored.empty());
    EXPECT_EQ(bench.counters.is_connected.get(), 0U);
}

TEST(Uplink, StaysApartFromACentralThatHadMoreAlsoWhenItsOwnSequencesComeAsFar) {
    ScriptedCentral central;
    central.positions[0] = 4;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    ASSERT_TRUE(bench.until([&] { return bench.counters.central_ahead.get() >= 1; }));
    for (int i = 0; i < 4; ++i) bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    const std::uint64_t refused = bench.counters.central_ahead.get();
    ASSERT_TRUE(bench.until([&] { return bench.counters.central_ahead.get() >= refused + 2; }));
    EXPECT_EQ(bench.delivered[0], 0U);  // Its events 1 to 4 are not those that central has.
    EXPECT_TRUE(central.stored.empty());
}

TEST(Uplink, StopsAtTheEndOfItsCreditAndGoesOnWithMore) {
    ScriptedCentral central;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    const std::uint64_t frame = wire::frame_bytes(sizeof(wire::BatchHeader) + 3 * wire::frame_bytes(40));
    central.credit_bytes = 2 * frame + frame / 2;
    bench.open();
    for (int i = 0; i < 8; ++i) bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return central.stored.size() == 2 && bench.is_all(bench.durable); }));
    bench.steps(50);
    EXPECT_EQ(central.stored.size(), 2U);
    // More is spooled than waits in memory: the rest comes from disk.
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
        bench.feed(1);
    }
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    central.grant(1U << 30);
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered) && bench.free_buffers.size() == 8; }));
    EXPECT_EQ(central.stored.size(), 11U);
    EXPECT_EQ(central.duplicates, 0U);
}

// The model is the largest total that was said: so many whole frames may have come, and no later word takes any back.
TEST(Uplink, TakesCreditAsATotalWhoseOlderAndRepeatedWordsChangeNothing) {
    const std::uint64_t frame = wire::frame_bytes(sizeof(wire::BatchHeader) + 3 * wire::frame_bytes(40));
    for (std::uint32_t seed = 1; seed <= 4; ++seed) {
        std::mt19937 random(seed);
        ScriptedCentral central;
        SpoolBench bench({central.address()});
        bench.centrals = {&central};
        central.credit_bytes = random() % (2 * frame);
        bench.open();
        std::uint64_t fed = 0;
        for (int step = 0; step < 80; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            ASSERT_TRUE(bench.until([&] { return central.is_connected && !central.hellos.empty(); }));
            switch (random() % 4) {
                case 0:
                    central.grant(central.credit_bytes + random() % (6 * frame));
                    break;
                case 1:
                    central.say_credit(random() % (central.credit_bytes + 1));
                    bench.steps(3);  // it is there before there is more to send
                    break;
                default:
                    if (bench.free_buffers.empty()) break;
                    bench.feed(static_cast<LaneId>(random() % 2));
                    ++fed;
                    break;
            }
            ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
            const std::uint64_t expected = std::min(fed, central.credit_bytes / frame);
            ASSERT_TRUE(bench.until([&] { return central.stored.size() == expected; }));
            bench.steps(3);
            ASSERT_EQ(central.stored.size(), expected);
        }
        EXPECT_EQ(central.hellos.size(), 1U) << "seed " << seed;
    }
}

TEST(Uplink, ConnectsAgainAtOnceAfterASequenceGapRefusal) {
    ScriptedCentral central;
    central.refuses_next_batch = wire::RefusalReason::sequence_gap;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 5; ++i) bench.feed(0);
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(bench.counters.refusals.get(), 1U);
    EXPECT_EQ(bench.counters.sessions.get(), 2U);
}

TEST(Uplink, ComesAgainWhenACentralWithManyHellosSaysThatItsTurnIs) {
    ScriptedCentral central;
    central.refuses_hello = wire::RefusalReason::limit;
    central.refusal_after_ms = 60'000;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.config.uplink.reconnect_ms_max = 3'600'000;
    bench.open();
    ASSERT_TRUE(bench.until([&] { return bench.counters.refusals.get() == 1; }));
    central.refuses_hello.reset();
    bench.skew_ns += 50 * ns_per_second;
    bench.steps(200);
    EXPECT_EQ(central.hellos.size(), 1U);
    bench.skew_ns += 10 * ns_per_second;
    EXPECT_TRUE(bench.until([&] { return bench.counters.sessions.get() == 1; }));
}

TEST(Uplink, KeepsSpoolingAndAsksAgainWhileItIsFenced) {
    ScriptedCentral central;
    central.refuses_hello = wire::RefusalReason::fenced;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 5; ++i) bench.feed(0);
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.durable) && bench.counters.refusals.get() >= 2; }));
    EXPECT_EQ(bench.counters.last_refusal.get(), static_cast<std::uint64_t>(wire::RefusalReason::fenced));
    EXPECT_TRUE(central.stored.empty());
    EXPECT_TRUE(bench.until([&] { return bench.free_buffers.size() == 8; }));
    central.refuses_hello.reset();
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(bench.counters.last_refusal.get(), 0U);
}

TEST(Uplink, LeavesASilentPeerForTheNextCentral) {
    ScriptedCentral silent;
    ScriptedCentral second;
    SpoolBench bench({silent.address(), second.address()});
    bench.centrals = {&silent, &second};
    silent.answers_hello = false;
    bench.open();
    bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return silent.hellos.size() == 1; }));
    bench.skew_ns += 3 * ns_per_second;
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(second.stored.size(), 1U);
    EXPECT_EQ(bench.counters.endpoint.get(), 1U);
}

TEST(Uplink, PingsInSilenceAndTakesAPeerThatDoesNotAnswerForGone) {
    ScriptedCentral central;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    bench.skew_ns += ns_per_second;
    ASSERT_TRUE(bench.until([&] { return central.pings == 1; }));
    bench.steps(20);
    EXPECT_EQ(bench.counters.sessions.get(), 1U);
    central.answers_ping = false;
    bench.skew_ns += ns_per_second;
    ASSERT_TRUE(bench.until([&] { return central.pings == 2; }));
    bench.skew_ns += 2 * ns_per_second;
    EXPECT_TRUE(bench.until([&] { return bench.counters.sessions.get() == 2; }));
}

TEST(Uplink, ARefusedCentralIsLeftForTheNextAtOnceAndAlsoOneThatFences) {
    ScriptedCentral fencing, second;
    std::string refused;
    {
        ScriptedCentral gone;
        refused = gone.address();
    }
    fencing.refuses_hello = wire::RefusalReason::fenced;
    SpoolBench bench({refused, fencing.address(), second.address()});
    bench.config.uplink.reconnect_ms_min = bench.config.uplink.reconnect_ms_max = 600'000;  // no pause would end
    bench.centrals = {&fencing, &second};
    bench.open();
    bench.feed(0);
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(second.stored.size(), 1U);
    EXPECT_EQ(bench.counters.endpoint.get(), 2U);
    EXPECT_EQ(bench.counters.breakers[0].get(), 0U);
    EXPECT_EQ(bench.counters.breakers[1].get(), 2U);
}

TEST(Uplink, ACentralThatWelcomesAndBreaksOffFiveTimesIsLeftAloneForTheNext) {
    ScriptedCentral broken, second;
    SpoolBench bench({broken.address(), second.address()});
    bench.centrals = {&broken, &second};
    bench.open();
    for (std::uint64_t session = 1; session <= 5; ++session) {
        ASSERT_EQ(bench.counters.breakers[0].get(), 0U);
        ASSERT_TRUE(bench.until([&] { return bench.counters.sessions.get() == session; }));
        ASSERT_EQ(bench.counters.endpoint.get(), 0U);
        broken.cut();
    }
    ASSERT_TRUE(bench.until([&] { return bench.counters.sessions.get() == 6; }));
    EXPECT_EQ(bench.counters.endpoint.get(), 1U);
    EXPECT_EQ(bench.counters.breakers[0].get(), 2U);
    EXPECT_EQ(bench.counters.switch_overs.get(), 1U);
}

TEST(Uplink, AConnectionThatBreaksAfterAcksIsMadeAgainToTheSameCentral) {
    ScriptedCentral first, second;
    SpoolBench bench({first.address(), second.address()});
    bench.centrals = {&first, &second};
    bench.open();
    for (std::uint64_t session = 1; session <= 8; ++session) {
        ASSERT_TRUE(bench.until([&] { return bench.counters.sessions.get() == session; }));
        bench.feed(0);
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
        first.cut();
    }
    EXPECT_EQ(bench.counters.switch_overs.get(), 0U);
    EXPECT_TRUE(second.hellos.empty());
}

// A bench that is at its second central, with a first one that may or may not be back.
struct ReturnTest : ::testing::Test {
    void begin() {
        std::string address;
        {
            ScriptedCentral gone;
            address = gone.address();
        }
        bench = std::make_unique<SpoolBench>(std::vector<std::string>{address, second.address()});
        bench->config.uplink.return_ms = 30'000;
        bench->config.uplink.return_stable_ms = 10'000;
        bench->config.uplink.ping_ms = 500'000;  // time is moved on by more than a silence is allowed
        bench->config.uplink.silent_ms_max = 600'000;
        bench->centrals = {&second};
        bench->open();
        bench->feed(0);
        ASSERT_TRUE(bench->until([&] { return bench->is_all(bench->delivered); }));
        ASSERT_EQ(bench->counters.endpoint.get(), 1U);
        first = std::make_unique<ScriptedCentral>(address);
        first->positions = second.positions;  // they share what they have
        bench->centrals = {first.get(), &second};
    }
    void pass_ms(std::uint64_t count) {
        bench->skew_ns += count * ns_per_ms;
        bench->steps(20);
    }
    // Moves time on until the first was asked so often.
    bool asked(std::uint64_t times) {
        for (int i = 0; i < 60 && first->pings < times; ++i) pass_ms(1000);
        EXPECT_EQ(first->pings, times) << bench->counters.probes.get() << " asked, "
                                       << bench->counters.probes_answered.get() << " answered";
        return first->pings == times;
    }
    ScriptedCentral second;
    std::unique_ptr<SpoolBench> bench;
    std::unique_ptr<ScriptedCentral> first;
};

TEST_F(ReturnTest, GoesBackOnceThePreferredCentralHasAnsweredForLongEnoughAndTheSessionInUseFeelsNothing) {
    begin();
    ASSERT_TRUE(asked(3));
    EXPECT_EQ(bench->counters.sessions.get(), 1U);
    EXPECT_TRUE(first->hellos.empty());
    bench->feed(0);
    ASSERT_TRUE(bench->until([&] { return bench->is_all(bench->delivered); }));
    EXPECT_EQ(second.stored.size(), 2U);
    first->positions = second.positions;
    ASSERT_TRUE(asked(4));
    ASSERT_TRUE(bench->until([&] { return bench->counters.returns.get() == 1; }));
    bench->feed(0);
    ASSERT_TRUE(bench->until([&] { return bench->is_all(bench->delivered); }));
    EXPECT_EQ(bench->counters.endpoint.get(), 0U);
    EXPECT_EQ(bench->counters.switch_overs.get(), 1U);
    EXPECT_EQ(second.goodbyes, 1U);
    EXPECT_EQ(first->stored.size(), 1U);
    EXPECT_EQ(second.duplicates + first->duplicates, 0U);
}

TEST_F(ReturnTest, StaysWhileThePreferredCentralIsEndedAndStartedBetweenTwoAsks) {
    begin();
    for (std::uint64_t times = 1; times <= 8; ++times) {
        ASSERT_TRUE(asked(times));
        ++first->life;
    }
    ASSERT_TRUE(asked(11));
    EXPECT_EQ(bench->counters.returns.get(), 0U);
    ASSERT_TRUE(asked(12));
    ASSERT_TRUE(bench->until([&] { return bench->counters.returns.get() == 1; }));
}

TEST_F(ReturnTest, WaitsForTheAcksOfWhatWasSentBeforeItLeavesAndSendsNothingNew) {
    begin();
    second.acks = false;
    ASSERT_TRUE(asked(3));
    bench->feed(0);
    ASSERT_TRUE(bench->until([&] { return second.stored.size() == 2; }));
    ASSERT_TRUE(asked(4));
    bench->steps(50);
    bench->feed(0);
    ASSERT_TRUE(bench->until([&] { return bench->is_all(bench->durable); }));
    bench->steps(50);
    EXPECT_EQ(second.stored.size(), 2U);
    EXPECT_EQ(bench->counters.sessions.get(), 1U);
    first->positions = second.positions;
    second.ack_all();
    ASSERT_TRUE(bench->until([&] { return bench->is_all(bench->delivered); }));
    EXPECT_EQ(second.goodbyes, 1U);
    EXPECT_EQ(first->stored.size(), 1U);
    EXPECT_EQ(second.stored.size(), 2U);
    EXPECT_EQ(first->duplicates, 0U);
}

TEST_F(ReturnTest, LeavesWithoutTheAcksWhenTheyDoNotComeAndResendsOnlyWhatTheOtherHasNot) {
    begin();
    second.acks = false;
    ASSERT_TRUE(asked(3));
    bench->feed(0);
    bench->feed(0);
    ASSERT_TRUE(bench->until([&] { return second.stored.size() == 3; }));
    first->positions[0] = 6;  // of the two unacked one is known there
    ASSERT_TRUE(asked(4));
    ASSERT_EQ(bench->counters.sessions.get(), 1U);
    pass_ms(1000);
    ASSERT_TRUE(bench->until([&] { return bench->is_all(bench->delivered); }));
    EXPECT_EQ(bench->counters.returns.get(), 1U);
    ASSERT_EQ(first->stored.size(), 1U);
    EXPECT_EQ(first->stored[0].first, 7U);
    EXPECT_EQ(first->duplicates, 0U);
}

TEST_F(ReturnTest, StaysWhenThePreferredCentralOnlyTakesConnections) {
    begin();
    first->answers_ping = false;
    ASSERT_TRUE(asked(1));
    for (int i = 0; i < 100; ++i) pass_ms(1000);
    EXPECT_EQ(bench->counters.sessions.get(), 1U);
    EXPECT_EQ(bench->counters.probes_answered.get(), 0U);
    EXPECT_EQ(bench->counters.endpoint.get(), 1U);
}

// Two independent centrals, and a bench that is moved from one to the other by their going away.
struct IndependentTest : ::testing::Test {
    void begin() {
        first.identity = 111;
        second.identity = 222;
        bench.config.uplink.breaker_ms = 1;
        bench.config.spool.keep_delivered_ms = 600'000;  // all is kept: what is not sent again could have been
        bench.centrals = {&first, &second};
        bench.open();
    }
    void feed_and_deliver(int batches, LaneId lane = 0) {
        for (int i = 0; i < batches; ++i) {
            ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
            bench.feed(lane);
        }
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered) && central_has_all(); }));
    }
    [[nodiscard]] bool central_has_all() {
        ScriptedCentral& in_use = bench.counters.endpoint.get() == 0 ? first : second;
        for (const auto& [lane, last] : bench.fed) {
            if (in_use.positions[lane] != last) return false;
        }
        return true;
    }
    void move(ScriptedCentral& from, ScriptedCentral& to) {
        from.refuses_hello = wire::RefusalReason::draining;
        to.refuses_hello.reset();
        from.cut();
        const std::uint64_t sessions = bench.counters.sessions.get();
        ASSERT_TRUE(bench.until([&] { return bench.counters.sessions.get() > sessions; }));
    }
    static std::uint64_t count(const ScriptedCentral& central, std::uint8_t flags) {
        std::uint64_t total = 0;
        for (const auto& seen : central.stored) {
            if (seen.kind == wire::BatchKind::gap && seen.flags == flags) total += seen.last - seen.first + 1;
        }
        return total;
    }
    ScriptedCentral first, second;
    SpoolBench bench{{first.address(), second.address()}};
};

TEST_F(IndependentTest, TheSecondBeginsWithAnElsewhereAndGetsNothingThatTheFirstHas) {
    begin();
    feed_and_deliver(4);
    feed_and_deliver(2, 1);
    move(first, second);
    feed_and_deliver(1);
    ASSERT_EQ(second.stored.size(), 3U);
    EXPECT_EQ(count(second, wire::gap_elsewhere), 18U);
    EXPECT_EQ(count(second, wire::gap_not_kept), 0U);
    EXPECT_EQ(second.stored.back().kind, wire::BatchKind::events);
    EXPECT_EQ(second.stored.back().first, 13U);
    EXPECT_EQ(bench.counters.elsewhere_events.get(), 18U);
    EXPECT_EQ(bench.counters.gap_events.get(), 0U);
    EXPECT_EQ(bench.counters.lanes[0].delivered.get(), 15U);
    // And back: only what the second has meanwhile is elsewhere.
    move(second, first);
    feed_and_deliver(1);
    EXPECT_EQ(count(first, wire::gap_elsewhere), 3U);
    EXPECT_EQ(first.stored.back().first, 16U);
    EXPECT_EQ(bench.counters.central_behind.get(), 0U);
    EXPECT_EQ(first.duplicates + second.duplicates, 0U);
}

TEST_F(IndependentTest, OneThatLostWhatItHadAckedItselfGetsThatAgainAndOnlyTheRestIsElsewhere) {
    begin();
    feed_and_deliver(4);
    move(first, second);
    feed_and_deliver(2);
    first.positions[0] = 6;  // from a backup
    first.stored.clear();
    move(second, first);
    feed_and_deliver(1);
    ASSERT_EQ(first.stored.size(), 4U);
    EXPECT_EQ(first.stored[0].first, 7U);
    EXPECT_EQ(first.stored[1].last, 12U);
    EXPECT_EQ(first.stored[2].flags, wire::gap_elsewhere);
    EXPECT_EQ(first.stored[2].first, 13U);
    EXPECT_EQ(first.stored[2].last, 18U);
    EXPECT_EQ(first.stored[3].first, 19U);
    EXPECT_EQ(bench.counters.central_behind.get(), 1U);
}

TEST_F(IndependentTest, WhatNoOtherIsKnownToHaveIsNeverElsewhere) {
    first.identity = 0;
    begin();
    first.identity = 0;  // an older central says nothing of itself
    feed_and_deliver(4);
    move(first, second);
    feed_and_deliver(1);
    EXPECT_EQ(count(second, wire::gap_elsewhere), 0U);
    EXPECT_EQ(second.stored.size(), 5U);  // sent again, as kept
}

TEST_F(IndependentTest, EachHasEverySequenceOnceOrNamedWhateverTheMoves) {
    for (std::uint32_t seed = 1; seed <= 4; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        ScriptedCentral one, other;
        one.identity = 1;
        other.identity = 2;
        SpoolBench world({one.address(), other.address()});
        world.config.uplink.breaker_ms = 1;
        world.centrals = {&one, &other};
        world.open();
        for (int i = 0; i < 300; ++i) {
            if (!world.free_buffers.empty() && random() % 2 == 0) {
                world.feed(static_cast<LaneId>(random() % 2), 1 + static_cast<std::uint32_t>(random() % 20));
            }
            ScriptedCentral& central = random() % 2 == 0 ? one : other;
            switch (random() % 24) {
                case 0:
                    central.cut();
                    break;
                case 1:
                    central.acks = !central.acks;
                    break;
                case 2:
                    central.refuses_hello = wire::RefusalReason::draining;
                    central.cut();
                    break;
                case 3:
                    central.refuses_hello.reset();
                    break;
                default:
                    break;
            }
            world.step();
        }
        one.acks = other.acks = true;
        one.refuses_hello.reset();
        other.refuses_hello.reset();
        one.cut();
        other.cut();
        ASSERT_TRUE(world.until([&] { return world.is_all(world.delivered) && world.free_buffers.size() == 8; }));
        // Of each lane every event is at one of the two, and no gap says that anything is lost. Density is checked on arrival.
        for (const auto& [lane, last] : world.fed) {
            std::set<Sequence> there;
            for (const ScriptedCentral* central : {&one, &other}) {
                for (const auto& seen : central->stored) {
                    if (seen.lane != lane) continue;
                    if (seen.kind == wire::BatchKind::gap) {
                        EXPECT_EQ(seen.flags, wire::gap_elsewhere);
                        continue;
                    }
                    for (Sequence sequence = seen.first; sequence <= seen.last; ++sequence) there.insert(sequence);
                }
            }
            EXPECT_EQ(there.size(), last);
        }
    }
}

TEST(Uplink, NeverReordersOrSkipsWhateverHappensToTheConnection) {
    for (std::uint32_t seed = 1; seed <= 6; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        const auto pick = [&](std::uint32_t below) { return static_cast<std::uint32_t>(random() % below); };
        ScriptedCentral central;
        SpoolBench bench({central.address()});
        bench.centrals = {&central};
        bench.open();
        std::uint64_t cuts = 0;
        for (int i = 0; i < 400; ++i) {
            if (!bench.free_buffers.empty() && pick(2) == 0) {
                const auto lane = static_cast<LaneId>(pick(2));
                bench.feed(lane, 1 + pick(40), 8 * (1 + pick(200)));
            }
            switch (pick(40)) {
                case 0:
                    central.cut();
                    ++cuts;
                    break;
                case 1:
                    central.acks = !central.acks;
                    break;
                case 2:
                    central.cut();  // Credit never shrinks within a connection.
                    central.credit_bytes = pick(100'000);
                    break;
                case 3:
                    if (central.is_connected) central.grant(central.credit_bytes + pick(300'000));
                    break;
                case 4:
                    central.refuses_next_batch = wire::RefusalReason::sequence_gap;
                    break;
                default:
                    break;
            }
            bench.step();
        }
        central.acks = true;
        central.credit_bytes = 1ULL << 40;
        central.refuses_next_batch.reset();
        central.cut();
        EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered) && bench.free_buffers.size() == 8; }));
        EXPECT_GT(cuts, 0U);
        // Dense per lane (checked on arrival) and complete.
        for (const auto& [lane, last] : bench.fed) EXPECT_EQ(central.positions[lane], last);
        for (const auto& seen : central.stored) EXPECT_EQ(seen.kind, wire::BatchKind::events);
        EXPECT_EQ(bench.counters.damaged_records.get(), 0U);
    }
}

}  // namespace
}  // namespace weir::edge::test
