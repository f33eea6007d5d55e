// Lanes under pressure, as intake sees them: who waits, what is shed, in which part a batch opens.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

using wire::AckLevel;
using wire::AckStatus;
using wire::Reason;

constexpr StreamIndex open_lane = 0;
constexpr StreamIndex slow_lane = 1;

// Events of type "slow" go to the lane "slow", all others to "default".
EdgeConfig two_lanes(const std::string& directory) {
    EdgeConfig config = IntakeBench::config_at(directory);
    config.lanes.push_back(LaneConfig{.name = "slow"});
    RouteConfig route;
    route.lane = "slow";
    route.types = {"slow"};
    config.routes = {route};
    return config;
}

EdgeConfig shedding_lane(const std::string& directory, ShedPolicy policy) {
    EdgeConfig config = two_lanes(directory);
    config.lanes[1].lane_class = LaneClass::best_effort;
    config.lanes[1].shed = policy;
    return config;
}

// The numbers of a lane's events in the order of their sequences.
std::vector<std::uint64_t> numbers_of(const IntakeBench& bench, LaneId lane) {
    std::vector<std::uint64_t> numbers;
    for (const StoredBatch& batch : bench.stored) {
        if (batch.header.lane != lane) continue;
        wire::for_each_frame(
            batch.body(), [&](const wire::FrameView& frame, std::uint32_t) { numbers.push_back(frame.header.number); });
    }
    return numbers;
}

std::vector<std::uint64_t> up_to(std::uint64_t count) {
    std::vector<std::uint64_t> numbers(count);
    for (std::uint64_t n = 0; n < count; ++n) numbers[n] = n + 1;
    return numbers;
}

std::map<AckStatus, std::uint64_t> counts_of(const TestProducer& producer) {
    std::map<AckStatus, std::uint64_t> counts;
    for (const wire::AckRange& range : producer.ranges) counts[range.status] += range.count;
    return counts;
}

void expect_each_ordinal_once(const TestProducer& producer, std::uint64_t events) {
    std::vector<std::uint64_t> acks(events + 1, 0);
    for (const wire::AckRange& range : producer.ranges) {
        for (std::uint64_t ordinal = range.first_ordinal; ordinal < range.first_ordinal + range.count; ++ordinal) {
            ASSERT_LE(ordinal, events);
            ++acks[ordinal];
        }
    }
    for (std::uint64_t ordinal = 1; ordinal <= events; ++ordinal) ASSERT_EQ(acks[ordinal], 1U) << ordinal;
}

TEST(Lanes, AFullOneStopsOnlyWhoSendsToIt) {
    IntakeDirectory directory;
    IntakeBench bench(two_lanes(directory.path));
    bench.fill(slow_lane, 100);
    TestProducer stuck(bench), free(bench);
    stuck.hello(AckLevel::spooled, "stuck");
    free.hello(AckLevel::spooled, "free");
    for (std::uint64_t n = 1; n <= 300; ++n) stuck.send_event(std::to_string(n), n, "{}", "slow");
    for (std::uint64_t n = 1; n <= 3000; ++n) free.send_event(std::to_string(n), n);
    ASSERT_TRUE(free.wait_acked(3000));
    stuck.look();
    EXPECT_EQ(stuck.acked, 0U);
    EXPECT_EQ(bench.counters.offered.get(), 3000U);
    EXPECT_EQ(bench.counters.waiting.get(), 1U);
    EXPECT_EQ(bench.counters.stalls.get(), 1U);  // It is not tried again and again.
    EXPECT_EQ(bench.counters.slots_held.get(), 0U);
    EXPECT_GT(bench.counters.parked_bytes.get(), 0U);
    bench.fill(slow_lane, 99);
    ASSERT_TRUE(stuck.wait_acked(300));
    EXPECT_EQ(numbers_of(bench, slow_lane), up_to(300));
    expect_each_ordinal_once(stuck, 300);
    EXPECT_EQ(bench.counters.duplicates.get(), 0U);
    EXPECT_EQ(bench.counters.waiting.get(), 0U);
    EXPECT_EQ(bench.counters.parked_bytes.get(), 0U);
}

TEST(Lanes, AProducerToBothStopsAtTheFullOneAndLosesNothing) {
    IntakeDirectory directory;
    IntakeBench bench(two_lanes(directory.path));
    bench.fill(slow_lane, 100);
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled, "both");
    for (std::uint64_t n = 1; n <= 100; ++n)
        producer.send_event(std::to_string(n), n, "{}", n % 10 == 0 ? "slow" : "t");
    ASSERT_TRUE(producer.wait_acked(9));
    for (int i = 0; i < 20; ++i) bench.step();
    producer.look();
    EXPECT_EQ(producer.acked, 9U);
    bench.fill(slow_lane, 0);
    ASSERT_TRUE(producer.wait_acked(100));
    EXPECT_EQ(numbers_of(bench, slow_lane), (std::vector<std::uint64_t>{10, 20, 30, 40, 50, 60, 70, 80, 90, 100}));
    EXPECT_EQ(numbers_of(bench, open_lane).size(), 90U);
    EXPECT_EQ(bench.counters.duplicates.get(), 0U);
}

