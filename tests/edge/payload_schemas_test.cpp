// What rules and routes make of payloads whose schema is registered.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "core/base/base64.hpp"
#include "edge/intake/judgement.hpp"
#include "edge/rule_tests.hpp"

namespace weir::edge::test {
namespace {

constexpr const char* civic = "application/vnd.weir.civic+flatbuffers";

std::string file_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}
std::string golden(const std::string& name) {
    return file_of("tests/wire/golden/civic-" + name + ".bin");
}
EdgeConfig config_with(const std::string& bfbs = WEIR_CIVIC_BFBS) {
    EdgeConfig config;
    config.lanes = {LaneConfig{.name = "default"}, LaneConfig{.name = "urgent"}};
    config.payloads = {{.type = "*", .content_type = civic, .schema = "civic.bfbs", .schema_bytes = file_of(bfbs)}};
    return config;
}
EventRef judged(const EdgeConfig& config, const std::string& payload, std::string_view type = "x",
                std::string_view content_type = civic) {
    std::vector<LaneState> lanes(2);
    for (std::size_t index = 0; index < lanes.size(); ++index) {
        lanes[index].name = config.lanes[index].name;
        lanes[index].is_configured = true;
    }
    Judgement judgement(config, lanes);
    EventRef event;
    event.view.id = "i";
    event.view.type = type;
    event.view.source = "s";
    event.view.content_type = content_type;
    event.view.payload = payload;
    judgement.begin_vector();
    judgement.judge({&event, 1}, {});
    return event;
}
wire::Reason reason_of(const EdgeConfig& config, const std::string& payload) {
    return judged(config, payload).reason;
}

TEST(PayloadSchemas, RulesReachTheFieldsOfAVerifiedPayload) {
    EdgeConfig config = config_with();
    config.rules = {{.types = {}, .require = {"data.fact.report_id"}, .ranges = {}}};
    EXPECT_EQ(reason_of(config, golden("violation-submitted")), wire::Reason::none);
    EXPECT_EQ(reason_of(config, golden("ride")), wire::Reason::field_missing);
    config.rules = {{.types = {}, .require = {}, .ranges = {{"data.fact.distance_m", std::nullopt, 1.0}}}};
    EXPECT_EQ(reason_of(config, golden("ride")), wire::Reason::out_of_range);
    config.rules[0].ranges[0].max = 1e9;
    EXPECT_EQ(reason_of(config, golden("ride")), wire::Reason::none);
    EXPECT_EQ(reason_of(config, golden("citation")), wire::Reason::none);  // judged where the field is there
    config.rules[0].ranges[0].path = "data.fact.ride_id";
    EXPECT_EQ(reason_of(config, golden("ride")), wire::Reason::out_of_range);  // a text is no number
    config.rules = {
        {.types = {}, .require = {}, .ranges = {}, .when = "data.fact_type == 11", .must = "data.fact.distance_m < 1"}};
    EXPECT_EQ(reason_of(config, golden("ride")), wire::Reason::rule_failed);
    EXPECT_EQ(reason_of(config, golden("citation")), wire::Reason::none);
}

TEST(PayloadSchemas, RoutesReachThemToo) {
    const auto lane_of = [](const char* path, const char* value, const std::string& when, const char* name) {
        EdgeConfig config = config_with();
        RouteConfig route;
        route.lane = "urgent";
        if (*path != '\0') route.equals = {{path, value}};
        route.when = when;
        config.routes = {route};
        return judged(config, golden(name)).lane;
    };
    EXPECT_EQ(lane_of("data.fact.report_id", "r-1", "", "violation-submitted"), 1);
    EXPECT_EQ(lane_of("data.fact.report_id", "r-2", "", "violation-submitted"), 0);
    EXPECT_EQ(lane_of("data.fact.report_id", "r-1", "", "ride"), 0);
    EXPECT_EQ(lane_of("data.fact_type", "11", "", "ride"), 1);
    EXPECT_EQ(lane_of("data.fact_type", "12", "", "ride"), 0);
    EXPECT_EQ(lane_of("data.fact.plate_is_readable", "true", "", "violation-validated"), 1);
    EXPECT_EQ(lane_of("data.fact.plate_is_readable", "false", "", "violation-validated"), 0);
    EXPECT_EQ(lane_of("data.fact.nothing", "null", "", "ride"), 0);
    EXPECT_EQ(lane_of("", "", "data.fact.speed_kmh > data.fact.limit_kmh", "camera-reading"), 1);
}

TEST(PayloadSchemas, WhatIsNotOfItsSchemaIsADeadLetterWithoutAnyRule) {
    const EdgeConfig config = config_with();
    const EventRef torn = judged(config, golden("ride").substr(0, 60));
    EXPECT_EQ(torn.verdict, Verdict::dead_letter);
    EXPECT_EQ(torn.reason, wire::Reason::schema_mismatch);
    EXPECT_EQ(torn.stage, wire::StageId::validate);
    EXPECT_EQ(torn.rule, 0U);
    // Another content type, or another type, is none of the schema's business.
    EXPECT_EQ(judged(config, "rubbish", "x", "application/octet-stream").verdict, Verdict::admitted);
    EdgeConfig of_sensors = config;
    of_sensors.payloads[0].type = "sensor.*";
    EXPECT_EQ(judged(of_sensors, "rubbish", "ride").verdict, Verdict::admitted);
    EXPECT_EQ(judged(of_sensors, "rubbish", "sensor.x").reason, wire::Reason::schema_mismatch);
}

// The types of events choose among schemas of one content type, for expressions as for the rest.
TEST(PayloadSchemas, TheFirstThatIsForAnEventCounts) {
    EdgeConfig config = config_with();
    config.payloads[0].type = "old.*";
    config.payloads[0].schema_bytes = file_of(WEIR_TEST_SCHEMAS "/tree.bfbs");
    config.payloads.push_back(config_with().payloads[0]);
    config.rules = {{.types = {}, .require = {"data.fact"}, .ranges = {}, .must = "has(data.fact.ride_id)"}};
    EXPECT_EQ(judged(config, golden("ride"), "new.ride").reason, wire::Reason::none);
    EXPECT_NE(judged(config, golden("ride"), "old.ride").reason, wire::Reason::none);
}

TEST(PayloadSchemas, AMemberOfANewerSchemaIsADeadLetterThatTheNewerSchemaLetsIn) {
    const std::string reading = golden("sensor-reading");
    const EventRef before = judged(config_with(WEIR_TEST_SCHEMAS "/civic_older.bfbs"), reading);
    EXPECT_EQ(before.verdict, Verdict::dead_letter);
    EXPECT_EQ(before.reason, wire::Reason::schema_newer);
    EXPECT_EQ(judged(config_with(), reading).verdict, Verdict::admitted);
}

TEST(PayloadSchemas, AConfigurationsTestsGiveThemInBase64) {
    EdgeConfig config = config_with();
    RuleTestConfig test;
    test.name = "torn";
    test.type = "ride";
    test.content_type = civic;
    test.data = golden("ride").substr(0, 60);
    test.reason = "schema_mismatch";
    RuleTestConfig whole = test;
    whole.name = "whole";
    whole.data = golden("ride");
    config.tests = {test, whole};
    std::ostringstream out;
    const auto counts = run_rule_tests(config, out);
    EXPECT_EQ(counts.passed, 1U);
    EXPECT_EQ(out.str(), "ok    torn\nFAIL  whole\n      reason: expected \"schema_mismatch\", got \"\"\n");
}

}  // namespace
}  // namespace weir::edge::test
