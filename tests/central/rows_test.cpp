// What central says to edges that cache rows of its tables.
#include "core/wire/rows.hpp"

#include <chrono>
#include <fstream>

#include "central/tables/table_file.hpp"
#include "central/tables/table_keeper.hpp"
#include "central/tables/table_sender.hpp"
#include "central/tables/what_changed.hpp"
#include "tests/central/central_bench.hpp"

namespace weir::central {
namespace {

using wire::Changed;
using Keys = std::vector<std::string>;

std::vector<std::byte> image_of(const std::string& csv) {
    return parse_table("t.csv", csv).image.value();
}

// "keys a b", "prefix N-", "value class car", "all".
std::string change_of(const std::string& from, const std::string& to) {
    const auto now = image_of(from), next = image_of(to);
    const auto body = what_changed("vehicle", now, next);
    wire::TableChangedHead head;
    const char* const why = wire::check_table_changed(body, head);
    if (why != nullptr) return why;
    EXPECT_EQ(head.from_version, wire::table_version(now));
    EXPECT_EQ(head.version, wire::table_version(next));
    EXPECT_EQ(wire::name_of(head.name), "vehicle");
    std::uint64_t at = sizeof head;
    std::string said;
    switch (head.what) {
        case Changed::keys:
            said = "keys";
            for (std::uint32_t n = 0; n < head.keys; ++n) said += " " + std::string(wire::take_key(body, at));
            return said;
        case Changed::prefix:
            return "prefix " + std::string(wire::take_key(body, at));
        case Changed::value: {
            const auto value = wire::changed_value(body);
            return "value " + std::string(value.column) + " " + std::string(wire::cell_of(value.cell, 0).text);
        }
        case Changed::all:
            return "all";
    }
    return "";
}

// Rows N-00000.. of one class and S-00000.. of another; of those of `changed` the owner is another.
std::string many(int rows, const std::string& changed, const std::string& more = "") {
    std::string csv = "key,class,owner\n";
    for (const char* side : {"N-", "S-"}) {
        for (int n = 0; n < rows; ++n) {
            const std::string key = side + std::to_string(10'000 + n);
            csv +=
                key + "," + (side[0] == 'N' ? "car" : "bus") + "," + (key.starts_with(changed) ? "new" : "old") + "\n";
        }
    }
    return csv + more;
}

TEST(WhatChanged, NamesEachKeyThatIsNewGoneOrOther) {
    EXPECT_EQ(change_of("key,a\nx,1\ny,2\nz,3\n", "key,a\nw,9\nx,1\ny,5\n"), "keys w y z");
    EXPECT_EQ(change_of("key,a\nx,1\n", "key,a\nx,1\ny,1\n"), "keys y");
    EXPECT_EQ(change_of("key,a\n", "key,a\nx,1\n"), "keys x");
    EXPECT_EQ(change_of("key,a\nx,1\n", "key,b\nx,1\n"), "all");  // other columns
}

TEST(WhatChanged, NamesAValueOrAPrefixOrAllWhereTheKeysAreTooMany) {
    EXPECT_EQ(change_of(many(4000, "none"), many(4000, "N-")), "value class car");
    EXPECT_EQ(change_of(many(4000, "none"), many(4000, "N-", "N-zz,car,x\n")), "prefix N-");  // one is new
    EXPECT_EQ(change_of(many(4000, "none"), many(4000, "N-", "X,car,x\n")), "all");
    // They had it, whatever they have now; a few more of another class, and none has it alone.
    EXPECT_EQ(change_of(many(4000, "none"), many(4000, "")), "value owner old");
}

TEST(WhatChanged, IsEverythingWhereMoreRowsDifferThanItNotes) {
    constexpr int noted = changed_rows_max;
    EXPECT_EQ(change_of(many(noted, "none"), many(noted, "N-")), "value class car");
    EXPECT_EQ(change_of(many(noted + 1, "none"), many(noted + 1, "N-")), "all");
}

struct RowAskBench {
    RowAskBench() {
        offer("key,owner\na,Ann\nb,Bob\n");
        sender.begin(1, true);
        hear();
    }
    void offer(const std::string& csv) {
        const auto image = image_of(csv);
        std::ofstream(file, std::ios::binary) << csv;
        slot.take_back();
        slot.offer(keeper.look(true));
        EXPECT_TRUE(sender.take_book());
        version = wire::table_version(image);
    }
    static Batch ask_of(std::uint64_t version, const Keys& keys, std::string_view table = "vehicle") {
        Batch body(wire::row_ask_body_bytes_max);
        wire::RowBodyWriter writer(
            Bytes{body},
            wire::RowAskHead{.name = wire::name_field<wire::table_name_bytes_max>(table), .version = version});
        for (const auto& key : keys) EXPECT_TRUE(writer.add_key(key));
        body.resize(writer.finish());
        return body;
    }
    // Frames of the next send, as "offers", "changed FROM", "rows a=Ann x=none".
    Keys hear(std::uint32_t session = 1) {
        Keys said;
        ConstBytes frames = sender.next(session);
        while (!frames.empty()) {
            const auto header = wire::load<wire::FrameHeader>(frames);
            const ConstBytes body = frames.subspan(sizeof header, header.body_bytes);
            said.push_back(read(header.kind, body));
            frames = frames.subspan(wire::frame_bytes(header.body_bytes));
        }
        if (!said.empty()) sender.sent(session);
        return said;
    }
    static std::string read(wire::FrameKind kind, ConstBytes body) {
        if (kind == wire::FrameKind::table_offers) {
            return "offers " + std::to_string(wire::load<wire::TableOffersHead>(body).features);
        }
        if (kind == wire::FrameKind::table_changed) {
            wire::TableChangedHead head;
            EXPECT_EQ(wire::check_table_changed(body, head), nullptr);
            return head.what == Changed::all ? "all changed" : "changed " + std::to_string(head.keys);
        }
        wire::RowAnswerHead head;
        EXPECT_EQ(wire::check_row_answer(body, head), nullptr);
        std::string said = "rows";
        std::uint64_t at = wire::answered_rows_at(body);
        for (std::uint32_t n = 0; n < head.rows; ++n) {
            const auto row = wire::take_answered_row(body, at);
            const auto owner = wire::answered_column(body, "owner");
            said += " " + std::string(row.key) + "=" +
                    (row.is_absent ? "none" : std::string(wire::cell_of(row.cells, owner.value()).text));
        }
        return said;
    }

    Directory directory;
    std::string file = directory.path() + "/vehicle.csv";
    CentralConfig config = [this] {
        CentralConfig made;
        made.tables = {{"vehicle", file}};
        return made;
    }();
    TableKeeper keeper{config};
    TableBookSlot slot;
    TableSendCounters counters;
    TableSender sender{32, slot, counters};
    std::uint64_t version = 0;
};

TEST(RowsOfCentral, AreAnsweredInTheOrderAskedAndWhatIsNotThereToo) {
    RowAskBench bench;
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(0, {"b", "x", "a"})));
    EXPECT_EQ(bench.hear(), (Keys{"rows b=Bob x=none a=Ann"}));
    EXPECT_EQ(bench.hear(), Keys{});
    EXPECT_EQ(bench.counters.rows.get(), 2U);
    EXPECT_EQ(bench.counters.absent_rows.get(), 1U);
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(bench.version, {})));
    EXPECT_EQ(bench.hear(), Keys{"rows"});
}

