// A lane that lives in memory only: what of it reaches central, what a full one gives up, and what each way to stop takes along.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <set>

#include "core/journal/checkpoint.hpp"
#include "edge/recovery.hpp"
#include "edge/spool/spool_checkpoint.hpp"
#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

constexpr std::uint64_t lane_bytes = memory_lane_bytes_min;

std::uint64_t seen_events(const ScriptedCentral& central, LaneId lane, wire::BatchKind kind, std::uint8_t flags = 0) {
    std::uint64_t events = 0;
    for (const auto& seen : central.stored) {
        if (seen.lane == lane && seen.kind == kind && seen.flags == flags) events += seen.last - seen.first + 1;
    }
    return events;
}
std::uint64_t stored_events(const ScriptedCentral& central, LaneId lane) {
    return seen_events(central, lane, wire::BatchKind::events);
}
std::uint64_t named(const ScriptedCentral& central, LaneId lane, std::uint8_t reason) {
    return seen_events(central, lane, wire::BatchKind::gap, reason);
}

// Lane 0, "default", lives in memory; lane 1 on the disk.
class MemoryLanes : public ::testing::Test {
  protected:
    MemoryLanes() : config(two_lanes_at(directory.path, central)) {
        LaneConfig& lane = config.lanes[0];
        lane.lane_class = LaneClass::best_effort;
        lane.spool = LaneSpool::memory;
        lane.bytes_max = lane_bytes;
    }
    struct Life {
        Recovered found;
        std::unique_ptr<SpoolBench> bench;
    };
    // A start, as far as the spool is concerned.
    [[nodiscard]] Life begin() {
        auto found = recover(config);
        EXPECT_TRUE(found.ok()) << found.error().what;
        Life life{std::move(found.value()), nullptr};
        life.bench = std::make_unique<SpoolBench>(
            std::vector{central.address()},
            SpoolBench::Options{.segment_bytes = config.spool.segment_bytes, .data_dir = directory.path});
        life.bench->config.lanes = config.lanes;
        life.bench->centrals = {&central};
        life.bench->begin_with(life.found.spool);
        life.bench->open();
        return life;
    }
    // kill -9: what central had sent is lost too.
    void crash(Life& life) {
        life.bench.reset();
        central.cut();
    }
    static void feed_many(SpoolBench& bench, LaneId lane, int batches, std::uint32_t events = 100,
                          std::uint32_t event_bytes = 1000) {
        for (int i = 0; i < batches; ++i) {
            ASSERT_TRUE(bench.until([&] { return !bench.free_buffers.empty(); }));
            bench.feed(lane, events, event_bytes);
        }
    }
    // And what central grants: a lane that is not told may send.
    static void await_session(SpoolBench& bench) {
        ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
        bench.steps(10);
    }
    static void drain(SpoolBench& bench) {
        bench.stage->drain(bench.now());
        ASSERT_TRUE(bench.until([&] {
            bench.skew_ns += ns_per_ms;
            return bench.stage->is_drained();
        }));
    }
    // The time in which so many checkpoints of little are stored.
    static void pass_checkpoints(SpoolBench& bench, std::uint64_t count) {
        constexpr std::uint64_t jump_ns = 100 * ns_per_ms;  // a session outlives it
        const std::uint64_t all_ns = count * checkpoint_patience * bench.config.spool.checkpoint_ms * ns_per_ms;
        for (std::uint64_t passed = 0; passed <= all_ns; passed += jump_ns) {
            bench.skew_ns += jump_ns;
            bench.steps(3);
        }
        bench.steps(50);  // a sync takes real time
    }
    // Everything that got a sequence is at central, or named to it for what it is, and counted so here.
    void expect_closed(const SpoolBench& bench) {
        const LaneCounters& lane = bench.counters.lanes[0];
        EXPECT_EQ(lane.delivered.get() + lane.shed.get() + lane.expired.get() + lane.gap.get(), bench.fed.at(0));
        EXPECT_EQ(stored_events(central, 0), lane.delivered.get());
        EXPECT_EQ(named(central, 0, wire::gap_shed), lane.shed.get());
        EXPECT_EQ(named(central, 0, wire::gap_expired), lane.expired.get());
        EXPECT_EQ(named(central, 0, wire::gap_not_kept), lane.gap.get());
        EXPECT_EQ(central.duplicates, 0U);
    }
    [[nodiscard]] bool is_all_delivered(SpoolBench& bench) {
        return bench.until([&] { return bench.is_all(bench.delivered); });
    }

