#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "edge/rule_tests.hpp"
#include "tests/edge/intake_bench.hpp"

namespace weir::edge::test {
namespace {

using wire::AckLevel;
using wire::AckStatus;
using wire::RefusalReason;

TEST(Intake, AcksASpooledEventOnlyWhenItsBatchIsDurable) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.is_durable_at_once = false;
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    producer.send_event("a");
    ASSERT_TRUE(bench.step_until([&] { return bench.stored.size() == 1; }));
    for (int i = 0; i < 10; ++i) bench.step();
    producer.look();
    EXPECT_EQ(producer.acked, 0U);
    bench.settle();
    ASSERT_TRUE(producer.wait_acked(1));
    EXPECT_EQ(producer.ranges[0].first_ordinal, 1U);
    EXPECT_EQ(producer.ranges[0].status, AckStatus::accepted);
}

// Two of four slots are for whoever shares its Io: what a connection may not have read yet moves out of the others' way.
TEST(Intake, KeepsNoMoreReceiveSlotsThanItMayWhileAnswersAreMissing) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.runtime.receive_slots = 4;
    config.listen.ack_runs_max = 64;  // of which one connection may have eight
    IntakeBench bench(config);
    bench.intake->leave_slots(2);
    TestProducer producer(bench);
    producer.hello(AckLevel::delivered);
    static constexpr std::uint64_t events = 60;
    std::uint64_t held_most = 0;
    for (std::uint64_t i = 0; i < events; ++i) {
        producer.send_event(std::to_string(i));
        bench.added_ns += ns_per_second;  // gauges are told from time to time
        bench.step();
        held_most = std::max(held_most, bench.counters.slots_held.get());
    }
    EXPECT_LT(bench.events_spooled, events);
    EXPECT_EQ(held_most, 2U) << "as many as it may, and no more";
    ASSERT_TRUE(bench.step_until([&] {
        bench.deliver(0, bench.events_spooled);
        return producer.look() && producer.acked == events;
    }));
    EXPECT_FALSE(producer.refusal.has_value());
}

TEST(Intake, AcksAReceivedEventAtOnceAndADeliveredOneWhenCentralHasIt) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.is_durable_at_once = false;
    TestProducer first(bench);
    first.hello(AckLevel::received);
    first.send_event("a");
    ASSERT_TRUE(first.wait_acked(1));
    bench.is_durable_at_once = true;
    TestProducer second(bench);
    second.hello(AckLevel::delivered);
    second.send_event("b");
    ASSERT_TRUE(bench.step_until([&] { return bench.stored.size() == 2; }));
    for (int i = 0; i < 10; ++i) bench.step();
    second.look();
    EXPECT_EQ(second.acked, 0U);
    bench.deliver(0, 2);
    ASSERT_TRUE(second.wait_acked(1));
}

TEST(Intake, AnswersADuplicateOnlyAfterItsOriginalIsDurable) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.is_durable_at_once = false;
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    producer.send_event("a");
    producer.send_event("a");
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.duplicates.get() == 1; }));
    for (int i = 0; i < 10; ++i) bench.step();
    producer.look();
    EXPECT_EQ(producer.acked, 0U);
    bench.settle();
    ASSERT_TRUE(producer.wait_acked(2));
    EXPECT_EQ(producer.ranges.back().status, AckStatus::duplicate);
    EXPECT_EQ(bench.counters.offered.get(), 2U);
    EXPECT_EQ(bench.counters.accepted.get(), 1U);
}

