#include "central/analytics/aggregate.hpp"

#include <algorithm>

namespace weir::analytics {

Aggregate::Aggregate(const AggregateSpec& spec) {
    if (!spec.percentiles.empty()) sketch_ = std::make_unique<QuantileSketch>();
    if (spec.has_distinct) distinct_ = std::make_unique<DistinctCount>();
    if (spec.top_count > 0) top_ = std::make_unique<TopList>();
}

void Aggregate::add(const Sample& sample) {
    ++count_;
    redated_ += sample.is_redated ? 1 : 0;
    if (sample.measure) {
        const std::int64_t measure = *sample.measure;
        min_ = sums_.count() == 0 ? measure : std::min(min_, measure);
        max_ = sums_.count() == 0 ? measure : std::max(max_, measure);
        sums_.add(measure);
        if (sketch_) sketch_->add(measure);
    }
    if (distinct_ && sample.distinct) distinct_->add(*sample.distinct);
    if (top_ && sample.top) top_->add(*sample.top);
}

void Aggregate::merge(const Aggregate& other) {
    count_ += other.count_;
    redated_ += other.redated_;
    if (other.sums_.count() > 0) {
        min_ = sums_.count() == 0 ? other.min_ : std::min(min_, other.min_);
        max_ = sums_.count() == 0 ? other.max_ : std::max(max_, other.max_);
        sums_.merge(other.sums_);
    }
    if (sketch_) sketch_->merge(*other.sketch_);
    if (distinct_) distinct_->merge(*other.distinct_);
    if (top_) top_->merge(*other.top_);
}

Values Aggregate::values(const AggregateSpec& spec) const {
    Values made;
    made.count = count_;
    made.redated = redated_;
    made.measured = sums_.count();
    made.sum = sums_.sum();
    made.min = min_;
    made.max = max_;
    made.mean = sums_.mean();
    made.deviation = sums_.deviation();
    if (sketch_) {
        // What is known exactly bounds what is known nearly.
        for (const std::uint32_t percentile : spec.percentiles) {
            made.percentiles.push_back(
                std::clamp(sketch_->at(percentile), static_cast<double>(min_), static_cast<double>(max_)));
        }
        made.collapsed = sketch_->collapsed();
    }
    if (distinct_) made.distinct = distinct_->estimate();
    if (top_) made.top = top_->first(spec.top_count);
    return made;
}

void Aggregate::save(StateWriter& out) const {
    out.put(count_);
    out.put(redated_);
    out.put(min_);
    out.put(max_);
    sums_.save(out);
    if (sketch_) sketch_->save(out);
    if (distinct_) distinct_->save(out);
    if (top_) top_->save(out);
}

void Aggregate::load(StateReader& in) {
    count_ = in.get<std::uint64_t>();
    redated_ = in.get<std::uint64_t>();
    min_ = in.get<std::int64_t>();
    max_ = in.get<std::int64_t>();
    sums_.load(in);
    in.require(sums_.count() <= count_ && redated_ <= count_);
    if (sketch_) sketch_->load(in);
    if (sketch_) in.require(sketch_->count() == sums_.count());
    if (distinct_) distinct_->load(in);
    if (top_) top_->load(in);
}

}  // namespace weir::analytics