    TemporaryDirectory directory;
    ScriptedCentral central;
    EdgeConfig config;
};

TEST_F(MemoryLanes, ReachCentralAndLeaveNothingOnTheDisk) {
    Life life = begin();
    SpoolBench& bench = *life.bench;
    feed_many(bench, 0, 50);
    feed_many(bench, 1, 3);
    ASSERT_TRUE(is_all_delivered(bench));
    EXPECT_EQ(stored_events(central, 0), 5000U);
    EXPECT_FALSE(std::filesystem::exists(stream_directory(directory.path, "default")));
    EXPECT_TRUE(std::filesystem::exists(stream_directory(directory.path, "alarms")));
    ASSERT_TRUE(bench.until([&] { return bench.counters.lanes[0].bytes.get() == 0; })) << "what is acked is freed";
    EXPECT_EQ(bench.free_buffers.size(), bench.pool.count());
    expect_closed(bench);
}

// No file can be written while it lives: a checkpoint cannot be stored.
class NoWrites {
  public:
    NoWrites() : before_(std::signal(SIGXFSZ, SIG_IGN)) {
        EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &limit_), 0);
        const rlimit none{0, limit_.rlim_max};
        EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
    }
    ~NoWrites() {
        EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit_), 0);
        (void)std::signal(SIGXFSZ, before_);
    }
    NoWrites(const NoWrites&) = delete;
    NoWrites& operator=(const NoWrites&) = delete;

  private:
    void (*before_)(int);
    rlimit limit_{};
};

TEST_F(MemoryLanes, NothingLeavesBeforeItsSequencesArePromised) {
    Life life = begin();
    SpoolBench& bench = *life.bench;
    feed_many(bench, 0, 1);
    ASSERT_TRUE(is_all_delivered(bench));
    const Sequence promised = bench.fed[0] + 2 * promise_events_min;
    {
        const NoWrites on_any_disk;
        feed_many(bench, 0, 12);
        ASSERT_TRUE(bench.until([&] { return bench.counters.checkpoint_failures.get() > 0; }));
        bench.steps(100);
        EXPECT_LE(central.positions[0], promised);
        EXPECT_LT(central.positions[0], bench.fed[0]);
        EXPECT_EQ(bench.free_buffers.size(), bench.pool.count()) << "it waits in its own memory";
    }
    ASSERT_TRUE(is_all_delivered(bench)) << "and goes when the disk does";
    expect_closed(bench);
}

TEST_F(MemoryLanes, AFullOneGivesUpItsOldestAndTheAccountCloses) {
    central.answers_hello = false;
    Life life = begin();
    SpoolBench& bench = *life.bench;
    feed_many(bench, 0, 100);
    const LaneCounters& lane = bench.counters.lanes[0];
    ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.durable); }));
    EXPECT_LE(lane.bytes.get(), lane_bytes);
    EXPECT_GT(lane.shed.get(), 5000U);
    EXPECT_LT(lane.shed.get(), 9900U) << "the newest stay";
    EXPECT_EQ(bench.shed[0].shed_events, lane.shed.get());
    EXPECT_EQ(bench.counters.journal_bytes_held.get(), 0U);
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(is_all_delivered(bench));
    expect_closed(bench);
    EXPECT_EQ(lane.gap.get(), 0U);
}

