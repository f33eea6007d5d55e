// IntakeBench: a real Intake on a real EpollIo, stepped by one thread; the bench stands where producers and the spool do.
//
// Time for the stage is the Io's clock plus what the test adds to it.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/io/epoll_io.hpp"
#include "core/journal/checkpoint.hpp"
#include "core/wire/event.hpp"
#include "edge/intake/intake.hpp"
#include "tests/allocation_count.hpp"

namespace weir::edge::test {

struct IntakeDirectory {
    IntakeDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "weir-intake-XXXXXX").string();
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        path = pattern;
    }
    ~IntakeDirectory() { std::filesystem::remove_all(path); }
    IntakeDirectory(const IntakeDirectory&) = delete;
    IntakeDirectory& operator=(const IntakeDirectory&) = delete;
    std::string path;
};

// A batch as the spool would hold it.
struct StoredBatch {
    wire::BatchHeader header;
    std::vector<std::byte> bytes;
    Position end{};
    [[nodiscard]] ConstBytes body() const { return ConstBytes(bytes).subspan(sizeof header); }
};

class IntakeBench {
  public:
    static EdgeConfig config_at(const std::string& directory) {
        EdgeConfig config;
        config.edge_id = "north";
        config.data_dir = directory;
        config.listen.producers = {"unix:" + directory + "/in.sock"};
        config.listen.connections_max = 8;
        config.cache.ids_max = 16'384;
        config.lanes = {LaneConfig{.name = "default"}};
        config.spool.batches_max = 8;
        return config;
    }
    // The streams: a live_first lane has two.
    static std::vector<LaneState> lanes_of(const EdgeConfig& config) {
        std::vector<LaneState> streams;
        const auto add = [&](LaneId id, std::string_view name, wire::Part part) {
            LaneState& stream = streams.emplace_back();
            stream.id = id;
            stream.name = name;
            stream.part = part;
            stream.is_configured = true;
            for (const LaneConfig& lane : config.lanes) {
                if (lane.name == name) stream.in_memory = lane.is_in_memory();
            }
        };
        for (std::size_t index = 0; index < config.lanes.size(); ++index) {
            const auto id = static_cast<LaneId>(index);
            add(id, config.lanes[index].name, wire::Part::live);
            if (config.lanes[index].drain == Drain::live_first) add(id, config.lanes[index].name, wire::Part::backlog);
        }
        add(dead_letter_lane, dead_letter_lane_name, wire::Part::live);
        return streams;
    }