TEST(Intake, KeepsWhatFailsARuleAndWhatIsNoEventAsDeadLetters) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.rules = {RuleConfig{.types = {"read*"}, .require = {}, .ranges = {{"data.n", std::nullopt, 5.0}}}};
    IntakeBench bench(config);
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    producer.send_event("ok", 0, "{\"n\":5}");
    producer.send_event("over", 0, "{\"n\":6}");
    producer.send_event("torn", 0, "{\"n\":");
    const std::array<std::byte, 24> garbage{};
    producer.send_frame(wire::FrameKind::event, garbage);
    ASSERT_TRUE(producer.wait_acked(4));
    std::vector<wire::Reason> reasons;
    for (const StoredBatch& batch : bench.stored) {
        if (batch.header.lane != dead_letter_lane) continue;
        wire::for_each_frame(batch.body(), [&](const wire::FrameView& frame, std::uint32_t) {
            ASSERT_EQ(frame.header.kind, wire::FrameKind::dead_letter);
            const auto head = wire::load<wire::DeadLetterHead>(frame.body);
            EXPECT_EQ(head.original_bytes + sizeof head, frame.body.size());
            reasons.push_back(head.reason);
        });
    }
    ASSERT_EQ(reasons.size(), 3U);
    EXPECT_EQ(reasons[0], wire::Reason::out_of_range);
    EXPECT_EQ(reasons[1], wire::Reason::payload_not_json);
    EXPECT_EQ(producer.ranges.back().status, AckStatus::dead_lettered);
}

TEST(Intake, RejectsAnEventTooLargeForADeadLetterAndGoesOn) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    producer.send_frame(wire::FrameKind::event, std::vector<std::byte>(wire::event_bytes_max + 1));
    producer.send_event("after");
    ASSERT_TRUE(producer.wait_acked(2));
    EXPECT_EQ(producer.ranges[0].status, AckStatus::rejected);
    EXPECT_EQ(producer.ranges[0].reason, static_cast<std::uint8_t>(wire::Reason::too_large));
    EXPECT_EQ(bench.counters.offered.get(), 2U);
}

TEST(Intake, RefusesANumberGapAndRemembersNumbersForTheNextConnection) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    {
        TestProducer producer(bench);
        producer.hello(AckLevel::spooled, "cam-1");
        ASSERT_TRUE(producer.welcome.has_value());
        EXPECT_EQ(producer.welcome->last_number, 0U);
        for (std::uint64_t n = 1; n <= 3; ++n) producer.send_event("same", n);
        ASSERT_TRUE(producer.wait_acked(3));
        TestProducer other(bench);
        other.hello(AckLevel::spooled, "cam-1");
        ASSERT_TRUE(other.refusal.has_value());
        EXPECT_EQ(other.refusal->reason, RefusalReason::busy);
        producer.send_event("x", 5);
        ASSERT_TRUE(bench.step_until([&] { return producer.look() && producer.refusal.has_value(); }));
        EXPECT_EQ(producer.refusal->reason, RefusalReason::number_gap);
    }
    ASSERT_TRUE(bench.step_until([&] { return bench.counters.connections.get() == 0; }));
    TestProducer again(bench);
    again.hello(AckLevel::spooled, "cam-1");
    ASSERT_TRUE(again.welcome.has_value());
    EXPECT_EQ(again.welcome->last_number, 3U);
    again.send_event("same", 3);
    ASSERT_TRUE(again.wait_acked(1));
    EXPECT_EQ(again.ranges[0].status, AckStatus::duplicate);
    EXPECT_EQ(bench.counters.accepted.get(), 3U);
}

TEST(Intake, ABadFrameCostsItsSenderTheConnectionAndNobodyElseAnything) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    TestProducer good(bench);
    good.hello(AckLevel::spooled);
    TestProducer bad(bench);
    const std::array<std::byte, 64> garbage{std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{9}};
    bad.send_bytes(garbage);
    ASSERT_TRUE(bench.step_until([&] { return bad.look() && bad.refusal.has_value(); }));
    EXPECT_EQ(bad.refusal->reason, RefusalReason::protocol);
    good.send_event("a");
    good.send_frame(wire::FrameKind::ping, {}, 5);
    ASSERT_TRUE(good.wait_acked(1));
    ASSERT_TRUE(bench.step_until([&] { return good.look() && good.pongs == 1; }));
    good.send_frame(wire::FrameKind::goodbye, {});
    ASSERT_TRUE(bench.step_until([&] { return good.look() && good.goodbye; }));
}

