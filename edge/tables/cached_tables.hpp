// CachedTables: rows of the tables that are not held whole, in bounded memory, as lookups read them.
//
//   lookup ─▶ cache ── has it ─▶ cells
//                  └── has it not ─▶ null for this event, and a wish: RowLink ─▶ uplink ─▶ central
//   RowLink ── rows, what has changed ─▶ begin_cycle(): into the cache, between two vectors
//
// Thread    Made on a control thread, then intake's alone; its counters anybody.
// Law       A lookup never waits. What is cached of a table is of one version, or has not changed since (RowAsks).
// Bounds    tables.use[].bytes_max of each; asked_keys_per_second_max wishes a second of all, one at most of a key in wish_again_ns
//           (of two keys that share a slot of the wished each may come more often).
// Cost      Nothing is allocated after construction. A lookup: ReferenceCache::find. A change that names a prefix, a value or all
//           looks at every entry of its table's cache.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/cache/reference_cache.hpp"
#include "core/metrics/counter.hpp"
#include "edge/config.hpp"
#include "edge/tables/row_link.hpp"

namespace weir::edge {

// Those that are cached, in the configuration's order: everywhere a cached table's index is its place here.
[[nodiscard]] std::vector<TableUseConfig> cached_tables_of(const EdgeConfig& config);
[[nodiscard]] std::vector<std::string> cached_table_names(const EdgeConfig& config);

struct CachedTableCounters {  // of one table; writer: intake
    Counter rows, memory_bytes;
    Counter hits, absent_hits, misses, expired, evicted, invalidated;
    Counter too_large;     // rows above entry_bytes_max, and lookups of keys above it
    Counter wishes;        // handed to the uplink
    Counter repeated;      // misses of a key that is wished already
    Counter over_rate;     // misses not wished: above asked_keys_per_second_max
    Counter without_room;  // misses not wished: too many wait
};

class CachedTables {
  public:
    static constexpr std::uint64_t wish_again_ns = 3 * ns_per_second;
    static constexpr std::size_t wished_slots = 4096;
    // `link` outlives it. `seed`: of its hashes; keys come from outside.
    CachedTables(const EdgeConfig& config, RowLink& link, std::uint64_t seed);

    // Takes what central said, and moves the time. Not while a vector is judged: values that were read end with it.
    void begin_cycle(MonotonicNs now) noexcept;
    // Tells the uplink what is missed, and the counters what was looked up.
    void end_cycle() noexcept;
    [[nodiscard]] bool has_input() const { return link_.has_frames(); }
    // The row's cells, in the order of the columns as declared; nullopt: none, or not known. Until the next begin_cycle().
    [[nodiscard]] std::optional<ConstBytes> find(std::size_t table, std::string_view key) noexcept;

    [[nodiscard]] std::size_t count() const { return tables_.size(); }
    [[nodiscard]] const std::string& name(std::size_t table) const { return tables_[table]->name; }
    [[nodiscard]] const CachedTableCounters& counters(std::size_t table) const { return tables_[table]->counters; }

  private:
    struct Table {
        Table(const TableUseConfig& use, std::uint64_t seed);
        std::string name;
        std::vector<std::string> columns;
        std::string lifetime_column;
        std::vector<std::string> tag_columns;
        std::uint32_t lifetimes;
        std::uint32_t entry_bytes_max;
        bool has_untagged = false;  // a row that was too large is cached as absent: no value of a column names it
        cache::ReferenceCache rows;
        CachedTableCounters counters;
    };
    // Of an answer: where what is wanted stands in its rows.
    struct Places;
    struct Wished {
        std::uint64_t hash = 0;
        MonotonicNs until{};
    };
    void take_answer(Table& table, std::size_t index, ConstBytes body) noexcept;
    void take_row(Table& table, const Places& places, const wire::AnsweredRow& row) noexcept;
    void take_changed(Table& table, ConstBytes body) noexcept;
    void wish(std::size_t table, std::string_view key) noexcept;
    [[nodiscard]] std::uint64_t hash_of(std::size_t table, std::string_view key) const noexcept;
    [[nodiscard]] Wished& slot_of(std::uint64_t hash) noexcept { return wished_[hash % wished_slots]; }
    void refill(MonotonicNs now) noexcept;

    RowLink& link_;
    std::vector<std::unique_ptr<Table>> tables_;
    std::vector<Wished> wished_;
    std::vector<std::byte> row_room_;  // of a row's cells, as they are cached
    std::vector<char> tag_room_;
    std::uint64_t seed_;
    std::uint64_t per_second_;
    std::uint64_t may_wish_;  // now
    MonotonicNs refilled_at_{};
    MonotonicNs now_{};
    bool has_wished_ = false;
    bool has_looked_ = false;
};

}  // namespace weir::edge
