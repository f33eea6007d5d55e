#include "edge/intake/duplicate_filter.hpp"

#include <algorithm>

#include "core/base/crc32c.hpp"

namespace weir::edge {

DuplicateFilter::DuplicateFilter(Options options) : options_(options), ring_(options.ids_max), index_(options.ids_max) {
    begin_at(1);
}

inline std::uint32_t DuplicateFilter::find(const Fingerprint& fingerprint) const noexcept {
    return index_.find(fingerprint.low, [&](std::uint32_t position) {
        const FilterEntry& entry = ring_[position];
        return entry.low == fingerprint.low && entry.high == fingerprint.high;
    });
}

bool DuplicateFilter::contains(const Fingerprint& fingerprint, std::uint32_t seconds) const noexcept {
    const std::uint32_t known = find(fingerprint);
    return known != FilterIndex::none && is_alive(known, seconds);
}

std::uint64_t DuplicateFilter::index_of(const Fingerprint& fingerprint, std::uint32_t seconds) const noexcept {
    const std::uint32_t known = find(fingerprint);
    return known != FilterIndex::none && is_alive(known, seconds) ? ring_[known].index : 0;
}

inline void DuplicateFilter::evict_oldest() noexcept {
    FilterEntry& entry = ring_[oldest_position_];
    if (entry.index == oldest_) {
        // Perhaps it is not there: a younger entry of the same id is meant.
        (void)index_.erase(entry.low, static_cast<std::uint32_t>(oldest_position_));
        entry.index = 0;
        --count_;
    }
    ++oldest_;
    oldest_position_ = after(oldest_position_);
}

// All of it in one: this is what an event costs.
[[gnu::flatten]] bool DuplicateFilter::admit(const Fingerprint& fingerprint, std::uint32_t seconds) noexcept {
    const std::uint32_t known = find(fingerprint);
    if (known != FilterIndex::none && is_alive(known, seconds)) return false;
    place(fingerprint, seconds, known);
    return true;
}

// `known`: where find() says. From now on the younger one is meant.
inline void DuplicateFilter::place(const Fingerprint& fingerprint, std::uint32_t seconds,
                                   std::uint32_t known) noexcept {
    if (known != FilterIndex::none) (void)index_.erase(fingerprint.low, known);
    if (next_ - oldest_ == options_.ids_max) evict_oldest();
    index_.insert(fingerprint.low, static_cast<std::uint32_t>(next_position_));
    FilterEntry entry{fingerprint.high, fingerprint.low, next_, seconds, 0};
    // Now, while it is at hand: on its way to the checkpoint it would be fetched, looked at and sealed once more.
    entry.crc = crc_of(entry);
    ring_[next_position_] = entry;
    newest_seconds_ = std::max(newest_seconds_, seconds);
    ++next_;
    next_position_ = after(next_position_);
    ++count_;
}

void DuplicateFilter::insert(const Fingerprint& fingerprint, std::uint32_t seconds) noexcept {
    place(fingerprint, seconds, find(fingerprint));
}

// There is no entry.
void DuplicateFilter::begin_at(std::uint64_t index) noexcept {
    oldest_ = next_ = index;
    oldest_position_ = next_position_ = position_of(index);
}

bool DuplicateFilter::restore(const FilterEntry& entry) noexcept {
    if (!is_intact(entry) || entry.index < next_) return false;
    if (count_ == 0) begin_at(entry.index);
    // Those between were torn or never written. So many that none would be left,
    // and we begin anew: counting there would take for ever where an index is far
    // off.
    if (entry.index - next_ >= options_.ids_max) {
        while (count_ > 0) evict_oldest();
        begin_at(entry.index);
    }
    for (; next_ < entry.index; ++next_, next_position_ = after(next_position_)) {
        if (next_ - oldest_ == options_.ids_max) evict_oldest();
    }
    const Fingerprint fingerprint{entry.high, entry.low};
    place(fingerprint, entry.seconds, find(fingerprint));
    return true;
}

std::uint32_t DuplicateFilter::crc_of(const FilterEntry& entry) const noexcept {
    // The fields before it, and the seed behind them.
    return crc32c_of_words({entry.high, entry.low, entry.index, entry.seconds | options_.seed << 32U},
                           static_cast<std::uint32_t>(options_.seed >> 32U));
}

void DuplicateFilter::seal(std::uint64_t first, std::span<FilterEntry> into) const noexcept {
    std::uint64_t position = position_of(first);
    for (FilterEntry& entry : into) {
        const FilterEntry& from = ring_[position];
        if (position + fetch_ahead < options_.ids_max) __builtin_prefetch(&ring_[position + fetch_ahead]);
        entry = from.index == first ? from : FilterEntry{};
        ++first;
        position = after(position);
    }
}

FilterEntry DuplicateFilter::sealed(std::uint64_t index) const noexcept {
    FilterEntry entry;
    seal(index, {&entry, 1});
    return entry;
}

bool DuplicateFilter::is_intact(const FilterEntry& entry) const noexcept {
    return entry.index != 0 && entry.index <= index_max && entry.crc == crc_of(entry);
}

}  // namespace weir::edge
