#include "central/analytics/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "core/wire/event.hpp"
#include "tests/simulation/random.hpp"
#include "tests/wire/samples.hpp"

namespace weir::analytics::test {
namespace {

constexpr std::uint64_t second = ns_per_second;
constexpr std::uint64_t minute = 60 * second;
constexpr std::uint64_t base_ns = 1'700'000'000 * second;

struct JournalRecord {
    wire::BatchHeader header;
    std::vector<std::byte> body;
    std::uint64_t arrival_ns = 0;
};

JournalRecord record_of(std::string_view edge, std::uint64_t arrival_ns) {
    JournalRecord record;
    record.header.edge_id = wire::name_field<wire::edge_id_bytes_max>(edge);
    record.header.lane_name = wire::name_field<wire::lane_name_bytes_max>("main");
    record.arrival_ns = arrival_ns;
    return record;
}

void add(JournalRecord& record, const std::string& type, const std::string& key, std::uint64_t time_ns,
         const std::string& data) {
    wire::EventBuilder builder;
    wire::EventView event;
    event.id = "id";
    event.type = type;
    event.source = "test";
    event.key = key;
    event.time = {time_ns};
    event.content_type = "application/json";
    event.payload = data;
    wire::samples::append_frame(record.body, wire::FrameKind::event, builder.build(event));
    ++record.header.count;
}

Definitions definitions() {
    Definitions told;
    WindowDefinition sums;
    sums.name = "sums";
    sums.when = "type like \"violation.*\"";
    sums.value = "data.fine";
    sums.distinct = "data.plate";
    sums.top = "data.plate";
    sums.spec.aggregate.percentiles = {50'000};
    sums.spec.aggregate.has_distinct = true;
    sums.spec.aggregate.top_count = 3;
    sums.spec.lateness_ns = 5 * minute;
    WindowDefinition slides = sums;
    slides.name = "slides";
    slides.key = "data.fine";
    slides.spec.length_ns = 2 * minute;
    slides.spec.step_ns = 30 * second;
    WindowDefinition visits;
    visits.name = "visits";
    visits.spec.length_ns = 0;
    visits.spec.gap_ns = 20 * second;
    told.windows = {sums, slides, visits};
    told.patterns = {{"open",
                      "submitted -> !validated within 30s by key\nsubmitted: type == \"violation.submitted\"\n"
                      "validated: type == \"violation.validated\"\n",
                      {}},
                     {"five", "5 x any within 20s by key\nany: type like \"violation.*\"\n", {}}};
    AnomalyDefinition odd;
    odd.name = "odd";
    odd.window = "sums";
    odd.keys_max = 3;
    told.anomalies = {odd};
    AlertDefinition much;
    much.rule.name = "much";
    much.on = "window.sums";
    much.raise = "data.count > 40";
    much.clear = "data.count < 30";
    AlertDefinition unseen;
    unseen.rule.name = "unseen";
    unseen.rule.stale_ns = 60 * second;
    unseen.on = "pattern.open";
    unseen.raise = "!data.given_up";
    unseen.suppressed_by = {"much"};
    told.alerts = {much, unseen};
    return told;
}

std::unique_ptr<Engine> engine_of(const Definitions& told) {
    auto made = Engine::build(told);
    if (!made) ADD_FAILURE() << made.error().what;
    return std::move(made.value());
}

std::vector<JournalRecord> journal(std::uint64_t seed, std::size_t records) {
    sim::Random random(seed);
    std::vector<JournalRecord> all;
    std::uint64_t now = base_ns;
    for (std::size_t index = 0; index < records; ++index) {
        now += random.below(6 * second);
        if (random.chance(100)) {
            now += random.below(90 * second);
            all.push_back(record_of("central", now));
            all.back().header.kind = wire::BatchKind::tick;
            continue;
        }
        JournalRecord record = record_of(random.chance(500) ? "north" : "south", now);
        for (std::uint64_t left = random.within(1, 15); left > 0; --left) {
            const std::uint64_t back = random.below(random.chance(100) ? 10 * minute : 3 * second);
            const std::string data = "{\"fine\":" + std::to_string(random.below(8)) + ".5,\"plate\":\"p" +
                                     std::to_string(random.below(30)) + "\"}";
            add(record, random.chance(500) ? "violation.submitted" : "violation.validated",
                "key-" + std::to_string(random.below(4)), random.chance(20) ? 0 : now - back, data);
        }
        all.push_back(std::move(record));
    }
    return all;
}

void apply(Engine& engine, const JournalRecord& record, std::uint64_t position, Results& out) {
    engine.apply(record.header, record.body, {record.arrival_ns}, {position}, out);
}

std::string lines_of(Engine& engine, const JournalRecord& record, std::uint64_t position) {
    Results out;
    apply(engine, record, position, out);
    std::string lines;
    engine.append_lines(out, lines);
    return lines;
}

}  // namespace

TEST(Engine, AStateCopiedInStepsIsThatOfTheRecordAtWhichTheCopyBegan) {
    const auto records = journal(3, 400);
    auto engine = engine_of(definitions());
    auto other = engine_of(definitions());
    sim::Random random(3);
    std::string then;
    StateCopy room;
    std::size_t copies = 0, records_copied_over = 0;
    for (std::size_t index = 0; index < records.size(); ++index) {
        ASSERT_EQ(lines_of(*engine, records[index], index + 1), lines_of(*other, records[index], index + 1));
        if (!engine->is_copying()) {
            then = other->save();
            engine->begin_copy(std::move(room));
            continue;
        }
        ++records_copied_over;
        if (auto copy = engine->copy_some(random.within(1, 8))) {
            ASSERT_EQ(copy->text(), then) << "begun before record " << index;
            ASSERT_EQ(copy->bytes(), then.size());
            ASSERT_FALSE(engine->is_copying());
            room = *std::move(copy);
            ++copies;
        }
    }
    EXPECT_GT(copies, 10U);
    EXPECT_GT(records_copied_over, 5 * copies) << "too quick to have met a change";
    EXPECT_EQ(engine->save(), other->save());
}

TEST(Engine, KilledAfterAnyRecordItGoesOnFromItsStateWithTheSameBytes) {
    const auto records = journal(1, 300);
    auto straight = engine_of(definitions());
    auto reloaded = engine_of(definitions());
    std::string lines;
    for (std::size_t at = 0; at < records.size(); ++at) {
        const std::string one = lines_of(*straight, records[at], at);
        ASSERT_EQ(one, lines_of(*reloaded, records[at], at)) << "record " << at;
        lines += one;
        const std::string state = reloaded->save();
        ASSERT_EQ(straight->save(), state);
        if (at % 3 != 0) continue;
        reloaded = engine_of(definitions());
        const auto anew = reloaded->load(state);
        ASSERT_TRUE(anew) << anew.error().what;
        ASSERT_TRUE(anew.value().empty());
        ASSERT_EQ(reloaded->position().value, at);
    }
    for (const char* kind : {"window.sums ", "window.slides ", "window.visits ", "pattern.open ", "pattern.five ",
                             "anomaly.odd ", "alert.much ", "alert.unseen "}) {
        EXPECT_NE(lines.find(kind), std::string::npos) << kind << "never spoke";
    }
    EXPECT_NE(lines.find("\"version\":2"), std::string::npos) << "nothing was corrected";
}

TEST(Engine, ClocksTenYearsAheadAndStandingDisturbNobodyElse) {
    constexpr std::uint64_t ten_years = 10ULL * 365 * 86'400 * second;
    Definitions told = definitions();
    told.clock.standing_ns_max = 2 * minute;
    told.clock.idle_ns_max = 10 * second;
    for (WindowDefinition& window : told.windows) window.key = "key";
    auto alone = engine_of(told);
    auto disturbed = engine_of(told);
    Results alone_out;
    Results disturbed_out;
    sim::Random random(2);
    std::uint64_t now = base_ns;
    const auto beat = [&](const JournalRecord& record, bool is_broken) {
        if (!is_broken) apply(*alone, record, 0, alone_out);
        apply(*disturbed, record, 0, disturbed_out);
    };
    for (int index = 0; index < 400; ++index) {
        now += second;
        JournalRecord ahead = record_of("ahead", now);
        add(ahead, "violation.submitted", "ahead", now + ten_years, "{\"fine\":1}");
        JournalRecord stands = record_of("stands", now);
        add(stands, "violation.submitted", "stands", base_ns, "{\"fine\":1}");
        JournalRecord north = record_of("north", now);
        for (std::uint64_t left = random.within(1, 5); left > 0; --left) {
            add(north, random.chance(500) ? "violation.submitted" : "violation.validated", "north",
                now - random.below(second), "{\"fine\":2}");
        }
        beat(ahead, true);
        beat(stands, true);
        beat(north, false);
    }
    JournalRecord tick = record_of("central", now + 60 * minute);
    tick.header.kind = wire::BatchKind::tick;
    beat(tick, false);
    // What is said of north, without the ordinals, which count everybody's events.
    const auto of_north = [](const Results& out) {
        std::vector<std::tuple<std::uint32_t, std::uint64_t, std::uint64_t, Int128, std::uint8_t>> rows;
        for (const auto& [index, one] : out.windows) {
            if (one.key == "north") rows.emplace_back(index, one.end_ns, one.version, one.values.sum, one.marks);
        }
        for (const auto& [index, one] : out.patterns) {
            if (one.key == "north") rows.emplace_back(100 + index, one.end_ns, one.start_ns, 0, std::uint8_t{0});
        }
        for (const auto& [index, one] : out.anomalies) {
            if (one.key == "north")
                rows.emplace_back(200 + index, one.time_ns, one.said.is_alarm ? 1 : 0, 0, std::uint8_t{0});
        }
        std::sort(rows.begin(), rows.end());
        return rows;
    };
    EXPECT_GT(of_north(alone_out).size(), 30U);
    EXPECT_EQ(of_north(alone_out), of_north(disturbed_out));
    // Theirs count at their arrival, and say so.
    std::int64_t ahead_count = 0;
    std::uint64_t redated = 0;
    for (const auto& [index, one] : disturbed_out.windows) {
        if (index != 0 || one.key == "north") continue;
        ASSERT_LE(one.end_ns, now + minute);
        if (one.key == "ahead") {
            ahead_count += one.change_count;
            ASSERT_EQ(one.values.redated, one.values.count);
        } else {
            redated += one.values.redated;
        }
    }
    EXPECT_EQ(ahead_count, 400);
    EXPECT_GT(redated, 200U);
    EXPECT_EQ(disturbed->clock().counts().future, 400U);
    EXPECT_GT(disturbed->clock().counts().standing, 200U);
}

TEST(Engine, AChangedDefinitionBeginsAnewAndTheOthersGoOn) {
    const auto records = journal(3, 120);
    auto before = engine_of(definitions());
    for (std::size_t at = 0; at < 60; ++at) static_cast<void>(lines_of(*before, records[at], at));
    Definitions changed = definitions();
    changed.windows[1].when = "true";
    changed.patterns.push_back({"new", "a within 1s\na: true\n", {}});
    auto after = engine_of(changed);
    const auto anew = after->load(before->save());
    ASSERT_TRUE(anew) << anew.error().what;
    EXPECT_EQ(anew.value(), (std::vector<std::string>{"window.slides", "pattern.new"}));
    const auto sums_of = [](const std::string& lines) {
        std::string kept;
        for (std::size_t at = 0; at < lines.size();) {
            const std::size_t end = lines.find('\n', at) + 1;
            if (lines.compare(at, 12, "window.sums ") == 0 || lines.compare(at, 13, "pattern.open ") == 0) {
                kept += lines.substr(at, end - at);
            }
            at = end;
        }
        return kept;
    };
    std::string lines;
    for (std::size_t at = 60; at < records.size(); ++at) {
        const std::string kept = sums_of(lines_of(*before, records[at], at));
        ASSERT_EQ(kept, sums_of(lines_of(*after, records[at], at)));
        lines += kept;
    }
    EXPECT_FALSE(lines.empty());
}

TEST(Engine, BytesThatAreNoStateAreRefused) {
    auto engine = engine_of(definitions());
    for (std::size_t at = 0; const JournalRecord& record : journal(4, 40))
        static_cast<void>(lines_of(*engine, record, at++));
    const std::string state = engine->save();
    EXPECT_FALSE(engine_of(definitions())->load("nothing"));
    for (std::size_t cut = 0; cut < state.size(); cut += state.size() / 40) {
        const auto loaded = engine_of(definitions())->load(std::string_view(state).substr(0, cut));
        // Cut between two parts it is a whole state of fewer operators.
        EXPECT_TRUE(!loaded || !loaded.value().empty()) << cut;
    }
    EXPECT_TRUE(engine_of(definitions())->load(state));
    std::size_t parts_refused = 0;
    for (std::size_t at = 0; at < state.size(); at += state.size() / 200) {
        std::string wrong = state;
        wrong[at] = static_cast<char>(wrong[at] ^ 0x55);
        const auto loaded = engine_of(definitions())->load(wrong);
        parts_refused += !loaded && loaded.error().what.starts_with("the state of ") ? 1 : 0;
    }
    EXPECT_GT(parts_refused, 0U);
}

TEST(Engine, AMistakeInADefinitionIsNamedWithItsPlace) {
    const auto fault = [](const std::function<void(Definitions&)>& change) {
        Definitions told = definitions();
        change(told);
        const auto made = Engine::build(told);
        return made ? std::string() : made.error().what;
    };
    EXPECT_EQ(fault([](Definitions&) {}), "");
    EXPECT_EQ(fault([](Definitions& told) { told.windows[0].when = "type == 5"; }).find("window.sums.when: 1:6: "), 0U);
    EXPECT_EQ(fault([](Definitions& told) { told.windows[1].name = "sums"; }), "window.sums: named twice");
    EXPECT_EQ(fault([](Definitions& told) { told.windows[1].spec.step_ns = 7; }),
              "window.slides: the length is no multiple of the step");
    EXPECT_EQ(fault([](Definitions& told) { told.patterns[0].text = "a within 1m"; }).find("pattern.open: 1:1: "), 0U);
    EXPECT_EQ(fault([](Definitions& told) { told.anomalies[0].window = "none"; }),
              "anomaly.odd: there is no window none");
    EXPECT_EQ(fault([](Definitions& told) { told.alerts[0].on = "window.none"; }),
              "alert.much.on: there is no window.none");
    EXPECT_EQ(fault([](Definitions& told) { told.alerts[0].raise = "data.count >"; }).find("alert.much.raise: 1:13: "),
              0U);
    EXPECT_EQ(fault([](Definitions& told) { told.alerts[1].suppressed_by = {"no"}; }),
              "alert.unseen.suppressed_by: there is no alert no");
}

}  // namespace weir::analytics::test
