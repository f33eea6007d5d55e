// weir-edge: the command line.
#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "core/control/access_options.hpp"
#include "core/control/dead_letters_options.hpp"
#include "core/control/journal_tools.hpp"
#include "core/control/log.hpp"
#include "core/control/signals.hpp"
#include "edge/config.hpp"
#include "edge/daemon/daemon.hpp"
#include "edge/payload_schemas.hpp"
#include "edge/profile.hpp"
#include "edge/rule_tests.hpp"
#include "edge/tap_command.hpp"
#include "edge/top.hpp"

namespace {

using weir::edge::EdgeConfig;

constexpr int exit_configuration = 78;  // EX_CONFIG of sysexits.h
constexpr const char* version = "weir-edge 0.1.0";

int say_errors(const std::vector<std::string>& errors) {
    for (const auto& line : errors) std::cerr << line << "\n";
    return exit_configuration;
}

// False, and said why: they cannot be used.
bool open_keys(const std::vector<std::string>& key_dirs, int& code) {
    const auto opened = weir::control::open_keys(key_dirs);
    if (opened) return true;
    std::cerr << "--key-dir: " << opened.error().what << "\n";
    code = weir::control::exit_usage;
    return false;
}

int check(const std::string& path) {
    const auto loaded = weir::edge::load_config(path);
    for (const auto& line : loaded.warnings) std::cerr << "warning: " << line << "\n";
    if (!loaded.config) return say_errors(loaded.errors);
    std::cout << weir::edge::profile_text(*loaded.config) << weir::edge::payloads_text(*loaded.config)
              << weir::edge::budget_of(*loaded.config).text << weir::edge::thread_plan_text(*loaded.config) << "\n";
    return 0;
}

int test_rules(const std::string& path) {
    const auto loaded = weir::edge::load_config(path);
    if (!loaded.config) return say_errors(loaded.errors);
    const auto counts = weir::edge::run_rule_tests(*loaded.config, std::cout);
    std::cout << counts.passed << " passed, " << counts.failed << " failed\n";
    return counts.failed == 0 ? 0 : 1;
}

int run(const std::string& path, const std::string& io_text) {
    auto io = weir::io::parse_io_choice(io_text);
    if (!io) {
        std::cerr << "--io: " << io.error().what << "\n";
        return exit_configuration;
    }
    auto loaded = weir::edge::load_config(path);
    if (!loaded.config) return say_errors(loaded.errors);
    weir::control::block_signals();
    const auto level = weir::control::parse_log_level(loaded.config->log_level);
    weir::control::log_open(level.value_or(weir::control::LogLevel::warn));
    for (const auto& line : loaded.warnings) weir::control::log_warn("config", {{"what", line}});
    weir::edge::EdgeDaemon daemon(std::move(*loaded.config), io.value(), path);
    if (auto started = daemon.start(); !started) {
        weir::control::log_error("start_failed", {{"what", started.error().what}});
        weir::control::log_flush(true);
        return 1;
    }
    return daemon.run();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"weir-edge: takes events from producers, makes them durable, and brings them to a central"};
    app.set_version_flag("--version", version);
    app.require_subcommand(1);
    int code = 0;
    std::string config;
    std::string io = "auto";
    std::string verb;
    std::string directory;
    bool json = false;

    auto* run_command = app.add_subcommand("run", "Runs the edge until SIGTERM");
    run_command->add_option("--config", config, "Configuration (TOML)")->required();
    run_command->add_option("--io", io, "auto, uring or epoll")->capture_default_str();
    run_command->callback([&] { code = run(config, io); });

    auto* check_command = app.add_subcommand("check", "Reads a configuration; prints its budget, or every error in it");
    check_command->add_option("FILE", config, "Configuration (TOML)")->required();
    check_command->callback([&] { code = check(config); });

    auto* test_command =
        app.add_subcommand("test", "Runs the [[tests]] of a configuration against its rules and routes");
    test_command->add_option("FILE", config, "Configuration (TOML)")->required();
    test_command->callback([&] { code = test_rules(config); });

    weir::edge::TapArguments tap;
    auto* tap_command = app.add_subcommand("tap", "Prints the events of a running edge that match, as they pass");
    tap_command->add_option("--admin", tap.admin, "HOST:PORT of its listen.admin")->required();
    tap_command->add_option("--token-file", tap.token_file, "A token of role operator, in a file of mode 0600");
    weir::control::add_admin_tls(*tap_command, tap.tls);
    tap_command->add_option("--where", tap.where, "An expression (core/rules/LANGUAGE.md); without it every event");
    tap_command->add_option("--limit", tap.limit, "Ends after so many events")->capture_default_str();
    tap_command->add_option("--rate", tap.rate, "At most so many a second; the rest is counted")->capture_default_str();
    tap_command->add_option("--format", tap.format, "text, or json: one object a line")->capture_default_str();
    tap_command->callback([&] { code = weir::edge::run_tap(tap, std::cout, std::cerr); });

    weir::control::TopArguments top;
    auto* top_command = weir::control::add_top(app, "edge", top);
    top_command->callback([&] { code = weir::edge::run_top(top, std::cout, std::cerr); });

    auto* journal = app.add_subcommand("journal", "Reads the spool of a data_dir, beside a running edge too");
    journal->add_option("VERB", verb, "ls, cat or verify")->required()->check(CLI::IsMember({"ls", "cat", "verify"}));
    journal->add_option("DIR", directory, "data_dir")->required();
    journal->add_flag("--json", json, "One JSON object a line");
    std::vector<std::string> key_dirs;
    journal->add_option("--key-dir", key_dirs, "at_rest.key_dir, where the journal is encrypted");
    journal->callback([&] {
        if (!open_keys(key_dirs, code)) return;
        code = weir::control::journal_command(verb, directory, json, std::cout, std::cerr);
    });

    weir::control::DeadLetterArguments letters;
    auto* letters_command = weir::control::add_dead_letters(app, letters);
    letters_command->add_option("--key-dir", key_dirs, "at_rest.key_dir, where they are encrypted");
    letters_command->callback([&] {
        if (open_keys(key_dirs, code)) code = weir::control::dead_letters_command(letters, std::cout, std::cerr);
    });

    weir::control::AuditArguments trail;
    auto* trail_command = weir::control::add_audit_trail(app, trail);
    trail_command->callback([&] { code = weir::control::audit_trail_command(trail, std::cout, std::cerr); });
    weir::control::TokenArguments token;
    auto* token_command = weir::control::add_token_command(app, token);
    token_command->callback([&] { code = weir::control::token_command(token); });

    std::ios::sync_with_stdio(false);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int parse_code = app.exit(error);
        const bool is_letters = argc > 1 && std::string_view(argv[1]) == "dead-letters";
        return parse_code != 0 && is_letters ? weir::control::exit_usage : parse_code;
    }
    std::cout.flush();
    return code;
}
