// Rows of cached tables over a real uplink, to a scripted central.
#include "edge/tables/row_asks.hpp"
#include "tests/edge/spool_bench.hpp"

namespace weir::edge::test {
namespace {

struct RowAsksTest : ::testing::Test {
    void open() {
        bench.centrals = {&central};
        bench.open();
        bench.stage->take_tables_for(tables);
        bench.stage->ask_rows_for(asks);
        ASSERT_TRUE(bench.until([&] { return bench.counters.is_connected.get() == 1; }));
    }
    void offer(std::uint32_t features) {
        central.may_be_asked_rows = features != 0;
        std::vector<std::byte> body(sizeof(wire::TableOffersHead) + sizeof(wire::TableOffer));
        wire::store(Bytes(body), wire::TableOffersHead{.tables = 1, .features = features});
        wire::store(Bytes(body).subspan(sizeof(wire::TableOffersHead)), wire::TableOffer{name, 9, 77});
        central.say(wire::FrameKind::table_offers, body);
    }
    void answer(std::string_view key) {
        std::vector<std::byte> body(wire::row_answer_body_bytes_max);
        wire::RowBodyWriter writer(Bytes{body}, wire::RowAnswerHead{.name = name, .version = 9});
        EXPECT_TRUE(writer.add_row(key, nullptr));
        body.resize(writer.finish());
        central.say(wire::FrameKind::row_answer, body);
    }
    const std::array<char, wire::table_name_bytes_max> name = wire::name_field<wire::table_name_bytes_max>("vehicle");
    TableLink tables;
    RowLink link{1, [] {}, [] {}};
    RowAsks asks{{"vehicle"}, link};
    ScriptedCentral central;
    SpoolBench bench{{central.address()}};
};

TEST_F(RowAsksTest, KeysAreAskedForOnceCentralOffersRowsAndTheAnswerComesBack) {
    open();
    EXPECT_EQ(central.hellos.at(0).features & wire::edge_feature_rows, wire::edge_feature_rows);
    ASSERT_TRUE(link.wish(0, "PHL-1"));
    offer(0);  // as an older central does
    bench.steps(30);
    EXPECT_TRUE(central.row_asks.empty());
    offer(wire::offers_feature_rows);
    ASSERT_TRUE(bench.until([&] { return central.row_asks.size() == 1; }));
    wire::RowAskHead head;
    ASSERT_EQ(wire::check_row_ask(central.row_asks[0], head), nullptr);
    EXPECT_EQ(head.name, name);
    EXPECT_EQ(head.keys, 1U);
    answer("PHL-1");
    ASSERT_TRUE(bench.until([&] { return link.has_frames(); }));
    EXPECT_FALSE(bench.stage->has_input());
    std::string key;
    EXPECT_EQ(link.take_frames([&](std::size_t table, wire::FrameKind kind, ConstBytes body) {
        EXPECT_EQ(table, 0U);
        EXPECT_EQ(kind, wire::FrameKind::row_answer);
        std::uint64_t at = wire::answered_rows_at(body);
        key = wire::take_answered_row(body, at).key;
    }),
              1U);
    EXPECT_EQ(key, "PHL-1");
    // The next wish is something to wake up for.
    ASSERT_TRUE(link.wish(0, "PHL-2"));
    EXPECT_TRUE(bench.stage->has_input());
    ASSERT_TRUE(bench.until([&] { return central.row_asks.size() == 2; }));
    EXPECT_FALSE(bench.stage->has_input());
}

TEST_F(RowAsksTest, WithTheConnectionGoesTheLeaveToAsk) {
    open();
    offer(wire::offers_feature_rows);
    bench.steps(30);
    central.may_be_asked_rows = false;
    central.cut();
    ASSERT_TRUE(bench.until([&] { return central.hellos.size() == 2; }));
    ASSERT_TRUE(link.wish(0, "PHL-1"));
    bench.steps(50);
    EXPECT_TRUE(central.row_asks.empty());
    offer(wire::offers_feature_rows);
    EXPECT_TRUE(bench.until([&] { return central.row_asks.size() == 1; }));
}

TEST_F(RowAsksTest, EventsGoOnWhileRowsAreAskedFor) {
    open();
    offer(wire::offers_feature_rows);
    for (int n = 0; n < 20; ++n) {
        (void)link.wish(0, std::to_string(n));
        bench.feed(0);
        ASSERT_TRUE(bench.until([&] { return bench.is_all(bench.delivered); }));
    }
    EXPECT_GE(central.row_asks.size(), 1U);
}

}  // namespace
}  // namespace weir::edge::test
