// weir-central: the command line.
#include <CLI/CLI.hpp>
#include <iostream>

#include "central/analysis/command.hpp"
#include "central/analysis/rule_tests.hpp"
#include "central/audit/command.hpp"
#include "central/config.hpp"
#include "central/cursors/command.hpp"
#include "central/daemon/daemon.hpp"
#include "central/store/command.hpp"
#include "central/top/top.hpp"
#include "core/control/access_options.hpp"
#include "core/control/dead_letters_options.hpp"
#include "core/control/journal_tools.hpp"
#include "core/control/signals.hpp"
#ifdef WEIR_HAS_MIMALLOC
#include <mimalloc.h>
#endif

namespace {

constexpr int exit_config = 78;      // EX_CONFIG
constexpr int exit_audit_usage = 2;  // of an audit: wrong arguments, or nothing to read

std::optional<weir::central::CentralConfig> load(const std::string& path) {
    auto loaded = weir::central::load_config(path);
    for (const auto& error : loaded.errors) std::cerr << error << "\n";
    for (const auto& warning : loaded.warnings) std::cerr << "warning: " << warning << "\n";
    return std::move(loaded.config);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"weir-central: takes batches of events from edges and keeps each once", "weir-central"};
    app.set_version_flag("--version", "weir-central 0.1.0");
    app.require_subcommand(1);