TEST_F(MemoryLanes, AFullOneThatShedsTheNewestSaysSoToIntakeAndKeepsWhatItHas) {
    config.lanes[0].shed = ShedPolicy::newest;
    central.answers_hello = false;
    Life life = begin();
    SpoolBench& bench = *life.bench;
    while (bench.fill[0] < fill_full) {
        if (bench.free_buffers.empty()) {
            bench.step();
        } else {
            bench.feed(0, 100, 1000);
            bench.steps(2);
        }
    }
    EXPECT_LE(bench.counters.lanes[0].bytes.get(), lane_bytes);
    EXPECT_EQ(bench.counters.lanes[0].shed.get(), 0U);
    central.answers_hello = true;
    central.cut();
    bench.skew_ns += 10 * ns_per_second;
    ASSERT_TRUE(is_all_delivered(bench));
    EXPECT_LE(bench.fill[0], fill_leaves);
    EXPECT_EQ(stored_events(central, 0), bench.fed[0]);
    expect_closed(bench);
}

TEST_F(MemoryLanes, AStuckOneHoldsUpNeitherAnothersDeliveriesNorItsBuffers) {
    config.lanes[0].shed = ShedPolicy::newest;
    central.lane_credit[0] = 0;
    Life life = begin();
    SpoolBench& bench = *life.bench;
    await_session(bench);
    feed_many(bench, 0, 25);  // more than all buffers
    feed_many(bench, 1, 40);
    ASSERT_TRUE(bench.until([&] { return bench.delivered[1] == bench.fed[1]; }));
    EXPECT_EQ(stored_events(central, 0), 0U);
    ASSERT_TRUE(bench.until([&] { return bench.free_buffers.size() == bench.pool.count(); }));
    EXPECT_TRUE(bench.until([&] { return bench.counters.journal_bytes_needed.get() == 0; }))
        << "it takes nothing of the disk's bound";
    central.grant_lane(0, 1ULL << 40);
    ASSERT_TRUE(is_all_delivered(bench));
    expect_closed(bench);
}

TEST_F(MemoryLanes, WhatWasNotAckedWhenASessionEndsIsSentAgainFromMemory) {
    central.acks = false;
    Life life = begin();
    SpoolBench& bench = *life.bench;
    feed_many(bench, 0, 10);
    ASSERT_TRUE(bench.until([&] { return stored_events(central, 0) == 1000; }));
    EXPECT_GT(bench.counters.lanes[0].bytes.get(), 1'000'000U) << "kept until it is acked";
    central.positions[0] = 400;  // of a central that had acked nothing and lost most of it
    central.stored.clear();
    central.stored.push_back({.lane = 0, .kind = wire::BatchKind::events, .flags = 0, .first = 1, .last = 400});
    central.cut();
    central.acks = true;
    ASSERT_TRUE(is_all_delivered(bench));
    EXPECT_EQ(stored_events(central, 0), 1000U);
    EXPECT_GT(bench.counters.resent_batches.get(), 0U);
    expect_closed(bench);
}

TEST_F(MemoryLanes, ACrashLosesWhatWasInMemoryAndTheNextStartNamesIt) {
    {
        Life life = begin();
        feed_many(*life.bench, 0, 20);
        ASSERT_TRUE(is_all_delivered(*life.bench));
        central.lane_credit[0] = central.session_bytes;  // no more of it
        central.grant_lane(0, central.session_bytes);
        feed_many(*life.bench, 0, 7);
        feed_many(*life.bench, 1, 7);
        ASSERT_TRUE(life.bench->until([&] { return life.bench->delivered[1] == life.bench->fed[1]; }));
        crash(life);
    }
    central.lane_credit.clear();
    Life life = begin();
    const SpoolLane& lane = life.found.spool.lanes[0];
    EXPECT_TRUE(lane.state.in_memory);
    EXPECT_TRUE(lane.state.has_lost_some);
    EXPECT_GE(lane.state.last_sequence, 2700U) << "none of the numbers is given out again";
    EXPECT_LE(lane.state.last_sequence, 2700U + 2 * 4 * 2700) << "and few were promised beyond";
    ASSERT_EQ(life.found.faults.size(), 1U);
    EXPECT_NE(life.found.faults[0].find("named to it as a gap"), std::string::npos) << life.found.faults[0];
    feed_many(*life.bench, 0, 5);
    ASSERT_TRUE(is_all_delivered(*life.bench));
    EXPECT_EQ(stored_events(central, 0), 2500U);
    EXPECT_EQ(named(central, 0, wire::gap_not_kept), lane.state.last_sequence - 2000);
    expect_closed(*life.bench);
    EXPECT_EQ(life.bench->counters.lanes[1].gap.get(), 0U);
}

