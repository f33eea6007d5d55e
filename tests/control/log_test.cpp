#include "core/control/log.hpp"

#include <gtest/gtest.h>

namespace weir::control {
namespace {

constexpr MonotonicNs start{1'000 * ns_per_second};

TEST(LogFolder, ALineIsItsEventAndItsFields) {
    LogFolder folder;
    const auto line = folder.take(LogLevel::warn, "uplink_lost", {{"edge", "north"}, {"held_events", 812}}, start);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->level, LogLevel::warn);
    EXPECT_EQ(line->text, "event=uplink_lost edge=north held_events=812");
}

TEST(LogFolder, RepeatsAreCountedAndToldWithTheNextLine) {
    LogFolder folder;
    EXPECT_TRUE(folder.take(LogLevel::warn, "full", {{"edge", "a"}, {"held", 1}}, start));
    EXPECT_FALSE(folder.take(LogLevel::warn, "full", {{"edge", "a"}, {"held", 2}}, start.plus_ns(1)));
    EXPECT_FALSE(folder.take(LogLevel::warn, "full", {{"edge", "a"}, {"held", 3}}, start.plus_ns(2)));
    const auto line =
        folder.take(LogLevel::warn, "full", {{"edge", "a"}, {"held", 4}}, start.plus_ns(LogFolder::fold_ns));
    ASSERT_TRUE(line);
    EXPECT_EQ(line->text, "event=full edge=a held=4 repeats=2");
}

TEST(LogFolder, LinesAboutDifferentThingsOrOfDifferentLevelsAreNotFolded) {
    LogFolder folder;
    EXPECT_TRUE(folder.take(LogLevel::warn, "full", {{"edge", "a"}}, start));
    EXPECT_TRUE(folder.take(LogLevel::warn, "full", {{"edge", "b"}}, start));
    EXPECT_TRUE(folder.take(LogLevel::error, "full", {{"edge", "a"}}, start));
    EXPECT_TRUE(folder.take(LogLevel::warn, "empty", {{"edge", "a"}}, start));
}

TEST(LogFolder, FlushTellsWhatWasCountedOnceItIsDue) {
    LogFolder folder;
    (void)folder.take(LogLevel::warn, "full", {{"held", 1}}, start);
    (void)folder.take(LogLevel::warn, "full", {{"held", 2}}, start.plus_ns(1));
    EXPECT_TRUE(folder.flush(start.plus_ns(2), false).empty());
    const auto lines = folder.flush(start.plus_ns(LogFolder::fold_ns), false);
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0].text, "event=full held=2 repeats=1");
    EXPECT_TRUE(folder.flush(start.plus_ns(LogFolder::fold_ns + 1), true).empty());
}

TEST(LogFolder, FlushOfEverythingDoesNotWait) {
    LogFolder folder;
    (void)folder.take(LogLevel::warn, "full", {}, start);
    (void)folder.take(LogLevel::warn, "full", {}, start);
    EXPECT_EQ(folder.flush(start, true).size(), 1U);
}

TEST(LogFolder, NoRepeatIsLostWhenMemoryForTextsIsFull) {
    LogFolder folder;
    (void)folder.take(LogLevel::warn, "first", {}, start);
    (void)folder.take(LogLevel::warn, "first", {}, start.plus_ns(1));
    for (std::size_t index = 0; index < 2 * LogFolder::folds_max; ++index) {
        (void)folder.take(LogLevel::warn, "other", {{"text", std::to_string(index)}}, start.plus_ns(2 + index));
    }
    std::uint64_t repeats = 0;
    for (const auto& line : folder.flush(start.plus_ns(1'000), true)) {
        if (line.text == "event=first repeats=1") ++repeats;
    }
    EXPECT_EQ(repeats, 1U);
}

TEST(LogFolder, RepeatsOfTextsThatHadToMakeRoomAreCountedTogether) {
    LogFolder folder;
    for (std::size_t index = 0; index <= LogFolder::folds_max; ++index) {
        for (int times = 0; times < 3; ++times) {
            (void)folder.take(LogLevel::warn, "other", {{"text", std::to_string(index)}}, start.plus_ns(index));
        }
    }
    const auto lines = folder.flush(start.plus_ns(1'000), true);
    ASSERT_EQ(lines.size(), LogFolder::folds_max + 1);
    EXPECT_EQ(lines.back().text, "event=log_folds_full repeats=2");
}

TEST(LogFolder, AFieldNeverBecomesTwoFieldsOrTwoLines) {
    LogFolder folder;
    const auto line = folder.take(LogLevel::warn, "refused", {{"why", "a b=\"c\"\n\\"}, {"empty", ""}}, start);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->text, R"(event=refused why="a b=\"c\"\x0a\\" empty="")");
}

TEST(LogLevels, AreReadByTheirNames) {
    for (const auto level : {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error}) {
        EXPECT_EQ(parse_log_level(text(level)), level);
    }
    EXPECT_FALSE(parse_log_level("warning"));
}

TEST(Log, WritesALineWithItsTimeToStderrFromItsLevelOn) {
    testing::internal::CaptureStderr();
    log_open(LogLevel::warn);
    log_info("quiet");
    log_warn("uplink_lost", {{"edge", "north"}});
    const std::string out = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(out.ends_with("Z warn event=uplink_lost edge=north\n")) << out;
    EXPECT_EQ(out.find("quiet"), std::string::npos);
    EXPECT_EQ(out[10], 'T');
}

}  // namespace
}  // namespace weir::control
