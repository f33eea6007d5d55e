// Edges' sessions with central's real ingest: hello, batches, control frames, whole or cut or wrong, on up to two connections.
// Whatever comes, each account closes, what is answered is whole frames whose acks name only what was taken and whose rows are to be
// read, and nothing that it held stays held.
//
// Input     steps: 1 byte what, and what it needs (apply).
#include "central/api/held.hpp"
#include "central/ingest/ingest.hpp"
#include "central/tables/table_keeper.hpp"
#include "core/wire/event.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/session_io.hpp"

namespace {
using namespace weir;
using namespace weir::central;

constexpr std::size_t steps_max = 48;
constexpr std::size_t peers_count = 2;

const CentralConfig& shared_config() {
    static const fuzz::ScratchDirectory directory;
    static const CentralConfig config = [] {
        CentralConfig made;
        made.data_dir = directory.path();
        made.listen.edges = {"unix:fuzz"};
        made.listen.connections_max = 3;
        made.limits.edges_max = 4;
        made.limits.positions_max = 8;
        made.journal.segment_bytes = 128U << 10;  // bounds the write groups, which are made for each input
        made.runtime.receive_slots = fuzz::SessionIo::slots;
        directory.put("vehicle.csv", fuzz::bytes_of("key,owner\na,Ann\nb,Bob\n"));
        made.tables = {{"vehicle", directory.path() + "/vehicle.csv"}};
        return made;
    }();
    return config;
}

Recovered recovered_anew() {
    Recovered recovered;
    recovered.journal.id = 1;
    recovered.dead_letters.id = 2;
    return recovered;
}

// What a peer that plays by the rules would send next in a lane.
struct LaneScript {
    Sequence next = 1;
    std::uint32_t previous_crc = 0;
};

class Bench {
  public:
    Bench() {
        WEIR_ASSERT(stage_.open(0).ok());
        shared_.tables.offer(TableKeeper(shared_config()).look(true));
    }
    void apply(fuzz::Input& input);
    void end();

  private:
    struct Peer {
        io::Socket socket{};
        std::uint8_t edge = 0;
        std::array<LaneScript, 2> lanes;
    };
    void step() {
        io_.advance_ms(1);
        for (const io::Completion& one : io_.wait({})) stage_.on_completion(one, io_.now());
        static_cast<void>(stage_.do_work(io_.now()));
    }
    void say(const Peer& peer, wire::FrameKind kind, ConstBytes body, std::uint64_t number = 0) {
        std::vector<std::byte> frame;
        fuzz::append_frame(frame, kind, body, number);
        io_.say(peer.socket, frame);
    }
    void say_hello(Peer& peer, std::uint8_t how, bool says_statuses);
    void say_of_tables(const Peer& peer, fuzz::Input& input);
    void say_status(const Peer& peer, fuzz::Input& input);
    void say_batch(Peer& peer, std::uint8_t how);
    void say_batch_of(const Peer& peer, fuzz::Input& input);
    [[nodiscard]] static wire::BatchHeader header_of(const Peer& peer, bool is_letters);
    void look_at(const Peer& peer);

