// Counts what the intake stage allocates while events pass: operator new of this program tells.
#include <fstream>
#include <iterator>

#include "core/rules/compile.hpp"
#include "core/wire/batch.hpp"
#include "edge/tables/row_asks.hpp"
#include "tests/counted_new.hpp"
#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

using weir::test::allocations;
using weir::test::counts_allocations;

TEST(Intake, AllocatesNothingWhileTenThousandEventsPass) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.keeps_batches = false;
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("warm");
    ASSERT_TRUE(producer.wait_acked(1));
    allocations = 0;
    // The counter counts: a look at it before it is trusted.
    counts_allocations = true;
    ::operator delete(::operator new(8));
    counts_allocations = false;
    EXPECT_EQ(allocations, 1U);
    allocations = 0;
    for (int n = 0; n < 10'000; ++n) producer.send_event(std::to_string(n));
    ASSERT_TRUE(producer.wait_acked(10'001));
    EXPECT_EQ(bench.counters.accepted.get(), 10'001U);
    // The Io's own queues are another part's: sends are the only calls into it here.
    EXPECT_EQ(allocations, 0U);
}

TEST(Intake, AllocatesNothingWhileExpressionsJudge) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.lanes.push_back(LaneConfig{.name = "urgent"});
    RuleConfig rule;
    rule.when = R"(type like "read*")";
    rule.must = R"(data.n < 10 && lower(default(data.name, "A")) == "a")";
    config.rules = {rule};
    RouteConfig route;
    route.lane = "urgent";
    route.when = "data.n == 1";
    config.routes = {route};
    IntakeBench bench(config);
    bench.keeps_batches = false;
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("warm");
    ASSERT_TRUE(producer.wait_acked(1));
    allocations = 0;
    for (int n = 0; n < 2000; ++n) producer.send_event(std::to_string(n), 0, n % 2 == 0 ? R"({"n":1})" : R"({"n":12})");
    ASSERT_TRUE(producer.wait_acked(2001));
    EXPECT_EQ(bench.counters.dead_letters_by_reason[static_cast<std::size_t>(wire::Reason::rule_failed)].get(), 1000U);
    EXPECT_EQ(allocations, 0U);
}

TEST(Intake, AllocatesNothingWhileEventsAreEdited) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.pii.remove = {{{}, {{"data.plate", Removal::hash}, {"data.name", Removal::truncate, 1}}}};
    config.enrichments = {{{}, "", {{"data.twice", "data.n * 2"}, {"data.who", "lower(data.name)"}}}};
    IntakeBench bench(config);
    bench.keeps_batches = false;
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("warm");
    ASSERT_TRUE(producer.wait_acked(1));
    allocations = 0;
    for (int n = 0; n < 2000; ++n) {
        producer.send_event(std::to_string(n), 0,
                            n % 2 == 0 ? R"({"plate":"PHL-1","name":"A\u0041nn","n":1})" : R"({"plate":)");
    }
    ASSERT_TRUE(producer.wait_acked(2001));
    EXPECT_EQ(bench.counters.edited.get(), 1001U);  // the first one too
    EXPECT_EQ(bench.counters.withheld.get(), 1000U);
    EXPECT_EQ(allocations, 0U);
}

TEST(Intake, AllocatesNothingWhilePayloadsAreVerifiedAndRead) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    std::ifstream file(WEIR_CIVIC_BFBS, std::ios::binary);
    config.payloads = {{.type = "ri*",
                        .content_type = "application/x-civic",
                        .schema = "civic.bfbs",
                        .schema_bytes = {std::istreambuf_iterator<char>(file), {}}}};
    RuleConfig rule;
    rule.require = {"data.fact.ride_id"};
    rule.must = "data.fact.distance_m < 1000000";
    config.rules = {rule};
    IntakeBench bench(config);
    bench.keeps_batches = false;
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("warm");
    ASSERT_TRUE(producer.wait_acked(1));
    std::ifstream golden("tests/wire/golden/civic-ride.bin", std::ios::binary);
    const std::string ride{std::istreambuf_iterator<char>(golden), {}};
    allocations = 0;
    for (int n = 0; n < 2000; ++n) {
        producer.send_event(std::to_string(n), 0, n % 2 == 0 ? ride : ride.substr(0, 40), "ride",
                            "application/x-civic");
    }
    ASSERT_TRUE(producer.wait_acked(2001));
    EXPECT_EQ(bench.counters.dead_letters_by_reason[static_cast<std::size_t>(wire::Reason::schema_mismatch)].get(),
              1000U);
    EXPECT_EQ(allocations, 0U);
}

