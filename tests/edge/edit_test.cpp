#include "edge/intake/edit.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <sstream>
#include <string>

#include "core/base/json_scan.hpp"
#include "edge/intake/judgement.hpp"
#include "edge/rule_tests.hpp"
#include "edge/tables/table_set.hpp"

namespace weir::edge {
namespace {

FieldEdit edit(const std::string& field, Removal how, std::uint32_t characters = 0) {
    FieldEdit made;
    made.how = how;
    made.characters = characters;
    std::stringstream rest(field);
    for (std::string step; std::getline(rest, step, '.');) made.steps.push_back(step);
    return made;
}

std::string edited(const std::string& json, std::vector<FieldEdit> edits, std::vector<NewMember> members = {}) {
    const std::uint64_t all = edits.size() == 64 ? ~0ULL : (1ULL << edits.size()) - 1;
    JsonEditor editor(std::move(edits), SipKey{1, 2}, 1U << 16);
    std::vector<char> bytes(1U << 16);
    TextRoom room(bytes);
    const auto outcome = editor.write(json, all, members, room);
    if (outcome == JsonEditor::Outcome::over) return "over";
    if (outcome == JsonEditor::Outcome::unchanged) return "unchanged";
    JsonFault fault;
    EXPECT_TRUE(json_parse(room.text(), fault)) << room.text();
    return std::string(room.text());
}

TEST(JsonEditor, DropsAFieldWhereverItsNameStands) {
    EXPECT_EQ(edited(R"({"plate":"ABC","fine":51.0})", {edit("plate", Removal::drop)}), R"({"fine":51.0})");
    EXPECT_EQ(edited(R"({"fine":51.0,"plate":"ABC"})", {edit("plate", Removal::drop)}), R"({"fine":51.0})");
    EXPECT_EQ(edited(R"({ "plate" : {"a":[1,"}"]} })", {edit("plate", Removal::drop)}), "{}");
    // Of equal names the last counts for who reads it, but each would be stored.
    EXPECT_EQ(edited(R"({"plate":"A","x":1,"plate":"B"})", {edit("plate", Removal::drop)}), R"({"x":1})");
    EXPECT_EQ(edited(R"({"pl\u0061te":"A","x":1})", {edit("plate", Removal::drop)}), R"({"x":1})");
    EXPECT_EQ(edited(R"({"plates":"A","x":{"plate":"B"}})", {edit("plate", Removal::drop)}), "unchanged");
}

TEST(JsonEditor, PassesThroughListsAndObjectsOnItsWay) {
    EXPECT_EQ(
        edited(R"({"persons":[{"name":"Ann","n":1},{"n":2},[{"name":"Bob"}]]})", {edit("persons.name", Removal::drop)}),
        R"({"persons":[{"n":1},{"n":2},[{}]]})");
    EXPECT_EQ(edited(R"([{"plate":"A"},{"plate":"B"}])", {edit("plate", Removal::drop)}), "[{},{}]");
    EXPECT_EQ(edited(R"({"plate":["ABCD","EFGH"]})", {edit("plate", Removal::truncate, 2)}),
              R"({"plate":["AB","EF"]})");
    EXPECT_EQ(edited(R"({"plate":{"text":"ABCD"}})", {edit("plate", Removal::truncate, 2)}), R"({"plate":null})");
}

TEST(JsonEditor, TruncatesToCharactersAndNotToBytes) {
    EXPECT_EQ(edited(R"({"plate":"PHL-1234"})", {edit("plate", Removal::truncate, 3)}), R"({"plate":"PHL"})");
    EXPECT_EQ(edited("{\"name\":\"\xc3\x84\xc3\xb6\xc3\xbc\"}", {edit("name", Removal::truncate, 2)}),
              "{\"name\":\"\xc3\x84\xc3\xb6\"}");
    EXPECT_EQ(edited(R"({"name":"\"\\\u0001x"})", {edit("name", Removal::truncate, 3)}), R"({"name":"\"\\\u0001"})");
    EXPECT_EQ(edited(R"({"plate":"PH"})", {edit("plate", Removal::truncate, 3)}), "unchanged");
    EXPECT_EQ(edited(R"({"plate":123456})", {edit("plate", Removal::truncate, 3)}), R"({"plate":"123"})");
    EXPECT_EQ(edited(R"({"plate":"\ud800x"})", {edit("plate", Removal::truncate, 3)}), R"({"plate":null})");
}

TEST(JsonEditor, HashesTheSameTextToTheSameHashAndAHashNotAgain) {
    const std::string once = edited(R"({"plate":"PHL-1234"})", {edit("plate", Removal::hash)});
    EXPECT_EQ(once, edited(R"({"plate":"PHL\u002d1234"})", {edit("plate", Removal::hash)}));
    EXPECT_NE(once, edited(R"({"plate":"PHL-1235"})", {edit("plate", Removal::hash)}));
    EXPECT_EQ(once.size(), std::string(R"({"plate":""})").size() + hash_text_bytes);
    EXPECT_EQ(edited(once, {edit("plate", Removal::hash)}), "unchanged");
}

TEST(JsonEditor, TheStrictestOfSeveralEditsCounts) {
    const auto truncate = edit("plate", Removal::truncate, 3), hash = edit("plate", Removal::hash),
               drop = edit("plate", Removal::drop);
    EXPECT_EQ(edited(R"({"plate":"ABCD"})", {truncate, drop}), "{}");
    EXPECT_EQ(edited(R"({"plate":"ABCD"})", {truncate, hash}), edited(R"({"plate":"ABCD"})", {hash}));
}

TEST(JsonEditor, SetsMembersInPlaceOfWhatHasTheirName) {
    EXPECT_EQ(edited(R"({"fine":1})", {}, {{"class", "\"A\""}}), R"({"fine":1,"class":"A"})");
    EXPECT_EQ(edited(R"({"class":"x","fine":1})", {}, {{"class", "7"}}), R"({"fine":1,"class":7})");
    EXPECT_EQ(edited("{}", {}, {{"a", "1"}, {"b", "true"}, {"a", "2"}}), R"({"b":true,"a":2})");
    EXPECT_EQ(edited("[1]", {}, {{"a", "1"}}), "unchanged");
    // What is looked up may be personal too.
    EXPECT_EQ(edited("{}", {edit("owner", Removal::truncate, 1)}, {{"owner", "\"Ann\""}}), R"({"owner":"A"})");
    EXPECT_EQ(edited("{}", {edit("owner", Removal::drop)}, {{"owner", "\"Ann\""}}), "{}");
}

// Any JSON, with a word in the fields that are to go: it is gone, and what is left is JSON.
class RandomJson {
  public:
    explicit RandomJson(std::uint64_t seed) : random_(seed) {}
    std::string value(int depth, bool is_personal) {
        switch (below(depth > 3 ? 4 : 6)) {
            case 0:
                return std::to_string(below(1000));
            case 1:
                return is_personal ? R"("x\u0053ECRETx")" : R"("plain \" text")";
            case 2:
                return is_personal ? R"("SECRET")" : "null";
            case 3:
                return is_personal ? R"("SE\u0043RET")" : "true";
            case 4: {
                std::string made = "[";
                for (auto n = below(4); n > 0; --n) made += value(depth + 1, is_personal) + (n > 1 ? " ," : "");
                return made + "]";
            }
            default: {
                std::string made = "{";
                for (auto n = below(5); n > 0; --n) {
                    const bool goes = is_personal || below(3) == 0;
                    const std::string name =
                        goes && !is_personal ? (below(2) == 0 ? R"("plate")" : R"("pl\u0061te")") : R"("n")";
                    made += name + (below(2) == 0 ? " : " : ":") + value(depth + 1, goes) + (n > 1 ? "," : "");
                }
                return made + "}";
            }
        }
    }
    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  private:
    std::mt19937_64 random_;
};

