// PathTree against json_parse and a walk of one value after the other, on random JSON and on damaged JSON.
#include <random>

#include "tests/rules/rules_bench.hpp"

namespace weir::rules::test {
namespace {

using Random = std::mt19937_64;
std::size_t below(Random& random, std::size_t limit) {
    return random() % limit;
}

std::string blanks(Random& random) {
    return std::vector<std::string>{"", "", "", " ", "\n\t"}[below(random, 5)];
}
std::string name(Random& random) {
    // "\u0061" is "a".
    return std::vector<std::string>{
        "a", "b", "c", "ab", "\\u0061", "a\\u0062", "", "long-name-of-a-member", "\xc3\xa4"}[below(random, 9)];
}
std::string json(Random& random, int depth) {
    const std::size_t kind = below(random, depth > 0 ? 11 : 8);
    if (kind >= 8 && depth > 0) {
        const bool is_object = kind < 10;
        std::string out = is_object ? "{" : "[";
        out += blanks(random);
        for (std::size_t count = below(random, 5), i = 0; i < count; ++i) {
            if (i > 0) out += "," + blanks(random);
            if (is_object) out += "\"" + name(random) + "\"" + blanks(random) + ":" + blanks(random);
            out += json(random, depth - 1) + blanks(random);
        }
        return out + (is_object ? "}" : "]");
    }
    static const std::vector<std::string> values{"1",
                                                 "-20",
                                                 "3.5",
                                                 "1e2",
                                                 "true",
                                                 "false",
                                                 "null",
                                                 "\"\"",
                                                 "\"x\"",
                                                 "\"a\\nb\"",
                                                 "\"\\ud83d\\ude00\"",
                                                 "123456789012345678901"};
    return values[below(random, values.size())];
}

std::optional<JsonValue> element(const JsonValue& list, std::uint32_t index) {
    // The elements of an accepted list, found by parsing longer and longer fronts: slow, and nothing like the code under test.
    std::size_t at = 1;
    for (std::uint32_t n = 0; at < list.raw.size(); ++n) {
        std::optional<JsonValue> found;
        std::size_t end = at + 1;
        for (; end < list.raw.size(); ++end) {
            JsonFault fault;
            const bool is_end = list.raw[end] == ',' || end + 1 == list.raw.size();
            if (is_end && (found = json_parse(list.raw.substr(at, end - at), fault))) break;
        }
        if (!found || n == index) return found;
        at = end + 1;
    }
    return std::nullopt;
}

std::optional<JsonValue> walked(std::optional<JsonValue> value, const Path& path) {
    for (const PathStep& step : path) {
        if (!value) return value;
        if (step.index == none) {
            value = value->kind == JsonKind::object ? json_member(value->raw, step.name) : std::nullopt;
        } else {
            value = value->kind == JsonKind::array ? element(*value, step.index) : std::nullopt;
        }
    }
    return value;
}

void must_agree(const Slot& slot, const std::optional<JsonValue>& expected, const std::string& where) {
    if (!expected || expected->kind == JsonKind::null) {
        EXPECT_TRUE(slot.value.is_null()) << where;
        return;
    }
    const std::string_view raw = expected->raw;
    switch (expected->kind) {
        case JsonKind::boolean:
            EXPECT_EQ(shown(slot.value), raw) << where;
            return;
        case JsonKind::string:
            ASSERT_EQ(slot.value.type, Type::text) << where;
            EXPECT_EQ(slot.value.as_text(), raw.substr(1, raw.size() - 2)) << where;
            EXPECT_EQ(slot.form == Slot::Form::written_text, raw.find('\\') != std::string_view::npos) << where;
            return;
        case JsonKind::number:
            EXPECT_EQ(shown(slot.form == Slot::Form::read ? slot.value : read_number(slot.value.as_text())),
                      shown(read_number(raw)))
                << where;
            return;
        case JsonKind::object:
            EXPECT_EQ(slot.value.type, Type::object) << where;
            return;
        case JsonKind::array:
            EXPECT_EQ(slot.value.type, Type::list) << where;
            return;
        case JsonKind::null:
            return;
    }
}

const std::vector<Path> paths{{},
                              {{"a"}},
                              {{"b"}},
                              {{"a"}, {"b"}},
                              {{"a"}, {"b"}, {"c"}},
                              {{"c"}, {"", 0}},
                              {{"c"}, {"", 2}, {"a"}},
                              {{"", 1}},
                              {{"", 1}, {"", 1}},
                              {{"ab"}},
                              {{""}},
                              {{"long-name-of-a-member"}, {"a"}},
                              {{"\xc3\xa4"}}};

void must_read_alike(const PathTree& tree, const std::string& text, std::uint64_t& accepted) {
    std::vector<Slot> slots(tree.slot_count(),
                            Slot{Value::of_integer(99), Slot::Form::read});  // left from the event before
    JsonFault fault;
    const auto whole = json_parse(text, fault);
    const bool is_json = tree.read(text, slots);
    ASSERT_EQ(is_json, whole.has_value()) << text;
    accepted += is_json ? 1 : 0;
    for (std::uint32_t path = 0; path < paths.size(); ++path) {
        must_agree(slots[tree.slot_of(path)], walked(whole, paths[path]),
                   "path " + std::to_string(path) + " of " + text);
    }
}

TEST(PathTree, FindsWhatAWalkFinds) {
    const PathTree tree(paths);
    Random random(20);
    std::uint64_t accepted = 0;
    for (int i = 0; i < 20'000 && !::testing::Test::HasFailure(); ++i) {
        must_read_alike(tree, blanks(random) + json(random, 4) + blanks(random), accepted);
    }
    EXPECT_EQ(accepted, 20'000U);
}

TEST(PathTree, RefusesWhatJsonParseRefuses) {
    const PathTree tree(paths);
    Random random(21);
    std::uint64_t accepted = 0;
    for (int i = 0; i < 40'000 && !::testing::Test::HasFailure(); ++i) {
        std::string text = json(random, 4);
        for (std::size_t changes = 1 + below(random, 2); changes > 0 && !text.empty(); --changes) {
            const std::size_t at = below(random, text.size());
            static constexpr std::string_view odd("{}[]:,\"\\u0e.-+ \n\x01\x7f\x80\xc3\xff", 22);
            if (below(random, 3) == 0) {
                text.erase(at, 1);
            } else {
                text[at] = odd[below(random, odd.size())];
            }
        }
        must_read_alike(tree, text, accepted);
    }
    EXPECT_GT(accepted, 2'000U);
    EXPECT_LT(accepted, 38'000U);
}

TEST(PathTree, NestsAsDeepAsJsonParse) {
    const PathTree tree(paths);
    std::uint64_t accepted = 0;
    for (const std::size_t depth : {json_depth_max - 1, json_depth_max, json_depth_max + 1}) {
        must_read_alike(tree, std::string(depth, '[') + std::string(depth, ']'), accepted);
    }
    EXPECT_EQ(accepted, 2U);
}

TEST(PathTree, KeepsManyNamesApart) {
    std::vector<Path> many;
    std::string text = "{";
    for (int i = 0; i < 500; ++i) {
        const std::string member = "m" + std::to_string(i);
        many.push_back({{member}});
        text += (i > 0 ? ",\"" : "\"") + member + "\":" + std::to_string(i);
    }
    const PathTree tree(many);
    std::vector<Slot> slots(tree.slot_count());
    ASSERT_TRUE(tree.read(text + "}", slots));
    for (std::uint32_t i = 0; i < 500; ++i) EXPECT_EQ(slots[tree.slot_of(i)].value.integer, i);
}

}  // namespace
}  // namespace weir::rules::test
