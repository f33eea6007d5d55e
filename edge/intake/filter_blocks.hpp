// Filter blocks: the duplicate filter's entries as they lie on the disk, 17 bytes each, in blocks that are written whole.
//
//   DATA_DIR/filter.blocks   block n at place n mod filter_file_blocks(ids_max): a head, and the entries of the indices 240 n to 240 n + 239
//   the intake checkpoint    the block that is not full yet: a head, and as many entries as it has
//   an entry                 8 bytes and 8 bytes of its hash, high and low, little-endian · 1 byte of age; 255: none
//   an age                   steps of the head's from the entry's second to the newest's, which is rounded up to whole steps
//
// Law       A block that a checkpoint counts on is written once in a round of the file: a write that is torn takes no id that is covered.
// Bounds    An entry that is read back may live longer than it would have, by less than a step, however often it is: the least power of two
//           of seconds with which 254 steps reach from a block's newest entry to its oldest, so none where that is less than 255 s. What is older
//           than 254 * step_max (four years, and no id lives for more than one) counts as so old.
#pragma once

#include <cstdint>

#include "core/journal/record.hpp"
#include "edge/intake/duplicate_filter.hpp"

namespace weir::edge {

struct FilterBlockHead {
    static constexpr unsigned step_bits = 20;
    static constexpr std::uint32_t step_max = 1U << (step_bits - 1);

    std::uint64_t number_and_step = 0;  // the block's number << step_bits | seconds that a step of an age stands for
    std::uint32_t seconds = 0;          // of its newest entry
    std::uint32_t crc = 0;              // CRC-32C of the filter's seed and of all of it, with 0 here

    [[nodiscard]] std::uint64_t number() const { return number_and_step >> step_bits; }
    [[nodiscard]] std::uint32_t step() const {
        return static_cast<std::uint32_t>(number_and_step & ((1U << step_bits) - 1));
    }
};
static_assert(sizeof(FilterBlockHead) == 16);

inline constexpr std::uint64_t filter_entry_bytes = 17;
inline constexpr std::uint64_t filter_block_entries =
    (journal::block_bytes - sizeof(FilterBlockHead)) / filter_entry_bytes;
static_assert(sizeof(FilterBlockHead) + filter_block_entries * filter_entry_bytes == journal::block_bytes);
static_assert(DuplicateFilter::index_max / filter_block_entries + 1 < UINT64_MAX >> FilterBlockHead::step_bits);

// One more than full ones would take: in a file that is written anew the first and the last may each have a part of their entries.
[[nodiscard]] constexpr std::uint64_t filter_file_blocks(std::uint64_t ids_max) {
    return round_up(ids_max, filter_block_entries) / filter_block_entries + 1;
}
[[nodiscard]] constexpr std::uint64_t filter_file_bytes(std::uint64_t ids_max) {
    return filter_file_blocks(ids_max) * journal::block_bytes;
}
// Of a head and so many entries.
[[nodiscard]] constexpr std::uint64_t filter_bytes_of(std::uint64_t entries) {
    return sizeof(FilterBlockHead) + entries * filter_entry_bytes;
}

// Block `number` of the filter, with as many entries as fit in `into`; those that the filter does not have go as none.
void seal_filter_block(const DuplicateFilter& filter, std::uint64_t number, Bytes into) noexcept;
// The head of `block`; its step is 0 where the block is torn, of another filter, or none.
[[nodiscard]] FilterBlockHead open_filter_block(ConstBytes block, std::uint64_t seed) noexcept;
// Puts in what the filter does not have yet; of blocks in rising order of their numbers.
void restore_filter_block(DuplicateFilter& filter, const FilterBlockHead& head, ConstBytes block) noexcept;

}  // namespace weir::edge