TEST(JsonEditor, NothingOfWhatIsDroppedIsLeftInAnyJson) {
    // "plate" at any of these depths.
    std::vector<FieldEdit> edits;
    for (const char* field : {"plate", "n.plate", "n.n.plate", "n.n.n.plate", "n.n.n.n.plate", "n.n.n.n.n.plate"}) {
        edits.push_back(edit(field, Removal::drop));
    }
    std::size_t changed = 0;
    for (std::uint64_t seed = 0; seed < 3000; ++seed) {
        const std::string json = RandomJson(seed).value(0, false);
        std::string after = edited(json, edits);
        if (after == "unchanged") after = json;
        changed += after == json ? 0 : 1;
        EXPECT_EQ(after.find("SECRET"), std::string::npos) << json << "\n" << after;
        EXPECT_EQ(after.find("ECRET"), std::string::npos) << json << "\n" << after;
        EXPECT_EQ(after.find("RET"), std::string::npos) << json << "\n" << after;
    }
    EXPECT_GT(changed, 300U);
}

// ---- Edit: whole events

struct EditBench {
    EdgeConfig config;
    std::unique_ptr<Judgement> judgement;
    wire::EventBuilder builder;
    std::vector<std::byte> frame;
    EventRef event;

    EditBench() {
        config.edge_id = "north";
        config.lanes = {LaneConfig{.name = "default"}};
    }
    void declare(const std::string& field, Removal how, std::uint32_t characters = 0) {
        config.pii.remove.push_back({{"violation.*"}, {{field, how, characters}}});
    }
    static std::vector<LaneState> lanes() {
        std::vector<LaneState> lanes(1);
        lanes[0].name = "default";
        lanes[0].is_configured = true;
        return lanes;
    }
    void begin(TableShare tables = {}) {
        config.pii.key = {1, 2};
        judgement = std::make_unique<Judgement>(config, lanes(), std::move(tables));
    }
    // The event as it would be stored; empty: not at all.
    wire::EventView judge(const wire::EventView& view, wire::Reason decode = wire::Reason::none) {
        const ConstBytes body = builder.build(view);
        frame.assign(sizeof(wire::FrameHeader), std::byte{0});
        frame.insert(frame.end(), body.begin(), body.end());
        event = {};
        event.frame = frame.data();
        event.body_bytes = static_cast<std::uint32_t>(body.size());
        EXPECT_EQ(wire::verify_event(event.body(), event.view), wire::Reason::none);
        if (decode != wire::Reason::none) event.fail(Verdict::dead_letter, decode, wire::StageId::decode);
        judgement->begin_vector();
        judgement->judge({&event, 1}, WallNs{1});
        wire::EventView stored;
        if (event.stored_body().empty()) return stored;
        EXPECT_EQ(wire::verify_event(event.stored_body(), stored), wire::Reason::none);
        return stored;
    }
};
wire::EventView violation(std::string_view payload) {
    wire::EventView event;
    event.id = "1";
    event.type = "violation.parking";
    event.source = "s";
    event.key = "PHL-1234";
    event.content_type = "application/json";
    event.payload = payload;
    return event;
}

