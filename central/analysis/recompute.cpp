#include "central/analysis/recompute.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace weir::central {
namespace {

constexpr std::uint64_t commit_records = 4096;

// Columns that name a row, then its definition's name, then its data.
struct Question {
    std::string sql;
    int identity_columns = 0;
};

Question question_of(ResultKind kind, Identity identity) {
    const std::string table(table_of(kind));
    if (identity == Identity::serial) {
        return {"SELECT serial, name, position || ' ' || arrival_ns || ' ' || data FROM " + table +
                    " WHERE serial >= ? ORDER BY 1",
                1};
    }
    std::string columns;
    switch (kind) {
        case ResultKind::window:
            columns = "name, key, start_ns, born, version";
            break;
        case ResultKind::pattern:
            columns = "name, key, start_ns, end_ns, data";
            break;
        case ResultKind::anomaly:
            columns = "name, key, time_ns, serial * 0, serial * 0";
            break;
        case ResultKind::alert:
            columns = "name, key, time_ns, kind, since_ns";
            break;
    }
    return {"SELECT " + columns + ", name, data FROM " + table + " WHERE serial >= ? ORDER BY 1, 2, 3, 4, 5", 5};
}

int order_of(const Statement& left, const Statement& right, int columns) {
    for (int column = 0; column < columns; ++column) {
        if (left.kind(column) == Statement::Kind::integer && right.kind(column) == Statement::Kind::integer) {
            if (left.number(column) != right.number(column)) return left.number(column) < right.number(column) ? -1 : 1;
        } else if (const int order = left.text(column).compare(right.text(column)); order != 0) {
            return order;
        }
    }
    return 0;
}

// Two ordered lists of rows side by side.
class Merge {
  public:
    Merge(ResultKind kind, int identity_columns, Statement before, Statement after)
        : kind_(kind), columns_(identity_columns), before_(std::move(before)), after_(std::move(after)) {}

    [[nodiscard]] Result<std::uint64_t> run(const std::function<void(const Differing&)>& told) {
        std::uint64_t rows = 0;
        auto has_before = before_.step();
        auto has_after = after_.step();
        while (has_before && has_after && (has_before.value() || has_after.value())) {
            ++rows;
            const int order = !has_before.value() ? 1 : !has_after.value() ? -1 : order_of(before_, after_, columns_);
            if (order < 0) told({kind_, Differing::How::missing, name_of(before_), data_of(before_), {}});
            if (order > 0) told({kind_, Differing::How::added, name_of(after_), {}, data_of(after_)});
            if (order == 0 && (data_of(before_) != data_of(after_) || name_of(before_) != name_of(after_))) {
                told({kind_, Differing::How::changed, name_of(before_), data_of(before_), data_of(after_)});
            }
            if (order <= 0) has_before = before_.step();
            if (order >= 0) has_after = after_.step();
        }
        if (!has_before) return has_before.error();
        if (!has_after) return has_after.error();
        return rows;
    }

  private:
    [[nodiscard]] std::string name_of(const Statement& row) const { return std::string(row.text(columns_)); }
    [[nodiscard]] std::string data_of(const Statement& row) const { return std::string(row.text(columns_ + 1)); }

    ResultKind kind_;
    int columns_;
    Statement before_;
    Statement after_;
};

}  // namespace

Result<std::unique_ptr<ScratchStore>> ScratchStore::make(const std::string& parent) {
    std::error_code ignored;
    const std::string where = parent.empty() ? std::filesystem::temp_directory_path(ignored).string() : parent;
    std::string name = where + "/weir-recompute-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) return error_from_errno(errno, "make a directory in " + where);
    std::unique_ptr<ScratchStore> made(new ScratchStore(name));
    auto store = ResultStore::open(results_path(name));
    if (!store) return store.error();
    made->store_ = std::move(store.value());
    return made;
}

ScratchStore::~ScratchStore() {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
}

Result<Recomputed> recompute(const RecomputeJob& job, ResultStore& into) {
    std::size_t next = 0;
    const auto definitions = [&]() -> Result<AnalyticsConfig> {
        auto read = analytics_of_text(job.definitions[next++].config);
        if (read) read.value().rows_max = UINT64_MAX;
        return read;
    };
    auto first = definitions();
    if (!first) return first.error();
    auto opened = AnalysisRun::open(into, first.value(), {}, {});
    if (!opened) return opened.error();
    AnalysisRun& run = *opened.value();
    auto scanner = journal::Scanner::open(job.journal, {});
    if (!scanner) return scanner.error();
    Recomputed done;
    for (;;) {
        while (next < job.definitions.size() && job.definitions[next].position <= run.position()) {
            auto read = definitions();
            if (!read) return read.error();
            if (auto redefined = run.redefine(read.value()); !redefined) return redefined.error();
        }
        if (run.position() == job.state_position) done.state = run.engine().save();
        if (run.position() >= job.to_position) break;
        const auto record = scanner.value().next();
        if (!record || record->end.value > job.to_position) break;
        if (auto applied = run.apply(*record); !applied) return applied.error();
        if (++done.records % commit_records == 0) {
            if (auto committed = run.commit(); !committed) return committed.error();
        }
    }
    if (auto committed = run.commit(); !committed) return committed.error();
    done.position = run.position();
    done.damaged = scanner.value().damaged_records();
    return done;
}

Result<std::uint64_t> compare(Database& before, Database& after, Identity identity,
                              const std::array<std::uint64_t, result_kinds>& first,
                              const std::function<void(const Differing&)>& told) {
    std::uint64_t rows = 0;
    for (std::size_t number = 0; number < result_kinds; ++number) {
        const auto kind = static_cast<ResultKind>(number);
        const Question question = question_of(kind, identity);
        auto left = before.prepare(question.sql);
        auto right = after.prepare(question.sql);
        if (!left) return left.error();
        if (!right) return right.error();
        left.value().bind(first[number]);
        right.value().bind(first[number]);
        Merge merge(kind, question.identity_columns, std::move(left.value()), std::move(right.value()));
        const auto merged = merge.run(told);
        if (!merged) return merged.error();
        rows += merged.value();
    }
    return rows;
}

}  // namespace weir::central
