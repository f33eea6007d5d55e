// SpoolBench: a real SpoolStage on a real EpollIo and a real disk, with a scripted central on loopback, stepped by one thread.
//
// The bench stands where intake and central do: it fills batches, and speaks central's half of the protocol as a test wishes.
// Time for the stage is the clock plus what the test adds to it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/io/epoll_io.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/journal/segments.hpp"
#include "core/wire/control.hpp"
#include "core/wire/splitter.hpp"
#include "core/wire/status.hpp"
#include "edge/spool/spare_lanes.hpp"
#include "edge/spool/spool_stage.hpp"

namespace weir::edge::test {

struct TemporaryDirectory {
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "weir-edge-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        path = pattern;
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path); }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    std::string path;
};

// Seals a batch of `count` small frames into `buffer`, behind the room for its record header; returns its bytes.
inline std::uint32_t fill_batch(Bytes buffer, LaneId lane, std::string_view lane_name, Sequence first,
                                std::uint32_t count, std::uint64_t lineage, std::uint32_t event_bytes = 40,
                                wire::Part part = wire::Part::live) {
    const std::uint32_t frame = static_cast<std::uint32_t>(wire::frame_bytes(event_bytes));
    EXPECT_LE(std::size_t{count} * frame, batch_body_capacity);
    const Bytes body = buffer.subspan(batch_body_at, std::size_t{count} * frame);
    std::fill(buffer.begin(), buffer.end(), std::byte{0});
    for (std::uint32_t index = 0; index < count; ++index) {
        const Bytes at = body.subspan(std::size_t{index} * frame);
        wire::store(at, wire::FrameHeader{.body_bytes = event_bytes, .kind = wire::FrameKind::event});
        wire::store(at.subspan(sizeof(wire::FrameHeader)), first + index);
    }
    wire::BatchHeader header;
    header.lane = lane;
    header.part = part;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane_name);
    header.lineage = lineage;
    header.epoch = 1;
    header.first_sequence = first;
    header.count = count;
    header.totals.accepted = first + count - 1;
    wire::seal(header, body);
    wire::store(buffer.subspan(sizeof(journal::RecordHeader)), header);
    return static_cast<std::uint32_t>(sizeof(header) + body.size());
}

// Central's half of the uplink, as far as a test wants it to play along.
class ScriptedCentral {
  public:
    explicit ScriptedCentral(std::string address = "127.0.0.1:0") {
        io::IoOptions options;
        options.slots = 16;
        auto made = io::make_epoll_io(options);
        EXPECT_TRUE(made.ok());
        io_ = std::move(made.value());
        auto socket = io_->listen({std::move(address)}, {.owner = 0, .kind = accepting, .generation = 0, .index = 0});
        EXPECT_TRUE(socket.ok());
        listener_ = socket.value();
    }
    [[nodiscard]] std::string address() const { return io_->local_address(listener_); }

    // The script.
    std::uint64_t credit_bytes = 1ULL << 40;
    std::uint32_t identity = 0;
    bool acks = true;
    bool answers_hello = true;
    bool answers_ping = true;
    std::optional<std::uint32_t> asks_status_ms;  // with each welcome
    std::optional<wire::RefusalReason> refuses_hello;
    std::optional<wire::RefusalReason> refuses_next_batch;
    std::uint16_t refusal_after_ms = 0;
    std::map<LaneId, Sequence> positions;  // durable here, per lane (of backlog parts: below)
    std::map<LaneId, Sequence> backlog_positions;
    bool is_unsettled = false;  // its welcomes are not the last word
    bool may_be_asked_rows = false;
    std::map<LaneId, std::uint64_t> lane_credit;  // what is granted to a lane in each session; none: not said

