#include "edge/intake/duplicate_filter.hpp"

#include <xxhash.h>

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
    WEIR_ASSERT(options.ids_max > 0);
}

Fingerprint DuplicateFilter::fingerprint(std::string_view source, std::string_view id) const noexcept {
    // One buffer: the 0 between them keeps ("a", "bc") apart from ("ab", "c").
    std::array<char, wire::source_bytes_max + 1 + wire::id_bytes_max> text;
    WEIR_ASSERT(source.size() <= wire::source_bytes_max && id.size() <= wire::id_bytes_max);
    std::memcpy(text.data(), source.data(), source.size());
    text[source.size()] = '\0';
    std::memcpy(text.data() + source.size() + 1, id.data(), id.size());
    const XXH128_hash_t hash = XXH3_128bits_withSeed(text.data(), source.size() + 1 + id.size(), options_.seed);
    return {hash.high64, hash.low64};
}

std::uint64_t DuplicateFilter::find(const Fingerprint& fingerprint) const noexcept {
    std::uint64_t slot = fingerprint.low & mask_;
    while (table_[slot] != empty) {
        const FilterEntry& entry = ring_[table_[slot] - 1];
        if (entry.low == fingerprint.low && entry.high == fingerprint.high) break;
        slot = (slot + 1) & mask_;
    }
    return slot;
}

bool DuplicateFilter::contains(const Fingerprint& fingerprint, std::uint32_t seconds) const noexcept {
    const std::uint64_t slot = find(fingerprint);
    if (table_[slot] == empty) return false;
    const std::uint32_t then = ring_[table_[slot] - 1].seconds;
    return seconds <= then || seconds - then <= options_.lifetime_s;
}

void DuplicateFilter::erase(std::uint64_t slot) noexcept {
    // Closes the hole: whatever probed past it moves back, so that no search ends too early.
    std::uint64_t hole = slot;
    for (std::uint64_t at = (slot + 1) & mask_; table_[at] != empty; at = (at + 1) & mask_) {
        const std::uint64_t home = ring_[table_[at] - 1].low & mask_;
        if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
        table_[hole] = table_[at];
        hole = at;
    }
    table_[hole] = empty;
}

void DuplicateFilter::evict_oldest() noexcept {
    const std::uint64_t position = position_of(oldest_);
    FilterEntry& entry = ring_[position];
    if (entry.index == oldest_) {
        const std::uint64_t slot = find({entry.high, entry.low});
        if (table_[slot] == position + 1) erase(slot);  // else a younger entry of the same id is meant
        entry.index = 0;
        --count_;
    }
    ++oldest_;
}

void DuplicateFilter::place(const Fingerprint& fingerprint, std::uint32_t seconds) noexcept {
    if (next_ - oldest_ == options_.ids_max) evict_oldest();
    const std::uint64_t position = position_of(next_);
    const std::uint64_t slot = find(fingerprint);
    ring_[position] = {fingerprint.high, fingerprint.low, next_, seconds, 0};
    table_[slot] = static_cast<std::uint32_t>(position + 1);
    newest_seconds_ = std::max(newest_seconds_, seconds);
    ++next_;
    ++count_;
}

void DuplicateFilter::insert(const Fingerprint& fingerprint, std::uint32_t seconds) noexcept {
    place(fingerprint, seconds);
}

bool DuplicateFilter::restore(const FilterEntry& entry) noexcept {
    if (!is_intact(entry) || entry.index < next_) return false;
    if (count_ == 0) oldest_ = next_ = entry.index;
    // Those between were torn or never written. So many that none would be left, and we begin anew: counting there would take
    // for ever where an index is far off.
    if (entry.index - next_ >= options_.ids_max) {
        while (count_ > 0) evict_oldest();
        oldest_ = next_ = entry.index;
    }
    for (; next_ < entry.index; ++next_) {
        if (next_ - oldest_ == options_.ids_max) evict_oldest();
    }
    place({entry.high, entry.low}, entry.seconds);
    return true;
}

std::uint32_t DuplicateFilter::crc_of(const FilterEntry& entry) const noexcept {
    std::array<std::byte, 36> bytes;
    std::memcpy(bytes.data(), &entry, 28);
    std::memcpy(bytes.data() + 28, &options_.seed, 8);
    return crc32c(0, bytes);
}

FilterEntry DuplicateFilter::sealed(std::uint64_t index) const noexcept {
    FilterEntry entry = ring_[position_of(index)];
    if (entry.index != index) return {};
    entry.crc = crc_of(entry);
    return entry;
}

bool DuplicateFilter::is_intact(const FilterEntry& entry) const noexcept {
    return entry.index != 0 && entry.index <= index_max && entry.crc == crc_of(entry);
}

}  // namespace weir::edge
