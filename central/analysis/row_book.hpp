// RowBook: what records of the journal gave, into the store: rows, how far edges have come, and the position, in one transaction.
//
// Thread    One at a time.
// Law       A transaction ends between two records.
#pragma once

#include <map>
#include <optional>
#include <utility>

#include "central/readmodel/result_store.hpp"

namespace weir::central {

// Of one record.
struct RecordRows {
    analytics::Results results{};
    Position position{};  // where the record ends
    WallNs arrival{};
    std::optional<std::pair<EdgeLane, EdgeProgress>> edge{};  // of a batch of events
    [[nodiscard]] std::size_t count() const {
        return results.windows.size() + results.patterns.size() + results.anomalies.size() + results.notices.size();
    }
    // There is an alert that somebody is to be told of.
    [[nodiscard]] bool is_news() const;
};

class RowBook {
  public:
    RowBook(ResultStore& store, std::uint64_t rows_max) : store_(store), rows_max_(rows_max) {}
    // Whose results come next; they stay until all of these are added.
    void use(const analytics::Definitions& definitions, std::uint64_t rows_max) {
        definitions_ = &definitions;
        rows_max_ = rows_max;
    }
    // A transaction, if there is none.
    [[nodiscard]] Status begin();
    [[nodiscard]] Status add(const RecordRows& record);
    // With the position of the last record; `position` where there was none.
    [[nodiscard]] Status commit(std::uint64_t position);
    [[nodiscard]] bool is_open() const { return is_open_; }
    [[nodiscard]] ResultStore& store() { return store_; }

  private:
    ResultStore& store_;
    const analytics::Definitions* definitions_ = nullptr;
    std::uint64_t rows_max_;
    std::map<EdgeLane, EdgeProgress> edges_;  // since the last commit
    bool is_open_ = false;
};

}  // namespace weir::central