    // What it saw.
    struct Seen {
        LaneId lane = 0;
        wire::BatchKind kind = wire::BatchKind::events;
        std::uint8_t flags = 0;
        Sequence first = 0;
        Sequence last = 0;
        wire::Part part = wire::Part::live;
    };
    std::vector<Seen> stored;
    struct Status {
        wire::EdgeStatusHead head;
        std::map<std::pair<LaneId, wire::Part>, wire::LaneStatus> lanes;
    };
    std::vector<Status> statuses;
    std::vector<std::vector<std::byte>> row_asks;  // bodies
    std::vector<wire::EdgeHello> hellos;
    std::map<LaneId, wire::LaneOffer> offers;
    std::uint64_t session_bytes = 0;             // batch frames of this connection
    std::map<LaneId, std::uint64_t> lane_bytes;  // of them, of each lane
    std::uint64_t duplicates = 0;
    std::uint64_t goodbyes = 0;
    std::uint64_t pings = 0;
    std::uint16_t life = 1;  // what its pongs before a hello say
    bool is_connected = false;

    void step() {
        const auto completions = io_->wait(MonotonicNs{0});
        for (const io::Completion& one : completions) on(one);
    }
    void cut() {
        if (is_connected) io_->close(connection_);
        is_connected = false;
    }
    void grant(std::uint64_t bytes) {
        credit_bytes = bytes;
        say_credit(bytes);
    }
    void ask_status(std::uint32_t interval_ms) {
        const wire::StatusAsk ask{interval_ms, 0};
        say(wire::FrameKind::status_ask, std::as_bytes(std::span(&ask, 1)));
    }
    // Also a total that was said before.
    void say_credit(std::uint64_t bytes) {
        wire::Credit credit;
        credit.credit_bytes = bytes;
        say(wire::FrameKind::credit, std::as_bytes(std::span(&credit, 1)));
    }
    // To one lane, of both parts.
    void grant_lane(LaneId lane, std::uint64_t bytes) {
        lane_credit[lane] = bytes;
        wire::Credit credit;
        credit.lane = lane;
        credit.credit_bytes = bytes;
        say(wire::FrameKind::credit, std::as_bytes(std::span(&credit, 1)));
    }
    void ack_all() {
        for (const auto& [lane, last] : positions) {
            if (last > 0) ack(lane, wire::Part::live, last);
        }
        for (const auto& [lane, last] : backlog_positions) {
            if (last > 0) ack(lane, wire::Part::backlog, last);
        }
    }
    void say(wire::FrameKind kind, ConstBytes body, std::uint64_t number = 0, std::uint16_t tag = 0) {
        const auto body_bytes = static_cast<std::uint32_t>(body.size());
        std::vector<std::byte> frame(wire::frame_bytes(body_bytes));
        wire::store(Bytes{frame},
                    wire::FrameHeader{.body_bytes = body_bytes, .tag = tag, .kind = kind, .number = number});
        std::copy(body.begin(), body.end(), frame.begin() + sizeof(wire::FrameHeader));
        outbox_.push_back({generation_, std::move(frame)});
        send_next();
    }
    [[nodiscard]] Sequence& position(LaneId lane, wire::Part part) {
        return part == wire::Part::live ? positions[lane] : backlog_positions[lane];
    }

  private:
    enum Kind : std::uint8_t { accepting, receiving, sending };

