// Tables of which rows are cached: intake's part and the uplink's, and a central by hand that has rows and versions.
#include "edge/tables/cached_tables.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <random>
#include <string>
#include <thread>

#include "core/wire/batch.hpp"
#include "edge/tables/row_asks.hpp"
#include "edge/tables/table_set.hpp"

namespace weir::edge {
namespace {

using Buffer = std::vector<std::byte>;

EdgeConfig config_of(const TableUseConfig& use) {
    EdgeConfig config;
    config.tables.use = {{.name = "whole-one"}, use};
    return config;
}
TableUseConfig vehicle() {
    TableUseConfig use;
    use.name = "vehicle";
    use.columns = {"owner:text", "rides:integer"};
    use.keep = TableKeep::cached;
    use.tag_columns = {"class"};
    use.lifetime_column = "kept";
    use.lifetimes_s = {100, 5};
    use.absent_s = 20;
    use.bytes_max = 1U << 20;
    return use;
}

struct Row {
    std::string owner;
    std::int64_t rides = 0;
    std::string class_name = "car";
    std::int64_t kept = 0;
    bool operator==(const Row&) const = default;
};

// Central's table and what it says of it.
struct CentralByHand {
    std::map<std::string, Row> rows;
    std::uint64_t version = 1;
    std::map<std::uint64_t, std::map<std::string, Row>> before;  // versions that it knows
    std::size_t rows_max = 256;                                  // of an answer

    void change(const std::string& key, std::optional<Row> row) {
        before[version] = rows;
        if (row) {
            rows[key] = *row;
        } else {
            rows.erase(key);
        }
        ++version;
    }
    [[nodiscard]] Buffer offers(std::uint32_t features = wire::offers_feature_rows) const {
        Buffer body(sizeof(wire::TableOffersHead) + sizeof(wire::TableOffer));
        wire::store(Bytes(body), wire::TableOffersHead{.tables = 1, .features = features});
        wire::store(Bytes(body).subspan(sizeof(wire::TableOffersHead)),
                    wire::TableOffer{wire::name_field<wire::table_name_bytes_max>("vehicle"), version, 77});
        return body;
    }
    [[nodiscard]] Buffer changed(std::uint64_t from, wire::Changed what, const std::vector<std::string>& keys) const {
        Buffer body(wire::table_changed_body_bytes_max);
        const wire::TableChangedHead head{.name = wire::name_field<wire::table_name_bytes_max>("vehicle"),
                                          .from_version = from,
                                          .version = version,
                                          .what = what};
        wire::RowBodyWriter writer(Bytes{body}, head);
        if (what == wire::Changed::value) {  // of `class`
            add_column(writer, "class");
            Buffer cell;
            wire::append_cell({.type = wire::CellType::text, .text = keys.at(0)}, cell);
            writer.add_raw(cell);
        } else {
            for (const std::string& key : keys) EXPECT_TRUE(writer.add_key(key));
        }
        body.resize(writer.finish());
        return body;
    }
    // From a version that it knows, by keys; else all.
    [[nodiscard]] Buffer changed(std::uint64_t from) const {
        const auto old = before.find(from);
        if (old == before.end()) return changed(from, wire::Changed::all, {});
        std::vector<std::string> keys;
        for (const auto& [key, row] : old->second) {
            if (!rows.contains(key) || !(rows.at(key) == row)) keys.push_back(key);
        }
        for (const auto& [key, row] : rows) {
            if (!old->second.contains(key)) keys.push_back(key);
        }
        return changed(from, wire::Changed::keys, keys);
    }
    [[nodiscard]] Buffer answer(ConstBytes ask) const {
        wire::RowAskHead head;
        EXPECT_EQ(wire::check_row_ask(ask, head), nullptr);
        Buffer body(wire::row_answer_body_bytes_max);
        wire::RowBodyWriter writer(Bytes{body},
                                   wire::RowAnswerHead{.name = head.name, .version = version, .columns = 4});
        for (const char* column : {"class", "kept", "owner", "rides"}) add_column(writer, column);
        std::uint64_t at = sizeof head;
        for (std::uint32_t n = 0; n < head.keys && n < rows_max; ++n) {
            const auto key = wire::take_key(ask, at);
            const auto row = rows.find(std::string(key));
            Buffer cells;
            if (row != rows.end()) {
                wire::append_cell({.type = wire::CellType::text, .text = row->second.class_name}, cells);
                wire::append_cell({.type = wire::CellType::integer, .integer = row->second.kept}, cells);
                wire::append_cell({.type = wire::CellType::text, .text = row->second.owner}, cells);
                wire::append_cell({.type = wire::CellType::integer, .integer = row->second.rides}, cells);
            }
            const ConstBytes view(cells);
            EXPECT_TRUE(writer.add_row(key, row == rows.end() ? nullptr : &view));
        }
        body.resize(writer.finish());
        return body;
    }
    static void add_column(auto& writer, std::string_view name) {
        const auto length = static_cast<std::byte>(name.size());
        writer.add_raw(ConstBytes(&length, 1));
        writer.add_raw(std::as_bytes(std::span(name)));
    }
};

// Intake and the spool runner in one, by turns.
struct RowsBench {
    explicit RowsBench(const TableUseConfig& use = vehicle(), std::uint32_t keys_per_second = 10'000) {
        config = config_of(use);
        config.tables.asked_keys_per_second_max = keys_per_second;
        link.emplace(
            1, [this] { ++spool_woken; }, [this] { ++intake_woken; });
        cached.emplace(config, *link, 7);
        asks.emplace(cached_table_names(config), *link);
        set.emplace(std::vector<ReferenceTableShare>{}, config.tables.use, &*cached);
        begin_session();
    }
    void begin_session(std::uint32_t features = wire::offers_feature_rows) {
        asks->begin_session();
        asks->take_offers(central.offers(features));
    }
    rules::Value look(const std::string& key, std::string_view column = "owner") {
        cached->begin_cycle(now);
        const rules::Value value = set->read(set->find_column("vehicle", column).value(), rules::Value::of_text(key));
        cached->end_cycle();
        return value;
    }
    std::string owner(const std::string& key) {
        const rules::Value value = look(key);
        return value.is_null() ? "-" : std::string(value.as_text());
    }
    // What the uplink asks now, and central's answer to it. False if it asks nothing.
    bool serve() {
        const ConstBytes ask = asks->next_ask(now);
        if (ask.empty()) return false;
        last_ask.assign(ask.begin(), ask.end());
        const auto head = wire::load<wire::RowAskHead>(last_ask);
        if (head.version != 0 && head.version != central.version) {
            asks->take(wire::FrameKind::table_changed, central.changed(head.version));
        }
        asks->take(wire::FrameKind::row_answer, central.answer(last_ask));
        cached->begin_cycle(now);
        cached->end_cycle();
        return true;
    }
    void pass_s(std::uint64_t count) { now = now.plus_ns(count * ns_per_second); }
    const CachedTableCounters& counts() { return cached->counters(0); }
    std::uint32_t asked_keys() { return wire::load<wire::RowAskHead>(last_ask).keys; }