TEST(RowsOfCentral, WhoHasAnEarlierVersionHearsWhatHasChangedFirst) {
    RowAskBench bench;
    const std::uint64_t first = bench.version;
    bench.offer("key,owner\na,Zoe\nb,Bob\nc,Cem\n");
    EXPECT_EQ(bench.hear(), Keys{"offers 1"});
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(first, {"a"})));
    EXPECT_EQ(bench.hear(), (Keys{"changed 2", "rows a=Zoe"}));
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(12345, {"a"})));
    EXPECT_EQ(bench.hear(), (Keys{"all changed", "rows a=Zoe"}));
    EXPECT_EQ(bench.counters.changes.get(), 2U);
}

TEST(RowsOfCentral, AreForThoseWhoMayAskAndOtherAsksAreNone) {
    RowAskBench bench;
    bench.sender.begin(2, false);
    EXPECT_EQ(bench.hear(2), Keys{"offers 0"});
    EXPECT_FALSE(bench.sender.take_row_ask(2, RowAskBench::ask_of(0, {"a"})));
    EXPECT_FALSE(bench.sender.take_row_ask(3, RowAskBench::ask_of(0, {"a"})));
    auto cut = RowAskBench::ask_of(0, {"a"});
    cut.pop_back();
    EXPECT_FALSE(bench.sender.take_row_ask(1, cut));
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(0, {"a"}, "other")));
    EXPECT_EQ(bench.hear(), Keys{"offers 1"});
}

