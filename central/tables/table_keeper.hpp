// TableKeeper: reads the files of central's tables, again when they change, and makes books of them.
//
// Thread    Control thread; blocking.
// Law       A file with a mistake changes nothing: what was read before stays, and each mistake is named once.
#pragma once

#include <sys/stat.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "central/config.hpp"
#include "central/tables/table_book.hpp"

namespace weir::central {

class TableKeeper {
  public:
    static constexpr std::size_t history_max = 3;  // versions before the present one that edges can go on from
    explicit TableKeeper(const CentralConfig& config);
    // Reads what has changed since it was last looked at (`is_forced`: all). A book if a table has become another; else null.
    [[nodiscard]] std::unique_ptr<const TableBook> look(bool is_forced = false);
    [[nodiscard]] std::vector<std::string> take_errors() { return std::exchange(errors_, {}); }
    // "NAME: N rows, version V", of each that has changed.
    [[nodiscard]] std::vector<std::string> take_notes() { return std::exchange(notes_, {}); }
    [[nodiscard]] std::uint64_t failures() const { return failures_; }

  private:
    struct Stamp {
        std::int64_t seconds = -1;
        std::int64_t nanoseconds = 0;
        std::uint64_t bytes = 0;
        std::uint64_t inode = 0;
        bool operator==(const Stamp&) const = default;
    };
    struct Kept {
        TableConfig config;
        Stamp stamp;
        TableEntry entry;
        std::vector<TableEntry::Image> before;  // the newest first
    };
    [[nodiscard]] static Stamp stamp_of(const std::string& path);
    [[nodiscard]] bool read(Kept& table);

    std::uint64_t bytes_max_;
    std::vector<Kept> tables_;
    std::vector<std::string> errors_;
    std::vector<std::string> notes_;
    std::uint64_t failures_ = 0;
};

}  // namespace weir::central
