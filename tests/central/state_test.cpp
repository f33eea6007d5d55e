#include <map>
#include <memory>
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

// The model: of each (edge, lane) the vector of batches that are kept, and all of them in one vector as the journal has them.
TEST(PositionTable, JudgesByTheVectorOfWhatIsKeptAndRestoresFromIt) {
    enum class Pick : std::uint8_t { known, next, ahead, overlap, forged };
    for (std::uint32_t seed = 1; seed <= 30; ++seed) {
        std::mt19937_64 random(seed);
        auto table = std::make_unique<PositionTable>(16, 8);
        std::map<std::pair<std::string, LaneId>, std::vector<wire::BatchHeader>> kept;
        std::vector<wire::BatchHeader> journal;
        for (int step = 0; step < 1'500; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            if (random() % 100 == 0) {
                // A start: from the journal, parts of which are read again.
                table = std::make_unique<PositionTable>(16, 8);
                for (std::size_t i = 0; i < journal.size(); ++i) {
                    ASSERT_TRUE(table->restore(journal[i]));
                    // Again: nothing changes.
                    ASSERT_TRUE(random() % 4 != 0 || table->restore(journal[random() % (i + 1)]));
                }
                ASSERT_EQ(table->row_count(), kept.size());
            }
            const std::string edge = random() % 2 == 0 ? "north" : "south";
            const LaneId lane = random() % 5 == 0 ? dead_letter_lane : static_cast<LaneId>(random() % 3);
            auto& mine = kept[{edge, lane}];
            const bool is_first = mine.empty();
            wire::BatchHeader batch;
            batch.edge_id = wire::name_field<wire::edge_id_bytes_max>(edge);
            batch.lineage = edge == "north" ? 7 : 8;
            batch.epoch = 1 + static_cast<std::uint64_t>(step) / 100;
            batch.lane = lane;
            batch.kind = random() % 8 == 0 ? wire::BatchKind::gap : wire::BatchKind::events;
            batch.count = 1 + static_cast<std::uint32_t>(random() % 5);
            batch.first_sequence = is_first ? 1 : mine.back().last_sequence() + 1;
            batch.previous_crc = is_first ? 0 : mine.back().header_crc;
            const bool may_break_chain =
                batch.kind == wire::BatchKind::gap || (!is_first && mine.back().kind == wire::BatchKind::gap);
            Judgement expected = Judgement::append;
            switch (static_cast<Pick>(random() % 5)) {
                case Pick::known:
                    if (is_first) break;
                    batch = mine[random() % mine.size()];
                    expected = Judgement::duplicate;
                    break;
                case Pick::next:
                    break;
                case Pick::ahead:
                    batch.first_sequence += 1 + random() % 3;
                    expected = Judgement::gap;
                    break;
                case Pick::overlap:
                    if (is_first) break;
                    ++batch.count;
                    --batch.first_sequence;
                    expected = Judgement::diverged;
                    break;
                case Pick::forged:
                    batch.previous_crc ^= 1U + static_cast<std::uint32_t>(random() % 1000);
                    if (!may_break_chain) expected = Judgement::diverged;
                    break;
            }
            wire::seal(batch, {});
            PositionRow& row = table->row(table->claim(key_of(batch), batch.lane_name));
            ASSERT_EQ(PositionTable::judge(row, batch), expected);
            if (expected == Judgement::append) {
                PositionTable::take(row, batch);
                mine.push_back(batch);
                journal.push_back(batch);
            }
            std::uint64_t events = 0, gaps = 0;
            for (const auto& one : mine) (one.kind == wire::BatchKind::gap ? gaps : events) += one.count;
            ASSERT_EQ(row.hot.last_sequence, mine.empty() ? 0 : mine.back().last_sequence());
            ASSERT_EQ(row.appended.get(), events);
            ASSERT_EQ(row.received.get(), events);
            ASSERT_EQ(row.gap.get(), gaps);
            ASSERT_EQ(row.dead_lettered.get(), lane == dead_letter_lane ? events : 0);
            if (mine.empty()) kept.erase({edge, lane});
        }
    }
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
