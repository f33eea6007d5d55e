// FilterIndex: from an id's hash to the place of its entry in the duplicate filter's ring, by buckets of one cache line each.
//
// A bucket has ten slots: 16 bits of the hash, and the place. What finds its home full lies in a bucket behind it, and each bucket on the way
// counts that it was passed: a search goes on only where something has passed. Nothing is ever moved, so that a look-up, an insert and an erase
// each touch the one line that was fetched for them.
//
// Thread    Intake runner (control thread during recovery).
// Law       An entry lies in the first bucket, from its home on, that had a free slot when it came; `passed` of a bucket is the number of
//           entries that lie behind it and have their home at it or before it.
// Bounds    entries_max entries; 16 to 32 bytes for each of them, made at construction: a full index has two to four entries in a bucket on
//           average, and of hashes that are spread evenly at most 0.3 % of the buckets have more than ten.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "core/base/assert.hpp"
#include "core/base/huge_pages.hpp"

namespace weir::edge {

struct alignas(64) FilterBucket {
    static constexpr std::size_t slots = 10;
    static constexpr std::uint16_t free_tag = 0;

    std::array<std::uint16_t, slots> tags{};
    std::uint32_t passed = 0;
    std::array<std::uint32_t, slots> places{};  // of a free slot: anything

    // A bit for each slot with this tag, the first slot's the lowest.
    [[nodiscard, gnu::always_inline]] std::uint32_t slots_with(std::uint16_t tag) const noexcept {
#if defined(__SSE2__)
        const __m128i wanted = _mm_set1_epi16(static_cast<short>(tag));
        const auto* const line = reinterpret_cast<const __m128i*>(this);
        const __m128i first = _mm_cmpeq_epi16(_mm_load_si128(line), wanted);
        const __m128i second = _mm_cmpeq_epi16(_mm_load_si128(line + 1), wanted);  // what is behind the tags too
        constexpr std::uint32_t all = (1U << slots) - 1;
        return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(first, second))) & all;
#else
        return slots_with_one_by_one(tag);
#endif
    }
    // The same where there are no such instructions.
    [[nodiscard]] std::uint32_t slots_with_one_by_one(std::uint16_t tag) const noexcept {
        std::uint32_t found = 0;
        for (std::size_t slot = 0; slot < slots; ++slot) {
            found |= static_cast<std::uint32_t>(tags[slot] == tag ? 1U << slot : 0U);
        }
        return found;
    }
};
static_assert(sizeof(FilterBucket) == 64 && offsetof(FilterBucket, tags) == 0);

class FilterIndex {
  public:
    static constexpr std::uint32_t none = UINT32_MAX;  // no place

    // entries_max: from 1; places are below `none`.
    explicit FilterIndex(std::uint32_t entries_max)
        : mask_(std::max<std::uint64_t>(std::bit_ceil(std::uint64_t{entries_max} * 2) / 8, 1) - 1),
          buckets_(mask_ + 1) {
        WEIR_ASSERT(entries_max > 0 && entries_max < none);
    }

    // Inlined by force: gcc drops the call of a function that does nothing but fetch, as one without effect.
    [[gnu::always_inline]] void prefetch(std::uint64_t hash) const noexcept {
        __builtin_prefetch(&buckets_[hash & mask_], 1);
    }
    // The first of its hash's places of which is_meant(place) says so; hashes that are almost the same come to be asked about, too.
    template <class IsMeant>
    [[nodiscard]] std::uint32_t find(std::uint64_t hash, IsMeant&& is_meant) const noexcept {
        const std::uint16_t tag = tag_of(hash);
        std::uint64_t at = hash & mask_;
        for (std::uint64_t looked = 0; looked <= mask_; ++looked, at = after(at)) {
            const FilterBucket& bucket = buckets_[at];
            for (std::uint32_t found = bucket.slots_with(tag); found != 0; found &= found - 1) {
                const std::uint32_t place = bucket.places[static_cast<std::size_t>(std::countr_zero(found))];
                if (is_meant(place)) return place;
            }
            if (bucket.passed == 0) [[likely]]
                return none;
        }
        return none;
    }
    // Precondition: fewer than entries_max entries, and none of this hash and place.
    void insert(std::uint64_t hash, std::uint32_t place) noexcept {
        std::uint64_t at = hash & mask_;
        for (std::uint64_t looked = 0;; ++looked, at = after(at)) {
            WEIR_ASSERT(looked <= mask_);
            FilterBucket& bucket = buckets_[at];
            const std::uint32_t free = bucket.slots_with(FilterBucket::free_tag);
            if (free == 0) [[unlikely]] {
                ++bucket.passed;
                continue;
            }
            const auto slot = static_cast<std::size_t>(std::countr_zero(free));
            bucket.tags[slot] = tag_of(hash);
            bucket.places[slot] = place;
            return;
        }
    }
    // False: there is none of this hash and place.
    bool erase(std::uint64_t hash, std::uint32_t place) noexcept {
        const std::uint16_t tag = tag_of(hash);
        std::uint64_t at = hash & mask_;
        for (std::uint64_t looked = 0; looked <= mask_; ++looked, at = after(at)) {
            FilterBucket& bucket = buckets_[at];
            for (std::uint32_t found = bucket.slots_with(tag); found != 0; found &= found - 1) {
                const auto slot = static_cast<std::size_t>(std::countr_zero(found));
                if (bucket.places[slot] != place) continue;
                bucket.tags[slot] = FilterBucket::free_tag;
                for (std::uint64_t passed = hash & mask_; passed != at; passed = after(passed))
                    --buckets_[passed].passed;
                return true;
            }
            if (bucket.passed == 0) [[likely]]
                return false;
        }
        return false;
    }

    // In order of the hashes' homes: 0, 1, .. of the lowest bits.
    [[nodiscard]] std::span<const FilterBucket> buckets() const { return buckets_; }

  private:
    // The upper bits, which do not choose the bucket; never that of a free slot.
    [[nodiscard]] static std::uint16_t tag_of(std::uint64_t hash) {
        return static_cast<std::uint16_t>(hash >> 48U | 1U);
    }
    [[nodiscard]] std::uint64_t after(std::uint64_t bucket) const { return (bucket + 1) & mask_; }

    std::uint64_t mask_;
    HugeVector<FilterBucket> buckets_;
};

}  // namespace weir::edge