    void on(const io::Completion& one) {
        switch (one.op) {
            case io::Op::accept:
                cut();
                connection_ = one.socket;
                is_connected = true;
                splitter_.reset(wire::frame_body_bytes_max);
                session_bytes = 0;
                lane_bytes.clear();
                has_refused_ = false;
                io_->receive(connection_, {.owner = 0, .kind = receiving, .generation = ++generation_, .index = 0});
                return;
            case io::Op::receive:
                if (one.result > 0) {
                    if (one.token.generation == generation_ && is_connected) take(one);
                    io_->release(one.slot);
                } else if (one.token.generation == generation_) {
                    cut();
                }
                return;
            case io::Op::send:
                outbox_.erase(outbox_.begin());
                sending_ = false;
                send_next();
                return;
            case io::Op::connect:
            case io::Op::read:
            case io::Op::write:
            case io::Op::sync:
                return;
        }
    }
    void take(const io::Completion& one) {
        ConstBytes bytes{one.bytes, static_cast<std::size_t>(one.result)};
        wire::SplitFault fault = wire::SplitFault::none;
        while (!bytes.empty() && is_connected) {
            const std::size_t used = splitter_.split(
                bytes, 1,
                [this](const wire::FrameHeader& header, ConstBytes frame) {
                    take_frame(header, frame);
                    return true;
                },
                fault);
            ASSERT_EQ(fault, wire::SplitFault::none);
            if (used == 0) break;
            bytes = bytes.subspan(used);
        }
    }
    void take_frame(const wire::FrameHeader& header, ConstBytes frame) {
        if (has_refused_) return;  // Nothing counts after a refusal.
        const ConstBytes body = frame.subspan(sizeof(header), header.body_bytes);
        switch (header.kind) {
            case wire::FrameKind::edge_hello:
                take_hello(body);
                return;
            case wire::FrameKind::batch:
                session_bytes += frame.size();
                EXPECT_LE(session_bytes, credit_bytes) << "sent beyond its credit";
                take_batch(body);
                return;
            case wire::FrameKind::ping:
                ++pings;
                if (answers_ping)
                    say(wire::FrameKind::pong, {}, header.number, hellos.empty() ? life : std::uint16_t{0});
                return;
            case wire::FrameKind::goodbye:
                ++goodbyes;
                return;
            case wire::FrameKind::edge_status:
                EXPECT_TRUE(asks_status_ms) << "nobody asked";
                take_status(body);
                return;
            case wire::FrameKind::row_ask:
                EXPECT_TRUE(may_be_asked_rows) << "nothing was offered";
                row_asks.emplace_back(body.begin(), body.end());
                return;
            default:
                ADD_FAILURE() << "unexpected frame " << static_cast<int>(header.kind);
        }
    }
    void take_status(ConstBytes body) {
        Status& status = statuses.emplace_back();
        ASSERT_EQ(wire::check_status(body, status.head), nullptr);
        for (std::uint32_t i = 0; i < status.head.lanes; ++i) {
            const wire::LaneStatus one = wire::lane_status(body, i);
            status.lanes[{one.lane, one.part}] = one;
        }
    }
    void take_hello(ConstBytes body) {
        const auto hello = wire::load<wire::EdgeHello>(body);
        hellos.push_back(hello);
        if (!answers_hello) return;
        if (refuses_hello) {
            refuse(*refuses_hello);
            return;
        }
        std::vector<std::byte> out(sizeof(wire::EdgeWelcome) + hello.lanes * sizeof(wire::LanePosition));
        wire::EdgeWelcome welcome;
        welcome.credit_bytes = credit_bytes;
        welcome.lanes = hello.lanes;
        welcome.identity = identity;
        wire::store(Bytes{out}, welcome);
        for (std::uint32_t i = 0; i < hello.lanes; ++i) {
            const auto offer = wire::load<wire::LaneOffer>(body.subspan(sizeof(hello) + i * sizeof(wire::LaneOffer)));
            offers[offer.lane] = offer;
            wire::LanePosition position;
            position.lane = offer.lane;
            position.part = offer.part;
            if (is_unsettled) position.flags = wire::position_unsettled;
            position.last_sequence = this->position(offer.lane, offer.part);
            wire::store(Bytes{out}.subspan(sizeof(welcome) + i * sizeof(position)), position);
        }
        say(wire::FrameKind::edge_welcome, out);
        for (const auto& [lane, bytes] : std::map(lane_credit)) grant_lane(lane, bytes);
        if (asks_status_ms) ask_status(*asks_status_ms);
    }
    void take_batch(ConstBytes bytes) {
        wire::BatchHeader header;
        ASSERT_EQ(wire::check_batch(bytes, header), wire::BatchFault::none);
        if (refuses_next_batch) {
            refuse(*refuses_next_batch);
            refuses_next_batch.reset();
            return;
        }
        if (const auto granted = lane_credit.find(header.lane); granted != lane_credit.end()) {
            lane_bytes[header.lane] += wire::frame_bytes(static_cast<std::uint32_t>(bytes.size()));
            EXPECT_LE(lane_bytes[header.lane], granted->second) << "sent beyond lane " << header.lane << "'s credit";
        }
        Sequence& last = position(header.lane, header.part);
        if (header.last_sequence() <= last) {
            ++duplicates;
        } else {
            // The law that everything here is about.
            EXPECT_EQ(header.first_sequence, last + 1) << "lane " << header.lane;
            last = header.last_sequence();
            stored.push_back({header.lane, header.kind, header.flags, header.first_sequence, last, header.part});
        }
        if (acks) ack(header.lane, header.part, last);
    }
    void ack(LaneId lane, wire::Part part, Sequence last) {
        wire::EdgeAck body;
        body.lane = lane;
        body.part = part;
        body.last_sequence = last;
        say(wire::FrameKind::edge_ack, std::as_bytes(std::span(&body, 1)));
    }
    void refuse(wire::RefusalReason reason) {
        has_refused_ = true;
        wire::Refusal refusal;
        refusal.reason = reason;
        refusal.after_ms = refusal_after_ms;
        say(wire::FrameKind::refusal, std::as_bytes(std::span(&refusal, 1)));
    }
    void send_next() {
        if (sending_) return;
        while (!outbox_.empty() && (outbox_.front().first != generation_ || !is_connected))
            outbox_.erase(outbox_.begin());
        if (outbox_.empty()) return;
        sending_ = true;
        io_->send(connection_, outbox_.front().second,
                  {.owner = 0, .kind = sending, .generation = generation_, .index = 0});
    }