    EdgeConfig config;
    CentralByHand central;
    std::optional<RowLink> link;
    std::optional<CachedTables> cached;
    std::optional<RowAsks> asks;
    std::optional<TableSet> set;
    MonotonicNs now{ns_per_second};
    Buffer last_ask;
    int spool_woken = 0;
    int intake_woken = 0;
};

TEST(CachedTables, ALookupIsNullAtFirstAndTheRowIsThereOnceCentralHasAnswered) {
    RowsBench bench;
    bench.central.rows = {{"PHL-1", {"Ann", 3}}};
    EXPECT_EQ(bench.owner("PHL-1"), "-");
    EXPECT_EQ(bench.spool_woken, 1);
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.intake_woken, 1);
    EXPECT_EQ(bench.owner("PHL-1"), "Ann");
    EXPECT_EQ(bench.look("PHL-1", "rides").integer, 3);
    EXPECT_TRUE(bench.look("PHL-1", "").is_true());
    EXPECT_FALSE(bench.set->find_column("vehicle", "class"));  // not declared
    EXPECT_FALSE(bench.serve());
    EXPECT_EQ(bench.counts().hits.get(), 3U);
    EXPECT_EQ(bench.counts().misses.get(), 1U);
    EXPECT_EQ(bench.counts().rows.get(), 1U);
    EXPECT_GT(bench.counts().memory_bytes.get(), 1000U);
    EXPECT_LE(bench.counts().memory_bytes.get(), 1U << 20);
}

TEST(CachedTables, AWholeNumberIsAKeyAndAValueOfAnotherTypeIsNull) {
    TableUseConfig use = vehicle();
    use.columns = {"owner:integer", "rides:integer"};
    RowsBench bench(use);
    bench.central.rows = {{"19", {"Ann", 3}}};
    bench.cached->begin_cycle(bench.now);
    const auto rides = bench.set->find_column("vehicle", "rides").value();
    EXPECT_TRUE(bench.set->read(rides, rules::Value::of_integer(19)).is_null());
    bench.cached->end_cycle();
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.set->read(rides, rules::Value::of_integer(19)).integer, 3);
    EXPECT_TRUE(bench.look("19", "owner").is_null());
    EXPECT_EQ(bench.counts().misses.get(), 1U);
}