TEST(Lanes, AKnownEventIsAnsweredAlsoWhileItsLaneIsFull) {
    IntakeDirectory directory;
    IntakeBench bench(two_lanes(directory.path));
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    producer.send_event("a", 0, "{}", "slow");
    ASSERT_TRUE(producer.wait_acked(1));
    bench.fill(slow_lane, 100);
    producer.send_event("a", 0, "{}", "slow");
    ASSERT_TRUE(producer.wait_acked(2));
    EXPECT_EQ(producer.ranges.back().status, AckStatus::duplicate);
}

TEST(Lanes, AGoodbyeBehindWhatWaitsIsAnsweredBehindIt) {
    IntakeDirectory directory;
    IntakeBench bench(two_lanes(directory.path));
    bench.fill(slow_lane, 100);
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    producer.send_event("a", 0, "{}", "slow");
    producer.send_frame(wire::FrameKind::goodbye, {});
    for (int i = 0; i < 20; ++i) bench.step();
    producer.look();
    EXPECT_FALSE(producer.goodbye);
    EXPECT_FALSE(producer.refusal.has_value());
    bench.fill(slow_lane, 50);
    ASSERT_TRUE(bench.step_until([&] { return producer.look() && producer.goodbye; }));
    EXPECT_EQ(producer.acked, 1U);
}

TEST(Lanes, WhoWaitsAndGoesAwayLeavesNothingBehind) {
    IntakeDirectory directory;
    IntakeBench bench(two_lanes(directory.path));
    bench.fill(slow_lane, 100);
    {
        TestProducer producer(bench);
        producer.hello(AckLevel::spooled, "cam");
        for (std::uint64_t n = 1; n <= 100; ++n) producer.send_event(std::to_string(n), n, "{}", "slow");
        ASSERT_TRUE(bench.step_until([&] { return bench.counters.waiting.get() == 1; }));
    }
    for (int i = 0; i < 20; ++i) bench.step();
    bench.fill(slow_lane, 0);
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.connections.get() == 0; }));
    EXPECT_EQ(bench.counters.waiting.get(), 0U);
    EXPECT_EQ(bench.counters.parked_bytes.get(), 0U);
    EXPECT_EQ(bench.counters.slots_held.get(), 0U);
    TestProducer again(bench);
    again.hello(AckLevel::spooled, "cam");
    ASSERT_TRUE(again.welcome.has_value());
    EXPECT_EQ(again.welcome->last_number, numbers_of(bench, slow_lane).size());
}

TEST(Lanes, WhatFindsNoPlaceToWaitIsSentAwayAndComesAgain) {
    IntakeDirectory directory;
    EdgeConfig config = two_lanes(directory.path);
    config.listen.waiting_bytes_max = 256U << 10;
    IntakeBench bench(config);
    bench.fill(slow_lane, 100);
    const std::string payload = "\"" + std::string(60'000, 'x') + "\"";
    std::vector<std::unique_ptr<TestProducer>> producers;
    std::size_t refused = 0;
    for (int n = 0; n < 6; ++n) {
        producers.push_back(std::make_unique<TestProducer>(bench));
        producers.back()->hello(AckLevel::spooled);
        producers.back()->send_event(std::to_string(n), 0, payload, "slow");
        for (int i = 0; i < 10; ++i) bench.step();
        bench.added_ns += park_after_ns;
        for (int i = 0; i < 10; ++i) bench.step();
        producers.back()->look();
        if (!producers.back()->refusal.has_value()) continue;
        EXPECT_EQ(producers.back()->refusal->reason, wire::RefusalReason::storage);
        ++refused;
    }
    EXPECT_GE(refused, 1U);
    EXPECT_LE(refused, 3U);
    EXPECT_LE(bench.counters.parked_bytes.get(), config.listen.waiting_bytes_max);
    EXPECT_EQ(bench.counters.slots_held.get(), 0U);
    bench.fill(slow_lane, 0);
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.accepted.get() == 6 - refused; }));
}

