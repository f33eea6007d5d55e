// Indexes of segments: the same answers with them, without them and with damaged ones, and less is read.
#include "central/store/segment_index.hpp"

#include "central/store/event_reader.hpp"
#include "tests/analysis/world.hpp"

namespace weir::central::test {
namespace {

struct Answer {
    std::vector<Sequence> sequences;
    EventTotals totals;
};

// A journal of many segments.
class Indexed {
  public:
    Indexed() {
        CentralConfig small = small_config(directory.path());
        small.journal.segment_bytes = 1U << 20;
        small.journal.group_bytes = 512U << 10;
        Central central(small);
        journal = journal_directory(small);
        ScriptedEdge edge(central.port());
        LaneScript lane;
        edge.hello(lane);
        EXPECT_NE(edge.welcomed(), UINT64_MAX);
        for (std::size_t batch = 0; batch < 400; ++batch) EXPECT_TRUE(edge.send_within_credit(make(lane, batch)));
        EXPECT_TRUE(edge.await_ack(lane.next - 1));
        central.drain();
        auto scanner = weir::journal::Scanner::open(journal, {});
        while (const auto record = scanner.value().next())
            closed = record->position.value / small.journal.segment_bytes;
    }
    [[nodiscard]] Answer ask(const EventQuestion& question, bool is_indexed = true) const {
        auto reader = EventReader::open(journal, question, is_indexed ? indexes : "");
        EXPECT_TRUE(reader.ok());
        Answer answer;
        reader.value().read([&](const FoundEvent& found) {
            answer.sequences.push_back(found.sequence);
            return true;
        });
        answer.totals = reader.value().totals();
        return answer;
    }
    Directory directory;
    std::string journal;
    std::string indexes = index_directory(directory.path());
    std::uint64_t closed = 0;  // segments before that of the last record

  private:
    // Forty events of a second; their type changes each hundred batches, one key is in one batch alone.
    static Batch make(LaneScript& lane, std::size_t number) {
        wire::EventBuilder builder;
        Batch body;
        const std::string type = "type-" + std::to_string(number / 100);
        const std::string payload = "{\"pad\":\"" + std::string(200, 'x') + "\"}";
        for (std::uint32_t event = 0; event < 40; ++event) {
            const std::string id = "e" + std::to_string(number * 40 + event);
            const std::string key = number == 150 && event == 7 ? "rare" : "k" + std::to_string(event);
            LaneScript::add_frame(body, wire::FrameKind::event,
                                  builder.build({.id = id,
                                                 .type = type,
                                                 .source = "test",
                                                 .key = key,
                                                 .content_type = "application/json",
                                                 .payload = payload,
                                                 .time = {base_ns + number * second},
                                                 .trace_id = {}}));
        }
        return lane.seal(lane.header(40), body);
    }
};

TEST(SegmentIndex, QuestionsAreAnsweredTheSameAndReadLess) {
    const Indexed world;
    ASSERT_GT(world.closed, 3U);
    const EventQuestion questions[] = {
        {.from_ns = base_ns + 120 * second, .until_ns = base_ns + 130 * second, .where = {}, .key = {}},
        {.where = "type == \"type-2\"", .key = {}},
        {.where = {}, .key = "rare"},
        {.where = "type like \"type-*\" && key == \"k3\"", .key = {}},
        {.where = "type == \"nobody\"", .key = {}},
        {.where = {}, .key = {}},
    };
    // The first question of all makes the indexes.
    const Answer first = world.ask(questions[0]);
    EXPECT_EQ(first.totals.indexes_written, world.closed);
    EXPECT_EQ(first.totals.blocks_passed, 0U);
    for (const EventQuestion& question : questions) {
        const Answer with = world.ask(question);
        const Answer without = world.ask(question, false);
        EXPECT_EQ(with.sequences, without.sequences) << question.where;
        EXPECT_EQ(with.totals.indexes_written, 0U);
        EXPECT_EQ(without.totals.records, world.ask(questions[5], false).totals.records);
        // The others ask for something of every batch, or of a quarter of them.
        if (&question == &questions[0] || &question == &questions[2] || &question == &questions[4]) {
            EXPECT_LT(2 * with.totals.records, without.totals.records) << question.where;
        }
    }
    EXPECT_EQ(world.ask(questions[0]).sequences.size(), 400U);
    EXPECT_EQ(world.ask(questions[2]).sequences.size(), 1U);
}

TEST(SegmentIndex, AMissingADamagedAndAForeignOneAreMadeAnew) {
    const Indexed world;
    const EventQuestion question{.where = "type == \"type-1\"", .key = {}};
    const Answer wanted = world.ask(question);
    ASSERT_GT(wanted.totals.indexes_written, 2U);
    std::vector<std::filesystem::path> files;
    for (const auto& file : std::filesystem::directory_iterator(world.indexes)) files.push_back(file.path());
    std::sort(files.begin(), files.end());
    std::filesystem::remove(files[0]);
    std::fstream(files[1], std::ios::in | std::ios::out | std::ios::binary).seekp(40).put('x');
    const Answer again = world.ask(question);
    EXPECT_EQ(again.sequences, wanted.sequences);
    EXPECT_EQ(again.totals.indexes_written, 2U);
    std::filesystem::copy_file(files[2], files[0], std::filesystem::copy_options::overwrite_existing);
    EXPECT_EQ(world.ask(question).totals.indexes_written, 1U);
    EXPECT_EQ(world.ask(question).sequences, wanted.sequences);
}

TEST(SegmentIndex, OnlyAQuestionThatWasReadToTheEndWritesIndexes) {
    const Indexed world;
    auto reader = EventReader::open(world.journal, {}, world.indexes);
    ASSERT_TRUE(reader.ok());
    std::size_t seen = 0;
    reader.value().read([&](const FoundEvent&) { return ++seen < 10; });
    EXPECT_EQ(reader.value().totals().indexes_written, 0U);
}

TEST(SegmentIndex, ItsBytesAreReadAgainAndNothingElseIsTakenForThem) {
    SegmentIndex index;
    index.journal_id = 1;
    index.segment_index = 2;
    index.end = 9000;
    IndexBlock block;
    block.position = 4096;
    block.least_ns = 5;
    block.greatest_ns = 6;
    block.types.add("b");
    block.types.add("a");
    block.types.add("b");
    for (std::size_t name = 0; name <= NameSet::names_max; ++name) block.edges.add("edge-" + std::to_string(name));
    block.keys.add("k");
    index.blocks.push_back(block);
    const std::string bytes = index.bytes();
    const auto read = SegmentIndex::parse(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->bytes(), bytes);
    EXPECT_EQ(read->blocks[0].types.names, (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(read->blocks[0].edges.is_open);
    EXPECT_TRUE(read->blocks[0].keys.may_hold("k"));
    EXPECT_FALSE(read->blocks[0].keys.may_hold("other"));
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(SegmentIndex::parse(bytes.substr(0, cut)));
    for (std::size_t byte = 0; byte < bytes.size(); ++byte) {
        std::string changed = bytes;
        changed[byte] = static_cast<char>(changed[byte] ^ 4);
        EXPECT_FALSE(SegmentIndex::parse(changed)) << byte;
    }
}

}  // namespace
}  // namespace weir::central::test
