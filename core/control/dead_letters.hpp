// Dead letters to work with: `dead-letters ls|show|replay|purge DIR` of both daemons.
//
// DIR is a daemon's data_dir: an edge keeps its letters in DIR/spool/dead-letters until central has them, central in DIR/dead-letters. A
// daemon that runs is not disturbed; the journals are never written.
//
//   ls, show   each letter that the filters let pass, with reason and stage; show: and its bytes; ls ends with counts by reason
//   replay     offers the original bytes to the edge that set them aside, under a name and numbers by which it knows each letter
//              for ever (core/wire/FORMAT.md §3.1): it is applied at most once, whoever offers it and however often
//   purge      marks letters as done with; what they take on the disk goes with the journal's retention
//
// Replay and purge ask why, and are done only when a record of that is in DIR/audit-trail (audit_trail.hpp); another says what came of
// it.
//
// Thread    Blocking; for command lines only.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "core/control/letter_filter.hpp"

namespace weir::control {

inline constexpr int exit_usage = 64;  // EX_USAGE of sysexits.h

struct DeadLetterArguments {
    std::string verb;  // ls, show, replay, purge
    std::string directory;
    bool json = false;
    LetterFilterTexts filter;
    std::uint64_t limit = 0;       // letters at most, the oldest; 0: all
    bool all = false;              // ls, show: purged and replayed ones too
    std::string to;                // replay: the edge's producer port
    std::string reason_text;       // purge, replay: why, kept with the mark
    bool dry_run = false;          // replay, purge: says what it would do
    std::uint64_t timeout_s = 10;  // replay: without any answer
    std::string who{};             // for the audit trail; empty: "uid:N" of this process
    std::string from{};            // an address; empty: this machine
};

// Returns the exit code: 0; 1 (damage found, something could not be read, or a letter asked for was not applied: it still fails,
// it is no event, its edge did not answer); 2 (unknown verb, nothing to read at DIR); 64 (an argument is wrong or missing).
[[nodiscard]] int dead_letters_command(const DeadLetterArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace weir::control
