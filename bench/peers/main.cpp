// weir-peer: the same events, schedule and percentiles as weir-bench load, sent to another product.
//
//   producer ─▶ product [─▶ product] ─▶ told that it is kept: latency, with one hop
//                                    └▶ consumer here ─▶ latency until an event has arrived at the last hop, with two
#include <poll.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>

#include "bench/event_mix.hpp"
#include "bench/latency_log.hpp"
#include "bench/peers/line.hpp"
#include "bench/peers/peer.hpp"
#include "bench/schedule.hpp"
#include "core/base/clock.hpp"
#include "core/wire/event.hpp"

namespace weir::peers {
namespace {

constexpr std::uint64_t puts_per_round = 512;
constexpr std::size_t unsent_bytes_max = 4U << 20;
constexpr std::uint64_t wait_ns_max = 200 * ns_per_us;
constexpr std::uint64_t silent_ns_max = 10 * ns_per_second;  // then what is missing is lost

struct PeerOptions {
    std::string product;
    std::string to;
    std::string from;  // of the consumer, at the last hop; empty: one hop
    std::string ca;    // of the product's certificates; empty: plain
    std::string rate = "max";
    std::string payload_bytes = "100";
    std::uint64_t events = 0;
    std::uint64_t warmup_events = 0;
};

std::unique_ptr<Peer> make_peer(const std::string& product, PeerRole role) {
    if (product == "nats") return make_nats(role);
    if (product == "mqtt") return make_mqtt(role);
    if (role == PeerRole::producer) return make_redis();
    fail("redis has one hop");
}

class PeerLoad {
  public:
    PeerLoad(const PeerOptions& options, bench::Schedule schedule, bench::EventMix mix)
        : options_(options),
          schedule_(std::move(schedule)),
          mix_(std::move(mix)),
          all_(options.events + options.warmup_events),
          due_(all_) {
        if (options.from.empty() && options.product == "mqtt") {  // ended at once: what it asked for is kept for it
            Line(options.to, make_mqtt(PeerRole::absentee), options.ca).await_ready();
        }
        producer_ = open(options.to, PeerRole::producer);
        if (!options.from.empty()) consumer_ = open(options.from, PeerRole::consumer);
    }
    void run();
    void print() const;

  private:
    [[nodiscard]] std::unique_ptr<Line> open(const std::string& address, PeerRole role) const {
        auto line = std::make_unique<Line>(address, make_peer(options_.product, role), options_.ca);
        line->await_ready();
        return line;
    }
    void put_due(MonotonicNs now);
    void wait_and_receive();
    void settle(std::uint64_t index, MonotonicNs now);
    void take_event(std::string_view event, MonotonicNs now);
    [[nodiscard]] std::uint64_t settled() const { return consumer_ ? arrived_ : kept_; }