TEST(RowsOfCentral, AnAskWithoutABufferIsLeftUnansweredAndCounted) {
    RowAskBench bench;
    for (std::uint32_t session = 2; session < 2 + TableSender::row_buffers_max; ++session) {
        bench.sender.begin(session, true);
        EXPECT_TRUE(bench.sender.take_row_ask(session, RowAskBench::ask_of(0, {"a"})));
    }
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(0, {"a"})));
    EXPECT_EQ(bench.counters.row_asks_dropped.get(), 1U);
    EXPECT_EQ(bench.hear(), Keys{});
    bench.sender.end(5);  // with its answer
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(0, {"a"})));
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(0, {"b"})));  // one at a time
    EXPECT_EQ(bench.counters.row_asks_dropped.get(), 2U);
    EXPECT_EQ(bench.hear(), Keys{"rows a=Ann"});
    for (std::uint32_t session = 2; session < 2 + TableSender::row_buffers_max; ++session) bench.sender.end(session);
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(0, {"b"})));
    EXPECT_EQ(bench.hear(), Keys{"rows b=Bob"});
}

TEST(RowsOfCentral, AnAnswerHasAsManyRowsAsFit) {
    RowAskBench bench;
    std::string csv = "key,owner\n";
    for (int n = 1000; n < 1200; ++n) csv += std::to_string(n) + "," + std::string(1000, 'x') + "\n";
    bench.offer(csv);
    (void)bench.hear();
    Keys keys;
    for (int n = 1000; n < 1200; ++n) keys.push_back(std::to_string(n));
    EXPECT_TRUE(bench.sender.take_row_ask(1, RowAskBench::ask_of(0, keys)));
    const ConstBytes frame = bench.sender.next(1);
    const auto header = wire::load<wire::FrameHeader>(frame);
    wire::RowAnswerHead head;
    ASSERT_EQ(wire::check_row_answer(frame.subspan(sizeof header, header.body_bytes), head), nullptr);
    EXPECT_GT(head.rows, 60U);
    EXPECT_LT(head.rows, 80U);
}

// A central with the table, and connections on which nothing else is said.
struct OverConnections {
    explicit OverConnections(std::uint64_t silent_ms = 10'000) {
        config.listen.silent_ms_max = silent_ms;
        config.tables = tables.config.tables;
        central.emplace(config);
        std::ofstream(tables.file, std::ios::binary) << "key,owner\na,Zoe\n";
        central->shared().tables.offer(tables.keeper.look(true));
    }
    // One that has been offered the table; the features of the offers.
    std::uint32_t connect(const std::string& name, std::uint64_t features) {
        edges.push_back(std::make_unique<ScriptedEdge>(central->port()));
        edges.back()->features = features;
        LaneScript lane;
        lane.edge = name;
        edges.back()->hello(lane);
        EXPECT_EQ(edges.back()->welcomed(), 0U);
        const auto offers = edges.back()->next(wire::FrameKind::table_offers);
        if (!offers) return UINT32_MAX;
        version = wire::load<wire::TableOffer>(ConstBytes(offers->body).subspan(sizeof(wire::TableOffersHead))).version;
        return offers->as<wire::TableOffersHead>().features;
    }
    RowAskBench tables;
    Directory directory;
    CentralConfig config = small_config(directory.path());
    std::optional<Central> central;
    std::vector<std::unique_ptr<ScriptedEdge>> edges;
    std::uint64_t version = 0;
};
constexpr std::uint64_t both_features = wire::edge_feature_tables | wire::edge_feature_rows;

