// DuplicateFilter: which of the last ids_max unnumbered events were admitted, by a keyed 128-bit hash of source and id.
//
// A ring of entries in order of admission, and an index into it (filter_index.hpp), which tells another id apart without a look at the ring.
// On the disk: filter_blocks.hpp.
//
// Thread    Intake runner (control thread during recovery).
// Law       An entry lives until ids_max newer ones came or lifetime_s of running time passed: no step of the wall clock ages it.
// Bounds    ids_max * 24 bytes + index of 2 to 4 * ids_max * 8 bytes, all made at construction.
// Cost      A new id touches two lines of the index, its own and that of the entry which makes room for it, and both are fetched for a whole
//           vector ahead; of the ring it touches what comes next.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/huge_pages.hpp"
#include "edge/intake/event_vector.hpp"
#include "edge/intake/filter_index.hpp"
#include "edge/intake/hashes.hpp"

namespace weir::edge {

struct FilterEntry {
    static constexpr std::uint32_t none = UINT32_MAX;

    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::uint32_t seconds = none;  // of running time, all lives of the spool together; none: nothing lies here
};
static_assert(sizeof(FilterEntry) == 24);

class DuplicateFilter {
  public:
    static constexpr std::uint64_t index_max = 1ULL << 51U;  // not reached by counting: 23 years at 3,000,000/s
    static constexpr std::uint32_t restored_seconds_max = UINT32_MAX / 2;  // a new life's clock may go on for 68 years
    struct Options {
        std::uint32_t ids_max = 1U << 20;
        std::uint64_t lifetime_s = 86'400;
        std::uint64_t seed = 0;
    };
    explicit DuplicateFilter(Options options);

    [[nodiscard]] Fingerprint fingerprint(std::string_view source, std::string_view id) const noexcept {
        return fingerprint_of(source, id, options_.seed);
    }
    // Fetch what admit() will touch: of this id, and of the one that makes room for it after `ahead` others, fewer than ids_max, have been
    // admitted. The second is known before the first. Inlined by force: see FilterIndex.
    [[gnu::always_inline]] void prefetch(const Fingerprint& fingerprint) const noexcept {
        index_.prefetch(fingerprint.low);
    }
    [[gnu::always_inline]] void prefetch_evicted(std::uint32_t ahead) const noexcept {
        // The oldest lies where the newest will.
        std::uint64_t position = next_position_ + ahead;
        if (position >= options_.ids_max) position -= options_.ids_max;
        if (position + fetch_ahead < options_.ids_max) __builtin_prefetch(&ring_[position + fetch_ahead], 1);
        index_.prefetch(ring_[position].low);
    }
    [[nodiscard]] bool contains(const Fingerprint& fingerprint, std::uint32_t seconds) const noexcept;
    // Its entry's index, if it is there; else 0.
    [[nodiscard]] std::uint64_t index_of(const Fingerprint& fingerprint, std::uint32_t seconds) const noexcept;
    // Takes it as the newest, unless it is there: contains() and insert() in one. False: it is there.
    [[nodiscard]] bool admit(const Fingerprint& fingerprint, std::uint32_t seconds) noexcept;
    // As the newest; the oldest makes room.
    void insert(const Fingerprint& fingerprint, std::uint32_t seconds) noexcept;
    // An entry read back, in rising order of index. False: one of this or a later index is there, or there can be none of it.
    [[nodiscard]] bool restore(std::uint64_t index, const Fingerprint& fingerprint, std::uint32_t seconds) noexcept;
    // The next one admitted has this index; none lies between. At least next_index().
    void skip_to(std::uint64_t index) noexcept;

    // Of all entries so far: where a new life's clock goes on.
    [[nodiscard]] std::uint32_t newest_seconds() const { return newest_seconds_; }
    [[nodiscard]] std::uint64_t next_index() const { return next_; }
    [[nodiscard]] std::uint64_t oldest_index() const { return oldest_; }
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] const Options& options() const { return options_; }
    // take(index, const FilterEntry*) for `count` indices from `first` on; nullptr for each that is gone or was never there.
    template <class Take>
    void for_each(std::uint64_t first, std::uint64_t count, Take&& take) const noexcept {
        std::uint64_t position = position_of(first);
        for (std::uint64_t index = first; index < first + count; ++index, position = after(position)) {
            const FilterEntry& entry = ring_[position];
            if (position + fetch_ahead < options_.ids_max) __builtin_prefetch(&ring_[position + fetch_ahead]);
            const bool is_there = index >= oldest_ && index < next_ && entry.seconds != FilterEntry::none;
            take(index, is_there ? &entry : nullptr);
        }
    }

  private:
    static constexpr std::uint32_t fetch_ahead = 32;  // entries; what reads ring_ in order does not wait for it

    [[nodiscard]] std::uint64_t after(std::uint64_t position) const {
        return position + 1 == options_.ids_max ? 0 : position + 1;
    }
    // Where it lies in ring_, or FilterIndex::none.
    [[nodiscard]] std::uint32_t find(const Fingerprint& fingerprint) const noexcept;
    [[nodiscard]] std::uint64_t position_of(std::uint64_t index) const { return index % options_.ids_max; }
    [[nodiscard]] std::uint64_t index_at(std::uint64_t position) const {
        const std::uint64_t back =
            next_position_ > position ? next_position_ - position : next_position_ + options_.ids_max - position;
        return next_ - back;
    }
    void begin_at(std::uint64_t index) noexcept;
    [[nodiscard]] bool is_alive(std::uint32_t position, std::uint32_t seconds) const noexcept {
        const std::uint32_t then = ring_[position].seconds;
        return seconds <= then || seconds - then <= options_.lifetime_s;
    }
    void place(const Fingerprint& fingerprint, std::uint32_t seconds, std::uint32_t known) noexcept;
    void evict_oldest() noexcept;

    Options options_;
    HugeVector<FilterEntry> ring_;
    FilterIndex index_;
    std::uint64_t oldest_ = 1;
    std::uint64_t next_ = 1;
    std::uint64_t oldest_position_ = 1;  // in ring_: oldest_ and next_, by ids_max
    std::uint64_t next_position_ = 1;
    std::uint64_t count_ = 0;
    std::uint32_t newest_seconds_ = 0;
};

}  // namespace weir::edge
