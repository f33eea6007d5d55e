// question_of(): what a command line asks of the journal, checked.
#pragma once

#include "central/store/command.hpp"
#include "central/store/event_reader.hpp"

namespace weir::central {

[[nodiscard]] Result<EventQuestion> question_of(const StoreOptions& options);

}  // namespace weir::central
