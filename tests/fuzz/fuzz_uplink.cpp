// Central's half of the uplink with a real SpoolStage: welcome, acks, credit, refusals, whole or cut or wrong, while batches are
// being spooled and rows are wished. Whatever comes, nothing counts as delivered that was not sent, every buffer comes back once, the
// edge stays within its credit, what it sends is whole frames, rows are asked for only where they are offered, and intake is handed
// none that were not checked.
//
// Input     steps: 1 byte what, and what it needs (apply).
#include "edge/spool/spool_stage.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/session_io.hpp"

namespace {
using namespace weir;
using namespace weir::edge;

constexpr std::size_t steps_max = 64;
constexpr std::size_t lanes_count = 2;
constexpr std::uint32_t buffers_count = 6;

const EdgeConfig& shared_config() {
    static const fuzz::ScratchDirectory directory;
    static const EdgeConfig config = [] {
        EdgeConfig made;
        made.edge_id = "north";
        made.data_dir = directory.path();
        made.uplink.centrals = {"unix:a", "unix:b"};
        made.uplink.reconnect_ms_min = 1;
        made.uplink.reconnect_ms_max = 4;
        made.spool.segment_bytes = 1U << 20;
        made.spool.bytes_max = 64U << 20;
        made.spool.checkpoint_ms = 50;
        return made;
    }();
    return config;
}

SpoolStart start_anew() {
    SpoolStart start;
    start.identity = {.edge_id = "north", .lineage = 77, .epoch = 1, .config_digest = 5};
    start.lanes.resize(lanes_count);
    start.lanes[0].state.name = "default";
    start.lanes[1].state.id = dead_letter_lane;
    start.lanes[1].state.name = dead_letter_lane_name;
    for (SpoolLane& lane : start.lanes) {
        lane.state.is_configured = true;
        lane.journal.segment_bytes = shared_config().spool.segment_bytes;
    }
    return start;
}

std::vector<std::unique_ptr<journal::SegmentStore>> make_segments() {
    std::vector<std::unique_ptr<journal::SegmentStore>> made;
    for (const SpoolLane& lane : start_anew().lanes) {
        made.push_back(std::make_unique<fuzz::SessionSegments>(
            stream_directory(shared_config().data_dir, lane.state.name, lane.state.part)));
    }
    return made;
}

class Bench {
  public:
    Bench()
        : pool_(buffers_count),
          to_spool_(64),
          to_intake_(64),
          batches_(to_spool_.take_writer()),
          notes_(to_intake_.take_reader()),
          stage_(io_, std::uint8_t{0},
                 SpoolParts{.config = shared_config(),
                            .start = start_anew(),
                            .pool = pool_,
                            .segments = segments_,
                            .from_intake = to_spool_.take_reader(),
                            .to_intake = to_intake_.take_writer(),
                            .intake_doorbell = doorbell_,
                            .counters = counters_,
                            .jitter_seed = 3}) {
        for (std::uint32_t index = 0; index < buffers_count; ++index) free_buffers_.push_back(index);
        stage_.take_tables_for(tables_);
        stage_.ask_rows_for(asks_);
        WEIR_ASSERT(stage_.open().ok());
    }
    void apply(fuzz::Input& input);
    void end();

  private:
    struct Lane {
        Sequence fed = 0;
        Sequence durable = 0;
        std::uint32_t previous_crc = 0;
        std::optional<std::uint64_t> credit;  // granted to it on this connection, once anything was
        std::optional<std::uint64_t> said;    // granted by what the edge reads in this step, maybe behind what it sends
        std::uint64_t sent_bytes = 0;         // of its batch frames since the start of the session
        std::uint64_t sent_uncredited = 0;    // of them, before central granted it anything
    };
    void step();
    void feed(std::size_t lane, std::uint32_t event_bytes);
    void say(wire::FrameKind kind, ConstBytes body, std::uint64_t number = 0);
    void say_welcome(fuzz::Input& input);
    void apply_rows(std::uint8_t what, fuzz::Input& input);
    void take_rows();
    void take(const ToIntake& note);
    void look_at_sent();
    void look_at_status(ConstBytes body);
    [[nodiscard]] Lane& lane_of(LaneId id) { return lanes_[id == dead_letter_lane ? 1 : 0]; }