    std::unique_ptr<io::Io> io_;
    io::Socket listener_{};
    io::Socket connection_{};
    std::uint16_t generation_ = 0;
    wire::CarryPool pool_{1, wire::frame_body_bytes_max};
    wire::FrameSplitter splitter_{pool_};
    std::vector<std::pair<std::uint16_t, std::vector<std::byte>>> outbox_;
    bool sending_ = false;
    bool has_refused_ = false;
};

// Where the bench counts a stream: its lane's number, or that beyond all lanes' for a backlog part.
inline LaneId backlog_of(LaneId lane) {
    return static_cast<LaneId>(lane + 0x4000);
}

// A store whose disk has no room for another file while `is_full` says so.
class CrowdedStore final : public journal::SegmentStore {
  public:
    CrowdedStore(std::unique_ptr<journal::SegmentStore> store, const bool& is_full)
        : store_(std::move(store)), is_full_(is_full) {}
    [[nodiscard]] Status create_now(const journal::SegmentHeader& header) override {
        return store_->create_now(header);
    }
    void prepare(const journal::SegmentHeader& header) override {
        has_failed_ = is_full_ && store_->ready(header.segment_index) == nullptr;
        if (!has_failed_) store_->prepare(header);
    }
    void use(std::uint64_t bytes) override { store_->use(bytes); }
    [[nodiscard]] const std::string* ready(std::uint64_t segment_index) override {
        return store_->ready(segment_index);
    }
    void release(std::uint64_t segment_index) override { store_->release(segment_index); }
    void mark_damaged(std::uint64_t segment_index) override { store_->mark_damaged(segment_index); }
    [[nodiscard]] std::uint64_t quarantined() const override { return store_->quarantined(); }
    [[nodiscard]] Status cut_after(Position end) override { return store_->cut_after(end); }
    [[nodiscard]] std::uint64_t first_index() const override { return store_->first_index(); }
    [[nodiscard]] int prepare_errno() const override { return has_failed_ ? ENOSPC : store_->prepare_errno(); }
    [[nodiscard]] std::string path_of(std::uint64_t segment_index) const override {
        return store_->path_of(segment_index);
    }

