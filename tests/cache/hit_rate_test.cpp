// How often the cache has what it is asked for, beside other policies, on Zipf loads from fixed seeds.
//
// The bound is held against the best that a cache without knowledge of the future can do: when each request is drawn anew and
// alone, that is to hold the most popular keys from the start (Aho, Denning, Ullman, "Principles of optimal page replacement",
// JACM 1971, A0). Belady's optimum is printed too: it reads the requests that are still to come, which nothing that runs can.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <list>
#include <random>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/cache/reference_cache.hpp"

namespace weir::cache {
namespace {

constexpr std::uint32_t keys = 20'000;
constexpr std::size_t warm = 400'000;
constexpr std::size_t measured = 400'000;

// Keys are numbered by popularity.
std::vector<std::uint32_t> zipf_requests(double skew, std::uint64_t seed) {
    std::vector<double> sums;
    double sum = 0;
    for (std::uint32_t key = 1; key <= keys; ++key) sums.push_back(sum += 1 / std::pow(key, skew));
    std::mt19937_64 random(seed);
    std::vector<std::uint32_t> requests(warm + measured);
    for (std::uint32_t& request : requests) {
        const double drawn = static_cast<double>(random() >> 11U) * 0x1p-53 * sum;
        request = static_cast<std::uint32_t>(std::lower_bound(sums.begin(), sums.end(), drawn) - sums.begin());
    }
    return requests;
}

// Share of the measured requests for which `has` was true.
template <class Has>
double rate(const std::vector<std::uint32_t>& requests, Has has) {
    std::size_t hits = 0;
    for (std::size_t at = 0; at < requests.size(); ++at) {
        const bool is_hit = has(at, requests[at]);
        if (at >= warm && is_hit) ++hits;
    }
    return static_cast<double>(hits) / measured;
}

double best_without_future(const std::vector<std::uint32_t>& requests, std::uint32_t room) {
    return rate(requests, [&](std::size_t, std::uint32_t key) { return key < room; });
}

double belady(const std::vector<std::uint32_t>& requests, std::uint32_t room) {
    std::vector<std::size_t> next(requests.size());
    std::vector<std::size_t> seen(keys, requests.size());
    for (std::size_t at = requests.size(); at-- > 0;) next[at] = std::exchange(seen[requests[at]], at);
    std::set<std::pair<std::size_t, std::uint32_t>> held;  // by when they are asked for again
    std::vector<std::size_t> again(keys, SIZE_MAX);
    return rate(requests, [&](std::size_t at, std::uint32_t key) {
        const bool is_hit = held.erase({again[key], key}) > 0;
        if (!is_hit && held.size() == room) {
            // One that comes later than all that are held is not taken in.
            if (held.rbegin()->first < next[at]) return false;
            held.erase(std::prev(held.end()));
        }
        again[key] = next[at];
        held.insert({next[at], key});
        return is_hit;
    });
}

double lru(const std::vector<std::uint32_t>& requests, std::uint32_t room) {
    std::list<std::uint32_t> order;
    std::unordered_map<std::uint32_t, std::list<std::uint32_t>::iterator> held;
    return rate(requests, [&](std::size_t, std::uint32_t key) {
        if (const auto at = held.find(key); at != held.end()) {
            order.splice(order.begin(), order, at->second);
            return true;
        }
        if (held.size() == room) {
            held.erase(order.back());
            order.pop_back();
        }
        order.push_front(key);
        held[key] = order.begin();
        return false;
    });
}

double sieve(const std::vector<std::uint32_t>& requests, std::uint32_t room) {
    struct Seen {
        std::list<std::uint32_t>::iterator at;
        bool is_visited = false;
    };
    std::list<std::uint32_t> order;  // newest first
    std::unordered_map<std::uint32_t, Seen> held;
    auto hand = order.end();
    return rate(requests, [&](std::size_t, std::uint32_t key) {
        if (const auto at = held.find(key); at != held.end()) {
            at->second.is_visited = true;
            return true;
        }
        if (held.size() == room) {
            const auto step = [&] { hand = hand == order.begin() ? order.end() : std::prev(hand); };
            for (;; step()) {
                if (hand == order.end()) hand = std::prev(order.end());
                if (!held[*hand].is_visited) break;
                held[*hand].is_visited = false;
            }
            const auto victim = hand;
            step();
            held.erase(*victim);
            order.erase(victim);
        }
        order.push_front(key);
        held[key] = {order.begin(), false};
        return false;
    });
}

double weir_cache(const std::vector<std::uint32_t>& requests, std::uint64_t bytes_max) {
    ReferenceCache cache({.bytes_max = bytes_max, .entry_bytes_max = 32});
    return rate(requests, [&](std::size_t, std::uint32_t key) {
        const std::string text = "key-" + std::to_string(key);
        if (cache.find(text, {1}).found == Found::present) return true;
        (void)cache.put(text, "row", {1});
        return false;
    });
}

// The memory in which `room` entries fit, and not one more.
std::uint64_t bytes_for(std::uint32_t room) {
    std::uint64_t low = 4096, high = 64ULL << 20;
    while (low + 1 < high) {
        const std::uint64_t middle = (low + high) / 2;
        (ReferenceCache({.bytes_max = middle, .entry_bytes_max = 32}).entries_max() <= room ? low : high) = middle;
    }
    return low;
}

TEST(ReferenceCache, HitsWithinTwoPointsOfTheBestOnZipfLoads) {
    std::printf("hit rate in %%, %u keys, %zu requests after %zu\n", keys, measured, warm);
    std::printf("skew  room   weir    LRU  SIEVE  best without future  Belady (knows it)  to best\n");
    for (const double skew : {0.7, 0.9, 1.0, 1.2}) {
        const auto requests = zipf_requests(skew, 17);
        for (const std::uint32_t room : {200U, 1000U, 4000U}) {
            const double best = best_without_future(requests, room);
            const double ours = weir_cache(requests, bytes_for(room));
            const double of_lru = lru(requests, room);
            std::printf("%4.1f %5u %6.2f %6.2f %6.2f %20.2f %18.2f %8.2f\n", skew, room, 100 * ours, 100 * of_lru,
                        100 * sieve(requests, room), 100 * best, 100 * belady(requests, room), 100 * (best - ours));
            EXPECT_GE(ours, best - 0.02) << "skew " << skew << ", room " << room;
            EXPECT_GT(ours, of_lru);
        }
    }
}

}  // namespace
}  // namespace weir::cache
