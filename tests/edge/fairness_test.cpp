// Fairness between producers, in counts: what of the others lies before a slow one's event.
#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

// Place of the event with this id among all that were spooled, from 1; 0: it is not there.
std::uint64_t place_of(const IntakeBench& bench, std::string_view id) {
    std::uint64_t place = 0, found = 0;
    for (const StoredBatch& batch : bench.stored) {
        wire::for_each_frame(batch.body(), [&](const wire::FrameView& frame, std::uint32_t) {
            ++place;
            wire::EventView view;
            EXPECT_EQ(wire::verify_event(frame.body, view), wire::Reason::none);
            if (view.id == id) found = place;
        });
    }
    return found;
}

TEST(Fairness, ASlowProducersEventWaitsForNoMoreThanAVectorOfThoseWhoFlood) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    // A slow one on either side: whichever way round the connections are looked at, one of them comes after those who flood.
    TestProducer first(bench);
    first.hello(wire::AckLevel::spooled);
    std::vector<std::unique_ptr<TestProducer>> flooders;
    for (int flooder = 0; flooder < 3; ++flooder) {
        flooders.push_back(std::make_unique<TestProducer>(bench));
        flooders.back()->hello(wire::AckLevel::spooled);
    }
    TestProducer last(bench);
    last.hello(wire::AckLevel::spooled);
    for (int i = 0; i < 5; ++i) bench.step();  // nothing is left over from the hellos
    // All of it lies in the sockets before intake looks.
    first.send_event("first");
    for (std::size_t flooder = 0; flooder < flooders.size(); ++flooder) {
        for (int n = 0; n < 100; ++n) flooders[flooder]->send_event(std::to_string(flooder) + "-" + std::to_string(n));
    }
    last.send_event("last");
    for (auto& flooder : flooders) ASSERT_TRUE(flooder->wait_acked(100));
    ASSERT_TRUE(first.wait_acked(1));
    ASSERT_TRUE(last.wait_acked(1));
    for (const std::string_view slow : {"first", "last"}) {
        EXPECT_GE(place_of(bench, slow), 1U);
        EXPECT_LE(place_of(bench, slow), vector_events_max) << slow;
    }
}

// The most events that one duty cycle takes of a producer who floods.
std::uint64_t most_of_a_cycle(IntakeBench& bench, TestProducer& flooder, std::string_view prefix) {
    constexpr std::uint32_t events = 2 * vectors_per_cycle_max * vector_events_max;
    std::vector<std::byte> bytes;
    wire::EventBuilder builder;
    for (std::uint32_t n = 0; n < events; ++n) {
        wire::EventView event;
        const std::string id = std::string(prefix) + std::to_string(n);
        event.id = id;
        event.type = "reading";
        event.source = "s";
        TestProducer::append_frame(bytes, wire::FrameKind::event, builder.build(event), 0);
    }
    const std::uint64_t acked = flooder.acked + events;
    std::uint64_t most = 0;
    ConstBytes rest(bytes);
    EXPECT_TRUE(bench.step_until([&] {
        rest = rest.subspan(flooder.try_send(rest));
        const std::uint64_t before = bench.counters.accepted.get();
        bench.step();
        most = std::max(most, bench.counters.accepted.get() - before);
        return flooder.look() && flooder.acked >= acked;
    }));
    return most;
}

TEST(Fairness, ADutyCycleIsShorterWhereMoreThanOneProducerIsConnected) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    TestProducer flooder(bench);
    flooder.hello(wire::AckLevel::received);
    EXPECT_GT(most_of_a_cycle(bench, flooder, "alone-"), vectors_per_cycle_max_shared * vector_events_max);
    TestProducer slow(bench);
    slow.hello(wire::AckLevel::received);
    EXPECT_EQ(most_of_a_cycle(bench, flooder, "beside-"), vectors_per_cycle_max_shared * vector_events_max);
}

// As much as intake takes of a flood while nothing becomes durable. Returns how many events were sent.
std::uint64_t fill_the_way_to_the_disk(IntakeBench& bench, TestProducer& flooder) {
    const std::string payload = "{\"pad\":\"" + std::string(60'000, 'x') + "\"}";
    std::uint64_t sent = 0;
    for (; bench.counters.stalls.get() == 0 && sent < 1000; ++sent) {
        flooder.send_event(std::to_string(sent), 0, payload);
    }
    return sent;
}

TEST(Fairness, NoMoreBatchesWaitForTheDiskThanKeepItBusyHoweverManyBuffersThereAre) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.spool.batches_max = 64;
    IntakeBench bench(config);
    bench.is_durable_at_once = false;
    TestProducer flooder(bench);
    flooder.hello(wire::AckLevel::spooled);
    const std::uint64_t sent = fill_the_way_to_the_disk(bench, flooder);
    std::uint64_t bytes = 0;
    for (const StoredBatch& batch : bench.stored) bytes += batch.body().size();
    EXPECT_GE(bytes, queued_bytes_max);
    EXPECT_LT(bytes - bench.stored.back().body().size(), queued_bytes_max) << "one more than that";
    EXPECT_GT(bench.counters.buffers_free.get(), 64 - 2 * queued_batches_max);
    bench.is_durable_at_once = true;
    ASSERT_TRUE(flooder.wait_acked(sent));
}

TEST(Fairness, OfShortBatchesOnlySoManyWaitForTheDisk) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.spool.batches_max = 64;
    for (LaneConfig& lane : config.lanes) lane.batch_bytes = 60'000;  // one event each
    IntakeBench bench(config);
    bench.is_durable_at_once = false;
    TestProducer flooder(bench);
    flooder.hello(wire::AckLevel::spooled);
    const std::uint64_t sent = fill_the_way_to_the_disk(bench, flooder);
    EXPECT_GE(bench.stored.size(), queued_batches_max);
    EXPECT_LE(bench.stored.size(), queued_batches_max + 1);
    bench.is_durable_at_once = true;
    ASSERT_TRUE(flooder.wait_acked(sent));
}

// What a flood leaves standing before the disk, everybody waits for.
TEST(Fairness, AQueueForTheDiskThatIsTooLongBecomesShorter) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.spool.batches_max = 64;
    config.spool.disk_queue_us = 1000;
    IntakeBench bench(config);
    bench.is_durable_at_once = false;
    TestProducer flooder(bench);
    flooder.hello(wire::AckLevel::spooled);
    const std::string payload = "{\"pad\":\"" + std::string(6'000, 'x') + "\"}";
    std::uint64_t sent = 0;
    // As much as intake takes; then the disk has all of it, `ns` later. Returns the bytes that stood there.
    const auto round = [&](std::uint64_t ns) {
        const std::uint64_t stalls = bench.counters.stalls.get();
        const std::size_t first = bench.stored.size();
        for (int n = 0; bench.counters.stalls.get() == stalls && n < 3000; ++n) {
            flooder.send_event(std::to_string(sent++), 0, payload);
            bench.step();
        }
        std::uint64_t bytes = 0;
        for (std::size_t at = first; at < bench.stored.size(); ++at) bytes += bench.stored[at].bytes.size();
        bench.added_ns += ns;
        bench.settle();
        bench.step();
        return bytes;
    };
    EXPECT_GT(round(0), disk_window_bytes_max / 2) << "nobody has waited yet";
    for (int i = 0; i < 30; ++i) (void)round(20 * ns_per_ms);
    EXPECT_EQ(bench.counters.disk_window_bytes.get(), disk_window_bytes_min);
    EXPECT_LE(round(20 * ns_per_ms), 2 * disk_window_bytes_min);
}

}  // namespace
}  // namespace weir::edge::test