TEST_F(MemoryLanes, ACrashOfAQuietOneLosesNothingAndDeclaresNothing) {
    {
        Life life = begin();
        feed_many(*life.bench, 0, 1);
        ASSERT_TRUE(is_all_delivered(*life.bench));
        // Within the promise that the first ones asked for: the next checkpoint finds them used and delivered, and promises anew. Nothing
        // changes after it, and yet another is due.
        feed_many(*life.bench, 0, 1, 10);
        ASSERT_TRUE(is_all_delivered(*life.bench));
        // Two checkpoints later the promise is what was used, and what is delivered is known; then there is nothing more to store.
        pass_checkpoints(*life.bench, 3);
        const std::uint64_t stored = life.bench->counters.checkpoints.get();
        pass_checkpoints(*life.bench, 2);
        EXPECT_EQ(life.bench->counters.checkpoints.get(), stored);
        crash(life);
    }
    Life life = begin();
    EXPECT_EQ(life.found.spool.lanes[0].state.last_sequence, 110U);
    EXPECT_FALSE(life.found.spool.lanes[0].state.has_lost_some);
    EXPECT_TRUE(life.found.faults.empty());
}

TEST_F(MemoryLanes, AStopDeliversWhatItCanWithinItsTime) {
    {
        Life life = begin();
        feed_many(*life.bench, 0, 30);
        drain(*life.bench);
        EXPECT_EQ(stored_events(central, 0), life.bench->fed[0]);
        crash(life);
    }
    const Life life = begin();
    EXPECT_EQ(life.found.spool.lanes[0].state.last_sequence, 3000U);
    EXPECT_FALSE(life.found.spool.lanes[0].state.has_lost_some);
}

TEST_F(MemoryLanes, WhatAStopCouldNotDeliverIsShedAndNamedByTheNextStart) {
    {
        Life life = begin();
        feed_many(*life.bench, 0, 10);
        ASSERT_TRUE(is_all_delivered(*life.bench));
        central.answers_hello = false;
        central.cut();
        feed_many(*life.bench, 0, 70, 100, 1000);  // more than it may hold: the last ones wait in their buffers
        drain(*life.bench);
        const LaneCounters& lane = life.bench->counters.lanes[0];
        EXPECT_EQ(lane.delivered.get() + lane.shed.get(), life.bench->fed[0]);
        crash(life);
    }
    central.answers_hello = true;
    Life life = begin();
    EXPECT_EQ(life.found.spool.lanes[0].state.last_sequence, 8000U);
    EXPECT_TRUE(life.found.spool.lanes[0].state.has_lost_some);
    EXPECT_TRUE(life.found.faults.empty()) << life.found.faults[0];
    feed_many(*life.bench, 0, 1);
    ASSERT_TRUE(is_all_delivered(*life.bench));
    EXPECT_EQ(named(central, 0, wire::gap_shed), 7000U);
    EXPECT_EQ(life.bench->counters.lanes[0].gap.get(), 0U);
    expect_closed(*life.bench);
}

TEST_F(MemoryLanes, WhatCentralTurnsOutToHaveAfterAStopIsDelivered) {
    {
        Life life = begin();
        central.acks = false;
        feed_many(*life.bench, 0, 10);
        ASSERT_TRUE(life.bench->until([&] { return stored_events(central, 0) == 1000; }));
        drain(*life.bench);
        EXPECT_EQ(life.bench->counters.lanes[0].shed.get(), 1000U);
        crash(life);
    }
    central.acks = true;
    Life life = begin();
    feed_many(*life.bench, 0, 1);
    ASSERT_TRUE(is_all_delivered(*life.bench));
    EXPECT_EQ(life.bench->counters.lanes[0].shed.get(), 0U);
    EXPECT_EQ(stored_events(central, 0), 1100U);
    expect_closed(*life.bench);
}

