// FlatBuffers payloads by path: the civic schema's golden payloads, and damaged ones.
#include <fstream>
#include <iterator>

#include "tests/rules/rules_bench.hpp"

namespace weir::rules::test {
namespace {

constexpr const char* civic = "application/vnd.weir.civic+flatbuffers";

std::string file_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
std::string golden(const std::string& name) {
    return file_of("tests/wire/golden/civic-" + name + ".bin");
}
std::vector<FlatSchema> civic_schemas() {
    const std::string bfbs = file_of(WEIR_CIVIC_BFBS);
    auto schema = FlatSchema::load({.content_type = civic}, std::as_bytes(std::span(bfbs.data(), bfbs.size())));
    if (!schema) ADD_FAILURE() << schema.error().what;
    std::vector<FlatSchema> schemas;
    schemas.push_back(std::move(schema.value()));
    return schemas;
}
RuleSet civic_set(const std::vector<std::string>& texts) {
    std::vector<Program> programs;
    for (const std::string& text : texts) programs.push_back(compiled(text, any_value));
    const auto schemas = civic_schemas();
    auto set = RuleSet::build(programs, {.tables = nullptr, .schemas = schemas, .limits = {}});
    if (!set) ADD_FAILURE() << set.error().what;
    return std::move(set.value());
}
std::string said_of(const std::string& text, const std::string& payload, PayloadState state = PayloadState::flat) {
    const RuleSet set = civic_set({text});
    Judge judge(set);
    Event event(payload);
    event.view.content_type = civic;
    judge.begin({event.view});
    std::string out = shown(judge.value(0));
    EXPECT_EQ(judge.payload_state(), state) << text;
    return out;
}

TEST(FlatSchema, PathsReadGoldenPayloads) {
    const std::string submitted = golden("violation-submitted");
    EXPECT_EQ(said_of("data.fact.report_id", submitted), "\"r-1\"");
    EXPECT_EQ(said_of("data.fact.plate == \"ABC123\" && data.fact_type == 1", submitted), "true");
    EXPECT_EQ(said_of("data.fact.place.latitude", submitted), "39.952199999999998r");
    EXPECT_EQ(said_of("data.fact.place.longitude < -75.19", submitted), "true");
    EXPECT_EQ(said_of("data.fact.photos", submitted), "list of 2");
    EXPECT_EQ(said_of("data.fact.photos[1]", submitted), "\"store/2\"");
    EXPECT_EQ(said_of("data.fact.photos[2]", submitted), "null");
    EXPECT_EQ(said_of("data.fact.seen_ns", submitted), "1512086407000000000");
    EXPECT_EQ(said_of("has(data.fact) && has(data) && has(data.fact.place)", submitted), "true");
    // Of another type of the union; of no type; through what is no object.
    EXPECT_EQ(said_of("data.fact.fine_cents", submitted), "null");
    EXPECT_EQ(said_of("data.fact.nothing", submitted), "null");
    EXPECT_EQ(said_of("data.fact.plate.x", submitted), "null");
    EXPECT_EQ(said_of("data.fact[0]", submitted), "null");
    EXPECT_EQ(said_of("data.fact.photos.x", submitted), "null");
    EXPECT_EQ(said_of("data[\"fact\\u0000x\"]", submitted), "null");
    // The same path, another type of the union.
    EXPECT_EQ(said_of("data.fact.report_id", golden("violation-approved")),
              said_of("data.fact.report_id", golden("violation-rejected")));
    EXPECT_EQ(said_of("data.fact.plate_is_readable", golden("violation-validated")), "true");
    EXPECT_EQ(said_of("data.fact.digest[0] >= 0", golden("violation-stored")), "true");
    EXPECT_EQ(said_of("data.fact.speed_kmh > data.fact.limit_kmh", golden("camera-reading")), "true");
    EXPECT_EQ(said_of("data.fact.before != data.fact.after", golden("status-changed")), "true");
}

TEST(FlatSchema, WhatIsNotSaidIsTheSchemasDefault) {
    // A Civic with an empty Citation: root, vtable of the root, the root, vtable of the fact, the fact.
    const std::string citation(
        "\x14\0\0\0WCIV\0\0\0\0\x08\0\x0c\0\x07\0\x08\0\x08\0\0\0\0\0\0\x0a\x08\0\0\0\x04\0\x04\0\x04\0\0\0", 40);
    EXPECT_EQ(said_of("data.fact_type", citation), "10");
    EXPECT_EQ(said_of("data.fact.fine_cents", citation), "0");
    EXPECT_EQ(said_of("data.fact.plate", citation), "null");
    EXPECT_EQ(said_of("data.fact.place.latitude", citation), "null");
}

TEST(FlatSchema, APayloadWithoutItsIdentifierHasNoMembers) {
    std::string payload = golden("ride");
    EXPECT_NE(said_of("data.fact.distance_m", payload), "null");
    payload[4] = 'X';
    EXPECT_EQ(said_of("data.fact.distance_m", payload, PayloadState::broken), "null");
    EXPECT_EQ(said_of("data == null", "short", PayloadState::broken), "true");
}

TEST(FlatSchema, WhatReachesBeyondItsEndIsNull) {
    std::string payload = golden("violation-submitted");
    const std::size_t text = payload.find("ABC123");
    ASSERT_NE(text, std::string::npos);
    payload[text - 2] = 1;  // of its length: 65,542 bytes
    EXPECT_EQ(said_of("data.fact.plate", payload), "null");
    EXPECT_EQ(said_of("data.fact.report_id", payload), "\"r-1\"");
    const std::string stored = golden("violation-stored");
    const std::string bytes = said_of("len(data.fact.digest)", stored);
    EXPECT_EQ(said_of("data.fact.digest[" + bytes + "]", stored), "null");
    EXPECT_EQ(said_of("has(data.fact.digest[" + bytes + " ])", stored), "false");
    EXPECT_EQ(said_of("has(data.fact.digest[0])", stored), "true");
}

TEST(FlatSchema, KnowsWhichPathsThereAre) {
    const auto schemas = civic_schemas();
    EXPECT_TRUE(schemas[0].has({{"fact"}, {"plate"}}));
    EXPECT_TRUE(schemas[0].has({{"fact"}, {"photos"}, {"", 7}}));
    EXPECT_FALSE(schemas[0].has({{"fact"}, {"licence"}}));
    EXPECT_FALSE(schemas[0].has({{"plate"}}));
}

TEST(FlatSchema, RefusesWhatIsNoSchema) {
    const std::string bfbs = file_of(WEIR_CIVIC_BFBS);
    ASSERT_FALSE(bfbs.empty());
    for (const std::string& wrong :
         {std::string(), std::string("1234"), golden("ride"), bfbs.substr(0, bfbs.size() / 2)}) {
        EXPECT_FALSE(
            FlatSchema::load({.content_type = civic}, std::as_bytes(std::span(wrong.data(), wrong.size()))).ok());
    }
}

// Whatever the bytes: an answer, and no read outside (run with a sanitizer, on memory of exactly the payload's length).
TEST(FlatSchema, EveryDamagedByteStillGivesAnAnswer) {
    const RuleSet set = civic_set({"data.fact.report_id == \"r-1\"", "data.fact.photos[1] == \"store/2\"",
                                   "data.fact.place.latitude > 0", "data.fact.digest[31] == 5", "data.fact.seen_ns > 5",
                                   "data.fact.amount_cents > 1", "len(data.fact.note) > 1"});
    Judge judge(set);
    std::uint64_t answers = 0;
    std::uint64_t different = 0;
    for (const char* const name : {"violation-submitted", "violation-stored", "payment-processed", "status-changed"}) {
        const std::string whole = golden(name);
        ASSERT_FALSE(whole.empty());
        Event event(whole);
        event.view.content_type = civic;
        const auto ask = [&](std::string_view payload) {
            const std::vector<char> exact(payload.begin(), payload.end());
            event.view.payload = {exact.data(), exact.size()};
            judge.begin({event.view});
            ++answers;
            return judge.matches()[0];
        };
        const std::uint64_t expected = ask(whole);
        EXPECT_NE(expected, 0U);
        for (std::size_t at = 0; at < whole.size(); ++at) {
            static_cast<void>(ask(std::string_view(whole).substr(0, at)));
            for (const char wrong : {'\x00', '\x01', '\x7f', '\x80', '\xff', static_cast<char>(whole[at] + 4),
                                     static_cast<char>(whole[at] - 4)}) {
                std::string damaged = whole;
                damaged[at] = wrong;
                different += ask(damaged) != expected ? 1 : 0;
            }
        }
    }
    EXPECT_GT(answers, 2'000U);
    EXPECT_GT(different, 100U);
}

}  // namespace
}  // namespace weir::rules::test
