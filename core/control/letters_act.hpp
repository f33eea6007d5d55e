// Dead letters by HTTP: POST .../replay?FILTERS and .../purge?FILTERS, as `dead-letters` does it on the command line.
//
// The filters are those of the command line: edge, reason, stage, type, source, since, until, sequence, limit; and dry_run=1. Why it is
// done is in the header Weir-Reason. The answer is an object a line, then what went wrong.
//
// Thread    The admin server's, which serves nobody else meanwhile: so letters_per_act_max, and act_timeout_s for an edge's answers.
#pragma once

#include <string>
#include <string_view>

#include "core/control/admin.hpp"

namespace weir::control {

inline constexpr std::uint64_t letters_per_act_max = 1000;
inline constexpr std::uint64_t act_timeout_s = 5;

struct LettersDesk {
    std::string directory;  // data_dir
    std::string to;         // the edge's producer port; empty: nothing is replayed here
    std::string why_not;    // then: why
};
// `path_begin`: what stands before "replay" and "purge". 200; 400: a wrong filter; 404; 409: a letter asked for was not applied, or nothing
// is replayed here.
[[nodiscard]] AdminResponse act_on_letters(const LettersDesk& desk, std::string_view path_begin, const AdminAct& asked);

}  // namespace weir::control
