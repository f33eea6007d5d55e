#include "edge/intake/duplicate_filter.hpp"

#include <algorithm>

#include "core/base/assert.hpp"

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
    return known != FilterIndex::none && is_alive(known, seconds) ? index_at(known) : 0;
}

inline void DuplicateFilter::evict_oldest() noexcept {
    FilterEntry& entry = ring_[oldest_position_];
    if (entry.seconds != FilterEntry::none) {
        // Perhaps it is not there: a younger entry of the same id is meant.
        (void)index_.erase(entry.low, static_cast<std::uint32_t>(oldest_position_));
        entry.seconds = FilterEntry::none;
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
    ring_[next_position_] = {fingerprint.high, fingerprint.low, seconds};
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

void DuplicateFilter::skip_to(std::uint64_t index) noexcept {
    WEIR_ASSERT(index >= next_);
    // So many that none would be left, and it begins anew: counting there would take for ever where an index is far off.
    if (index - next_ >= options_.ids_max) {
        while (count_ > 0) evict_oldest();
    }
    if (count_ == 0) return begin_at(index);
    for (; next_ < index; ++next_, next_position_ = after(next_position_)) {
        if (next_ - oldest_ == options_.ids_max) evict_oldest();
    }
}

bool DuplicateFilter::restore(std::uint64_t index, const Fingerprint& fingerprint, std::uint32_t seconds) noexcept {
    if (index < next_ || index > index_max || seconds > restored_seconds_max) return false;
    skip_to(index);  // those between were torn or never written
    place(fingerprint, seconds, find(fingerprint));
    return true;
}

}  // namespace weir::edge
