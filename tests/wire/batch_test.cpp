#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "core/wire/control.hpp"
#include "core/wire/verdict.hpp"
#include "tests/wire/golden.hpp"
#include "tests/wire/samples.hpp"

namespace weir::wire {
namespace {

using samples::append_frame;
using samples::append_struct;
using samples::sealed;

BatchFault check(ConstBytes batch) {
    BatchHeader header;
    return check_batch(batch, header);
}

// The fault of a batch that is sound but for what `change` does before it is sealed.
BatchFault check_changed(const std::function<void(BatchHeader&, std::vector<std::byte>&)>& change) {
    BatchHeader header = samples::batch_header();
    std::vector<std::byte> body = samples::two_event_body();
    change(header, body);
    return check(sealed(header, body));
}

TEST(Batch, IsTheGoldenBytesAndReadsBack) {
    const auto batch = golden::expect_golden("batch-two-events", samples::two_event_batch());
    BatchHeader header;
    ASSERT_EQ(check_batch(batch, header), BatchFault::none);
    EXPECT_EQ(name_of(header.edge_id), "north");
    EXPECT_EQ(name_of(header.lane_name), "main");
    EXPECT_EQ(header.last_sequence(), 42U);
    EXPECT_EQ(header.totals, samples::batch_header().totals);
    std::vector<std::string> ids;
    for_each_frame(ConstBytes(batch).subspan(sizeof(BatchHeader)), [&](const FrameView& frame, std::uint32_t index) {
        EXPECT_EQ(index, ids.size());
        EventView view;
        EXPECT_EQ(verify_event(frame.body, view), Reason::none);
        ids.emplace_back(view.id);
    });
    EXPECT_EQ(ids, (std::vector<std::string>{"phl-701234567", "phl-701234568"}));
}

// The model is the vector of frames that it was made of.
TEST(Batch, GivesBackTheVectorOfFramesItWasMadeOf) {
    struct Made {
        std::vector<std::byte> body;
        std::uint64_t number = 0;
        std::uint16_t tag = 0;
    };
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        std::vector<Made> made(1 + random() % 80);
        std::vector<std::byte> body;
        for (Made& one : made) {
            one.body.resize(1 + (random() % 4 == 0 ? random() % 3000 : random() % 40));
            for (std::byte& byte : one.body) byte = static_cast<std::byte>(random());
            one.number = random();
            one.tag = static_cast<std::uint16_t>(random());
            samples::append_frame(body, FrameKind::event, one.body, one.number, one.tag);
        }
        BatchHeader header = samples::batch_header();
        header.count = static_cast<std::uint32_t>(made.size());
        header.first_sequence = 1 + random();
        const auto batch = samples::sealed(header, body);
        BatchHeader read;
        ASSERT_EQ(check_batch(batch, read), BatchFault::none);
        ASSERT_EQ(read.first_sequence, header.first_sequence);
        ASSERT_EQ(read.last_sequence(), header.first_sequence + made.size() - 1);
        ASSERT_EQ(read.totals, header.totals);
        std::size_t at = 0;
        for_each_frame(ConstBytes(batch).subspan(sizeof(BatchHeader)),
                       [&](const FrameView& frame, std::uint32_t index) {
                           ASSERT_EQ(index, at);
                           ASSERT_LT(at, made.size());
                           ASSERT_TRUE(std::ranges::equal(frame.body, made[at].body));
                           ASSERT_EQ(frame.header.number, made[at].number);
                           ASSERT_EQ(frame.header.tag, made[at].tag);
                           ++at;
                       });
        ASSERT_EQ(at, made.size());
    }
}

TEST(Batch, RefusesEveryFlippedBit) {
    std::vector<std::byte> batch = samples::two_event_batch();
    ASSERT_EQ(check(batch), BatchFault::none);
    for (std::size_t bit = 0; bit < batch.size() * 8; ++bit) {
        batch[bit / 8] ^= std::byte{1} << (bit % 8);
        ASSERT_NE(check(batch), BatchFault::none) << "bit " << bit;
        batch[bit / 8] ^= std::byte{1} << (bit % 8);
    }
}

TEST(Batch, RefusesEveryCutAndAnyByteTooMany) {
    std::vector<std::byte> batch = samples::two_event_batch();
    for (std::size_t bytes = 0; bytes < batch.size(); ++bytes) {
        const std::vector<std::byte> cut(batch.begin(), batch.begin() + static_cast<std::ptrdiff_t>(bytes));
        ASSERT_EQ(check(cut), bytes < sizeof(BatchHeader) ? BatchFault::short_header : BatchFault::bytes) << bytes;
    }
    batch.push_back({});
    EXPECT_EQ(check(batch), BatchFault::bytes);
}

TEST(Batch, SaysWhatIsWrongWithAHeaderThatIsSealedWell) {
    using Body = std::vector<std::byte>;
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.magic = 1; }), BatchFault::magic);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.version = 2; }), BatchFault::version);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.header_bytes = 208; }), BatchFault::version);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.kind = static_cast<BatchKind>(9); }), BatchFault::version);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.part = static_cast<Part>(2); }), BatchFault::version);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.codec = Codec::zstd; }), BatchFault::version);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.key_id = 1; }), BatchFault::version);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.count = 0; }), BatchFault::bytes);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.count = batch_events_max + 1; }), BatchFault::bytes);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.first_sequence = 0; }), BatchFault::bytes);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.first_sequence = UINT64_MAX; }), BatchFault::bytes);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.edge_id = {}; }), BatchFault::names);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.edge_id[0] = 'N'; }), BatchFault::names);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.edge_id[20] = 'x'; }), BatchFault::names);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.lane_name = {}; }), BatchFault::names);
}

