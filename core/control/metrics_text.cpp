// The seam of prometheus-cpp.
#include "core/control/metrics_text.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/base/assert.hpp"

namespace weir::control {
namespace {

// 1.024 us to 17.2 s: what the daemons' latencies are between, at 25 lines a histogram.
constexpr unsigned bucket_power_min = 10;
constexpr unsigned bucket_power_max = 34;
static_assert(bucket_power_min > Histogram::sub_bits && bucket_power_max < Histogram::value_bits);

double seconds_of(std::uint64_t ns) {
    return static_cast<double>(ns) / 1e9;
}

prometheus::ClientMetric metric_of(MetricLabels labels) {
    prometheus::ClientMetric metric;
    for (const auto& [name, value] : labels) metric.label.push_back({std::string(name), std::string(value)});
    return metric;
}

}  // namespace

struct MetricsText::Families {
    std::vector<prometheus::MetricFamily> all;

    void add(std::string_view name, std::string_view help, prometheus::MetricType type,
             prometheus::ClientMetric metric) {
        const auto found =
            std::find_if(all.begin(), all.end(), [&](const auto& family) { return family.name == name; });
        if (found != all.end()) {
            WEIR_ASSERT(found->type == type);
            found->metric.push_back(std::move(metric));
            return;
        }
        prometheus::MetricFamily& family = all.emplace_back();
        family.name = name;
        family.help = help;
        family.type = type;
        family.metric.push_back(std::move(metric));
    }
};

MetricsText::MetricsText() : families_(std::make_unique<Families>()) {}
MetricsText::~MetricsText() = default;

void MetricsText::counter(std::string_view name, std::string_view help, MetricLabels labels, std::uint64_t value) {
    WEIR_ASSERT(name.ends_with("_total"));
    auto metric = metric_of(labels);
    metric.counter.value = static_cast<double>(value);
    families_->add(name, help, prometheus::MetricType::Counter, std::move(metric));
}

void MetricsText::seconds_total(std::string_view name, std::string_view help, MetricLabels labels, std::uint64_t ns) {
    WEIR_ASSERT(name.ends_with("_seconds_total"));
    auto metric = metric_of(labels);
    metric.counter.value = seconds_of(ns);
    families_->add(name, help, prometheus::MetricType::Counter, std::move(metric));
}

void MetricsText::gauge(std::string_view name, std::string_view help, MetricLabels labels, double value) {
    auto metric = metric_of(labels);
    metric.gauge.value = value;
    families_->add(name, help, prometheus::MetricType::Gauge, std::move(metric));
}

void MetricsText::histogram(std::string_view name, std::string_view help, MetricLabels labels,
                            const Histogram& histogram) {
    auto metric = metric_of(labels);
    auto& out = metric.histogram;
    std::uint64_t count = 0;
    std::size_t index = 0;
    for (unsigned power = bucket_power_min; power <= bucket_power_max; ++power) {
        // Buckets of the histogram end at every power of two, so that these sums are exact.
        const std::size_t end = Histogram::index_of(1ULL << power);
        for (; index < end; ++index) count += histogram.bucket(index);
        out.bucket.push_back({count, seconds_of(1ULL << power)});
    }
    for (; index < Histogram::bucket_count; ++index) count += histogram.bucket(index);
    // The sum of the buckets, not count(): while the writer goes on, +Inf must not be less than a bucket before it.
    out.bucket.push_back({count, std::numeric_limits<double>::infinity()});
    out.sample_count = count;
    out.sample_sum = seconds_of(histogram.sum());
    families_->add(name, help, prometheus::MetricType::Histogram, std::move(metric));
    gauge(std::string(name) + "_max", std::string(help) + " (the largest)", labels, seconds_of(histogram.max()));
}

std::string MetricsText::text() const {
    return prometheus::TextSerializer().Serialize(families_->all);
}

}  // namespace weir::control
