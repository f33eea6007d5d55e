// How much checkpoints write: nothing where nothing is new, little where few events come, and of the filter whole blocks once they are full.
#include "tests/edge/intake_bench.hpp"
#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

constexpr std::uint64_t second = ns_per_second;

std::string id_of(std::uint32_t number) {
    return "e" + std::to_string(number);
}

// What a start would know of the events 0 to count - 1, of which the newest ids_max are to be known.
void expect_known(const EdgeConfig& config, std::uint32_t count) {
    auto memory = IntakeMemory::load(config, config.data_dir);
    ASSERT_TRUE(memory.ok());
    DuplicateFilter& filter = memory.value().filter();
    const std::uint32_t oldest = count - std::min(count, config.cache.ids_max);
    for (std::uint32_t number = 0; number < count; ++number) {
        const auto fingerprint = filter.fingerprint("s", id_of(number));
        ASSERT_EQ(filter.contains(fingerprint, filter.newest_seconds()), number >= oldest) << number << " of " << count;
    }
}

TEST(Checkpointing, WritesTheFilterInWholeBlocksWithoutLosingWhatLiesInThem) {
    for (const std::uint32_t ids_max : {1024U, 1500U}) {
        IntakeDirectory directory;
        EdgeConfig config = IntakeBench::config_at(directory.path);
        config.cache.ids_max = ids_max;
        IntakeBench bench(config);
        bench.keeps_batches = false;
        TestProducer producer(bench);
        producer.hello(wire::AckLevel::spooled);
        std::uint32_t sent = 0;
        // Cuts that end anywhere in a block, over more than two rounds of the ring.
        for (std::uint32_t round = 0; sent < 3 * ids_max; ++round) {
            const std::uint32_t until = sent + 31 + 53 * (round % 5);
            for (; sent < until; ++sent) producer.send_event(id_of(sent));
            ASSERT_TRUE(producer.wait_acked(sent));
            const std::uint64_t before = bench.counters.checkpoints.get();
            bench.added_ns += checkpoint_patience * config.spool.checkpoint_ms * ns_per_ms + second;
            ASSERT_TRUE(bench.step_until([&] { return bench.counters.checkpoints.get() > before; }));
            expect_known(config, sent);
        }
        EXPECT_EQ(bench.counters.filter_bytes_written.get() % journal::block_bytes, 0U);
    }
}

// Long enough for a checkpoint to come to the disk, were one begun.
void step_a_while(IntakeBench& bench) {
    const MonotonicNs until = bench.io->now().plus_ns(300 * ns_per_ms);
    while (bench.io->now() < until) bench.step();
}

TEST(Checkpointing, OfFewEventsWaitsForMoreAndWritesAFewBlocks) {
    IntakeDirectory directory;
    const EdgeConfig config = IntakeBench::config_at(directory.path);
    IntakeBench bench(config);
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    bench.added_ns += checkpoint_patience * config.spool.checkpoint_ms * ns_per_ms;
    step_a_while(bench);
    EXPECT_EQ(bench.counters.checkpoints.get(), 0U) << "there is nothing to store";
    for (std::uint32_t number = 0; number < 10; ++number) producer.send_event(id_of(number));
    ASSERT_TRUE(producer.wait_acked(10));
    const std::uint64_t before = bench.counters.checkpoints.get();
    bench.added_ns += 2 * config.spool.checkpoint_ms * ns_per_ms;
    step_a_while(bench);
    EXPECT_EQ(bench.counters.checkpoints.get(), before) << "ten events are not worth one yet";
    bench.added_ns += checkpoint_patience * config.spool.checkpoint_ms * ns_per_ms;
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.checkpoints.get() == before + 1; }));
    EXPECT_LE(bench.counters.filter_bytes_written.get() + bench.counters.checkpoint_bytes_written.get(),
              3 * (before + 1) * journal::block_bytes);
    bench.added_ns += 10 * checkpoint_patience * config.spool.checkpoint_ms * ns_per_ms;
    step_a_while(bench);
    EXPECT_EQ(bench.counters.checkpoints.get(), before + 1) << "nothing has come since";
}

TEST(SpoolStage, WritesNoCheckpointThatSaysWhatTheLastOneSaid) {
    ScriptedCentral central;
    SpoolBench bench({central.address()}, {.checkpoint_ms = 1000});
    bench.centrals = {&central};
    bench.open();
    bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    bench.skew_ns += 2 * second;
    bench.steps(20);
    EXPECT_EQ(bench.counters.checkpoints.get(), 0U) << "one batch is not worth one yet";
    bench.skew_ns += checkpoint_patience * second;
    ASSERT_TRUE(bench.until([&] { return bench.counters.checkpoints.get() == 1; }));
    EXPECT_EQ(bench.counters.checkpoint_bytes_written.get(), journal::block_bytes);
    for (int i = 0; i < 20; ++i) {
        bench.skew_ns += checkpoint_patience * second;
        bench.steps(10);
    }
    EXPECT_EQ(bench.counters.checkpoints.get(), 1U);
    bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    bench.skew_ns += checkpoint_patience * second;
    EXPECT_TRUE(bench.until([&] { return bench.counters.checkpoints.get() == 2; }));
}

// How long it has run is what undelivered events age by.
TEST(SpoolStage, StoresItsRunningTimeWhileSomethingMayExpire) {
    ScriptedCentral central;
    central.acks = false;
    SpoolBench bench({central.address()}, {.checkpoint_ms = 1000});
    bench.configure(0).keep_undelivered_s = 3600;
    bench.centrals = {&central};
    bench.open();
    bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    for (std::uint64_t count = 1; count < 4; ++count) {
        bench.skew_ns += checkpoint_patience * second + second;
        ASSERT_TRUE(bench.until([&] { return bench.counters.checkpoints.get() >= count; })) << count;
    }
}

}  // namespace
}  // namespace weir::edge::test