// The rows of `ask`: each key's own number, none for every fifth.
std::vector<std::byte> rows_for(ConstBytes ask) {
    const auto head = wire::load<wire::RowAskHead>(ask);
    std::vector<std::byte> body(wire::row_answer_body_bytes_max);
    wire::RowBodyWriter writer(Bytes{body}, wire::RowAnswerHead{.name = head.name, .version = 7, .columns = 1});
    constexpr std::string_view column = "\5rides";
    writer.add_raw(std::as_bytes(std::span(column)));
    std::uint64_t at = sizeof head;
    for (std::uint32_t n = 0; n < head.keys; ++n) {
        std::vector<std::byte> cells;
        wire::append_cell({.type = wire::CellType::integer, .integer = 100}, cells);
        const ConstBytes view(cells);
        EXPECT_TRUE(writer.add_row(wire::take_key(ask, at), n % 5 == 0 ? nullptr : &view));
    }
    body.resize(writer.finish());
    return body;
}

TEST(Intake, AllocatesNothingWhileCachedTablesAreLookedUpAndFilled) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.tables.use = {{.name = "vehicle", .columns = {"rides:integer"}, .keep = TableKeep::cached}};
    config.enrichments = {{{}, "", {{"data.rides", R"(lookup("vehicle", data.v).rides)"}}}};
    RowLink link(
        1, [] {}, [] {});
    CachedTables cached(config, link, 3);
    RowAsks asks({"vehicle"}, link);
    std::vector<std::byte> offers(sizeof(wire::TableOffersHead) + sizeof(wire::TableOffer));
    wire::store(Bytes(offers), wire::TableOffersHead{.tables = 1, .features = wire::offers_feature_rows});
    wire::store(Bytes(offers).subspan(sizeof(wire::TableOffersHead)),
                wire::TableOffer{wire::name_field<wire::table_name_bytes_max>("vehicle"), 7, 1});
    asks.take_offers(offers);
    JudgementSlot slot;
    IntakeBench bench(config);
    bench.keeps_batches = false;
    bench.intake->take_reloads_from(slot);
    bench.intake->look_up_in(cached);
    slot.offer(std::make_unique<Judgement>(
        config, IntakeBench::lanes_of(config),
        std::make_shared<const TableSet>(std::vector<ReferenceTableShare>{}, config.tables.use, &cached)));
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("warm");
    ASSERT_TRUE(producer.wait_acked(1));
    allocations = 0;
    for (int n = 0; n < 2000; ++n) {
        producer.send_event(std::to_string(n), 0, R"({"v":"PHL-)" + std::to_string(n % 100) + "\"}");
        const ConstBytes ask = asks.next_ask(bench.io->now());
        if (!ask.empty()) asks.take(wire::FrameKind::row_answer, rows_for(ask));
    }
    ASSERT_TRUE(producer.wait_acked(2001));
    EXPECT_GT(cached.counters(0).hits.get(), 500U);
    EXPECT_GT(cached.counters(0).absent_hits.get(), 0U);
    EXPECT_GE(cached.counters(0).misses.get(), 100U);
    EXPECT_GT(bench.counters.enriched.get(), 500U);
    EXPECT_EQ(allocations, 0U);
}

