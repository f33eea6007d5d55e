// What the reader takes for damage, and what not.
#include <sys/resource.h>

#include "core/io/epoll_io.hpp"
#include "edge/spool/journal_reader.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::edge {
namespace {

constexpr std::uint64_t segment_bytes = 16 * journal::block_bytes;

class JournalReaderTest : public testing::Test {
  protected:
    JournalReaderTest() {
        auto made = io::make_epoll_io({});
        WEIR_ASSERT(made.ok());
        io = std::move(made.value());
    }
    // The next record, or none within a bounded number of steps.
    const ReadRecord* next(JournalReader& reader, Position durable_end, std::uint64_t piece_bytes = read_buffer_bytes) {
        for (int i = 0; i < 1000 && reader.peek() == nullptr; ++i) {
            static_cast<void>(reader.pump(durable_end, io->now(), piece_bytes));
            for (const auto& one : io->wait(io->now().plus_ns(ns_per_ms))) reader.on_completion(one);
        }
        return reader.peek();
    }

    journal::JournalBench bench{segment_bytes};
    std::unique_ptr<io::Io> io;
};

TEST_F(JournalReaderTest, WhatLiesBetweenTwoRecordsThatFollowEachOtherIsNoDamageWhateverGapIsFoundThere) {
    // The second does not fit the first segment, whose rest holds bytes of an earlier use.
    bench.append_durable({journal::batch_of(1, 3000)});
    bench.append_durable({journal::batch_of(2, segment_bytes - 2 * journal::block_bytes)});
    bench.save();
    {
        const journal::PosixFile file(bench.segment_path(0), O_RDWR);
        ASSERT_EQ(file.write(std::vector<std::byte>(journal::block_bytes, std::byte{0x5a}), 8 * journal::block_bytes),
                  0);
    }
    const Position end = bench.writer().durable_position();
    ASSERT_GT(end.value, segment_bytes);
    const JournalPlace place{.directory = bench.path(), .segment_bytes = segment_bytes, .journal_id = 7};
    JournalReader reader(*io, 0, 0, 0);
    reader.restart(place, {});
    ASSERT_NE(next(reader, end), nullptr);
    EXPECT_EQ(reader.peek()->first_sequence, 1U);
    reader.pop();
    const ReadRecord* second = next(reader, end);
    ASSERT_NE(second, nullptr);
    EXPECT_EQ(second->first_sequence, 2U);
    reader.confirm_suspect(*second);  // another lane's gap, of what is no longer kept
    EXPECT_EQ(reader.damaged_records(), 0U);
    EXPECT_FALSE(reader.take_damaged_segment().has_value());
    EXPECT_TRUE(io->quiesce());
}

TEST_F(JournalReaderTest, ReadInPiecesEachRecordComesOnceAndOneThatIsLongerThanAPieceToo) {
    Sequence last = 0;
    for (int round = 0; round < 4; ++round) {  // over several segments
        for (const std::size_t bytes : {100U, 9000U, 3000U, 30'000U, 3000U, 100U}) {
            bench.append_durable({journal::batch_of(last + 1, bytes)});
            ++last;
        }
    }
    bench.save();
    const Position end = bench.writer().durable_position();
    const JournalPlace place{.directory = bench.path(), .segment_bytes = segment_bytes, .journal_id = 7};
    for (const std::uint64_t piece :
         {std::uint64_t{1}, std::uint64_t{journal::block_bytes}, std::uint64_t{3} * journal::block_bytes}) {
        JournalReader reader(*io, 0, 0, 0);
        reader.restart(place, {});
        for (Sequence sequence = 1; sequence <= last; ++sequence) {
            ASSERT_NE(next(reader, end, piece), nullptr) << "piece of " << piece;
            EXPECT_EQ(reader.peek()->first_sequence, sequence);
            reader.pop();
        }
        EXPECT_TRUE(reader.is_caught_up(end));
        EXPECT_EQ(reader.damaged_records(), 0U);
        EXPECT_LT(reader.read_bytes(), 2 * end.value) << "what was cut off is read again, once";
    }
    EXPECT_TRUE(io->quiesce());
}

TEST_F(JournalReaderTest, RecordsThatAreLongerThanAPieceAreReadOnceEach) {
    constexpr Sequence count = 12;
    for (Sequence sequence = 1; sequence <= count; ++sequence)
        bench.append_durable({journal::batch_of(sequence, 30'000)});
    bench.save();
    const Position end = bench.writer().durable_position();
    ASSERT_GT(end.value, 3 * segment_bytes);
    const JournalPlace place{.directory = bench.path(), .segment_bytes = segment_bytes, .journal_id = 7};
    JournalReader reader(*io, 0, 0, 0, read_buffer_bytes_min);
    reader.restart(place, {});
    for (Sequence sequence = 1; sequence <= count; ++sequence) {
        ASSERT_NE(next(reader, end, 4 * journal::block_bytes), nullptr);
        EXPECT_EQ(reader.peek()->first_sequence, sequence);
        reader.pop();
    }
    EXPECT_LT(reader.read_bytes(), end.value / 10 * 12);
    EXPECT_TRUE(io->quiesce());
}

// Its header is whole and names more than the segment holds: a longer read does not help either.
TEST_F(JournalReaderTest, APieceWhoseRecordIsCutOffByTheEndOfItsFileIsNotAskedForForEver) {
    bench.append_durable({journal::batch_of(1, 100)});
    bench.append_durable({journal::batch_of(2, 30'000)});
    bench.save();
    const Position end = bench.writer().durable_position();
    ASSERT_EQ(::truncate(bench.segment_path(0).c_str(), 4 * journal::block_bytes), 0);
    const JournalPlace place{.directory = bench.path(), .segment_bytes = segment_bytes, .journal_id = 7};
    JournalReader reader(*io, 0, 0, 0);
    reader.restart(place, {});
    ASSERT_NE(next(reader, end, journal::block_bytes), nullptr);
    reader.pop();
    EXPECT_EQ(next(reader, end, journal::block_bytes), nullptr);
    EXPECT_TRUE(reader.is_caught_up(end));
    EXPECT_GT(reader.damaged_records(), 0U);
    EXPECT_TRUE(io->quiesce());
}

TEST_F(JournalReaderTest, WithoutADescriptorItWaitsAndNamesNothingAsGone) {
    bench.append_durable({journal::batch_of(1, 3000)});
    bench.save();
    const Position end = bench.writer().durable_position();
    const JournalPlace place{.directory = bench.path(), .segment_bytes = segment_bytes, .journal_id = 7};
    JournalReader reader(*io, 0, 0, 0);
    reader.restart(place, {});
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 0;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    MonotonicNs now = io->now();
    for (std::uint32_t i = 0; i < 3 * read_tries_max; ++i, now = now.plus_ns(2 * read_retry_ns))
        EXPECT_FALSE(reader.pump(end, now));
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(reader.damaged_records(), 0U);
    ASSERT_TRUE(reader.pump(end, now));
    ASSERT_NE(next(reader, end), nullptr);
    EXPECT_EQ(reader.peek()->first_sequence, 1U);
    EXPECT_TRUE(io->quiesce());
}

}  // namespace
}  // namespace weir::edge