TEST_F(MemoryLanes, TheAccountClosesAcrossLivesThatEndAnywhere) {
    for (std::uint32_t seed = 1; seed <= 12; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        TemporaryDirectory own;
        std::swap(directory.path, own.path);
        config.data_dir = directory.path;
        config.lanes[0].shed = random() % 2 == 0 ? ShedPolicy::oldest : ShedPolicy::newest;
        central.stored.clear();
        central.positions.clear();
        Sequence used = 0;
        for (int number = 0; number < 7; ++number) {
            const bool is_last = number == 6;
            central.answers_hello = is_last || random() % 3 != 0;
            central.acks = is_last || random() % 3 != 0;
            central.lane_credit.clear();
            if (!is_last && random() % 3 == 0) central.lane_credit[0] = random() % 3'000'000;
            Life life = begin();
            SpoolBench& bench = *life.bench;
            ASSERT_GE(bench.fed[0], used) << "a sequence is given out again";
            if (central.answers_hello) await_session(bench);
            feed_many(bench, 0, is_last ? 1 : static_cast<int>(random() % 25));
            feed_many(bench, 1, 2);
            bench.steps(static_cast<int>(random() % 100));
            if (!is_last && random() % 3 == 0) central.cut();
            feed_many(bench, 0, is_last ? 1 : static_cast<int>(random() % 25),
                      static_cast<std::uint32_t>(1 + random() % 50));
            bench.steps(static_cast<int>(random() % 50));
            used = central.positions[0];
            if (is_last) {
                ASSERT_TRUE(is_all_delivered(bench));
                expect_closed(bench);
                EXPECT_EQ(bench.counters.lanes[1].delivered.get(), bench.fed[1]);
            } else if (random() % 3 == 0) {
                drain(bench);
            }
            used = std::max(used, central.positions[0]);
            crash(life);
        }
        std::swap(directory.path, own.path);
    }
}

TEST_F(MemoryLanes, WhatIsGivenUpIsNotNamedBeforeACheckpointKnowsOfIt) {
    central.lane_credit[0] = 0;
    Life life = begin();
    SpoolBench& bench = *life.bench;
    await_session(bench);
    feed_many(bench, 0, 25);
    pass_checkpoints(bench, 2);  // as far as they know nothing of it is given up
    {
        const NoWrites on_any_disk;
        feed_many(bench, 0, 25);
        ASSERT_TRUE(bench.until([&] { return bench.counters.lanes[0].shed.get() > 0; }));
        ASSERT_TRUE(bench.until([&] { return bench.counters.checkpoint_failures.get() > 0; }));
        central.grant_lane(0, 1ULL << 40);
        bench.steps(100);
        EXPECT_EQ(central.positions[0], 0U);
    }
    ASSERT_TRUE(is_all_delivered(bench));
    expect_closed(bench);
}

// Each life expires what it has, and the one behind it finds more that a crash took along.
TEST_F(MemoryLanes, AnOutageThroughManyLivesStopsNoExpiryAndNothingOfItCountsAsDelivered) {
    config.lanes[0].keep_undelivered_s = 1;
    central.answers_hello = false;
    for (int number = 0; number < 6; ++number) {
        SCOPED_TRACE("life " + std::to_string(number));
        Life life = begin();
        SpoolBench& bench = *life.bench;
        const std::uint64_t before = bench.counters.lanes[0].expired.get();
        feed_many(bench, 0, 2);
        bench.steps(20);
        bench.skew_ns += 3 * ns_per_second;
        ASSERT_TRUE(bench.until([&] { return bench.counters.lanes[0].expired.get() > before; }));
        feed_many(bench, 0, 1);
        bench.steps(50);  // a checkpoint knows of what expired, and promises the others
        crash(life);
    }
    central.answers_hello = true;
    central.acks = false;
    Sequence lost = 0;
    {
        Life life = begin();
        lost = life.found.spool.lanes[0].state.last_sequence;
        ASSERT_TRUE(life.bench->until([&] { return central.positions[0] == lost; })) << "all of it is named";
        crash(life);
    }
    central.acks = true;
    Life life = begin();
    feed_many(*life.bench, 0, 1);
    ASSERT_TRUE(is_all_delivered(*life.bench));
    EXPECT_EQ(stored_events(central, 0), 100U);
    EXPECT_EQ(life.bench->counters.lanes[0].delivered.get(), 100U);
    expect_closed(*life.bench);
}

