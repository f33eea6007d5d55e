// The state's file: what is written is read again, and nothing else is taken for it.
#include "central/analysis/state_file.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "central/analysis/state_keeper.hpp"
#include "tests/central/central_bench.hpp"

namespace weir::central::test {
namespace {

StoredState some_state() {
    StoredState state;
    state.journal_id = 1;
    state.history = 2;
    state.position = 3;
    state.previous_crc = 4;
    state.definitions = 5;
    state.definitions_digest = 6;
    state.serials.last = {7, 8, 9, 10};
    state.engine = "the operators";
    return state;
}

std::string bytes_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(StateFile, IsReadAsItWasWrittenAndHasTheseBytes) {
    const Directory directory;
    const std::string path = state_path(directory.path());
    EXPECT_FALSE(read_state(path).value());
    ASSERT_TRUE(write_state(path, some_state()).ok());
    const auto read = read_state(path);
    ASSERT_TRUE(read.ok() && read.value());
    EXPECT_EQ(read.value()->journal_id, 1U);
    EXPECT_EQ(read.value()->history, 2U);
    EXPECT_EQ(read.value()->position, 3U);
    EXPECT_EQ(read.value()->previous_crc, 4U);
    EXPECT_EQ(read.value()->definitions, 5U);
    EXPECT_EQ(read.value()->definitions_digest, 6U);
    EXPECT_EQ(read.value()->serials, some_state().serials);
    EXPECT_EQ(read.value()->engine, "the operators");
    std::string golden("WAS1\4\0\0\0", 8);
    for (const int number : {1, 2, 3, 5, 6, 7, 8, 9, 10, 13})
        golden += static_cast<char>(number) + std::string(7, '\0');
    golden += "the operators";
    const std::string bytes = bytes_of(path);
    ASSERT_EQ(bytes.size(), golden.size() + 4);
    EXPECT_EQ(bytes.substr(0, golden.size()), golden);
}

TEST(StateFile, NoTruncationNoChangedBitAndNothingBehindItIsTakenForOne) {
    const Directory directory;
    const std::string path = state_path(directory.path());
    ASSERT_TRUE(write_state(path, some_state()).ok());
    const std::string whole = bytes_of(path);
    ASSERT_TRUE(parse_state(whole));
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
        EXPECT_FALSE(parse_state(whole.substr(0, bytes))) << bytes;
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
        std::string changed = whole;
        changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
        EXPECT_FALSE(parse_state(changed)) << bit;
    }
    EXPECT_FALSE(parse_state(whole + "x"));
}

TEST(StateKeeper, SyncsRowsAndWritesOneStateAfterTheOther) {
    const Directory directory;
    auto store = ResultStore::open(results_path(directory.path()));
    ASSERT_TRUE(store.ok() && store.value()->clear().ok());
    std::vector<std::uint64_t> waited;
    StateKeeper keeper(state_path(directory.path()), results_path(directory.path()), [&](std::uint64_t position) {
        waited.push_back(position);
        return Status(Done{});
    });
    for (std::uint64_t position = 1; position <= 20; ++position) {
        EXPECT_TRUE(keeper.finish().ok());
        StoredState state = some_state();
        state.position = position;
        analytics::StateCopy engine;
        engine.head = "at " + std::to_string(position);
        keeper.offer(std::move(state), std::move(engine));
    }
    EXPECT_TRUE(keeper.finish().ok());
    const auto last = read_state(state_path(directory.path())).value();
    EXPECT_EQ(last->position, 20U);
    EXPECT_EQ(last->engine, "at 20");
    EXPECT_EQ(waited.size(), 20U);
    EXPECT_EQ(waited.back(), 20U);
}

TEST(StateKeeper, SaysWhenAStateCouldNotBeWritten) {
    const Directory directory;
    auto store = ResultStore::open(results_path(directory.path()));
    ASSERT_TRUE(store.ok());
    Status rows = Error{1, "no rows"};
    StateKeeper keeper(directory.path() + "/nowhere/analytics.state", results_path(directory.path()),
                       [&](std::uint64_t) { return rows; });
    keeper.offer(some_state(), {});
    const Status without_rows = keeper.finish();
    ASSERT_FALSE(without_rows.ok());
    EXPECT_EQ(without_rows.error().what, "no rows");
    rows = Done{};
    keeper.offer(some_state(), {});
    EXPECT_FALSE(keeper.finish().ok());
    EXPECT_TRUE(keeper.finish().ok());  // once
    EXPECT_TRUE(keeper.is_idle());
}

}  // namespace
}  // namespace weir::central::test