  private:
    std::unique_ptr<journal::SegmentStore> store_;
    const bool& is_full_;
    bool has_failed_ = false;
};

// An edge with the lanes "default" and "alarms", both on the disk, as recover() takes it.
inline EdgeConfig two_lanes_at(const std::string& directory, const ScriptedCentral& central) {
    EdgeConfig config;
    config.edge_id = "north";
    config.data_dir = directory;
    config.uplink.centrals = {central.address()};
    config.spool.segment_bytes = 512U << 10;
    config.cache.ids_max = 1024;
    config.lanes = {LaneConfig{.name = "default"}, LaneConfig{.name = "alarms"}};
    return config;
}

class SpoolBench {
  public:
    struct Options {
        std::uint32_t buffers = 8;
        std::uint64_t segment_bytes = 1U << 20;
        std::uint64_t bytes_max = 64ULL << 20;
        std::uint64_t checkpoint_ms = 50;
        std::uint64_t keep_delivered_ms = 0;
        std::uint64_t keep_delivered_bytes = 16ULL << 20;
        std::string data_dir{};  // empty: a temporary one
    };
    explicit SpoolBench(std::vector<std::string> addresses) : SpoolBench(std::move(addresses), Options()) {}
    SpoolBench(std::vector<std::string> addresses, Options options)
        : pool(options.buffers),
          to_spool_(1024),
          to_intake_(16384),
          to_spool_writer_(to_spool_.take_writer()),
          to_intake_reader_(to_intake_.take_reader()) {
        config.edge_id = "north";
        config.data_dir = options.data_dir.empty() ? directory.path : options.data_dir;
        config.uplink.centrals = std::move(addresses);
        config.uplink.reconnect_ms_min = 1;
        config.uplink.reconnect_ms_max = 4;
        config.spool.segment_bytes = options.segment_bytes;
        config.spool.bytes_max = options.bytes_max;
        config.spool.checkpoint_ms = options.checkpoint_ms;
        config.spool.keep_delivered_ms = options.keep_delivered_ms;
        config.spool.keep_delivered_bytes = options.keep_delivered_bytes;
        start.identity = {.edge_id = "north", .lineage = 77, .epoch = 1, .config_digest = 5};
        add_lane(0, "default");
        add_lane(1, "alarms");
        add_lane(dead_letter_lane, std::string(dead_letter_lane_name));
        for (std::uint32_t index = 0; index < pool.count(); ++index) free_buffers.push_back(index);
    }
    void open() {
        EXPECT_TRUE(journal::make_directory(spool_directory(config.data_dir)).ok());
        auto made = io::make_epoll_io({});
        ASSERT_TRUE(made.ok());
        io_ = std::move(made.value());
        spool_bell.attach(*io_);
        worker_ = std::make_unique<journal::SegmentWorker>([](void* bell) { static_cast<Doorbell*>(bell)->ring(); },
                                                           &spool_bell);
        for (const SpoolLane& lane : start.lanes) {
            if (lane.state.name.empty()) {
                segments_.push_back(std::make_unique<NamedStore>());
                continue;
            }
            segments_.push_back(std::make_unique<CrowdedStore>(
                journal::make_segment_store(*worker_,
                                            stream_directory(config.data_dir, lane.state.name, lane.state.part),
                                            lane.journal.segment_bytes, 2),
                disk_is_full));
        }
        stage = std::make_unique<SpoolStage>(*io_, std::uint8_t{0},
                                             SpoolParts{.config = config,
                                                        .start = start,
                                                        .pool = pool,
                                                        .segments = segments_,
                                                        .from_intake = to_spool_.take_reader(),
                                                        .to_intake = to_intake_.take_writer(),
                                                        .intake_doorbell = intake_bell,
                                                        .counters = counters,
                                                        .jitter_seed = 3,
                                                        .rung = &rung});
        stage->take_orders_from(orders);
        auto opened = stage->open();
        ASSERT_TRUE(opened.ok()) << opened.error().what;
    }
    ~SpoolBench() {
        // First what still writes into the stage's memory.
        io_.reset();
        stage.reset();
        segments_.clear();
        worker_.reset();
    }

