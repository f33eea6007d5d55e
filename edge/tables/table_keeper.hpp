// TableKeeper: takes the tables that the configuration uses from central, part by part, and keeps them for lookups and starts.
//
//   start: disk ─▶ tables        offers ─▶ pull ─▶ part ─▶ pull ─▶ … ─▶ image or changes ─▶ checked ─▶ disk ─▶ tables
//
// Thread    Control thread.
// Law       A table is replaced by one that came whole and has the version that was offered; until then the old one is read. One
//           that central no longer offers stays.
// Bounds    tables.bytes_max of images and indexes, once more while one is being replaced, and what is coming.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "edge/config.hpp"
#include "edge/tables/table_link.hpp"
#include "edge/tables/table_set.hpp"
#include "edge/tables/table_store.hpp"

namespace weir::edge {

struct TableCounts {
    std::uint64_t tables = 0;  // in use now
    std::uint64_t rows = 0;
    std::uint64_t memory_bytes = 0;
    std::uint64_t images = 0;   // taken whole since the start
    std::uint64_t changes = 0;  // taken as changes
    std::uint64_t received_bytes = 0;
    std::uint64_t faults = 0;
};

// A table on its way.
struct ComingTable {
    std::string name;
    std::uint64_t version = 0;
    std::uint64_t from_version = 0;
    std::uint64_t total_bytes = 0;  // 0: not known yet
    std::vector<std::byte> bytes;
    MonotonicNs asked_at{};
};

class TableKeeper {
  public:
    // `wake`: rings whoever sends pulls. `cached`: of the tables that are cached, which it does not take; lookups read them there.
    TableKeeper(const EdgeConfig& config, TableLink& link, std::function<void()> wake, CachedTables* cached = nullptr);
    // What the disk has; before look().
    void load();
    // Takes what came. True: a table has changed, and share() is new.
    [[nodiscard]] bool look(MonotonicNs now);
    [[nodiscard]] TableShare share() const { return share_; }
    // A table is on its way, and something of it has come lately: look again soon.
    [[nodiscard]] bool is_busy() const { return coming_ && now_.since(heard_at_) < ns_per_second; }
    // What went wrong since it was last asked, for the log.
    [[nodiscard]] std::vector<std::string> take_faults() { return std::exchange(faults_, {}); }
    [[nodiscard]] std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }
    [[nodiscard]] const TableCounts& counts() const { return counts_; }

  private:
    void take_offers(ConstBytes body);
    void take_chunk(ConstBytes body);
    void begin_next();
    void ask(MonotonicNs now);
    void finish();
    void give_up(const std::string& why);
    void install(ReferenceTableShare table);
    void fault(std::string what);
    [[nodiscard]] const ReferenceTable* held(std::string_view name) const;
    [[nodiscard]] std::uint64_t room_for(std::string_view name) const;

    std::vector<TableUseConfig> use_;
    std::uint64_t bytes_max_;
    TableLink& link_;
    std::function<void()> wake_;
    CachedTables* cached_;
    TableStore store_;
    std::vector<ReferenceTableShare> tables_;
    TableShare share_;
    std::vector<wire::TableOffer> offers_;
    std::vector<std::uint64_t> refused_;  // versions that will not do: not asked for again
    std::optional<ComingTable> coming_;
    MonotonicNs now_{};
    MonotonicNs heard_at_{};  // from central
    bool has_changed_ = false;
    std::vector<std::string> faults_;
    std::vector<std::string> notes_;
    TableCounts counts_;
};

}  // namespace weir::edge