TEST(Intake, HoldsEverythingBackWithoutLossWhileNoBufferReturns) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    bench.is_durable_at_once = false;
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    // Twice what eight buffers hold; the sockets and slots hold the rest.
    const std::string payload = "\"" + std::string(60'000, 'x') + "\"";
    std::vector<std::byte> stream;
    wire::EventBuilder builder;
    const std::uint64_t events = 70;
    for (std::uint64_t n = 0; n < events; ++n) {
        const std::string id = std::to_string(n);
        wire::EventView event;
        event.id = id;
        event.type = "t";
        event.source = "s";
        event.payload = payload;
        TestProducer::append_frame(stream, wire::FrameKind::event, builder.build(event), 0);
    }
    bool stalled = false;
    std::size_t at = 0;
    while (at < stream.size()) {
        const std::size_t part = std::min<std::size_t>(100'000, stream.size() - at);
        if (bench.counters.stalls.get() > 0 && !stalled) {
            stalled = true;
            bench.is_durable_at_once = true;
        }
        producer.send_bytes(ConstBytes(stream).subspan(at, part));
        at += part;
    }
    EXPECT_TRUE(stalled);
    bench.is_durable_at_once = true;
    ASSERT_TRUE(producer.wait_acked(events));
    EXPECT_EQ(bench.counters.accepted.get(), events);
    EXPECT_EQ(bench.events_spooled, events);
}

TEST(Intake, KnowsAfterARestartWhatItsCheckpointCoversAndWhatTheSpoolHolds) {
    IntakeDirectory directory;
    const EdgeConfig config = IntakeBench::config_at(directory.path);
    std::vector<StoredBatch> after_cut;
    std::vector<LaneState> lanes = IntakeBench::lanes_of(config);
    {
        IntakeBench bench(config);
        TestProducer producer(bench);
        producer.hello(AckLevel::spooled);
        for (int n = 0; n < 100; ++n) producer.send_event("old-" + std::to_string(n));
        ASSERT_TRUE(producer.wait_acked(100));
        bench.added_ns = 2 * checkpoint_patience * config.spool.checkpoint_ms * ns_per_ms;
        ASSERT_TRUE(bench.step_until([&] { return !bench.covered.empty(); }));
        const std::size_t before = bench.stored.size();
        TestProducer named(bench);
        named.hello(AckLevel::spooled, "cam-1");
        producer.send_event("new");
        named.send_event("n1", 1);
        ASSERT_TRUE(producer.wait_acked(101));
        ASSERT_TRUE(named.wait_acked(1));
        after_cut.assign(bench.stored.begin() + static_cast<std::ptrdiff_t>(before), bench.stored.end());
        lanes[0].last_sequence = bench.counters.accepted.get();
        lanes[0].previous_crc = bench.stored.back().header.header_crc;
    }
    IntakeBench bench(config, lanes, &after_cut);
    EXPECT_EQ(bench.counters.offered.get(), 102U);
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    for (int n = 0; n < 100; ++n) producer.send_event("old-" + std::to_string(n));
    producer.send_event("new");
    producer.send_event("newer");
    ASSERT_TRUE(producer.wait_acked(102));
    EXPECT_EQ(bench.counters.duplicates.get(), 101U);
    EXPECT_EQ(bench.counters.accepted.get(), 103U);
    TestProducer named(bench);
    named.hello(AckLevel::spooled, "cam-1");
    ASSERT_TRUE(named.welcome.has_value());
    EXPECT_EQ(named.welcome->last_number, 1U);
}

// Each stream has a journal of its own: a crash may take a number from one and leave a later one in another.
TEST(Intake, TakesARetryThatACrashLeftOutOfOneStreamAndKnowsWhatIsDurableBehindItInAnother) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.lanes.push_back(LaneConfig{.name = "apart"});
    RouteConfig route;
    route.lane = "apart";
    route.types = {"apart"};
    config.routes.push_back(route);
    std::vector<LaneState> lanes = IntakeBench::lanes_of(config);
    const std::size_t apart = lanes.size() - 2;
    std::vector<StoredBatch> left;
    {
        IntakeBench bench(config);
        TestProducer named(bench);
        named.hello(AckLevel::spooled, "cam-1");
        named.send_event("n1", 1);
        named.send_event("n2", 2, "{}", "apart");
        named.send_event("n3", 3);
        ASSERT_TRUE(named.wait_acked(3));
        for (const StoredBatch& batch : bench.stored) {
            if (batch.header.lane == lanes[apart].id) left.push_back(batch);
        }
    }
    ASSERT_EQ(left.size(), 1U);
    lanes[apart].last_sequence = 1;
    lanes[apart].previous_crc = left[0].header.header_crc;
    IntakeBench bench(config, lanes, &left);
    TestProducer named(bench);
    named.hello(AckLevel::spooled, "cam-1");
    ASSERT_TRUE(named.welcome.has_value());
    EXPECT_EQ(named.welcome->last_number, 0U) << "it goes on with the first that is missing";
    named.send_event("n1", 1);
    named.send_event("n2", 2, "{}", "apart");
    named.send_event("n3", 3);
    ASSERT_TRUE(named.wait_acked(3));
    EXPECT_EQ(bench.counters.duplicates.get(), 1U);
    EXPECT_EQ(bench.counters.accepted.get(), 3U);
    std::map<std::string, int> taken;
    for (const StoredBatch& batch : bench.stored) {
        wire::for_each_frame(batch.body(), [&](const wire::FrameView& frame, std::uint32_t) {
            wire::EventView event;
            ASSERT_EQ(wire::verify_event(frame.body, event), wire::Reason::none);
            ++taken[std::string(event.id)];
        });
    }
    EXPECT_EQ(taken, (std::map<std::string, int>{{"n1", 1}, {"n3", 1}}));
}

