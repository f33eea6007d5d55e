// Aggregate: what is known of the events of one pane or session: it takes events, merges with others, and says its Values.
//
// Law       add and merge commute and associate (the top list as far as its own contract says).
// Cost      About 100 bytes; the sketch, the distinct count and the top list come on top where they are asked for.
#pragma once

#include <memory>
#include <vector>

#include "central/analytics/distinct_count.hpp"
#include "central/analytics/exact_sum.hpp"
#include "central/analytics/quantile_sketch.hpp"
#include "central/analytics/top_list.hpp"

namespace weir::analytics {

struct AggregateSpec {
    std::uint32_t decimals = decimals_default;  // of the measured value
    std::vector<std::uint32_t> percentiles;     // in hundred-thousandths; empty: no sketch
    bool has_distinct = false;
    std::uint32_t top_count = 0;  // 0: no top list
};

// What an operator needs of one event. Views live as long as the event.
struct Sample {
    std::optional<std::int64_t> measure;
    std::optional<std::uint64_t> distinct;  // hash_of the text to tell apart
    std::optional<std::string_view> top;
    bool is_redated = false;  // it counts at its arrival
};

struct Values {
    std::uint64_t count = 0;     // events
    std::uint64_t redated = 0;   // of these, events that count at their arrival
    std::uint64_t measured = 0;  // of these, events with a number; the rest says nothing when it is 0
    Int128 sum = 0;              // exact, in measures
    std::int64_t min = 0;
    std::int64_t max = 0;
    double mean = 0;  // in measures, as the following
    double deviation = 0;
    std::vector<double> percentiles;  // as asked for
    std::uint64_t collapsed = 0;      // values at the low end whose percentiles have no bound
    double distinct = 0;
    std::vector<TopEntry> top;
    bool operator==(const Values&) const = default;
};

class Aggregate {
  public:
    Aggregate() = default;
    explicit Aggregate(const AggregateSpec& spec);
    void add(const Sample& sample);
    void merge(const Aggregate& other);
    [[nodiscard]] std::uint64_t count() const { return count_; }
    [[nodiscard]] const ExactSum& sums() const { return sums_; }
    [[nodiscard]] Values values(const AggregateSpec& spec) const;
    void save(StateWriter& out) const;
    // An aggregate made with the same spec.
    void load(StateReader& in);

  private:
    std::uint64_t count_ = 0;
    std::uint64_t redated_ = 0;
    std::int64_t min_ = 0;
    std::int64_t max_ = 0;
    ExactSum sums_;
    std::unique_ptr<QuantileSketch> sketch_;
    std::unique_ptr<DistinctCount> distinct_;
    std::unique_ptr<TopList> top_;
};

}  // namespace weir::analytics