TEST(CachedTables, WhatIsNotThereIsKnownForItsTime) {
    RowsBench bench;
    EXPECT_EQ(bench.owner("x"), "-");
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.owner("x"), "-");
    EXPECT_FALSE(bench.serve());
    EXPECT_EQ(bench.counts().absent_hits.get(), 1U);
    bench.pass_s(21);
    EXPECT_EQ(bench.owner("x"), "-");
    EXPECT_EQ(bench.counts().expired.get(), 1U);
    EXPECT_TRUE(bench.serve());
}

TEST(CachedTables, AKeyIsWishedOnceHoweverOftenItIsMissed) {
    RowsBench bench;
    for (int n = 0; n < 10; ++n) EXPECT_EQ(bench.owner("x"), "-");
    EXPECT_EQ(bench.counts().wishes.get(), 1U);
    EXPECT_EQ(bench.counts().repeated.get(), 9U);
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.asked_keys(), 1U);
    // One whose answer is lost is wished again.
    EXPECT_EQ(bench.owner("y"), "-");
    EXPECT_FALSE(bench.asks->next_ask(bench.now).empty());
    bench.pass_s(2);
    EXPECT_EQ(bench.owner("y"), "-");
    EXPECT_EQ(bench.counts().wishes.get(), 2U);
    bench.pass_s(2);
    EXPECT_EQ(bench.owner("y"), "-");
    EXPECT_EQ(bench.counts().wishes.get(), 3U);
}

TEST(CachedTables, WhatIsWishedIsBoundedByRateAndByRoomAndTheRestIsCounted) {
    RowsBench slow(vehicle(), 10);
    for (int n = 0; n < 100; ++n) (void)slow.owner(std::to_string(n));
    EXPECT_EQ(slow.counts().wishes.get(), 10U);
    EXPECT_EQ(slow.counts().over_rate.get(), 90U);
    slow.now = slow.now.plus_ns(ns_per_second / 2);
    for (int n = 100; n < 200; ++n) (void)slow.owner(std::to_string(n));
    EXPECT_EQ(slow.counts().wishes.get(), 15U);
    slow.pass_s(100);  // no more is saved up than a second's
    for (int n = 200; n < 300; ++n) (void)slow.owner(std::to_string(n));
    EXPECT_EQ(slow.counts().wishes.get(), 25U);

    RowsBench full;
    for (std::size_t n = 0; n < RowLink::wishes_max + 50; ++n) (void)full.owner(std::to_string(n));
    EXPECT_EQ(full.counts().wishes.get(), RowLink::wishes_max);
    EXPECT_EQ(full.counts().without_room.get(), 50U);
    EXPECT_EQ(full.counts().misses.get(), RowLink::wishes_max + 50);
}

TEST(CachedTables, ACentralThatSaysNothingOfRowsIsNeverAsked) {
    RowsBench bench;
    bench.begin_session(0);
    EXPECT_EQ(bench.owner("x"), "-");
    EXPECT_FALSE(bench.serve());
    bench.asks->begin_session();
    EXPECT_FALSE(bench.serve());  // nothing is offered yet
    bench.asks->take_offers(bench.central.offers());
    EXPECT_TRUE(bench.serve());
}

