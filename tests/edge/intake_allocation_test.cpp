// Counts what the intake stage allocates while events pass: operator new of this program tells.
#include <cstdlib>
#include <new>

#include "tests/edge/intake_bench.hpp"

namespace {
thread_local std::uint64_t allocations = 0;
}

[[gnu::noinline]] void* operator new(std::size_t bytes) {
    if (weir::edge::test::IntakeBench::is_in_intake) ++allocations;
    void* memory = std::malloc(bytes == 0 ? 1 : bytes);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace weir::edge::test {
namespace {

TEST(Intake, AllocatesNothingWhileTenThousandEventsPass) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.keeps_batches = false;
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("warm");
    ASSERT_TRUE(producer.wait_acked(1));
    allocations = 0;
    // The counter counts: a look at it before it is trusted.
    IntakeBench::is_in_intake = true;
    ::operator delete(::operator new(8));
    IntakeBench::is_in_intake = false;
    EXPECT_EQ(allocations, 1U);
    allocations = 0;
    for (int n = 0; n < 10'000; ++n) producer.send_event(std::to_string(n));
    ASSERT_TRUE(producer.wait_acked(10'001));
    EXPECT_EQ(bench.counters.accepted.get(), 10'001U);
    // The Io's own queues are another part's: sends are the only calls into it here.
    EXPECT_EQ(allocations, 0U);
}

TEST(Intake, AllocatesNothingWhileExpressionsJudge) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.lanes.push_back(LaneConfig{.name = "urgent"});
    RuleConfig rule;
    rule.when = R"(type like "read*")";
    rule.must = R"(data.n < 10 && lower(default(data.name, "A")) == "a")";
    config.rules = {rule};
    RouteConfig route;
    route.lane = "urgent";
    route.when = "data.n == 1";
    config.routes = {route};
    IntakeBench bench(config);
    bench.keeps_batches = false;
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("warm");
    ASSERT_TRUE(producer.wait_acked(1));
    allocations = 0;
    for (int n = 0; n < 2000; ++n) producer.send_event(std::to_string(n), 0, n % 2 == 0 ? R"({"n":1})" : R"({"n":12})");
    ASSERT_TRUE(producer.wait_acked(2001));
    EXPECT_EQ(bench.counters.dead_letters_by_reason[static_cast<std::size_t>(wire::Reason::rule_failed)].get(), 1000U);
    EXPECT_EQ(allocations, 0U);
}

TEST(Intake, AllocatesNothingWhileEventsAreEdited) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.pii.remove = {{{}, {{"data.plate", Removal::hash}, {"data.name", Removal::truncate, 1}}}};
    config.enrichments = {{{}, "", {{"data.twice", "data.n * 2"}, {"data.who", "lower(data.name)"}}}};
    IntakeBench bench(config);
    bench.keeps_batches = false;
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("warm");
    ASSERT_TRUE(producer.wait_acked(1));
    allocations = 0;
    for (int n = 0; n < 2000; ++n) {
        producer.send_event(std::to_string(n), 0,
                            n % 2 == 0 ? R"({"plate":"PHL-1","name":"A\u0041nn","n":1})" : R"({"plate":)");
    }
    ASSERT_TRUE(producer.wait_acked(2001));
    EXPECT_EQ(bench.counters.edited.get(), 1001U);  // the first one too
    EXPECT_EQ(bench.counters.withheld.get(), 1000U);
    EXPECT_EQ(allocations, 0U);
}

TEST(Intake, AllocatesNothingWhileAReplayLeavesHoles) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.keeps_batches = false;
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled, "dead-letters-0000000000000007-north");
    producer.send_event("warm", 10);
    ASSERT_TRUE(producer.wait_acked(1));
    allocations = 0;
    for (std::uint64_t n = 1; n <= 2000; ++n) producer.send_event(std::to_string(n), 10 + 7 * n);
    ASSERT_TRUE(producer.wait_acked(2001));
    EXPECT_EQ(bench.counters.accepted.get(), 2001U);
    EXPECT_EQ(allocations, 0U);
}

}  // namespace
}  // namespace weir::edge::test