// Small and large events of several producers, cut anywhere, to lanes that fill and empty at any time: each is taken once, in order.
TEST(Lanes, KeepTheOrderAndLoseNothingWhateverFillsWhen) {
    for (std::uint32_t seed = 1; seed <= 12; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        IntakeDirectory directory;
        EdgeConfig config = two_lanes(directory.path);
        config.runtime.receive_slots = 12;
        IntakeBench bench(config);
        constexpr std::uint64_t events = 150;
        constexpr std::size_t count = 4;
        std::vector<std::unique_ptr<TestProducer>> producers;
        std::vector<std::vector<std::byte>> streams(count);
        wire::EventBuilder builder;
        for (std::size_t index = 0; index < count; ++index) {
            producers.push_back(std::make_unique<TestProducer>(bench));
            producers.back()->hello(AckLevel::spooled, "p-" + std::to_string(index));
            for (std::uint64_t n = 1; n <= events; ++n) {
                const std::string payload(random() % 10 == 0 ? random() % 90'000 : random() % 900, 'x');
                const std::string key = std::to_string(index);
                wire::EventView event;
                event.id = "e";
                event.type = random() % 4 == 0 ? "slow" : "t";
                event.source = "s";
                event.key = key;
                event.payload = payload;
                TestProducer::append_frame(streams[index], wire::FrameKind::event, builder.build(event), n);
            }
        }
        std::vector<std::size_t> sent(count, 0);
        const auto all_sent = [&] {
            for (std::size_t index = 0; index < count; ++index) {
                if (sent[index] < streams[index].size()) return false;
            }
            return true;
        };
        for (int round = 0; round < 200'000 && !all_sent(); ++round) {
            const std::size_t index = random() % count;
            const std::size_t rest = streams[index].size() - sent[index];
            const std::size_t part = std::min<std::size_t>(rest, 1 + random() % 40'000);
            if (part > 0)
                sent[index] += producers[index]->try_send(ConstBytes(streams[index]).subspan(sent[index], part));
            if (random() % 3 == 0) {
                bench.fill(static_cast<StreamIndex>(random() % 2), random() % 2 == 0 ? 100 : 10);
            }
            bench.step();
        }
        ASSERT_TRUE(all_sent());
        bench.fill(open_lane, 0);
        bench.fill(slow_lane, 0);
        for (auto& producer : producers) {
            ASSERT_TRUE(producer->wait_acked(events));
            EXPECT_FALSE(producer->refusal.has_value());
            expect_each_ordinal_once(*producer, events);
        }
        EXPECT_GT(bench.counters.stalls.get(), 5U);
        EXPECT_EQ(bench.counters.accepted.get(), count * events);
        EXPECT_EQ(bench.counters.duplicates.get(), 0U);
        EXPECT_EQ(bench.counters.parked_bytes.get(), 0U);
        EXPECT_EQ(bench.counters.slots_held.get(), 0U);
        std::map<std::uint16_t, std::array<std::uint64_t, 2>> last;
        for (const StoredBatch& batch : bench.stored) {
            wire::for_each_frame(batch.body(), [&](const wire::FrameView& frame, std::uint32_t) {
                std::uint64_t& before = last[frame.header.tag][batch.header.lane];
                EXPECT_GT(frame.header.number, before);
                before = frame.header.number;
            });
        }
    }
}

TEST(Lanes, OneWhoseBatchesNeverComeBackLeavesBuffersToTheOthers) {
    IntakeDirectory directory;
    EdgeConfig config = two_lanes(directory.path);
    config.lanes[1].batch_events = 1;
    IntakeBench bench(config);
    bench.stuck = {slow_lane};
    TestProducer stuck(bench), free(bench);
    stuck.hello(AckLevel::spooled, "stuck");
    free.hello(AckLevel::spooled, "free");
    for (std::uint64_t n = 1; n <= 40; ++n) {
        stuck.send_event(std::to_string(n), n, "{}", "slow");
        bench.step();
    }
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.waiting.get() == 1; }));
    EXPECT_EQ(bench.counters.buffers_free.get(), 2U);  // one for each other lane
    for (std::uint64_t n = 1; n <= 2000; ++n) free.send_event(std::to_string(n), n);
    ASSERT_TRUE(free.wait_acked(2000));
    free.send_frame(wire::FrameKind::event, std::array<std::byte, 24>{}, 2001);
    ASSERT_TRUE(free.wait_acked(2001));  // A dead letter has its lane, too.
    bench.stuck.clear();
    ASSERT_TRUE(stuck.wait_acked(40));
    EXPECT_EQ(numbers_of(bench, slow_lane), up_to(40));
}