    const PeerOptions& options_;
    bench::Schedule schedule_;
    bench::EventMix mix_;
    std::uint64_t all_;
    std::vector<MonotonicNs> due_;  // of each event; 0 once it is settled
    std::unique_ptr<Line> producer_;
    std::unique_ptr<Line> consumer_;
    std::uint64_t put_ = 0;
    std::uint64_t kept_ = 0;
    std::uint64_t arrived_ = 0;
    std::uint64_t repeated_ = 0;
    MonotonicNs start_{};
    MonotonicNs steady_since_{};
    MonotonicNs last_{};
    bench::LatencyLog latency_;
};

void PeerLoad::put_due(MonotonicNs now) {
    const WallNs wall = wall_now();
    for (std::uint64_t i = 0; i < puts_per_round && put_ < all_; ++i, ++put_) {
        if (put_ - kept_ >= producer_->peer().window() || producer_->unsent_bytes() > unsent_bytes_max) return;
        const MonotonicNs due = schedule_.is_open_loop() ? start_.plus_ns(schedule_.due_ns(put_)) : now;
        if (due > now) return;
        due_[put_] = due;
        if (put_ == options_.warmup_events) steady_since_ = due;
        producer_->peer().put(mix_.event(put_, wall), producer_->out());
    }
}

void PeerLoad::settle(std::uint64_t index, MonotonicNs now) {
    if (index >= options_.warmup_events) latency_.record(now.since(due_[index]), due_[index].since(steady_since_));
    due_[index] = MonotonicNs{};
    last_ = now;
}

// By the number at the end of its id.
void PeerLoad::take_event(std::string_view event, MonotonicNs now) {
    wire::EventView view;
    if (wire::verify_event(std::as_bytes(std::span(event)), view) != wire::Reason::none)
        fail("an event arrived changed");
    std::uint64_t index = 0;
    const std::string_view digits = view.id.substr(view.id.rfind('-') + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (index >= put_) fail("an event arrived that was not sent");
    if (due_[index] == MonotonicNs{}) {
        ++repeated_;
        return;
    }
    ++arrived_;
    settle(index, now);
}

void PeerLoad::wait_and_receive() {
    std::array<pollfd, 2> watched{producer_->watched(), pollfd{-1, 0, 0}};
    if (consumer_) watched[1] = consumer_->watched();
    std::uint64_t wait_ns = wait_ns_max;
    const bool has_room = put_ < all_ && put_ - kept_ < producer_->peer().window() && !producer_->has_unsent();
    if (has_room) {
        const MonotonicNs due = start_.plus_ns(schedule_.due_ns(put_));
        wait_ns = schedule_.is_open_loop() ? std::min(wait_ns, due.since(monotonic_now())) : 0;
    }
    if (producer_->has_plain() || (consumer_ && consumer_->has_plain())) wait_ns = 0;
    const timespec limit{0, static_cast<long>(wait_ns)};
    if (::ppoll(watched.data(), watched.size(), &limit, nullptr) < 0) return;
    const auto is_due = [&](std::size_t index, const Line& line) {
        return (watched[index].revents & (POLLIN | POLLHUP)) != 0 || line.has_plain();
    };
    const MonotonicNs now = monotonic_now();
    if (is_due(0, *producer_)) {
        producer_->receive_some([&](const PeerNews& news) {
            if (news.kind != PeerNews::Kind::kept) return;
            if (!consumer_) settle(kept_, now);
            ++kept_;
        });
    }
    if (consumer_ && is_due(1, *consumer_)) {
        consumer_->receive_some([&](const PeerNews& news) {
            if (news.kind == PeerNews::Kind::event) take_event(news.text, now);
        });
    }
}

void PeerLoad::run() {
    bench::wake_when_due();
    start_ = monotonic_now();
    last_ = start_;
    while (settled() < all_) {
        const MonotonicNs now = monotonic_now();
        put_due(now);
        producer_->send_some();
        if (consumer_) consumer_->send_some();
        wait_and_receive();
        if (put_ == all_ && now.since(last_) > silent_ns_max) break;
    }
}

void PeerLoad::print() const {
    const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1000.0; };
    const auto& log = latency_.all();
    const double seconds = static_cast<double>(last_.since(steady_since_)) / 1e9;
    std::printf(
        "{\"sent\":%llu,\"kept\":%llu,\"settled\":%llu,\"missing\":%llu,\"repeated\":%llu,\"seconds\":%.6f,\"events_"
        "per_second\":%.1f,",
        static_cast<unsigned long long>(put_), static_cast<unsigned long long>(kept_),
        static_cast<unsigned long long>(settled()), static_cast<unsigned long long>(all_ - settled()),
        static_cast<unsigned long long>(repeated_), seconds,
        seconds > 0 ? static_cast<double>(log.count()) / seconds : 0);
    std::printf("\"event_bytes\":%.1f,\"latency_us\":{", mix_.mean_bytes());
    for (const auto& one : bench::reported_shares) std::printf("\"%s\":%.1f,", one.key, us(log.percentile(one.share)));
    std::printf("\"max\":%.1f}}\n", us(log.greatest()));
}

}  // namespace
}  // namespace weir::peers

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app{"weir-peer: sends weir-bench's events to another product and measures in the same way"};
    weir::peers::PeerOptions options;
    app.add_option("product", options.product, "redis, nats or mqtt")
        ->required()
        ->check(CLI::IsMember({"redis", "nats", "mqtt"}));
    app.add_option("--to", options.to, "HOST:PORT of the product, or of its first hop")->required();
    app.add_option("--from", options.from, "HOST:PORT of its last hop: events count when they arrive there");
    app.add_option("--ca", options.ca, "CAs (PEM) of the product's certificates: speak TLS 1.3")
        ->check(CLI::ExistingFile);
    app.add_option("--rate", options.rate, "as weir-bench load has it")->required();
    app.add_option("--payload-bytes", options.payload_bytes, "the same");
    app.add_option("--events", options.events, "how many to measure")->required()->check(CLI::PositiveNumber);
    app.add_option("--warmup-events", options.warmup_events, "so many more, sent first and not measured");
    CLI11_PARSE(app, argc, argv);
    auto schedule = weir::bench::Schedule::parse(options.rate, 0, 0);
    if (!schedule) weir::peers::fail(schedule.error().what);
    auto mix = weir::bench::EventMix::make({.payload_bytes = options.payload_bytes});
    if (!mix) weir::peers::fail(mix.error().what);
    weir::peers::PeerLoad load(options, std::move(schedule.value()), std::move(mix.value()));
    load.run();
    load.print();
    return 0;
}
