// Writer, segments and scanner together: what is durable comes back, and nothing that is not whole.
#include <fstream>
#include <random>
#include <set>

#include "tests/journal/journal_bench.hpp"

namespace weir::journal {
namespace {

TEST(JournalWriter, WhatWasAppendedIsReadBackInOrder) {
    JournalBench bench;
    for (std::uint64_t number = 1; number <= 9; number += 3) {
        bench.append_durable({batch_of(number, 100), batch_of(number + 1, 5000), batch_of(number + 2, 1)});
    }
    const Found found = bench.read();
    EXPECT_EQ(found.numbers, numbers(1, 9));
    EXPECT_EQ(found.damaged, 0U);
    EXPECT_EQ(found.fault, "");
    EXPECT_EQ(found.tail.end, bench.writer().end_position());
}

TEST(JournalWriter, DurablePositionMovesInOrderWhateverTheDisksOrder) {
    JournalBench bench;
    const Position begin = bench.writer().durable_position();
    const Position first = bench.append({batch_of(1, 100)});
    const Position second = bench.append({batch_of(2, 100)});
    bench.append({batch_of(3, 100)});
    EXPECT_EQ(first, begin);
    bench.complete(1);
    EXPECT_EQ(bench.writer().durable_position(), begin);
    bench.complete(0);
    EXPECT_EQ(bench.writer().durable_position().value, second.value + block_bytes);
    bench.complete(0);
    EXPECT_EQ(bench.writer().durable_position(), bench.writer().end_position());
}

TEST(JournalWriter, TakesNoMoreThanFourWritesAtATime) {
    JournalBench bench;
    for (std::uint64_t number = 1; number <= writes_in_flight_max; ++number) bench.append({batch_of(number, 10)});
    const Group more = group_of({batch_of(9, 10)});
    EXPECT_FALSE(bench.writer().can_append(more.bytes));
    EXPECT_FALSE(bench.writer().append(more.span(), more.slots, {}).has_value());
    bench.complete(0);
    EXPECT_TRUE(bench.writer().append(more.span(), more.slots, {}).has_value());
    bench.complete_all();
}

TEST(JournalWriter, FirstFailedWritePoisonsForEver) {
    JournalBench bench;
    bench.append_durable({batch_of(1, 100)});
    const Position durable = bench.writer().durable_position();
    bench.append({batch_of(2, 100)});
    bench.append({batch_of(3, 100)});
    bench.writer().on_completion(bench.io().fail(0, EIO));
    bench.complete(0);
    EXPECT_TRUE(bench.writer().is_poisoned());
    EXPECT_EQ(bench.writer().poison_errno(), EIO);
    EXPECT_EQ(bench.writer().durable_position(), durable);
    EXPECT_EQ(bench.writer().writes_in_flight(), 0U);
    EXPECT_FALSE(bench.writer().can_append(block_bytes));
}

TEST(JournalWriter, AShortWritePoisonsToo) {
    JournalBench bench;
    bench.append({batch_of(1, 100)});
    io::Completion completion = bench.io().complete(0);
    completion.result = 512;
    bench.writer().on_completion(completion);
    EXPECT_TRUE(bench.writer().is_poisoned());
}

TEST(JournalWriter, RollsWithoutCuttingAGroupAndClosesTheSegmentBefore) {
    JournalBench bench(8 * block_bytes);
    std::vector<Position> positions;
    for (std::uint64_t number = 1; number <= 12; ++number) {
        positions.push_back(
            bench.append({batch_of(number, 9000)}));  // three blocks: two groups a segment, one block over
        bench.complete_all();
    }
    EXPECT_EQ(positions[2].value, 8U * block_bytes + segment_header_bytes);
    EXPECT_EQ(bench.io().open_count(), 1U);
    EXPECT_EQ(bench.read().numbers, numbers(1, 12));
    EXPECT_EQ(bench.read(positions[5]).numbers, numbers(6, 12));
    EXPECT_EQ(bench.read({positions[5].value - 3 * 4096 + 4096 * 3}).numbers, numbers(6, 12));
}

TEST(JournalWriter, GroupsThatWaitedAreWrittenToTheSegmentTheyBelongTo) {
    JournalBench bench(8 * block_bytes);
    bench.use_gathering();
    bench.start({});
    // Three blocks each, two a segment: the third's write waits while the two before it are under way, and no more fit a segment.
    for (std::uint64_t number = 1; number <= 4; ++number) bench.append({batch_of(number, 9000)});
    EXPECT_EQ(bench.io().pending_count(), short_writes_max);
    EXPECT_EQ(bench.io().open_count(), 2U);
    EXPECT_FALSE(bench.writer().can_append(3 * block_bytes)) << "a third segment would be open";
    bench.complete(0);
    EXPECT_EQ(bench.io().open_count(), 2U);
    bench.complete(0);
    EXPECT_EQ(bench.io().open_count(), 1U) << "all of the first is written";
    bench.complete_all();
    EXPECT_EQ(bench.writer().durable_position(), bench.writer().end_position());
    EXPECT_EQ(bench.read().numbers, numbers(1, 4));
}

TEST(JournalWriter, ASegmentFilledToItsLastByteGoesOnInTheNext) {
    JournalBench bench(4 * block_bytes);
    for (std::uint64_t number = 1; number <= 3; ++number) bench.append_durable({batch_of(number, 100)});
    const Found full = bench.restart();
    EXPECT_EQ(full.tail.end.value, 4U * block_bytes);
    bench.append_durable({batch_of(4, 100)});
    EXPECT_EQ(bench.read().numbers, numbers(1, 4));
}

TEST(JournalWriter, ReleasesWholeSegmentsOnlyAndTheRestIsReadFromTheFirstKept) {
    JournalBench bench(4 * block_bytes, 2);
    std::vector<Position> positions;
    for (std::uint64_t number = 1; number <= 12; ++number) {
        positions.push_back(bench.append({batch_of(number, 100)}));
        bench.complete_all();
    }
    bench.save();
    bench.writer().release_before(positions[7]);
    while (std::filesystem::exists(bench.segment_path(1))) std::this_thread::yield();
    EXPECT_TRUE(std::filesystem::exists(bench.segment_path(2)));
    const Found found = read_all(bench.path());
    EXPECT_EQ(found.numbers, numbers(7, 12));
    EXPECT_EQ(found.fault, "");
}

TEST(JournalWriter, StaleRecordsOfARecycledSegmentAreNeverRead) {
    JournalBench bench(4 * block_bytes, 4);
    std::uint64_t number = 1;
    for (int round = 0; round < 30; ++round) {
        bench.append_durable({batch_of(number, 100)});
        ++number;
        bench.save();
        bench.writer().release_before(bench.writer().durable_position());
        const Found found = read_all(bench.path());
        ASSERT_FALSE(found.numbers.empty());
        ASSERT_EQ(found.numbers, numbers(found.numbers.front(), number - 1)) << round;
        ASSERT_EQ(found.damaged, 0U) << found.fault;
    }
}

TEST(Journal, ATailTornAtEveryEighthByteIsCutToWholeRecords) {
    JournalBench bench;
    bench.append_durable({batch_of(1, 100), batch_of(2, 200)});
    const Position begin = bench.append({batch_of(3, 100), batch_of(4, 300), batch_of(5, 4200)});
    bench.complete_all();
    bench.save();
    const auto whole = file_content(bench.segment_path(0));
    const auto end = bench.writer().end_position().value;
    std::set<std::size_t> counts;
    for (std::uint64_t cut = begin.value; cut < end; cut += 8) {
        auto torn = whole;
        std::fill(torn.begin() + static_cast<std::ptrdiff_t>(cut), torn.begin() + static_cast<std::ptrdiff_t>(end),
                  std::byte{0});
        put_file(bench.segment_path(0), torn);
        const Found found = read_all(bench.path());
        ASSERT_GE(found.numbers.size(), 2U);
        ASSERT_EQ(found.numbers, numbers(1, found.numbers.size())) << cut;
        ASSERT_EQ(found.damaged, 0U);
        ASSERT_EQ(found.tail.end.value % block_bytes, 0U);
        counts.insert(found.numbers.size());
    }
    EXPECT_EQ(counts, (std::set<std::size_t>{2, 3, 4, 5}));
}

TEST(Journal, EveryFlippedBitIsSeen) {
    JournalBench bench(4 * block_bytes);
    bench.append_durable({batch_of(1, 24)});
    bench.append_durable({batch_of(2, 24)});
    bench.append_durable({batch_of(3, 24)});
    bench.save();
    const auto whole = file_content(bench.segment_path(0));
    // Each block's record, and some of its padding.
    for (std::size_t block = 1; block < 4; ++block) {
        for (std::size_t at = 0; at < 300; ++at) {
            for (unsigned bit = 0; bit < 8; bit += 1) {
                auto broken = whole;
                broken[block * block_bytes + at] ^= static_cast<std::byte>(1U << bit);
                put_file(bench.segment_path(0), broken);
                const Found found = read_all(bench.path());  // compares every byte that is handed out
                std::vector<std::uint64_t> expected = numbers(1, 3);
                const auto batch_bytes = static_cast<std::uint32_t>(batch_of(1, 24).size());
                if (at < stored_bytes(batch_bytes, default_key_id() != 0)) {
                    expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(block - 1));
                    // Record 3 was written when 2 was durable: that proves damage. Nothing proves it of 3.
                    ASSERT_EQ(found.damaged, block < 3 ? 1U : 0U) << block << ":" << at;
                    ASSERT_EQ(found.fault.empty(), block == 3);
                }
                ASSERT_EQ(found.numbers, expected) << block << ":" << at << ":" << bit;
            }
        }
    }
}

TEST(Journal, ADamagedSegmentHeaderIsNamedAndItsFileIsNeverWrittenOver) {
    JournalBench bench(4 * block_bytes);
    bench.append_durable({batch_of(1, 24)});
    bench.save();
    auto broken = file_content(bench.segment_path(0));
    broken[9] ^= std::byte{1};
    put_file(bench.segment_path(0), broken);
    while (!bench.store().ready(1)) std::this_thread::yield();  // made ahead, by the store's thread
    std::filesystem::remove(bench.segment_path(1));
    const Found found = read_all(bench.path());
    EXPECT_TRUE(found.numbers.empty());
    EXPECT_NE(found.fault.find(segment_file_name(0)), std::string::npos);
    EXPECT_EQ(found.tail.end.value, 4U * block_bytes);
    bench.start(found.tail);
    bench.append_durable({batch_of(2, 24)});
    EXPECT_EQ(bench.read().numbers, numbers(2, 2));
    EXPECT_EQ(file_content(bench.segment_path(0)), broken);
}

TEST(Journal, AMissingSegmentInTheMiddleIsDamageAndTheRestIsRead) {
    JournalBench bench(4 * block_bytes);
    for (std::uint64_t number = 1; number <= 10; ++number) bench.append_durable({batch_of(number, 100)});
    bench.save();
    std::filesystem::remove(bench.segment_path(1));
    const Found found = read_all(bench.path());
    EXPECT_EQ(found.numbers, (std::vector<std::uint64_t>{1, 2, 3, 7, 8, 9, 10}));
    EXPECT_EQ(found.damaged, 1U);
}

TEST(Journal, ALaterWriteThatLandedBeforeALostOneIsCutSavedAndNeverComesBack) {
    JournalBench bench;
    bench.append_durable({batch_of(1, 100)});
    bench.append({batch_of(2, 100)});
    bench.append({batch_of(3, 100)});
    bench.io().complete(1);  // 3 lands, 2 does not: the crash comes between
    const Found found = bench.restart();
    EXPECT_EQ(found.numbers, numbers(1, 1));
    EXPECT_EQ(found.damaged, 0U);
    const Position again = bench.append({batch_of(2, 50)});
    bench.complete_all();
    EXPECT_EQ(bench.read({again.value + block_bytes}).numbers, std::vector<std::uint64_t>{});
    EXPECT_EQ(bench.read().numbers, numbers(1, 2));
    const auto is_cut = [](const auto& entry) { return entry.path().extension() == ".cut"; };
    EXPECT_EQ(std::count_if(std::filesystem::directory_iterator(bench.path()), {}, is_cut), 1);
}

TEST(Scanner, FollowsAWriterBesideIt) {
    JournalBench bench(4 * block_bytes);
    auto opened = Scanner::open(bench.path(), {});
    ASSERT_TRUE(opened.ok());
    Scanner& scanner = opened.value();
    EXPECT_FALSE(scanner.next().has_value());
    for (std::uint64_t number = 1; number <= 10; ++number) {
        bench.append_durable({batch_of(number, 100)});
        bench.save();
        const auto record = scanner.next();
        ASSERT_TRUE(record.has_value()) << number;
        EXPECT_EQ(record->batch_header.first_sequence, number);
        EXPECT_FALSE(scanner.next().has_value());
    }
    EXPECT_EQ(scanner.fault(), "");
}

// Bytes that this process has read from files so far.
std::uint64_t bytes_read() {
    std::ifstream io("/proc/self/io");
    std::string name;
    std::uint64_t bytes = 0;
    io >> name >> bytes;
    EXPECT_EQ(name, "rchar:");
    return bytes;
}

TEST(Scanner, BesideAWriterItReadsWhatIsNewAndNotTheRestOfTheSegment) {
    JournalBench bench(8192 * block_bytes);
    auto told = Scanner::open(bench.path(), {});
    auto untold = Scanner::open(bench.path(), {});
    ASSERT_TRUE(told.ok() && untold.ok());
    std::uint64_t by_told = 0, by_untold = 0;
    constexpr std::uint64_t records = 40;
    for (std::uint64_t number = 1; number <= records; ++number) {
        bench.append_durable({batch_of(number, 100)});
        bench.save();
        const std::uint64_t before = bytes_read();
        told.value().expect(bench.writer().durable_position());
        EXPECT_TRUE(told.value().next().has_value()) << number;
        const std::uint64_t between = bytes_read();
        EXPECT_TRUE(untold.value().next().has_value()) << number;
        if (number > 1) by_told += between - before;
        if (number > 1) by_untold += bytes_read() - between;
    }
    // At the end: who was told so does not look for more, as someone else does.
    const std::uint64_t at_end = bytes_read();
    for (int look = 0; look < 3; ++look) EXPECT_FALSE(told.value().next().has_value());
    const std::uint64_t after_told = bytes_read();
    EXPECT_FALSE(untold.value().next().has_value());
    EXPECT_LT(after_told - at_end, block_bytes);
    EXPECT_GT(bytes_read() - after_told, 1U << 20U);
    // Nor where more is durable than records reach to, as where a writer has gone on to another segment: once, and not again.
    told.value().expect({bench.writer().durable_position().value + block_bytes});
    EXPECT_FALSE(told.value().next().has_value());
    const std::uint64_t after_look = bytes_read();
    EXPECT_FALSE(told.value().next().has_value());
    EXPECT_LT(bytes_read() - after_look, block_bytes);
    EXPECT_LT(by_told, records * 4 * block_bytes);
    EXPECT_LT(by_untold, records * (3U << 20U)) << "what was read ahead is old, and nothing is searched for that";
}

TEST(Scanner, WhatIsStillInMemoryIsNotReadFromTheDiskAndTheRestIs) {
    // Six of these groups a segment, with two blocks over; half a segment is in memory.
    RecentBytes recent(8 * block_bytes);
    JournalBench bench;
    bench.use_recent(recent);
    bench.restart();
    auto opened = Scanner::open(bench.path(), {});
    ASSERT_TRUE(opened.ok());
    Scanner& scanner = opened.value();
    std::vector<std::uint64_t> segments;
    scanner.on_segment([&](std::uint64_t index) { segments.push_back(index); });
    scanner.read_recent_from(recent);
    std::uint64_t seen = 0;
    const auto follow = [&](std::uint64_t last) {
        scanner.expect(bench.writer().durable_position());
        while (seen < last) {
            const auto record = scanner.next();
            ASSERT_TRUE(record.has_value()) << seen + 1 << " " << scanner.fault();
            const auto expected = batch_of(++seen, 5000);
            ASSERT_TRUE(std::equal(expected.begin(), expected.end(), record->batch.begin(), record->batch.end()));
        }
    };
    // Close behind: nothing of it is in the files yet.
    for (std::uint64_t number = 1; number <= 20; ++number) {
        bench.append_durable({batch_of(number, 5000)});
        ASSERT_NO_FATAL_FAILURE(follow(number));
    }
    EXPECT_EQ(scanner.bytes_from_disk(), 0U);
    EXPECT_GT(scanner.bytes_from_memory(), 20U * 5000U);
    // Too far behind: from the files, and close behind again.
    for (std::uint64_t number = 21; number <= 40; ++number) bench.append_durable({batch_of(number, 5000)});
    bench.save();
    ASSERT_NO_FATAL_FAILURE(follow(40));
    EXPECT_GT(scanner.bytes_from_disk(), 10U * 5000U);
    const std::uint64_t from_disk = scanner.bytes_from_disk();
    for (std::uint64_t number = 41; number <= 43; ++number) {
        bench.append_durable({batch_of(number, 5000)});
        ASSERT_NO_FATAL_FAILURE(follow(number));
    }
    EXPECT_EQ(scanner.bytes_from_disk(), from_disk);
    EXPECT_FALSE(scanner.next().has_value());
    EXPECT_EQ(scanner.fault(), "");
    for (std::size_t i = 0; i < segments.size(); ++i) EXPECT_EQ(segments[i], i) << "told of each once, in order";
    EXPECT_GT(segments.size(), 4U);
}

// The model is a vector: everything durable comes back after every crash, in order; of what was not, a prefix may.
TEST(JournalModel, RandomGroupsAndCrashesKeepEverythingDurableInOrder) {
    for (std::uint32_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        const auto below = [&](std::uint32_t bound) { return random() % bound; };
        JournalBench bench(8 * block_bytes, 1);
        if (seed % 2 == 0) {
            bench.use_gathering();
            bench.start({});
        }
        std::uint64_t last = 0;  // appended
        std::deque<std::pair<Position, std::uint64_t>>
            ends;  // of each group that is not durable: its end, its last number
        std::uint64_t durable = 0;
        for (int step = 0; step < 120; ++step) {
            if (const auto dice = below(10); dice < 5 && ends.size() < bench.groups_max()) {
                if (!bench.writer().can_append(6 * block_bytes) && bench.io().pending_count() > 0) {
                    bench.complete(0);
                } else {
                    std::vector<std::vector<std::byte>> batches;
                    for (std::uint32_t i = 0; i <= below(3); ++i) batches.push_back(batch_of(++last, 1 + below(5000)));
                    bench.append(batches);
                    ends.push_back({bench.writer().end_position(), last});
                }
            } else if (dice < 9) {
                if (bench.io().pending_count() > 0)
                    bench.complete(below(static_cast<std::uint32_t>(bench.io().pending_count())));
            } else {
                while (bench.io().pending_count() > 0) {
                    bench.io().tear(0, 512, [&](std::size_t) { return below(2) == 0; });
                }
                const Found found = bench.restart();
                ASSERT_EQ(found.damaged, 0U) << found.fault;
                ASSERT_GE(found.numbers.size(), durable);
                ASSERT_LE(found.numbers.size(), last);
                ASSERT_EQ(found.numbers, numbers(1, found.numbers.size()));
                last = durable = found.numbers.size();
                ends.clear();
            }
            while (!ends.empty() && ends.front().first <= bench.writer().durable_position()) {
                durable = ends.front().second;
                ends.pop_front();
            }
        }
    }
}

// The model is a vector of (position, number): read from any record that is kept, the rest of the vector comes back, whatever was
// released before it and however often the journal was opened anew.
TEST(JournalModel, FromAnyKeptRecordTheRestOfTheVectorIsRead) {
    for (std::uint32_t seed = 1; seed <= 15; ++seed) {
        std::mt19937 random(seed);
        const std::uint64_t segment_bytes = (4 + random() % 8) * block_bytes;
        JournalBench bench(segment_bytes, random() % 2);
        std::vector<std::pair<Position, std::uint64_t>> model;  // of the first record of each group
        std::uint64_t last = 0;
        std::size_t released = 0;  // groups before this one need not be there
        for (int step = 0; step < 60; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            const auto dice = random() % 10;
            if (dice < 6 || model.empty()) {
                std::vector<std::vector<std::byte>> batches;
                const std::uint64_t first = last + 1;
                for (std::uint32_t i = 0; i <= random() % 3; ++i)
                    batches.push_back(batch_of(++last, 1 + random() % 2500));
                const Position position = bench.append(batches);
                bench.complete_all();
                model.emplace_back(position, first);
            } else if (dice < 7) {
                bench.save();
                released += random() % (model.size() - released);
                bench.writer().release_before(model[released].first);
            } else if (dice < 8) {
                const Found found = bench.restart();
                ASSERT_EQ(found.fault, "");
                ASSERT_FALSE(found.numbers.empty());
                // Whole segments only: what is released may still be there, what is not must be.
                ASSERT_LE(found.numbers.front(), model[released].second);
                ASSERT_EQ(found.numbers, numbers(found.numbers.front(), last));
            } else {
                const auto& [position, number] = model[released + random() % (model.size() - released)];
                const Found found = bench.read(position);
                ASSERT_EQ(found.fault, "");
                ASSERT_EQ(found.numbers, numbers(number, last));
                // A writer that was opened at a segment's very end stands behind the next one's header already.
                const std::uint64_t end = bench.writer().end_position().value;
                ASSERT_TRUE(found.tail.end.value == end || found.tail.end.value + segment_header_bytes == end);
            }
        }
    }
}

}  // namespace
}  // namespace weir::journal
