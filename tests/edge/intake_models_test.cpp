#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <set>
#include <unordered_map>

#include "edge/intake/ack_book.hpp"
#include "edge/intake/duplicate_filter.hpp"
#include "edge/intake/producers.hpp"
#include "edge/intake/route.hpp"

namespace weir::edge {
namespace {

TEST(DuplicateFilter, KnowsExactlyWhatAMapAndADequeKnow) {
    constexpr std::uint32_t ids_max = 64;
    constexpr std::uint32_t lifetime_s = 40;
    DuplicateFilter filter({.ids_max = ids_max, .lifetime_s = lifetime_s, .seed = 3});
    std::deque<std::pair<std::uint32_t, std::uint32_t>> order;  // id, wall seconds
    std::mt19937 random(11);
    std::uint32_t wall = 1000;
    for (int step = 0; step < 50'000; ++step) {
        if (random() % 8 == 0) ++wall;
        const auto id = static_cast<std::uint32_t>(random() % 100);
        bool known = false;
        for (const auto& [other, then] : order) {
            if (other == id) known = wall - then <= lifetime_s;  // the youngest counts
        }
        const Fingerprint fingerprint = filter.fingerprint("source", std::to_string(id));
        ASSERT_EQ(filter.contains(fingerprint, wall), known) << step;
        if (known) continue;
        filter.insert(fingerprint, wall);
        order.emplace_back(id, wall);
        if (order.size() > ids_max) order.pop_front();
    }
}

TEST(DuplicateFilter, RestoresFromItsSealedEntriesAndRefusesATornOne) {
    DuplicateFilter filter({.ids_max = 8, .lifetime_s = 100, .seed = 3});
    DuplicateFilter other({.ids_max = 8, .lifetime_s = 100, .seed = 3});
    for (int n = 0; n < 12; ++n) filter.insert(filter.fingerprint("s", std::to_string(n)), 5);
    for (std::uint64_t i = filter.oldest_index(); i < filter.next_index(); ++i) {
        FilterEntry entry = filter.sealed(i);
        if (i == 9) entry.low ^= 1U;
        EXPECT_EQ(other.restore(entry), i != 9);
    }
    EXPECT_EQ(other.next_index(), filter.next_index());
    for (int n = 0; n < 12; ++n) {
        EXPECT_EQ(other.contains(other.fingerprint("s", std::to_string(n)), 5), n >= 4 && n != 8) << n;
    }
    DuplicateFilter stranger({.ids_max = 8, .lifetime_s = 100, .seed = 4});
    EXPECT_FALSE(stranger.restore(filter.sealed(filter.oldest_index())));
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
    Histogram histogram;
    AckBook book(4, lanes, histogram);
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

TEST(AckBook, AForgottenConnectionsRunsComeBack) {
    std::vector<LaneState> lanes(1);
    Histogram histogram;
    AckBook book(2, lanes, histogram);
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
    const Route route(config, lanes);
    const auto lane_of = [&](const wire::EventView& view) {
        EventRef event;
        event.view = view;
        route.judge({&event, 1});
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
