#include <map>
#include <random>

#include "central/readmodel/readmodel.hpp"
#include "tests/central/central_bench.hpp"

namespace weir::central {
namespace {

TEST(PositionTable, KeepsEachBatchOnceUnderRandomRedelivery) {
    std::mt19937_64 random(42);
    PositionTable table(16, 4);
    std::map<LaneId, std::vector<wire::BatchHeader>> sent;
    std::map<LaneId, std::size_t> known;  // the model: how many batches of the lane are kept
    for (LaneId lane = 0; lane < 4; ++lane) {
        LaneScript script;
        script.lane = lane;
        for (int i = 0; i < 200; ++i) {
            const auto batch = script.gap(1 + static_cast<std::uint32_t>(random() % 9));
            sent[lane].push_back(wire::load<wire::BatchHeader>(batch));
        }
    }
    for (int step = 0; step < 20'000; ++step) {
        const auto lane = static_cast<LaneId>(random() % 4);
        std::size_t& count = known[lane];
        const std::size_t pick = std::min<std::size_t>(sent[lane].size() - 1, random() % (count + 3));
        const auto& batch = sent[lane][pick];
        PositionRow& row = table.row(table.claim(key_of(batch), batch.lane_name));
        const auto judgement = PositionTable::judge(row, batch);
        ASSERT_EQ(judgement, pick < count ? Judgement::duplicate : pick == count ? Judgement::append : Judgement::gap);
        if (judgement != Judgement::append) continue;
        PositionTable::take(row, batch);
        ++count;
        ASSERT_EQ(row.hot.last_sequence, batch.last_sequence());
    }
    EXPECT_EQ(table.row_count(), 4U);
}

TEST(PositionTable, IsBounded) {
    PositionTable table(1, 1);
    PositionKey key;
    EXPECT_EQ(table.claim(key, {}), 0U);
    key.lane = 1;
    EXPECT_EQ(table.claim(key, {}), no_row);
}

TEST(ReadModel, EqualsBruteForceAndKeepsTheNewestMinutes) {
    constexpr std::uint32_t minutes_max = 5;
    ReadModel model(8, minutes_max);
    std::mt19937_64 random(7);
    wire::EventBuilder builder;
    std::map<std::string, std::map<std::uint64_t, std::uint64_t>> truth;
    LaneScript script;
    for (int i = 0; i < 2000; ++i) {
        const std::string type = "t" + std::to_string(random() % 3);
        const std::uint64_t minute = 1 + random() % 20;
        Batch body;
        LaneScript::add_frame(body, wire::FrameKind::event,
                              builder.build({.id = "i",
                                             .type = type,
                                             .source = "s",
                                             .key = {},
                                             .content_type = {},
                                             .payload = "{}",
                                             .time = {minute * minute_ns + random() % minute_ns},
                                             .trace_id = {}}));
        const auto batch = script.seal(script.header(1), body);
        model.apply(wire::load<wire::BatchHeader>(batch), body, {1}, {static_cast<std::uint64_t>(i + 1)});
        ++truth[type][minute];
    }
    const auto counts = model.snapshot();
    EXPECT_EQ(counts.events, 2000U);
    ASSERT_EQ(counts.types.size(), truth.size());
    for (const auto& type : counts.types) {
        const auto& all = truth.at(type.type);
        std::uint64_t total = 0, newest = 0;
        for (const auto& [minute, events] : all) total += events;
        EXPECT_EQ(type.events, total);
        ASSERT_EQ(type.minutes.size(), minutes_max);
        auto at = all.rbegin();
        for (auto mine = type.minutes.rbegin(); mine != type.minutes.rend(); ++mine, ++at) {
            EXPECT_EQ(mine->minute, at->first);
            EXPECT_EQ(mine->events, at->second);
            newest += at->second;
        }
        EXPECT_EQ(type.older, total - newest);
    }
}

TEST(ReadModel, CountsTypesBeyondItsLimitAsOther) {
    ReadModel model(2, 5);
    wire::EventBuilder builder;
    LaneScript script;
    for (const char* type : {"a", "b", "c"}) {
        Batch body;
        LaneScript::add_frame(body, wire::FrameKind::event,
                              builder.build({.id = "i",
                                             .type = type,
                                             .source = "s",
                                             .key = {},
                                             .content_type = {},
                                             .payload = "{}",
                                             .trace_id = {}}));
        const auto batch = script.seal(script.header(1), body);
        model.apply(wire::load<wire::BatchHeader>(batch), body, {minute_ns}, {1});
    }
    const auto counts = model.snapshot();
    ASSERT_EQ(counts.types.size(), 2U);
    EXPECT_EQ(counts.types[1].type, "other");
    EXPECT_EQ(counts.types[1].events, 2U);
}

}  // namespace
}  // namespace weir::central