    fuzz::SessionIo io_;
    IngestShared shared_{shared_config()};
    fuzz::SessionSegments journal_{shared_config().data_dir + "/journal"};
    fuzz::SessionSegments letters_{shared_config().data_dir + "/dead-letters"};
    Recovered recovered_ = recovered_anew();
    IngestStage stage_{io_, shared_config(), recovered_, {journal_, letters_}, shared_};
    std::array<Peer, peers_count> peers_;
    wire::EventBuilder builder_;
};

wire::BatchHeader Bench::header_of(const Peer& peer, bool is_letters) {
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>(peer.edge % 2 == 0 ? "north" : "south");
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>(is_letters ? dead_letter_lane_name : "default");
    header.lane = is_letters ? dead_letter_lane : LaneId{0};
    header.lineage = 7;
    header.epoch = 1;
    header.first_sequence = peer.lanes[is_letters ? 1 : 0].next;
    header.previous_crc = peer.lanes[is_letters ? 1 : 0].previous_crc;
    header.count = 1;
    return header;
}

void Bench::say_hello(Peer& peer, std::uint8_t how, bool says_statuses) {
    peer.edge = how;
    const wire::BatchHeader like = header_of(peer, false);
    wire::EdgeHello hello;
    hello.lanes = 2;
    hello.edge_id = like.edge_id;
    hello.lineage = like.lineage;
    hello.epoch = 1 + how / 64U;
    hello.features = says_statuses ? wire::edge_feature_status : 0;
    if (how % 4 == 1) hello.features |= wire::edge_feature_tables;
    if (how % 4 == 2) hello.features |= wire::edge_feature_tables | wire::edge_feature_rows;
    std::vector<std::byte> body(sizeof hello + 2 * sizeof(wire::LaneOffer));
    wire::store(body, hello);
    for (std::size_t i = 0; i < 2; ++i) {
        wire::LaneOffer offer;
        offer.lane = header_of(peer, i == 1).lane;
        offer.lane_name = header_of(peer, i == 1).lane_name;
        offer.last_sequence = says_statuses ? how % 4 : 0;
        wire::store(Bytes(body).subspan(sizeof hello + i * sizeof offer), offer);
    }
    say(peer, wire::FrameKind::edge_hello, body);
}

// Asks for rows, or pulls a part.
void Bench::say_of_tables(const Peer& peer, fuzz::Input& input) {
    const auto how = input.take<std::uint8_t>();
    const auto name = wire::name_field<wire::table_name_bytes_max>(how % 8 == 7 ? "other" : "vehicle");
    if (how / 8 % 4 == 3) {
        const wire::TablePull pull{.name = name, .version = how / 32U, .offset = input.take<std::uint8_t>()};
        return say(peer, wire::FrameKind::table_pull, std::as_bytes(std::span(&pull, 1)));
    }
    std::vector<std::byte> body(wire::row_ask_body_bytes_max);
    wire::RowBodyWriter writer(Bytes(body), wire::RowAskHead{.name = name, .version = how / 32U});
    for (int n = 0; n < how % 4; ++n) {
        const std::string key(1, static_cast<char>('a' + input.take<std::uint8_t>() % 4));
        WEIR_ASSERT(writer.add_key(key));
    }
    say(peer, wire::FrameKind::row_ask, ConstBytes(body).first(writer.finish()));
}

// Of one or two lanes, which may be anybody's.
void Bench::say_status(const Peer& peer, fuzz::Input& input) {
    const auto how = input.take<std::uint8_t>();
    wire::EdgeStatusHead head;
    head.rung = static_cast<wire::Rung>(how / 4);
    head.lanes = 1 + how % 2;
    std::vector<std::byte> body(sizeof head + head.lanes * sizeof(wire::LaneStatus));
    wire::store(body, head);
    for (std::uint32_t i = 0; i < head.lanes; ++i) {
        wire::LaneStatus one;
        one.lane = header_of(peer, i == 1).lane;
        const auto what = input.take<std::uint8_t>();
        if (what % 8 == 7) one.lane = what;
        one.part = static_cast<wire::Part>(what / 64);
        one.lane_class = static_cast<wire::LaneClass>(what / 16 % 4);
        one.last_sequence = input.take<std::uint64_t>();
        one.held_bytes = input.take<std::uint32_t>();
        wire::store(Bytes(body).subspan(sizeof head + i * sizeof one), one);
    }
    say(peer, wire::FrameKind::edge_status, body);
}

// One that follows on; bit 0: dead letters, bit 1: a gap, bit 2: the next one does not know of it.
void Bench::say_batch(Peer& peer, std::uint8_t how) {
    const bool is_letters = (how & 1U) != 0;
    wire::BatchHeader header = header_of(peer, is_letters);
    std::vector<std::byte> body;
    if ((how & 2U) != 0) {
        header.kind = wire::BatchKind::gap;
        header.count = 1U + how / 8U;
        header.previous_crc = 0;
    } else if (is_letters) {
        const wire::DeadLetterHead letter;
        fuzz::append_frame(body, wire::FrameKind::dead_letter, std::as_bytes(std::span(&letter, 1)));
    } else {
        wire::EventView event;
        event.id = event.type = event.source = "x";
        fuzz::append_frame(body, wire::FrameKind::event, builder_.build(event));
    }
    wire::seal(header, body);
    if ((how & 4U) == 0) peer.lanes[is_letters ? 1 : 0] = {header.last_sequence() + 1, header.header_crc};
    std::vector<std::byte> batch(sizeof header + body.size());
    wire::store(batch, header);
    std::copy(body.begin(), body.end(), batch.begin() + sizeof header);
    say(peer, wire::FrameKind::batch, batch);
}

// Fields and body as the input has them, with checksums that fit.
void Bench::say_batch_of(const Peer& peer, fuzz::Input& input) {
    wire::BatchHeader header = header_of(peer, input.take<std::uint8_t>() % 2 != 0);
    header.kind = static_cast<wire::BatchKind>(input.take<std::uint8_t>());
    header.part = static_cast<wire::Part>(input.take<std::uint8_t>());
    header.first_sequence += input.take<std::uint64_t>();
    header.count = input.take<std::uint32_t>();
    header.epoch = input.take<std::uint8_t>();
    const ConstBytes body = input.take_part();
    wire::seal(header, body);
    std::vector<std::byte> batch(sizeof header + body.size());
    wire::store(batch, header);
    std::copy(body.begin(), body.end(), batch.begin() + sizeof header);
    say(peer, wire::FrameKind::batch, batch);
}

void Bench::apply(fuzz::Input& input) {
    const auto what = input.take<std::uint8_t>();
    Peer& peer = peers_[what / 16 % peers_count];
    if (!io_.is_open(peer.socket)) {
        peer.socket = io_.connect_to_listener();
        step();
    }
    if (what % 16 == 9) {
        say_status(peer, input);
        return step();
    }
    if (what % 16 == 10) {
        say_of_tables(peer, input);
        return step();
    }
    switch (what % 8) {
        case 0:
            say_hello(peer, input.take<std::uint8_t>(), what % 16 == 8);
            break;
        case 1:
        case 2:
            say_batch(peer, input.take<std::uint8_t>());
            break;
        case 3:
            io_.say(peer.socket, input.take_part());
            break;
        case 4: {
            const auto kind = static_cast<wire::FrameKind>(input.take<std::uint8_t>());
            const auto number = input.take<std::uint64_t>();
            say(peer, kind, input.take_part(), number);
            break;
        }
        case 5:
            say_batch_of(peer, input);
            break;
        case 6:
            io_.finish(peer.socket);
            break;
        default:
            io_.advance_ms(std::uint64_t{input.take<std::uint8_t>()} * 50);
            break;
    }
    step();
}

// Every frame is one of a central's; acks and credit only grow; what is asked is asked right behind the welcome.
void Bench::look_at(const Peer& peer) {
    if (!peer.socket.is_valid()) return;
    std::map<LaneId, Sequence> acked;
    std::uint64_t credit = 0;
    bool is_over = false, has_asked = false;
    fuzz::for_each_sent(
        io_.heard(peer.socket),
        [&](const wire::FrameHeader& header, ConstBytes body) {
            WEIR_ASSERT(!is_over);
            if (header.kind == wire::FrameKind::edge_welcome) {
                WEIR_ASSERT(credit == 0);
                const auto welcome = wire::load<wire::EdgeWelcome>(body);
                WEIR_ASSERT(body.size() == sizeof welcome + welcome.lanes * sizeof(wire::LanePosition));
                credit = welcome.credit_bytes;
            } else if (header.kind == wire::FrameKind::credit) {
                const std::uint64_t more = wire::load<wire::Credit>(body).credit_bytes;
                WEIR_ASSERT(more >= credit);
                credit = more;
            } else if (header.kind == wire::FrameKind::status_ask) {
                WEIR_ASSERT(credit != 0 && !has_asked && body.size() == sizeof(wire::StatusAsk));
                has_asked = true;
            } else if (header.kind == wire::FrameKind::edge_ack) {
                const auto ack = wire::load<wire::EdgeAck>(body);
                if (ack.part != wire::Part::live) return;
                WEIR_ASSERT(ack.last_sequence >= acked[ack.lane]);
                acked[ack.lane] = ack.last_sequence;
            } else if (header.kind == wire::FrameKind::table_offers) {
                const auto offers = wire::load<wire::TableOffersHead>(body);
                WEIR_ASSERT(offers.tables == 1 && body.size() == sizeof offers + sizeof(wire::TableOffer));
            } else if (header.kind == wire::FrameKind::row_answer) {
                wire::RowAnswerHead answer;
                WEIR_ASSERT(wire::check_row_answer(body, answer) == nullptr);
            } else if (header.kind == wire::FrameKind::table_changed) {
                wire::TableChangedHead changed;
                WEIR_ASSERT(wire::check_table_changed(body, changed) == nullptr);
            } else if (header.kind != wire::FrameKind::table_chunk) {
                is_over = header.kind == wire::FrameKind::refusal;
                WEIR_ASSERT(is_over || header.kind == wire::FrameKind::ping || header.kind == wire::FrameKind::pong);
            }
        },
        true);
}

void Bench::end() {
    for (const Peer& peer : peers_) io_.finish(peer.socket);
    for (int i = 0; i < 10; ++i) {
        io_.advance_ms(1000);
        step();
    }
    for (const Peer& peer : peers_) {
        look_at(peer);
        WEIR_ASSERT(!io_.is_open(peer.socket));
    }
    WEIR_ASSERT(io_.free_slots() == fuzz::SessionIo::slots);
    WEIR_ASSERT(shared_.connections.get() == 0);
    for (std::uint32_t i = 0; i < shared_.positions.row_count(); ++i) {
        const PositionRow& row = shared_.positions.row(i);
        WEIR_ASSERT(row.received.get() == row.appended.get() + row.duplicates.get() + row.rejected.get());
        WEIR_ASSERT(row.hot.last_sequence == row.hot.durable_sequence);
        WEIR_ASSERT(row.hot.last_sequence == row.appended.get() + row.gap.get());
        WEIR_ASSERT(row.hot.session == no_session);
    }
    const auto held = edges_held(shared_.positions);
    for (const HeldFacts& one : held_facts(shared_.positions)) {
        WEIR_ASSERT(!one.held || (held && *one.backlog <= *one.held));
    }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    fuzz::Input input(data, bytes);
    Bench bench;
    for (std::size_t steps = 0; steps < steps_max && !input.is_empty(); ++steps) bench.apply(input);
    bench.end();
    return 0;
}
