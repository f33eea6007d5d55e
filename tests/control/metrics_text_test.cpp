#include "core/control/metrics_text.hpp"

#include <gtest/gtest.h>

#include <memory>

#include "core/base/types.hpp"
#include "core/control/hops_text.hpp"

namespace weir::control {
namespace {

TEST(MetricsText, CountersAndGaugesOfOneNameAreOneFamily) {
    MetricsText metrics;
    metrics.counter("weir_edge_accepted_events_total", "Events accepted", {{"lane", "default"}}, 104'461);
    metrics.gauge("weir_edge_connected", "1 while central answers", {}, 1);
    metrics.counter("weir_edge_accepted_events_total", "Events accepted", {{"lane", "ur\"gent"}}, 0);
    EXPECT_EQ(metrics.text(),
              "# HELP weir_edge_accepted_events_total Events accepted\n"
              "# TYPE weir_edge_accepted_events_total counter\n"
              "weir_edge_accepted_events_total{lane=\"default\"} 104461\n"
              "weir_edge_accepted_events_total{lane=\"ur\\\"gent\"} 0\n"
              "# HELP weir_edge_connected 1 while central answers\n"
              "# TYPE weir_edge_connected gauge\n"
              "weir_edge_connected 1\n");
}

TEST(MetricsText, AHistogramHasBucketsAtPowersOfTwoACountASumAndAMaximum) {
    Histogram histogram;
    histogram.record(1'000);               // up to 1.024 us
    histogram.record(1'024);               // the next
    histogram.record(1'000'000, 2);        // up to 1.05 ms
    histogram.record(60 * ns_per_second);  // above all
    MetricsText metrics;
    metrics.histogram("weir_edge_append_seconds", "Append", {{"edge", "a"}}, histogram);
    const std::string text = metrics.text();
    const auto has = [&](const std::string& line) { return text.find(line + '\n') != std::string::npos; };
    EXPECT_TRUE(has("# TYPE weir_edge_append_seconds histogram")) << text;
    EXPECT_TRUE(has("weir_edge_append_seconds_count{edge=\"a\"} 5")) << text;
    EXPECT_TRUE(has("weir_edge_append_seconds_bucket{edge=\"a\",le=\"1.024e-06\"} 1")) << text;
    EXPECT_TRUE(has("weir_edge_append_seconds_bucket{edge=\"a\",le=\"2.048e-06\"} 2")) << text;
    EXPECT_TRUE(has("weir_edge_append_seconds_bucket{edge=\"a\",le=\"0.001048576\"} 4")) << text;
    EXPECT_TRUE(has("weir_edge_append_seconds_bucket{edge=\"a\",le=\"17.179869184\"} 4")) << text;
    EXPECT_TRUE(has("weir_edge_append_seconds_bucket{edge=\"a\",le=\"+Inf\"} 5")) << text;
    EXPECT_TRUE(has("weir_edge_append_seconds_max{edge=\"a\"} 60")) << text;
    // +Inf stands once.
    EXPECT_EQ(text.find("+Inf"), text.rfind("+Inf")) << text;
}

TEST(MetricsText, NothingIsAnEmptyText) {
    EXPECT_EQ(MetricsText().text(), "");
}

TEST(HopsText, IsAListOfHopsWithTheWholesLast) {
    const auto judged = std::make_unique<Histogram>();
    const auto whole = std::make_unique<Histogram>();
    judged->record(1'000, 3);
    judged->record(5'000);
    const Hop hops[] = {{"judged", "received", *judged}, {"ack", "received", *whole, true}};
    EXPECT_EQ(hops_json(hops),
              R"([{"hop":"judged","from":"received","to":"judged","whole":false,"count":4,"sum_us":8.000,)"
              R"("mean_us":2.000,"p50_us":1.023,"p99_us":5.000,"max_us":5.000},)"
              R"({"hop":"ack","from":"received","to":"ack","whole":true,"count":0,"sum_us":0.000,)"
              R"("mean_us":0.000,"p50_us":0.000,"p99_us":0.000,"max_us":0.000}])"
              "\n");
    MetricsText text;
    append_hops(text, "weir_edge_hop_seconds", hops);
    EXPECT_NE(text.text().find("weir_edge_hop_seconds_count{hop=\"judged\"} 4"), std::string::npos) << text.text();
    EXPECT_EQ(text.text().find("hop=\"ack\""), std::string::npos) << "a whole is no part";
}

}  // namespace
}  // namespace weir::control
