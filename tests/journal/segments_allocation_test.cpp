// Counts what a runner's thread allocates while its journal goes from segment to segment: operator new of this program tells.
#include "core/io/epoll_io.hpp"
#include "tests/counted_new.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

using weir::test::allocations;
using weir::test::counts_allocations;  // of this thread: the segment store's own may allocate

constexpr std::uint64_t segment_bytes = 8 * block_bytes;

TEST(Segments, AJournalThatGoesFromSegmentToSegmentAllocatesNothingOnItsRunner) {
    const Directory directory;
    auto made = io::make_epoll_io({});
    ASSERT_TRUE(made.ok());
    io::Io& io = *made.value();
    const auto store = make_segment_store(
        directory.path(), segment_bytes, 2, [](void* ringed) { static_cast<io::Io*>(ringed)->wake(); }, &io);
    JournalWriter writer(io, *store, {.directory = directory.path(), .journal_id = 7, .segment_bytes = segment_bytes},
                         {}, io::Token{});
    ASSERT_TRUE(writer.open().ok());
    Group group = group_of({batch_of(1, 2000)});
    const auto append_until = [&](std::uint64_t segment_index) {
        while (writer.end_position().value < segment_index * segment_bytes) {
            const bool is_taken = writer.append(group.span(), group.slots, WallNs{1}).has_value();
            ASSERT_FALSE(writer.is_poisoned());
            do {  // one at a time: the group's memory is the write's until then
                for (const auto& one : io.wait(io.now().plus_ns(is_taken ? ns_per_second : ns_per_ms)))
                    writer.on_completion(one);
            } while (writer.writes_in_flight() > 0);
            const std::uint64_t open = writer.durable_position().value / segment_bytes;
            if (open > 3) writer.release_before({(open - 3) * segment_bytes});
        }
    };
    append_until(4);
    counts_allocations = true;
    ::operator delete(::operator new(8));
    EXPECT_EQ(allocations, 1U) << "the counter counts: a look at it before it is trusted";
    allocations = 0;
    for (std::uint64_t index = 5; index <= 200; ++index) {
        append_until(index);
        if (index % 50 == 0) store->mark_damaged(index - 2);
    }
    counts_allocations = false;
    EXPECT_EQ(allocations, 0U);
    while (store->quarantined() < 3) std::this_thread::yield();
}

}  // namespace
}  // namespace weir::journal
