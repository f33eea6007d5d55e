// KeyTable: for each of the latest keys, when its last event happened and how many there were.
//
// Thread    Intake runner.
// Bounds    keys_max entries in buckets of four; a full bucket forgets the entry written longest ago.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>

#include "core/base/huge_pages.hpp"
#include "core/base/types.hpp"
#include "edge/intake/hashes.hpp"

namespace weir::edge {

class KeyTable {
  public:
    static constexpr std::uint64_t entry_bytes = 32;  // of memory for each key
    explicit KeyTable(std::uint32_t keys_max)
        : buckets_(keys_max < bucket_entries ? 0 : std::bit_floor(keys_max / bucket_entries)),
          entries_(std::size_t{buckets_} * bucket_entries) {}
    // What note() asks for; its bucket is fetched meanwhile. 0: there is nothing to note.
    [[nodiscard]] std::uint64_t hash_of(std::string_view key) const noexcept {
        if (buckets_ == 0 || key.empty()) return 0;
        const std::uint64_t hash = edge::hash_of(key) | 1U;  // 0 = free
        const Entry* const bucket = &entries_[bucket_of(hash)];
        __builtin_prefetch(bucket, 1);
        __builtin_prefetch(bucket + bucket_entries / 2, 1);
        return hash;
    }
    void note(std::uint64_t hash, WallNs time) noexcept {
        if (hash == 0) return;
        Entry* const bucket = &entries_[bucket_of(hash)];
        Entry* place = bucket;
        for (Entry* entry = bucket; entry != bucket + bucket_entries; ++entry) {
            if (entry->hash == hash) {
                place = entry;
                break;
            }
            if (entry->stamp < place->stamp) place = entry;
        }
        if (place->hash != hash) {
            if (place->hash == 0) ++count_;
            *place = Entry{.hash = hash};
        }
        place->stamp = ++stamp_;
        place->last_time = time;
        ++place->events;
    }
    [[nodiscard]] std::uint64_t count() const { return count_; }

  private:
    static constexpr std::uint32_t bucket_entries = 4;
    struct Entry {
        std::uint64_t hash = 0;
        std::uint64_t stamp = 0;
        WallNs last_time{};
        std::uint64_t events = 0;
    };
    static_assert(sizeof(Entry) == entry_bytes && entry_bytes * bucket_entries == 128);  // two lines
    [[nodiscard]] std::size_t bucket_of(std::uint64_t hash) const {
        return ((hash >> 32U) & (buckets_ - 1)) * bucket_entries;
    }
    std::uint32_t buckets_;
    HugeVector<Entry> entries_;
    std::uint64_t stamp_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace weir::edge
