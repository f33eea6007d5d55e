// for_each_letter(): the dead letters of a record: those that an edge set aside, and what central's ingest could not verify.
//
// Thread    Any.
// Ownership What is given lies in the record.
#pragma once

#include <functional>

#include "core/control/letter_filter.hpp"
#include "core/journal/scan.hpp"

namespace weir::control {

// What a record cannot be read for; none: it was.
enum class LetterFault : std::uint8_t {
    none,
    not_plain,  // compressed or encrypted: nothing was read
    cut,        // a frame that is no dead letter stands where one should: the others were read
};
// visit(letter, index of its frame). The record's batch passed check_batch.
[[nodiscard]] LetterFault for_each_letter(const journal::RecordView& record,
                                          const std::function<void(const DeadLetter&, std::uint32_t)>& visit);

}  // namespace weir::control