TEST(CachedTables, OneAskIsUnderWayAndOneThatIsNotAnsweredIsGivenUp) {
    RowsBench bench;
    EXPECT_EQ(bench.owner("x"), "-");
    EXPECT_FALSE(bench.asks->next_ask(bench.now).empty());
    EXPECT_EQ(bench.owner("y"), "-");
    EXPECT_TRUE(bench.asks->next_ask(bench.now).empty());
    EXPECT_EQ(bench.asks->counters(0).unanswered.get(), 0U);
    bench.now = bench.now.plus_ns(ask_again_ns);
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.asks->counters(0).unanswered.get(), 1U);
    EXPECT_EQ(bench.asked_keys(), 1U);
    EXPECT_EQ(bench.asks->counters(0).asked_keys.get(), 2U);
}

// While intake is with one frame, the uplink may already use the buffer of the one before it.
TEST(CachedTables, AFrameThatIsDoneWithLeavesRoomForTheNextWhileOthersWait) {
    RowsBench bench;
    const auto body = bench.central.changed(1, wire::Changed::keys, {"a"});
    const auto take = [&] { return bench.link->take(0, wire::FrameKind::table_changed, body); };
    for (std::uint32_t n = 0; n < RowLink::frames_max; ++n) EXPECT_TRUE(take());
    std::size_t taken = 0;
    const auto count = bench.link->take_frames([&](std::size_t, wire::FrameKind, ConstBytes) {
        EXPECT_EQ(take(), taken > 0) << taken;
        ++taken;
    });
    EXPECT_EQ(count, RowLink::frames_max);
    EXPECT_EQ(bench.link->take_frames([](std::size_t, wire::FrameKind, ConstBytes) {}), RowLink::frames_max - 1);
}

TEST(CachedTables, NothingIsAskedWhileItsAnswerHasNoRoom) {
    RowsBench bench;
    for (std::uint32_t n = 0; n < RowLink::frames_max; ++n) {  // intake takes nothing
        EXPECT_TRUE(
            bench.link->take(0, wire::FrameKind::table_changed, bench.central.changed(1, wire::Changed::keys, {"a"})));
    }
    EXPECT_FALSE(bench.link->take(0, wire::FrameKind::row_answer, bench.central.changed(1, wire::Changed::keys, {})));
    EXPECT_TRUE(bench.link->wish(0, "x"));
    EXPECT_TRUE(bench.asks->next_ask(bench.now).empty());
    const int woken = bench.spool_woken;
    bench.cached->begin_cycle(bench.now);
    EXPECT_EQ(bench.spool_woken, woken + 1);
    EXPECT_FALSE(bench.asks->next_ask(bench.now).empty());
}

TEST(CachedTables, AskIsOfWhatFitsAndTheRestIsInTheNext) {
    RowsBench bench;
    for (int n = 0; n < 100; ++n) {
        const std::string key = std::string(200, 'k') + std::to_string(n);
        bench.central.rows[key] = {"Ann", n};
        EXPECT_EQ(bench.owner(key), "-");
    }
    int asks = 0;
    std::uint32_t keys = 0;
    for (; bench.serve(); ++asks) keys += bench.asked_keys();
    EXPECT_EQ(asks, 2);
    EXPECT_EQ(keys, 100U);
    for (int n = 0; n < 100; ++n) {
        EXPECT_EQ(bench.look(std::string(200, 'k') + std::to_string(n), "rides").integer, n);
    }
}

TEST(CachedTables, WhatAnAnswerLeavesOutIsAskedForNext) {
    RowsBench bench;
    bench.central.rows = {{"a", {"Ann"}}, {"b", {"Bob"}}, {"c", {"Cem"}}};
    bench.central.rows_max = 1;
    for (const char* key : {"a", "bb", "b", "c"}) EXPECT_EQ(bench.owner(key), "-");
    for (std::uint32_t keys = 4; keys > 0; --keys) {
        ASSERT_TRUE(bench.serve());
        EXPECT_EQ(bench.asked_keys(), keys);
    }
    EXPECT_FALSE(bench.serve());
    EXPECT_EQ(bench.owner("a") + bench.owner("b") + bench.owner("c"), "AnnBobCem");
}

TEST(CachedTables, WhatIsNotAnsweredAtAllIsWishedAgain) {
    RowsBench bench;
    bench.central.rows = {{"a", {"Ann"}}};
    bench.central.rows_max = 0;
    EXPECT_EQ(bench.owner("a"), "-");
    ASSERT_TRUE(bench.serve());
    EXPECT_FALSE(bench.serve());
    bench.central.rows_max = 1;
    bench.now = bench.now.plus_ns(CachedTables::wish_again_ns);
    EXPECT_EQ(bench.owner("a"), "-");
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.owner("a"), "Ann");
}

