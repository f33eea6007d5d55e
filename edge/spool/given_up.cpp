#include "edge/spool/given_up.hpp"

#include <algorithm>

namespace weir::edge {
namespace {

// Ranges as they are put together anew, in order.
class Gathered {
  public:
    void add(const GivenUp& one) {
        if (one.count == 0 || is_full_) return;
        GivenUp* before = count_ > 0 ? &ranges_[count_ - 1] : nullptr;
        const bool goes_on = before != nullptr && before->reason == one.reason &&
                             before->last_sequence() + 1 == one.first_sequence &&
                             one.count <= UINT32_MAX - before->count;
        if (goes_on) {
            before->count += one.count;
        } else if (count_ == given_up_max) {
            is_full_ = true;
        } else {
            ranges_[count_++] = one;
        }
    }
    [[nodiscard]] const GivenUpRanges& ranges() const { return ranges_; }
    [[nodiscard]] bool fits() const { return !is_full_; }

  private:
    GivenUpRanges ranges_{};
    std::size_t count_ = 0;
    bool is_full_ = false;
};

// They stand at the front.
std::size_t places_of(const GivenUpRanges& ranges) {
    const auto is_used = [](const GivenUp& one) { return one.count > 0; };
    return static_cast<std::size_t>(std::count_if(ranges.begin(), ranges.end(), is_used));
}

}  // namespace

std::uint64_t give_up_between(GivenUpRanges& ranges, Sequence first, Sequence last, std::uint32_t reason) {
    if (last < first || last - first >= UINT32_MAX) return 0;
    Gathered gathered;
    std::uint64_t events = 0;
    Sequence next = first;
    const auto add_before = [&](Sequence end) {
        if (next >= end) return;
        const auto count = static_cast<std::uint32_t>(end - next);
        gathered.add({.first_sequence = next, .count = count, .reason = reason});
        events += count;
    };
    for (const GivenUp& one : ranges) {
        if (one.count == 0) continue;
        add_before(std::min(one.first_sequence, last + 1));
        gathered.add(one);
        next = std::max(next, one.last_sequence() + 1);
    }
    add_before(last + 1);
    if (!gathered.fits()) return 0;
    ranges = gathered.ranges();
    return events;
}

Sequence first_kept(const GivenUpRanges& ranges, Sequence first) {
    for (const GivenUp& one : ranges) {
        if (one.count > 0 && one.first_sequence <= first) first = std::max(first, one.last_sequence() + 1);
    }
    return first;
}

TookAlong give_up_took_along(GivenUpRanges& ranges, Sequence first, Sequence last) {
    TookAlong along;
    GivenUpRanges own = ranges;
    along.events = give_up_between(own, first, last, wire::gap_not_kept);
    const bool has_place = along.events > 0 || first_kept(ranges, first) > last;
    if (has_place && places_of(own) + policy_places <= given_up_max) {
        ranges = own;
        return along;
    }
    Gathered gathered;
    TookAlong together;
    for (GivenUp one : ranges) {
        if (!one.is_settled()) {
            if (one.why() == wire::gap_shed) together.shed += one.count;
            if (one.why() == wire::gap_expired) together.expired += one.count;
            one.reason = one.count > 0 ? std::uint32_t{wire::gap_not_kept} : 0;
        }
        gathered.add(one);
    }
    GivenUpRanges less = gathered.ranges();
    together.events = give_up_between(less, first, last, wire::gap_not_kept);
    const bool fits = together.events > 0 || first_kept(less, first) > last;
    if (fits && (!has_place || places_of(less) < places_of(own))) {
        ranges = less;
        return together;
    }
    if (has_place) ranges = own;
    return along;
}

PolicyGaveUp give_up_by_policy(GivenUpRanges& ranges, Sequence first, Sequence last, std::uint32_t reason) {
    const std::size_t before = places_of(ranges);
    GivenUpRanges own = ranges;
    const std::uint64_t events = give_up_between(own, first, last, reason);
    const bool takes_last_place = events == 0 || (places_of(own) == given_up_max && before < given_up_max);
    const GivenUp newest = before > 0 ? ranges[before - 1] : GivenUp{};
    const bool is_alike = newest.why() != wire::gap_not_kept && newest.is_settled() == (reason >= given_up_settled);
    if (takes_last_place && before > 0 && is_alike) {
        GivenUpRanges longer = ranges;
        const std::uint64_t with_newest = give_up_between(longer, first, last, newest.reason);
        if (with_newest > 0 && places_of(longer) == before) {
            ranges = longer;
            return {with_newest, newest.why()};
        }
    }
    if (events > 0) ranges = own;
    return {events, static_cast<std::uint8_t>(reason)};
}

Arrived take_arrived(GivenUpRanges& ranges, Sequence at_central) {
    Arrived arrived;
    Gathered gathered;
    for (GivenUp one : ranges) {
        if (one.count > 0 && !one.is_settled()) {
            const Sequence there = std::clamp(at_central, one.first_sequence - 1, one.last_sequence());
            const auto events = static_cast<std::uint32_t>(there + 1 - one.first_sequence);
            std::uint64_t& of_reason = one.why() == wire::gap_shed      ? arrived.shed
                                       : one.why() == wire::gap_expired ? arrived.expired
                                                                        : arrived.not_kept;
            of_reason += events;
            one.first_sequence += events;
            one.count -= events;
        }
        gathered.add(one);
    }
    arrived.has_changed = gathered.ranges() != ranges;
    ranges = gathered.ranges();
    return arrived;
}

Arrived settle_doubt(GivenUpRanges& ranges, Sequence at_central) {
    const GivenUpRanges before = ranges;
    Arrived arrived = take_arrived(ranges, at_central);
    Gathered gathered;
    for (GivenUp one : ranges) {
        if (one.count > 0) one.reason |= given_up_settled;
        gathered.add(one);
    }
    ranges = gathered.ranges();
    arrived.has_changed = ranges != before;
    return arrived;
}

}  // namespace weir::edge