TEST(Batch, RefusesFramesThatDoNotFillTheBodyExactly) {
    using Body = std::vector<std::byte>;
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.count = 1; }), BatchFault::frame);
    EXPECT_EQ(check_changed([](BatchHeader& h, Body&) { h.count = 3; }), BatchFault::frame);
    EXPECT_EQ(check_changed([](BatchHeader&, Body& b) { b.resize(b.size() - 8); }), BatchFault::frame);
    EXPECT_EQ(check_changed([](BatchHeader&, Body& b) { b.resize(b.size() + 8); }), BatchFault::frame);
    EXPECT_EQ(check_changed([](BatchHeader&, Body& b) { b.clear(); }), BatchFault::frame);
    EXPECT_EQ(check_changed([](BatchHeader&, Body& b) { store(b, std::uint32_t{UINT32_MAX}); }), BatchFault::frame);
    EXPECT_EQ(check_changed([](BatchHeader&, Body& b) { store(b, std::uint32_t{event_bytes_max + 1}); }),
              BatchFault::frame);
    EXPECT_EQ(check_changed([](BatchHeader&, Body& b) { b[6] = static_cast<std::byte>(FrameKind::dead_letter); }),
              BatchFault::frame);
    EXPECT_EQ(check_changed([](BatchHeader&, Body& b) { b[6] = static_cast<std::byte>(FrameKind::ping); }),
              BatchFault::frame);
}

TEST(Batch, RefusesPaddingThatIsNotZero) {
    BatchHeader header = samples::batch_header();
    header.count = 1;
    std::vector<std::byte> body;
    append_frame(body, FrameKind::event, std::as_bytes(std::span("abc", 3)));
    ASSERT_EQ(check(sealed(header, body)), BatchFault::none);
    body.back() = std::byte{1};
    EXPECT_EQ(check(sealed(header, body)), BatchFault::frame);
}

TEST(Batch, CarriesDeadLettersOnTheirLaneAlone) {
    BatchHeader header = samples::batch_header();
    header.count = 1;
    header.lane = dead_letter_lane;
    header.lane_name = name_field<lane_name_bytes_max>(dead_letter_lane_name);
    const auto batch_of = [&](std::uint32_t stated_bytes) {
        std::vector<std::byte> letter;
        append_struct(letter, DeadLetterHead{Reason::not_flatbuffer, StageId::decode, 0, stated_bytes, 17, {}});
        samples::append(letter, std::as_bytes(std::span("rubbish", 7)));
        std::vector<std::byte> body;
        append_frame(body, FrameKind::dead_letter, letter);
        return sealed(header, body);
    };
    EXPECT_EQ(check(batch_of(7)), BatchFault::none);
    EXPECT_EQ(check(batch_of(6)), BatchFault::frame);
    EXPECT_EQ(check(batch_of(8)), BatchFault::frame);
    header.lane = 1;
    EXPECT_EQ(check(batch_of(7)), BatchFault::frame);
    header.lane = dead_letter_lane;
    header.count = 2;
    EXPECT_EQ(check(sealed(header, samples::two_event_body())), BatchFault::frame);
}