    fuzz::SessionIo io_;
    BatchPool pool_;
    SpoolCounters counters_;
    Doorbell doorbell_;
    std::vector<std::unique_ptr<journal::SegmentStore>> segments_ = make_segments();
    Ring<ToSpool> to_spool_;
    Ring<ToIntake> to_intake_;
    RingWriter<ToSpool> batches_;
    RingReader<ToIntake> notes_;
    TableLink tables_;
    RowLink rows_{1, [] {}, [] {}};
    RowAsks asks_{{"vehicle"}, rows_};
    SpoolStage stage_;
    std::vector<std::uint32_t> free_buffers_;
    std::array<Lane, lanes_count> lanes_;
    io::Socket socket_{};           // of the session under way
    std::size_t looked_at_ = 0;     // of what was sent on it
    std::uint64_t credit_ = 0;      // granted on it
    std::uint64_t sent_bytes_ = 0;  // of batch frames on it
    bool is_granting_all_ = false;  // raw bytes may have granted anything, and asked for anything
    bool has_asked_ = false;        // for statuses, on this connection
    bool has_offered_rows_ = false;
};

void Bench::step() {
    io_.advance_ms(1);
    for (const io::Completion& one : io_.wait({})) stage_.on_completion(one, io_.now());
    static_cast<void>(stage_.do_work(io_.now()));
    notes_.consume_all([this](const ToIntake& note) { take(note); });
    look_at_sent();
    for (Lane& lane : lanes_) {
        if (lane.said) lane.credit = std::max(lane.credit.value_or(0), *std::exchange(lane.said, std::nullopt));
    }
}

void Bench::take(const ToIntake& note) {
    Lane& lane = lanes_[note.stream];
    switch (note.kind) {
        case ToIntake::Kind::durable:
            WEIR_ASSERT(note.last_sequence > lane.durable && note.last_sequence <= lane.fed);
            lane.durable = note.last_sequence;
            return;
        case ToIntake::Kind::delivered:
            // Not always more than before: a central that lost what it had acked says it all again.
            WEIR_ASSERT(note.last_sequence <= lane.durable);
            return;
        case ToIntake::Kind::returned:
            for (const std::uint32_t buffer : free_buffers_) WEIR_ASSERT(buffer != note.buffer);
            free_buffers_.push_back(note.buffer);
            return;
        case ToIntake::Kind::poisoned:
            WEIR_ASSERT(!"no write has failed");
            return;
        case ToIntake::Kind::opens_in:
        case ToIntake::Kind::filled:
        case ToIntake::Kind::shed:
            return;
    }
}

// What is new on the session under way; it may be another one than before.
void Bench::look_at_sent() {
    const io::Socket now = io_.connected();
    if (now.is_valid() && now != socket_) {
        socket_ = now;
        looked_at_ = 0;
        credit_ = sent_bytes_ = 0;
        for (Lane& lane : lanes_) lane.credit.reset(), lane.said.reset(), lane.sent_bytes = lane.sent_uncredited = 0;
        is_granting_all_ = has_asked_ = has_offered_rows_ = false;
    }
    if (!socket_.is_valid()) return;
    const ConstBytes fresh = io_.heard(socket_).subspan(looked_at_);
    looked_at_ += fresh.size();
    fuzz::for_each_sent(fresh, [&](const wire::FrameHeader& header, ConstBytes body) {
        if (header.kind != wire::FrameKind::batch) {
            if (header.kind == wire::FrameKind::edge_status) return look_at_status(body);
            if (header.kind == wire::FrameKind::row_ask) {
                wire::RowAskHead ask;
                WEIR_ASSERT(wire::check_row_ask(body, ask) == nullptr);
                WEIR_ASSERT(is_granting_all_ || has_offered_rows_);
                return;
            }
            WEIR_ASSERT(header.kind == wire::FrameKind::edge_hello || header.kind == wire::FrameKind::ping ||
                        header.kind == wire::FrameKind::pong || header.kind == wire::FrameKind::goodbye);
            return;
        }
        wire::BatchHeader batch;
        WEIR_ASSERT(wire::check_batch(body, batch) == wire::BatchFault::none);
        WEIR_ASSERT(batch.last_sequence() <= lane_of(batch.lane).fed);
        sent_bytes_ += wire::frame_bytes(header.body_bytes);
        WEIR_ASSERT(is_granting_all_ || sent_bytes_ <= credit_);
        Lane& lane = lane_of(batch.lane);
        lane.sent_bytes += wire::frame_bytes(header.body_bytes);
        // What was sent before central granted the lane anything may be more than that.
        if (!lane.credit) lane.sent_uncredited = lane.sent_bytes;
        WEIR_ASSERT(is_granting_all_ || !lane.credit ||
                    lane.sent_bytes <= std::max({*lane.credit, lane.said.value_or(0), lane.sent_uncredited}));
    });
}

// Asked for, whole, and of what is durable.
void Bench::look_at_status(ConstBytes body) {
    wire::EdgeStatusHead head;
    WEIR_ASSERT(is_granting_all_ || has_asked_);
    WEIR_ASSERT(wire::check_status(body, head) == nullptr && head.lanes == lanes_count);
    for (std::uint32_t i = 0; i < head.lanes; ++i) {
        const wire::LaneStatus one = wire::lane_status(body, i);
        WEIR_ASSERT(one.last_sequence <= lane_of(one.lane).fed);
    }
}

void Bench::feed(std::size_t lane_index, std::uint32_t event_bytes) {
    if (free_buffers_.empty()) return;
    const std::uint32_t buffer = free_buffers_.back();
    free_buffers_.pop_back();
    const bool is_letters = lane_index == 1;
    Lane& lane = lanes_[lane_index];
    std::vector<std::byte> body;
    if (is_letters) {
        const wire::DeadLetterHead letter;
        fuzz::append_frame(body, wire::FrameKind::dead_letter, std::as_bytes(std::span(&letter, 1)));
    } else {
        fuzz::append_frame(body, wire::FrameKind::event, std::vector<std::byte>(event_bytes));
    }
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
    header.lane = is_letters ? dead_letter_lane : LaneId{0};
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>(is_letters ? dead_letter_lane_name : "default");
    header.lineage = 77;
    header.epoch = 1;
    header.first_sequence = ++lane.fed;
    header.count = 1;
    header.previous_crc = lane.previous_crc;
    wire::seal(header, body);
    lane.previous_crc = header.header_crc;
    const Bytes memory = pool_.buffer(buffer);
    const std::size_t batch_bytes = sizeof header + body.size();
    std::fill_n(memory.begin(), round_up(sizeof(journal::RecordHeader) + batch_bytes, journal::block_bytes),
                std::byte{0});
    wire::store(memory.subspan(sizeof(journal::RecordHeader)), header);
    std::copy(body.begin(), body.end(), memory.begin() + batch_body_at);
    WEIR_ASSERT(batches_.publish(ToSpool{.kind = ToSpool::Kind::batch,
                                         .stream = static_cast<StreamIndex>(lane_index),
                                         .buffer = buffer,
                                         .batch_bytes = static_cast<std::uint32_t>(batch_bytes)}));
}

void Bench::say(wire::FrameKind kind, ConstBytes body, std::uint64_t number) {
    if (!socket_.is_valid()) return;
    std::vector<std::byte> frame;
    fuzz::append_frame(frame, kind, body, number);
    io_.say(socket_, frame);
}

// A position for each lane, and credit.
void Bench::say_welcome(fuzz::Input& input) {
    wire::EdgeWelcome welcome;
    welcome.lanes = lanes_count;
    welcome.credit_bytes = input.take<std::uint16_t>();
    std::vector<std::byte> body(sizeof welcome + lanes_count * sizeof(wire::LanePosition));
    wire::store(body, welcome);
    for (std::size_t i = 0; i < lanes_count; ++i) {
        const wire::LanePosition position{.lane = i == 1 ? dead_letter_lane : LaneId{0},
                                          .last_sequence = input.take<std::uint8_t>() % (lanes_[i].durable + 1)};
        wire::store(Bytes(body).subspan(sizeof welcome + i * sizeof position), position);
    }
    credit_ = std::max(credit_, welcome.credit_bytes);
    say(wire::FrameKind::edge_welcome, body);
}

// What intake and central do with rows, of few versions.
void Bench::apply_rows(std::uint8_t what, fuzz::Input& input) {
    const auto name = wire::name_field<wire::table_name_bytes_max>("vehicle");
    const std::uint64_t version = input.take<std::uint8_t>() % 4;
    std::vector<std::byte> body(wire::row_answer_body_bytes_max);
    switch (what % 8) {
        case 0:
        case 1:
            static_cast<void>(rows_.wish(0, std::string(1 + input.take<std::uint8_t>(), 'k')));
            return;
        case 2: {
            const wire::TableOffersHead head{.tables = 1, .features = input.take<std::uint8_t>() % 4U};
            const wire::TableOffer offer{name, version, 77};
            wire::store(body, head);
            wire::store(Bytes(body).subspan(sizeof head), offer);
            has_offered_rows_ = has_offered_rows_ || (head.features & wire::offers_feature_rows) != 0;
            return say(wire::FrameKind::table_offers, ConstBytes(body).first(sizeof head + sizeof offer), 0);
        }
        case 3: {
            wire::RowBodyWriter writer(Bytes(body), wire::RowAnswerHead{.name = name, .version = version});
            const ConstBytes no_cells;
            const std::uint32_t rows = input.take<std::uint8_t>();
            for (std::uint32_t n = 0; n < rows; ++n)
                WEIR_ASSERT(writer.add_row("key", n % 2 == 0 ? nullptr : &no_cells));
            return say(wire::FrameKind::row_answer, ConstBytes(body).first(writer.finish()), 0);
        }
        case 4: {
            const wire::TableChangedHead head{
                .name = name, .from_version = input.take<std::uint8_t>() % 4U, .version = version};
            wire::store(body, head);
            return say(wire::FrameKind::table_changed, ConstBytes(body).first(sizeof head), 0);
        }
        default:
            return take_rows();
    }
}

void Bench::take_rows() {
    rows_.take_frames([](std::size_t table, wire::FrameKind kind, ConstBytes body) {
        wire::RowAnswerHead answer;
        wire::TableChangedHead changed;
        WEIR_ASSERT(table == 0);
        const char* const why = kind == wire::FrameKind::row_answer ? wire::check_row_answer(body, answer)
                                                                    : wire::check_table_changed(body, changed);
        WEIR_ASSERT(why == nullptr);
    });
}

void Bench::apply(fuzz::Input& input) {
    const auto what = input.take<std::uint8_t>();
    if (what >= 0xE0) {
        apply_rows(what, input);
        return step();
    }
    switch (what % 11) {
        case 0:
            say_welcome(input);
            break;
        case 1:
            feed(0, 1U + input.take<std::uint8_t>() * 4U);
            break;
        case 2:
            feed(1, 0);
            break;
        case 3: {
            const wire::EdgeAck ack{.lane = input.take<std::uint8_t>() % 2 == 0 ? LaneId{0} : dead_letter_lane,
                                    .last_sequence = input.take<std::uint8_t>()};
            say(wire::FrameKind::edge_ack, std::as_bytes(std::span(&ack, 1)));
            break;
        }
        case 4: {
            wire::Credit credit{.credit_bytes = input.take<std::uint32_t>()};
            if (credit.credit_bytes % 4 == 3) {  // to a lane, as much as that
                credit.lane = credit.credit_bytes % 8 == 3 ? LaneId{0} : dead_letter_lane;
                Lane& lane = lane_of(credit.lane);
                lane.said = std::max(lane.said.value_or(0), credit.credit_bytes);
            } else {
                credit_ = std::max(credit_, credit.credit_bytes);
            }
            say(wire::FrameKind::credit, std::as_bytes(std::span(&credit, 1)));
            break;
        }
        case 5: {
            const auto kind = static_cast<wire::FrameKind>(input.take<std::uint8_t>());
            const auto number = input.take<std::uint64_t>();
            is_granting_all_ = true;
            say(kind, input.take_part(), number);
            break;
        }
        case 6:
            is_granting_all_ = true;
            if (socket_.is_valid()) io_.say(socket_, input.take_part());
            break;
        case 7:
            if (socket_.is_valid()) io_.finish(socket_);
            break;
        case 8:
            io_.advance_ms(std::uint64_t{input.take<std::uint8_t>()} * 20);
            break;
        case 10: {
            const wire::StatusAsk ask{.interval_ms = 90U + input.take<std::uint8_t>()};
            has_asked_ = has_asked_ || ask.interval_ms >= wire::status_interval_ms_min;
            say(wire::FrameKind::status_ask, std::as_bytes(std::span(&ask, 1)));
            break;
        }
        default:
            step();
            break;
    }
    step();
}

void Bench::end() {
    if (socket_.is_valid()) io_.finish(socket_);
    for (int i = 0; i < 8; ++i) step();
    for (const Lane& lane : lanes_) WEIR_ASSERT(lane.durable == lane.fed);
    stage_.drain(io_.now());
    for (int i = 0; i < 40 && !stage_.is_drained(); ++i) {
        io_.advance_ms(200);
        step();
    }
    WEIR_ASSERT(stage_.is_drained());
    WEIR_ASSERT(free_buffers_.size() == buffers_count);
    WEIR_ASSERT(io_.free_slots() == fuzz::SessionIo::slots);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    Bench bench;
    for (std::size_t steps = 0; steps < steps_max && !input.is_empty(); ++steps) bench.apply(input);
    bench.end();
    return 0;
}
