// The spool stage's own duties: pressure, trimming, checkpoint, drain, a disk that fails.
#include <gtest/gtest.h>

#include "core/journal/posix_file.hpp"
#include "core/journal/scan.hpp"
#include "edge/spool/spool_checkpoint.hpp"
#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

// Fills about `bytes` of journal and waits until all of it is durable.
void spool_bytes(SpoolBench& bench, std::uint64_t bytes) {
    constexpr std::uint32_t events = 100;
    for (std::uint64_t done = 0; done < bytes; done += events * wire::frame_bytes(1000)) {
        ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
        bench.feed(0, events, 1000);
    }
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
}

std::size_t segment_count(const SpoolBench& bench) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(stream_directory(bench.config.data_dir, "default"))) {
        if (entry.path().extension() == ".seg") ++count;
    }
    return count;
}

TEST(SpoolStage, TakesNoMoreThanItsBytesAndGoesOnWhenThereIsRoom) {
    ScriptedCentral central;
    central.credit_bytes = 0;
    SpoolBench bench({central.address()}, {.buffers = 8, .segment_bytes = 1U << 20, .bytes_max = 3U << 20});
    bench.centrals = {&central};
    bench.open();
    int fed = 0;
    for (int i = 0; i < 3000; ++i) {
        if (!bench.free_buffers.empty()) {
            bench.feed(0, 100, 1000);
            ++fed;
        }
        bench.step();
    }
    // Held back: what does not fit waits in its buffers, and the producer of batches has none left.
    EXPECT_TRUE(bench.free_buffers.empty());
    EXPECT_LE(bench.counters.journal_bytes_held.get(), 3U << 20);
    EXPECT_LT(bench.durable[0], bench.fed[0]);
    central.credit_bytes = 1ULL << 40;
    central.cut();
    EXPECT_TRUE(bench.until([&] {
        bench.cover_durable();  // Intake's word still comes through.
        return bench.is_all(bench.delivered) && bench.free_buffers.size() == 8;
    }));
    EXPECT_GT(fed, 20);
}

TEST(SpoolStage, GoesOnWhenAllItHoldsIsDeliveredAndIntakeCoversItOnlyWithWhatIsStillToBeWritten) {
    ScriptedCentral central;
    central.credit_bytes = 0;
    SpoolBench bench({central.address()}, {.buffers = 8, .segment_bytes = 1U << 20, .bytes_max = 2U << 20});
    bench.centrals = {&central};
    bench.open();
    for (int i = 0; i < 3000; ++i) {
        if (!bench.free_buffers.empty()) bench.feed(0, 100, 1000);
        bench.step();
    }
    ASSERT_LT(bench.durable[0], bench.fed[0]);
    central.credit_bytes = 1ULL << 40;
    central.cut();
    EXPECT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));  // No cover() meanwhile.
}

TEST(SpoolStage, DeletesOnlyWhatIsDeliveredAndCoveredAndCheckpointed) {
    ScriptedCentral central;
    central.acks = false;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    spool_bytes(bench, 5U << 20);
    bench.cover_durable();
    bench.steps(400);
    EXPECT_GE(segment_count(bench), 5U) << "nothing was delivered yet";
    central.acks = true;
    central.ack_all();
    EXPECT_TRUE(bench.until([&] { return bench.counters.journal_bytes_held.get() <= 2U << 20; }));
    EXPECT_TRUE(bench.until([&] { return segment_count(bench) <= 3; }));
}

