// listen.rate_events_max: a producer gets credit no faster than its rate, waits, and loses nothing by it.
#include <gtest/gtest.h>

#include <string>

#include "edge/intake/rate_quota.hpp"
#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

TEST(RateQuota, AllowsARateToTheEventHoweverOftenItIsAsked) {
    constexpr std::uint64_t rate = 333'333;
    const RateQuota quota(rate);
    for (const std::uint64_t pause_ns : {700ULL, 10'000ULL, 2'500'000ULL}) {
        MonotonicNs now{5};
        RateQuota::Used used = quota.begin(now);
        std::uint64_t sent = used.allowed;
        for (std::uint64_t passed = 0; passed < 2 * ns_per_second; passed += pause_ns) {
            now = now.plus_ns(pause_ns);
            const std::uint64_t allowed = quota.fill(used, sent, now);
            ASSERT_GE(allowed, sent);
            ASSERT_LE(allowed, sent + quota.burst());
            sent = allowed;  // it sends all it may
        }
        EXPECT_NEAR(static_cast<double>(sent - quota.burst()), 2.0 * rate,
                    2 + rate * 1e-9 * static_cast<double>(pause_ns));
    }
}

TEST(RateQuota, DoesNotSaveUpMoreThanABurst) {
    const RateQuota quota(1000);
    EXPECT_EQ(quota.burst(), rate_burst_min);
    RateQuota::Used used = quota.begin(MonotonicNs{});
    EXPECT_EQ(quota.fill(used, 10, MonotonicNs{}.plus_ns(3600 * ns_per_second)), 10 + quota.burst());
    const RateQuota fastest(rate_events_max);
    used = fastest.begin(MonotonicNs{});
    EXPECT_EQ(fastest.fill(used, 1ULL << 60, MonotonicNs{}.plus_ns(3600 * ns_per_second)),
              (1ULL << 60) + fastest.burst());
}

TEST(RateQuota, OfAnotherRateTakesWhatWasSentUnderAnyRate) {
    const RateQuota quota(1000);
    RateQuota::Used used;
    EXPECT_EQ(quota.fill(used, 5'000'000, MonotonicNs{}.plus_ns(1)), 5'000'000U);
}

class RateQuotaOfAnEdge : public testing::Test {
  protected:
    static EdgeConfig config_of(const std::string& directory, std::uint64_t rate) {
        EdgeConfig config = IntakeBench::config_at(directory);
        config.listen.rate_events_max = rate;
        return config;
    }
    static void send(TestProducer& producer, std::uint64_t first, std::uint64_t events) {
        for (std::uint64_t i = 0; i < events; ++i) producer.send_event("e" + std::to_string(first + i));
    }
    IntakeDirectory directory;
};

TEST_F(RateQuotaOfAnEdge, GivesCreditAsTimePassesThoughNothingIsAcked) {
    IntakeBench bench(config_of(directory.path, 10));  // slow, so that the clock beside the test's steps adds nothing
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    ASSERT_EQ(producer.credit, rate_burst_min);
    send(producer, 0, rate_burst_min);
    ASSERT_TRUE(producer.wait_acked(rate_burst_min));
    EXPECT_LT(producer.credit, rate_burst_min + RateQuota(10).step());
    EXPECT_EQ(bench.counters.rate_waits.get(), 1U);

    // It sleeps no longer than until the next step.
    const MonotonicNs now = bench.io->now();
    EXPECT_LE(bench.intake->next_deadline().since(now), RateQuota(10).step_ns());
    bench.added_ns += 2 * ns_per_second;
    ASSERT_TRUE(bench.step_until([&] { return producer.look() && producer.credit >= rate_burst_min + 20; }));
    EXPECT_LE(producer.credit, rate_burst_min + 20 + RateQuota(10).step());
    send(producer, rate_burst_min, 20);
    EXPECT_TRUE(producer.wait_acked(rate_burst_min + 20));
    EXPECT_FALSE(producer.refusal.has_value());
}

TEST_F(RateQuotaOfAnEdge, HoldsNobodyElse) {
    IntakeBench bench(config_of(directory.path, 10));
    TestProducer fast(bench);
    fast.hello(wire::AckLevel::spooled);
    send(fast, 0, fast.credit);
    ASSERT_TRUE(fast.wait_acked(rate_burst_min));
    TestProducer slow(bench);
    slow.hello(wire::AckLevel::spooled);
    send(slow, 1000, 3);
    EXPECT_TRUE(slow.wait_acked(3));
    EXPECT_GE(slow.credit, rate_burst_min);
}

TEST_F(RateQuotaOfAnEdge, WithoutARateCreditIsWhatMayBeUnacked) {
    const EdgeConfig config = config_of(directory.path, 0);
    IntakeBench bench(config);
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    ASSERT_EQ(producer.credit, config.listen.credit_events);
    send(producer, 0, 100);
    ASSERT_TRUE(producer.wait_acked(100));
    EXPECT_EQ(producer.credit, 100 + config.listen.credit_events);
    EXPECT_EQ(bench.counters.rate_waits.get(), 0U);
}

TEST_F(RateQuotaOfAnEdge, IsTakenWhileItRuns) {
    const EdgeConfig config = config_of(directory.path, 0);
    JudgementSlot reloads;
    IntakeBench bench(config);
    bench.intake->take_reloads_from(reloads);
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    const std::uint64_t before = producer.credit;
    const auto lanes = IntakeBench::lanes_of(config);
    reloads.offer(std::make_unique<Judgement>(config_of(directory.path, 10), lanes));
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.reloads.get() == 1; }));
    send(producer, 0, 100);
    ASSERT_TRUE(producer.wait_acked(100));
    EXPECT_EQ(producer.credit, before);  // what was granted stays granted, and nothing comes to it

    reloads.take_back();
    reloads.offer(std::make_unique<Judgement>(config, lanes));
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.reloads.get() == 2; }));
    send(producer, 100, 1);
    ASSERT_TRUE(producer.wait_acked(101));
    EXPECT_EQ(producer.credit, 101 + config.listen.credit_events);
}

}  // namespace
}  // namespace weir::edge::test