TEST(Intake, DrainsWithEveryAckSentAndItsCheckpointStored) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    for (int n = 0; n < 50; ++n) producer.send_event(std::to_string(n));
    ASSERT_TRUE(producer.wait_acked(50));
    bench.intake->drain(bench.io->now());
    ASSERT_TRUE(bench.step_until([&] { return producer.look() && producer.refusal.has_value(); }));
    EXPECT_EQ(producer.refusal->reason, RefusalReason::draining);
    bench.added_ns = 2 * ns_per_second;
    ASSERT_TRUE(bench.step_until([&] { return bench.intake->is_drained(); }));
    EXPECT_GE(bench.counters.checkpoints.get(), 1U);
}

TEST(Intake, CopiesEachEventOnceAndItsFrameUnchanged) {
    IntakeDirectory directory;
    IntakeBench bench(IntakeBench::config_at(directory.path));
    TestProducer producer(bench);
    producer.hello(AckLevel::spooled);
    for (int n = 0; n < 200; ++n) producer.send_event(std::to_string(n));
    ASSERT_TRUE(producer.wait_acked(200));
    std::uint64_t frames = 0;
    std::set<std::string> ids;
    for (const StoredBatch& batch : bench.stored) {
        frames += batch.body().size();
        wire::for_each_frame(batch.body(), [&](const wire::FrameView& frame, std::uint32_t) {
            wire::EventView event;
            ASSERT_EQ(wire::verify_event(frame.body, event), wire::Reason::none);
            ids.insert(std::string(event.id));
        });
    }
    EXPECT_EQ(ids.size(), 200U);
    EXPECT_EQ(bench.intake->copied_bytes(), frames);
}

TEST(Intake, JudgesAndRoutesByExpressions) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.lanes.push_back(LaneConfig{.name = "urgent"});
    RuleConfig rule;
    rule.types = {"citation"};
    rule.when = "has(data.fine)";
    rule.must = "data.fine > 0 && data.fine <= 1000";
    config.rules = {RuleConfig{.types = {"never"}, .require = {"data.x"}, .ranges = {}}, rule};
    RouteConfig route;
    route.lane = "urgent";
    route.types = {"citation"};
    route.when = R"(data.fine > 500 || data.state in ["NJ"])";
    config.routes = {route};
    IntakeBench bench(config);
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    producer.send_event("small", 0, R"({"fine":5})", "citation");
    producer.send_event("large", 0, R"({"fine":501})", "citation");
    producer.send_event("state", 0, R"({"state":"NJ"})", "citation");
    producer.send_event("too large", 0, R"({"fine":1001})", "citation");
    producer.send_event("another type", 0, R"({"fine":1001})", "ride");
    producer.send_event("broken", 0, R"({"fine":)", "citation");
    ASSERT_TRUE(producer.wait_acked(6));
    std::map<LaneId, std::uint64_t> events;
    for (const StoredBatch& batch : bench.stored) {
        events[batch.header.lane] += batch.header.count;
        if (batch.header.lane != dead_letter_lane) continue;
        const auto head = wire::load<wire::DeadLetterHead>(batch.body().subspan(sizeof(wire::FrameHeader)));
        EXPECT_EQ(head.reason, wire::Reason::rule_failed);
        EXPECT_EQ(head.rule, 2U);
    }
    // A payload that cannot be read has no fine: the rule does not judge it, and the route does not take it.
    EXPECT_EQ(events[0], 3U);
    EXPECT_EQ(events[1], 2U);
    EXPECT_EQ(events[dead_letter_lane], 1U);
}