TEST(SpoolStage, DoesNotWaitForTheTimeOfItsCheckpointWhenMuchIsWritten) {
    ScriptedCentral central;
    central.acks = false;
    SpoolBench bench({central.address()}, {.bytes_max = 2 * read_back_bytes_max, .checkpoint_ms = 600'000});
    bench.centrals = {&central};
    bench.open();
    spool_bytes(bench, 1U << 20);
    EXPECT_EQ(bench.counters.checkpoints.get(), 0U);
    spool_bytes(bench, read_back_bytes_max);
    EXPECT_TRUE(bench.until([&] { return bench.counters.checkpoints.get() == 1; }));
}

TEST(SpoolStage, BatchesThatFindTheDiskBusyShareAWrite) {
    ScriptedCentral central;
    SpoolBench bench({central.address()}, {.buffers = 16});
    bench.centrals = {&central};
    bench.open();
    bench.feed(0, 1);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    const std::uint64_t appends_before = bench.counters.appends.get();
    const std::uint64_t writes_before = bench.counters.journal_writes.get();
    // All are there before the first write's end is looked at: it has one, and the rest are less than a full write and one more.
    constexpr std::uint32_t batches = 8;
    for (std::uint32_t i = 0; i < batches; ++i) bench.feed(0, 100, 1000);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    EXPECT_EQ(bench.counters.appends.get() - appends_before, batches);
    EXPECT_EQ(bench.counters.journal_writes.get() - writes_before, 2U);
    Sequence last = 0;
    for (const auto& batch : central.stored) {
        EXPECT_EQ(batch.first, last + 1);
        last = batch.last;
    }
    EXPECT_EQ(last, bench.fed[0]);
}

TEST(SpoolStage, KeepsWhatIntakesCheckpointStillNeeds) {
    ScriptedCentral central;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    spool_bytes(bench, 3U << 20);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    bench.steps(600);
    EXPECT_GT(bench.counters.journal_bytes_held.get(), 3U << 20);
    bench.cover_durable();
    EXPECT_TRUE(bench.until([&] { return bench.counters.journal_bytes_held.get() < 2U << 20; }));
}

// P7: a damaged segment in the middle costs what it held and nothing else, by its exact range, and stays as evidence.
TEST(SpoolStage, P7_NamesTheExactRangeThatADamagedSegmentHeldAndKeepsTheFile) {
    ScriptedCentral central;
    central.answers_hello = false;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    spool_bytes(bench, 4U << 20);
    // What lies in the second segment, as its records say; then every byte behind its header is another one.
    const std::string path = stream_directory(bench.config.data_dir, "default") + "/" + journal::segment_file_name(1);
    Sequence first_lost = 0, last_lost = 0;
    {
        auto scanner = journal::Scanner::open(stream_directory(bench.config.data_dir, "default"), {});
        ASSERT_TRUE(scanner.ok());
        while (const auto record = scanner.value().next()) {
            if (record->position.value / bench.config.spool.segment_bytes != 1) continue;
            if (first_lost == 0) first_lost = record->batch_header.first_sequence;
            last_lost = record->batch_header.last_sequence();
        }
    }
    ASSERT_GT(last_lost, first_lost);
    {
        const journal::PosixFile file(path, O_RDWR);
        std::vector<std::byte> content(bench.config.spool.segment_bytes - journal::segment_header_bytes);
        ASSERT_EQ(file.read(content, journal::segment_header_bytes), static_cast<std::int64_t>(content.size()));
        for (std::byte& byte : content) byte = ~byte;
        ASSERT_EQ(file.write(content, journal::segment_header_bytes), 0);
        ASSERT_EQ(file.sync(), 0);
    }
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(bench.until([&] { return central.positions[0] == bench.fed[0]; }));
    std::vector<ScriptedCentral::Seen> gaps;
    for (const auto& seen : central.stored) {
        if (seen.kind == wire::BatchKind::gap) gaps.push_back(seen);
    }
    ASSERT_EQ(gaps.size(), 1U);
    EXPECT_EQ(gaps[0].first, first_lost);
    EXPECT_EQ(gaps[0].last, last_lost);
    EXPECT_TRUE(bench.until([&] { return bench.counters.gap_events.get() == last_lost - first_lost + 1; }));
    bench.cover_durable();
    EXPECT_TRUE(bench.until([&] { return !std::filesystem::exists(path); }));
    const std::string quarantine = stream_directory(bench.config.data_dir, "default") + "/quarantine";
    ASSERT_TRUE(
        bench.until([&] { return std::filesystem::exists(quarantine) && !std::filesystem::is_empty(quarantine); }));
    for (const auto& entry : std::filesystem::directory_iterator(quarantine))
        EXPECT_EQ(entry.file_size(), bench.config.spool.segment_bytes);
}

TEST(SpoolStage, TakesWhatAFileHeldInAnEarlierUseForNoDamage) {
    ScriptedCentral central;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    for (std::uint32_t round = 0; round < 5; ++round) {
        central.answers_hello = false;
        central.cut();
        const std::uint32_t event_bytes = 700 + 150 * round;  // records end elsewhere than those that lay there before
        for (int i = 0; i < 40; ++i) {
            ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
            bench.feed(0, 100, event_bytes);
        }
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
        central.answers_hello = true;
        central.cut();
        bench.skew_ns += 10 * ns_per_second;
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
        bench.cover_durable();
        ASSERT_TRUE(bench.until([&] { return bench.counters.journal_bytes_held.get() < 2U << 20; }));
    }
    EXPECT_GT(bench.counters.resent_batches.get(), 100U);
    EXPECT_EQ(bench.counters.damaged_records.get(), 0U);
    EXPECT_FALSE(std::filesystem::exists(stream_directory(bench.config.data_dir, "default") + "/quarantine"));
}

TEST(SpoolStage, KeepsWhatIsDeliveredForACentralThatMayLoseItAgainWithinItsTime) {
    ScriptedCentral central;
    SpoolBench bench({central.address()}, {.keep_delivered_ms = 60'000, .keep_delivered_bytes = 32U << 20});
    bench.centrals = {&central};
    bench.open();
    spool_bytes(bench, 5U << 20);
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    bench.cover_durable();
    bench.steps(600);
    EXPECT_GE(segment_count(bench), 5U) << "released before its time";
    // Central comes back from a backup of long ago: it gets everything again, and no gap.
    central.positions[0] = 100;
    central.stored.clear();
    central.cut();
    ASSERT_TRUE(bench.until([&] { return central.positions[0] == bench.fed[0]; }));
    for (const auto& seen : central.stored) EXPECT_EQ(seen.kind, wire::BatchKind::events);
    EXPECT_EQ(bench.counters.gap_events.get(), 0U);
    // Its time is over: a segment or two are left.
    for (int i = 0; i < 70; ++i) {
        bench.skew_ns += ns_per_second;
        bench.feed(0);
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered) && !bench.free_buffers.empty(); }));
        bench.cover_durable();
        bench.steps(5);
    }
    EXPECT_TRUE(bench.until([&] { return segment_count(bench) <= 3; }));
}