TEST(Intake, AllocatesNothingWhileATapCopies) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.keeps_batches = false;
    TapSlot slot;
    bench.intake->take_taps_from(slot);
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("warm");
    ASSERT_TRUE(producer.wait_acked(1));
    auto compiled = rules::compile("data.n == 1", {.is_placed = true, .is_judged = true, .limits = {}});
    auto tap =
        std::make_unique<Tap>(std::move(rules::RuleSet::build({&*compiled.program, 1}).value()),
                              Tap::Options{.limit = 1000, .edge_id = "north", .lanes = {"default", "dead-letters"}});
    Tap& opened = *tap;
    slot.offer(std::move(tap));
    bench.step();
    allocations = 0;
    for (int n = 0; n < 2000; ++n) producer.send_event(std::to_string(n), 0, n % 2 == 0 ? R"({"n":1})" : R"({"n":12})");
    ASSERT_TRUE(producer.wait_acked(2001));
    EXPECT_EQ(allocations, 0U);
    EXPECT_EQ(opened.seen.get(), 2000U);
    EXPECT_EQ(opened.matched.get(), 1000U);
    EXPECT_EQ(opened.shown.get() + opened.lost.get() + opened.over_rate.get(), 1000U);
    opened.end();
    bench.step();
    EXPECT_TRUE(slot.take_back());
}

TEST(Intake, AllocatesNothingWhileAReplayLeavesHoles) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.keeps_batches = false;
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled, "dead-letters-0000000000000007-north");
    producer.send_event("warm", 10);
    ASSERT_TRUE(producer.wait_acked(1));
    allocations = 0;
    for (std::uint64_t n = 1; n <= 2000; ++n) producer.send_event(std::to_string(n), 10 + 7 * n);
    ASSERT_TRUE(producer.wait_acked(2001));
    EXPECT_EQ(bench.counters.accepted.get(), 2001U);
    EXPECT_EQ(allocations, 0U);
}

TEST(Intake, AllocatesNothingWhileALaneIsStuckAndAnotherSheds) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.lanes.push_back(LaneConfig{.name = "slow"});
    config.lanes.push_back(
        LaneConfig{.name = "lossy", .lane_class = LaneClass::best_effort, .shed = ShedPolicy::random});
    for (const char* name : {"slow", "lossy"}) {
        RouteConfig route;
        route.lane = name;
        route.types = {name};
        config.routes.push_back(route);
    }
    IntakeBench bench(config);
    bench.keeps_batches = false;
    TestProducer stuck(bench), free(bench);
    stuck.hello(wire::AckLevel::spooled);
    free.hello(wire::AckLevel::spooled);
    free.send_event("warm");
    ASSERT_TRUE(free.wait_acked(1));
    bench.fill(1, 100);
    bench.fill(2, 75);
    allocations = 0;
    const std::string large(9000, 'x');
    std::uint64_t sent = 0;
    for (int n = 0; n < 2000; ++n) {
        const std::string id = std::to_string(n);
        if (n % 10 == 0) {
            stuck.send_event(id, 0, n % 50 == 0 ? large : "{}", n % 20 == 0 ? "slow" : "other");
            ++sent;
        }
        free.send_event(id + "f", 0, "{}", n % 2 == 0 ? "lossy" : "other");
        if (n % 50 == 49) bench.fill(1, n % 100 == 49 ? 20 : 100);
        bench.step();  // else its socket fills up, and nothing would open the lane again
        stuck.look();
        free.look();
    }
    ASSERT_TRUE(free.wait_acked(2001));
    bench.fill(1, 0);
    ASSERT_TRUE(stuck.wait_acked(sent));
    EXPECT_GT(bench.counters.stalls.get(), 2U);
    EXPECT_GT(bench.counters.shed[2].random.get(), 300U);
    EXPECT_EQ(allocations, 0U);
}

}  // namespace
}  // namespace weir::edge::test
