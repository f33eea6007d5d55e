// RangeSet: which sequences were seen, as closed ranges; a stream without holes is one range, however long it is.
//
// Thread    One.
// Law       Ranges are disjoint, not empty, and never touch each other.
#pragma once

#include <map>
#include <vector>

#include "core/base/types.hpp"

namespace weir::central::audit {

struct Range {  // closed; empty when last < first
    Sequence first = 0;
    Sequence last = 0;
    [[nodiscard]] std::uint64_t count() const { return last < first ? 0 : last - first + 1; }
    bool operator==(const Range&) const = default;
};

class RangeSet {
  public:
    // What of it was in the set already, in order.
    std::vector<Range> add(Range range);
    // What of `within` is in the set, and what is not; in order.
    [[nodiscard]] std::vector<Range> common(Range within) const;
    [[nodiscard]] std::vector<Range> missing(Range within) const;
    [[nodiscard]] std::vector<Range> all() const { return common({1, UINT64_MAX}); }
    [[nodiscard]] bool is_empty() const { return ranges_.empty(); }
    [[nodiscard]] Sequence first() const { return ranges_.empty() ? 0 : ranges_.begin()->first; }
    [[nodiscard]] Sequence last() const { return ranges_.empty() ? 0 : ranges_.rbegin()->second; }
    [[nodiscard]] std::uint64_t count() const;

  private:
    std::map<Sequence, Sequence> ranges_;  // first -> last
};

[[nodiscard]] std::uint64_t count_of(const std::vector<Range>& ranges);

}  // namespace weir::central::audit
