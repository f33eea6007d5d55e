// The book of silences: what it holds, keeps on the disk and refuses; and that a sink is not told of what it silences.
#include "central/sinks/silences.hpp"

#include <chrono>

#include "central/sinks/alert_teller.hpp"
#include "core/base/clock.hpp"
#include "core/journal/checkpoint.hpp"
#include "tests/analysis/world.hpp"

namespace weir::central::test {
namespace {

constexpr WallNs noon{base_ns};
constexpr WallNs after(std::uint64_t ns) {
    return {base_ns + ns};
}

AlertSilence silence(const std::string& rule, const std::string& key, std::uint64_t seconds) {
    return {.rule = rule, .key = key, .from_ns = noon.value, .to_ns = noon.value + seconds * second, .reason = "works"};
}

TEST(SilenceBook, SilencesARuleAKeyOrAllForItsTimeAlsoAfterARestart) {
    const Directory directory;
    {
        SilenceBook book(directory.path());
        ASSERT_TRUE(book.load().ok());
        EXPECT_EQ(book.add(silence("many", "", 60), noon).value(), 1U);
        EXPECT_EQ(book.add(silence("", "k1", 120), noon).value(), 2U);
        EXPECT_EQ(book.add(silence("gone", "", 60), noon).value(), 3U);
        EXPECT_TRUE(book.remove(3).value());
        EXPECT_FALSE(book.remove(3).value());
    }
    SilenceBook book(directory.path());
    ASSERT_TRUE(book.load().ok());
    EXPECT_TRUE(book.is_silenced("many", "k9", noon));
    EXPECT_TRUE(book.is_silenced("other", "k1", after(119 * second)));
    EXPECT_FALSE(book.is_silenced("other", "k1", after(120 * second)));
    EXPECT_FALSE(book.is_silenced("many", "k9", after(60 * second)));
    EXPECT_FALSE(book.is_silenced("many", "k9", WallNs{noon.value - 1}));
    EXPECT_FALSE(book.is_silenced("gone", "k9", noon));
    ASSERT_EQ(book.list(noon).size(), 2U);
    EXPECT_EQ(book.list(noon)[0].reason, "works");
    EXPECT_EQ(book.list(after(60 * second)).size(), 1U);
    EXPECT_EQ(book.add(silence("many", "", 60), noon).value(), 4U);  // a number is used once
}

TEST(SilenceBook, RefusesWhatIsOverTooLongOrTooMany) {
    const Directory directory;
    SilenceBook book(directory.path());
    EXPECT_FALSE(book.add(silence("many", "", 0), noon).ok());
    EXPECT_FALSE(book.add(silence("many", "", 60), after(60 * second)).ok());
    EXPECT_FALSE(book.add(silence(std::string(65, 'x'), "", 60), noon).ok());
    EXPECT_FALSE(book.add(silence("many", std::string(257, 'x'), 60), noon).ok());
    EXPECT_TRUE(book.list(noon).empty());
    const std::string nowhere = directory.path() + "/nowhere";
    SilenceBook unwritable(nowhere);
    EXPECT_FALSE(unwritable.add(silence("many", "", 60), noon).ok());
    EXPECT_FALSE(unwritable.is_silenced("many", "k", noon));
}

TEST(SilenceBook, AFileThatIsNoBookSilencesNothing) {
    const Directory directory;
    journal::CheckpointFile file(directory.path() + "/silences", 0);
    const std::string text = "SIL1 and something else";
    ASSERT_TRUE(file.store_now(std::as_bytes(std::span(text))).ok());
    SilenceBook book(directory.path());
    EXPECT_FALSE(book.load().ok());
    EXPECT_TRUE(book.list(noon).empty());
}

TEST(AlertTeller, DoesNotTellWhatIsSilencedAndCountsIt) {
    World world(150);
    world.compute();
    const auto told = [&](const std::string& more) {
        return static_cast<std::uint64_t>(world.number("SELECT count(*) FROM alerts WHERE fate = 'told'" + more));
    };
    ASSERT_GT(told(" AND name = 'many'"), 0U);
    ASSERT_GT(told(" AND name = 'open'"), 0U);
    SilenceBook book(world.config.data_dir);
    const WallNs now = wall_now();
    ASSERT_TRUE(book.add({.rule = "many", .to_ns = now.value + 3600 * second}, now).ok());
    SinkConfig sink;
    sink.name = "cat";
    sink.kind = SinkConfig::Kind::command;
    sink.command = {"/bin/cat"};
    AlertTeller teller(sink, world.config.data_dir, world.journal.durable, &book);
    teller.start();
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto& counters = teller.counters();
    while (counters.told.get() + counters.silenced.get() < told("") && std::chrono::steady_clock::now() < give_up) {
        std::this_thread::yield();
    }
    teller.stop();
    EXPECT_EQ(counters.told.get(), told(" AND name <> 'many'"));
    EXPECT_EQ(counters.silenced.get(), told(" AND name = 'many'"));
}

}  // namespace
}  // namespace weir::central::test
