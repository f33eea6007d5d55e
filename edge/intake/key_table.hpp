// KeyTable: for each of the latest keys, when its last event happened and how many there were.
//
// Thread    Intake runner.
// Bounds    keys_max entries in buckets of four; a full bucket forgets the entry written longest ago.
#pragma once

#include <xxhash.h>

#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/types.hpp"

namespace weir::edge {

class KeyTable {
  public:
    explicit KeyTable(std::uint32_t keys_max)
        : buckets_(keys_max < bucket_entries ? 0 : std::bit_floor(keys_max / bucket_entries)),
          entries_(std::size_t{buckets_} * bucket_entries) {}
    void note(std::string_view key, WallNs time) noexcept {
        if (buckets_ == 0 || key.empty()) return;
        const std::uint64_t hash = XXH3_64bits(key.data(), key.size()) | 1U;  // 0 = free
        Entry* const bucket = &entries_[((hash >> 32U) & (buckets_ - 1)) * bucket_entries];
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
    std::uint32_t buckets_;
    std::vector<Entry> entries_;
    std::uint64_t stamp_ = 0;
    std::uint64_t count_ = 0;
};

}  // namespace weir::edge
