#include "core/cache/reference_cache.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

// A sanitizer keeps operator new for itself.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define WEIR_COUNTS_ALLOCATIONS
#include "tests/counted_new.hpp"
#endif

namespace weir::cache {
namespace {

constexpr MonotonicNs start{1'000'000};
MonotonicNs after_s(std::uint64_t s) {
    return start.plus_ns(s * ns_per_second);
}

// What was said of a key last. The cache may forget it; it may never say anything else.
struct Said {
    std::string value;
    bool is_absent = false;
    MonotonicNs until = never;
    std::set<std::string> tags;
};

struct Model {
    explicit Model(const Options& from) : cache(from), options(from) {}
    ReferenceCache cache;
    Options options;
    std::map<std::string, Said> said;
    MonotonicNs now = start;
    std::uint64_t present = 0;

    void put(const std::string& key, const std::string& value, std::uint8_t lifetime,
             const std::set<std::string>& tags) {
        const std::vector<std::string_view> views(tags.begin(), tags.end());
        const bool fits = key.size() + value.size() <= options.entry_bytes_max;
        ASSERT_EQ(cache.put(key, value, now, lifetime, views), fits);
        said.erase(key);
        const std::uint64_t lasts = options.lifetimes_ns[lifetime];
        if (fits) said[key] = {value, false, lasts == 0 ? never : now.plus_ns(lasts), tags};
        if (fits) check(key, true);
    }
    void put_absent(const std::string& key) {
        ASSERT_TRUE(cache.put_absent(key, now));
        said[key] = {"", true, now.plus_ns(options.absent_lifetime_ns), {}};
        check(key, true);
    }
    void check(const std::string& key, bool must_know) {
        const Answer answer = cache.find(key, now);
        const auto at = said.find(key);
        const bool holds = at != said.end() && now < at->second.until;
        if (answer.found == Found::unknown) {
            ASSERT_FALSE(must_know && holds) << key;
            return;
        }
        ASSERT_TRUE(holds) << key;
        ASSERT_EQ(answer.found == Found::absent, at->second.is_absent) << key;
        ASSERT_EQ(answer.value, at->second.value) << key;
        ++present;
    }
    template <class Is>
    void forget(Is is) {
        std::erase_if(said, is);
    }
};

Options small_options(std::uint64_t bytes_max) {
    Options options;
    options.bytes_max = bytes_max;
    options.entry_bytes_max = 48;
    options.lifetimes_ns = {0, 60 * ns_per_second, 3600 * ns_per_second};
    options.absent_lifetime_ns = 30 * ns_per_second;
    return options;
}

void run_model(std::uint64_t seed, std::uint64_t bytes_max, std::uint32_t keys, bool knows_all) {
    Model model(small_options(bytes_max));
    ASSERT_EQ(model.cache.entries_max() >= keys, knows_all);
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t bound) { return random() % bound; };
    const auto key = [&] {
        return std::string(1, static_cast<char>('a' + below(4))) + std::to_string(below(keys / 4));
    };
    for (int step = 0; step < 60'000; ++step) {
        switch (below(40)) {
            default:
                model.check(key(), knows_all);
                break;
            case 0:
            case 1:
            case 2:
            case 3:
            case 4:
            case 5:
            case 6:
            case 7: {
                std::set<std::string> tags;
                for (std::uint64_t n = below(4); n > 0; --n) tags.insert("t" + std::to_string(below(20)));
                const std::string value(below(30) == 0 ? 60 : below(40), static_cast<char>('A' + below(26)));
                model.put(key(), value, static_cast<std::uint8_t>(below(3)), tags);
                break;
            }
            case 8:
            case 9:
                model.put_absent(key());
                break;
            case 10: {
                const std::string one = key();
                (void)model.cache.invalidate(one);
                model.forget([&](const auto& said) { return said.first == one; });
                break;
            }
            case 11: {
                if (below(10) != 0) break;
                const std::string prefix = key().substr(0, 1 + below(2));
                (void)model.cache.invalidate_prefix(prefix);
                model.forget([&](const auto& said) { return said.first.starts_with(prefix); });
                break;
            }
            case 12: {
                if (below(10) != 0) break;
                const std::string tag = "t" + std::to_string(below(20));
                (void)model.cache.invalidate_tag(tag);
                model.forget([&](const auto& said) { return said.second.tags.contains(tag); });
                break;
            }
            case 13:
                model.now = model.now.plus_ns(below(20) * ns_per_second);
                break;
        }
        if (::testing::Test::HasFatalFailure()) return;
        ASSERT_LE(model.cache.count(), model.cache.entries_max());
    }
    EXPECT_GT(model.present, 1000U);
    EXPECT_LE(model.cache.memory_bytes(), bytes_max);
    EXPECT_EQ(model.cache.counts().evicted == 0, knows_all);
}

TEST(ReferenceCache, SaysWhatWasSaidLastAndKnowsAllOfItWhileThereIsRoom) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) run_model(seed, 1U << 20, 400, true);
}