TEST(Lanes, ThoseWhoWaitForCentralUseUpTheRunsOfTheirOwnLaneAndOfNoOther) {
    IntakeDirectory directory;
    IntakeBench bench(two_lanes(directory.path));
    bench.keeps_batches = false;
    wire::EventBuilder builder;
    // A dead letter between any two: none shares a run with the one before it.
    const auto send_all = [&](TestProducer& producer, std::string_view source) {
        std::vector<std::byte> own;
        for (std::uint64_t n = 0; n < 8192; ++n) {
            const std::string id = std::to_string(n);
            wire::EventView event;
            event.id = id;
            event.type = "slow";
            event.source = source;
            TestProducer::append_frame(own, wire::FrameKind::event, std::array<std::byte, 24>{}, 0);
            TestProducer::append_frame(own, wire::FrameKind::event, builder.build(event), 0);
        }
        producer.send_bytes(own);
        ASSERT_TRUE(producer.wait_acked(8192));  // the dead letters
    };
    TestProducer first(bench), second(bench), third(bench), spooled(bench);
    first.hello(AckLevel::delivered);
    second.hello(AckLevel::delivered);
    third.hello(AckLevel::delivered);
    spooled.hello(AckLevel::spooled);
    send_all(first, "first");
    send_all(second, "second");
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.accepted.get() == 4 * 8192; }));
    third.send_event("t", 0, "{}", "slow");
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.waiting.get() == 1; }));
    spooled.send_event("s", 0, "{}", "slow");
    ASSERT_TRUE(spooled.wait_acked(1));
    TestProducer other(bench);
    other.hello(AckLevel::delivered);
    other.send_event("o");
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.accepted.get() == 4 * 8192 + 2; }));
    bench.deliver(open_lane, 1);
    ASSERT_TRUE(other.wait_acked(1));
    EXPECT_EQ(bench.counters.waiting.get(), 1U);
    bench.deliver(slow_lane, 2 * 8192 + 1);
    ASSERT_TRUE(first.wait_acked(2 * 8192));
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.waiting.get() == 0; }));
    bench.deliver(slow_lane, 2 * 8192 + 2);
    ASSERT_TRUE(third.wait_acked(1));
}

TEST(Lanes, BatchesOpenInThePartThatTheSpoolNamedLast) {
    IntakeDirectory directory;
    EdgeConfig config = two_lanes(directory.path);
    config.lanes[0].drain = Drain::live_first;
    config.lanes[0].linger_us = 1'000'000;
    IntakeBench bench(config);
    bench.stuck = {1};
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    producer.send_event("a");
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.accepted.get() == 1; }));
    EXPECT_TRUE(bench.stored.empty());
    bench.say({.kind = ToIntake::Kind::opens_in, .stream = 1});
    ASSERT_TRUE(producer.wait_acked(1));  // What was open is closed as it is.
    for (int n = 0; n < 3; ++n) producer.send_event("b" + std::to_string(n));
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.accepted.get() == 4; }));
    bench.say({.kind = ToIntake::Kind::opens_in, .stream = 0});
    producer.send_event("c");
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.accepted.get() == 5; }));
    bench.added_ns = 2 * ns_per_second;
    ASSERT_TRUE(producer.wait_acked(2));  // "c": its stream is durable, whatever becomes of the other.
    EXPECT_EQ(producer.acked, 2U);
    ASSERT_EQ(bench.stored.size(), 3U);
    const auto is = [&](std::size_t index, wire::Part part, Sequence first, std::uint32_t count) {
        const wire::BatchHeader& header = bench.stored[index].header;
        EXPECT_EQ(header.lane, 0);
        EXPECT_EQ(header.part, part);
        EXPECT_EQ(header.first_sequence, first);
        EXPECT_EQ(header.count, count);
        EXPECT_EQ(header.totals.accepted, header.last_sequence());
    };
    is(0, wire::Part::live, 1, 1);
    is(1, wire::Part::backlog, 1, 3);
    is(2, wire::Part::live, 2, 1);
    EXPECT_EQ(bench.stored[1].header.previous_crc, 0U);
    EXPECT_EQ(bench.stored[2].header.previous_crc, bench.stored[0].header.header_crc);
    bench.stuck.clear();
    ASSERT_TRUE(producer.wait_acked(5));
}

TEST(Lanes, ALaneIsAsFullAsTheFullerOfItsParts) {
    std::vector<LaneState> streams(3);
    streams[1].part = wire::Part::backlog;
    streams[2].id = 1;
    Shedding shedding(streams, 1);
    shedding.filled(0, 30);
    shedding.filled(1, 100);
    EXPECT_TRUE(shedding.is_full(0));
    EXPECT_FALSE(shedding.is_full(2));
    shedding.filled(1, 20);
    EXPECT_EQ(shedding.fill(0), 30);
}

TEST(Lanes, ADurableOneNeverSheds) {
    std::vector<LaneState> streams(1);
    Shedding shedding(streams, 1);
    for (const ShedPolicy policy : {ShedPolicy::oldest, ShedPolicy::newest, ShedPolicy::random}) {
        shedding.configure({ShedRule{.is_best_effort = false, .policy = policy}});
        for (const int fill : {0, 51, 99, 100}) {
            shedding.filled(0, static_cast<std::uint8_t>(fill));
            for (const bool is_critical : {false, true}) {
                shedding.shed_best_effort(is_critical);
                for (int n = 0; n < 100; ++n) ASSERT_FALSE(shedding.judge(0).has_value());
                EXPECT_FALSE(shedding.sheds_all(0));
            }
        }
    }
}

