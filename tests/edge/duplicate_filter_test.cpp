// The duplicate filter and its index against a std::unordered_map and a std::deque, over hashes that were chosen to be in each other's way.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/crc32c.hpp"
#include "edge/intake/duplicate_filter.hpp"
#include "edge/intake/filter_index.hpp"

namespace weir::edge {
namespace {

// Hashes of small numbers: which home, out of so many from `first_home` on; how many tags; what lies between them is the number.
struct Crowd {
    std::uint64_t homes = 1;
    std::uint64_t first_home = 0;
    std::uint64_t tags = 1;
    [[nodiscard]] std::uint64_t hash_of(std::uint64_t number) const {
        return (number * 7 % tags) << 49U | number << 32U | ((first_home + number % homes) & UINT32_MAX);
    }
};
constexpr Crowd crowds[] = {
    {.homes = 1, .first_home = 0, .tags = 1},               // all in one place, and of one tag
    {.homes = 1, .first_home = UINT32_MAX, .tags = 30},     // the last bucket: who finds it full lies in the first ones
    {.homes = 3, .first_home = UINT32_MAX - 1, .tags = 2},  // rows of full buckets that meet, round the end
    {.homes = 5, .first_home = 2, .tags = 1000},
    {.homes = 1000, .first_home = 0, .tags = 3},
};

TEST(FilterBucket, FindsATagInWhicheverSlotsItIs) {
    std::mt19937 random(1);
    for (int step = 0; step < 20'000; ++step) {
        FilterBucket bucket;
        std::uint32_t expected = 0;
        bucket.passed = random() % 2 == 0 ? 0x00070007 : static_cast<std::uint32_t>(random());
        for (std::size_t slot = 0; slot < FilterBucket::slots; ++slot) {
            bucket.tags[slot] = static_cast<std::uint16_t>(random() % 3 == 0 ? 7 : random() % 2 == 0 ? 0 : random());
            bucket.places[slot] = random() % 2 == 0 ? 0x00070007 : 0;
            if (bucket.tags[slot] == 7) expected |= 1U << slot;
        }
        ASSERT_EQ(bucket.slots_with(7), expected);
        ASSERT_EQ(bucket.slots_with_one_by_one(7), expected);
        ASSERT_EQ(bucket.slots_with(0), bucket.slots_with_one_by_one(0));
        ASSERT_EQ(bucket.slots_with(0xffff), bucket.slots_with_one_by_one(0xffff));
    }
}

// What FilterIndex's law says of `passed`, from what is in the index.
void expect_passed_is_counted(const FilterIndex& index, const std::unordered_map<std::uint32_t, std::uint64_t>& model) {
    const auto buckets = index.buckets();
    std::vector<std::uint32_t> passed(buckets.size());
    std::size_t found = 0;
    for (std::size_t at = 0; at < buckets.size(); ++at) {
        for (std::size_t slot = 0; slot < FilterBucket::slots; ++slot) {
            if (buckets[at].tags[slot] == FilterBucket::free_tag) continue;
            ++found;
            const auto entry = model.find(buckets[at].places[slot]);
            ASSERT_NE(entry, model.end());
            for (std::size_t way = entry->second % buckets.size(); way != at; way = (way + 1) % buckets.size()) {
                ++passed[way];
            }
        }
    }
    ASSERT_EQ(found, model.size());
    for (std::size_t at = 0; at < buckets.size(); ++at) ASSERT_EQ(buckets[at].passed, passed[at]) << "bucket " << at;
}

TEST(FilterIndex, IsAMapOfPlacesWhateverTheHashes) {
    constexpr std::uint32_t entries_max = 60;  // one home: six full buckets in a row, of sixteen
    for (const Crowd& crowd : crowds) {
        for (std::uint32_t seed = 1; seed <= 4; ++seed) {
            std::mt19937 random(seed);
            FilterIndex index(entries_max);
            ASSERT_EQ(index.buckets().size(), 16U);
            std::unordered_map<std::uint32_t, std::uint64_t> model;  // hash by place
            bool grows = true;
            for (int step = 0; step < 8'000; ++step) {
                SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
                if (model.empty()) grows = true;
                if (model.size() == entries_max) grows = false;
                const auto place = static_cast<std::uint32_t>(random() % 200);
                const std::uint64_t hash = crowd.hash_of(place % 100);  // two places of each hash
                const bool is_there = model.contains(place);
                ASSERT_EQ(index.find(hash, [&](std::uint32_t other) { return other == place; }),
                          is_there ? place : FilterIndex::none);
                if (is_there && (!grows || random() % 4 == 0)) {
                    ASSERT_TRUE(index.erase(hash, place));
                    model.erase(place);
                } else if (!is_there && (grows || random() % 4 == 0) && model.size() < entries_max) {
                    index.insert(hash, place);
                    model[place] = hash;
                } else if (!is_there) {
                    ASSERT_FALSE(index.erase(hash, place));
                }
                if (step % 64 == 0) expect_passed_is_counted(index, model);
                if (HasFatalFailure()) return;
            }
        }
    }
}

// A search does not ask about another id unless 16 bits of its hash are the same too; and what is not there, nobody is asked about.
TEST(FilterIndex, AsksAboutNobodyWithAnotherTag) {
    FilterIndex index(1000);
    const Crowd crowd{.homes = 1, .first_home = 3, .tags = 1000};
    for (std::uint32_t place = 0; place < 500; ++place) index.insert(crowd.hash_of(place), place);
    std::uint64_t asked = 0;
    for (std::uint64_t number = 500; number < 1000; ++number) {
        ASSERT_EQ(index.find(crowd.hash_of(number), [&](std::uint32_t) { return ++asked > 0; }), FilterIndex::none);
    }
    EXPECT_EQ(asked, 0U);
}

TEST(FilterIndex, OfTenThousandSpreadHashesFewLieInAnotherBucketThanTheirs) {
    constexpr std::uint32_t entries_max = 1U << 16;  // as many as make four of ten slots full
    FilterIndex index(entries_max);
    std::mt19937_64 random(5);
    for (std::uint32_t place = 0; place < entries_max; ++place) index.insert(random(), place);
    const auto passed = std::count_if(index.buckets().begin(), index.buckets().end(),
                                      [](const FilterBucket& bucket) { return bucket.passed > 0; });
    EXPECT_EQ(index.buckets().size(), entries_max / 4);
    EXPECT_LT(passed, static_cast<std::ptrdiff_t>(index.buckets().size()) / 200);
}

struct Known {
    std::uint64_t id = 0;
    std::uint64_t index = 0;
    std::uint32_t seconds = 0;
};

// The last so many admissions, and the youngest of each id.
struct FilterModel {
    std::deque<Known> order;
    std::unordered_map<std::uint64_t, Known> youngest;
    std::uint64_t next = 1;