TEST(ReferenceCache, MayForgetWhenItIsFullButNeverSaysAnythingElse) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) run_model(seed, 24U << 10, 4000, false);
}

TEST(ReferenceCache, ForgetsByClassWhatIsTooOldAndAbsentKeysByTheirOwnTime) {
    ReferenceCache cache(small_options(1U << 20));
    EXPECT_TRUE(cache.put("for-ever", "1", start, 0));
    EXPECT_TRUE(cache.put("a-minute", "2", start, 1));
    EXPECT_TRUE(cache.put("an-hour", "3", start, 2));
    EXPECT_TRUE(cache.put_absent("nobody", start));
    EXPECT_EQ(cache.find("nobody", after_s(29)).found, Found::absent);
    EXPECT_EQ(cache.find("nobody", after_s(30)).found, Found::unknown);
    EXPECT_EQ(cache.find("a-minute", after_s(59)).value, "2");
    EXPECT_EQ(cache.find("a-minute", after_s(60)).found, Found::unknown);
    EXPECT_EQ(cache.find("an-hour", after_s(3599)).value, "3");
    EXPECT_EQ(cache.find("an-hour", after_s(3600)).found, Found::unknown);
    EXPECT_EQ(cache.find("for-ever", after_s(1U << 30U)).value, "1");
    EXPECT_EQ(cache.counts().expired, 3U);
}

TEST(ReferenceCache, AnEntryWithMoreTagsThanAreKeptAnswersToEveryTag) {
    ReferenceCache cache(small_options(1U << 20));
    const std::vector<std::string_view> many{"a", "b", "c", "d", "e"};
    EXPECT_TRUE(cache.put("many", "1", start, 0, many));
    EXPECT_TRUE(cache.put("one", "2", start, 0, std::vector<std::string_view>{"z"}));
    EXPECT_EQ(cache.invalidate_tag("e"), 1U);
    EXPECT_EQ(cache.find("many", start).found, Found::unknown);
    EXPECT_EQ(cache.find("one", start).value, "2");
}

#ifdef WEIR_COUNTS_ALLOCATIONS
TEST(ReferenceCache, AllocatesNothingAfterItsConstruction) {
    ReferenceCache cache(small_options(24U << 10));
    std::vector<std::string> keys;
    for (int n = 0; n < 3000; ++n) keys.push_back("key-" + std::to_string(n));
    using weir::test::allocations;
    weir::test::counts_allocations = true;
    ::operator delete(::operator new(8));
    EXPECT_EQ(allocations, 1U);  // the counter counts
    allocations = 0;
    for (int round = 0; round < 5; ++round) {
        for (const std::string& key : keys) {
            if (cache.find(key, start).found == Found::unknown) (void)cache.put(key, "value", start, 1);
        }
        (void)cache.invalidate_prefix("key-1");
    }
    weir::test::counts_allocations = false;
    EXPECT_EQ(allocations, 0U);
    EXPECT_GT(cache.counts().evicted, 1000U);
}
#endif

}  // namespace
}  // namespace weir::cache
