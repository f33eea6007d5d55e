// An event as the API shows it (openapi.yaml, Event).
//
// Thread    Any.
#pragma once

#include <string>

#include "core/journal/scan.hpp"
#include "core/wire/event.hpp"

namespace weir::central {

// Appends one object. The payload is shown where it is JSON.
void append_event(const wire::EventView& event, const journal::RecordView& record, Sequence sequence, std::string& out);

}  // namespace weir::central