TEST(SpoolStage, GivesUpWhatIsDeliveredWhereItsBytesOrTheUndeliveredAskForTheRoom) {
    for (const bool is_by_room : {false, true}) {
        ScriptedCentral central;
        SpoolBench bench({central.address()}, {.bytes_max = is_by_room ? 6ULL << 20 : 64ULL << 20,
                                               .keep_delivered_ms = 600'000,
                                               .keep_delivered_bytes = is_by_room ? 64ULL << 20 : 3ULL << 20});
        bench.centrals = {&central};
        bench.open();
        for (int round = 0; round < 6; ++round) {
            spool_bytes(bench, 2U << 20);  // would hang if what is delivered kept the room
            ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
            bench.cover_durable();
            bench.steps(200);
        }
        EXPECT_TRUE(bench.until([&] { return bench.counters.journal_bytes_held.get() <= 6ULL << 20; }))
            << bench.counters.journal_bytes_held.get();
        EXPECT_GE(bench.counters.journal_bytes_held.get(), 2ULL << 20) << "nothing was kept";
        // What is only kept does not make a spool full.
        EXPECT_LT(bench.counters.journal_bytes_needed.get(), 2ULL << 20);
    }
}

TEST(SpoolStage, DrainsByWritingDeliveringAndStoringALastCheckpoint) {
    ScriptedCentral central;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    for (int i = 0; i < 5; ++i) bench.feed(1);
    bench.stage->drain({});
    ASSERT_TRUE(bench.until([&] { return bench.stage->is_drained(); }));
    EXPECT_TRUE(bench.is_all(bench.delivered));
    EXPECT_TRUE(bench.until([&] { return central.goodbyes == 1; }));
    auto loaded = journal::CheckpointFile::load(spool_checkpoint_path(bench.config.data_dir));
    ASSERT_TRUE(loaded.ok());
    const auto checkpoint = decode_spool_checkpoint(loaded.value().content);
    ASSERT_TRUE(checkpoint.has_value());
    EXPECT_EQ(checkpoint->lanes[1].state.last_sequence, 15U);
    EXPECT_EQ(checkpoint->lanes[1].state.delivered_sequence, 15U);
    EXPECT_EQ(checkpoint->lanes[1].journal.delivered, checkpoint->lanes[1].journal.durable_end);
    EXPECT_EQ(checkpoint->lanes[1].journal.durable_end, bench.durable_position[1]);
    EXPECT_EQ(checkpoint->lanes[0].journal.durable_end, Position{});
}

