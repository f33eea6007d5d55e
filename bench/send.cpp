// weir-bench send: events of a file to an edge, until every one is answered.
#include <cstdio>
#include <optional>

#include "bench/commands.hpp"
#include "bench/ndjson.hpp"
#include "bench/pace.hpp"
#include "bench/report.hpp"
#include "core/base/clock.hpp"
#include "core/client/producer_client.hpp"

namespace weir::bench {
namespace {

constexpr std::uint64_t wait_ns = ns_per_ms;
constexpr int offers_per_pump = 512;

class Sender {
  public:
    Sender(const SendOptions& options, NdjsonReader reader)
        : options_(options),
          reader_(std::move(reader)),
          client_(
              {.to = options.to, .level = options.level, .producer = options.producer, .ca_file = options.ca_file}) {}
    int run();

  private:
    void offer_due(MonotonicNs now);
    [[nodiscard]] bool fetch();

    const SendOptions& options_;
    NdjsonReader reader_;
    client::ProducerClient client_;
    wire::EventBuilder builder_;
    std::optional<NdjsonLine> line_;  // read, not offered yet
    ConstBytes built_;
    bool is_at_end_ = false;
    std::uint64_t index_ = 0;
    std::uint64_t invalid_ = 0;
    std::optional<Pace> pace_;
};

// Reads up to the next event; false at the end of the file.
bool Sender::fetch() {
    while (!line_ && !is_at_end_) {
        line_ = reader_.next();
        if (!line_) {
            is_at_end_ = true;
        } else if (!line_->fault.empty()) {
            std::fprintf(stderr, "%s\n", line_->fault.c_str());
            ++invalid_;
            line_.reset();
        } else {
            if (options_.is_now) line_->event.time = wall_now();
            built_ = builder_.build(line_->event);
        }
    }
    return line_.has_value();
}

void Sender::offer_due(MonotonicNs now) {
    for (int i = 0; i < offers_per_pump && pace_->is_due(index_, now) && fetch(); ++i) {
        const std::uint64_t number = options_.producer.empty() ? 0 : index_ + 1;
        if (!client_.offer(built_, number, pace_->counted_from(index_, now), true)) return;
        line_.reset();
        ++index_;
    }
}

int Sender::run() {
    const MonotonicNs start = monotonic_now();
    pace_.emplace(options_.rate, start);
    Progress progress(0);
    MonotonicNs moved = start;
    std::uint64_t moved_acked = 0;
    for (;;) {
        const MonotonicNs now = monotonic_now();
        offer_due(now);
        if (is_at_end_ && !line_ && client_.unacked_count() == 0) break;
        if (const Status status = client_.pump(is_at_end_ || options_.rate > 0 ? wait_ns : wait_ns / 20); !status) {
            std::fprintf(stderr, "send: %s\n", status.error().what.c_str());
            return 1;
        }
        progress.show(client_.totals(), client_.rung(), now);
        if (client_.totals().acked != moved_acked) {
            moved_acked = client_.totals().acked;
            moved = now;
        }
        if (options_.timeout_s > 0 && now.since(moved) > options_.timeout_s * ns_per_second) {
            std::fprintf(stderr, "send: no ack for %llu s; %llu events are unacked\n",
                         static_cast<unsigned long long>(options_.timeout_s),
                         static_cast<unsigned long long>(client_.unacked_count()));
            return 1;
        }
    }
    progress.finish();
    Report report{client_.totals(), invalid_, static_cast<double>(monotonic_now().since(start)) / 1e9};
    print_report(report, client_.latency(), options_.as_json);
    return report.totals.rejected + invalid_ > 0 ? 1 : 0;
}

}  // namespace

int send_command(const SendOptions& options) {
    auto reader = NdjsonReader::open(options.ndjson);
    if (!reader) {
        std::fprintf(stderr, "send: %s\n", reader.error().what.c_str());
        return 1;
    }
    return Sender(options, std::move(reader.value())).run();
}

}  // namespace weir::bench
