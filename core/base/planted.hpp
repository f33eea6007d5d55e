// WEIR_PLANTED: bugs that are put in on purpose, so that the simulator can prove that it would find them.
//
// Off in every build of the product: the condition is the constant false. tests/simulation builds the files that name one a second
// time, with WEIR_PLANTED_BUGS, and runs each bug until a promise breaks. Only in .cpp files.
#pragma once

#ifdef WEIR_PLANTED_BUGS
#include <cstdint>
namespace weir {
enum class Planted : std::uint8_t {
    none,
    write_without_sync,      // `spooled` is said of what the disk may still lose
    no_directory_sync,       // a segment's name may be lost with all that was acked in it
    trim_undelivered,        // segments go when they are sent, not when they are acked
    accept_gap,              // central takes a batch although one before it is missing
    no_duplicate_check,      // central takes a batch that it has
    position_ahead_of_data,  // central's checkpoint knows more than its journal after a crash
    sequence_reuse,          // recovery forgets the last record: its sequences are given again
    credit_leak,             // credit does not come back
    forget_duplicates,       // recovery does not read identities back from the spool
    early_duplicate_ack,     // a repetition is answered before its original is durable
    checkpoint_before_data,  // intake's memory knows events that the spool does not have
    ignore_write_error,      // a failed write counts as done
    central_ack_early,       // central acks what it has not written
    hole_taken_for_end,      // recovery goes on behind a hole that a crash left
    delivered_too_early,     // `delivered` is said when the edge's own disk has it
    gap_for_what_is_kept,    // a restored central gets a gap for what the spool still has
};
extern Planted planted_bug;
}  // namespace weir
#define WEIR_PLANTED(bug) (::weir::planted_bug == ::weir::Planted::bug)
#else
#define WEIR_PLANTED(bug) false
#endif