    explicit IntakeBench(const EdgeConfig& config, std::vector<LaneState> lanes = {},
                         const std::vector<StoredBatch>* spooled = nullptr)
        : pool(config.spool.batches_max), to_spool_(256), to_intake_(256) {
        io = std::move(io::make_epoll_io({.slots = config.runtime.receive_slots}).value());
        if (lanes.empty()) lanes = lanes_of(config);
        auto memory = IntakeMemory::load(config, config.data_dir);
        EXPECT_TRUE(memory.ok());
        if (spooled != nullptr) {
            for (const StoredBatch& batch : *spooled) memory.value().replay(batch.header, batch.body());
        }
        SpoolIdentity identity{"north", 7, 1, 9};
        intake = std::make_unique<Intake>(*io, std::uint8_t{0}, config, identity, lanes, std::move(memory.value()),
                                          pool, to_spool_.take_writer(), to_intake_.take_reader(), doorbell_, counters);
        const Status started = intake->start();
        EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error().what);
        from_intake_.emplace(to_spool_.take_reader());
        notes_.emplace(to_intake_.take_writer());
        path = config.listen.producers.front().substr(5);
        stored.reserve(4096);
        held_.reserve(64);
    }

    // As a runner does: nothing under way uses intake's bytes when it goes.
    ~IntakeBench() { EXPECT_TRUE(io->quiesce()); }
    IntakeBench(const IntakeBench&) = delete;
    IntakeBench& operator=(const IntakeBench&) = delete;

    // One duty cycle, and the spool's part in it.
    void step() {
        const MonotonicNs now = io->now().plus_ns(added_ns);
        const auto completions = io->wait(io->now());
        weir::test::counts_allocations = true;  // the stage's own, not the bench's
        for (const io::Completion& completion : completions) intake->on_completion(completion, now);
        (void)intake->do_work(now);
        weir::test::counts_allocations = false;
        from_intake_->consume_all([this](const ToSpool& note) { take(note); });
        if (is_durable_at_once) settle();
    }
    // Steps until `is_done` holds; false if that never comes.
    bool step_until(const std::function<bool()>& is_done) {
        const MonotonicNs until = io->now().plus_ns(10 * ns_per_second);
        while (!is_done()) {
            if (io->now() > until) return false;
            step();
        }
        return true;
    }
    // Says that all batches but those of `stuck` are durable, and gives their buffers back.
    void settle() {
        std::vector<ToSpool> kept;
        for (const ToSpool& note : held_) {
            if (stuck.contains(note.stream)) {
                kept.push_back(note);
                continue;
            }
            EXPECT_TRUE(notes_->publish(ToIntake{.kind = ToIntake::Kind::durable,
                                                 .stream = note.stream,
                                                 .last_sequence = last_of(note),
                                                 .position = note.position}));
            EXPECT_TRUE(notes_->publish(ToIntake{.kind = ToIntake::Kind::returned, .buffer = note.buffer}));
        }
        held_.swap(kept);
    }
    void say(const ToIntake& note) { EXPECT_TRUE(notes_->publish(note)); }
    void fill(StreamIndex stream, std::uint8_t percent) {
        say({.kind = ToIntake::Kind::filled, .stream = stream, .fill = percent});
    }
    void deliver(StreamIndex stream, Sequence last) {
        EXPECT_TRUE(
            notes_->publish(ToIntake{.kind = ToIntake::Kind::delivered, .stream = stream, .last_sequence = last}));
    }

    std::unique_ptr<io::Io> io;
    BatchPool pool;
    IntakeCounters counters;
    std::unique_ptr<Intake> intake;
    std::string path;
    std::uint64_t added_ns = 0;
    bool is_durable_at_once = true;
    bool keeps_batches = true;
    std::set<StreamIndex> stuck;  // whose batches never become durable
    std::vector<StoredBatch> stored;
    std::vector<Position> covered;
    std::uint64_t events_spooled = 0;

  private:
    wire::BatchHeader header_of(const ToSpool& note) {
        return wire::load<wire::BatchHeader>(pool.buffer(note.buffer).subspan(sizeof(journal::RecordHeader)));
    }
    Sequence last_of(const ToSpool& note) { return header_of(note).last_sequence(); }
    void take(ToSpool note) {
        if (note.kind == ToSpool::Kind::covered) {
            covered.push_back(note.position);
            return;
        }
        end_.value += 4096;
        note.position = end_;
        held_.push_back(note);
        const wire::BatchHeader header = header_of(note);
        events_spooled += header.count;
        if (!keeps_batches) return;
        const Bytes bytes = pool.buffer(note.buffer).subspan(sizeof(journal::RecordHeader), note.batch_bytes);
        wire::BatchHeader checked;
        EXPECT_EQ(wire::check_batch(bytes, checked), wire::BatchFault::none);
        stored.push_back({header, {bytes.begin(), bytes.end()}, end_});
    }

    Ring<ToSpool> to_spool_;
    Ring<ToIntake> to_intake_;
    Doorbell doorbell_;
    std::optional<RingReader<ToSpool>> from_intake_;
    std::optional<RingWriter<ToIntake>> notes_;
    std::vector<ToSpool> held_;
    Position end_{};
};

