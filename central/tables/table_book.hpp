// TableBook: the tables that central offers, as their files were last read, and what leads to them from the versions before.
//
//   control thread: files ─▶ TableKeeper ─▶ TableBook ─▶ slot ─▶ ingest ─▶ edges
//
// Thread    Books are made and destroyed on the control thread; ingest reads the one it has. The slot is where they meet.
// Ownership Images are shared by the books that hold them; shares are taken and dropped on the control thread alone.
// Bounds    tables_max tables; of each the image, four bytes a row, history_max images before it, and from each the changes and a body of table_changed.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/table.hpp"

namespace weir::central {

struct TableEntry {
    using Image = std::shared_ptr<const std::vector<std::byte>>;
    struct Changes {
        std::uint64_t from_version = 0;
        Image bytes;
    };
    std::string name;
    std::uint64_t version = 0;
    std::uint32_t rows = 0;
    Image image;
    std::vector<Changes> changes;  // to this version; only those that are shorter than the image
    // For edges that cache rows: where each begins, in order of keys, and bodies of table_changed to this version.
    std::shared_ptr<const std::vector<std::uint32_t>> rows_at;
    std::uint64_t columns_bytes = 0;      // of their names in the image, behind its head
    std::vector<Changes> changed_bodies;  // from each version before that is known
    // The cells of the row with this key; nullopt: there is none.
    [[nodiscard]] std::optional<ConstBytes> find(std::string_view key) const noexcept {
        const auto row_of = [this](std::uint32_t at) { return wire::row_at(*image, at); };
        const auto at =
            std::lower_bound(rows_at->begin(), rows_at->end(), key,
                             [&](std::uint32_t row, std::string_view one) { return row_of(row).key < one; });
        if (at == rows_at->end() || row_of(*at).key != key) return std::nullopt;
        return row_of(*at).cells;
    }
    [[nodiscard]] ConstBytes columns() const noexcept {
        return ConstBytes(*image).subspan(sizeof(wire::TableHead), columns_bytes);
    }
};

struct TableBook {
    std::vector<TableEntry> tables;
    [[nodiscard]] const TableEntry* find(std::string_view name) const noexcept {
        for (const TableEntry& one : tables) {
            if (one.name == name) return &one;
        }
        return nullptr;
    }
};

// The way of a new book to ingest, and of the one before it back.
//
// Thread    offer, take_back: control thread. take, give_back: ingest. Nobody waits.
class TableBookSlot {
  public:
    TableBookSlot() = default;
    ~TableBookSlot() {
        delete next_.load();
        delete old_.load();
    }
    TableBookSlot(const TableBookSlot&) = delete;
    TableBookSlot& operator=(const TableBookSlot&) = delete;

    // In place of one that was offered and not taken yet.
    void offer(std::unique_ptr<const TableBook> next) {
        delete next_.exchange(next.release(), std::memory_order_acq_rel);  // release: pairs with take
    }
    void take_back() { delete old_.exchange(nullptr, std::memory_order_acq_rel); }  // acquire: pairs with give_back
    // Null if there is none, or the last old one was not taken back yet.
    [[nodiscard]] const TableBook* take() noexcept {
        if (next_.load(std::memory_order_relaxed) == nullptr || old_.load(std::memory_order_relaxed) != nullptr) {
            return nullptr;
        }
        return next_.exchange(nullptr, std::memory_order_acq_rel);  // acquire: pairs with offer
    }
    void give_back(const TableBook* old) noexcept { old_.store(old, std::memory_order_release); }

  private:
    std::atomic<const TableBook*> next_{nullptr};
    std::atomic<const TableBook*> old_{nullptr};
};

}  // namespace weir::central