TEST(Edit, AnEventThatNothingChangesIsStoredAsItCame) {
    EditBench bench;
    bench.declare("data.plate", Removal::drop);
    bench.begin();
    EXPECT_EQ(bench.judge(violation(R"({ "fine" : 5 })")).payload, R"({ "fine" : 5 })");
    EXPECT_FALSE(bench.event.is_edited);
    wire::EventView other = violation(R"({"plate":"ABC"})");
    other.type = "permit.issued";
    EXPECT_EQ(bench.judge(other).payload, R"({"plate":"ABC"})");
    EXPECT_FALSE(bench.event.is_edited);
    EXPECT_EQ(bench.judgement->edit().take_counts().edited, 0U);
}

TEST(Edit, WhatIsStoredHasNothingPersonalAndElseEveryField) {
    EditBench bench;
    bench.declare("data.plate", Removal::hash);
    bench.declare("key", Removal::truncate, 3);
    bench.begin();
    wire::EventView came = violation(R"({"plate":"PHL-1234","fine":51.0})");
    came.trace_id = "0123456789abcdef";
    came.time = {1'500'000'000'000'000'000};
    came.priority = 3;
    came.content_type = "application/json; charset=utf-8";
    const wire::EventView stored = bench.judge(came);
    EXPECT_EQ(bench.event.verdict, Verdict::admitted);
    EXPECT_EQ(std::string(stored.payload).find("PHL"), std::string::npos);
    EXPECT_NE(stored.payload.find("\"fine\":51.0"), std::string::npos);
    EXPECT_EQ(stored.key, "PHL");
    EXPECT_EQ(stored.id, "1");
    EXPECT_EQ(stored.source, "s");
    EXPECT_EQ(stored.type, "violation.parking");
    EXPECT_EQ(stored.trace_id, came.trace_id);
    EXPECT_EQ(stored.time, came.time);
    EXPECT_EQ(stored.priority, 3);
    EXPECT_EQ(stored.content_type, came.content_type);
    // Rules and the duplicate filter go on seeing what came.
    EXPECT_EQ(bench.event.view.key, "PHL-1234");
}

