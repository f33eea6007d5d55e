// The explorer itself: it sees exactly the outcomes that each memory allows.
#include <gtest/gtest.h>

#include <set>

#include "tests/interleaving/atomic.hpp"

namespace weir::interleaving {
namespace {

using Pair = std::pair<int, int>;

// Two threads of a litmus test, and what it collects of each run's end.
class Litmus final : public Scenario {
  public:
    struct Cells {
        atomic<int> x{0}, y{0};
        int first = -1, second = -1;  // what the threads saw
    };
    using Step = void (*)(Cells&);
    Litmus(Step one, Step two, std::set<Pair>& ends) : steps_{one, two}, ends_(ends) {}
    void run_thread(std::size_t thread) override { steps_[thread](cells_); }
    std::string judge() override {
        ends_.emplace(cells_.first, cells_.second);
        return {};
    }

  private:
    Cells cells_;
    Step steps_[2];
    std::set<Pair>& ends_;
};

std::set<Pair> ends_of(Memory memory, Litmus::Step one, Litmus::Step two) {
    std::set<Pair> ends;
    const Outcome outcome =
        Explorer::explore({.memory = memory}, [&] { return std::make_unique<Litmus>(one, two, ends); });
    EXPECT_TRUE(outcome.is_complete);
    return ends;
}

constexpr auto relaxed = std::memory_order_relaxed;

TEST(Explorer, StoreBuffersLetBothThreadsMissTheOthersStoreUnlessBothHaveAFence) {
    const Litmus::Step one = [](Litmus::Cells& cells) {
        cells.x.store(1, relaxed);
        cells.first = cells.y.load();
    };
    const Litmus::Step two = [](Litmus::Cells& cells) {
        cells.y.store(1, relaxed);
        cells.second = cells.x.load();
    };
    const Litmus::Step one_fenced = [](Litmus::Cells& cells) {
        cells.x.store(1, relaxed);
        ExploredSync::fence_seq_cst();
        cells.first = cells.y.load();
    };
    const Litmus::Step two_fenced = [](Litmus::Cells& cells) {
        cells.y.store(1, relaxed);
        ExploredSync::fence_seq_cst();
        cells.second = cells.x.load();
    };
    const std::set<Pair> in_order = {{0, 1}, {1, 0}, {1, 1}};
    const std::set<Pair> all = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
    EXPECT_EQ(ends_of(Memory::sequential, one, two), in_order);
    EXPECT_EQ(ends_of(Memory::store_buffers, one, two), all);
    EXPECT_EQ(ends_of(Memory::store_buffers, one_fenced, two), all);
    EXPECT_EQ(ends_of(Memory::store_buffers, one_fenced, two_fenced), in_order);
    EXPECT_EQ(ends_of(Memory::reordered_stores, one_fenced, two_fenced), in_order);
}

TEST(Explorer, StoresLeaveInOrderExceptRelaxedOnesWhereTheyMayBeReordered) {
    const Litmus::Step relaxed_writer = [](Litmus::Cells& cells) {
        cells.x.store(1, relaxed);
        cells.y.store(1, relaxed);
    };
    const Litmus::Step release_writer = [](Litmus::Cells& cells) {
        cells.x.store(1, relaxed);
        cells.y.store(1, std::memory_order_release);
    };
    const Litmus::Step reader = [](Litmus::Cells& cells) {
        cells.first = cells.y.load();
        cells.second = cells.x.load();
    };
    const std::set<Pair> in_order = {{0, 0}, {0, 1}, {1, 1}};
    const std::set<Pair> all = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
    EXPECT_EQ(ends_of(Memory::sequential, relaxed_writer, reader), in_order);
    EXPECT_EQ(ends_of(Memory::store_buffers, relaxed_writer, reader), in_order);
    EXPECT_EQ(ends_of(Memory::reordered_stores, relaxed_writer, reader), all);
    EXPECT_EQ(ends_of(Memory::reordered_stores, release_writer, reader), in_order);
}

TEST(Explorer, CountsEveryInterleavingOnce) {
    const Litmus::Step three_stores = [](Litmus::Cells& cells) {
        for (int i = 0; i < 3; ++i) cells.x.store(i, relaxed);
    };
    std::set<Pair> ends;
    const Outcome outcome =
        Explorer::explore({}, [&] { return std::make_unique<Litmus>(three_stores, three_stores, ends); });
    EXPECT_EQ(outcome.interleavings, 20);  // 6 over 3
    EXPECT_LT(outcome.runs, 20U);
}

}  // namespace
}  // namespace weir::interleaving
