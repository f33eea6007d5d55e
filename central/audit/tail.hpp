// Tail: what lies behind the end of what can be read of a journal.
//
// A reader stops where no record follows on. Behind it lie zeros, what a crash left of its last writes, or older bytes of
// a file used again. A record that says that it belongs further on is none of these: something was cut out before it.
//
// Thread    Blocking; reads only.
#pragma once

#include <functional>
#include <string>

#include "core/base/types.hpp"
#include "core/wire/batch.hpp"

namespace weir::central::audit {

struct TailFindings {
    std::string fault;  // "FILE:OFFSET: what"; empty if there is none
    std::string note;   // the same; of a writer's last moments
};
// `end`: of the last record read; 0 if there was none. Each record that was moved is shown to `moved`.
[[nodiscard]] TailFindings look_behind(const std::string& directory, Position end,
                                       const std::function<void(const wire::BatchHeader&)>& moved);

}  // namespace weir::central::audit