TEST(Lanes, RandomShedsEverMoreOfWhatComesAndTheSameForTheSameSeed) {
    std::vector<LaneState> streams(1);
    const auto shed_of = [&](std::uint64_t seed, std::uint8_t fill) {
        Shedding shedding(streams, seed);
        shedding.configure({ShedRule{.is_best_effort = true, .policy = ShedPolicy::random}});
        shedding.filled(0, fill);
        std::vector<bool> shed;
        for (int n = 0; n < 10'000; ++n) {
            const auto reason = shedding.judge(0);
            shed.push_back(reason.has_value());
            const Reason expected = fill == 100 ? Reason::lane_full : Reason::shed_random;
            EXPECT_EQ(reason.value_or(expected), expected);
        }
        return shed;
    };
    const auto share_of = [&](std::uint8_t fill) {
        const auto shed = shed_of(7, fill);
        return std::count(shed.begin(), shed.end(), true) / 100;  // percent
    };
    EXPECT_EQ(share_of(0), 0);
    EXPECT_EQ(share_of(40), 0);
    EXPECT_EQ(share_of(random_shed_above_fill), 0);
    EXPECT_NEAR(static_cast<double>(share_of(60)), 20, 2);
    EXPECT_NEAR(static_cast<double>(share_of(75)), 50, 2);
    EXPECT_NEAR(static_cast<double>(share_of(99)), 98, 2);
    EXPECT_EQ(share_of(100), 100);
    EXPECT_EQ(shed_of(3, 75), shed_of(3, 75));
    EXPECT_NE(shed_of(3, 75), shed_of(4, 75));
}

TEST(Shed, AFullBestEffortLaneTellsTheProducerAndCountsItInTheLedgerOfItsStream) {
    IntakeDirectory directory;
    const EdgeConfig config = shedding_lane(directory.path, ShedPolicy::newest);
    std::vector<LaneState> streams = IntakeBench::lanes_of(config);
    {
        IntakeBench bench(config);
        TestProducer producer(bench);
        producer.hello(AckLevel::spooled, "cam");
        producer.send_event("1", 1, "{}", "slow");
        ASSERT_TRUE(producer.wait_acked(1));
        bench.fill(slow_lane, 100);
        for (std::uint64_t n = 2; n <= 51; ++n) producer.send_event(std::to_string(n), n, "{}", "slow");
        producer.send_event("52", 52);
        ASSERT_TRUE(producer.wait_acked(52));
        EXPECT_EQ(counts_of(producer)[AckStatus::shed], 50U);
        for (const wire::AckRange& range : producer.ranges) {
            const auto expected = range.status == AckStatus::shed ? Reason::lane_full : Reason::none;
            EXPECT_EQ(range.reason, static_cast<std::uint8_t>(expected));
        }
        // Its number is taken: it is a duplicate, and no gap.
        producer.send_event("7", 7, "{}", "slow");
        ASSERT_TRUE(producer.wait_acked(53));
        EXPECT_EQ(producer.ranges.back().status, AckStatus::duplicate);
        EXPECT_EQ(bench.counters.waiting.get(), 0U);
        EXPECT_EQ(bench.counters.accepted.get(), 52U);
        EXPECT_EQ(bench.counters.shed[slow_lane].unsequenced.get(), 50U);
        EXPECT_EQ(bench.counters.shed[slow_lane].lane_full.get(), 50U);
        bench.fill(slow_lane, 90);
        producer.send_event("53", 53, "{}", "slow");
        ASSERT_TRUE(producer.wait_acked(54));
        const wire::BatchHeader& last = bench.stored.back().header;
        EXPECT_EQ(last.lane, slow_lane);
        EXPECT_EQ(last.first_sequence, 2U);
        EXPECT_EQ(last.totals.accepted, 52U);
        EXPECT_EQ(last.totals.shed, 50U);
        EXPECT_EQ(last.totals.shed_unsequenced(last.last_sequence()), 50U);
        for (const StoredBatch& batch : bench.stored) {
            LaneState& stream = streams[batch.header.lane];
            stream.last_sequence = batch.header.last_sequence();
            stream.totals = batch.header.totals;
            stream.previous_crc = batch.header.header_crc;
        }
    }
    IntakeBench after(config, streams);
    EXPECT_EQ(after.counters.accepted.get(), 53U);
    EXPECT_EQ(after.counters.shed[slow_lane].unsequenced.get(), 50U);
    TestProducer producer(after);
    producer.hello(AckLevel::spooled);
    producer.send_event("x", 0, "{}", "slow");
    ASSERT_TRUE(producer.wait_acked(1));
    EXPECT_EQ(after.stored.back().header.totals.accepted, 53U);
    EXPECT_EQ(after.stored.back().header.totals.shed, 50U);
}

