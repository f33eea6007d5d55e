#include "central/audit/ranges.hpp"

#include <algorithm>

namespace weir::central::audit {

std::vector<Range> RangeSet::add(Range range) {
    if (range.count() == 0) return {};
    auto overlap = common(range);
    auto next = ranges_.upper_bound(range.first);
    if (next != ranges_.begin()) {
        const auto before = std::prev(next);
        if (before->second >= range.first - 1) {
            range.first = before->first;
            range.last = std::max(range.last, before->second);
            next = ranges_.erase(before);
        }
    }
    while (next != ranges_.end() && next->first - 1 <= range.last) {
        range.last = std::max(range.last, next->second);
        next = ranges_.erase(next);
    }
    ranges_.emplace(range.first, range.last);
    return overlap;
}

std::vector<Range> RangeSet::common(Range within) const {
    std::vector<Range> found;
    if (within.count() == 0) return found;
    auto at = ranges_.upper_bound(within.first);
    if (at != ranges_.begin() && std::prev(at)->second >= within.first) --at;
    for (; at != ranges_.end() && at->first <= within.last; ++at) {
        found.push_back({std::max(at->first, within.first), std::min(at->second, within.last)});
    }
    return found;
}

std::vector<Range> RangeSet::missing(Range within) const {
    std::vector<Range> found;
    Sequence next = within.first;
    for (const Range& range : common(within)) {
        if (range.first > next) found.push_back({next, range.first - 1});
        next = range.last + 1;
    }
    if (next <= within.last && within.count() > 0) found.push_back({next, within.last});
    return found;
}

std::uint64_t RangeSet::count() const {
    std::uint64_t count = 0;
    for (const auto& [first, last] : ranges_) count += last - first + 1;
    return count;
}

std::uint64_t count_of(const std::vector<Range>& ranges) {
    std::uint64_t count = 0;
    for (const Range& range : ranges) count += range.count();
    return count;
}

}  // namespace weir::central::audit
