#include "core/cache/reference_cache.hpp"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/assert.hpp"

namespace weir::cache {
namespace {

// Measured on Zipf loads (tests/cache): fewer counters or a shorter memory lose up to two points where few keys fit.
constexpr std::uint64_t counters_per_entry = 32;
constexpr std::uint64_t asks_per_entry = 100;  // then every counter is halved
constexpr std::uint8_t asked_max = UINT8_MAX;
constexpr int sketch_rows = 4;
constexpr std::uint32_t small_share = 100;  // the small queue has one of so many entries
constexpr int weighed_max = 4;              // of the main queue's oldest
constexpr std::uint64_t buckets_per_entry = 2;

}  // namespace

std::uint64_t ReferenceCache::entry_cost(const Options& options) {
    // Buckets and counters are powers of two: up to twice what is asked for.
    return sizeof(Entry) + options.entry_bytes_max + 2 * buckets_per_entry * sizeof(std::uint32_t) +
           2 * counters_per_entry;
}

ReferenceCache::ReferenceCache(const Options& options) : options_(options) {
    WEIR_ASSERT(options.entry_bytes_max > 0);
    WEIR_ASSERT(options.bytes_max >= sizeof(*this) + 2 * entry_cost(options));
    const std::uint64_t count =
        std::min<std::uint64_t>((options.bytes_max - sizeof(*this)) / entry_cost(options), none - 1);
    entries_.resize(count);
    bytes_.resize(count * options.entry_bytes_max);
    buckets_.assign(std::bit_ceil(buckets_per_entry * count), none);
    asked_.resize(std::bit_ceil(counters_per_entry * count));
    asks_max_ = asks_per_entry * count;
    small_max_ = std::max<std::uint32_t>(1, static_cast<std::uint32_t>(count / small_share));
    for (std::uint32_t index = static_cast<std::uint32_t>(count); index > 0; --index) {
        entries_[index - 1].before = unused_;
        unused_ = index - 1;
    }
    WEIR_ASSERT(memory_bytes() <= options.bytes_max);
}

std::uint64_t ReferenceCache::memory_bytes() const {
    return sizeof(*this) + entries_.capacity() * sizeof(Entry) + bytes_.capacity() +
           buckets_.capacity() * sizeof(std::uint32_t) + asked_.capacity();
}

Answer ReferenceCache::find(std::string_view key, MonotonicNs now) noexcept {
    const std::uint64_t hash = hash_of(key);
    count_ask(hash);
    const std::uint32_t index = look_up(key, hash);
    if (index == none) {
        ++counts_.misses;
        return {};
    }
    const Entry& entry = entries_[index];
    if (now >= entry.until) {
        remove(index);
        ++counts_.misses;
        ++counts_.expired;
        return {};
    }
    if (entry.is_absent) {
        ++counts_.absent_hits;
        return {Found::absent, {}};
    }
    ++counts_.hits;
    return {Found::present,
            {bytes_.data() + std::size_t{index} * options_.entry_bytes_max + entry.key_bytes, entry.value_bytes}};
}

bool ReferenceCache::put(std::string_view key, std::string_view value, MonotonicNs now, std::uint8_t lifetime,
                         std::span<const std::string_view> tags) noexcept {
    WEIR_ASSERT(lifetime < lifetime_classes);
    const std::uint64_t lasts_ns = options_.lifetimes_ns[lifetime];
    if (!store(key, value, lasts_ns == 0 ? never : now.plus_ns(lasts_ns), false)) return false;
    Entry& entry = entries_[stored_];
    for (const std::string_view tag : tags.first(std::min(tags.size(), entry_tags_max))) {
        entry.tags[entry.tag_count++] = hash_of(tag);
    }
    entry.has_every_tag = tags.size() > entry_tags_max;
    return true;
}

bool ReferenceCache::put_absent(std::string_view key, MonotonicNs now) noexcept {
    return store(key, {}, now.plus_ns(options_.absent_lifetime_ns), true);
}

bool ReferenceCache::store(std::string_view key, std::string_view value, MonotonicNs until, bool is_absent) noexcept {
    const std::uint64_t hash = hash_of(key);
    std::uint32_t index = look_up(key, hash);
    if (key.size() > UINT16_MAX || key.size() + value.size() > options_.entry_bytes_max) {
        ++counts_.too_large;
        if (index != none) remove(index);
        return false;
    }
    if (index == none) index = place_new(hash);
    Entry& entry = entries_[index];
    char* const at = bytes_.data() + std::size_t{index} * options_.entry_bytes_max;
    std::copy(key.begin(), key.end(), at);
    std::copy(value.begin(), value.end(), at + key.size());
    entry.key_bytes = static_cast<std::uint16_t>(key.size());
    entry.value_bytes = static_cast<std::uint32_t>(value.size());
    entry.until = until;
    entry.is_absent = is_absent;
    entry.has_every_tag = false;
    entry.tag_count = 0;
    ++counts_.puts;
    stored_ = index;
    return true;
}

std::uint32_t ReferenceCache::place_new(std::uint64_t hash) noexcept {
    if (unused_ == none) evict();
    const std::uint32_t index = unused_;
    Entry& entry = entries_[index];
    unused_ = entry.before;
    entry.hash = hash;
    std::uint32_t& first = buckets_[hash & (buckets_.size() - 1)];
    entry.chained = first;
    first = index;
    append(Place::small, index);
    if (small_.count > small_max_ && unused_ != none) {  // room is left: the main queue fills
        const std::uint32_t oldest = small_.oldest;
        take_out(oldest);
        append(Place::main, oldest);
    }
    return index;
}

// One entry becomes unused: the small queue's oldest, or one of the main queue's that is colder.
void ReferenceCache::evict() noexcept {
    ++counts_.evicted;
    if (small_.oldest == none) return remove(main_.oldest);
    const std::uint32_t candidate = small_.oldest;
    const std::uint32_t coldest = coldest_of_main();
    if (coldest == none || asks_of(entries_[candidate].hash) <= asks_of(entries_[coldest].hash)) {
        return remove(candidate);
    }
    remove(coldest);
    take_out(candidate);
    append(Place::main, candidate);
}

// Of the oldest few, all of which but this one go to the end; it stays the oldest.
std::uint32_t ReferenceCache::coldest_of_main() noexcept {
    std::uint32_t coldest = none;
    std::uint32_t asks = UINT32_MAX;
    std::uint32_t at = main_.oldest;
    std::array<std::uint32_t, weighed_max> weighed;
    std::size_t count = 0;
    for (; count < weighed_max && at != none; at = entries_[at].behind) {
        weighed[count++] = at;
        const std::uint32_t its_asks = asks_of(entries_[at].hash);
        if (its_asks < asks) {
            asks = its_asks;
            coldest = at;
        }
    }
    for (std::size_t i = 0; i < count; ++i) {
        if (weighed[i] == coldest) continue;
        take_out(weighed[i]);
        append(Place::main, weighed[i]);
    }
    return coldest;
}

std::size_t ReferenceCache::invalidate(std::string_view key) noexcept {
    const std::uint32_t index = look_up(key, hash_of(key));
    if (index == none) return 0;
    remove(index);
    ++counts_.invalidated;
    return 1;
}

template <class Is>
std::size_t ReferenceCache::invalidate_where(Is is) noexcept {
    std::size_t gone = 0;
    for (std::uint32_t index = 0; index < entries_.size(); ++index) {
        if (entries_[index].place == Place::unused || !is(index)) continue;
        remove(index);
        ++gone;
    }
    counts_.invalidated += gone;
    return gone;
}

std::size_t ReferenceCache::invalidate_prefix(std::string_view prefix) noexcept {
    return invalidate_where([&](std::uint32_t index) { return key_of(index).starts_with(prefix); });
}

std::size_t ReferenceCache::invalidate_tag(std::string_view tag) noexcept {
    const std::uint64_t hash = hash_of(tag);
    return invalidate_where([&](std::uint32_t index) {
        const Entry& entry = entries_[index];
        const auto end = entry.tags.begin() + entry.tag_count;
        return entry.has_every_tag || std::find(entry.tags.begin(), end, hash) != end;
    });
}

std::uint64_t ReferenceCache::hash_of(std::string_view key) const noexcept {
    return XXH3_64bits_withSeed(key.data(), key.size(), options_.seed);
}

std::string_view ReferenceCache::key_of(std::uint32_t index) const noexcept {
    return {bytes_.data() + std::size_t{index} * options_.entry_bytes_max, entries_[index].key_bytes};
}

std::uint32_t ReferenceCache::look_up(std::string_view key, std::uint64_t hash) const noexcept {
    std::uint32_t index = buckets_[hash & (buckets_.size() - 1)];
    while (index != none && (entries_[index].hash != hash || key_of(index) != key)) index = entries_[index].chained;
    return index;
}

void ReferenceCache::remove(std::uint32_t index) noexcept {
    Entry& entry = entries_[index];
    take_out(index);
    std::uint32_t* link = &buckets_[entry.hash & (buckets_.size() - 1)];
    while (*link != index) link = &entries_[*link].chained;
    *link = entry.chained;
    entry.place = Place::unused;
    entry.before = unused_;
    unused_ = index;
}

void ReferenceCache::append(Place place, std::uint32_t index) noexcept {
    Queue& queue = queue_of(place);
    Entry& entry = entries_[index];
    entry.place = place;
    entry.before = queue.newest;
    entry.behind = none;
    (queue.newest == none ? queue.oldest : entries_[queue.newest].behind) = index;
    queue.newest = index;
    ++queue.count;
}

void ReferenceCache::take_out(std::uint32_t index) noexcept {
    const Entry& entry = entries_[index];
    WEIR_ASSERT(entry.place != Place::unused);
    Queue& queue = queue_of(entry.place);
    (entry.before == none ? queue.oldest : entries_[entry.before].behind) = entry.behind;
    (entry.behind == none ? queue.newest : entries_[entry.behind].before) = entry.before;
    --queue.count;
}

// A counter is raised only where it is the lowest of its rows: the others were raised by other keys.
void ReferenceCache::count_ask(std::uint64_t hash) noexcept {
    const std::uint32_t lowest = asks_of(hash);
    const std::uint64_t step = hash >> 32U | 1U;
    for (std::uint64_t row = 0; row < sketch_rows && lowest < asked_max; ++row) {
        std::uint8_t& counter = asked_[(hash + row * step) & (asked_.size() - 1)];
        if (counter == lowest) ++counter;
    }
    // All at once: half of them halved would make the others look twice as warm (it costs up to 3 points).
    if (++asks_ < asks_max_) return;
    for (std::uint8_t& counter : asked_) counter = static_cast<std::uint8_t>(counter >> 1U);
    asks_ /= 2;
}

std::uint32_t ReferenceCache::asks_of(std::uint64_t hash) const noexcept {
    const std::uint64_t step = hash >> 32U | 1U;
    std::uint32_t lowest = asked_max;
    for (std::uint64_t row = 0; row < sketch_rows; ++row) {
        lowest = std::min<std::uint32_t>(lowest, asked_[(hash + row * step) & (asked_.size() - 1)]);
    }
    return lowest;
}

}  // namespace weir::cache
