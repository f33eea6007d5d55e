// The ring of a lane in memory, against a deque; and the promise of its sequences, against every checkpoint that a crash could leave.
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <set>
#include <vector>

#include "edge/spool/memory_journal.hpp"
#include "edge/spool/sequence_promise.hpp"

namespace weir::edge::test {
namespace {

constexpr std::uint64_t ring_bytes = 4096;

struct Kept {
    MemoryRecord record;
    std::vector<std::byte> bytes;
};

std::vector<std::byte> batch_of(std::mt19937& random, std::uint32_t bytes) {
    std::vector<std::byte> batch(bytes);
    for (std::byte& one : batch) one = static_cast<std::byte>(random());
    return batch;
}

void expect_same(const MemoryRecord& record, const Kept& kept) {
    EXPECT_EQ(record.begin, kept.record.begin);
    EXPECT_EQ(record.end, kept.record.end);
    EXPECT_EQ(record.first_sequence, kept.record.first_sequence);
    EXPECT_EQ(record.last_sequence, kept.record.last_sequence);
    EXPECT_EQ(record.arrived_at, kept.record.arrived_at);
    ASSERT_EQ(record.batch_bytes, kept.bytes.size());
    EXPECT_TRUE(std::equal(kept.bytes.begin(), kept.bytes.end(), record.batch));
}

TEST(MemoryJournal, HoldsWhatADequeHoldsWithinItsBytesWhateverComesAndGoes) {
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        MemoryJournal journal(ring_bytes, {seed * 4096ULL});
        std::deque<Kept> model;
        Sequence next = 1;
        Position cursor = journal.begin();  // all before it was handed on
        for (int step = 0; step < 3000; ++step) {
            const auto what = random() % 4;
            if (what < 2) {
                const auto bytes = static_cast<std::uint32_t>(200 + random() % (step % 7 == 0 ? 3000 : 500));
                auto batch = batch_of(random, bytes);
                const auto events = static_cast<std::uint32_t>(1 + random() % 5);
                const MonotonicNs now{static_cast<std::uint64_t>(step)};
                const auto kept = journal.append({batch, next, next + events - 1}, now);
                if (!kept) {
                    // Only where it would reach over what is held, or over the ring's end and then over it.
                    EXPECT_GT(journal.held_bytes() + 2 * MemoryJournal::stored_bytes(bytes), ring_bytes);
                    continue;
                }
                EXPECT_EQ(kept->first_sequence, next);
                next += events;
                model.push_back({*kept, std::move(batch)});
            } else if (what == 2 && !model.empty()) {
                // As central acks: up to the end of some batch.
                const std::size_t gone = 1 + random() % model.size();
                cursor = std::max(cursor, model[gone - 1].record.end);
                journal.release_before(model[gone - 1].record.end);
                model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(gone));
            } else {
                journal.release_before(journal.begin());  // nothing ends there
            }
            EXPECT_LE(journal.held_bytes(), ring_bytes);
            Position at = cursor;
            for (const Kept& kept : model) {
                const auto record = journal.at(at);
                ASSERT_TRUE(record.has_value());
                expect_same(*record, kept);
                at = record->end;
            }
            EXPECT_FALSE(journal.at(at).has_value());
            EXPECT_EQ(journal.held_bytes() == 0, model.empty());
        }
    }
}

TEST(MemoryJournal, AnEmptyOneTakesABatchAsLongAsItWhereverItStands) {
    MemoryJournal journal(ring_bytes, {});
    std::mt19937 random(1);
    const auto longest = batch_of(random, ring_bytes - 56);
    ASSERT_EQ(MemoryJournal::stored_bytes(static_cast<std::uint32_t>(longest.size())), ring_bytes);
    const auto small = journal.append({batch_of(random, 300), 1, 1}, {});
    ASSERT_TRUE(small.has_value());
    EXPECT_FALSE(journal.append({longest, 2, 2}, {}).has_value());
    journal.release_before(small->end);
    const auto kept = journal.append({longest, 2, 2}, {});
    ASSERT_TRUE(kept.has_value());
    EXPECT_EQ(journal.at(small->end)->begin, kept->begin) << "who was at the end goes on there";
    EXPECT_EQ(journal.held_bytes(), ring_bytes);
}

// What a crash could find: the newer copy if it was stored, or either of the two while one is being written; where the newer one
// cannot be read, the older.
TEST(SequencePromise, NothingIsSentThatALaterStartWouldGiveOutAgain) {
    for (std::uint32_t seed = 1; seed <= 50; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        std::mt19937 random(seed);
        SequencePromise promise(random() % 1000);
        struct Copy {
            Sequence promised = 0;
            std::uint64_t ahead = 0;
        };
        Copy newer{promise.promised(), promise.ahead()};
        Copy older = newer, storing = newer;
        Sequence last = promise.promised(), sent = last;
        MonotonicNs now{};
        std::vector<Copy> failed;  // written all the same, who knows
        bool is_storing = false;
        for (int step = 0; step < 2000; ++step) {
            now = now.plus_ns(random() % 4 == 0 ? random() % (3 * ns_per_second) : random() % ns_per_ms);
            if (random() % 3 == 0) last += random() % (random() % 8 == 0 ? 20'000 : 200);
            if (!is_storing && (promise.wants_more(last) || random() % 16 == 0)) {
                promise.begin_store(last, now);
                storing = {promise.promised(), promise.ahead()};
                is_storing = true;
            } else if (is_storing && random() % 2 == 0) {
                is_storing = false;
                if (random() % 10 == 0) {
                    failed.push_back(storing);
                } else {
                    older = newer;
                    newer = storing;
                    failed.clear();
                    promise.stored();
                }
            }
            sent = std::max(sent, std::min(last, promise.allowed()));
            ASSERT_LE(sent, newer.promised);
            ASSERT_LE(sent, is_storing ? storing.promised : UINT64_MAX);
            for (const Copy& one : failed) ASSERT_LE(sent, one.promised);
            ASSERT_LE(sent, SequencePromise::beyond_lost_copy(older.promised, older.ahead));
        }
        // A lane that is quiet leaves no hole.
        for (int i = 0; i < 40 && promise.promised() != last; ++i) {
            promise.begin_store(last, now);
            promise.stored();
        }
        EXPECT_EQ(promise.promised(), last);
    }
}

TEST(SequencePromise, ASteadyLaneCostsACheckpointASecondAndNoMore) {
    SequencePromise promise;
    Sequence last = 0;
    int stores = 0;
    for (std::uint64_t ms = 0; ms < 60'000; ++ms) {
        last += 1000;  // a million a second
        if (!promise.wants_more(last)) continue;
        promise.begin_store(last, MonotonicNs{ms * ns_per_ms});
        promise.stored();
        if (ms >= 10'000) ++stores;
    }
    EXPECT_LE(stores, 51);
    EXPECT_LE(promise.promised() - last, 4'500'000U) << "a few seconds of what it uses";
}

}  // namespace
}  // namespace weir::edge::test