TEST(Intake, JudgesByANewConfigurationFromOneVectorToTheNextAndSaysSoInEachBatch) {
    IntakeDirectory directory;
    EdgeConfig config = IntakeBench::config_at(directory.path);
    config.digest = 100;
    JudgementSlot reloads;
    IntakeBench bench(config);
    bench.intake->take_reloads_from(reloads);
    TestProducer producer(bench);
    producer.hello(wire::AckLevel::spooled);
    for (int id = 0; id < 10; ++id) producer.send_event("before-" + std::to_string(id));
    ASSERT_TRUE(producer.wait_acked(10));

    EdgeConfig next = config;
    next.digest = 200;
    next.validate.allowed_types = {"something-else"};
    reloads.offer(std::make_unique<Judgement>(next, IntakeBench::lanes_of(next)));
    ASSERT_TRUE(bench.step_until([&] { return reloads.is_taken(); }));
    EXPECT_EQ(bench.counters.reloads.get(), 1U);
    for (int id = 0; id < 10; ++id) producer.send_event("after-" + std::to_string(id));
    ASSERT_TRUE(producer.wait_acked(20));
    std::uint64_t old_events = 0, new_letters = 0;
    for (const StoredBatch& batch : bench.stored) {
        if (batch.header.config_digest == 100) old_events += batch.header.count;
        if (batch.header.config_digest == 200) {
            EXPECT_EQ(batch.header.lane, dead_letter_lane);
            new_letters += batch.header.count;
        }
    }
    EXPECT_EQ(old_events, 10U);
    EXPECT_EQ(new_letters, 10U);
    // The old judgement waits to be destroyed elsewhere; until then no other one is taken.
    reloads.offer(std::make_unique<Judgement>(config, IntakeBench::lanes_of(config)));
    bench.step();
    EXPECT_FALSE(reloads.is_taken());
    reloads.take_back();
    ASSERT_TRUE(bench.step_until([&] { return reloads.is_taken(); }));
    EXPECT_EQ(bench.counters.config_digest.get(), 100U);
}

// A disk that somebody else fills must not stop the cuts: what no cut covers is never trimmed.
TEST(IntakeMemory, TakesTheRoomOfItsFilterBeforeTheFirstEvent) {
    IntakeDirectory directory;
    const EdgeConfig config = IntakeBench::config_at(directory.path);
    ASSERT_TRUE(IntakeMemory::load(config, config.data_dir).ok());
    struct stat file {};
    ASSERT_EQ(::stat(filter_path(config.data_dir).c_str(), &file), 0);
    const auto file_bytes = static_cast<std::int64_t>(filter_file_bytes(config.cache.ids_max));
    EXPECT_EQ(file.st_size, file_bytes);
    EXPECT_GE(file.st_blocks * 512, file_bytes);
}