    // Begins where a recovery ended.
    void begin_with(const SpoolStart& recovered) {
        start = recovered;
        for (const SpoolLane& lane : start.lanes) {
            fed[place_of(lane)] = durable[place_of(lane)] = lane.state.last_sequence;
            delivered[place_of(lane)] = lane.state.delivered_sequence;
        }
    }

    // What the configuration says of a lane, its backlog part with it. Before open().
    LaneConfig& configure(LaneId lane) {
        config.lanes.push_back({.name = lane == 0 ? "default" : "alarms"});
        return config.lanes.back();
    }
    void add_backlog(LaneId lane) {
        SpoolLane backlog = start.lanes.at(stream_of(lane));
        backlog.state.part = wire::Part::backlog;
        start.lanes.insert(start.lanes.begin() + stream_of(lane) + 1, backlog);
    }
    // A spare stream gets its name, as the control thread gives it.
    void name_stream(std::size_t stream, const std::string& name, const std::string& directory_path) {
        start.lanes[stream].state.name = name;
        static_cast<NamedStore&>(*segments_[stream])
            .become(
                journal::make_segment_store(*worker_, directory_path, start.lanes[stream].journal.segment_bytes, 2));
    }
    [[nodiscard]] LaneId lane_named(std::string_view name) const {
        for (const SpoolLane& lane : start.lanes) {
            if (lane.state.name == name) return lane.state.id;
        }
        return LaneId{0xfffe};
    }
    // Publishes a batch of `count` events on `lane`. Precondition: a buffer is free.
    void feed(LaneId lane, std::uint32_t count = 3, std::uint32_t event_bytes = 40) {
        ASSERT_FALSE(free_buffers.empty());
        const std::uint32_t buffer = free_buffers.back();
        free_buffers.pop_back();
        const SpoolLane& stream = start.lanes.at(stream_of(lane));
        Sequence& last = fed[lane];
        const std::uint32_t bytes = fill_batch(pool.buffer(buffer), stream.state.id, stream.state.name, last + 1, count,
                                               start.identity.lineage, event_bytes, stream.state.part);
        last += count;
        ASSERT_TRUE(to_spool_writer_.publish(ToSpool{.kind = ToSpool::Kind::batch,
                                                     .stream = stream_of(lane),
                                                     .buffer = buffer,
                                                     .batch_bytes = bytes,
                                                     .position = {}}));
    }
    // Intake's checkpoint knows all that is durable.
    void cover_durable() {
        for (const auto& [stream, position] : durable_position) {
            ASSERT_TRUE(to_spool_writer_.publish(ToSpool{.kind = ToSpool::Kind::covered,
                                                         .stream = stream,
                                                         .buffer = 0,
                                                         .batch_bytes = 0,
                                                         .position = position}));
        }
    }
    [[nodiscard]] StreamIndex stream_of(LaneId lane) const {
        StreamIndex index = 0;
        while (place_of(start.lanes.at(index)) != lane) ++index;
        return index;
    }
    [[nodiscard]] MonotonicNs now() const { return io_->now().plus_ns(skew_ns); }
    void step() {
        const auto completions = io_->wait(io_->now().plus_ns(200 * ns_per_us));
        const MonotonicNs at = now();
        for (const io::Completion& one : completions) stage->on_completion(one, at);
        (void)stage->do_work(at);
        (void)to_intake_reader_.consume_all([this](const ToIntake& note) { take(note); });
        for (ScriptedCentral* central : centrals) central->step();
    }
    // Steps until `done` holds; false if it never does.
    [[nodiscard]] bool until(const std::function<bool()>& done) {
        for (int i = 0; i < 20'000; ++i) {
            if (done()) return true;
            step();
        }
        return done();
    }
    void steps(int count) {
        for (int i = 0; i < count; ++i) step();
    }
    [[nodiscard]] bool is_all(const std::map<LaneId, Sequence>& reached) const {
        for (const auto& [lane, last] : fed) {
            const auto found = reached.find(lane);
            if (found == reached.end() || found->second != last) return false;
        }
        return true;
    }

