// A dead letter as the API shows it (openapi.yaml, Letter).
//
// Thread    Any.
#pragma once

#include <string>

#include "core/control/letter_filter.hpp"
#include "core/control/letter_marks.hpp"

namespace weir::central {

// EDGE/LINEAGE/LANE/SEQUENCE
[[nodiscard]] std::string id_of(const control::DeadLetter& letter);
[[nodiscard]] std::string text_of(const control::DeadLetter& letter, control::LetterState state);

}  // namespace weir::central