TEST(Reload, EveryKeyIsEitherFixedOrTakenWhileRunning) {
    std::set<std::string> fixed;
    for (const auto& key : fixed_config_keys()) fixed.insert(key);
    const std::vector<std::string> taken = {"validate",
                                            "rules",
                                            "routes",
                                            "lanes",
                                            "tests",
                                            "ladder",
                                            "dead_letters",
                                            "enrich",
                                            "pii",
                                            "payloads",
                                            "listen.rate_events_max"};
    const auto known = known_config_keys();
    for (const std::string& key : known) {
        const bool is_section = std::any_of(known.begin(), known.end(),
                                            [&](const std::string& other) { return other.starts_with(key + "."); });
        if (is_section) continue;
        const bool is_taken =
            std::any_of(taken.begin(), taken.end(), [&](const std::string& prefix) { return key.starts_with(prefix); });
        EXPECT_NE(fixed.contains(key), is_taken) << key;
        fixed.erase(key);
    }
    EXPECT_TRUE(fixed.empty()) << *fixed.begin();
}

TEST(RuleTests, SayOfEachWhetherWhatItExpectsCameOut) {
    EdgeConfig config;
    config.lanes = {LaneConfig{.name = "default"}, LaneConfig{.name = "urgent"}};
    RuleConfig rule;
    rule.must = "data.fine < 100";
    config.rules = {rule};
    RouteConfig route;
    route.lane = "urgent";
    route.when = "data.fine > 50";
    config.routes = {route};
    RuleTestConfig test;
    test.name = "urgent";
    test.type = "citation";
    test.data = R"({"fine":51})";
    test.verdict = "admitted";
    test.lane = "urgent";
    config.tests.push_back(test);
    test.name = "wrong lane";
    test.lane = "default";
    config.tests.push_back(test);
    test.name = "set aside";
    test.data = R"({"fine":100})";
    test.verdict = "dead_letter";
    test.lane = "dead-letters";
    test.reason = "rule_failed";
    test.rule = 1;
    config.tests.push_back(test);
    test.name = "another rule";
    test.rule = 2;
    config.tests.push_back(test);
    test.name = "admitted, against what it expects";
    test.data = R"({"fine":1})";
    test.lane = "";
    config.tests.push_back(test);
    std::ostringstream out;
    const RuleTestCounts counts = run_rule_tests(config, out);
    EXPECT_EQ(counts.passed, 2U);
    EXPECT_EQ(counts.failed, 3U);
    EXPECT_EQ(
        out.str(),
        "ok    urgent\nFAIL  wrong lane\n      lane: expected \"default\", got \"urgent\"\nok    set aside\n"
        "FAIL  another rule\n      rule: expected \"2\", got \"1\"\nFAIL  admitted, against what it expects\n"
        "      verdict: expected \"dead_letter\", got \"admitted\"\n      reason: expected \"rule_failed\", got \"\"\n"
        "      rule: expected \"2\", got \"none\"\n");
}

TEST(Reload, NamesWhatCannotChangeWhileRunning) {
    EdgeConfig now, next;
    now.lanes = next.lanes = {LaneConfig{.name = "default"}};
    next.validate.allowed_types = {"a"};
    next.routes.push_back({});
    EXPECT_TRUE(keys_that_need_a_restart(now, next).empty());
    next.spool.bytes_max += 1;
    next.lanes.push_back(LaneConfig{.name = "alarms"});
    EXPECT_EQ(keys_that_need_a_restart(now, next), (std::vector<std::string>{"spool.bytes_max"}));
}

TEST(Reload, TakesAllOfALaneButHowItDrains) {
    EdgeConfig now, next;
    now.lanes = {LaneConfig{.name = "default"}, LaneConfig{.name = "lossy", .shed = ShedPolicy::newest}};
    next.lanes = {now.lanes[1], now.lanes[0]};  // in another order
    LaneConfig& lossy = next.lanes[0];
    lossy.lane_class = LaneClass::best_effort;
    lossy.shed = ShedPolicy::oldest;
    lossy.priority = 3;
    lossy.weight = lossy.backlog_weight = 5;
    lossy.bytes_max = 8ULL << 20;
    lossy.keep_undelivered_s = 60;
    lossy.batch_bytes = 4096;
    EXPECT_TRUE(keys_that_need_a_restart(now, next).empty());
    lossy.drain = Drain::live_first;
    EXPECT_EQ(keys_that_need_a_restart(now, next), (std::vector<std::string>{"lanes[lossy].drain"}));
}

}  // namespace
}  // namespace weir::edge::test