TEST(CachedTables, WhatALostConnectionDidNotAnswerIsAskedForOnTheNext) {
    RowsBench bench;
    bench.central.rows = {{"a", {"Ann"}}};
    EXPECT_EQ(bench.owner("a"), "-");
    EXPECT_FALSE(bench.asks->next_ask(bench.now).empty());
    bench.begin_session();
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.asked_keys(), 1U);
    EXPECT_EQ(bench.owner("a"), "Ann");
}

TEST(CachedTables, AChangedRowGoesAndTheOthersStay) {
    RowsBench bench;
    bench.central.rows = {{"a", {"Ann"}}, {"b", {"Bob"}}};
    EXPECT_EQ(bench.owner("a") + bench.owner("b") + bench.owner("new"), "---");
    ASSERT_TRUE(bench.serve());
    bench.central.change("a", Row{"Zoe"});
    bench.central.change("new", Row{"Nora"});
    EXPECT_EQ(bench.owner("a"), "Ann");  // until central says so
    bench.asks->take_offers(bench.central.offers());
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.asked_keys(), 0U);
    EXPECT_EQ(bench.counts().invalidated.get(), 2U);
    EXPECT_EQ(bench.owner("a") + bench.owner("new"), "--");
    EXPECT_EQ(bench.owner("b"), "Bob");
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.owner("a") + bench.owner("new"), "ZoeNora");
    EXPECT_EQ(bench.asks->counters(0).changes.get(), 1U);
    EXPECT_FALSE(bench.serve());
}

TEST(CachedTables, ByPrefixByValueAndAllGoWhatTheyName) {
    const auto gone = [](wire::Changed what, const std::vector<std::string>& keys, const TableUseConfig& use) {
        RowsBench bench(use);
        bench.central.rows = {{"N-1", {"Ann", 0, "car"}}, {"N-2", {"Bob", 0, "bus"}}, {"S-1", {"Cem", 0, "car"}}};
        for (const char* key : {"N-1", "N-2", "S-1", "N-3"}) EXPECT_EQ(bench.owner(key), "-");
        EXPECT_TRUE(bench.serve());
        ++bench.central.version;
        bench.asks->take_offers(bench.central.offers());
        EXPECT_FALSE(bench.asks->next_ask(bench.now).empty());
        bench.asks->take(wire::FrameKind::table_changed, bench.central.changed(1, what, keys));
        std::string left;
        for (const char* key : {"N-1", "N-2", "S-1"}) {
            if (bench.owner(key) != "-") left += std::string(key) + " ";
        }
        const auto absent_hits = bench.counts().absent_hits.get();
        (void)bench.owner("N-3");
        if (bench.counts().absent_hits.get() > absent_hits) left += "N-3";
        return left;
    };
    EXPECT_EQ(gone(wire::Changed::keys, {"N-2", "N-3"}, vehicle()), "N-1 S-1 ");
    EXPECT_EQ(gone(wire::Changed::prefix, {"N-"}, vehicle()), "S-1 ");
    EXPECT_EQ(gone(wire::Changed::value, {"car"}, vehicle()), "N-2 N-3");
    EXPECT_EQ(gone(wire::Changed::all, {}, vehicle()), "");
    TableUseConfig untagged = vehicle();
    untagged.tag_columns = {};
    EXPECT_EQ(gone(wire::Changed::value, {"car"}, untagged), "");
}

TEST(CachedTables, AnAnswerOfAnotherVersionIsNotTaken) {
    RowsBench bench;
    bench.central.rows = {{"a", {"Ann"}}, {"b", {"Bob"}}};
    EXPECT_EQ(bench.owner("a"), "-");
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.owner("b"), "-");
    const ConstBytes ask = bench.asks->next_ask(bench.now);
    ASSERT_FALSE(ask.empty());
    const Buffer asked(ask.begin(), ask.end());
    bench.central.change("a", Row{"Zoe"});
    bench.asks->take(wire::FrameKind::row_answer, bench.central.answer(asked));  // without what has changed
    EXPECT_EQ(bench.owner("b"), "-");
    EXPECT_EQ(bench.asks->counters(0).dropped_frames.get(), 1U);
    // A change that does not begin where the rows are is none of ours.
    bench.asks->take(wire::FrameKind::table_changed, bench.central.changed(9, wire::Changed::keys, {}));
    EXPECT_EQ(bench.asks->counters(0).dropped_frames.get(), 2U);
    bench.asks->take_offers(bench.central.offers());
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.owner("a"), "-");
}

