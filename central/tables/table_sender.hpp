// TableSender: what ingest says to edges about tables: which there are, and the part of one, or the rows, that an edge has asked for.
//
// An edge asks for one part at a time, so a session never has more than one under way; it is sent when the session has nothing
// else to say. It answers from the book of the moment: where the version asked for is gone, the offers are sent again. Rows are
// answered when they are asked for, and wait in their buffer.
//
// Thread    Ingest runner; made on it. Allocates only when made.
// Bounds    buffers_max parts under way at once, of all sessions; the others wait their turn. row_buffers_max answers with rows, one
//           of a session; an ask beyond is counted and left unanswered: the edge asks again.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "central/tables/table_book.hpp"
#include "core/metrics/counter.hpp"
#include "core/wire/rows.hpp"

namespace weir::central {

struct TableSendCounters {
    Counter offers, parts, bytes, books;
    Counter row_asks, row_asks_dropped, rows, absent_rows, changes;  // of edges that cache rows
};

class TableSender {
  public:
    static constexpr std::uint32_t buffers_max = 4;
    static constexpr std::uint32_t row_buffers_max = 16;
    static constexpr std::size_t row_buffer_bytes =
        wire::frame_bytes(wire::table_changed_body_bytes_max) + wire::frame_bytes(wire::row_answer_body_bytes_max);
    // `slot` outlives it. `row_buffers`: 0 where no table will ever be.
    TableSender(std::uint32_t sessions, TableBookSlot& slot, TableSendCounters& counters,
                std::uint32_t row_buffers = row_buffers_max);
    ~TableSender();
    TableSender(const TableSender&) = delete;
    TableSender& operator=(const TableSender&) = delete;

    // Takes a new book, if there is one and no part of the old is being made. True: somebody has something to hear.
    bool take_book() noexcept;
    // The edge of this session understands tables: it is told of them. `asks_rows`: it may ask for single rows.
    void begin(std::uint32_t session, bool asks_rows = false) noexcept;
    // False: that is no pull of a session that may pull.
    [[nodiscard]] bool take_pull(std::uint32_t session, ConstBytes body) noexcept;
    // False: that is no row_ask of a session that may ask.
    [[nodiscard]] bool take_row_ask(std::uint32_t session, ConstBytes body) noexcept;
    // Whether a session found no buffer, and now there is one: next() is worth asking again, of all.
    [[nodiscard]] bool has_room_again() noexcept { return !free_.empty() && std::exchange(has_turned_away_, false); }
    // What is to be sent to this session next; empty: nothing. It stays until sent().
    [[nodiscard]] ConstBytes next(std::uint32_t session) noexcept;
    void sent(std::uint32_t session) noexcept;
    void end(std::uint32_t session) noexcept;

  private:
    static constexpr std::uint32_t none = UINT32_MAX;
    struct Session {
        bool is_begun = false;
        bool wants_offers = false;
        bool wants_part = false;
        bool asks_rows = false;
        bool is_sending_rows = false;
        std::uint32_t buffer = none;      // of a part or offers that are being sent
        std::uint32_t row_buffer = none;  // of rows that wait or are being sent
        std::size_t row_bytes = 0;        // frames in it
        wire::TablePull pull;
    };
    [[nodiscard]] std::size_t put_offers(bool asks_rows, Bytes frame) noexcept;
    [[nodiscard]] std::size_t put_changed(const TableEntry& table, std::uint64_t from_version, Bytes frame) noexcept;
    [[nodiscard]] std::size_t put_rows(const TableEntry& table, ConstBytes ask, Bytes frame) noexcept;
    [[nodiscard]] std::size_t put_part(const wire::TablePull& pull, Bytes frame) noexcept;

    TableBookSlot& slot_;
    TableSendCounters& counters_;
    std::unique_ptr<const TableBook> book_;
    std::vector<Session> sessions_;
    std::vector<std::byte> buffers_;
    std::vector<std::uint32_t> free_;
    std::vector<std::byte> row_buffers_;
    std::vector<std::uint32_t> free_rows_;
    bool has_turned_away_ = false;
};

}  // namespace weir::central
