// Producers' sessions with a real Intake: hello, events, control frames, whole or cut or wrong, on up to two connections. Whatever
// comes, its account closes, what it answers is whole frames with each event acked at most once, and nothing that it held stays held.
//
// Input     steps: 1 byte what, and what it needs (apply).
#include "edge/intake/intake.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/session_io.hpp"

namespace {
using namespace weir;
using namespace weir::edge;

constexpr std::size_t steps_max = 48;
constexpr std::size_t peers_count = 2;
constexpr std::uint32_t credit_events = 64;

EdgeConfig config_at(const std::string& directory) {
    EdgeConfig config;
    config.edge_id = "north";
    config.data_dir = directory;
    config.listen.producers = {"unix:fuzz"};
    config.listen.connections_max = 2;
    config.listen.credit_events = credit_events;
    config.cache.ids_max = 1024;
    config.cache.producers_max = 2;
    config.cache.keys_max = 16;
    config.spool.batches_max = 8;
    config.spool.checkpoint_ms = 10;
    config.runtime.receive_slots = fuzz::SessionIo::slots;
    config.lanes = {LaneConfig{.name = "default"}};
    return config;
}

std::vector<LaneState> lanes_of_two() {
    std::vector<LaneState> lanes(2);
    lanes[0].name = "default";
    lanes[1].id = dead_letter_lane;
    lanes[1].name = dead_letter_lane_name;
    for (LaneState& lane : lanes) lane.is_configured = true;
    return lanes;
}

// The directory with intake's files, made once: they are written in memory only afterwards.
const std::string& data_dir() {
    static const fuzz::ScratchDirectory directory;
    return directory.path();
}

class Bench {
  public:
    Bench() : pool_(config_.spool.batches_max), to_spool_(256), to_intake_(256), notes_(to_intake_.take_writer()) {
        auto memory = IntakeMemory::load(config_, data_dir());
        WEIR_ASSERT(memory.ok());
        intake_ = std::make_unique<Intake>(io_, std::uint8_t{0}, config_, SpoolIdentity{"north", 7, 1, 9},
                                           lanes_of_two(), std::move(memory.value()), pool_, to_spool_.take_writer(),
                                           to_intake_.take_reader(), doorbell_, counters_);
        WEIR_ASSERT(intake_->start().ok());
        from_intake_.emplace(to_spool_.take_reader());
    }
    void apply(fuzz::Input& input);
    void end();

  private:
    struct Peer {
        io::Socket socket{};
        std::uint64_t number = 0;
        bool is_named = false;
    };

    void step() {
        io_.advance_ms(1);
        for (const io::Completion& one : io_.wait({})) intake_->on_completion(one, io_.now());
        static_cast<void>(intake_->do_work(io_.now()));
        from_intake_->consume_all([this](const ToSpool& note) { take(note); });
    }
    void take(ToSpool note) {
        if (note.kind == ToSpool::Kind::covered) return;
        wire::BatchHeader header;
        const ConstBytes batch = pool_.buffer(note.buffer).subspan(sizeof(journal::RecordHeader), note.batch_bytes);
        WEIR_ASSERT(wire::check_batch(batch, header) == wire::BatchFault::none);
        spooled_events_ += header.count;
        end_.value += journal::block_bytes;
        note.position = end_;
        waiting_.push_back({note, header.last_sequence()});
    }
    void settle() {
        for (const auto& [note, last_sequence] : waiting_) {
            WEIR_ASSERT(notes_.publish(ToIntake{.kind = ToIntake::Kind::durable,
                                                .stream = note.stream,
                                                .last_sequence = last_sequence,
                                                .position = note.position}));
            WEIR_ASSERT(notes_.publish(
                ToIntake{.kind = ToIntake::Kind::delivered, .stream = note.stream, .last_sequence = last_sequence}));
            WEIR_ASSERT(notes_.publish(ToIntake{.kind = ToIntake::Kind::returned, .buffer = note.buffer}));
        }
        waiting_.clear();
    }
    void say_hello(Peer& peer, std::uint8_t how);
    void say_event(Peer& peer, std::uint8_t how);
    void look_at(Peer& peer);

