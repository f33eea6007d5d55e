// HopReport: what an edge says of its latency hop by hop (edge/hops.hpp), beside what its producer measured from outside.
//
// The difference of two readings of /metrics: the run's own. What the producer measured and the edge did not is `outside`: from when an
// event was due to when its bytes were taken from the socket, and the ack's way back.
//
// Thread    The load's; a reading is made beside it, so that the schedule does not wait for an answer.
#pragma once

#include <future>
#include <optional>
#include <string>
#include <vector>

#include "core/control/metrics_reader.hpp"
#include "core/wire/control.hpp"

namespace weir::bench {

struct HopRow {
    std::string name;
    control::HopTimes times;
    bool is_part = true;  // of the whole that the ack level asks for
};

class HopReport {
  public:
    // `admin`: HOST:PORT of the edge's admin port; empty: nothing is asked, nothing said.
    HopReport(std::string admin, wire::AckLevel level);
    // The first reading begins, and the last one is made.
    void begin();
    void end();
    // Where hops can be told of: for people, and ",\"hops\":[...]" for a JSON object. What the producer measured from
    // outside is given.
    [[nodiscard]] std::string text(double producer_mean_us) const;
    [[nodiscard]] std::string json(double producer_mean_us) const;

  private:
    std::string admin_;
    wire::AckLevel level_;
    std::future<std::optional<control::Metrics>> first_;
    std::vector<HopRow> rows_;
    control::HopTimes whole_;
};

// The hops of two readings, in the order in which an event passes them.
[[nodiscard]] std::vector<HopRow> hop_rows(const control::Metrics& now, const control::Metrics* before,
                                           wire::AckLevel level);

}  // namespace weir::bench