// A producer on a non-blocking Unix socket.
class TestProducer {
  public:
    explicit TestProducer(IntakeBench& bench)
        : bench_(bench), handle_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, bench.path.data(), bench.path.size());
        EXPECT_EQ(::connect(handle_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
    ~TestProducer() { ::close(handle_); }
    TestProducer(const TestProducer&) = delete;
    TestProducer& operator=(const TestProducer&) = delete;

    void send_bytes(ConstBytes bytes) {
        const bool sent = bench_.step_until([&] {
            const auto count = ::send(handle_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
            return bytes.empty();
        });
        EXPECT_TRUE(sent);
    }
    // As much as the socket takes now.
    std::size_t try_send(ConstBytes bytes) {
        const auto count = ::send(handle_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        return count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    static void append_frame(std::vector<std::byte>& out, wire::FrameKind kind, ConstBytes body, std::uint64_t number) {
        const std::size_t at = out.size();
        out.resize(at + wire::frame_bytes(static_cast<std::uint32_t>(body.size())));
        wire::FrameHeader header;
        header.body_bytes = static_cast<std::uint32_t>(body.size());
        header.kind = kind;
        header.number = number;
        wire::store(Bytes(out).subspan(at), header);
        if (!body.empty()) std::memcpy(out.data() + at + sizeof header, body.data(), body.size());
    }
    void send_frame(wire::FrameKind kind, ConstBytes body, std::uint64_t number = 0) {
        std::vector<std::byte> bytes;
        append_frame(bytes, kind, body, number);
        send_bytes(bytes);
    }
    void hello(wire::AckLevel level, std::string_view name = "") {
        wire::ProducerHello body;
        body.level = level;
        body.name = wire::name_field<wire::producer_name_bytes_max>(name);
        send_frame(wire::FrameKind::producer_hello, std::as_bytes(std::span(&body, 1)));
        ASSERT_TRUE(bench_.step_until([&] { return look() && (welcome.has_value() || refusal.has_value()); }));
    }
    void send_event(std::string_view id, std::uint64_t number = 0, std::string_view payload = "{\"n\":1}",
                    std::string_view type = "reading", std::string_view content_type = "application/json") {
        wire::EventView event;
        event.id = id;
        event.type = type;
        event.source = "s";
        event.key = "k";
        event.content_type = content_type;
        event.payload = payload;
        send_frame(wire::FrameKind::event, builder_.build(event), number);
    }
    // Reads what has come; true (so that it can stand in conditions).
    bool look() {
        std::array<std::byte, 4096> some;
        for (;;) {
            const auto count = ::recv(handle_, some.data(), some.size(), 0);
            if (count == 0) is_closed = true;
            if (count <= 0) break;
            input_.insert(input_.end(), some.begin(), some.begin() + count);
        }
        while (input_.size() >= sizeof(wire::FrameHeader)) {
            const auto header = wire::load<wire::FrameHeader>(input_);
            const auto bytes = wire::frame_bytes(header.body_bytes);
            if (input_.size() < bytes) break;
            take(header, ConstBytes(input_).subspan(sizeof header, header.body_bytes));
            input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(bytes));
        }
        return true;
    }
    [[nodiscard]] bool wait_acked(std::uint64_t events) {
        return bench_.step_until([&] { return look() && acked >= events; });
    }

    std::optional<wire::ProducerWelcome> welcome;
    std::optional<wire::Refusal> refusal;
    std::vector<wire::AckRange> ranges;
    std::uint64_t acked = 0;
    std::uint64_t credit = 0;  // events in all
    std::uint64_t pongs = 0;
    wire::Rung rung = wire::Rung::healthy;
    bool is_closed = false;
    bool goodbye = false;

  private:
    void take(const wire::FrameHeader& header, ConstBytes body) {
        if (header.kind == wire::FrameKind::producer_welcome) {
            welcome = wire::load<wire::ProducerWelcome>(body);
            credit = welcome->credit_events;
        }
        if (header.kind == wire::FrameKind::refusal) refusal = wire::load<wire::Refusal>(body);
        if (header.kind == wire::FrameKind::goodbye) goodbye = true;
        if (header.kind == wire::FrameKind::pong) ++pongs;
        if (header.kind != wire::FrameKind::producer_ack) return;
        const auto head = wire::load<wire::ProducerAckHead>(body);
        rung = head.rung;
        credit = head.credit_events;
        for (std::uint32_t i = 0; i < head.ranges; ++i) {
            ranges.push_back(wire::load<wire::AckRange>(body.subspan(sizeof head + i * sizeof(wire::AckRange))));
            acked += ranges.back().count;
        }
    }
    IntakeBench& bench_;
    int handle_;
    wire::EventBuilder builder_;
    std::vector<std::byte> input_;
};

}  // namespace weir::edge::test