    EdgeConfig config_ = config_at(data_dir());
    fuzz::SessionIo io_;
    BatchPool pool_;
    IntakeCounters counters_;
    Ring<ToSpool> to_spool_;
    Ring<ToIntake> to_intake_;
    RingWriter<ToIntake> notes_;
    std::optional<RingReader<ToSpool>> from_intake_;
    Doorbell doorbell_;
    std::unique_ptr<Intake> intake_;
    std::vector<std::pair<ToSpool, Sequence>> waiting_;
    Position end_{};
    std::uint64_t spooled_events_ = 0;
    std::array<Peer, peers_count> peers_;
    wire::EventBuilder builder_;
};

void Bench::say_hello(Peer& peer, std::uint8_t how) {
    wire::ProducerHello hello;
    hello.level = static_cast<wire::AckLevel>(1 + how % 3);
    peer.is_named = (how & 4U) != 0;
    if (peer.is_named) hello.name = wire::name_field<wire::producer_name_bytes_max>((how & 8U) != 0 ? "one" : "two");
    std::vector<std::byte> frame;
    fuzz::append_frame(frame, wire::FrameKind::producer_hello, std::as_bytes(std::span(&hello, 1)));
    io_.say(peer.socket, frame);
}

void Bench::say_event(Peer& peer, std::uint8_t how) {
    const std::string id = "id-" + std::to_string(how % 16);
    const std::string payload(std::size_t{how} * (how > 200 ? 64U : 2U), ' ');
    wire::EventView event;
    event.id = id;
    event.type = event.source = "fuzz";
    event.payload = payload;
    std::vector<std::byte> frame;
    if (peer.is_named) ++peer.number;
    fuzz::append_frame(frame, wire::FrameKind::event, builder_.build(event), peer.number);
    io_.say(peer.socket, frame);
}

void Bench::apply(fuzz::Input& input) {
    const auto what = input.take<std::uint8_t>();
    Peer& peer = peers_[what / 16 % peers_count];
    if (!io_.is_open(peer.socket)) {
        peer = {.socket = io_.connect_to_listener()};
        step();
    }
    switch (what % 9) {
        case 0:
            say_hello(peer, input.take<std::uint8_t>());
            break;
        case 1:
            say_event(peer, input.take<std::uint8_t>());
            break;
        case 2:
            for (std::uint8_t count = input.take<std::uint8_t>(); count > 0; --count) say_event(peer, count);
            break;
        case 3:
            io_.say(peer.socket, input.take_part());
            break;
        case 4: {
            const auto kind = static_cast<wire::FrameKind>(input.take<std::uint8_t>());
            const auto number = input.take<std::uint64_t>();
            std::vector<std::byte> frame;
            fuzz::append_frame(frame, kind, input.take_part(), number);
            io_.say(peer.socket, frame);
            break;
        }
        case 5:
            settle();
            break;
        case 6:
            io_.finish(peer.socket);
            break;
        case 7:
            io_.advance_ms(std::uint64_t{input.take<std::uint8_t>()} * 50);
            break;
        default:
            peer.number = input.take<std::uint8_t>();
            break;
    }
    step();
}

// Every frame is one of an edge's; no event is acked twice, and none that was not sent.
void Bench::look_at(Peer& peer) {
    if (!peer.socket.is_valid()) return;
    std::map<std::uint64_t, std::uint64_t> acked;  // first ordinal to last
    // One that sends before its welcome may be acked, and then refused without one.
    std::uint64_t credit = credit_events;
    bool is_welcome = false;
    bool is_over = false;
    fuzz::for_each_sent(io_.heard(peer.socket), [&](const wire::FrameHeader& header, ConstBytes body) {
        WEIR_ASSERT(!is_over);
        is_over = header.kind == wire::FrameKind::refusal || header.kind == wire::FrameKind::goodbye;
        if (header.kind == wire::FrameKind::producer_welcome) {
            WEIR_ASSERT(!is_welcome && wire::load<wire::ProducerWelcome>(body).credit_events == credit);
            is_welcome = true;
            return;
        }
        if (header.kind != wire::FrameKind::producer_ack) {
            WEIR_ASSERT(is_over || header.kind == wire::FrameKind::pong);
            return;
        }
        const auto head = wire::load<wire::ProducerAckHead>(body);
        WEIR_ASSERT(head.ranges <= wire::ack_ranges_max);
        WEIR_ASSERT(body.size() == sizeof head + head.ranges * sizeof(wire::AckRange));
        for (std::uint32_t i = 0; i < head.ranges; ++i) {
            const auto range = wire::load<wire::AckRange>(body.subspan(sizeof head + i * sizeof(wire::AckRange)));
            const std::uint64_t last = range.first_ordinal + range.count - 1;
            WEIR_ASSERT(range.first_ordinal > 0 && range.count > 0 && last <= credit);
            const auto next = acked.lower_bound(range.first_ordinal);
            WEIR_ASSERT(next == acked.end() || next->first > last);
            WEIR_ASSERT(next == acked.begin() || std::prev(next)->second < range.first_ordinal);
            acked[range.first_ordinal] = last;
        }
        WEIR_ASSERT(head.credit_events >= credit);
        credit = head.credit_events;
    });
}

void Bench::end() {
    for (Peer& peer : peers_) io_.finish(peer.socket);
    // Long enough for every wait that a session may have in it.
    for (int i = 0; i < 40; ++i) {
        settle();
        io_.advance_ms(1000);
        step();
    }
    for (Peer& peer : peers_) look_at(peer);
    for (const Peer& peer : peers_) WEIR_ASSERT(!io_.is_open(peer.socket));
    WEIR_ASSERT(io_.free_slots() == fuzz::SessionIo::slots);
    WEIR_ASSERT(counters_.connections.get() == 0 && counters_.slots_held.get() == 0);
    WEIR_ASSERT(counters_.offered.get() ==
                counters_.accepted.get() + counters_.duplicates.get() + counters_.rejected.get());
    WEIR_ASSERT(spooled_events_ == counters_.accepted.get());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    Bench bench;
    for (std::size_t steps = 0; steps < steps_max && !input.is_empty(); ++steps) bench.apply(input);
    bench.end();
    return 0;
}