TEST(Shed, AnUnnumberedEventThatWasShedIsNewWhenItComesAgain) {
    IntakeDirectory directory;
    IntakeBench bench(shedding_lane(directory.path, ShedPolicy::random));
    bench.fill(slow_lane, 100);
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    producer.send_event("a", 0, "{}", "slow");
    ASSERT_TRUE(producer.wait_acked(1));
    EXPECT_EQ(producer.ranges.back().status, AckStatus::shed);
    bench.fill(slow_lane, 0);
    producer.send_event("a", 0, "{}", "slow");
    ASSERT_TRUE(producer.wait_acked(2));
    EXPECT_EQ(producer.ranges.back().status, AckStatus::accepted);
}

TEST(Shed, AnEdgeThatIsCriticalTakesForDurableLanesOnly) {
    IntakeDirectory directory;
    IntakeBench bench(shedding_lane(directory.path, ShedPolicy::oldest));
    bench.intake->shed_best_effort(true);
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    producer.send_event("a", 0, "{}", "slow");
    producer.send_event("b");
    ASSERT_TRUE(producer.wait_acked(2));
    EXPECT_EQ(producer.ranges[0].status, AckStatus::shed);
    EXPECT_EQ(producer.ranges[0].reason, static_cast<std::uint8_t>(Reason::shed_critical));
    EXPECT_EQ(bench.counters.shed[slow_lane].critical.get(), 1U);
    EXPECT_EQ(counts_of(producer)[AckStatus::accepted], 1U);
}

EdgeConfig pairs_on_a_shedding_lane(const std::string& path) {
    EdgeConfig config = shedding_lane(path, ShedPolicy::oldest);
    config.lanes[1].batch_events = 2;
    return config;
}
// Five batches of two, durable here, whose producer waits for central.
void send_ten_that_wait(IntakeBench& bench, TestProducer& producer) {
    producer.hello(AckLevel::delivered, "cam");
    for (std::uint64_t n = 1; n <= 10; ++n) {
        producer.send_event(std::to_string(n), n, "{}", "slow");
        ASSERT_TRUE(bench.step_until([&] { return bench.counters.accepted.get() == n; }));
        ASSERT_TRUE(bench.step_until([&] { return bench.events_spooled >= n / 2 * 2; }));
    }
}

TEST(Shed, WhoWaitsForCentralIsToldWhatTheSpoolGaveUp) {
    IntakeDirectory directory;
    IntakeBench bench(pairs_on_a_shedding_lane(directory.path));
    TestProducer producer(bench);
    ASSERT_NO_FATAL_FAILURE(send_ten_that_wait(bench, producer));
    // 1 and 2 are on their way to central; 3 to 6 were not sent.
    bench.say(
        {.kind = ToIntake::Kind::shed, .stream = slow_lane, .first_sequence = 3, .last_sequence = 6, .shed_events = 4});
    ASSERT_TRUE(producer.wait_acked(4));
    EXPECT_EQ(counts_of(producer)[AckStatus::shed], 4U);
    EXPECT_EQ(producer.ranges[0].first_ordinal, 3U);
    EXPECT_EQ(producer.ranges[0].reason, static_cast<std::uint8_t>(Reason::shed_oldest));
    EXPECT_EQ(bench.counters.shed[slow_lane].sequences.get(), 4U);
    // Central has the rest, and a gap for those.
    bench.deliver(slow_lane, 10);
    ASSERT_TRUE(producer.wait_acked(10));
    EXPECT_EQ(counts_of(producer)[AckStatus::accepted], 6U);
    producer.send_event("11", 11, "{}", "slow");
    ASSERT_TRUE(bench.step_until([&] { return bench.events_spooled == 11; }));
    EXPECT_EQ(bench.stored.back().header.totals.accepted, 11U);
    EXPECT_EQ(bench.stored.back().header.totals.shed, 4U);
    EXPECT_EQ(bench.counters.accepted.get(), 11U);
}

// Two rows with what central has between them; and central turned out to have some of what was given up before.
TEST(Shed, WhoWaitsIsToldOfEachRowAndOfNothingElseWhateverTheTotalSays) {
    IntakeDirectory directory;
    IntakeBench bench(pairs_on_a_shedding_lane(directory.path));
    TestProducer producer(bench);
    ASSERT_NO_FATAL_FAILURE(send_ten_that_wait(bench, producer));
    const auto shed = [&](Sequence first, Sequence last, std::uint64_t in_all) {
        bench.say({.kind = ToIntake::Kind::shed,
                   .stream = slow_lane,
                   .first_sequence = first,
                   .last_sequence = last,
                   .shed_events = in_all});
    };
    shed(1, 2, 2);
    shed(0, 0, 0);
    shed(7, 8, 2);
    ASSERT_TRUE(producer.wait_acked(4));
    EXPECT_EQ(producer.ranges[0].first_ordinal, 1U);
    EXPECT_EQ(producer.ranges[1].first_ordinal, 7U);
    EXPECT_EQ(counts_of(producer)[AckStatus::shed], 4U);
    bench.deliver(slow_lane, 10);
    ASSERT_TRUE(producer.wait_acked(10));
    EXPECT_EQ(counts_of(producer)[AckStatus::accepted], 6U);
    EXPECT_EQ(bench.counters.shed[slow_lane].sequences.get(), 2U);
}

