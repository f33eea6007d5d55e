// `audit-trail ls|verify` of both daemons: a trail read beside its daemon, or a copy of it anywhere.
//
//   verify   says how many records there are and the last one's hash; names the first that was changed, removed or moved. What was cut off
//            the end a chain cannot show: --anchor N:HASH, as the daemon's log, metrics or /api/v1/access said it once, does.
//   ls       one record a line; the file itself is a JSON object a line
//
// Thread    Blocking; for command lines only.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace weir::control {

struct AuditArguments {
    std::string verb;  // ls, verify
    std::string path;  // the file, or a data_dir that has one
    std::vector<std::string> anchors;
};
// The exit code: 0; 1 (the trail is not whole, or an anchor is not in it); 2 (nothing to read at the path); 64 (a wrong argument).
[[nodiscard]] int audit_trail_command(const AuditArguments& arguments, std::ostream& out, std::ostream& err);

}  // namespace weir::control
