// CentralBench: an ingest stage on a real runner and loopback, and an edge that says exactly what the test tells it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "central/ingest/ingest.hpp"
#include "central/recovery/recovery.hpp"
#include "core/journal/scan.hpp"
#include "core/journal/segments.hpp"
#include "core/wire/event.hpp"
#include "core/wire/verdict.hpp"

namespace weir::central {

class Directory {
  public:
    Directory() {
        char name[] = "/tmp/weir-central-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~Directory() { std::filesystem::remove_all(path_); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

inline CentralConfig small_config(const std::string& directory) {
    CentralConfig config;
    config.data_dir = directory;
    config.listen.edges = {"127.0.0.1:0"};
    config.listen.connections_max = 8;
    config.journal.segment_bytes = 4U << 20;
    config.limits.edges_max = 16;
    config.limits.positions_max = 64;
    return config;
}

class Central {
  public:
    explicit Central(CentralConfig config) : config_(std::move(config)), shared_(config_) {
        auto recovered = recover(config_, shared_.positions);
        EXPECT_TRUE(recovered.ok()) << (recovered.ok() ? "" : recovered.error().what);
        recovered_ = recovered.value();
        RunnerOptions options;
        options.name = "ingest";
        options.io = io::IoChoice::epoll;
        options.io_options.slots = config_.runtime.receive_slots;
        options.io_options.slot_bytes = config_.runtime.receive_slot_bytes;
        runner_ = std::make_unique<Runner>(options);
        const auto ring = [](void* runner) { static_cast<Runner*>(runner)->doorbell().ring(); };
        journal_ = journal::make_segment_store(journal_directory(config_), config_.journal.segment_bytes, 0, ring,
                                               runner_.get());
        letters_ = journal::make_segment_store(dead_letters_directory(config_), config_.journal.segment_bytes, 0, ring,
                                               runner_.get());
        const auto started = runner_->start([&](io::Io& io) -> Result<std::vector<std::unique_ptr<Stage>>> {
            auto stage = std::make_unique<IngestStage>(io, config_, recovered_,
                                                       IngestStage::Stores{*journal_, *letters_}, shared_);
            if (auto opened = stage->open(0); !opened) return opened.error();
            std::vector<std::unique_ptr<Stage>> stages;
            stages.push_back(std::move(stage));
            return stages;
        });
        EXPECT_TRUE(started.ok()) << (started.ok() ? "" : started.error().what);
    }
    ~Central() { halt(); }
    void halt() {
        runner_->request_halt();
        runner_->join();
    }
    void drain() {
        runner_->request_drain();
        runner_->join();
    }
    void hold(std::string_view lane, bool is_held) {
        EXPECT_TRUE(shared_.holds.set(lane, is_held));
        runner_->doorbell().ring();
    }
    [[nodiscard]] IngestShared& shared() { return shared_; }
    [[nodiscard]] const Recovered& recovered() const { return recovered_; }
    [[nodiscard]] std::uint16_t port() const {
        const auto& address = shared_.addresses.at(0);
        return static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    }

  private:
    CentralConfig config_;
    IngestShared shared_;
    Recovered recovered_;
    std::unique_ptr<Runner> runner_;
    std::unique_ptr<journal::SegmentStore> journal_;
    std::unique_ptr<journal::SegmentStore> letters_;
};

using Batch = std::vector<std::byte>;

// Makes the batches of one lane, sealed and chained as an edge does.
struct LaneScript {
    std::string edge = "north";
    std::uint64_t lineage = 77;
    std::uint64_t epoch = 1;
    LaneId lane = 0;
    std::string lane_name = "main";
    wire::Part part = wire::Part::live;
    Sequence at_edge = 0;  // durable there, as its hello says
    Sequence next = 1;
    std::uint32_t previous_crc = 0;

    [[nodiscard]] wire::BatchHeader header(std::uint32_t count) const {
        wire::BatchHeader head;
        head.edge_id = wire::name_field<wire::edge_id_bytes_max>(edge);
        head.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane_name);
        head.lineage = lineage;
        head.epoch = epoch;
        head.lane = lane;
        head.part = part;
        head.first_sequence = next;
        head.count = count;
        head.previous_crc = previous_crc;
        head.totals.accepted = head.totals.offered = head.last_sequence();
        return head;
    }
    Batch seal(wire::BatchHeader head, const Batch& body) {
        wire::seal(head, body);
        Batch batch(sizeof head + body.size());
        wire::store(batch, head);
        std::copy(body.begin(), body.end(), batch.begin() + sizeof head);
        next = head.first_sequence + head.count;
        previous_crc = head.header_crc;
        return batch;
    }
    static void add_frame(Batch& body, wire::FrameKind kind, ConstBytes bytes) {
        const auto at = body.size();
        body.resize(at + wire::frame_bytes(static_cast<std::uint32_t>(bytes.size())));
        wire::store(Bytes(body).subspan(at),
                    wire::FrameHeader{.body_bytes = static_cast<std::uint32_t>(bytes.size()), .kind = kind});
        std::copy(bytes.begin(), bytes.end(),
                  body.begin() + static_cast<std::ptrdiff_t>(at + sizeof(wire::FrameHeader)));
    }
    Batch events(std::uint32_t count, std::size_t payload_bytes = 20) {
        return events_but(count, UINT32_MAX, payload_bytes);
    }
    // The event at that index is none.
    Batch with_poison(std::uint32_t count, std::uint32_t index) { return events_but(count, index, 20); }
    Batch events_but(std::uint32_t count, std::uint32_t poison, std::size_t payload_bytes) {
        wire::EventBuilder builder;
        Batch body;
        const std::string payload(payload_bytes, 'x');
        for (std::uint32_t i = 0; i < count; ++i) {
            if (i == poison) {
                add_frame(body, wire::FrameKind::event, Batch(40, std::byte{0x5a}));
                continue;
            }
            const std::string id = edge + "-" + std::to_string(next + i);
            add_frame(body, wire::FrameKind::event,
                      builder.build({.id = id,
                                     .type = i % 2 == 0 ? "even" : "odd",
                                     .source = "test",
                                     .key = {},
                                     .content_type = {},
                                     .payload = payload,
                                     .time = {(next + i) * 7 * ns_per_second},
                                     .trace_id = {}}));
        }
        return seal(header(count), body);
    }
    Batch dead_letters(std::uint32_t count, std::uint32_t original_bytes = 5) {
        Batch body;
        for (std::uint32_t i = 0; i < count; ++i) {
            Batch letter(sizeof(wire::DeadLetterHead) + original_bytes, std::byte{'z'});
            wire::DeadLetterHead head;
            head.original_bytes = original_bytes;
            wire::store(letter, head);
            add_frame(body, wire::FrameKind::dead_letter, letter);
        }
        return seal(header(count), body);
    }
    // As an edge names what it no longer has: chained to nothing; and what comes after it chains to the lost batch.
    Batch gap(std::uint32_t count, std::uint8_t flags = wire::gap_not_kept) {
        auto head = header(count);
        head.kind = wire::BatchKind::gap;
        head.flags = flags;
        head.previous_crc = 0;
        auto batch = seal(head, {});
        previous_crc = 0x10573;
        return batch;
    }
};

struct Answer {
    wire::FrameHeader header;
    Batch body;
    template <class T>
    [[nodiscard]] T as() const {
        return wire::load<T>(body);
    }
};

class ScriptedEdge {
  public:
    explicit ScriptedEdge(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
        timeval limit{.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    }
    // One that has greeted with `lane`, of which central has nothing yet.
    ScriptedEdge(std::uint16_t port, const LaneScript& lane) : ScriptedEdge(port) {
        hello(lane);
        EXPECT_EQ(welcomed(), 0U);
    }
    ~ScriptedEdge() { ::close(socket_); }
    ScriptedEdge(const ScriptedEdge&) = delete;
    ScriptedEdge& operator=(const ScriptedEdge&) = delete;

    void send_raw(ConstBytes bytes) {
        while (!bytes.empty()) {
            const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (count <= 0) return;
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }
    void send_frame(wire::FrameKind kind, ConstBytes body) {
        Batch frame;
        LaneScript::add_frame(frame, kind, body);
        send_raw(frame);
    }
    void send(const Batch& batch) { send_frame(wire::FrameKind::batch, batch); }
    // As an edge does: waits until credit allows it. False: it never did.
    bool send_within_credit(const Batch& batch) {
        used += wire::frame_bytes(static_cast<std::uint32_t>(batch.size()));
        while (used > credit) {
            const auto answer = next(wire::FrameKind::credit);
            if (!answer) return false;
            const auto said = answer->as<wire::Credit>();
            if (said.lane == wire::connection_credit) credit = std::max(credit, said.credit_bytes);
        }
        send(batch);
        return true;
    }
    void hello(const LaneScript& lane, std::uint64_t epoch = 1) { hello({&lane}, epoch); }
    void hello(const std::vector<const LaneScript*>& lanes, std::uint64_t epoch = 1) {
        wire::EdgeHello head;
        head.lanes = static_cast<std::uint16_t>(lanes.size());
        head.edge_id = wire::name_field<wire::edge_id_bytes_max>(lanes[0]->edge);
        head.lineage = lanes[0]->lineage;
        head.epoch = epoch;
        head.features = features;
        Batch body(sizeof head + lanes.size() * sizeof(wire::LaneOffer));
        wire::store(body, head);
        std::size_t at = sizeof head;
        for (const LaneScript* lane : lanes) {
            wire::LaneOffer offer;
            offer.lane = lane->lane;
            offer.part = lane->part;
            offer.last_sequence = lane->at_edge;
            offer.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane->lane_name);
            wire::store(Bytes(body).subspan(at), offer);
            at += sizeof offer;
        }
        send_frame(wire::FrameKind::edge_hello, body);
    }
    std::optional<Answer> next() {
        Answer answer;
        if (!receive(&answer.header, sizeof answer.header)) return std::nullopt;
        answer.body.resize(round_up(answer.header.body_bytes, 8));
        if (!answer.body.empty() && !receive(answer.body.data(), answer.body.size())) return std::nullopt;
        return answer;
    }
    std::optional<Answer> next(wire::FrameKind kind) {
        for (;;) {
            auto answer = next();
            if (!answer || answer->header.kind == kind) return answer;
        }
    }
    // The durable sequence of the one lane that was offered.
    Sequence welcomed() {
        const auto answer = next(wire::FrameKind::edge_welcome);
        if (!answer) return UINT64_MAX;
        credit = answer->as<wire::EdgeWelcome>().credit_bytes;
        identity = answer->as<wire::EdgeWelcome>().identity;
        return wire::load<wire::LanePosition>(ConstBytes(answer->body).subspan(sizeof(wire::EdgeWelcome)))
            .last_sequence;
    }
    bool await_ack(Sequence sequence) {
        for (;;) {
            const auto answer = next(wire::FrameKind::edge_ack);
            if (!answer) return false;
            if (answer->as<wire::EdgeAck>().last_sequence >= sequence) return true;
        }
    }
    // Of this lane; 0xfffe: of the connection.
    std::optional<std::uint64_t> next_credit(LaneId lane) {
        for (;;) {
            const auto answer = next(wire::FrameKind::credit);
            if (!answer) return std::nullopt;
            if (const auto said = answer->as<wire::Credit>(); said.lane == lane) return said.credit_bytes;
        }
    }
    wire::RefusalReason refusal() {
        const auto answer = next(wire::FrameKind::refusal);
        return answer ? answer->as<wire::Refusal>().reason : wire::RefusalReason{};
    }
    std::uint64_t features = 0;  // of its hello
    std::uint64_t credit = 0;
    std::uint64_t used = 0;
    std::uint32_t identity = 0;

  private:
    bool receive(void* to, std::size_t bytes) {
        return ::recv(socket_, to, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
    }
    int socket_;
};

// What is on the disk, as (first sequence, count) of each record of events or gap.
inline std::vector<std::pair<Sequence, std::uint32_t>> stored(const std::string& directory) {
    std::vector<std::pair<Sequence, std::uint32_t>> found;
    auto scanner = journal::Scanner::open(directory, {});
    while (const auto record = scanner.value().next()) {
        if (record->batch_header.kind == wire::BatchKind::tick) continue;
        found.emplace_back(record->batch_header.first_sequence, record->batch_header.count);
    }
    return found;
}

}  // namespace weir::central