TEST(RowsOfCentral, AreSaidAtOnceOverAConnection) {
    OverConnections bench;
    ASSERT_EQ(bench.connect("north", both_features), wire::offers_feature_rows);
    ScriptedEdge& edge = *bench.edges[0];
    const auto begun = std::chrono::steady_clock::now();
    for (int n = 0; n < 20; ++n) {
        edge.send_frame(wire::FrameKind::row_ask, RowAskBench::ask_of(0, {"a"}));
        const auto answer = edge.next(wire::FrameKind::row_answer);
        ASSERT_TRUE(answer);
        EXPECT_EQ(RowAskBench::read(answer->header.kind, ConstBytes(answer->body).first(answer->header.body_bytes)),
                  "rows a=Zoe");
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
    edge.send_frame(wire::FrameKind::row_ask, Batch(3));
    EXPECT_EQ(edge.refusal(), wire::RefusalReason::protocol);
}

TEST(RowsOfCentral, AnEdgeThatDoesNotKnowThemHearsNothingOfThemAndMayNotAsk) {
    OverConnections bench;
    EXPECT_EQ(bench.connect("north", wire::edge_feature_tables), 0U);
    bench.edges[0]->send_frame(wire::FrameKind::row_ask, RowAskBench::ask_of(0, {"a"}));
    EXPECT_EQ(bench.edges[0]->refusal(), wire::RefusalReason::protocol);
}

// It says something all the time, and reads nothing.
TEST(RowsOfCentral, WhoReadsNothingOfThemIsClosedAndItsBufferIsFreeAgain) {
    OverConnections bench(100);
    ASSERT_EQ(bench.connect("north", both_features), wire::offers_feature_rows);
    std::string csv = "key,owner\n";
    Keys keys;
    for (int n = 1000; n < 1070; ++n) {
        keys.push_back(std::to_string(n));
        csv += keys.back() + "," + std::string(1000, 'x') + "\n";
    }
    std::ofstream(bench.tables.file, std::ios::binary) << csv;
    bench.central->shared().tables.take_back();
    bench.central->shared().tables.offer(bench.tables.keeper.look(true));
    ScriptedEdge& edge = *bench.edges[0];
    const auto begun = std::chrono::steady_clock::now();
    while (bench.central->shared().connections.get() == 1 &&
           std::chrono::steady_clock::now() - begun < std::chrono::seconds(20)) {
        edge.send_frame(wire::FrameKind::row_ask, RowAskBench::ask_of(0, keys));
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(bench.central->shared().connections.get(), 0U);
    EXPECT_EQ(bench.connect("south", both_features), wire::offers_feature_rows);
}

// More connections than there are buffers: who found none is asked again as soon as there is one.
TEST(TablesOfCentral, PartsAreSaidAtOnceToMoreConnectionsThanThereAreBuffers) {
    OverConnections bench;
    for (std::uint32_t n = 0; n < TableSender::buffers_max + 4; ++n) {
        ASSERT_EQ(bench.connect("edge-" + std::to_string(n), wire::edge_feature_tables), 0U);
    }
    const wire::TablePull pull{.name = wire::name_field<wire::table_name_bytes_max>("vehicle"),
                               .version = bench.version};
    Batch body(sizeof pull);
    wire::store(Bytes(body), pull);
    const auto begun = std::chrono::steady_clock::now();
    for (int round = 0; round < 20; ++round) {
        for (const auto& edge : bench.edges) edge->send_frame(wire::FrameKind::table_pull, body);
        for (const auto& edge : bench.edges) ASSERT_TRUE(edge->next(wire::FrameKind::table_chunk));
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
}

}  // namespace
}  // namespace weir::central