TEST(CachedTables, ACentralThatDoesNotKnowTheVersionSaysAll) {
    RowsBench bench;
    bench.central.rows = {{"a", {"Ann"}}};
    EXPECT_EQ(bench.owner("a"), "-");
    ASSERT_TRUE(bench.serve());
    bench.central.rows["a"].owner = "Zoe";
    bench.central.version = 500;  // another one, or after a restart
    EXPECT_EQ(bench.owner("a"), "Ann");
    bench.begin_session();
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.owner("a"), "-");
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.owner("a"), "Zoe");
}

TEST(CachedTables, ARowIsKeptAsLongAsItsClassSays) {
    RowsBench bench;
    bench.central.rows = {
        {"long", {"Ann", 0, "car", 0}}, {"short", {"Bob", 0, "car", 1}}, {"none", {"Cem", 0, "car", 9}}};
    const auto look_at_all = [&] { return bench.owner("long") + bench.owner("short") + bench.owner("none"); };
    EXPECT_EQ(look_at_all(), "---");
    ASSERT_TRUE(bench.serve());
    bench.pass_s(4);
    EXPECT_EQ(look_at_all(), "AnnBobCem");
    bench.pass_s(2);
    EXPECT_EQ(look_at_all(), "Ann-Cem");
    bench.pass_s(95);
    EXPECT_EQ(look_at_all(), "---");
}

TEST(CachedTables, ARowThatIsTooLargeIsNullAndNotAskedForAgainAtOnce) {
    TableUseConfig use = vehicle();
    use.entry_bytes_max = 64;
    RowsBench bench(use);
    bench.central.rows = {{"a", {std::string(100, 'x')}}, {"b", {"Bob"}}};
    EXPECT_EQ(bench.owner("a") + bench.owner("b"), "--");
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.owner("a") + bench.owner("b"), "-Bob");
    EXPECT_FALSE(bench.serve());
    EXPECT_EQ(bench.counts().too_large.get(), 1U);
    EXPECT_EQ(bench.owner(std::string(65, 'k')), "-");  // a key that cannot be cached is never asked for
    EXPECT_EQ(bench.counts().too_large.get(), 2U);
    EXPECT_EQ(bench.owner("") + bench.owner(std::string(257, 'k')), "--");  // no row has such a key
    EXPECT_FALSE(bench.serve());
}

TEST(CachedTables, ARowThatWasTooLargeGoesWithEveryValueThatHasChanged) {
    TableUseConfig use = vehicle();
    use.entry_bytes_max = 64;
    RowsBench bench(use);
    bench.central.rows = {{"a", {std::string(100, 'x')}}};
    EXPECT_EQ(bench.owner("a"), "-");
    ASSERT_TRUE(bench.serve());
    bench.central.change("a", Row{"Ann"});
    bench.asks->take(wire::FrameKind::table_changed, bench.central.changed(1, wire::Changed::value, {"car"}));
    EXPECT_EQ(bench.owner("a"), "-");
    ASSERT_TRUE(bench.serve());
    EXPECT_EQ(bench.owner("a"), "Ann");
}

TEST(CachedTables, MemoryStaysWithinItsBoundHoweverManyRowsCome) {
    TableUseConfig use = vehicle();
    use.bytes_max = 1U << 16;
    RowsBench bench(use);
    for (int n = 0; n < 3000; ++n) {
        const std::string key = std::to_string(n);
        bench.central.rows[key] = {"owner " + key, n};
        EXPECT_EQ(bench.owner(key), "-");
        if (n % 100 == 99) {
            while (bench.serve()) {
            }
        }
    }
    EXPECT_LE(bench.counts().memory_bytes.get(), 1U << 16);
    EXPECT_GT(bench.counts().evicted.get(), 2000U);
    EXPECT_LT(bench.counts().rows.get(), 1000U);
    EXPECT_EQ(bench.owner("2999"), "owner 2999");
}