    TemporaryDirectory directory;
    EdgeConfig config;
    SpoolStart start;
    BatchPool pool;
    SpoolCounters counters;
    Counter rung;
    LaneOrdersSlot orders;
    Doorbell spool_bell;
    Doorbell intake_bell;
    std::unique_ptr<SpoolStage> stage;
    std::vector<ScriptedCentral*> centrals;
    std::uint64_t skew_ns = 0;
    bool disk_is_full = false;
    std::vector<std::uint32_t> free_buffers;
    std::map<LaneId, Sequence> fed;
    std::map<LaneId, Sequence> durable;
    std::map<LaneId, Sequence> delivered;
    std::map<StreamIndex, Position> durable_position;  // each in its stream's journal
    bool poisoned = false;
    std::vector<StreamIndex> opens_in;         // as it was said
    std::map<StreamIndex, std::uint8_t> fill;  // the last word
    std::map<StreamIndex, ToIntake> shed;      // the last word

  private:
    [[nodiscard]] static LaneId place_of(const SpoolLane& stream) {
        return stream.state.part == wire::Part::backlog ? backlog_of(stream.state.id) : stream.state.id;
    }
    [[nodiscard]] LaneId lane_of(const ToIntake& note) const { return place_of(start.lanes[note.stream]); }
    void add_lane(LaneId id, std::string name) {
        SpoolLane lane;
        lane.state.id = id;
        lane.state.name = std::move(name);
        lane.state.is_configured = true;
        lane.journal.segment_bytes = config.spool.segment_bytes;
        start.lanes.push_back(std::move(lane));
    }
    void take(const ToIntake& note) {
        switch (note.kind) {
            case ToIntake::Kind::durable:
                EXPECT_GT(note.last_sequence, durable[lane_of(note)]);
                durable[lane_of(note)] = note.last_sequence;
                if (start.lanes[note.stream].state.in_memory) {
                    EXPECT_EQ(note.position, Position{}) << "it has no place on the disk";
                    return;
                }
                EXPECT_GT(note.position, durable_position[note.stream]);
                durable_position[note.stream] = note.position;
                return;
            case ToIntake::Kind::delivered:
                EXPECT_LE(note.last_sequence, durable[lane_of(note)]) << "delivered before it was durable here";
                delivered[lane_of(note)] = note.last_sequence;
                return;
            case ToIntake::Kind::returned:
                for (const std::uint32_t buffer : free_buffers) EXPECT_NE(buffer, note.buffer) << "returned twice";
                free_buffers.push_back(note.buffer);
                return;
            case ToIntake::Kind::poisoned:
                poisoned = true;
                return;
            case ToIntake::Kind::opens_in:
                opens_in.push_back(note.stream);
                return;
            case ToIntake::Kind::filled:
                fill[note.stream] = note.fill;
                return;
            case ToIntake::Kind::shed:
                if (note.last_sequence > 0) {
                    EXPECT_GT(note.last_sequence, shed[note.stream].last_sequence);
                    EXPECT_LE(note.first_sequence, note.last_sequence);
                    shed[note.stream] = note;
                }
                shed[note.stream].shed_events = note.shed_events;
                return;
        }
    }

    Ring<ToSpool> to_spool_;
    Ring<ToIntake> to_intake_;
    RingWriter<ToSpool> to_spool_writer_;
    RingReader<ToIntake> to_intake_reader_;
    std::unique_ptr<io::Io> io_;
    std::unique_ptr<journal::SegmentWorker> worker_;
    std::vector<std::unique_ptr<journal::SegmentStore>> segments_;
};

}  // namespace weir::edge::test
