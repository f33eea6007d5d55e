// The options of `dead-letters` on a command line, the same for both daemons. Included by the two main.cpp only.
#pragma once

#include <CLI/CLI.hpp>

#include "core/control/dead_letters.hpp"

namespace weir::control {

inline CLI::App* add_dead_letters(CLI::App& app, DeadLetterArguments& into) {
    auto* letters = app.add_subcommand("dead-letters", "Lists, shows, replays or purges what was set aside, and why");
    letters->add_option("VERB", into.verb, "ls, show, replay or purge")->required();
    letters->add_option("DIR", into.directory, "data_dir")->required();
    letters->add_flag("--json", into.json, "One JSON object a line");
    letters->add_option("--edge", into.filter.edge, "Only this edge's");
    letters->add_option("--reason", into.filter.reason, "Only with this reason: out_of_range");
    letters->add_option("--stage", into.filter.stage, "Only from this stage: decode, validate");
    letters->add_option("--type", into.filter.type, "Only events of such a type: violation.*");
    letters->add_option("--source", into.filter.source, "Only events of such a source: camera/*");
    letters->add_option("--since", into.filter.since, "Only what was set aside then or later: 2017-12-01T00:00:07Z");
    letters->add_option("--until", into.filter.until, "Only what was set aside before");
    letters->add_option("--sequence", into.filter.sequence, "Only 7, or 7..9, or 7.., or ..9");
    letters->add_option("--limit", into.limit, "At most so many, the first in the journal's order");
    letters->add_flag("--all", into.all, "ls, show: those that were purged or replayed too");
    letters->add_option("--to", into.to, "replay: the edge's producer port, HOST:PORT or unix:PATH");
    letters->add_option("--reason-text", into.reason_text,
                        "purge, replay: why; kept beside the journal and in the audit trail");
    letters->add_flag("--dry-run", into.dry_run, "replay, purge: only says what would be done");
    letters->add_option("--timeout", into.timeout_s, "replay: seconds without any answer, then it gives up")
        ->capture_default_str();
    return letters;
}

}  // namespace weir::control
