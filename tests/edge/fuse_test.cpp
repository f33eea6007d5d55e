#include "edge/intake/fuse.hpp"

#include <gtest/gtest.h>

#include <map>

#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

MonotonicNs at_ms(std::uint64_t ms) {
    return MonotonicNs{}.plus_ns((1000 + ms) * ns_per_ms);
}

DeadLettersConfig small_fuse() {
    DeadLettersConfig config;
    config.fuse_window_events = 1000;
    config.fuse_failures_min = 100;
    config.fuse_trial_events = 10;
    config.fuse_pause_ms = 1000;
    config.fuse_pause_ms_max = 4000;
    return config;
}

void count(Fuse& fuse, ConnectionRecord& record, std::uint64_t good, std::uint64_t bad) {
    for (std::uint64_t i = 0; i < bad; ++i) fuse.count(record, true);
    for (std::uint64_t i = 0; i < good; ++i) fuse.count(record, false);
}

TEST(Fuse, BlowsOnlyAboveItsShareAndItsLeastNumberOfTheWindow) {
    Fuse fuse(small_fuse());
    ConnectionRecord record;
    count(fuse, record, 0, 99);
    EXPECT_FALSE(fuse.look(at_ms(0)));  // all of them, but too few
    count(fuse, record, 101, 1);
    EXPECT_FALSE(fuse.look(at_ms(0)));  // half of them, not more
    count(fuse, record, 0, 2);
    EXPECT_TRUE(fuse.look(at_ms(0)));
    EXPECT_EQ(fuse.state(), FuseState::open);
}