TEST(Batch, OfAGapOrATickHasNoBody) {
    BatchHeader gap = samples::batch_header();
    gap.kind = BatchKind::gap;
    gap.count = 100'000;
    EXPECT_EQ(check(sealed(gap, {})), BatchFault::none);
    EXPECT_EQ(check(sealed(gap, samples::two_event_body())), BatchFault::bytes);
    BatchHeader tick;
    tick.kind = BatchKind::tick;
    EXPECT_EQ(check(sealed(tick, {})), BatchFault::none);
    tick.count = 1;
    EXPECT_EQ(check(sealed(tick, {})), BatchFault::bytes);
}

TEST(Batch, RandomBytesUnderAGoodSealNeverLeadOutside) {
    // For AddressSanitizer: the frames are hostile, the checksums are right.
    std::mt19937_64 random(6);
    int accepted = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::vector<std::byte> body = samples::two_event_body();
        for (std::uint64_t damage = 1 + random() % 3; damage > 0; --damage) {
            body[random() % (random() % 2 == 0 ? 24 : body.size())] = static_cast<std::byte>(random());
        }
        body.resize(random() % 4 == 0 ? random() % body.size() : body.size());
        const auto batch = sealed(samples::batch_header(), body);
        if (check(batch) != BatchFault::none) continue;
        ++accepted;
        for_each_frame(ConstBytes(batch).subspan(sizeof(BatchHeader)), [](const FrameView& frame, std::uint32_t) {
            EventView view;
            static_cast<void>(verify_event(frame.body, view));
        });
    }
    EXPECT_GT(accepted, 100);
}

TEST(Name, IsLowerCaseLettersDigitsAndDashes) {
    EXPECT_TRUE(is_name("north-2", 32));
    EXPECT_TRUE(is_name(std::string(32, 'a'), 32));
    for (const std::string_view bad : {"", "North", "a_b", "a.b", "a b", "\xc3\xa9"})
        EXPECT_FALSE(is_name(bad, 32)) << bad;
    EXPECT_FALSE(is_name(std::string(33, 'a'), 32));
}

// Each control frame as it crosses a connection.
std::vector<std::byte> frame_of(FrameKind kind, ConstBytes body, std::uint64_t number = 0) {
    std::vector<std::byte> frame;
    append_frame(frame, kind, body, number);
    return frame;
}
template <class... Structs>
std::vector<std::byte> frame_with(FrameKind kind, const Structs&... structs) {
    std::vector<std::byte> body;
    (append_struct(body, structs), ...);
    return frame_of(kind, body);
}

TEST(ControlFrames, OfProducersAreTheGoldenBytes) {
    ProducerHello hello;
    hello.level = AckLevel::delivered;
    hello.name = name_field<producer_name_bytes_max>("camera-17");
    golden::expect_golden("producer-hello", frame_with(FrameKind::producer_hello, hello));
    golden::expect_golden("producer-welcome",
                          frame_with(FrameKind::producer_welcome, ProducerWelcome{1234, 8192, event_bytes_max, 0}));
    golden::expect_golden(
        "producer-ack",
        frame_with(FrameKind::producer_ack, ProducerAckHead{9000, 2, Rung::healthy, {}},
                   AckRange{1, 800, AckStatus::accepted, 0, 0},
                   AckRange{801, 1, AckStatus::dead_lettered, static_cast<std::uint8_t>(Reason::field_missing), 0}));
    golden::expect_golden("producer-ack-critical",
                          frame_with(FrameKind::producer_ack, ProducerAckHead{9000, 0, Rung::critical, {}}));
    Refusal refusal;
    refusal.reason = RefusalReason::number_gap;
    refusal.detail = name_field<120>("expected 1235");
    golden::expect_golden("refusal", frame_with(FrameKind::refusal, refusal));
    Refusal turn;
    turn.reason = RefusalReason::limit;
    turn.after_ms = 0x1234;
    golden::expect_golden("refusal-turn", frame_with(FrameKind::refusal, turn));
    golden::expect_golden("goodbye", frame_of(FrameKind::goodbye, {}));
    golden::expect_golden("ping", frame_of(FrameKind::ping, {}, 0x1122334455667788));
    golden::expect_golden("pong", frame_of(FrameKind::pong, {}, 0x1122334455667788));
    std::vector<std::byte> life = frame_of(FrameKind::pong, {}, 0x1122334455667788);
    store(life, FrameHeader{.body_bytes = 0, .tag = 0x5678, .kind = FrameKind::pong, .number = 0x1122334455667788});
    golden::expect_golden("pong-life", life);
}