TEST(Shed, ADeadLetterThatIsOfferedAgainIsNeverShed) {
    IntakeDirectory directory;
    IntakeBench bench(shedding_lane(directory.path, ShedPolicy::newest));
    bench.fill(slow_lane, 100);
    TestProducer replay(bench);
    replay.hello(AckLevel::spooled, "dead-letters-0000000000000007-north");
    replay.send_event("a", 5, "{}", "slow");
    ASSERT_TRUE(replay.wait_acked(1));
    EXPECT_EQ(replay.ranges[0].status, AckStatus::rejected);
    EXPECT_EQ(replay.ranges[0].reason, static_cast<std::uint8_t>(Reason::lane_full));
    bench.fill(slow_lane, 0);
    replay.send_event("a", 5, "{}", "slow");
    ASSERT_TRUE(replay.wait_acked(2));
    EXPECT_EQ(replay.ranges.back().status, AckStatus::accepted);
}

// The lane "slow" lives in memory: what the bench calls durable is in memory there.
EdgeConfig memory_lane(const std::string& directory) {
    EdgeConfig config = shedding_lane(directory, ShedPolicy::newest);
    config.lanes[1].spool = LaneSpool::memory;
    return config;
}

TEST(MemoryLane, AnswersSpooledWhenCentralHasTheEventAndReceivedAtOnce) {
    IntakeDirectory directory;
    IntakeBench bench(memory_lane(directory.path));
    TestProducer received(bench), spooled(bench), delivered(bench);
    received.hello(AckLevel::received);
    spooled.hello(AckLevel::spooled, "cam");
    delivered.hello(AckLevel::delivered);
    received.send_event("r", 0, "{}", "slow");
    ASSERT_TRUE(received.wait_acked(1));
    spooled.send_event("1", 1, "{}", "slow");
    delivered.send_event("d", 0, "{}", "slow");
    ASSERT_TRUE(bench.step_until([&] { return bench.events_spooled == 3; }));
    for (int i = 0; i < 20; ++i) bench.step();
    spooled.look();
    delivered.look();
    EXPECT_EQ(spooled.acked, 0U);
    EXPECT_EQ(delivered.acked, 0U);
    bench.deliver(slow_lane, 3);
    ASSERT_TRUE(spooled.wait_acked(1));
    ASSERT_TRUE(delivered.wait_acked(1));
    EXPECT_EQ(spooled.ranges.back().status, AckStatus::accepted);
}

TEST(MemoryLane, OneThatIsStuckHoldsUpNoDuplicateOfALaneOnTheDisk) {
    IntakeDirectory directory;
    IntakeBench bench(memory_lane(directory.path));
    TestProducer producer(bench), other(bench);
    producer.hello(AckLevel::spooled);
    other.hello(AckLevel::spooled);
    producer.send_event("a", 0, "{}", "slow");
    producer.send_event("a", 0, "{}", "slow");
    other.send_event("b");
    other.send_event("b");
    ASSERT_TRUE(other.wait_acked(2));
    EXPECT_EQ(counts_of(other)[AckStatus::duplicate], 1U);
    for (int i = 0; i < 20; ++i) bench.step();
    producer.look();
    EXPECT_EQ(producer.acked, 0U) << "its duplicate waits for what its original waits for";
    bench.deliver(slow_lane, 1);
    bench.deliver(open_lane, 1);
    ASSERT_TRUE(producer.wait_acked(2));
    EXPECT_EQ(counts_of(producer)[AckStatus::duplicate], 1U);
}