TEST(Fuse, ForgetsWhatIsOlderThanItsWindowByEventsAndByTime) {
    Fuse fuse(small_fuse());
    ConnectionRecord record;
    count(fuse, record, 0, 99);
    EXPECT_FALSE(fuse.look(at_ms(0)));
    for (int half = 0; half < 2; ++half) {
        count(fuse, record, 500, 0);
        EXPECT_FALSE(fuse.look(at_ms(0)));
    }
    count(fuse, record, 0, 99);
    EXPECT_FALSE(fuse.look(at_ms(1)));
    EXPECT_FALSE(fuse.look(at_ms(31'000)));
    EXPECT_FALSE(fuse.look(at_ms(62'000)));
    count(fuse, record, 0, 99);
    EXPECT_FALSE(fuse.look(at_ms(62'000)));
}

TEST(Fuse, HoldsWhoseOwnEventsFailAndNobodyElse) {
    Fuse fuse(small_fuse());
    ConnectionRecord bad, good, fresh;
    count(fuse, good, 90, 10);
    count(fuse, bad, 0, 200);
    EXPECT_FALSE(fuse.holds(bad));
    ASSERT_TRUE(fuse.look(at_ms(0)));
    EXPECT_TRUE(fuse.holds(bad));
    EXPECT_FALSE(fuse.holds(good));
    EXPECT_FALSE(fuse.holds(fresh));
    // One that comes now may fail a few times; once those few are used up, the next newcomer not even once.
    count(fuse, fresh, 0, 9);
    EXPECT_FALSE(fuse.holds(fresh));
    count(fuse, fresh, 0, 1);
    EXPECT_TRUE(fuse.holds(fresh));
    ConnectionRecord again;
    count(fuse, again, 0, 1);
    EXPECT_TRUE(fuse.holds(again));
    ConnectionRecord good_newcomer;
    count(fuse, good_newcomer, 5, 1);
    EXPECT_FALSE(fuse.holds(good_newcomer));
}

TEST(Fuse, ClosesByAGoodTrialAndWaitsTwiceAsLongAfterABadOne) {
    Fuse fuse(small_fuse());
    ConnectionRecord bad;
    count(fuse, bad, 0, 200);
    ASSERT_TRUE(fuse.look(at_ms(0)));
    std::uint64_t at = 0;
    for (const std::uint64_t pause : {1000U, 2000U, 4000U, 4000U}) {
        EXPECT_FALSE(fuse.look(at_ms(at + pause - 1)));
        at += pause;
        ASSERT_TRUE(fuse.look(at_ms(at)));
        ASSERT_EQ(fuse.state(), FuseState::half_open);
        EXPECT_FALSE(fuse.holds(bad));
        count(fuse, bad, 0, 9);
        EXPECT_FALSE(fuse.holds(bad));
        count(fuse, bad, 0, 1);
        EXPECT_TRUE(fuse.holds(bad));
        ASSERT_TRUE(fuse.look(at_ms(at)));
        ASSERT_EQ(fuse.state(), FuseState::open);
    }
    at += 4000;
    ASSERT_TRUE(fuse.look(at_ms(at)));
    count(fuse, bad, 10, 0);
    ASSERT_TRUE(fuse.look(at_ms(at)));
    EXPECT_EQ(fuse.state(), FuseState::closed);
    // What the connection did before is forgotten, and so is the long pause.
    EXPECT_FALSE(fuse.holds(bad));
    count(fuse, bad, 0, 200);
    ASSERT_TRUE(fuse.look(at_ms(at)));
    EXPECT_TRUE(fuse.look(at_ms(at + 1000)));
}

TEST(Fuse, ClosesWhenNobodyIsLeftToBeTried) {
    Fuse fuse(small_fuse());
    ConnectionRecord bad;
    count(fuse, bad, 0, 200);
    ASSERT_TRUE(fuse.look(at_ms(0)));
    ASSERT_TRUE(fuse.look(at_ms(1000)));
    EXPECT_FALSE(fuse.look(at_ms(1999)));
    EXPECT_TRUE(fuse.look(at_ms(2000)));
    EXPECT_EQ(fuse.state(), FuseState::closed);
}

TEST(LetterQuota, AllowsSoManyInAMinuteAndAsManyInTheNext) {
    LetterQuota::Used used;
    for (int minute = 0; minute < 3; ++minute) {
        const MonotonicNs now = at_ms(60'000ULL * static_cast<std::uint64_t>(minute));
        for (int i = 0; i < 5; ++i) EXPECT_TRUE(LetterQuota::take(used, 5, now));
        EXPECT_FALSE(LetterQuota::take(used, 5, now.plus_ns(59 * ns_per_second)));
    }
    EXPECT_TRUE(LetterQuota::take(used, 0, at_ms(0)));
}

EdgeConfig config_with_fuse(const std::string& directory) {
    EdgeConfig config = IntakeBench::config_at(directory);
    config.rules = {RuleConfig{.types = {"read*"}, .require = {}, .ranges = {{"data.n", std::nullopt, 5.0}}}};
    config.dead_letters = small_fuse();
    return config;
}

std::uint64_t letters(const IntakeBench& bench) {
    return bench.counters.dead_letters_by_reason[static_cast<std::size_t>(wire::Reason::out_of_range)].get();
}

// Sends failing events one at a time until the fuse of validate has blown; returns how many.
std::uint64_t blow(IntakeBench& bench, TestProducer& bad) {
    std::uint64_t sent = 0;
    while (bench.counters.fuse_blown[1].get() == 0 && sent < 1000) {
        bad.send_event("bad-" + std::to_string(sent), 0, "{\"n\":6}");
        ++sent;
        EXPECT_TRUE(bad.wait_acked(sent));
    }
    return sent;
}

TEST(Intake, HoldsTheProducerWhoseEventsFailWhileAGoodOneGoesOn) {
    IntakeDirectory directory;
    IntakeBench bench(config_with_fuse(directory.path));
    TestProducer bad(bench);
    TestProducer good(bench);
    bad.hello(wire::AckLevel::spooled);
    good.hello(wire::AckLevel::spooled);
    const std::uint64_t sent = blow(bench, bad);
    EXPECT_EQ(sent, 100U);
    for (int n = 0; n < 50; ++n) bad.send_event("held-" + std::to_string(n), 0, "{\"n\":6}");
    for (int n = 0; n < 200; ++n) good.send_event("good-" + std::to_string(n));
    ASSERT_TRUE(good.wait_acked(200));
    bench.added_ns += 200 * ns_per_ms;
    bench.step();
    bad.look();
    EXPECT_EQ(bad.acked, sent);
    EXPECT_EQ(letters(bench), sent);
    EXPECT_EQ(bench.counters.connections_held.get(), 1U);
    EXPECT_EQ(bench.counters.accepted.get(), 200 + sent);

    // After the pause a few are let through; they fail too, and the pause is longer: nothing more comes for now.
    bench.added_ns += 1100 * ns_per_ms;
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.fuse_blown[1].get() == 2; }));
    const std::uint64_t tried = letters(bench) - sent;
    EXPECT_GE(tried, 10U);
    EXPECT_LE(tried, 10U + vector_events_max);
    for (int i = 0; i < 20; ++i) bench.step();
    EXPECT_EQ(letters(bench), sent + tried);
}

TEST(Intake, LosesNothingOfAHeldProducerOnceTheOperatorClosesTheFuse) {
    IntakeDirectory directory;
    EdgeConfig config = config_with_fuse(directory.path);
    config.dead_letters.fuse_pause_ms = config.dead_letters.fuse_pause_ms_max = 600'000;  // no trial closes it here
    IntakeBench bench(config);
    IntakeControls controls;
    bench.intake->obey(controls);
    TestProducer bad(bench);
    bad.hello(wire::AckLevel::spooled);
    const std::uint64_t sent = blow(bench, bad);
    // More than the slots that a connection may hold: the rest waits in the socket.
    for (int n = 0; n < 80; ++n) bad.send_event("held-" + std::to_string(n), 0, "{\"n\":6}");
    bench.added_ns += 200 * ns_per_ms;
    for (int i = 0; i < 20; ++i) bench.step();
    bad.look();
    EXPECT_EQ(bad.acked, sent);
    controls.fuse_resets.store(1);
    bench.added_ns += 200 * ns_per_ms;
    ASSERT_TRUE(bad.wait_acked(sent + 80));
    EXPECT_EQ(letters(bench), sent + 80);
}

TEST(Intake, ClosesItsFusesWithNewRules) {
    IntakeDirectory directory;
    const EdgeConfig config = config_with_fuse(directory.path);
    JudgementSlot reloads;
    IntakeBench bench(config);
    bench.intake->take_reloads_from(reloads);
    TestProducer bad(bench);
    bad.hello(wire::AckLevel::spooled);
    const std::uint64_t sent = blow(bench, bad);
    for (int n = 0; n < 80; ++n) bad.send_event("held-" + std::to_string(n), 0, "{\"n\":6}");
    bench.added_ns += 200 * ns_per_ms;
    bench.step();
    EdgeConfig next = config;
    next.rules.clear();
    reloads.offer(std::make_unique<Judgement>(next, IntakeBench::lanes_of(next)));
    ASSERT_TRUE(bench.step_until([&] { return reloads.is_taken(); }));
    bench.added_ns += 200 * ns_per_ms;
    ASSERT_TRUE(bad.wait_acked(sent + 80));
    EXPECT_EQ(letters(bench), sent);
    EXPECT_EQ(bench.counters.fuse_state[1].get(), 0U);
}

TEST(Intake, EndsHeldConnectionsThatPinTooManyReceiveSlots) {
    IntakeDirectory directory;
    EdgeConfig config = config_with_fuse(directory.path);
    config.runtime.receive_slots = 8;  // of which held connections may keep two
    IntakeBench bench(config);
    TestProducer bad(bench);
    bad.hello(wire::AckLevel::spooled);
    const std::uint64_t sent = blow(bench, bad);
    for (int n = 0; n < 4; ++n) {
        bad.send_event("held-" + std::to_string(n), 0, "{\"n\":6}");
        for (int i = 0; i < 5; ++i) bench.step();  // each in a slot of its own
    }
    bench.added_ns += 200 * ns_per_ms;
    ASSERT_TRUE(bench.step_until([&] { return bad.look() && bad.refusal.has_value(); }));
    EXPECT_EQ(bad.refusal->reason, wire::RefusalReason::limit);
    EXPECT_EQ(letters(bench), sent);
}

TEST(Intake, RejectsLettersAboveTheirProducersQuotaAcrossItsConnections) {
    IntakeDirectory directory;
    EdgeConfig config = config_with_fuse(directory.path);
    config.dead_letters.quota_per_minute = 3;
    IntakeBench bench(config);
    for (std::uint64_t connection = 0; connection < 2; ++connection) {
        TestProducer producer(bench);
        producer.hello(wire::AckLevel::spooled, "cam-1");
        for (std::uint64_t n = 1; n <= 4; ++n) {
            producer.send_event("e" + std::to_string(n), 4 * connection + n, n == 4 ? "{\"n\":1}" : "{\"n\":6}");
        }
        ASSERT_TRUE(producer.wait_acked(4));
        std::map<wire::AckStatus, std::uint64_t> events;
        for (const wire::AckRange& range : producer.ranges) {
            events[range.status] += range.count;
            if (range.status != wire::AckStatus::rejected) continue;
            EXPECT_EQ(range.reason, static_cast<std::uint8_t>(wire::Reason::letter_quota));
        }
        EXPECT_EQ(events[wire::AckStatus::accepted], 1U);
        EXPECT_EQ(events[wire::AckStatus::rejected], 3 * connection);
        EXPECT_EQ(events[wire::AckStatus::dead_lettered], 3 * (1 - connection));
    }
    EXPECT_EQ(letters(bench), 3U);
    const auto quota = static_cast<std::size_t>(wire::Reason::letter_quota);
    EXPECT_EQ(bench.counters.rejected_by_reason[quota].get(), 3U);
    bench.added_ns += 61 * ns_per_second;
    TestProducer later(bench);
    later.hello(wire::AckLevel::spooled);
    later.send_event("later", 0, "{\"n\":6}");
    ASSERT_TRUE(later.wait_acked(1));
    EXPECT_EQ(letters(bench), 4U);
}

}  // namespace
}  // namespace weir::edge::test