// As they run: intake on one thread, the uplink and what central says on another.
TEST(CachedTables, IntakeAndTheUplinkMeetOnTwoThreads) {
    constexpr int keys = 500;
    RowsBench bench;
    for (int n = 0; n < keys; ++n) bench.central.rows[std::to_string(n)] = {"owner " + std::to_string(n), n};
    std::atomic<bool> is_over{false};
    std::thread uplink([&, now = bench.now] {
        while (!is_over) {
            const ConstBytes ask = bench.asks->next_ask(now);
            if (ask.empty()) {
                std::this_thread::yield();
                continue;
            }
            bench.asks->take(wire::FrameKind::row_answer, bench.central.answer(ask));
        }
    });
    int found = 0;
    for (int round = 0; round < 10'000 && found < keys; ++round) {
        found = 0;
        for (int n = 0; n < keys; ++n) {
            const std::string owner = bench.owner(std::to_string(n));
            if (owner == "-") continue;
            ++found;
            EXPECT_EQ(owner, "owner " + std::to_string(n));
        }
        std::this_thread::yield();
    }
    is_over = true;
    uplink.join();
    EXPECT_EQ(found, keys);
    EXPECT_EQ(bench.asks->counters(0).dropped_frames.get(), 0U);
}

// Frames are lost, connections end, rows change, time passes: a lookup that gives anything gives what central had at the version that
// the edge was last told of, and once all is quiet, what it has.
TEST(CachedTables, NeverSaysWhatCentralDidNotSay) {
    std::mt19937_64 random(5);
    RowsBench bench;
    std::map<std::uint64_t, std::map<std::string, Row>> ever;
    const auto key_of = [&] { return "k" + std::to_string(random() % 20); };
    std::uint64_t told = 0;  // the version of what is cached; 0: nothing is
    std::uint64_t seen = 0;
    for (int step = 0; step < 20'000; ++step) {
        ever[bench.central.version] = bench.central.rows;
        if (bench.central.before.size() > 3) bench.central.before.erase(bench.central.before.begin());
        switch (random() % 12) {
            case 0:
                bench.central.change(key_of(), Row{std::to_string(step)});
                break;
            case 1:
                bench.central.change(key_of(), std::nullopt);
                break;
            case 2:
                bench.begin_session();
                break;
            case 3:
                bench.pass_s(random() % 5);
                break;
            case 4:
                bench.asks->take_offers(bench.central.offers());
                break;
            case 5:
            case 6: {  // an ask whose answers come only in part
                const ConstBytes ask = bench.asks->next_ask(bench.now);
                if (ask.empty()) break;
                const Buffer asked(ask.begin(), ask.end());
                const auto head = wire::load<wire::RowAskHead>(asked);
                ASSERT_EQ(head.version, told);
                const bool is_behind = head.version != 0 && head.version != bench.central.version;
                if (is_behind && random() % 3 != 0) {
                    bench.asks->take(wire::FrameKind::table_changed, bench.central.changed(head.version));
                    told = bench.central.version;
                }
                if (random() % 3 != 0) {
                    bench.asks->take(wire::FrameKind::row_answer, bench.central.answer(asked));
                    if (told == 0 && head.keys > 0) told = bench.central.version;
                }
                break;
            }
            default: {
                const std::string key = key_of(), owner = bench.owner(key);
                if (owner == "-") break;
                ++seen;
                ASSERT_NE(told, 0U);
                ASSERT_TRUE(ever[told].contains(key)) << step;
                ASSERT_EQ(owner, ever[told][key].owner) << step;
                break;
            }
        }
    }
    EXPECT_GT(seen, 1000U);
    bench.pass_s(ask_again_ns / ns_per_second);
    bench.begin_session();
    for (int round = 0; round < 3; ++round) {
        for (int n = 0; n < 20; ++n) (void)bench.owner("k" + std::to_string(n));
        while (bench.serve()) {
        }
        bench.pass_s(1);
    }
    for (int n = 0; n < 20; ++n) {
        const std::string key = "k" + std::to_string(n);
        const auto row = bench.central.rows.find(key);
        EXPECT_EQ(bench.owner(key), row == bench.central.rows.end() ? "-" : row->second.owner);
    }
}

}  // namespace
}  // namespace weir::edge
