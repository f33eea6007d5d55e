// Latency hop by hop, in fair weather: the parts add up to the whole, at the edge and at central, and each event is in each once.
#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "tests/simulation/nodes.hpp"
#include "tests/simulation/producer.hpp"

namespace weir::sim {
namespace {

constexpr std::uint32_t events = 2000;

struct FairWeather {
    // All of the producer's events, at one level.
    FairWeather(std::uint64_t seed, wire::AckLevel level, std::uint64_t linger_us) : network(Random(seed)) {
        Scale scale;
        scale.segment_bytes = 256U << 10;
        scale.spool_bytes_max = 16U << 20;
        scale.linger_us = linger_us;
        scale.batches_max = 8;
        central = std::make_unique<CentralNode>(clock, network, Random(seed + 1), 0, scale);
        edge = std::make_unique<EdgeNode>(clock, network, Random(seed + 2), 1, scale);
        EXPECT_TRUE(central->start()) << central->failure;
        EXPECT_TRUE(edge->start()) << edge->failure;
        run_for(ns_per_second);  // the session with central is there before the first event
        ProducerOptions options;
        options.machine = 101;
        options.name = "p1";
        options.level = level;
        options.to = edge->address();
        options.events = events;
        options.payload_bytes_max = 200;
        options.invalid_per_mille = 0;  // a dead letter waits for `spooled`, whatever was asked for
        options.gap_ns_max = 200 * ns_per_us;
        producer.emplace(clock, network, Random(seed + 3), options);
    }
    void run_until_delivered() {
        const std::uint64_t until = clock.now_ns + 600 * ns_per_second;
        while (!(producer->is_done() && delivered() == events) && clock.now_ns < until) go_round();
        ASSERT_TRUE(producer->is_done());
        run_for(ns_per_second);
    }
    [[nodiscard]] std::uint64_t delivered() const {
        std::uint64_t sum = 0;
        for (const auto& lane : edge->counters().spool.lanes) sum += lane.delivered.get();
        return sum;
    }
    void run_for(std::uint64_t ns) {
        for (const std::uint64_t until = clock.now_ns + ns; clock.now_ns < until;) go_round();
    }
    void go_round() {
        std::uint64_t next = std::min(edge->next_ns(), central->next_ns());
        if (producer) next = std::min(next, producer->next_ns());
        clock.now_ns = std::max(clock.now_ns + ns_per_us, next);
        for (Node* const node : {static_cast<Node*>(edge.get()), static_cast<Node*>(central.get())}) {
            if (node->next_ns() <= clock.now_ns) (void)node->step();
        }
        if (producer && producer->next_ns() <= clock.now_ns) (void)producer->step();
    }

    Clock clock;
    Network network;
    std::unique_ptr<CentralNode> central;
    std::unique_ptr<EdgeNode> edge;
    std::optional<SimProducer> producer;
};

double mean(const Histogram& histogram) {
    return static_cast<double>(histogram.sum()) / static_cast<double>(histogram.count());
}

class Hops : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Hops, AddUpToTheSpooledAck) {
    FairWeather world(GetParam(), wire::AckLevel::spooled, GetParam() % 2 * 1500);
    world.run_until_delivered();
    const edge::IntakeHops& intake = world.edge->counters().intake.hops;
    const edge::SpoolHops& spool = world.edge->counters().spool.hops;
    double sum = 0;
    for (const Histogram* hop :
         {&intake.judged, &intake.batched, &spool.written, &spool.spooled, &intake.spooled_said}) {
        EXPECT_EQ(hop->count(), events);
        sum += mean(*hop);
    }
    ASSERT_EQ(intake.spooled_ack.count(), events);
    EXPECT_GT(mean(intake.spooled_ack), 0);
    EXPECT_NEAR(sum, mean(intake.spooled_ack), 1.0);
    EXPECT_EQ(intake.delivered_ack.count(), 0U);
}

TEST_P(Hops, AddUpToTheDeliveredAckAndCentralsOwnAreAPartOfThem) {
    FairWeather world(GetParam(), wire::AckLevel::delivered, GetParam() % 2 * 1500);
    world.run_until_delivered();
    const edge::IntakeHops& intake = world.edge->counters().intake.hops;
    const edge::SpoolHops& spool = world.edge->counters().spool.hops;
    double sum = 0;
    for (const Histogram* hop : {&intake.judged, &intake.batched, &spool.written, &spool.spooled, &spool.sent,
                                 &spool.delivered, &intake.delivered_said}) {
        EXPECT_EQ(hop->count(), events);
        sum += mean(*hop);
    }
    ASSERT_EQ(intake.delivered_ack.count(), events);
    EXPECT_NEAR(sum, mean(intake.delivered_ack), 1.0);

    const central::CentralHops& central = world.central->shared().hops;
    double at_central = 0;
    for (const Histogram* hop : {&central.appended, &central.written, &central.durable, &central.acked}) {
        EXPECT_EQ(hop->count(), events);
        at_central += mean(*hop);
    }
    ASSERT_EQ(central.ack.count(), events);
    EXPECT_NEAR(at_central, mean(central.ack), 1.0);
    EXPECT_GT(mean(central.ack), 0);
    EXPECT_LT(mean(central.ack), mean(spool.delivered));
}

INSTANTIATE_TEST_SUITE_P(Seeds, Hops, testing::Values(1U, 2U, 3U, 4U));

}  // namespace
}  // namespace weir::sim