    [[nodiscard]] bool contains(std::uint64_t id, std::uint32_t seconds, std::uint64_t lifetime_s) const {
        const auto found = youngest.find(id);
        return found != youngest.end() && seconds - found->second.seconds <= lifetime_s;
    }
    void forget_before(std::uint64_t index) {
        for (; !order.empty() && order.front().index < index; order.pop_front()) {
            const auto found = youngest.find(order.front().id);
            if (found != youngest.end() && found->second.index == order.front().index) youngest.erase(found);
        }
    }
    void insert(std::uint64_t id, std::uint32_t seconds, std::uint32_t ids_max) {
        youngest[id] = order.emplace_back(Known{id, next, seconds});
        ++next;
        if (next > ids_max) forget_before(next - ids_max);
    }
};

// All that one knows, to one that knows nothing.
void copy(const DuplicateFilter& from, DuplicateFilter& to) {
    from.for_each(from.oldest_index(), from.next_index() - from.oldest_index(),
                  [&](std::uint64_t index, const FilterEntry* entry) {
                      if (entry == nullptr) return;
                      ASSERT_TRUE(to.restore(index, {.high = entry->high, .low = entry->low}, entry->seconds));
                  });
}

TEST(DuplicateFilter, IsAMapAndADequeWhateverTheHashesAlsoAcrossRestarts) {
    constexpr DuplicateFilter::Options options{.ids_max = 60, .lifetime_s = 12, .seed = 3};
    for (const Crowd& crowd : crowds) {
        for (std::uint32_t seed = 1; seed <= 4; ++seed) {
            std::mt19937 random(seed);
            auto filter = std::make_unique<DuplicateFilter>(options);
            FilterModel model;
            std::uint32_t seconds = 1;
            std::uint64_t known = 0;
            for (int step = 0; step < 8'000; ++step) {
                SCOPED_TRACE("seed " + std::to_string(seed) + ", step " + std::to_string(step));
                if (random() % 16 == 0) ++seconds;
                if (random() % 400 == 0) {  // a restart
                    auto next = std::make_unique<DuplicateFilter>(options);
                    copy(*filter, *next);
                    filter = std::move(next);
                }
                const std::uint64_t id = random() % 100;
                // Two ids of each hash, which only the ring tells apart.
                const Fingerprint fingerprint{.high = id % 2, .low = crowd.hash_of(id / 2)};
                const bool is_known = model.contains(id, seconds, options.lifetime_s);
                known += is_known ? 1 : 0;
                filter->prefetch(fingerprint);
                filter->prefetch_evicted(static_cast<std::uint32_t>(random() % options.ids_max));
                ASSERT_EQ(filter->contains(fingerprint, seconds), is_known);
                if (random() % 8 == 0) {  // also one that is known: its younger entry outlives the older one
                    filter->insert(fingerprint, seconds);
                    model.insert(id, seconds, options.ids_max);
                } else {
                    ASSERT_EQ(filter->admit(fingerprint, seconds), !is_known);
                    if (!is_known) model.insert(id, seconds, options.ids_max);
                }
                ASSERT_EQ(filter->count(), model.order.size());
                ASSERT_EQ(filter->next_index(), model.next);
            }
            EXPECT_GT(known, 500U);
        }
    }
}

TEST(FingerprintTexts, AreHashedAsEachIsByItself) {
    std::mt19937 random(4);
    FingerprintTexts texts;
    for (int round = 0; round < 300; ++round) {
        // Now and then as many and as long as they may be.
        const std::size_t bytes_max = round % 10 == 0 ? 256 : 40;
        const std::size_t count = round % 10 == 0 ? vector_events_max : random() % (vector_events_max + 1);
        std::vector<std::pair<std::string, std::string>> names;
        texts.clear();
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t bytes_min = round % 20 == 0 ? bytes_max : 0;
            names.emplace_back(
                std::string(std::max(bytes_min, random() % (bytes_max + 1)), static_cast<char>('a' + i % 26)),
                std::string(std::max(bytes_min, random() % (bytes_max + 1)), static_cast<char>(random() % 256)));
            texts.add(names.back().first, names.back().second);
        }
        ASSERT_EQ(texts.count(), count);
        for (std::uint32_t i = 0; i < count; ++i) {
            ASSERT_EQ(texts.hash(i, 77), fingerprint_of(names[i].first, names[i].second, 77)) << round << " " << i;
        }
    }
}

// Entries far apart: what lies between them never was, and what is too far back is gone.
TEST(DuplicateFilter, RestoresWhatIsLeftOfARingWithHoles) {
    constexpr DuplicateFilter::Options options{.ids_max = 60, .lifetime_s = 1000, .seed = 3};
    for (const Crowd& crowd : crowds) {
        std::mt19937 random(9);
        DuplicateFilter filter(options);
        FilterModel model;
        for (std::uint64_t id = 0; id < 4'000; ++id) {
            const Fingerprint fingerprint{.high = id, .low = crowd.hash_of(id)};
            const bool is_lost = random() % 3 == 0 || (id % 512 > 300 && id % 512 < 400);
            if (is_lost) continue;
            ASSERT_TRUE(filter.restore(id + 1, fingerprint, 5));
            model.next = id + 1;
            model.insert(id, 5, options.ids_max);
            ASSERT_EQ(filter.count(), model.order.size()) << id;
            const std::uint64_t other = id - std::min<std::uint64_t>(id, random() % 80);
            ASSERT_EQ(filter.contains({.high = other, .low = crowd.hash_of(other)}, 5),
                      model.contains(other, 5, options.lifetime_s))
                << other << " after " << id;
        }
    }
}

}  // namespace
}  // namespace weir::edge
