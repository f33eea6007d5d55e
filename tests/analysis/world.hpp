// World: a data_dir of central with a journal of events, its configuration, and what is computed from it.
#pragma once

#include <sstream>

#include "central/analysis/command.hpp"
#include "tests/analysis/journal_script.hpp"

namespace weir::central::test {

// A journal of `batches`, and what its directory holds.
struct World {
    explicit World(std::size_t batches, std::uint64_t seed = 1) {
        Central central(small_config(directory.path()));
        JournalScript(seed, central.port()).write(batches);
        central.drain();
        config = config_of(directory.path());
        const auto listed = journal::list_segments(journal_directory(config));
        journal.id = listed.value().segments.front().header.journal_id;
        auto scanner = journal::Scanner::open(journal_directory(config), {});
        while (const auto record = scanner.value().next()) journal.durable = record->end.value;
    }
    [[nodiscard]] std::unique_ptr<ResultStore> store() const {
        auto opened = ResultStore::open(results_path(config.data_dir));
        EXPECT_TRUE(opened.ok()) << opened.error().what;
        return std::move(opened.value());
    }
    [[nodiscard]] std::unique_ptr<AnalysisRun> run(ResultStore& into) const {
        auto opened = AnalysisRun::open(into, config.analytics, journal, {state_path(config.data_dir)});
        EXPECT_TRUE(opened.ok()) << opened.error().what;
        return std::move(opened.value());
    }
    // Applies up to `records` from where the run stands; true: there are more.
    bool apply(AnalysisRun& run, std::size_t records = SIZE_MAX) const {
        auto scanner = run.position() == 0
                           ? journal::Scanner::open(journal_directory(config), {})
                           : journal::Scanner::open(journal_directory(config), {run.position()}, run.previous_crc());
        for (; records > 0; --records) {
            const auto record = scanner.value().next();
            if (!record) return false;
            EXPECT_TRUE(run.apply(*record).ok());
        }
        return true;
    }
    // From the beginning to the end, with a checkpoint there.
    void compute() const {
        const auto into = store();
        const auto one = run(*into);
        apply(*one);
        EXPECT_TRUE(one->checkpoint().ok());
    }
    // The exit code, and what was printed.
    [[nodiscard]] std::pair<int, std::string> verify() const {
        std::ostringstream out;
        const int code = verify_command(config, {}, out, out);
        return {code, out.str()};
    }
    void change(const std::string& sql) const {
        auto database = Database::open(results_path(config.data_dir), Database::Use::own);
        const auto changed = database.value().run(sql);
        EXPECT_TRUE(changed.ok()) << changed.error().what;
    }
    // The stored state says something else, in a file that is whole.
    void change_state(const std::string& engine) const {
        const std::string path = state_path(config.data_dir);
        auto state = read_state(path);
        ASSERT_TRUE(state.ok() && state.value());
        state.value()->engine = engine;
        ASSERT_TRUE(write_state(path, *state.value()).ok());
    }
    [[nodiscard]] std::int64_t number(const std::string& sql) const {
        auto database = Database::open(results_path(config.data_dir), Database::Use::ask);
        auto asked = database.value().prepare(sql);
        EXPECT_TRUE(asked.ok()) << asked.error().what;
        EXPECT_TRUE(asked.value().step().ok());
        return asked.value().number(0);
    }

    Directory directory;
    CentralConfig config;
    AnalysisRun::Journal journal;
};

}  // namespace weir::central::test
