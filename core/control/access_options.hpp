// The options of `audit-trail`, `token` and `top` on a command line, the same for both daemons. Included by the two main.cpp only.
#pragma once

#include <CLI/CLI.hpp>
#include <iostream>

#include "core/control/audit_command.hpp"
#include "core/control/dead_letters.hpp"
#include "core/control/token_book.hpp"
#include "core/control/top_screen.hpp"

namespace weir::control {

inline CLI::App* add_audit_trail(CLI::App& app, AuditArguments& into) {
    auto* trail =
        app.add_subcommand("audit-trail", "Lists who did what, or verifies that no record was changed or removed");
    trail->add_option("VERB", into.verb, "ls or verify")->required();
    trail->add_option("PATH", into.path, "The file, or a data_dir that has one")->required();
    trail->add_option("--anchor", into.anchors,
                      "verify: SEQUENCE:HASH that must be in it, as it was once said; any number");
    return trail;
}

// For a listen.admin with TLS.
inline void add_admin_tls(CLI::App& command, AdminTls& into) {
    auto* ca = command.add_option("--ca", into.ca, "The CA of the port's certificate (PEM), where it speaks TLS");
    auto* certificate = command.add_option("--cert", into.certificate, "An operator's certificate to show (PEM)");
    auto* key = command.add_option("--key", into.key, "Its key (PEM), in a file of mode 0600");
    certificate->needs(ca)->needs(key);
    key->needs(certificate);
}

// `who`: "edge" or "central".
inline CLI::App* add_top(CLI::App& app, const std::string& who, TopArguments& into) {
    auto* top = app.add_subcommand("top", "A live table of a running " + who + "; q ends it");
    top->add_option("--admin", into.admin, "HOST:PORT of its listen.admin")->required();
    top->add_option("--token-file", into.token_file, "A token of any role, in a file of mode 0600");
    add_admin_tls(*top, into.tls);
    top->add_option("--interval", into.interval_s, "Seconds between two looks")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    top->add_flag("--once", into.is_once, "Prints one table and ends");
    return top;
}

struct TokenArguments {
    std::string file, name, role, out;
};
inline CLI::App* add_token_command(CLI::App& app, TokenArguments& into) {
    auto* token =
        app.add_subcommand("token", "Makes a token for the admin port: its hash into FILE, the token into --out");
    token->add_option("FILE", into.file, "admin.tokens; made if it is not there")->required();
    token->add_option("NAME", into.name, "1 to 32 of a-z, 0-9 and '-'")->required();
    token->add_option("ROLE", into.role, "viewer, operator, replayer or admin")->required();
    token->add_option("--out", into.out, "A new file of mode 0600 for the token")->required();
    return token;
}
// 0; 1: it could not be made; 64: a wrong argument.
inline int token_command(const TokenArguments& arguments) {
    const auto role = parse_role(arguments.role);
    if (!role) {
        std::cerr << "token: the role must be viewer, operator, replayer or admin\n";
        return exit_usage;
    }
    const auto made = make_token(arguments.file, arguments.name, *role, arguments.out);
    if (made) return 0;
    std::cerr << "token: " << made.error().what << "\n";
    return 1;
}

}  // namespace weir::control
