// Lanes that are bound, held or stuck, and edges that crowd each other.
#include <atomic>
#include <thread>

#include "tests/central/central_bench.hpp"

namespace weir::central {
namespace {

using wire::RefusalReason;
using Stored = std::vector<std::pair<Sequence, std::uint32_t>>;

struct PressureTest : ::testing::Test {
    Directory directory;
    CentralConfig config = small_config(directory.path());
    LaneScript main_lane;
    LaneScript other;
    LaneScript letters;
    PressureTest() {
        other.lane = 1;
        other.lane_name = "other";
        letters.lane = dead_letter_lane;
        letters.lane_name = std::string(dead_letter_lane_name);
    }
    [[nodiscard]] Stored kept() const { return stored(journal_directory(config)); }
    [[nodiscard]] Stored kept_letters() const { return stored(dead_letters_directory(config)); }
};

std::uint64_t frame_bytes(const Batch& batch) {
    return wire::frame_bytes(static_cast<std::uint32_t>(batch.size()));
}

TEST_F(PressureTest, ABoundLaneIsToldItsCreditWithTheWelcomeAndItGrowsByWhatIsDurable) {
    config.lanes = {{"other", credit_floor_bytes}};
    Central central(config);
    ScriptedEdge edge(central.port());
    edge.hello({&main_lane, &other});
    ASSERT_EQ(edge.welcomed(), 0U);
    EXPECT_EQ(edge.next_credit(1), credit_floor_bytes);
    const Batch batch = other.events(3, 1000);
    edge.send(main_lane.events(2, 500));
    edge.send(batch);
    // Both parts together: the backlog's batch counts in the same lane.
    auto backlog = other.header(1);
    backlog.part = wire::Part::backlog;
    backlog.first_sequence = 1;
    backlog.previous_crc = 0;
    LaneScript second = other;
    Batch body;
    wire::EventBuilder builder;
    wire::EventView event;
    event.id = "b-1";
    event.type = "t";
    event.source = "s";
    LaneScript::add_frame(body, wire::FrameKind::event, builder.build(event));
    const Batch behind = second.seal(backlog, body);
    edge.send(behind);
    const std::uint64_t all = credit_floor_bytes + frame_bytes(batch) + frame_bytes(behind);
    for (std::uint64_t said = 0; said < all;) {
        const auto next = edge.next_credit(1);
        ASSERT_TRUE(next);
        ASSERT_GT(*next, said);
        ASSERT_LE(*next, all);
        said = *next;
    }
}

TEST_F(PressureTest, WithoutALaneBoundOnlyTheConnectionsCreditIsSaid) {
    Central central(config);
    ScriptedEdge edge(central.port());
    edge.hello({&main_lane, &other});
    ASSERT_EQ(edge.welcomed(), 0U);
    edge.send(main_lane.events(2));
    edge.send(other.events(2));
    while (const auto answer = edge.next()) {
        if (answer->header.kind == wire::FrameKind::credit) {
            EXPECT_EQ(answer->as<wire::Credit>().lane, wire::connection_credit);
        }
        if (answer->header.kind == wire::FrameKind::edge_ack && answer->as<wire::EdgeAck>().lane == 1) break;
    }
    edge.send_frame(wire::FrameKind::ping, {});
    ASSERT_TRUE(edge.next(wire::FrameKind::pong));
}

TEST_F(PressureTest, AHeldLaneIsGrantedNoMoreWhatIsOnItsWayIsTakenAndOthersGoOn) {
    config.lanes = {{"other", credit_floor_bytes}};
    Central central(config);
    ScriptedEdge edge(central.port());
    edge.hello({&main_lane, &other});
    ASSERT_EQ(edge.welcomed(), 0U);
    ASSERT_EQ(edge.next_credit(1), credit_floor_bytes);
    central.hold("other", true);
    const Batch within = other.events(2, 400U << 8);
    ASSERT_TRUE(edge.send_within_credit(within));
    ASSERT_TRUE(edge.await_ack(2));
    // Much more of the other lane than one credit: all of it is taken, and no word comes of the held one.
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(edge.send_within_credit(main_lane.events(2, 400U << 8)));
    for (Sequence last = 0; last < 40;) {
        const auto answer = edge.next();
        ASSERT_TRUE(answer);
        if (answer->header.kind == wire::FrameKind::credit) {
            EXPECT_EQ(answer->as<wire::Credit>().lane, wire::connection_credit);
        }
        if (answer->header.kind == wire::FrameKind::edge_ack) last = answer->as<wire::EdgeAck>().last_sequence;
    }
    central.hold("other", false);
    EXPECT_EQ(edge.next_credit(1), credit_floor_bytes + frame_bytes(within));
}

TEST_F(PressureTest, ALaneThatWasNeverBoundIsBoundByAHoldAndSendingOnIsRefused) {
    Central central(config);
    ScriptedEdge edge(central.port());
    edge.hello({&main_lane, &other});
    ASSERT_EQ(edge.welcomed(), 0U);
    edge.send(other.events(1));
    ASSERT_TRUE(edge.await_ack(1));
    LaneScript first;
    static_cast<void>(first);
    central.hold("other", true);
    const auto said = edge.next_credit(1);
    ASSERT_TRUE(said);
    EXPECT_LT(*said, 4096U);  // what was sent before, and nothing more
    // Before an edge has heard of it as much as its connection may send is in order; then no more.
    RefusalReason why{};
    for (int i = 0; i < 30 && why == RefusalReason{}; ++i) {
        edge.send(other.events(1, 200U << 10));
        edge.send_frame(wire::FrameKind::ping, {});
        while (const auto answer = edge.next()) {
            if (answer->header.kind == wire::FrameKind::pong) break;
            if (answer->header.kind == wire::FrameKind::refusal) {
                why = answer->as<wire::Refusal>().reason;
                break;
            }
        }
    }
    EXPECT_EQ(why, RefusalReason::protocol);
}

// Directories in the way of one journal's third segment: it waits for its next file, which cannot be made.
struct StuckTest : PressureTest {
    static constexpr int credit_answers =
        300;  // pings at least 1 ms apart: what is on its way to a disk is on it by then
    Sequence last_sent = 0;
    StuckTest() {
        config.journal.segment_bytes = 2U << 20;
        config.journal.group_bytes = 512U << 10;
        config.journal.groups = 2;
    }
    static std::string block(const std::string& journal) {
        const std::string name = journal + "/00000000000000000002.tmp";
        EXPECT_TRUE(std::filesystem::create_directory(name));
        return name;
    }
    // Sends of one lane until some of it was set aside; or, where that is not to be, until its credit is spent for good:
    // a full disk is known before the open segment is used up, so credit still comes back for a while.
    void fill(Central& central, ScriptedEdge& edge, LaneScript& stuck, bool are_letters, bool sets_aside) {
        std::uint64_t lane_credit = UINT64_MAX, lane_used = 0;
        for (int i = 0; i < 200 && central.shared().set_aside.get() == 0; ++i) {
            const Batch batch = are_letters ? stuck.dead_letters(1, 250U << 10) : stuck.events(1, 250U << 10);
            lane_used += frame_bytes(batch);
            edge.used += frame_bytes(batch);
            for (int asked = 0; edge.used > edge.credit || lane_used > lane_credit; ++asked) {
                if (central.shared().set_aside.get() != 0) return;
                const bool is_full = lane_used > lane_credit && central.shared().full_errno.get() != 0;
                if (!sets_aside && is_full && asked >= credit_answers) return;
                edge.send_frame(wire::FrameKind::ping, {});  // its answer comes after all that was to be said
                for (auto answer = edge.next();; answer = edge.next()) {
                    ASSERT_TRUE(answer) << "it never went on after " << i << " batches";
                    if (answer->header.kind == wire::FrameKind::pong) break;
                    if (answer->header.kind != wire::FrameKind::credit) continue;
                    const auto said = answer->as<wire::Credit>();
                    if (said.lane == wire::connection_credit) edge.credit = std::max(edge.credit, said.credit_bytes);
                    if (said.lane == stuck.lane) lane_credit = said.credit_bytes;
                }
                ASSERT_LT(asked, 20'000) << "nothing was set aside after " << i << " batches";
                ::usleep(1000);
            }
            edge.send(batch);
            last_sent = stuck.next - 1;
        }
    }
    void check(LaneScript& stuck, LaneScript& healthy, bool are_letters, bool sets_aside) {
        Sequence last = 0;
        {
            Central central(config);
            const std::string in_the_way =
                block(are_letters ? dead_letters_directory(config) : journal_directory(config));
            ScriptedEdge edge(central.port());
            edge.hello({&stuck, &healthy});
            ASSERT_EQ(edge.welcomed(), 0U);
            ASSERT_NO_FATAL_FAILURE(fill(central, edge, stuck, are_letters, sets_aside));
            last = last_sent;
            ASSERT_NE(central.shared().full_errno.get(), 0U);
            const Batch batch = are_letters ? healthy.events(3) : healthy.dead_letters(3);
            edge.send(batch);
            for (bool is_acked = false; !is_acked;) {
                const auto answer = edge.next(wire::FrameKind::edge_ack);
                ASSERT_TRUE(answer) << "the healthy lane was held up";
                is_acked = answer->as<wire::EdgeAck>().lane == healthy.lane;
            }
            EXPECT_EQ((are_letters ? kept() : kept_letters()), (Stored{{1, 3}}));
            std::filesystem::remove(in_the_way);
            EXPECT_EQ(central.shared().set_aside.get() > 0, sets_aside);
            if (!sets_aside) {
                ASSERT_TRUE(edge.await_ack(last));
                return;
            }
            EXPECT_EQ(edge.refusal(), RefusalReason::sequence_gap);
        }
        // What was set aside comes again with the next session, and is kept once.
        LaneScript again;
        again.lane = stuck.lane;
        again.lane_name = stuck.lane_name;
        Central central(config);
        ScriptedEdge edge(central.port());
        edge.hello({&again, &healthy}, 2);
        const Sequence durable = edge.welcomed();
        ASSERT_GT(durable, 0U);
        ASSERT_LT(durable, last);
        while (again.next <= last) {
            const Batch batch = are_letters ? again.dead_letters(1, 250U << 10) : again.events(1, 250U << 10);
            if (again.next > durable + 1) {
                ASSERT_TRUE(edge.send_within_credit(batch));
            }
        }
        ASSERT_TRUE(edge.await_ack(last));
        const Stored all = are_letters ? kept_letters() : kept();
        ASSERT_EQ(all.size(), last);
        for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].first, i + 1);
    }
};

TEST_F(StuckTest, WithoutRoomForDeadLettersEventsOfTheSameConnectionGoOn) {
    // One connection's credit in that lane is within what the write groups hold: nothing needs to be set aside.
    check(letters, main_lane, true, false);
}

TEST_F(StuckTest, DeadLettersBeyondTheWriteGroupsAreSetAsideAndComeAgain) {
    config.lanes = {{letters.lane_name, 4U << 20}};
    check(letters, main_lane, true, true);
}

TEST_F(StuckTest, WithoutRoomForEventsDeadLettersOfTheSameConnectionGoOn) {
    check(main_lane, letters, false, true);
}

// Dead letters must not wait for a full journal of events: the welcome is sent, and says that it is not the last word.
TEST_F(StuckTest, AWelcomeThatCannotWaitSaysThatMoreWasTaken) {
    Central central(config);
    const std::string in_the_way = block(journal_directory(config));
    ScriptedEdge edge(central.port());
    edge.hello({&main_lane, &letters});
    ASSERT_EQ(edge.welcomed(), 0U);
    for (int i = 0; i < 15 || central.shared().full_errno.get() == 0; ++i) {
        ASSERT_LT(i, 30);
        edge.send(main_lane.events(1, 250U << 10));
        ::usleep(20'000);
    }
    ScriptedEdge newer(central.port());
    newer.hello({&main_lane, &letters}, 2);
    const auto answer = newer.next(wire::FrameKind::edge_welcome);
    ASSERT_TRUE(answer);
    const auto position = [&](std::size_t index) {
        return wire::load<wire::LanePosition>(
            ConstBytes(answer->body).subspan(sizeof(wire::EdgeWelcome) + index * sizeof(wire::LanePosition)));
    };
    EXPECT_LT(position(0).last_sequence, central.shared().batches.get());
    EXPECT_EQ(position(0).flags, wire::position_unsettled);
    EXPECT_EQ(position(1).flags, 0U);
    std::filesystem::remove(in_the_way);
    EXPECT_EQ(newer.refusal(), RefusalReason::sequence_gap);
}

// What an earlier session sent and is still to be written may not be missing in the next one's welcome: the edge would take it for
// lost and could give it up.
TEST_F(StuckTest, AWelcomeWaitsForWhatWasTakenAndIsNotDurableYet) {
    Central central(config);
    const std::string in_the_way = block(journal_directory(config));
    Sequence sent = 0;
    ScriptedEdge edge(central.port());
    edge.hello(main_lane);
    ASSERT_EQ(edge.welcomed(), 0U);
    for (int i = 0; i < 15 || central.shared().full_errno.get() == 0; ++i) {
        ASSERT_LT(i, 30);
        edge.send(main_lane.events(1, 250U << 10));
        ::usleep(20'000);
    }
    sent = central.shared().batches.get();
    ScriptedEdge newer(central.port());
    newer.hello(main_lane, 2);
    ::usleep(400'000);
    std::filesystem::remove(in_the_way);
    EXPECT_EQ(newer.welcomed(), sent);
}

TEST_F(StuckTest, AWelcomeThatCannotWaitIsFollowedByANewOne) {
    config.lanes = {{letters.lane_name, 4U << 20}};
    Central central(config);
    const std::string in_the_way = block(dead_letters_directory(config));
    ScriptedEdge edge(central.port());
    edge.hello({&letters, &main_lane});
    ASSERT_EQ(edge.welcomed(), 0U);
    fill(central, edge, letters, true, true);
    ASSERT_NE(central.shared().full_errno.get(), 0U);
    ScriptedEdge newer(central.port());
    newer.hello({&letters, &main_lane}, 2);
    const Sequence said = newer.welcomed();
    EXPECT_LT(said, last_sent);
    newer.send(main_lane.events(3));
    EXPECT_TRUE(newer.await_ack(3)) << "the other lane goes on";
    std::filesystem::remove(in_the_way);
    EXPECT_EQ(newer.refusal(), RefusalReason::sequence_gap);
    ScriptedEdge newest(central.port());
    newest.hello({&letters, &main_lane}, 3);
    EXPECT_GT(newest.welcomed(), said);
}

TEST_F(PressureTest, HellosBeyondTheirPaceAreRefusedForNow) {
    config.limits.hellos_per_second = 10;
    config.listen.connections_max = 40;
    config.limits.edges_max = 40;
    Central central(config);
    std::vector<std::unique_ptr<ScriptedEdge>> edges;
    int refused = 0;
    for (int i = 0; i < 30; ++i) {
        LaneScript lane;
        lane.edge = "edge-" + std::to_string(i);
        edges.push_back(std::make_unique<ScriptedEdge>(central.port()));
        edges.back()->hello(lane);
        const auto answer = edges.back()->next();
        ASSERT_TRUE(answer);
        if (answer->header.kind != wire::FrameKind::refusal) continue;
        EXPECT_EQ(answer->as<wire::Refusal>().reason, RefusalReason::limit);
        ++refused;
        // 100 ms to each turn, less what has passed meanwhile.
        EXPECT_GT(answer->as<wire::Refusal>().after_ms, 0);
        EXPECT_LE(answer->as<wire::Refusal>().after_ms, 100 * refused + 1);
    }
    EXPECT_GE(refused, 5);
    EXPECT_LE(refused, 14);
}

TEST_F(PressureTest, ManyEdgesShareFewCarryBuffersAndAllAreServed) {
    config.limits.carries_max = 2;
    config.limits.edges_max = 16;
    config.runtime.receive_slots = 16;
    config.runtime.receive_slot_bytes = 4096;
    Central central(config);
    constexpr int edges = 8, batches = 6, batches_max = 300;
    const auto& waits = central.shared().carry_waits;
    std::atomic<std::size_t> sent{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < edges; ++i) {
        threads.emplace_back([&, i] {
            LaneScript lane;
            lane.edge = "edge-" + std::to_string(i);
            ScriptedEdge edge(central.port());
            edge.hello(lane);
            ASSERT_EQ(edge.welcomed(), 0U);
            // Whether one has to wait is a matter of who is read when: they go on until one had to.
            int n = 0;
            for (; n < batches || (n < batches_max && waits.get() == 0); ++n) {
                ASSERT_TRUE(edge.send_within_credit(lane.events(2, 100U << 10)));
            }
            ASSERT_TRUE(edge.await_ack(2 * static_cast<Sequence>(n)));
            sent += static_cast<std::size_t>(n);
        });
    }
    for (auto& one : threads) one.join();
    EXPECT_EQ(kept().size(), sent.load());
    EXPECT_GT(waits.get(), 0U);
}

TEST_F(PressureTest, AFrameLeftHalfSentLosesItsBufferToThoseWhoWait) {
    config.limits.carries_max = 2;
    config.listen.frame_ms_max = 100;
    Central central(config);
    std::vector<std::unique_ptr<ScriptedEdge>> half;
    std::vector<LaneScript> lanes(3);
    for (std::size_t i = 0; i < 3; ++i) {
        lanes[i].edge = "edge-" + std::to_string(i);
        half.push_back(std::make_unique<ScriptedEdge>(central.port()));
        half[i]->hello(lanes[i]);
        ASSERT_EQ(half[i]->welcomed(), 0U);
        if (i == 2) break;
        Batch frame;
        LaneScript::add_frame(frame, wire::FrameKind::batch, lanes[i].events(1, 200U << 10));
        half[i]->send_raw(ConstBytes(frame).first(frame.size() - 1));
    }
    ASSERT_TRUE(half[2]->send_within_credit(lanes[2].events(1, 200U << 10)));
    ASSERT_TRUE(half[2]->await_ack(1));
    EXPECT_EQ(half[0]->refusal(), RefusalReason::limit);
}

// The stage without its runner: the test says when it looks and when it works.
class HandDriven {
  public:
    explicit HandDriven(const CentralConfig& config) : config_(config), shared_(config_) {
        recovered_ = recover(config_, shared_.positions).value();
        io::IoOptions options;
        options.slots = config_.runtime.receive_slots;
        options.slot_bytes = config_.runtime.receive_slot_bytes;
        io_ = std::move(io::make_io(io::IoChoice::epoll, options).value());
        const auto store = [&](const std::string& name) {
            return journal::make_segment_store(
                name, config_.journal.segment_bytes, 0, [](void*) {}, nullptr);
        };
        journal_ = store(journal_directory(config_));
        letters_ = store(dead_letters_directory(config_));
        stage_ = std::make_unique<IngestStage>(*io_, config_, recovered_, IngestStage::Stores{*journal_, *letters_},
                                               shared_);
        EXPECT_TRUE(stage_->open(0).ok());
    }
    ~HandDriven() { static_cast<void>(io_->quiesce()); }
    // Takes in what has come; nothing is done with it yet.
    void look() {
        for (const auto& one : io_->wait(io_->now().plus_ns(20 * ns_per_ms))) {
            seen_.push_back(one);
            if (one.op == io::Op::receive) last_seen_ = one.socket;
        }
    }
    void work() {
        for (const auto& one : seen_) stage_->on_completion(one, io_->now());
        seen_.clear();
        static_cast<void>(stage_->do_work(io_->now()));
    }
    // As a receive that was under way when its socket was paused: the last one that was seen.
    void receive_once_more() {
        io_->pause_receive(last_seen_, false);
        look();
        io_->pause_receive(last_seen_, true);
    }
    void run(int cycles) {
        for (int i = 0; i < cycles; ++i) {
            look();
            work();
        }
    }
    [[nodiscard]] IngestShared& shared() { return shared_; }
    [[nodiscard]] std::uint16_t port() const {
        const auto& address = shared_.addresses.at(0);
        return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    }

  private:
    CentralConfig config_;
    IngestShared shared_;
    Recovered recovered_;
    std::unique_ptr<io::Io> io_;
    std::unique_ptr<journal::SegmentStore> journal_;
    std::unique_ptr<journal::SegmentStore> letters_;
    std::unique_ptr<IngestStage> stage_;
    std::vector<io::Completion> seen_;
    io::Socket last_seen_;
};

TEST_F(PressureTest, AFloodingEdgeDoesNotPutOffASlowOnesBatch) {
    config.limits.turn_bytes = 8192;
    config.runtime.receive_slot_bytes = 64U << 10;
    HandDriven central(config);
    LaneScript slow;
    slow.edge = "slow";
    ScriptedEdge flood(central.port()), calm(central.port());
    flood.hello(main_lane);
    calm.hello(slow);
    central.run(4);
    ASSERT_EQ(flood.welcomed(), 0U);
    ASSERT_EQ(calm.welcomed(), 0U);
    for (int i = 0; i < 30; ++i) flood.send(main_lane.events(1, 2000));
    calm.send(slow.events(7));
    while (central.shared().batches.get() == 0) central.run(1);
    central.run(100);
    const Stored all = kept();
    const auto at = std::find(all.begin(), all.end(), std::pair<Sequence, std::uint32_t>{1, 7}) - all.begin();
    EXPECT_LE(at, 4);  // a turn of the flood's, and the batch that ended it
    EXPECT_EQ(all.size(), 31U);
    EXPECT_GT(central.shared().turns.get(), 0U);
    EXPECT_TRUE(calm.await_ack(7));
    EXPECT_TRUE(flood.await_ack(30));
}

TEST_F(PressureTest, WhenAllSlotsAreHeldByWhoWaitsForABufferItIsSentAwayAndTheOthersGoOn) {
    config.limits.carries_max = 2;
    config.runtime.receive_slots = 8;
    config.runtime.receive_slot_bytes = 4096;
    HandDriven central(config);
    std::vector<std::unique_ptr<ScriptedEdge>> edges;
    std::vector<LaneScript> lanes(3);
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        lanes[i].edge = "edge-" + std::to_string(i);
        edges.push_back(std::make_unique<ScriptedEdge>(central.port()));
        edges[i]->hello(lanes[i]);
        central.run(3);
        ASSERT_EQ(edges[i]->welcomed(), 0U);
    }
    // Two begin a frame and have the buffers.
    std::vector<Batch> frames(lanes.size());
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        LaneScript::add_frame(frames[i], wire::FrameKind::batch, lanes[i].events(1, 60U << 10));
    }
    for (std::size_t i = 0; i < 2; ++i) edges[i]->send_raw(ConstBytes(frames[i]).first(5000));
    central.run(6);
    // The third is received from until it holds all slots but one; a last receive was under way when it was paused.
    edges[2]->send_raw(frames[2]);
    for (int i = 0; i < 12; ++i) central.look();
    central.work();
    central.receive_once_more();
    central.work();
    central.run(3);
    EXPECT_EQ(edges[2]->refusal(), RefusalReason::limit);
    for (std::size_t i = 0; i < 2; ++i) edges[i]->send_raw(ConstBytes(frames[i]).subspan(5000));
    central.run(100);
    EXPECT_TRUE(edges[0]->await_ack(1));
    EXPECT_TRUE(edges[1]->await_ack(1));
    EXPECT_EQ(kept().size(), 2U);
}

}  // namespace
}  // namespace weir::central
