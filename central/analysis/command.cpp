#include "central/analysis/command.hpp"

#include <chrono>
#include <map>
#include <ostream>
#include <thread>

#include "central/analysis/recompute.hpp"
#include "central/analysis/state_file.hpp"
#include "central/recovery/recovery.hpp"
#include "core/base/json_scan.hpp"
#include "core/control/tool_output.hpp"

namespace weir::central {
namespace {

constexpr std::uint64_t shown_max = 20;  // differences; all are counted
constexpr int snapshot_attempts_max = 20;
constexpr std::chrono::milliseconds snapshot_pause{100};

int fail(std::ostream& err, const Error& error) {
    err << error.what << "\n";
    return exit_unreadable;
}

struct Stored {
    Database database;
    std::vector<DefinitionsFrom> definitions;
    StoredState state;
    std::uint64_t position = 0;
    std::array<std::uint64_t, result_kinds> first{};
};

// The rows at one moment, beside the state that was there just before; nullopt: they do not belong together (yet).
Result<std::optional<Stored>> snapshot_once(const std::string& data_dir) {
    auto state = read_state(state_path(data_dir));
    if (!state) return state.error();
    const std::string path = results_path(data_dir);
    auto database = Database::open(path, Database::Use::snapshot);
    if (!database) return database.error();
    if (!state.value()) return Error{0, path + ": nothing was computed yet"};
    Stored stored{std::move(database.value()), {}, std::move(*state.value()), 0, {}};
    if (auto begun = stored.database.run("BEGIN"); !begun) return begun.error();
    auto history = history_of(stored.database);
    if (!history) return history.error();
    auto position = cursor_of(stored.database, "analytics");
    if (!position) return position.error();
    stored.position = position.value();
    auto definitions = load_definitions(stored.database);
    if (!definitions) return definitions.error();
    stored.definitions = std::move(definitions.value());
    for (std::size_t kind = 0; kind < result_kinds; ++kind) {
        auto first = cursor_of(stored.database, std::string(table_of(static_cast<ResultKind>(kind))) + ".first");
        if (!first) return first.error();
        stored.first[kind] = first.value();
    }
    const bool is_together = history.value() == stored.state.history &&
                             stored.definitions.size() == stored.state.definitions &&
                             stored.position >= stored.state.position;
    if (!is_together) return std::optional<Stored>();
    return std::optional<Stored>(std::move(stored));
}

Result<Stored> snapshot_of(const CentralConfig& config) {
    for (int attempt = 0; attempt < snapshot_attempts_max; ++attempt) {
        auto stored = snapshot_once(config.data_dir);
        if (!stored) return stored.error();
        if (stored.value()) return std::move(*stored.value());
        std::this_thread::sleep_for(
            snapshot_pause);  // other definitions have just been read, and their state is on its way
    }
    return Error{0, results_path(config.data_dir) + ": the state beside it is of other results"};
}

std::string_view how_text(Differing::How how) {
    switch (how) {
        case Differing::How::missing:
            return "-";
        case Differing::How::added:
            return "+";
        case Differing::How::changed:
            return "~";
    }
    return "";
}

void print(const Differing& one, std::ostream& out) {
    out << how_text(one.how) << " " << table_of(one.kind) << " " << one.name;
    if (!one.before.empty()) out << "\n    was " << one.before;
    if (!one.after.empty()) out << "\n    now " << one.after;
    out << "\n";
}

void append_cell(const Statement& row, int column, bool is_json, std::string& out) {
    switch (row.kind(column)) {
        case Statement::Kind::null:
            out += "null";
            return;
        case Statement::Kind::integer:
            out += std::to_string(row.number(column));
            return;
        case Statement::Kind::real:
            out += row.text(column);
            return;
        case Statement::Kind::text:
            if (is_json) json_quote(row.text(column), out);
            if (!is_json) control::append_printable(row.text(column), out);
            return;
        case Statement::Kind::blob:
            out += "\"(" + std::to_string(row.text(column).size()) + " bytes)\"";
            return;
    }
}

std::string line_of(const Statement& row, bool is_json) {
    std::string line = is_json ? "{" : "";
    for (int column = 0; column < row.column_count(); ++column) {
        if (column > 0) line += is_json ? "," : "\t";
        if (is_json) {
            json_quote(row.column_name(column), line);
            line += ":";
        }
        append_cell(row, column, is_json, line);
    }
    return line + (is_json ? "}" : "");
}

}  // namespace

int verify_command(const CentralConfig& config, const std::string& work, std::ostream& out, std::ostream& err) {
    auto stored = snapshot_of(config);
    if (!stored) return fail(err, stored.error());
    Stored& before = stored.value();
    auto scratch = ScratchStore::make(work);
    if (!scratch) return fail(err, scratch.error());
    auto again = recompute({journal_directory(config), before.definitions, before.position, before.state.position},
                           scratch.value()->store());
    if (!again) return fail(err, again.error());
    std::uint64_t differences = 0;
    if (again.value().position != before.position) {
        ++differences;
        out << "~ position: results go to " << before.position << ", the journal to " << again.value().position << "\n";
    }
    if (again.value().state != before.state.engine) {
        ++differences;
        out << "~ state: the operators' state at position " << before.state.position << " is not what was stored\n";
    }
    const auto rows = compare(before.database, scratch.value()->store().database(), Identity::serial, before.first,
                              [&](const auto& one) {
                                  if (++differences <= shown_max) print(one, out);
                              });
    if (!rows) return fail(err, rows.error());
    out << "verify: " << again.value().records << " records, " << again.value().damaged << " damaged, to position "
        << again.value().position << "; " << rows.value() << " rows and the state of " << before.state.engine.size()
        << " bytes compared: " << differences << " differences\n";
    return differences == 0 ? exit_same : exit_differs;
}

int diff_command(const CentralConfig& config, const std::string& work, std::ostream& out, std::ostream& err) {
    if (!config.analytics.is_used()) return fail(err, {0, config.path + ": has no definitions"});
    auto stored = snapshot_of(config);
    if (!stored) return fail(err, stored.error());
    auto scratch = ScratchStore::make(work);
    if (!scratch) return fail(err, scratch.error());
    auto again = recompute({journal_directory(config), {{0, 0, config.analytics.text}}, stored.value().position},
                           scratch.value()->store());
    if (!again) return fail(err, again.error());
    // By table and name: less, more, changed.
    std::map<std::string, std::array<std::uint64_t, 3>> counts;
    std::uint64_t differences = 0;
    const auto rows = compare(
        stored.value().database, scratch.value()->store().database(), Identity::what, {}, [&](const Differing& one) {
            ++counts[std::string(table_of(one.kind)) + " " + one.name][static_cast<std::size_t>(one.how)];
            if (++differences <= shown_max) print(one, out);
        });
    if (!rows) return fail(err, rows.error());
    for (const auto& [what, count] : counts) {
        out << what << ": " << count[1] << " more, " << count[0] << " less, " << count[2] << " changed\n";
    }
    out << "diff: " << again.value().records << " records, " << rows.value() << " rows: " << differences
        << " differences\n";
    return differences == 0 ? exit_same : exit_differs;
}

int query_command(const CentralConfig& config, const QueryOptions& options, std::ostream& out, std::ostream& err) {
    auto database = Database::open(results_path(config.data_dir), Database::Use::ask);
    if (!database) return fail(err, database.error());
    database.value().limit_ms(options.ms_max);
    auto asked = database.value().prepare(options.sql);
    if (!asked) return fail(err, asked.error());
    Statement& row = asked.value();
    if (!options.is_json) {
        for (int column = 0; column < row.column_count(); ++column) {
            out << (column > 0 ? "\t" : "") << row.column_name(column);
        }
        out << "\n";
    }
    for (std::uint64_t rows = 0;; ++rows) {
        const auto more = row.step();
        if (!more) return fail(err, more.error());
        if (!more.value()) return 0;
        if (rows == options.rows_max) {
            err << "more than " << rows << " rows: the rest is left out (--rows-max)\n";
            return 0;
        }
        out << line_of(row, options.is_json) << "\n";
    }
}

}  // namespace weir::central
