// TableSender: what ingest says to edges about tables: which there are, and the part of one that an edge has asked for.
//
// An edge asks for one part at a time, so a session never has more than one under way; it is sent when the session has nothing
// else to say. It answers from the book of the moment: where the version asked for is gone, the offers are sent again.
//
// Thread    Ingest runner; made on it. Allocates only when made.
// Bounds    buffers_max parts under way at once, of all sessions; the others wait their turn.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "central/tables/table_book.hpp"
#include "core/metrics/counter.hpp"

namespace weir::central {

struct TableSendCounters {
    Counter offers, parts, bytes, books;
};

class TableSender {
  public:
    static constexpr std::uint32_t buffers_max = 4;
    // `slot` outlives it.
    TableSender(std::uint32_t sessions, TableBookSlot& slot, TableSendCounters& counters);
    ~TableSender();
    TableSender(const TableSender&) = delete;
    TableSender& operator=(const TableSender&) = delete;

    // Takes a new book, if there is one and no part of the old is being made. True: somebody has something to hear.
    bool take_book() noexcept;
    // The edge of this session understands tables: it is told of them.
    void begin(std::uint32_t session) noexcept;
    // False: that is no pull of a session that may pull.
    [[nodiscard]] bool take_pull(std::uint32_t session, ConstBytes body) noexcept;
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
        std::uint32_t buffer = none;  // that is being sent
        wire::TablePull pull;
    };
    [[nodiscard]] std::size_t put_offers(Bytes frame) noexcept;
    [[nodiscard]] std::size_t put_part(const wire::TablePull& pull, Bytes frame) noexcept;

    TableBookSlot& slot_;
    TableSendCounters& counters_;
    std::unique_ptr<const TableBook> book_;
    std::vector<Session> sessions_;
    std::vector<std::byte> buffers_;
    std::vector<std::uint32_t> free_;
};

}  // namespace weir::central