// What is settled is central's already as it was named, and holds its places.
TEST_F(MemoryLanes, WhatAStartHasNoPlaceForIsGivenUpBeforeItIsNamed) {
    for (const int used : {2, 3, 4}) {
        SCOPED_TRACE(std::to_string(used) + " places used");
        TemporaryDirectory own;
        std::swap(directory.path, own.path);
        config.data_dir = directory.path;
        central.stored.clear();
        central.positions.clear();
        ASSERT_TRUE(recover(config).ok());
        auto loaded = journal::CheckpointFile::load(spool_checkpoint_path(directory.path));
        ASSERT_TRUE(loaded.ok());
        auto checkpoint = decode_spool_checkpoint(loaded.value().content);
        ASSERT_TRUE(checkpoint);
        SpoolLane& lane = checkpoint->lanes[0];
        lane.state.last_sequence = lane.state.totals.accepted = 50;
        lane.promise = SequencePromise(50, promise_events_min);
        for (int place = 0; place < used; ++place) {
            const bool is_shed = place % 2 == 0;
            const GivenUp one{.first_sequence = static_cast<Sequence>(5 + 10 * place),
                              .count = 5,
                              .reason = (is_shed ? wire::gap_shed : wire::gap_expired) | given_up_settled};
            lane.given_up[static_cast<std::size_t>(place)] = one;
            (is_shed ? lane.shed_events : lane.expired_events) += one.count;
        }
        lane.state.totals.accepted += lane.state.totals.shed_unsequenced(50);
        journal::CheckpointFile file(spool_checkpoint_path(directory.path), loaded.value().serial);
        ASSERT_TRUE(file.store_now(encode(*checkpoint)).ok());
        // Lives end with something named and not acked, or acked and not stored.
        for (int number = 0; number < 12; ++number) {
            central.acks = number % 2 == 0;
            Life life = begin();
            ASSERT_TRUE(life.bench->until([&] { return central.positions[0] > 0; }));
            life.bench->steps(number);
            crash(life);
        }
        central.acks = true;
        Life life = begin();
        feed_many(*life.bench, 0, 1);
        ASSERT_TRUE(is_all_delivered(*life.bench));
        EXPECT_EQ(life.bench->counters.lanes[0].delivered.get(), 100U);
        expect_closed(*life.bench);
        std::swap(directory.path, own.path);
    }
}

TEST_F(MemoryLanes, ALostCheckpointCopyLosesNoPromise) {
    Sequence used = 0;
    {
        Life life = begin();
        feed_many(*life.bench, 0, 20);
        ASSERT_TRUE(is_all_delivered(*life.bench));
        used = life.bench->fed[0];
        crash(life);
    }
    auto loaded = journal::CheckpointFile::load(spool_checkpoint_path(directory.path));
    ASSERT_TRUE(loaded.ok());
    const std::string newer = spool_checkpoint_path(directory.path) + (loaded.value().serial % 2 == 0 ? ".0" : ".1");
    std::fstream(newer, std::ios::in | std::ios::out | std::ios::binary).seekp(100).put('\x5a');
    Life life = begin();
    EXPECT_GE(life.found.spool.lanes[0].state.last_sequence, used);
    feed_many(*life.bench, 0, 2);
    ASSERT_TRUE(is_all_delivered(*life.bench));
    expect_closed(*life.bench);
}