TEST(Edit, ADeadLetterOfAVerifiedEventIsStoredWithoutWhatIsPersonal) {
    EditBench bench;
    bench.declare("data.plate", Removal::drop);
    RuleConfig rule;
    rule.must = "data.plate == \"OTHER\"";
    bench.config.rules = {rule};
    bench.begin();
    EXPECT_EQ(bench.judge(violation(R"({"plate":"PHL-1234","fine":1})")).payload, R"({"fine":1})");
    EXPECT_EQ(bench.event.reason, wire::Reason::rule_failed);
    EXPECT_EQ(bench.judge(violation(R"({"plate":"OTHER"})")).payload, "{}");
    EXPECT_EQ(bench.event.verdict, Verdict::admitted);  // the rule saw the original
}

TEST(Edit, BytesThatCannotBeReadAreNotKeptUnlessThatIsAskedFor) {
    EditBench bench;
    bench.declare("data.plate", Removal::drop);
    bench.begin();
    (void)bench.judge(violation(R"({"plate":"ABC"})"), wire::Reason::not_flatbuffer);
    EXPECT_TRUE(bench.event.stored_body().empty());
    (void)bench.judge(violation(R"({"plate":"ABC")"));
    EXPECT_EQ(bench.event.reason, wire::Reason::payload_not_json);
    EXPECT_EQ(bench.event.verdict, Verdict::dead_letter);
    EXPECT_TRUE(bench.event.stored_body().empty());
    wire::EventView binary = violation("ABC");
    binary.content_type = "application/octet-stream";
    (void)bench.judge(binary);
    EXPECT_EQ(bench.event.verdict, Verdict::dead_letter);
    EXPECT_TRUE(bench.event.stored_body().empty());
    EXPECT_EQ(bench.judgement->edit().take_counts().withheld, 3U);

    EditBench keeping;
    keeping.declare("data.plate", Removal::drop);
    keeping.config.pii.keep_unverified = true;
    keeping.begin();
    (void)keeping.judge(violation(R"({"plate":"ABC"})"), wire::Reason::not_flatbuffer);
    EXPECT_FALSE(keeping.event.stored_body().empty());
    (void)keeping.judge(violation(R"({"plate":"ABC")"));
    EXPECT_EQ(keeping.event.verdict, Verdict::dead_letter);
    EXPECT_FALSE(keeping.event.stored_body().empty());
}

TEST(Edit, WithNothingDeclaredUnverifiedBytesAreKeptAsBefore) {
    EditBench bench;
    bench.begin();
    (void)bench.judge(violation("x"), wire::Reason::not_flatbuffer);
    EXPECT_FALSE(bench.event.is_edited);
    EXPECT_FALSE(bench.event.stored_body().empty());
}

TableShare offences(std::vector<std::string> declared = {}) {
    wire::TableWriter writer({"class", "fine"});
    for (int n = 0; n < 50; ++n) {
        std::vector<std::byte> cells;
        const std::string text = n % 2 == 0 ? "minor" : "major";
        wire::append_cell({.type = wire::CellType::text, .text = text}, cells);
        wire::append_cell({.type = wire::CellType::integer, .integer = 10 * n}, cells);
        writer.add_row(std::to_string(100 + n), cells);
    }
    std::vector<std::byte> image = writer.finish();
    wire::TableInfo info;
    EXPECT_EQ(wire::check_table(image, info), nullptr);
    auto table = std::make_shared<const ReferenceTable>("offence", std::move(image), std::move(info));
    return std::make_shared<const TableSet>(std::vector<ReferenceTableShare>{table},
                                            std::vector<TableUseConfig>{{"offence", std::move(declared)}});
}