TEST(SpoolStage, DrainsInBoundedTimeWhileCentralDoesNotAck) {
    ScriptedCentral central;
    central.acks = false;
    SpoolBench bench({central.address()});
    bench.centrals = {&central};
    bench.open();
    bench.feed(0);
    ASSERT_TRUE(bench.until([&] { return central.stored.size() == 1; }));
    bench.stage->drain({});
    bench.steps(20);
    EXPECT_FALSE(bench.stage->is_drained());
    bench.skew_ns += ns_per_second;
    EXPECT_TRUE(bench.until([&] { return bench.stage->is_drained(); }));
}

TEST(SpoolCheckpoint, ComesBackAsItWasStoredAndRefusesOtherBytes) {
    SpoolCheckpoint checkpoint;
    checkpoint.lineage = 7;
    checkpoint.epoch = 3;
    checkpoint.running_ms = 12345;
    SpoolLane lane;
    lane.state.part = wire::Part::backlog;
    lane.journal.durable_end = {8192};
    lane.journal.durable_crc = 99;
    lane.journal.delivered = {4096};
    lane.journal.kept_from = {2048};
    lane.shed_events = 3;
    lane.expired_events = 4;
    lane.given_up = {GivenUp{.first_sequence = 13, .count = 3, .reason = wire::gap_shed},
                     GivenUp{.first_sequence = 16, .count = 4, .reason = wire::gap_expired}};
    ASSERT_TRUE(lane.marks.restore({.position = {5000}, .last_sequence = 14, .running_ms = 70}));
    ASSERT_TRUE(lane.marks.restore({.position = {6000}, .last_sequence = 18, .running_ms = 80}));
    lane.state.id = 4;
    lane.state.name = "sixteen-letters-";
    lane.state.last_sequence = 20;
    lane.state.delivered_sequence = 12;
    lane.gap_events = 2;
    lane.is_diverged = true;
    lane.acked_by = {12, 20};
    checkpoint.lanes = {lane};
    checkpoint.centrals = {.identities = {5, 6}, .count = 2};
    auto bytes = encode(checkpoint);
    const auto again = decode_spool_checkpoint(bytes);
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->epoch, 3U);
    EXPECT_EQ(again->lanes[0].state.part, wire::Part::backlog);
    EXPECT_EQ(again->lanes[0].journal.durable_end, Position{8192});
    EXPECT_EQ(again->lanes[0].journal.durable_crc, 99U);
    EXPECT_EQ(again->lanes[0].journal.delivered, Position{4096});
    EXPECT_EQ(again->lanes[0].journal.kept_from, Position{2048});
    EXPECT_EQ(again->lanes[0].shed_events, 3U);
    EXPECT_EQ(again->lanes[0].expired_events, 4U);
    EXPECT_EQ(again->running_ms, 12345U);
    EXPECT_EQ(again->lanes[0].given_up, lane.given_up);
    ASSERT_EQ(again->lanes[0].marks.count(), 2U);
    EXPECT_EQ(again->lanes[0].marks[1], lane.marks[1]);
    EXPECT_EQ(again->lanes[0].state.name, "sixteen-letters-");
    EXPECT_EQ(again->lanes[0].state.delivered_sequence, 12U);
    EXPECT_EQ(again->lanes[0].gap_events, 2U);
    EXPECT_TRUE(again->lanes[0].is_diverged);
    EXPECT_EQ(again->centrals, checkpoint.centrals);
    EXPECT_EQ(again->lanes[0].acked_by, lane.acked_by);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        EXPECT_FALSE(decode_spool_checkpoint(ConstBytes{bytes}.first(length)).has_value());
    }
    bytes[0] ^= std::byte{1};
    EXPECT_FALSE(decode_spool_checkpoint(bytes).has_value());
}

}  // namespace
}  // namespace weir::edge::test