// Intake's checkpoint knows what a crash took: it is not called a duplicate, as if its original had come as far as is asked for.
TEST(MemoryLane, WhatACrashTookIsSaidToBeLostAndNotTakenTwice) {
    IntakeDirectory directory;
    const EdgeConfig config = memory_lane(directory.path);
    {
        IntakeBench bench(config);
        TestProducer producer(bench), plain(bench);
        producer.hello(AckLevel::spooled, "cam");
        plain.hello(AckLevel::received);
        producer.send_event("1", 1, "{}", "slow");
        producer.send_event("2", 2, "{}", "slow");
        producer.send_event("3", 3);
        plain.send_event("x", 0, "{}", "slow");
        ASSERT_TRUE(bench.step_until([&] { return bench.events_spooled == 4; }));
        bench.added_ns += 60 * ns_per_second;
        const std::uint64_t stored = bench.counters.checkpoints.get();
        ASSERT_TRUE(bench.step_until([&] { return bench.counters.checkpoints.get() > stored; }));
    }
    std::vector<LaneState> streams = IntakeBench::lanes_of(config);
    streams[open_lane].last_sequence = streams[open_lane].delivered_sequence = 1;
    streams[slow_lane].last_sequence = 300;
    streams[slow_lane].totals.accepted = 300;
    streams[slow_lane].has_lost_some = true;
    IntakeBench bench(config, streams);
    TestProducer producer(bench), plain(bench), again(bench);
    producer.hello(AckLevel::spooled, "cam");
    plain.hello(AckLevel::delivered);
    again.hello(AckLevel::received);
    producer.send_event("1", 1, "{}", "slow");
    producer.send_event("2", 2, "{}", "slow");
    producer.send_event("3", 3);
    ASSERT_TRUE(producer.wait_acked(3));
    EXPECT_EQ(counts_of(producer)[AckStatus::shed], 2U);
    EXPECT_EQ(counts_of(producer)[AckStatus::duplicate], 1U) << "that of a lane on the disk is where it was";
    for (const wire::AckRange& range : producer.ranges) {
        if (range.status != AckStatus::shed) continue;
        EXPECT_EQ(range.reason, static_cast<std::uint8_t>(Reason::memory_lost));
    }
    plain.send_event("x", 0, "{}", "slow");
    ASSERT_TRUE(plain.wait_acked(1));
    EXPECT_EQ(plain.ranges.back().status, AckStatus::shed);
    again.send_event("x", 0, "{}", "slow");
    ASSERT_TRUE(again.wait_acked(1));
    EXPECT_EQ(again.ranges.back().status, AckStatus::duplicate) << "received it was";
    EXPECT_EQ(bench.events_spooled, 0U);
    EXPECT_EQ(bench.counters.duplicates.get(), 5U);
    // What comes in this life is known as anywhere.
    producer.send_event("4", 4, "{}", "slow");
    producer.send_event("4", 4, "{}", "slow");
    ASSERT_TRUE(bench.step_until([&] { return bench.events_spooled == 1; }));
    bench.deliver(slow_lane, 301);
    ASSERT_TRUE(producer.wait_acked(5));
    EXPECT_EQ(counts_of(producer)[AckStatus::accepted], 1U);
    EXPECT_EQ(counts_of(producer)[AckStatus::duplicate], 2U);
}

// Numbers that were shed are in no batch: a crash may forget them, and must not stop the producer for good.
TEST(Shed, WhatACrashForgotOfAProducersNumbersItMayLeaveOutUntilItSaysGoodbye) {
    IntakeDirectory directory;
    const EdgeConfig config = shedding_lane(directory.path, ShedPolicy::newest);
    std::vector<StoredBatch> spooled;
    {
        IntakeBench bench(config);
        TestProducer producer(bench);
        producer.hello(AckLevel::spooled, "cam");
        producer.send_event("1", 1, "{}", "slow");
        ASSERT_TRUE(producer.wait_acked(1));
        bench.fill(slow_lane, 100);
        for (std::uint64_t n = 2; n <= 9; ++n) producer.send_event(std::to_string(n), n, "{}", "slow");
        ASSERT_TRUE(producer.wait_acked(9));
        spooled = bench.stored;
    }
    std::vector<LaneState> streams = IntakeBench::lanes_of(config);
    streams[slow_lane].last_sequence = 1;
    IntakeBench bench(config, streams, &spooled);
    {
        TestProducer producer(bench);
        producer.hello(AckLevel::spooled, "cam");
        ASSERT_TRUE(producer.welcome.has_value());
        EXPECT_EQ(producer.welcome->last_number, 1U);
        producer.send_event("10", 10);
        producer.send_event("12", 12);
        ASSERT_TRUE(producer.wait_acked(2));
        EXPECT_EQ(counts_of(producer)[AckStatus::accepted], 2U);
        producer.send_frame(wire::FrameKind::goodbye, {});
        ASSERT_TRUE(bench.step_until([&] { return producer.look() && producer.goodbye; }));
    }
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.connections.get() == 0; }));
    TestProducer again(bench);
    again.hello(AckLevel::spooled, "cam");
    again.send_event("11", 11);
    again.send_event("14", 14);
    ASSERT_TRUE(bench.step_until([&] { return again.look() && again.refusal.has_value(); }));
    EXPECT_EQ(again.refusal->reason, wire::RefusalReason::number_gap);
}

}  // namespace
}  // namespace weir::edge::test
