#include "edge/tables/cached_metrics.hpp"

namespace weir::edge {

void append_cached_tables(control::MetricsText& text, const CachedTables& tables, const RowAsks& asks) {
    for (std::size_t index = 0; index < tables.count(); ++index) {
        const std::string& name = tables.name(index);
        const CachedTableCounters& cached = tables.counters(index);
        const RowAskCounters& asked = asks.counters(index);
        const auto total = [&](std::string_view metric, std::string_view help, const Counter& counter) {
            text.counter(metric, help, {{"table", name}}, counter.get());
        };
        const auto gauge = [&](std::string_view metric, std::string_view help, const Counter& counter) {
            text.gauge(metric, help, {{"table", name}}, static_cast<double>(counter.get()));
        };
        gauge("weir_edge_cached_table_rows", "Rows in the cache, and keys known to have none", cached.rows);
        gauge("weir_edge_cached_table_memory_bytes", "Memory of the cache", cached.memory_bytes);
        total("weir_edge_cached_table_hits_total", "Lookups whose row was cached", cached.hits);
        total("weir_edge_cached_table_absent_hits_total", "Lookups of keys that are known to have no row",
              cached.absent_hits);
        total("weir_edge_cached_table_misses_total", "Lookups of rows that were not cached: null", cached.misses);
        total("weir_edge_cached_table_expired_misses_total", "Of the misses, those whose row was too old",
              cached.expired);
        total("weir_edge_cached_table_evicted_rows_total", "Rows that went for others", cached.evicted);
        total("weir_edge_cached_table_invalidated_rows_total", "Rows that went because central's table changed",
              cached.invalidated);
        total("weir_edge_cached_table_too_large_rows_total", "Rows and keys above entry_bytes_max: null",
              cached.too_large);
        total("weir_edge_cached_table_wished_keys_total", "Misses whose key was handed to the uplink", cached.wishes);
        total("weir_edge_cached_table_repeated_misses_total", "Misses whose key was wished lately", cached.repeated);
        const auto dropped = [&](std::string_view why, const Counter& counter) {
            text.counter(
                "weir_edge_cached_table_dropped_wishes_total",
                "Misses whose key was not handed to the uplink: above tables.asked_keys_per_second_max (rate), "
                "or too many wait (room)",
                {{"table", name}, {"for", why}}, counter.get());
        };
        dropped("rate", cached.over_rate);
        dropped("room", cached.without_room);
        total("weir_edge_cached_table_asked_keys_total", "Keys that central was asked for", asked.asked_keys);
        total("weir_edge_cached_table_answers_total", "Answers of central that were taken", asked.answers);
        total("weir_edge_cached_table_changes_total", "Changes of central's table that were taken", asked.changes);
        total("weir_edge_cached_table_dropped_frames_total",
              "Frames of central that were not taken: no room, or of another version; asked for again",
              asked.dropped_frames);
        total("weir_edge_cached_table_unanswered_asks_total", "Asks that central did not answer in 3 s",
              asked.unanswered);
        total("weir_edge_cached_table_faults_total",
              "Frames of central that were no rows and no change; of any table: counted at the first", asked.faults);
    }
}

}  // namespace weir::edge
