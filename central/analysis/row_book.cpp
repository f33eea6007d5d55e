#include "central/analysis/row_book.hpp"

#include <algorithm>

namespace weir::central {

bool RecordRows::is_news() const {
    return std::any_of(results.notices.begin(), results.notices.end(),
                       [](const analytics::Notice& notice) { return notice.fate == analytics::Fate::told; });
}

Status RowBook::begin() {
    if (is_open_) return Done{};
    is_open_ = true;
    return store_.begin();
}

Status RowBook::add(const RecordRows& record) {
    if (auto begun = begin(); !begun) return begun;
    if (record.edge) edges_[record.edge->first] = record.edge->second;
    return store_.add(*definitions_, record.results, record.position, record.arrival);
}

Status RowBook::commit(std::uint64_t position) {
    if (!is_open_) return Done{};
    if (auto pruned = store_.prune(rows_max_); !pruned) return pruned;
    if (auto set = store_.set_cursor("analytics", position); !set) return set;
    if (auto set = store_.set_edges(edges_); !set) return set;
    edges_.clear();
    is_open_ = false;
    return store_.commit();
}

}  // namespace weir::central
