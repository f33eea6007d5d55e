// The seam of SQLite.
#include "central/readmodel/database.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/clock.hpp"

namespace weir::central {
namespace {

constexpr int busy_ms = 1000;
// The owner's: a question may hold a file that is not yet in WAL mode for as long as it may take; its owner waits, and does not fail.
constexpr int busy_own_ms = 15'000;
constexpr int steps_between_looks = 1000;  // of SQLite's machine, about 100 us

Error error_of(sqlite3* database, std::string_view what) {
    return Error{sqlite3_extended_errcode(database), std::string(what) + ": " + sqlite3_errmsg(database)};
}

int authorize(void*, int action, const char*, const char* what, const char*, const char*) {
    if (action == SQLITE_FUNCTION) {
        return what != nullptr && std::string_view(what) == "load_extension" ? SQLITE_DENY : SQLITE_OK;
    }
    const bool is_reading = action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_RECURSIVE;
    return is_reading ? SQLITE_OK : SQLITE_DENY;
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}

Statement& Statement::reset() {
    sqlite3_reset(statement_.get());
    next_ = 1;
    return *this;
}

Statement& Statement::bind(std::int64_t value) {
    sqlite3_bind_int64(statement_.get(), next_++, value);
    return *this;
}

Statement& Statement::bind(double value) {
    sqlite3_bind_double(statement_.get(), next_++, value);
    return *this;
}

Statement& Statement::bind(std::string_view value) {
    sqlite3_bind_text64(statement_.get(), next_++, value.data() != nullptr ? value.data() : "", value.size(),
                        SQLITE_STATIC, SQLITE_UTF8);
    return *this;
}

Statement& Statement::bind_blob(std::string_view value) {
    sqlite3_bind_blob64(statement_.get(), next_++, value.data(), value.size(), SQLITE_STATIC);
    return *this;
}

Result<bool> Statement::step() {
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return error_of(sqlite3_db_handle(statement_.get()), "analytics.db");
}

Status Statement::run() {
    for (;;) {
        const auto more = step();
        if (!more) return more.error();
        if (!more.value()) return Done{};
    }
}

int Statement::column_count() const {
    return sqlite3_column_count(statement_.get());
}

std::string_view Statement::column_name(int column) const {
    return sqlite3_column_name(statement_.get(), column);
}

Statement::Kind Statement::kind(int column) const {
    switch (sqlite3_column_type(statement_.get(), column)) {
        case SQLITE_INTEGER:
            return Kind::integer;
        case SQLITE_FLOAT:
            return Kind::real;
        case SQLITE_TEXT:
            return Kind::text;
        case SQLITE_BLOB:
            return Kind::blob;
        default:
            return Kind::null;
    }
}

std::int64_t Statement::number(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
}

double Statement::real(int column) const {
    return sqlite3_column_double(statement_.get(), column);
}

std::string_view Statement::text(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
    return bytes == nullptr
               ? std::string_view()
               : std::string_view(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column)));
}

void Database::Close::operator()(sqlite3* database) const {
    sqlite3_close_v2(database);
}

Database::Database(sqlite3* database) : limit_(std::make_unique<Limit>()), database_(database) {
    sqlite3_busy_timeout(database, busy_ms);
}

Result<Database> Database::open(const std::string& path, Use use) {
    if (use == Use::own) {
        const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (file < 0) return error_from_errno(errno, "open " + path);
        ::close(file);
    }
    sqlite3* raw = nullptr;
    const int flags = (use == Use::own ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY) | SQLITE_OPEN_NOMUTEX;
    const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
    Database made(raw);
    if (code != SQLITE_OK) return made.error(path);
    if (use == Use::own) sqlite3_busy_timeout(raw, busy_own_ms);
    if (use == Use::ask) {
        sqlite3_progress_handler(
            raw, steps_between_looks,
            [](void* limit) { return monotonic_now() > static_cast<Limit*>(limit)->until ? 1 : 0; }, made.limit_.get());
        sqlite3_set_authorizer(raw, authorize, nullptr);
    }
    return made;
}

Status Database::run(const std::string& sql) {
    if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK) return Done{};
    return error(sql.substr(0, 60));
}

Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* made = nullptr;
    const char* rest = nullptr;
    if (sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &made, &rest) != SQLITE_OK) {
        return error("query");
    }
    Statement statement(made);
    if (made == nullptr) return Error{EINVAL, "query: there is no statement"};
    const std::string_view left(rest, static_cast<std::size_t>(sql.data() + sql.size() - rest));
    if (left.find_first_not_of(" \t\r\n;") != left.npos) return Error{EINVAL, "query: more than one statement"};
    return statement;
}

void Database::limit_log_pages(std::int32_t pages) {
    sqlite3_wal_autocheckpoint(database_.get(), pages);
}

void Database::limit_ms(std::uint64_t ms) {
    limit_->until = monotonic_now().plus_ns(ms * ns_per_ms);
}

Error Database::error(std::string_view what) const {
    return error_of(database_.get(), what);
}

}  // namespace weir::central
