#include "edge/intake/duplicate_filter.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "core/base/crc32c.hpp"

namespace weir::edge {

DuplicateFilter::DuplicateFilter(Options options)
    : options_(options),
      mask_(std::bit_ceil(std::uint64_t{options.ids_max} * 2) - 1),
      ring_(options.ids_max),
      table_(mask_ + 1, empty) {
    WEIR_ASSERT(options.ids_max > 0 && mask_ <= UINT32_MAX);
    begin_at(1);
}

void DuplicateFilter::prefetch_oldest(std::uint32_t count) const noexcept {
    if (next_ - oldest_ + count <= options_.ids_max) return;
    std::uint64_t position = oldest_position_;
    for (std::uint32_t i = 0; i < count; ++i, position = after(position)) {
        prefetch_home(ring_[position].low);
    }
}

std::uint64_t DuplicateFilter::find(const Fingerprint& fingerprint) const noexcept {
    std::uint64_t at = fingerprint.low & mask_;
    for (; table_[at] != empty; at = (at + 1) & mask_) {
        if (((table_[at] ^ fingerprint.low) & UINT32_MAX) != 0) continue;
        const FilterEntry& entry = ring_[position_in(table_[at])];
        if (entry.low == fingerprint.low && entry.high == fingerprint.high) break;
    }
    return at;
}

bool DuplicateFilter::contains(const Fingerprint& fingerprint, std::uint32_t seconds) const noexcept {
    const std::uint64_t at = find(fingerprint);
    return table_[at] != empty && is_alive(table_[at], seconds);
}

std::uint64_t DuplicateFilter::index_of(const Fingerprint& fingerprint, std::uint32_t seconds) const noexcept {
    const std::uint64_t at = find(fingerprint);
    const bool is_there = table_[at] != empty && is_alive(table_[at], seconds);
    return is_there ? ring_[position_in(table_[at])].index : 0;
}

void DuplicateFilter::erase(std::uint64_t hole) noexcept {
    // Closes the hole: whatever probed past it moves back, so that no search ends
    // too early.
    for (std::uint64_t at = (hole + 1) & mask_; table_[at] != empty; at = (at + 1) & mask_) {
        const std::uint64_t home = table_[at] & UINT32_MAX & mask_;
        if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
        table_[hole] = table_[at];
        hole = at;
    }
    table_[hole] = empty;
}

void DuplicateFilter::evict_oldest() noexcept {
    FilterEntry& entry = ring_[oldest_position_];
    if (entry.index == oldest_) {
        // Not there: a younger entry of the same id is meant.
        const Slot wanted = slot_of(oldest_position_, entry.low);
        std::uint64_t at = entry.low & mask_;
        while (table_[at] != wanted && table_[at] != empty) at = (at + 1) & mask_;
        if (table_[at] == wanted) erase(at);
        entry.index = 0;
        --count_;
    }
    ++oldest_;
    oldest_position_ = after(oldest_position_);
}

// All of it in one: this is what an event costs.
[[gnu::flatten]] bool DuplicateFilter::admit(const Fingerprint& fingerprint, std::uint32_t seconds) noexcept {
    const std::uint64_t at = find(fingerprint);
    if (table_[at] != empty && is_alive(table_[at], seconds)) return false;
    place(fingerprint, seconds, at);
    return true;
}

// `at`: where find() says.
void DuplicateFilter::place(const Fingerprint& fingerprint, std::uint32_t seconds, std::uint64_t at) noexcept {
    if (next_ - oldest_ == options_.ids_max) {
        evict_oldest();
        at = find(fingerprint);  // what made room may have moved others
    }
    table_[at] = slot_of(next_position_, fingerprint.low);
    ring_[next_position_] = {fingerprint.high, fingerprint.low, next_, seconds, 0};
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
    std::array<std::byte, 36> bytes;
    std::memcpy(bytes.data(), &entry, 28);
    std::memcpy(bytes.data() + 28, &options_.seed, 8);
    return crc32c(0, bytes);
}

void DuplicateFilter::seal(std::uint64_t first, std::span<FilterEntry> into) const noexcept {
    std::uint64_t position = position_of(first);
    for (FilterEntry& entry : into) {
        const FilterEntry& from = ring_[position];
        entry = from.index == first ? from : FilterEntry{};
        if (entry.index != 0) entry.crc = crc_of(entry);
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
