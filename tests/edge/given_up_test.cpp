// Ranges that were given up: a model of single sequences beside them, and what a welcome does to what is in doubt.
#include "edge/spool/given_up.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace weir::edge::test {
namespace {

constexpr std::uint32_t shed = wire::gap_shed;
constexpr std::uint32_t expired = wire::gap_expired;

std::map<Sequence, std::uint32_t> sequences_of(const GivenUpRanges& ranges) {
    std::map<Sequence, std::uint32_t> all;
    Sequence below = 0;
    for (const GivenUp& one : ranges) {
        if (one.count == 0) continue;
        EXPECT_GT(one.first_sequence, below) << "they ascend and lie apart";
        below = one.last_sequence();
        for (Sequence at = one.first_sequence; at <= one.last_sequence(); ++at) all[at] = one.reason;
    }
    return all;
}

TEST(GivenUp, WhatCentralHasOfWhatWasInDoubtIsDeliveredToItsLastSequence) {
    GivenUpRanges ranges{};
    EXPECT_EQ(give_up_between(ranges, 11, 20, shed), 10U);
    const Arrived arrived = settle_doubt(ranges, 20);
    EXPECT_EQ(arrived.shed, 10U);
    EXPECT_EQ(ranges, GivenUpRanges{});
}

TEST(GivenUp, WhatWasSettledIsKnownByItsGapHoweverFarCentralIs) {
    GivenUpRanges ranges{};
    EXPECT_EQ(give_up_between(ranges, 11, 20, shed | given_up_settled), 10U);
    EXPECT_EQ(give_up_between(ranges, 21, 30, shed), 10U);
    EXPECT_EQ(settle_doubt(ranges, 20).shed, 0U);
    EXPECT_EQ(ranges[0], (GivenUp{.first_sequence = 11, .count = 20, .reason = shed | given_up_settled}));
    EXPECT_FALSE(settle_doubt(ranges, 25).has_changed);
}

TEST(GivenUp, WhatArrivedIsDeliveredAndTheRestStaysInDoubtWhereMoreMayCome) {
    GivenUpRanges ranges{};
    EXPECT_EQ(give_up_between(ranges, 1, 9, expired | given_up_settled), 9U);
    EXPECT_EQ(give_up_between(ranges, 10, 19, expired), 10U);
    EXPECT_EQ(give_up_between(ranges, 20, 29, shed), 10U);
    const Arrived arrived = take_arrived(ranges, 23);
    EXPECT_EQ(arrived.expired, 10U);
    EXPECT_EQ(arrived.shed, 4U);
    EXPECT_TRUE(arrived.has_changed);
    EXPECT_EQ(ranges[0], (GivenUp{.first_sequence = 1, .count = 9, .reason = expired | given_up_settled}));
    EXPECT_EQ(ranges[1], (GivenUp{.first_sequence = 24, .count = 6, .reason = shed}));
    EXPECT_FALSE(take_arrived(ranges, 23).has_changed);
}

TEST(GivenUp, WhatLiesBetweenIsGivenUpTooAndCountedOnce) {
    GivenUpRanges ranges{};
    EXPECT_EQ(give_up_between(ranges, 11, 20, shed | given_up_settled), 10U);
    EXPECT_EQ(give_up_between(ranges, 5, 24, shed), 10U);
    EXPECT_EQ(ranges[0], (GivenUp{.first_sequence = 5, .count = 6, .reason = shed}));
    EXPECT_EQ(ranges[2], (GivenUp{.first_sequence = 21, .count = 4, .reason = shed}));
}

TEST(GivenUp, APolicysTurnsLeaveAPlaceAndGoOnWithTheNewest) {
    GivenUpRanges ranges{};
    Sequence last = 0;
    std::uint64_t sheds = 0;
    for (const std::uint32_t settled : {given_up_settled, 0U}) {
        for (int turn = 0; turn < 10; ++turn) {
            const auto given_up =
                give_up_by_policy(ranges, last + 1, last + 7, (turn % 2 == 0 ? shed : expired) | settled);
            ASSERT_EQ(given_up.events, 7U) << "turn " << turn;
            if (given_up.why == shed) sheds += given_up.events;
            last += 7;
        }
    }
    std::uint64_t shed_there = 0;
    const auto all = sequences_of(ranges);
    EXPECT_EQ(all.size(), last);
    for (const auto& [sequence, reason] : all) {
        EXPECT_EQ(reason >= given_up_settled, sequence <= 70);
        if ((reason & 0xff) == shed) ++shed_there;
    }
    EXPECT_EQ(shed_there, sheds) << "each counts for the reason that it is said to";
}

TEST(GivenUp, APolicyDoesNotCountWithWhatACrashTookAlong) {
    GivenUpRanges ranges{};
    for (const std::uint32_t reason : {shed, expired, shed, std::uint32_t{wire::gap_not_kept}}) {
        const Sequence next = sequences_of(ranges).size() + 1;
        EXPECT_EQ(give_up_between(ranges, next, next, reason), 1U);
    }
    EXPECT_EQ(give_up_by_policy(ranges, 5, 9, shed).events, 0U);
    EXPECT_EQ(sequences_of(ranges).size(), 4U);
}

TEST(GivenUp, WhatFindsNoPlaceIsNotGivenUp) {
    GivenUpRanges ranges{};
    for (Sequence at = 1; at <= given_up_max; ++at) {
        EXPECT_EQ(give_up_between(ranges, at, at, at % 2 == 0 ? shed : expired), 1U);
    }
    const GivenUpRanges before = ranges;
    EXPECT_EQ(give_up_between(ranges, 5, 5, expired), 0U);
    EXPECT_EQ(ranges, before);
    EXPECT_EQ(give_up_between(ranges, 5, 5, shed), 1U) << "it goes on with the last one";
}

TEST(GivenUp, TheFirstThatIsKeptLiesBehindWhatFollowsAtOnce) {
    GivenUpRanges ranges{};
    EXPECT_EQ(first_kept(ranges, 7), 7U);
    EXPECT_EQ(give_up_between(ranges, 5, 9, shed), 5U);
    EXPECT_EQ(give_up_between(ranges, 10, 12, expired), 3U);
    EXPECT_EQ(give_up_between(ranges, 14, 15, shed), 2U);
    EXPECT_EQ(first_kept(ranges, 4), 4U);
    EXPECT_EQ(first_kept(ranges, 5), 13U);
    EXPECT_EQ(first_kept(ranges, 13), 13U);
    EXPECT_EQ(first_kept(ranges, 15), 16U);
}

// An outage through many lives: each gives up by policy, is ended, and leaves the next one places.
TEST(GivenUp, StartsLeavePlacesForAPolicyHoweverManyThereAre) {
    GivenUpRanges ranges{};
    std::map<std::uint32_t, std::uint64_t> counted;
    Sequence last = 0;
    for (int life = 0; life < 20; ++life) {
        const TookAlong along = give_up_took_along(ranges, 1, last + 3);
        EXPECT_EQ(along.events, 3U);
        counted[shed] -= along.shed;
        counted[expired] -= along.expired;
        counted[wire::gap_not_kept] += along.events + along.shed + along.expired;
        last += 3;
        for (const std::uint32_t reason : {shed, expired, shed}) {
            const PolicyGaveUp given_up = give_up_by_policy(ranges, last + 1, last + 2, reason);
            ASSERT_EQ(given_up.events, 2U) << "life " << life;
            counted[given_up.why] += 2;
            last += 2;
        }
        std::map<std::uint32_t, std::uint64_t> there;
        for (const auto& [sequence, reason] : sequences_of(ranges)) ++there[reason];
        std::erase_if(counted, [](const auto& one) { return one.second == 0; });
        ASSERT_EQ(there, counted) << "life " << life;
        ASSERT_EQ(sequences_of(ranges).size(), last);
    }
}

TEST(GivenUp, AStartChangesNothingOfWhatIsSettledNorOfWhatThereIsRoomFor) {
    GivenUpRanges ranges{};
    EXPECT_EQ(give_up_between(ranges, 1, 5, expired), 5U);
    EXPECT_EQ(give_up_took_along(ranges, 1, 9).expired, 0U);
    EXPECT_EQ(ranges[0], (GivenUp{.first_sequence = 1, .count = 5, .reason = expired}));
    EXPECT_EQ(ranges[1], (GivenUp{.first_sequence = 6, .count = 4, .reason = wire::gap_not_kept}));

    ranges = {};
    for (Sequence at = 1; at <= given_up_max; ++at) {
        EXPECT_EQ(give_up_between(ranges, 2 * at, 2 * at, (at % 2 == 0 ? shed : expired) | given_up_settled), 1U);
    }
    const GivenUpRanges before = ranges;
    const TookAlong along = give_up_took_along(ranges, 1, 20);
    EXPECT_EQ(along.events, 0U) << "there is no place";
    EXPECT_EQ(along.shed + along.expired, 0U);
    EXPECT_EQ(ranges, before);
}

TEST(GivenUp, IsWhatAModelOfSingleSequencesIs) {
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        std::mt19937 random(seed);
        GivenUpRanges ranges{};
        std::map<Sequence, std::uint32_t> model;
        for (int step = 0; step < 40; ++step) {
            const Sequence first = 1 + random() % 60;
            const Sequence last = first + random() % 12;
            if (random() % 3 == 0) {
                Arrived expected;
                for (auto at = model.begin(); at != model.end();) {
                    const bool is_settled = at->second >= given_up_settled;
                    if (!is_settled && at->first <= first) {
                        ++(at->second == shed ? expected.shed : expected.expired);
                        at = model.erase(at);
                    } else {
                        (at++)->second |= given_up_settled;
                    }
                }
                const Arrived arrived = settle_doubt(ranges, first);
                EXPECT_EQ(arrived.shed, expected.shed);
                EXPECT_EQ(arrived.expired, expected.expired);
            } else {
                const std::uint32_t reason = (random() % 2 == 0 ? shed : expired) | (random() % 2) * given_up_settled;
                std::map<Sequence, std::uint32_t> wanted = model;
                for (Sequence at = first; at <= last; ++at) wanted.emplace(at, reason);
                const std::uint64_t events = give_up_between(ranges, first, last, reason);
                if (events > 0) {
                    EXPECT_EQ(events, wanted.size() - model.size());
                    model = std::move(wanted);
                }
            }
            ASSERT_EQ(sequences_of(ranges), model) << "seed " << seed << " step " << step;
        }
    }
}

}  // namespace
}  // namespace weir::edge::test