TEST_F(MemoryLanes, WithBothCopiesLostItGoesOnUnderANumberThatWasNeverUsed) {
    {
        Life life = begin();
        feed_many(*life.bench, 0, 20);
        feed_many(*life.bench, 1, 3);
        ASSERT_TRUE(is_all_delivered(*life.bench));
        crash(life);
    }
    std::set<LaneId> used = {0, 1, dead_letter_lane};
    for (int loss = 0; loss < 2; ++loss) {
        SCOPED_TRACE("loss " + std::to_string(loss));
        for (const char* copy : {".0", ".1"}) std::filesystem::remove(spool_checkpoint_path(directory.path) + copy);
        LaneId number = 0;
        {
            Life life = begin();
            const LaneState lane = life.found.spool.lanes[0].state;
            EXPECT_EQ(lane.name, "default");
            EXPECT_TRUE(lane.in_memory);
            ASSERT_TRUE(used.insert(lane.id).second) << lane.id;
            number = lane.id;
            EXPECT_EQ(lane.last_sequence, 0U);
            EXPECT_FALSE(lane.has_lost_some) << "what it held is not known";
            const auto says_so = [&](const std::string& fault) {
                return fault.find("lane number " + std::to_string(lane.id)) != std::string::npos;
            };
            EXPECT_TRUE(std::any_of(life.found.faults.begin(), life.found.faults.end(), says_so));
            // The other lane's journal says what it is.
            EXPECT_EQ(life.found.spool.lanes[1].state.id, 1U);
            EXPECT_EQ(life.found.spool.lanes[1].state.last_sequence, 300U);
            feed_many(*life.bench, lane.id, 2);
            ASSERT_TRUE(life.bench->until([&] { return life.bench->delivered[lane.id] == 200; }));
            EXPECT_EQ(stored_events(central, lane.id), 200U);
            EXPECT_EQ(central.positions[lane.id], 200U) << "nothing of it is named that nobody knows";
            crash(life);
        }
        // With a checkpoint it stays that number.
        Life life = begin();
        EXPECT_EQ(life.found.spool.lanes[0].state.id, number);
        EXPECT_GE(life.found.spool.lanes[0].state.last_sequence, 200U);
        crash(life);
    }
    EXPECT_EQ(stored_events(central, 0), 2000U) << "under its old number nothing more came";
    EXPECT_EQ(central.positions[0], 2000U);
    EXPECT_EQ(stored_events(central, 1), 300U);
    EXPECT_EQ(central.duplicates, 0U);
}

TEST_F(MemoryLanes, ALanesJournalIsNotLeftBehindByAConfigurationThatPutsItInMemory) {
    const EdgeConfig in_memory = config;
    config.lanes[0].spool = LaneSpool::disk;
    {
        Life life = begin();
        feed_many(*life.bench, 0, 3);
        ASSERT_TRUE(is_all_delivered(*life.bench));
        crash(life);
    }
    const auto refused = recover(in_memory);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().what.find("lanes[default].spool"), std::string::npos);
    EXPECT_TRUE(recover(config).ok());
}

TEST_F(MemoryLanes, OneThatComesToTheDiskGoesOnBehindWhatItWasPromised) {
    {
        Life life = begin();
        feed_many(*life.bench, 0, 3);
        ASSERT_TRUE(is_all_delivered(*life.bench));
        crash(life);
    }
    config.lanes[0].spool = LaneSpool::disk;
    Life life = begin();
    EXPECT_FALSE(life.found.spool.lanes[0].state.in_memory);
    EXPECT_GE(life.found.spool.lanes[0].state.last_sequence, 300U);
    feed_many(*life.bench, 0, 3);
    ASSERT_TRUE(is_all_delivered(*life.bench));
    EXPECT_TRUE(std::filesystem::exists(stream_directory(directory.path, "default")));
    expect_closed(*life.bench);
}

}  // namespace
}  // namespace weir::edge::test
