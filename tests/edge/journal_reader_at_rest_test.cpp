// What a stream that catches up reads of an encrypted journal: with its keys, without one, and where somebody wrote without them.
#include "core/io/epoll_io.hpp"
#include "edge/spool/journal_reader.hpp"
#include "tests/journal/journal_bench.hpp"

namespace weir::edge {
namespace {

constexpr std::uint64_t segment_bytes = 8 * journal::block_bytes;

class JournalReaderAtRest : public testing::Test {
  protected:
    JournalReaderAtRest() : io(std::move(io::make_epoll_io({}).value())) {}

    // The first sequences of all records up to the durable end; whose bytes are not right is a failure.
    std::vector<Sequence> read_all(const JournalPlace& from, std::uint64_t piece_bytes = read_buffer_bytes) {
        JournalReader reader(*io, 0, 0, 0);
        reader.restart(from, {});
        const Position end = bench.writer().durable_position();
        std::vector<Sequence> read;
        for (int i = 0; i < 1000 && !reader.is_caught_up(end); ++i) {
            static_cast<void>(reader.pump(end, io->now(), piece_bytes));
            for (const auto& one : io->wait(io->now().plus_ns(ns_per_ms))) reader.on_completion(one);
            for (; reader.peek() != nullptr; reader.pop()) {
                const ReadRecord& record = *reader.peek();
                read.push_back(record.first_sequence);
                const auto expected = journal::batch_of(record.first_sequence, payload_of(record.first_sequence));
                EXPECT_EQ(record.batch_bytes, expected.size());
                EXPECT_TRUE(std::equal(expected.begin(), expected.end(), record.batch)) << record.first_sequence;
            }
        }
        damaged = reader.damaged_records();
        locked = reader.locked_records();
        damaged_segment = reader.take_damaged_segment();
        EXPECT_TRUE(io->quiesce());
        io = std::move(io::make_epoll_io({}).value());
        return read;
    }
    static std::size_t payload_of(std::uint64_t number) { return 100 + number * 577 % 5000; }
    void append(std::uint64_t first, std::uint64_t last) {
        for (std::uint64_t number = first; number <= last; ++number) {
            bench.append_durable({journal::batch_of(number, payload_of(number))});
        }
        bench.save();
    }

    journal::UseKeys keys{1, 2};
    journal::JournalBench bench{segment_bytes, 0, 1};
    std::unique_ptr<io::Io> io;
    const JournalPlace place{.directory = bench.path(), .segment_bytes = segment_bytes, .journal_id = 7};
    std::uint64_t damaged = 0, locked = 0;
    std::optional<std::uint64_t> damaged_segment;
};

TEST_F(JournalReaderAtRest, EveryRecordIsReadBackUnderWhicheverKeyAndWithoutOne) {
    append(1, 20);
    for (const std::uint32_t key_id : {2U, 0U, 1U}) {
        bench.use_key(key_id);
        const std::uint64_t last = bench.restart().numbers.back();
        append(last + 1, last + 10);
    }
    EXPECT_EQ(read_all(place), journal::numbers(1, 50));
    EXPECT_EQ(read_all(place, journal::block_bytes), journal::numbers(1, 50));
    EXPECT_EQ(damaged, 0U);
    EXPECT_EQ(locked, 0U);
}

TEST_F(JournalReaderAtRest, WhatIsUnderAKeyThatIsGoneIsPassedOverAndNoDamage) {
    append(1, 5);
    bench.use_key(2);
    static_cast<void>(bench.restart());
    append(6, 9);
    const journal::UseKeys left{2};
    EXPECT_EQ(read_all(place, journal::block_bytes), journal::numbers(6, 9));
    EXPECT_EQ(damaged, 0U);
    EXPECT_EQ(locked, 5U);
    EXPECT_FALSE(damaged_segment.has_value());
}

TEST_F(JournalReaderAtRest, AChangedBitIsDamage) {
    append(1, 3);
    auto content = journal::file_content(bench.segment_path(0));
    content[2 * journal::block_bytes + 400] ^= std::byte{4};
    journal::put_file(bench.segment_path(0), content);
    EXPECT_EQ(read_all(place, journal::block_bytes), (std::vector<Sequence>{1, 3}));
    EXPECT_EQ(damaged, 1U);
    EXPECT_EQ(damaged_segment, 0U);
}

TEST_F(JournalReaderAtRest, APlainRecordIsNoneBehindThePlaceUpToWhichTheyMayBe) {
    append(1, 3);
    bench.use_key(0);
    static_cast<void>(bench.restart());
    append(4, 6);
    EXPECT_EQ(read_all(place), journal::numbers(1, 6));
    JournalPlace sealed_only = place;
    sealed_only.plain_until = {segment_bytes};
    EXPECT_EQ(read_all(sealed_only), journal::numbers(1, 3));
}

}  // namespace
}  // namespace weir::edge