TEST(ControlFrames, AnAckOfShedEventsIsTheGoldenBytes) {
    ProducerAckHead head;
    head.credit_events = 9000;
    head.ranges = 2;
    golden::expect_golden(
        "producer-ack-shed",
        frame_with(FrameKind::producer_ack, head,
                   AckRange{1, 7, AckStatus::shed, static_cast<std::uint8_t>(Reason::lane_full), 0},
                   AckRange{8, 1, AckStatus::shed, static_cast<std::uint8_t>(Reason::shed_oldest), 0}));
    EXPECT_EQ(text(AckStatus::shed), "shed");
    EXPECT_EQ(text(Reason::shed_critical), "shed_critical");
    EXPECT_EQ(text(Part::backlog), "backlog");
}

TEST(ControlFrames, OfEdgesAreTheGoldenBytes) {
    EdgeHello hello;
    hello.lanes = 2;
    hello.edge_id = name_field<edge_id_bytes_max>("north");
    hello.lineage = 0x0102030405060708;
    hello.epoch = 3;
    hello.config_digest = 0x1112131415161718;
    const LaneOffer offer{1, Part::live, {}, name_field<lane_name_bytes_max>("main"), 1, 42};
    const LaneOffer dead{
        dead_letter_lane, Part::backlog, {}, name_field<lane_name_bytes_max>(dead_letter_lane_name), 2, 1};
    golden::expect_golden("edge-hello", frame_with(FrameKind::edge_hello, hello, offer, dead));
    golden::expect_golden("edge-welcome", frame_with(FrameKind::edge_welcome, EdgeWelcome{4U << 20, 2, 0},
                                                     LanePosition{1, Part::live, 0, {}, 40},
                                                     LanePosition{dead_letter_lane, Part::backlog, 0, {}, 1}));
    golden::expect_golden("edge-welcome-unsettled",
                          frame_with(FrameKind::edge_welcome, EdgeWelcome{4U << 20, 1, 0},
                                     LanePosition{1, Part::live, position_unsettled, {}, 40}));
    golden::expect_golden("edge-ack", frame_with(FrameKind::edge_ack, EdgeAck{1, Part::live, {}, 42}));
    golden::expect_golden("credit", frame_with(FrameKind::credit, Credit{0xfffe, {}, 8U << 20}));
    golden::expect_golden("credit-lane", frame_with(FrameKind::credit, Credit{3, {}, 4U << 20}));
    golden::expect_golden("batch-frame", frame_of(FrameKind::batch, samples::two_event_batch()));
}

TEST(Texts, NameEveryKnownValueAndNoOther) {
    EXPECT_EQ(text(Reason::wrong_identifier), "wrong_identifier");
    EXPECT_EQ(text(StageId::ingest), "ingest");
    EXPECT_EQ(text(RefusalReason::sequence_gap), "sequence_gap");
    EXPECT_EQ(text(static_cast<Reason>(99)), "unknown");
    EXPECT_EQ(text(BatchFault::body_crc), "body_crc");
    EXPECT_TRUE(is_known(FrameKind::credit));
    EXPECT_FALSE(is_known(static_cast<FrameKind>(0)));
    EXPECT_FALSE(is_known(static_cast<FrameKind>(3)));
}

}  // namespace
}  // namespace weir::wire
