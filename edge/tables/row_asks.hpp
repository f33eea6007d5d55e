// RowAsks: the uplink's part in cached tables: asks central for the rows that were wished, and for what has changed of those cached.
//
// Thread    Spool runner; its counters anybody.
// Law       What is handed to intake is of one version at a time: an answer of another is dropped, and what has changed is asked for.
//           One ask is under way at most, and only while its answer has room.
// Bounds    What an answer leaves out, or was asked on a connection that is lost, is asked for again. An ask that is not answered within
//           ask_again_ns is given up: who misses its keys wishes them again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/metrics/counter.hpp"
#include "edge/tables/row_link.hpp"
#include "edge/tables/table_link.hpp"

namespace weir::edge {

struct RowAskCounters {      // of one table; writer: spool runner
    Counter asked_keys;      // in asks
    Counter answers;         // handed to intake
    Counter changes;         // the same, of what has changed
    Counter dropped_frames;  // not taken: no room, or of another version
    Counter unanswered;      // asks that were given up
    Counter faults;          // central's frames that are none: of any table, at the first
};

class RowAsks {
  public:
    // `tables`: their names, by index. `link` outlives it.
    RowAsks(std::vector<std::string> tables, RowLink& link);

    // Until this central has offered, and says that it can be asked, nothing is asked.
    void begin_session() noexcept;
    void take_offers(ConstBytes body) noexcept;
    void take(wire::FrameKind kind, ConstBytes body) noexcept;
    // Whether next_ask() would give one.
    [[nodiscard]] bool is_due(MonotonicNs now) const noexcept;
    // The body of the next row_ask; empty: none is due. It stays until the next call.
    [[nodiscard]] ConstBytes next_ask(MonotonicNs now) noexcept;
    [[nodiscard]] const RowAskCounters& counters(std::size_t table) const { return *counters_[table]; }

  private:
    struct Table {
        std::array<char, wire::table_name_bytes_max> name{};
        std::uint64_t version = 0;           // of the rows that intake has been handed; 0: none
        std::uint64_t offered = 0;           // by this central; 0: it has none
        std::optional<RowWish> left_over{};  // that found no room in the last ask
    };
    [[nodiscard]] bool has_something(std::size_t table) const noexcept;
    void skip_answered(std::uint32_t rows) noexcept;
    [[nodiscard]] std::optional<std::size_t> find(const std::array<char, wire::table_name_bytes_max>& name) const;
    void take_answer(ConstBytes body) noexcept;
    void take_changed(ConstBytes body) noexcept;

    RowLink& link_;
    std::vector<Table> tables_;
    std::vector<std::unique_ptr<RowAskCounters>> counters_;
    std::array<std::byte, wire::row_ask_body_bytes_max> body_{};
    std::size_t turn_ = 0;         // whose ask was the last
    std::uint64_t rest_at_ = 0;    // in body_: its first key that has no answer
    std::uint32_t rest_keys_ = 0;  // from there
    MonotonicNs asked_at_{};
    bool is_asking_ = false;
    bool may_ask_ = false;
};

}  // namespace weir::edge
