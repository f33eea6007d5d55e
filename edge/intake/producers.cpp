#include "edge/intake/producers.hpp"

#include <algorithm>

#include "core/wire/replay.hpp"

namespace weir::edge {
namespace {

struct StoredSlot {
    std::array<char, wire::producer_name_bytes_max> name{};
    std::uint64_t last_number = 0;
    std::uint64_t ranges = 0;  // pairs of u64 that follow
};
static_assert(sizeof(StoredSlot) == 80);

template <class T>
void append(std::vector<std::byte>& out, const T& value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

}  // namespace

std::optional<std::uint32_t> Producers::find(std::string_view name) const noexcept {
    for (std::uint32_t slot = 0; slot < count(); ++slot) {
        if (this->name(slot) == name) return slot;
    }
    return std::nullopt;
}

std::optional<std::uint32_t> Producers::add(std::string_view name) noexcept {
    if (slots_.size() == slots_.capacity()) return std::nullopt;
    Slot& slot = slots_.emplace_back();
    slot.name = wire::name_field<wire::producer_name_bytes_max>(name);
    slot.is_replay = wire::is_replay_name(name);
    if (slot.is_replay) std::swap(slot.above, replay_ranges_);
    return count() - 1;
}

void Producers::absorb(Slot& slot) noexcept {
    while (slot.above_head < slot.above.size() && slot.above[slot.above_head].first <= slot.last_number + 1) {
        slot.last_number = std::max(slot.last_number, slot.above[slot.above_head].last);
        ++slot.above_head;
    }
}

NumberVerdict Producers::take(std::uint32_t slot_index, std::uint64_t number) noexcept {
    Slot& slot = slots_[slot_index];
    const bool is_behind_hole =
        number > slot.last_number + 1 && slot.above_head < slot.above.size() && number <= slot.above.back().last + 1;
    // Whoever has no answer for a number sends it again before it goes on. So what this one leaves out was answered: its
    // record was damaged since, or it was rejected.
    if (is_behind_hole) {
        slot.last_number = number - 1;
        absorb(slot);
    }
    if (number <= slot.last_number) return NumberVerdict::duplicate;
    if (number != slot.last_number + 1) return NumberVerdict::gap;
    slot.last_number = number;
    absorb(slot);
    return NumberVerdict::fresh;
}

void Producers::leave_out_before(std::uint32_t slot_index, std::uint64_t number) noexcept {
    Slot& slot = slots_[slot_index];
    slot.last_number = std::max(slot.last_number, number - 1);
    absorb(slot);
}

void Producers::recover(std::uint32_t slot_index, std::uint64_t number) {
    if (slot_index >= slots_.size()) return;
    slots_[slot_index].is_recovered = true;
    (void)insert(slots_[slot_index], number, ranges_above_max);
}

void Producers::end_recovery() noexcept {
    for (Slot& slot : slots_) {
        const bool has_above = slot.above_head < slot.above.size();
        slot.known_before = has_above ? std::max(slot.last_number, slot.above.back().last) : slot.last_number;
    }
}

bool Producers::is_taken(std::uint32_t slot_index, std::uint64_t number) const noexcept {
    const Slot& slot = slots_[slot_index];
    if (number <= slot.last_number) return true;
    const auto next =
        std::lower_bound(slot.above.begin() + static_cast<std::ptrdiff_t>(slot.above_head), slot.above.end(), number,
                         [](const Range& range, std::uint64_t value) { return range.last < value; });
    return next != slot.above.end() && next->first <= number;
}

ReplayVerdict Producers::take_replayed(std::uint32_t slot_index, std::uint64_t number) noexcept {
    return insert(slots_[slot_index], number, replay_ranges_max) ? ReplayVerdict::fresh : ReplayVerdict::no_room;
}

bool Producers::insert(Slot& slot, std::uint64_t number, std::size_t ranges_max) {
    if (number <= slot.last_number) return true;
    slot.above.erase(slot.above.begin(), slot.above.begin() + static_cast<std::ptrdiff_t>(slot.above_head));
    slot.above_head = 0;
    if (number == slot.last_number + 1) {
        slot.last_number = number;
        absorb(slot);
        return true;
    }
    auto next = std::lower_bound(slot.above.begin(), slot.above.end(), number,
                                 [](const Range& range, std::uint64_t value) { return range.last < value; });
    if (next != slot.above.end() && next->first <= number) return true;
    const bool joins_next = next != slot.above.end() && next->first == number + 1;
    const bool joins_before = next != slot.above.begin() && std::prev(next)->last == number - 1;
    if (joins_before && joins_next) {
        std::prev(next)->last = next->last;
        slot.above.erase(next);
    } else if (joins_before) {
        std::prev(next)->last = number;
    } else if (joins_next) {
        next->first = number;
    } else if (slot.above.size() < ranges_max) {
        slot.above.insert(next, {number, number});
    } else {
        return false;
    }
    return true;
}

std::size_t Producers::encoded_bytes() const noexcept {
    std::size_t bytes = 0;
    for (const Slot& slot : slots_) {
        bytes += sizeof(StoredSlot) + (slot.above.size() - slot.above_head) * sizeof(Range);
    }
    return bytes;
}

void Producers::encode(std::vector<std::byte>& out) const {
    for (const Slot& slot : slots_) {
        append(out, StoredSlot{slot.name, slot.last_number, slot.above.size() - slot.above_head});
        for (std::size_t at = slot.above_head; at < slot.above.size(); ++at) append(out, slot.above[at]);
    }
}

bool Producers::decode(ConstBytes bytes) {
    std::vector<Slot> read;
    while (!bytes.empty()) {
        if (bytes.size() < sizeof(StoredSlot)) return false;
        const auto stored = wire::load<StoredSlot>(bytes);
        bytes = bytes.subspan(sizeof stored);
        if (stored.ranges > bytes.size() / sizeof(Range)) return false;
        Slot& slot = read.emplace_back();
        slot.name = stored.name;
        slot.last_number = stored.last_number;
        slot.is_replay = wire::is_replay_name(wire::name_of(slot.name));
        slot.is_recovered = true;
        slot.above.reserve(slot.is_replay ? std::max<std::size_t>(replay_ranges_max, stored.ranges) : 0);
        std::uint64_t below = slot.last_number;
        for (std::uint64_t i = 0; i < stored.ranges; ++i, bytes = bytes.subspan(sizeof(Range))) {
            const Range range = slot.above.emplace_back(wire::load<Range>(bytes));
            // In order and with a hole before each, or a number in one could be taken again.
            if (below == UINT64_MAX || range.first <= below + 1 || range.last < range.first) return false;
            below = range.last;
        }
    }
    // Slots are kept even where the configuration now allows fewer: their tags are in the spool.
    slots_.reserve(std::max(slots_.capacity(), read.size()));
    slots_.assign(std::make_move_iterator(read.begin()), std::make_move_iterator(read.end()));
    return true;
}

}  // namespace weir::edge
