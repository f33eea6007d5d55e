#include "edge/intake/filter_blocks.hpp"

#include <algorithm>

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
    const std::uint32_t span = newest > oldest ? newest - oldest : 0;
    const std::uint32_t step = std::clamp((span + age_max - 1) / age_max, 1U, FilterBlockHead::step_max);
    filter.for_each(first, count, [&](std::uint64_t index, const FilterEntry* entry) {
        const Bytes at = into.subspan(filter_block_bytes(index - first), filter_entry_bytes);
        if (entry == nullptr) {
            std::fill(at.begin(), at.end(), std::byte{});
            at.back() = std::byte{no_entry};
            return;
        }
        wire::store(at, entry->high);
        wire::store(at.subspan(8), entry->low);
        const std::uint32_t seconds_ago = newest - entry->seconds;
        // Nearly always 1: no division for each.
        at.back() = static_cast<std::byte>(std::min(step == 1 ? seconds_ago : seconds_ago / step, age_max));
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
    for (std::uint64_t i = 0; i < count; ++i) {
        const ConstBytes at = block.subspan(filter_block_bytes(i), filter_entry_bytes);
        const auto age = std::to_integer<std::uint8_t>(at.back());
        if (age == no_entry) continue;
        const std::uint64_t seconds_ago = std::uint64_t{age} * head.step();
        const Fingerprint fingerprint{.high = wire::load<std::uint64_t>(at),
                                      .low = wire::load<std::uint64_t>(at.subspan(8))};
        const auto seconds =
            static_cast<std::uint32_t>(head.seconds - std::min<std::uint64_t>(seconds_ago, head.seconds));
        (void)filter.restore(head.number() * filter_block_entries + i, fingerprint, seconds);
    }
}

}  // namespace weir::edge
