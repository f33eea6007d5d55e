// What a run of weir-bench says at its end: one JSON object on stdout, or a few lines for people.
#pragma once

#include <cstdint>
#include <string>

#include "core/client/producer_client.hpp"

namespace weir::bench {

struct Report {
    client::ClientTotals totals;
    std::uint64_t invalid = 0;  // lines that were no event: offered and rejected by weir-bench itself
    double seconds = 0;
};
void print_report(const Report& report, const Histogram& latency, bool as_json);

// A bar on stderr, where that is a terminal; and a line there whenever the edge says that it does more or less of its work.
class Progress {
  public:
    explicit Progress(std::uint64_t total);
    void show(const client::ClientTotals& totals, wire::Rung rung, MonotonicNs now);
    void finish();

  private:
    bool is_terminal_;
    std::uint64_t total_;  // 0 = not known
    MonotonicNs shown_{};
    std::uint64_t shown_acked_ = 0;
    wire::Rung rung_ = wire::Rung::healthy;
};

}  // namespace weir::bench
