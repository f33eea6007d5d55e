// weir-peer: the same events, schedule and percentiles as weir-bench load, sent to another product.
//
//   producer ─▶ product [─▶ product] ─▶ told that it is kept: latency, with one hop
//                                    └▶ consumer here ─▶ latency until an event has arrived at the last hop, with two
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "bench/event_mix.hpp"
#include "bench/latency_log.hpp"
#include "bench/peers/peer.hpp"
#include "bench/schedule.hpp"
#include "core/base/clock.hpp"
#include "core/io/address.hpp"
#include "core/wire/event.hpp"

namespace weir::peers {
namespace {

constexpr std::uint64_t puts_per_round = 512;
constexpr std::size_t receive_bytes = 1U << 20;
constexpr std::size_t unsent_bytes_max = 4U << 20;
constexpr int connect_ms_max = 5'000;
constexpr std::uint64_t wait_ns_max = 200 * ns_per_us;
constexpr std::uint64_t silent_ns_max = 10 * ns_per_second;  // then what is missing is lost

struct PeerOptions {
    std::string product;
    std::string to;
    std::string from;  // of the consumer, at the last hop; empty: one hop
    std::string rate = "max";
    std::string payload_bytes = "100";
    std::uint64_t events = 0;
    std::uint64_t warmup_events = 0;
};

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "weir-peer: %s\n", what.c_str());
    std::exit(1);
}

class Line {
  public:
    Line(const std::string& address, std::unique_ptr<Peer> peer) : peer_(std::move(peer)), room_(receive_bytes) {
        const auto parsed = io::parse_address(address);
        if (!parsed) fail(parsed.error().what);
        fd_ = ::socket(parsed.value().family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd_ < 0 || ::connect(fd_, parsed.value().get(), parsed.value().bytes) != 0)
            fail("connect " + address + ": " + std::strerror(errno));
        const int on = 1;
        ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ::fcntl(fd_, F_SETFL, O_NONBLOCK);
        peer_->begin(out_);
    }
    ~Line() { ::close(fd_); }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    [[nodiscard]] Peer& peer() { return *peer_; }
    [[nodiscard]] std::string& out() { return out_; }
    [[nodiscard]] bool has_unsent() const { return sent_ < out_.size(); }
    [[nodiscard]] std::size_t unsent_bytes() const { return out_.size() - sent_; }
    [[nodiscard]] pollfd watched() const { return {fd_, static_cast<short>(POLLIN | (has_unsent() ? POLLOUT : 0)), 0}; }
    void send_some() {
        while (has_unsent()) {
            const ssize_t count = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
            if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
            if (count < 0) fail(std::string("send: ") + std::strerror(errno));
            sent_ += static_cast<std::size_t>(count);
        }
        out_.clear();
        sent_ = 0;
    }
    // Calls `tell` for each piece of news.
    template <class Tell>
    void receive_some(const Tell& tell) {
        const ssize_t count = ::recv(fd_, room_.data() + held_, room_.size() - held_, 0);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (count <= 0) fail("the product closed the connection");
        held_ += static_cast<std::size_t>(count);
        std::string_view rest(room_.data(), held_);
        while (!rest.empty()) {
            PeerNews news;
            const std::size_t bytes = peer_->take(rest, out_, news);
            if (bytes == 0) break;
            if (news.kind == PeerNews::Kind::fault) fail("the product said: " + std::string(news.text));
            if (news.kind != PeerNews::Kind::nothing) tell(news);
            rest.remove_prefix(bytes);
        }
        std::memmove(room_.data(), rest.data(), rest.size());
        held_ = rest.size();
    }

  private:
    std::unique_ptr<Peer> peer_;
    int fd_ = -1;
    std::string out_;
    std::size_t sent_ = 0;
    std::vector<char> room_;
    std::size_t held_ = 0;
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
        producer_ = std::make_unique<Line>(options.to, make_peer(options.product, PeerRole::producer));
        await_ready(*producer_);
        if (options.from.empty()) return;
        consumer_ = std::make_unique<Line>(options.from, make_peer(options.product, PeerRole::consumer));
        await_ready(*consumer_);
    }
    void run();
    void print() const;

  private:
    static void await_ready(Line& line) {
        bool is_ready = false;
        const MonotonicNs begun = monotonic_now();
        while (!is_ready) {
            line.send_some();
            pollfd watched = line.watched();
            ::poll(&watched, 1, 100);
            if ((watched.revents & POLLIN) != 0)
                line.receive_some([&](const PeerNews& news) { is_ready |= news.kind == PeerNews::Kind::ready; });
            if (monotonic_now().since(begun) > connect_ms_max * ns_per_ms) fail("the product is not ready");
        }
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
    const timespec limit{0, static_cast<long>(wait_ns)};
    if (::ppoll(watched.data(), watched.size(), &limit, nullptr) <= 0) return;
    const MonotonicNs now = monotonic_now();
    if ((watched[0].revents & (POLLIN | POLLHUP)) != 0) {
        producer_->receive_some([&](const PeerNews& news) {
            if (news.kind != PeerNews::Kind::kept) return;
            if (!consumer_) settle(kept_, now);
            ++kept_;
        });
    }
    if (consumer_ && (watched[1].revents & (POLLIN | POLLHUP)) != 0) {
        consumer_->receive_some([&](const PeerNews& news) {
            if (news.kind == PeerNews::Kind::event) take_event(news.text, now);
        });
    }
}

void PeerLoad::run() {
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
