// Database, Statement: SQLite behind types that cannot leak and errors that cannot be missed.
//
// Thread    One at a time. Each thread opens its own.
// Bounds    A reader may be bounded in time (limit_ms); it cannot change anything: the file is opened read-only, and an authorizer
//           refuses whatever is not a SELECT, ATTACH and PRAGMA among it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace weir::central {

class Statement {
  public:
    enum class Kind : std::uint8_t { null, integer, real, text, blob };

    // Parameters in order, from 1. A text must stay until the next reset().
    Statement& reset();
    Statement& bind(std::int64_t value);
    Statement& bind(std::uint64_t value) { return bind(static_cast<std::int64_t>(value)); }
    Statement& bind(double value);
    Statement& bind(std::string_view value);
    Statement& bind_blob(std::string_view value);
    // True: there is a row.
    [[nodiscard]] Result<bool> step();
    // To the end, whatever rows there are.
    [[nodiscard]] Status run();

    [[nodiscard]] int column_count() const;
    [[nodiscard]] std::string_view column_name(int column) const;
    [[nodiscard]] Kind kind(int column) const;
    [[nodiscard]] std::int64_t number(int column) const;
    [[nodiscard]] double real(int column) const;
    [[nodiscard]] std::string_view text(int column) const;  // or the blob's bytes; until the next step()

  private:
    friend class Database;
    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };
    explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int next_ = 1;
};

class Database {
  public:
    // `own` makes the file (mode 0600) where there is none; `snapshot` reads, and may begin a transaction in which nothing changes;
    // `ask` is for questions that others wrote.
    enum class Use : std::uint8_t { own, snapshot, ask };
    [[nodiscard]] static Result<Database> open(const std::string& path, Use use);
    // One or more statements without rows.
    [[nodiscard]] Status run(const std::string& sql);
    // One statement; the rest of the text must be empty.
    [[nodiscard]] Result<Statement> prepare(std::string_view sql);
    // Of one that writes: a commit that leaves more pages than these in the write-ahead log moves them into the file, and waits for it.
    // Without this, 1000 pages.
    void limit_log_pages(std::int32_t pages);
    // Each statement ends with an error `ms` after this call.
    void limit_ms(std::uint64_t ms);

  private:
    struct Close {
        void operator()(sqlite3* database) const;
    };
    struct Limit {
        MonotonicNs until{UINT64_MAX};
    };
    explicit Database(sqlite3* database);
    [[nodiscard]] Error error(std::string_view what) const;
    std::unique_ptr<Limit> limit_;  // SQLite points at it
    std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace weir::central