    std::string config_path, io_text = "auto", verb, directory;
    bool is_json = false;
    auto* run = app.add_subcommand("run", "Serve edges");
    run->add_option("--config", config_path, "Configuration file")->required();
    run->add_option("--io", io_text, "auto, uring or epoll");
    auto* check = app.add_subcommand("check", "Read the configuration as a start would; print what it may use");
    check->add_option("file", config_path, "Configuration file")->required();
    auto* journal = app.add_subcommand("journal", "Look at the journal under a data_dir");
    journal->add_option("verb", verb, "ls, cat or verify")->required();
    journal->add_option("dir", directory, "data_dir")->required();
    journal->add_flag("--json", is_json, "One JSON object a line");
    std::vector<std::string> key_dirs;
    journal->add_option("--key-dir", key_dirs, "at_rest.key_dir, where the journal is encrypted");
    weir::control::DeadLetterArguments letters_arguments;
    auto* letters = weir::control::add_dead_letters(app, letters_arguments);
    letters->add_option("--key-dir", key_dirs, "at_rest.key_dir, where they are encrypted");
    weir::control::AuditArguments trail_arguments;
    auto* trail = weir::control::add_audit_trail(app, trail_arguments);
    weir::control::TokenArguments token_arguments;
    auto* token = weir::control::add_token_command(app, token_arguments);
    std::vector<std::string> edge_dirs;
    auto* audit =
        app.add_subcommand("audit", "Account for every event from the journals on disk, also beside a daemon");
    audit->add_option("--config", config_path, "Configuration file")->required();
    audit->add_option("--edge-dir", edge_dirs, "data_dir of an edge; once for each edge");
    audit->add_option("--key-dir", key_dirs,
                      "at_rest.key_dir of an edge, beside central's own: keys of one number must be the same");
    audit->add_flag("--json", is_json, "One JSON object a line");
    bool is_recomputed = false, is_diff = false;
    std::string work;
    auto* verify =
        app.add_subcommand("verify", "Compute results again from the journal, and compare with what was stored");
    verify->add_flag("--recompute", is_recomputed, "The whole journal through the operators")->required();
    verify->add_option("--config", config_path, "Configuration file")->required();
    verify->add_option("--work", work, "Where the second results are put meanwhile; else where temporary files are");
    auto* replay =
        app.add_subcommand("replay", "The journal's events once more: to an edge, as JSON, or under new definitions");
    weir::central::StoreOptions events;
    const auto add_period = [&](CLI::App* command) {
        command->add_option("--config", config_path, "Configuration file")->required();
        command->add_option("--from", events.from, "Events at or after this time, in RFC 3339");
        command->add_option("--until", events.until, "Events before this time");
        command->add_option("--where", events.where, "Events for which this condition holds");
    };
    add_period(replay);
    auto* diff = replay->add_flag("--diff", is_diff,
                                  "What this configuration's definitions would have found, beside what was stored");
    replay->add_option("--to", events.to, "HOST:PORT of an edge; \"-\": lines of JSON")->excludes(diff);
    replay->add_option("--speed", events.speed, "max, or how many times faster than it was");
    replay->add_option("--work", work, "As of verify");
    auto* fold = app.add_subcommand("fold", "What the events of one key come to");
    add_period(fold);
    fold->add_option("--key", events.key, "The events' key")->required();
    weir::central::CursorOptions cursor;
    auto* cursors = app.add_subcommand("cursors", "Groups of consumers of the journal: how far they have come");
    cursors->add_option("verb", cursor.verb, "ls, make, read, commit or drop")->required();
    cursors->add_option("group", cursor.group, "The group");
    cursors->add_option("--config", config_path, "Configuration file")->required();
    cursors->add_option("--partition", cursor.partition, "Which part of the keys");
    cursors->add_option("--partitions", cursor.partitions, "Of a new group: 1 to 1024");
    cursors->add_option("--limit", cursor.limit, "Events that are read at once, about");
    cursors->add_option("--place", cursor.place, "A number, first or end");
    std::string tests_path;
    auto* test = app.add_subcommand("test", "Run the [[tests]] of definitions, in virtual time");
    test->add_option("--config", config_path, "Configuration file, with the definitions")->required();
    test->add_option("tests", tests_path, "File with [[tests]]")->required();
    weir::central::QueryOptions question;
    auto* query = app.add_subcommand("query", "Ask the results by one SELECT");
    query->add_option("sql", question.sql, "SELECT ...")->required();
    query->add_option("--config", config_path, "Configuration file")->required();
    query->add_flag("--json", question.is_json, "One JSON object a line");
    query->add_option("--rows-max", question.rows_max, "Rows that are printed");
    query->add_option("--ms-max", question.ms_max, "How long it may take");
    weir::control::TopArguments top_arguments;
    auto* top = weir::control::add_top(app, "central", top_arguments);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        // Of an audit 1 means a fault: whatever was asked wrongly is 2.
        const std::string_view command = argc > 1 ? argv[1] : "";
        if (code != 0 && (command == "audit" || command == "verify")) return exit_audit_usage;
        return code != 0 && command == "dead-letters" ? weir::control::exit_usage : code;
    }

    const auto open_keys = [&] {
        const auto opened = weir::control::open_keys(key_dirs);
        if (!opened) std::cerr << "--key-dir: " << opened.error().what << "\n";
        return opened.ok();
    };
    if ((journal->parsed() || letters->parsed()) && !open_keys()) return weir::control::exit_usage;
    if (journal->parsed()) return weir::control::journal_command(verb, directory, is_json, std::cout, std::cerr);
    if (letters->parsed()) return weir::control::dead_letters_command(letters_arguments, std::cout, std::cerr);
    if (trail->parsed()) return weir::control::audit_trail_command(trail_arguments, std::cout, std::cerr);
    if (token->parsed()) return weir::control::token_command(token_arguments);
    if (top->parsed()) return weir::central::run_top(top_arguments, std::cout, std::cerr);
    const auto config = load(config_path);
    if (!config) return audit->parsed() ? exit_audit_usage : exit_config;
    if (!config->at_rest.key_dir.empty()) key_dirs.push_back(config->at_rest.key_dir);
    const bool reads_journal =
        audit->parsed() || verify->parsed() || replay->parsed() || fold->parsed() || cursors->parsed();
    if (reads_journal && !open_keys()) return audit->parsed() ? exit_audit_usage : exit_config;
    if (audit->parsed()) return weir::central::audit::audit_command(*config, edge_dirs, is_json, std::cout, std::cerr);
    if (verify->parsed()) return weir::central::verify_command(*config, work, std::cout, std::cerr);
    if (replay->parsed() && is_diff) return weir::central::diff_command(*config, work, std::cout, std::cerr);
    if (replay->parsed()) {
        if (!events.to.empty()) return weir::central::replay_command(*config, events, std::cout, std::cerr);
        std::cerr << "replay: --to or --diff is needed\n";
        return 2;
    }
    if (fold->parsed()) return weir::central::fold_command(*config, events, std::cout, std::cerr);
    if (cursors->parsed()) return weir::central::cursors_command(*config, cursor, std::cout, std::cerr);
    if (test->parsed()) return weir::central::rule_tests_command(*config, tests_path, std::cout, std::cerr);
    if (query->parsed()) return weir::central::query_command(*config, question, std::cout, std::cerr);
    if (check->parsed()) {
        std::cout << weir::central::budget_of(*config).text << weir::central::thread_plan_text(*config);
        return 0;
    }
    const auto choice = weir::io::parse_io_choice(io_text);
    if (!choice) {
        std::cerr << "--io: " << choice.error().what << "\n";
        return 2;
    }
#ifdef WEIR_HAS_MIMALLOC
    // The operators' tables are touched at random places over hundreds of MiB: with pages of 4 KiB each touch looks its page up first. The
    // heap then keeps what it once had; their bounds are their definitions'.
    if (config->analytics.is_used()) mi_option_enable(mi_option_large_os_pages);
#endif
    weir::control::block_signals();
    return weir::central::run_daemon(*config, choice.value());
}