TEST(Edit, SetsWhatALookupFindsAndRulesReadItToo) {
    EditBench bench;
    bench.config.tables.use = {{"offence", {}}};
    bench.config.enrichments = {{{"violation.*"},
                                 "has(data.code)",
                                 {{"data.fine_class", R"(lookup("offence", data.code).class)"},
                                  {"data.fine", R"(lookup("offence", data.code).fine)"}}}};
    RuleConfig rule;
    rule.must = R"(!has(data.code) || lookup("offence", data.code).fine <= 300)";
    bench.config.rules = {rule};
    bench.begin(offences());
    EXPECT_EQ(bench.judge(violation(R"({"code":103,"fine":0})")).payload,
              R"({"code":103,"fine_class":"major","fine":30})");
    EXPECT_EQ(bench.judge(violation(R"({"code":"104"})")).payload, R"({"code":"104","fine_class":"minor","fine":40})");
    // No such row: nothing is set, nothing is lost.
    EXPECT_EQ(bench.judge(violation(R"({"code":"9","fine":1})")).payload, R"({"code":"9","fine":1})");
    EXPECT_FALSE(bench.event.is_edited);
    // A rule that fails: it is stored as it came.
    EXPECT_EQ(bench.judge(violation(R"({"code":149})")).payload, R"({"code":149})");
    EXPECT_EQ(bench.event.reason, wire::Reason::rule_failed);
    bench.judgement->edit().enable_enrichment(false);
    EXPECT_EQ(bench.judge(violation(R"({"code":103})")).payload, R"({"code":103})");
}

TEST(Edit, AValueOfAnotherTypeThanDeclaredIsNull) {
    const TableShare set = offences({"class:text", "fine:text"});
    const auto fine = set->find_column("offence", "fine"), name = set->find_column("offence", "class"),
               row = set->find_column("offence", "");
    ASSERT_TRUE(fine && name && row);
    EXPECT_TRUE(set->read(*fine, rules::Value::of_integer(103)).is_null());
    EXPECT_EQ(set->read(*name, rules::Value::of_integer(103)).as_text(), "major");
    EXPECT_TRUE(set->read(*row, rules::Value::of_text("103")).is_true());
    EXPECT_TRUE(set->read(*row, rules::Value::of_text("99")).is_null());
    EXPECT_FALSE(set->find_column("offence", "colour"));
}

TEST(Edit, AnEventThatWouldGetTooLargeIsADeadLetterWithoutWhatIsPersonal) {
    EditBench bench;
    bench.declare("data.plate", Removal::drop);
    bench.config.enrichments = {{{"violation.*"}, "", {{"data.copy", "data.text"}}}};
    bench.begin();
    const std::string text(3000, 'x');
    const wire::EventView stored = bench.judge(violation(R"({"plate":"ABC","text":")" + text + "\"}"));
    EXPECT_EQ(bench.event.verdict, Verdict::dead_letter);
    EXPECT_EQ(bench.event.reason, wire::Reason::too_large);
    EXPECT_EQ(stored.payload, R"({"text":")" + text + "\"}");
    // Where even the removal makes it too large (hashes of many short texts), nothing of it is kept.
    EditBench hashing;
    hashing.declare("data.plate", Removal::hash);
    hashing.begin();
    std::string many = R"({"plate":["a")";
    for (int n = 0; n < 200; ++n) many += R"(,"a")";
    (void)hashing.judge(violation(many + "]}"));
    EXPECT_EQ(hashing.event.reason, wire::Reason::too_large);
    EXPECT_TRUE(hashing.event.stored_body().empty());
}

TEST(Edit, AConfigurationsOwnTestsSayWhatIsStored) {
    EdgeConfig config;
    config.lanes = {LaneConfig{.name = "default"}};
    config.pii.remove = {{{"violation.*"}, {{"data.plate", Removal::truncate, 3}}}};
    RuleTestConfig test;
    test.name = "plates are cut";
    test.type = "violation.parking";
    test.data = R"({"plate": "PHL-1234", "fine": 5})";
    test.data_after = R"({ "plate": "PHL", "fine": 5 })";
    config.tests = {test};
    std::ostringstream out;
    EXPECT_EQ(run_rule_tests(config, out).failed, 0U) << out.str();
    config.tests[0].data_after = R"({"plate":"PHL-1234","fine":5})";
    EXPECT_EQ(run_rule_tests(config, out).failed, 1U);
}

}  // namespace
}  // namespace weir::edge
