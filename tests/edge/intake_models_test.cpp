#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <unordered_map>

#include "edge/intake/ack_book.hpp"
#include "edge/intake/duplicate_filter.hpp"
#include "edge/intake/judgement.hpp"
#include "edge/intake/key_table.hpp"
#include "edge/intake/producers.hpp"

namespace weir::edge {
namespace {

TEST(DuplicateFilter, KnowsExactlyWhatADequeKnowsAlsoAcrossRestarts) {
    constexpr DuplicateFilter::Options options{.ids_max = 64, .lifetime_s = 40, .seed = 3};
    for (std::uint32_t seed = 1; seed <= 10; ++seed) {
        auto filter = std::make_unique<DuplicateFilter>(options);
        std::deque<std::pair<std::uint32_t, std::uint32_t>> order;  // id, seconds; the youngest last
        std::mt19937 random(seed);
        std::uint32_t seconds = 1000;
        for (int step = 0; step < 8'000; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            if (random() % 8 == 0) ++seconds;
            if (random() % 500 == 0) {  // what its checkpoint would hold, into a new one
                auto next = std::make_unique<DuplicateFilter>(options);
                const std::uint64_t first = filter->oldest_index();
                filter->for_each(
                    first, filter->next_index() - first, [&](std::uint64_t index, const FilterEntry* entry) {
                        ASSERT_NE(entry, nullptr);
                        ASSERT_TRUE(next->restore(index, {.high = entry->high, .low = entry->low}, entry->seconds));
                    });
                filter = std::move(next);
            }
            const auto id = static_cast<std::uint32_t>(random() % 100);
            bool known = false;
            for (const auto& [other, then] : order) {
                if (other == id) known = seconds - then <= options.lifetime_s;  // the youngest counts
            }
            const Fingerprint fingerprint = filter->fingerprint("source", std::to_string(id));
            ASSERT_EQ(filter->contains(fingerprint, seconds), known);
            if (known) continue;
            filter->insert(fingerprint, seconds);
            order.emplace_back(id, seconds);
            if (order.size() > options.ids_max) order.pop_front();
            ASSERT_EQ(filter->newest_seconds(), order.back().second);
            ASSERT_EQ(filter->count(), order.size());
        }
    }
}

// Against a deque again: hashes that share a home, or the half that the index keeps, or all but their last word.
TEST(DuplicateFilter, TellsApartHashesThatAreAlmostTheSame) {
    constexpr DuplicateFilter::Options options{.ids_max = 48, .lifetime_s = 1000, .seed = 3};
    const auto fingerprint_of = [](std::uint32_t id) {
        return Fingerprint{.high = id / 4 % 3, .low = (std::uint64_t{id / 12} << 32U) | (id % 4 == 3 ? 127U : id % 4)};
    };
    for (std::uint32_t seed = 1; seed <= 10; ++seed) {
        DuplicateFilter filter(options);
        std::deque<std::uint32_t> order;
        std::mt19937 random(seed);
        for (int step = 0; step < 5'000; ++step) {
            const auto id = static_cast<std::uint32_t>(random() % 120);
            const bool is_known = std::find(order.begin(), order.end(), id) != order.end();
            filter.prefetch(fingerprint_of(id));
            filter.prefetch_evicted(static_cast<std::uint32_t>(random() % options.ids_max));
            ASSERT_EQ(filter.contains(fingerprint_of(id), 7), is_known) << "seed " << seed << ", step " << step;
            if (is_known) continue;
            filter.insert(fingerprint_of(id), 7);
            order.push_back(id);
            if (order.size() > options.ids_max) order.pop_front();
            ASSERT_EQ(filter.count(), order.size());
        }
    }
}

// Ids that someone chose so that they meet in one place: whoever does not know a spool's key cannot choose them for it.
TEST(DuplicateFilter, CollidingIdsUnderOneKeyAreSpreadUnderAnother) {
    constexpr std::uint64_t places = 1024;
    const DuplicateFilter known({.ids_max = places / 2, .lifetime_s = 40, .seed = 3});
    const DuplicateFilter other({.ids_max = places / 2, .lifetime_s = 40, .seed = 4});
    std::set<std::uint64_t> met, spread;
    std::size_t chosen = 0;
    for (std::uint64_t number = 0; chosen < 200; ++number) {
        const std::string id = std::to_string(number);
        if (known.fingerprint("source", id).low % places != 0) continue;
        ++chosen;
        met.insert(known.fingerprint("source", id).low % places);
        spread.insert(other.fingerprint("source", id).low % places);
    }
    EXPECT_EQ(met.size(), 1U);
    EXPECT_GT(spread.size(), 150U);  // of 1,024 places; by chance 182
}

TEST(KeyTable, CollidingKeysTakeOneBucketAndNoMore) {
    constexpr std::uint32_t keys_max = 4096, buckets = keys_max / 4;
    KeyTable table(keys_max);
    std::size_t chosen = 0;
    for (std::uint64_t number = 0; chosen < 1000; ++number) {
        const std::string key = std::to_string(number);
        if (((hash_of(key) >> 32U) & (buckets - 1)) != 0) continue;
        ++chosen;
        table.note(table.hash_of(key), WallNs{number});
    }
    EXPECT_EQ(table.count(), 4U);
}

TEST(DuplicateFilter, AWallClockThatStepsBackMakesNothingOlder) {
    DuplicateFilter filter({.ids_max = 8, .lifetime_s = 10, .seed = 3});
    const Fingerprint fingerprint = filter.fingerprint("s", "a");
    filter.insert(fingerprint, 1000);
    EXPECT_TRUE(filter.contains(fingerprint, 500));
    EXPECT_FALSE(filter.contains(fingerprint, 1011));
}

TEST(Producers, KnowExactlyTheRecoveredNumbersWhateverTheirOrder) {
    std::mt19937 random(5);
    for (int round = 0; round < 200; ++round) {
        Producers producers(4);
        const std::uint32_t slot = producers.add("cam").value();
        std::set<std::uint64_t> model;
        for (int n = 0; n < 60; ++n) {
            const std::uint64_t number = 1 + random() % 80;
            producers.recover(slot, number);
            model.insert(number);
        }
        std::vector<std::byte> bytes;
        producers.encode(bytes);
        EXPECT_EQ(bytes.size(), producers.encoded_bytes());
        Producers read(4);
        ASSERT_TRUE(read.decode(bytes));
        for (std::uint64_t number = read.last_number(slot) + 1; number <= 100;) {
            ASSERT_FALSE(model.contains(number));
            const std::uint64_t known = *model.rbegin();
            ASSERT_EQ(read.take(slot, std::max(known, read.last_number(slot)) + 2), NumberVerdict::gap);
            ASSERT_EQ(read.take(slot, number), NumberVerdict::fresh);
            ASSERT_EQ(read.take(slot, number), NumberVerdict::duplicate);
            do ++number;
            while (model.contains(number));
            ASSERT_EQ(read.last_number(slot), number - 1);
        }
    }
}

// The model is the set of known numbers. Whoever goes on behind a hole has its answers: the hole is known, too.
TEST(Producers, TakeEachNumberOnceThroughManyLives) {
    for (std::uint32_t seed = 1; seed <= 100; ++seed) {
        std::mt19937 random(seed);
        auto producers = std::make_unique<Producers>(3);
        std::array<std::set<std::uint64_t>, 3> known;
        for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(producers->add(name).has_value());
        for (int step = 0; step < 600; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            const auto slot = static_cast<std::uint32_t>(random() % 3);
            std::set<std::uint64_t>& numbers = known[slot];
            const std::uint64_t top = numbers.empty() ? 0 : *numbers.rbegin();
            const std::uint64_t number = 1 + random() % (top + 6);
            if (random() % 40 == 0) {  // a restart: its stored form, and what the spool has behind it
                std::vector<std::byte> bytes;
                producers->encode(bytes);
                ASSERT_EQ(bytes.size(), producers->encoded_bytes());
                producers = std::make_unique<Producers>(3);
                ASSERT_TRUE(producers->decode(bytes));
                for (std::uint64_t n = 0; n < random() % 12; ++n) {
                    const std::uint64_t found = 1 + random() % (top + 10);
                    producers->recover(slot, found);
                    numbers.insert(found);
                }
            } else if (number > top + 1) {
                ASSERT_EQ(producers->take(slot, number), NumberVerdict::gap);
            } else {
                const bool is_known = numbers.contains(number);
                ASSERT_EQ(producers->take(slot, number), is_known ? NumberVerdict::duplicate : NumberVerdict::fresh);
                for (std::uint64_t n = 1; n <= number; ++n) numbers.insert(n);
            }
            for (std::uint32_t one = 0; one < 3; ++one) {
                std::uint64_t last = 0;
                while (known[one].contains(last + 1)) ++last;
                ASSERT_EQ(producers->last_number(one), last);
            }
        }
    }
}

TEST(Producers, AHoleThatTheProducerGoesOnBehindIsClosed) {
    Producers producers(4);
    const std::uint32_t slot = producers.add("cam").value();
    for (const std::uint64_t number : {1U, 2U, 5U, 6U, 9U}) producers.recover(slot, number);
    EXPECT_EQ(producers.last_number(slot), 2U);
    EXPECT_EQ(producers.take(slot, 11), NumberVerdict::gap);  // 10 was never seen: not a hole
    EXPECT_EQ(producers.take(slot, 5), NumberVerdict::duplicate);
    EXPECT_EQ(producers.last_number(slot), 6U);
    EXPECT_EQ(producers.take(slot, 4), NumberVerdict::duplicate);
    EXPECT_EQ(producers.take(slot, 7), NumberVerdict::fresh);
    EXPECT_EQ(producers.take(slot, 10), NumberVerdict::fresh);
    EXPECT_EQ(producers.take(slot, 8), NumberVerdict::duplicate);
    EXPECT_EQ(producers.take(slot, 12), NumberVerdict::gap);
}

TEST(Producers, AReplayTakesEachNumberOnceInWhateverOrderAndAcrossItsStoredForm) {
    std::mt19937 random(6);
    for (int round = 0; round < 100; ++round) {
        Producers producers(4);
        const std::uint32_t slot = producers.add("dead-letters-0000000000000007-north").value();
        ASSERT_TRUE(producers.is_replay(slot));
        std::set<std::uint64_t> model;
        for (int n = 0; n < 120; ++n) {
            const std::uint64_t number = 1 + random() % 80;
            ASSERT_EQ(producers.is_taken(slot, number), model.contains(number));
            if (model.insert(number).second) {
                ASSERT_EQ(producers.take_replayed(slot, number), ReplayVerdict::fresh);
            }
            if (n % 40 != 0) continue;
            std::vector<std::byte> bytes;
            producers.encode(bytes);
            producers = Producers(4);
            ASSERT_TRUE(producers.decode(bytes));
            ASSERT_TRUE(producers.is_replay(slot));
        }
        for (std::uint64_t number = 1; number <= 100; ++number) {
            ASSERT_EQ(producers.is_taken(slot, number), model.contains(number));
        }
    }
}

TEST(Producers, AReplayWithTooManyHolesTakesWhatClosesOneAndNothingElse) {
    Producers producers(4);
    const std::uint32_t slot = producers.add("dead-letters-0000000000000007-north").value();
    for (std::uint64_t n = 1; n <= replay_ranges_max; ++n) {
        ASSERT_EQ(producers.take_replayed(slot, 3 * n), ReplayVerdict::fresh);
    }
    const std::uint64_t beyond = 3 * replay_ranges_max + 3;
    EXPECT_EQ(producers.take_replayed(slot, beyond), ReplayVerdict::no_room);
    EXPECT_FALSE(producers.is_taken(slot, beyond));
    EXPECT_EQ(producers.take_replayed(slot, 4), ReplayVerdict::fresh);
    EXPECT_EQ(producers.take_replayed(slot, 5), ReplayVerdict::fresh);  // 3 to 6 are one range now
    EXPECT_EQ(producers.take_replayed(slot, beyond), ReplayVerdict::fresh);
    EXPECT_TRUE(producers.is_taken(slot, beyond));
}

TEST(Producers, GiveNoSlotBeyondTheirBound) {
    Producers producers(1);
    EXPECT_TRUE(producers.add("a").has_value());
    EXPECT_FALSE(producers.add("b").has_value());
}

// Every event acked once, never before its level: against a plain list of what waits.
TEST(AckBook, AcksEachEventOnceAndNeverTooEarly) {
    std::vector<LaneState> lanes(3);
    IntakeHops hops;
    AckBook book(4, lanes, hops);
    std::mt19937 random(17);
    std::array<Sequence, 3> appended{}, durable{}, batch{1, 1, 1};
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::array<Sequence, 3>> waits;  // event -> needs
    std::array<std::uint64_t, 4> ordinals{};
    std::uint64_t acked = 0, offered = 0;
    for (int step = 0; step < 100'000; ++step) {
        const auto connection = static_cast<std::uint32_t>(random() % 4);
        const auto lane = static_cast<std::uint8_t>(random() % 3);
        const auto what = random() % 10;
        if (what < 5) {
            AckItem item{.connection = connection, .ordinal = ++ordinals[connection]};
            book.appended(lane, ++appended[lane]);
            book.wait_for(Wait::spooled, lane, appended[lane], batch[lane], item);
            waits[{connection, item.ordinal}][lane] = appended[lane];
            ++offered;
        } else if (what < 7) {
            AckItem item{
                .connection = connection, .ordinal = ++ordinals[connection], .status = wire::AckStatus::duplicate};
            waits[{connection, item.ordinal}] = appended;
            book.wait_behind_all(Wait::spooled, item);
            ++offered;
        } else if (what < 8) {
            durable[lane] = appended[lane];
            batch[lane] = appended[lane] + 1;
            book.reached(Wait::spooled, lane, durable[lane], MonotonicNs{});
        } else {
            std::array<wire::AckRange, 7> ranges;
            std::uint64_t events = 0;
            const std::uint32_t count = book.take_ready(connection, ranges, events);
            for (std::uint32_t i = 0; i < count; ++i) {
                for (std::uint64_t n = 0; n < ranges[i].count; ++n) {
                    const auto found = waits.find({connection, ranges[i].first_ordinal + n});
                    ASSERT_NE(found, waits.end());
                    for (std::size_t at = 0; at < 3; ++at) ASSERT_LE(found->second[at], durable[at]);
                    waits.erase(found);
                    ++acked;
                }
            }
        }
    }
    for (std::uint8_t lane = 0; lane < 3; ++lane) book.reached(Wait::spooled, lane, appended[lane], MonotonicNs{});
    EXPECT_TRUE(book.is_quiet(Wait::spooled));
    for (std::uint32_t connection = 0; connection < 4; ++connection) {
        std::array<wire::AckRange, 7> ranges;
        while (book.has_ready(connection)) (void)book.take_ready(connection, ranges, acked);
    }
    EXPECT_EQ(acked, offered);
    EXPECT_EQ(book.free_runs(), runs_max);
}

// Both levels, answers at once, connections that go away: against a map of what waits. An event whose own place is reached is
// ready at once; a duplicate never before everything that came before it.
TEST(AckBook, IsAMapOfWhatWaitsAlsoWhenConnectionsComeAndGo) {
    struct Item {
        Wait wait = Wait::spooled;
        std::array<Sequence, 3> needs{};
        wire::AckStatus status = wire::AckStatus::accepted;
    };
    for (std::uint32_t seed = 1; seed <= 10; ++seed) {
        std::mt19937 random(seed);
        std::vector<LaneState> lanes(3);
        IntakeHops hops;
        AckBook book(4, lanes, hops);
        std::array<Sequence, 3> appended{};
        std::array<std::array<Sequence, 3>, 2> reached{};
        std::array<std::map<std::uint64_t, Item>, 4> waits;  // of each connection's present life: ordinal
        std::array<std::uint64_t, 4> ordinals{};
        const auto is_reached = [&](const Item& item) {
            const auto& at = reached[static_cast<std::size_t>(item.wait)];
            return item.needs[0] <= at[0] && item.needs[1] <= at[1] && item.needs[2] <= at[2];
        };
        const auto take_some = [&](std::uint32_t connection, std::size_t ranges_max) {
            std::array<wire::AckRange, 7> ranges;
            std::uint64_t events = 0, covered = 0;
            const std::uint32_t count = book.take_ready(connection, std::span(ranges.data(), ranges_max), events);
            for (std::uint32_t i = 0; i < count; ++i) {
                covered += ranges[i].count;
                for (std::uint64_t n = 0; n < ranges[i].count; ++n) {
                    const auto found = waits[connection].find(ranges[i].first_ordinal + n);
                    ASSERT_NE(found, waits[connection].end()) << "twice, or of a life before";
                    ASSERT_TRUE(is_reached(found->second)) << "too early";
                    ASSERT_EQ(found->second.status, ranges[i].status);
                    waits[connection].erase(found);
                }
            }
            ASSERT_EQ(events, covered);
        };
        for (int step = 0; step < 10'000; ++step) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
            const auto connection = static_cast<std::uint32_t>(random() % 4);
            const auto lane = static_cast<std::uint8_t>(random() % 3);
            const Wait wait = random() % 2 == 0 ? Wait::spooled : Wait::delivered;
            Item item{.wait = wait};
            AckItem asked{.connection = connection, .ordinal = ordinals[connection] + 1};
            switch (random() % 12) {
                case 0:
                case 1:
                case 2:
                case 3:
                    book.appended(lane, ++appended[lane]);
                    book.wait_for(wait, lane, appended[lane], reached[0][lane] + 1, asked);
                    item.needs[lane] = appended[lane];
                    waits[connection][++ordinals[connection]] = item;
                    break;
                case 4:
                    asked.status = item.status = wire::AckStatus::duplicate;
                    book.wait_behind_all(wait, asked);
                    item.needs = appended;
                    waits[connection][++ordinals[connection]] = item;
                    break;
                case 5:
                    asked.status = item.status = wire::AckStatus::rejected;
                    book.ack_now(asked);
                    waits[connection][++ordinals[connection]] = item;
                    break;
                case 6:  // a batch closes and is durable; now and then an old word again
                    reached[0][lane] = appended[lane];
                    book.reached(Wait::spooled, lane, reached[0][lane], MonotonicNs{});
                    book.reached(Wait::spooled, lane, random() % (reached[0][lane] + 1), MonotonicNs{});
                    break;
                case 7:
                    reached[1][lane] = reached[0][lane];
                    book.reached(Wait::delivered, lane, reached[1][lane], MonotonicNs{});
                    break;
                case 8:
                    if (random() % 4 != 0) break;
                    book.forget(connection);
                    ASSERT_EQ(book.runs_of(connection), 0U);
                    ASSERT_FALSE(book.has_ready(connection));
                    waits[connection].clear();
                    ordinals[connection] = 0;
                    break;
                case 9:
                    if (random() % 20 == 0) book.sweep();
                    break;
                default:
                    take_some(connection, random() % 8);
                    break;
            }
            if (testing::Test::HasFatalFailure()) return;
            const auto& mine = waits[connection];
            ASSERT_LE(book.runs_of(connection), mine.size());
            if (std::any_of(mine.begin(), mine.end(), [&](const auto& one) {
                    return one.second.status != wire::AckStatus::duplicate && is_reached(one.second);
                })) {
                ASSERT_TRUE(book.has_ready(connection));
            }
        }
        for (const Wait wait : {Wait::spooled, Wait::delivered}) {
            for (std::uint8_t lane = 0; lane < 3; ++lane) {
                reached[static_cast<std::size_t>(wait)][lane] = appended[lane];
                book.reached(wait, lane, appended[lane], MonotonicNs{});
            }
        }
        book.sweep();
        EXPECT_TRUE(book.is_quiet(Wait::spooled) && book.is_quiet(Wait::delivered)) << "seed " << seed;
        for (std::uint32_t connection = 0; connection < 4; ++connection) {
            while (book.has_ready(connection) && !testing::Test::HasFatalFailure()) take_some(connection, 7);
            EXPECT_TRUE(waits[connection].empty()) << "seed " << seed;
        }
        EXPECT_EQ(book.free_runs(), runs_max) << "seed " << seed;
    }
}

TEST(AckBook, HasAsManyRunsAsItWasGivenAndAStreamsWaitForCentralInAQuarterOfThem) {
    std::vector<LaneState> lanes(2);
    IntakeHops hops;
    AckBook book(2, lanes, hops, 16);
    EXPECT_EQ(book.runs_count(), 16U);
    for (Sequence sequence = 1; sequence <= 4; ++sequence) {
        EXPECT_TRUE(book.may_wait_for_central(0));
        book.appended(0, sequence);
        // Not one behind the other: each is a run of its own.
        book.wait_for(Wait::delivered, 0, sequence, sequence, {.connection = 0, .ordinal = 2 * sequence});
    }
    EXPECT_FALSE(book.may_wait_for_central(0));
    EXPECT_TRUE(book.may_wait_for_central(1));
    EXPECT_EQ(book.free_runs(), 12U);
}

TEST(AckBook, AForgottenConnectionsRunsComeBack) {
    std::vector<LaneState> lanes(1);
    IntakeHops hops;
    AckBook book(2, lanes, hops);
    book.appended(0, 1);
    book.wait_for(Wait::delivered, 0, 1, 1, {.connection = 1, .ordinal = 1});
    book.wait_behind_all(Wait::delivered, {.connection = 1, .ordinal = 2});
    book.forget(1);
    EXPECT_TRUE(book.has_forgotten());
    book.sweep();
    EXPECT_EQ(book.free_runs(), runs_max);
    EXPECT_EQ(book.runs_of(1), 0U);
}

TEST(Route, TheFirstThatMatchesNamesTheLane) {
    EdgeConfig config;
    RouteConfig urgent;
    urgent.lane = "urgent";
    urgent.types = {"citation*"};
    urgent.equals = {{"data.city", "a\"b"}, {"data.fine", "51.0"}};
    RouteConfig by_priority;
    by_priority.lane = "urgent";
    by_priority.priority_min = 3;
    config.routes = {urgent, by_priority};
    std::vector<LaneState> lanes(2);
    lanes[0].name = "default";
    lanes[1].name = "urgent";
    lanes[0].is_configured = lanes[1].is_configured = true;
    Judgement judgement(config, lanes);
    const auto lane_of = [&](const wire::EventView& view) {
        EventRef event;
        event.view = view;
        judgement.judge({&event, 1}, WallNs{});
        return event.lane;
    };
    wire::EventView view;
    view.type = "citation.new";
    view.content_type = "application/json";
    view.payload = "{\"city\":\"a\\\"b\",\"fine\":51.0}";
    EXPECT_EQ(lane_of(view), 1);
    view.payload = "{\"city\":\"a\\\"b\",\"fine\":51}";
    EXPECT_EQ(lane_of(view), 0);
    view.priority = 3;
    EXPECT_EQ(lane_of(view), 1);
}

}  // namespace
}  // namespace weir::edge
