// ReferenceCache: rows of reference data by key, in a fixed amount of memory, with lifetimes, absent keys and tags.
//
// A new key goes to a small queue, as in S3-FIFO. What falls out of it is weighed against the coldest of the first few in the main
// queue, by how often each was asked for lately; the warmer one stays. So a row that is asked for once never costs one that is
// asked for often. How often is kept in a sketch for far more keys than fit, halved from time to time, so that what was popular
// once does not stay.
//
// Thread    One thread. Nothing is allocated after construction.
// Bounds    memory_bytes() never exceeds Options::bytes_max; key and value of an entry together fit Options::entry_bytes_max.
// Cost      find and put: a few cache misses. One find in fifty times entries_max() halves the sketch: 64 bytes for each entry, at
//           memory speed. invalidate_prefix and invalidate_tag look at every entry.
// Source    Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023), for the queues; Einziger, Friedman, Manes,
//           "TinyLFU" (ACM TOS 2017), for the sketch. S3-FIFO's two bits alone stay 3 points behind the optimum where a fifth of
//           the keys fit; SIEVE 3.4 (Zipf 0.9, tests/cache).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/types.hpp"

namespace weir::cache {

inline constexpr std::size_t lifetime_classes = 8;
inline constexpr std::size_t entry_tags_max = 4;

struct Options {
    std::uint64_t bytes_max = 4U << 20;                          // all in: entries, index, sketch
    std::uint32_t entry_bytes_max = 256;                         // key and value of one entry
    std::array<std::uint64_t, lifetime_classes> lifetimes_ns{};  // by class; 0: until evicted or invalidated
    std::uint64_t absent_lifetime_ns = 60 * ns_per_second;
    std::uint64_t seed = 1;  // of the hash: keys come from outside
};

struct CacheCounts {
    std::uint64_t hits = 0;
    std::uint64_t absent_hits = 0;  // known to be absent
    std::uint64_t misses = 0;
    std::uint64_t expired = 0;  // of the misses: there, but too old
    std::uint64_t puts = 0;
    std::uint64_t evicted = 0;
    std::uint64_t invalidated = 0;
    std::uint64_t too_large = 0;  // not kept
};

enum class Found : std::uint8_t {
    unknown,  // ask somebody
    present,
    absent,  // somebody said that there is no such row
};
struct Answer {
    Found found = Found::unknown;
    std::string_view value{};  // until the next call that is no find()
};

class ReferenceCache {
  public:
    explicit ReferenceCache(const Options& options);

    [[nodiscard]] Answer find(std::string_view key, MonotonicNs now) noexcept;
    // In place of what was there. False if it is too large: then nothing is there. `lifetime` < lifetime_classes; tags beyond
    // entry_tags_max are not kept, and make the entry answer to every tag.
    bool put(std::string_view key, std::string_view value, MonotonicNs now, std::uint8_t lifetime = 0,
             std::span<const std::string_view> tags = {}) noexcept;
    bool put_absent(std::string_view key, MonotonicNs now) noexcept;

    // Each returns how many entries went, absent ones too.
    std::size_t invalidate(std::string_view key) noexcept;
    std::size_t invalidate_prefix(std::string_view prefix) noexcept;
    std::size_t invalidate_tag(std::string_view tag) noexcept;

    [[nodiscard]] std::uint32_t entries_max() const { return static_cast<std::uint32_t>(entries_.size()); }
    [[nodiscard]] std::uint32_t count() const { return small_.count + main_.count; }
    [[nodiscard]] std::uint64_t memory_bytes() const;
    [[nodiscard]] const CacheCounts& counts() const { return counts_; }

  private:
    static constexpr std::uint32_t none = UINT32_MAX;
    enum class Place : std::uint8_t { unused, small, main };
    struct Entry {
        std::uint64_t hash = 0;
        MonotonicNs until{};  // never: no end
        std::array<std::uint64_t, entry_tags_max> tags{};
        std::uint32_t before = none;  // in its queue; of an unused one: the next unused
        std::uint32_t behind = none;
        std::uint32_t chained = none;  // the next of the same bucket
        std::uint32_t value_bytes = 0;
        std::uint16_t key_bytes = 0;
        Place place = Place::unused;
        std::uint8_t tag_count = 0;
        bool is_absent = false;
        bool has_every_tag = false;
    };
    struct Queue {
        std::uint32_t oldest = none;
        std::uint32_t newest = none;
        std::uint32_t count = 0;
    };
    // What one entry costs in all: see the constructor.
    [[nodiscard]] static std::uint64_t entry_cost(const Options& options);
    [[nodiscard]] std::uint64_t hash_of(std::string_view key) const noexcept;
    [[nodiscard]] std::string_view key_of(std::uint32_t index) const noexcept;
    [[nodiscard]] std::uint32_t look_up(std::string_view key, std::uint64_t hash) const noexcept;
    [[nodiscard]] std::uint32_t place_new(std::uint64_t hash) noexcept;
    [[nodiscard]] bool store(std::string_view key, std::string_view value, MonotonicNs until, bool is_absent) noexcept;
    void evict() noexcept;
    [[nodiscard]] std::uint32_t coldest_of_main() noexcept;
    void remove(std::uint32_t index) noexcept;
    Queue& queue_of(Place place) noexcept { return place == Place::small ? small_ : main_; }
    void append(Place place, std::uint32_t index) noexcept;
    void take_out(std::uint32_t index) noexcept;
    template <class Is>
    std::size_t invalidate_where(Is is) noexcept;
    void count_ask(std::uint64_t hash) noexcept;
    [[nodiscard]] std::uint32_t asks_of(std::uint64_t hash) const noexcept;

    Options options_;
    std::uint32_t small_max_ = 1;
    std::vector<Entry> entries_;
    std::vector<char> bytes_;             // entry_bytes_max for each entry: key, then value
    std::vector<std::uint32_t> buckets_;  // by hash: the first of its chain
    std::vector<std::uint8_t> asked_;     // the sketch
    std::uint64_t asks_ = 0;              // since it was halved last
    std::uint64_t asks_max_ = 1;
    std::uint32_t unused_ = none;
    Queue small_;
    Queue main_;
    CacheCounts counts_;
    std::uint32_t stored_ = none;  // by store(), for the tags
};

}  // namespace weir::cache
