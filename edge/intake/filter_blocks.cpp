#include "edge/intake/filter_blocks.hpp"

#include <algorithm>
#include <bit>

#include "core/base/crc32c.hpp"
#include "core/wire/frame.hpp"

namespace weir::edge {
namespace {

constexpr std::uint8_t no_entry = 255;
constexpr std::uint32_t age_max = no_entry - 1;

std::uint32_t crc_of(FilterBlockHead head, ConstBytes block, std::uint64_t seed) noexcept {
    head.crc = 0;
    const std::uint32_t of_seed = crc32c(0, std::as_bytes(std::span(&seed, 1)));
    return crc32c(crc32c(of_seed, std::as_bytes(std::span(&head, 1))), block.subspan(sizeof head));
}

// Steps lie on one grid for all blocks: what was rounded to it stays where it is when it is rounded again.
std::uint32_t step_of(std::uint32_t oldest, std::uint32_t newest) noexcept {
    std::uint32_t step = 1;
    while (step < FilterBlockHead::step_max && (round_up(newest, step) - oldest) / step > age_max) step *= 2;
    return step;
}

std::uint64_t entries_in(ConstBytes block) {
    return (block.size() - sizeof(FilterBlockHead)) / filter_entry_bytes;
}

}  // namespace

void seal_filter_block(const DuplicateFilter& filter, std::uint64_t number, Bytes into) noexcept {
    const std::uint64_t first = number * filter_block_entries;
    const std::uint64_t count = entries_in(into);
    std::uint32_t oldest = UINT32_MAX;
    std::uint32_t newest = 0;
    filter.for_each(first, count, [&](std::uint64_t, const FilterEntry* entry) {
        if (entry == nullptr) return;
        oldest = std::min(oldest, entry->seconds);
        newest = std::max(newest, entry->seconds);
    });
    const std::uint32_t step = oldest <= newest ? step_of(oldest, newest) : 1;
    const auto shift = static_cast<unsigned>(std::countr_zero(step));
    const std::uint64_t end = round_up(newest, step);
    filter.for_each(first, count, [&](std::uint64_t index, const FilterEntry* entry) {
        const Bytes at = into.subspan(filter_bytes_of(index - first), filter_entry_bytes);
        if (entry == nullptr) {
            std::fill(at.begin(), at.end(), std::byte{});
            at.back() = std::byte{no_entry};
            return;
        }
        wire::store(at, entry->high);
        wire::store(at.subspan(8), entry->low);
        at.back() = static_cast<std::byte>(std::min<std::uint64_t>((end - entry->seconds) >> shift, age_max));
    });
    FilterBlockHead head{.number_and_step = number << FilterBlockHead::step_bits | step, .seconds = newest};
    head.crc = crc_of(head, into, filter.options().seed);
    wire::store(into, head);
}

FilterBlockHead open_filter_block(ConstBytes block, std::uint64_t seed) noexcept {
    if (block.size() < sizeof(FilterBlockHead)) return {};
    const auto head = wire::load<FilterBlockHead>(block);
    return head.crc == crc_of(head, block, seed) ? head : FilterBlockHead{};
}

void restore_filter_block(DuplicateFilter& filter, const FilterBlockHead& head, ConstBytes block) noexcept {
    const std::uint64_t count = std::min(entries_in(block), filter_block_entries);
    const std::uint64_t end = round_up(head.seconds, head.step());
    for (std::uint64_t i = 0; i < count; ++i) {
        const ConstBytes at = block.subspan(filter_bytes_of(i), filter_entry_bytes);
        const auto age = std::to_integer<std::uint8_t>(at.back());
        if (age == no_entry) continue;
        const std::uint64_t ago = std::uint64_t{age} * head.step();
        const std::uint64_t then = std::min<std::uint64_t>(end - std::min(ago, end), head.seconds);
        const Fingerprint fingerprint{.high = wire::load<std::uint64_t>(at),
                                      .low = wire::load<std::uint64_t>(at.subspan(8))};
        (void)filter.restore(head.number() * filter_block_entries + i, fingerprint, static_cast<std::uint32_t>(then));
    }
}

}  // namespace weir::edge
