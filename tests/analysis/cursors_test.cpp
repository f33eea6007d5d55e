// Groups of consumers: shares, fences, places on the disk; each event in one partition, once, in order for its key.
#include "central/cursors/cursor_store.hpp"

#include "central/cursors/command.hpp"
#include "central/cursors/cursor_reader.hpp"
#include "core/base/json_scan.hpp"
#include "tests/analysis/world.hpp"

namespace weir::central::test {
namespace {

constexpr WallNs noon{base_ns};
constexpr std::uint64_t minute_ms = 60'000;

TEST(CursorStore, ConsumersShareThePartitionsAndAreFencedWhenThatChanges) {
    const Directory directory;
    CursorStore store(directory.path());
    ASSERT_TRUE(store.make("billing", 5, 0).ok());
    const auto alone = store.join("billing", "a", minute_ms, noon);
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ(alone.value().partitions_of("a").size(), 5U);
    const auto both = store.join("billing", "b", minute_ms, noon);
    EXPECT_EQ(both.value().partitions_of("a"), (std::vector<std::uint32_t>{0, 2, 4}));
    EXPECT_EQ(both.value().partitions_of("b"), (std::vector<std::uint32_t>{1, 3}));
    EXPECT_TRUE(both.value().partitions_of("c").empty());
    // With the generation of before, or for a partition of the other: refused.
    EXPECT_EQ(store.commit("billing", "a", alone.value().generation, 0, 8).error().code, CursorStore::fenced_code);
    EXPECT_EQ(store.commit("billing", "a", both.value().generation, 1, 8).error().code, CursorStore::fenced_code);
    EXPECT_TRUE(store.commit("billing", "a", both.value().generation, 0, 80).ok());
    EXPECT_TRUE(store.commit("billing", "a", both.value().generation, 0, 8).ok());  // changes nothing
    EXPECT_EQ(store.load("billing").value().places, (std::vector<std::uint64_t>{80, 0, 0, 0, 0}));
    // Staying is no change; another's time that runs out is.
    EXPECT_EQ(store.join("billing", "a", 2 * minute_ms, noon).value().generation, both.value().generation);
    const auto later = store.join("billing", "a", minute_ms, {noon.value + 61 * second});
    EXPECT_EQ(later.value().partitions_of("a").size(), 5U);
    EXPECT_GT(later.value().generation, both.value().generation);
    EXPECT_TRUE(store.leave("billing", "a").ok());
    EXPECT_TRUE(store.load("billing").value().consumers.empty());
}

TEST(CursorStore, RefusesWhatCannotBe) {
    const Directory directory;
    CursorStore store(directory.path());
    EXPECT_EQ(store.load("nobody").error().code, CursorStore::unknown_code);
    for (const char* name : {"", "../x", "a b", "a.b"}) {
        EXPECT_EQ(store.make(name, 1, 0).error().code, CursorStore::wrong_code) << name;
    }
    EXPECT_EQ(store.make("g", 0, 0).error().code, CursorStore::wrong_code);
    EXPECT_EQ(store.make("g", 1025, 0).error().code, CursorStore::wrong_code);
    EXPECT_TRUE(store.make("g", 2, 7).ok());
    EXPECT_EQ(store.make("g", 2, 7).error().code, CursorStore::taken_code);
    EXPECT_EQ(store.set("g", 2, 7).error().code, CursorStore::wrong_code);
    EXPECT_EQ(store.list().value().size(), 1U);
    EXPECT_TRUE(store.remove("g").ok());
    EXPECT_TRUE(store.list().value().empty());
    EXPECT_EQ(store.remove("g").error().code, CursorStore::unknown_code);
}

struct Cursors {
    int code = 0;
    std::vector<std::string> lines;
};

Cursors cursors(const World& world, const CursorOptions& options) {
    std::ostringstream out;
    Cursors done;
    done.code = cursors_command(world.config, options, out, out);
    std::istringstream text(out.str());
    for (std::string line; std::getline(text, line);) done.lines.push_back(line);
    return done;
}

TEST(Cursors, EachEventIsInOnePartitionOnceAndGoesOnFromWhatWasCommitted) {
    World world(60);
    std::vector<Sequence> all;
    auto reader = EventReader::open(journal_directory(world.config), {});
    reader.value().read([&](const FoundEvent& found) {
        all.push_back(found.sequence);
        return true;
    });
    ASSERT_EQ(cursors(world, {.verb = "make", .group = "g", .partitions = 3}).code, 0);
    std::vector<Sequence> found;
    std::map<std::string, std::uint32_t> partition_of_key;
    for (std::uint32_t partition = 0; partition < 3; ++partition) {
        double before = 0;
        for (bool is_at_end = false; !is_at_end;) {
            const Cursors read = cursors(world, {.verb = "read", .group = "g", .partition = partition, .limit = 20});
            ASSERT_EQ(read.code, 0);
            for (std::size_t line = 0; line + 1 < read.lines.size(); ++line) {
                const double sequence = *json_number(*json_member(read.lines[line], "sequence"));
                EXPECT_GT(sequence, before);
                before = sequence;
                found.push_back(static_cast<Sequence>(sequence));
                const std::string key(json_member(read.lines[line], "key")->raw);
                EXPECT_EQ(partition_of_key.emplace(key, partition).first->second, partition);
            }
            const std::string& last = read.lines.back();
            is_at_end = json_member(last, "at_end")->raw == "true";
            EXPECT_FALSE(json_member(last, "gap_to"));
            const std::string place(json_member(last, "place")->raw);
            ASSERT_EQ(cursors(world, {.verb = "commit", .group = "g", .partition = partition, .place = place}).code, 0);
        }
    }
    std::sort(found.begin(), found.end());
    EXPECT_EQ(found, all);
}

TEST(Cursors, WhatTheJournalNoLongerHasIsToldAsAGap) {
    const Directory directory;
    CentralConfig small = small_config(directory.path());
    small.journal.segment_bytes = 1U << 20;
    small.journal.group_bytes = 512U << 10;
    Central central(small);
    ScriptedEdge edge(central.port());
    LaneScript lane;
    edge.hello(lane);
    EXPECT_NE(edge.welcomed(), UINT64_MAX);
    for (int batch = 0; batch < 300; ++batch) EXPECT_TRUE(edge.send_within_credit(lane.events(40, 200)));
    EXPECT_TRUE(edge.await_ack(lane.next - 1));
    central.drain();
    const std::string journal = journal_directory(small);
    auto segments = journal::list_segments(journal).value().segments;
    ASSERT_GT(segments.size(), 2U);
    std::filesystem::remove(segments.front().path);
    const std::uint64_t begin = segments[1].header.segment_index * segments[1].header.segment_bytes;
    const auto read = read_partition(journal, {.place = 4096 + 8}, [](const FoundEvent&) {});
    ASSERT_TRUE(read.ok());
    ASSERT_TRUE(read.value().gap_to);
    EXPECT_EQ(*read.value().gap_to, begin + 4096);
    EXPECT_GT(read.value().events, 0U);
    EXPECT_FALSE(read_partition(journal, {.place = read.value().place}, [](const FoundEvent&) {}).value().gap_to);
}

}  // namespace
}  // namespace weir::central::test
