#include "bench/transit.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/base/clock.hpp"
#include "core/io/address.hpp"

namespace weir::bench {
namespace {

constexpr std::size_t receive_bytes = 256U << 10;
constexpr std::uint64_t credit_bytes = 1ULL << 50;
constexpr std::uint64_t sent_max = 65'536;  // that have not come out: as many as one connection may have unacked

Error broken(std::string what) {
    return Error{0, std::move(what)};
}

Error no_frame(wire::SplitFault fault) {
    return broken("the edge said what is no frame: " + std::string(wire::text(fault)));
}

template <class Body>
ConstBytes bytes_of(const Body& body) {
    return std::as_bytes(std::span(&body, 1));
}

void append_frame(std::vector<std::byte>& out, wire::FrameKind kind, ConstBytes body, std::uint64_t number = 0) {
    const std::size_t at = out.size();
    const auto body_bytes = static_cast<std::uint32_t>(body.size());
    out.resize(at + wire::frame_bytes(body_bytes));
    const Bytes frame = Bytes(out).subspan(at);
    wire::store(frame, wire::FrameHeader{.body_bytes = body_bytes, .kind = kind, .number = number});
    std::copy(body.begin(), body.end(), frame.begin() + sizeof(wire::FrameHeader));
}

// The producer's side: one connection, level received, within the edge's credit.
class TransitProducer {
  public:
    explicit TransitProducer(std::uint32_t payload_bytes)
        : event_("transit", "weir-bench", static_cast<std::uint32_t>(monotonic_now().value), payload_bytes) {}

    [[nodiscard]] Status connect(const std::string& to) {
        const auto address = io::parse_address(to);
        if (!address) return address.error();
        auto opened = io::open_socket(address.value());
        if (!opened) return opened.error();
        socket_ = PolledSocket(opened.value());
        if (::connect(opened.value(), address.value().get(), address.value().bytes) != 0 && errno != EINPROGRESS) {
            return error_from_errno(errno, "connect " + to);
        }
        wire::ProducerHello hello;
        hello.level = wire::AckLevel::received;
        append_frame(says_, wire::FrameKind::producer_hello, bytes_of(hello));
        return Done{};
    }
    [[nodiscard]] Status poll() {
        if (!says_.empty()) {
            // Until the connection is made nothing goes.
            if (!socket_.send(says_)) return broken("the edge ended the producer's connection");
            says_.clear();
        }
        if (!socket_.flush()) return broken("the edge ended the producer's connection");
        bool is_over = false;
        ConstBytes bytes = socket_.receive(is_over);
        if (is_over) return broken("the edge ended the producer's connection");
        auto fault = wire::SplitFault::none;
        while (!bytes.empty() && fault == wire::SplitFault::none) {
            const auto take = [this](const wire::FrameHeader& header, ConstBytes frame) {
                take_frame(header, frame.subspan(sizeof header, header.body_bytes));
                return true;
            };
            bytes = bytes.subspan(splitter_.split(bytes, UINT32_MAX, take, fault));
        }
        if (fault != wire::SplitFault::none) return no_frame(fault);
        return refusal_.empty() ? Status(Done{}) : Status(broken(refusal_));
    }
    [[nodiscard]] bool may_send() const { return sent_ < credit_; }
    [[nodiscard]] bool send_one(WallNs wall) {
        frame_.clear();
        append_frame(frame_, wire::FrameKind::event, event_.stamp(sent_++, wall));
        return socket_.send(frame_);
    }
    [[nodiscard]] std::uint64_t sent() const { return sent_; }
    [[nodiscard]] std::uint64_t not_taken() const { return not_taken_; }

  private:
    void take_frame(const wire::FrameHeader& header, ConstBytes body) {
        if (header.kind == wire::FrameKind::producer_welcome && body.size() >= sizeof(wire::ProducerWelcome)) {
            credit_ = wire::load<wire::ProducerWelcome>(body).credit_events;
        } else if (header.kind == wire::FrameKind::refusal && body.size() >= sizeof(wire::Refusal)) {
            refusal_ =
                "the edge refused the producer: " + std::string(wire::name_of(wire::load<wire::Refusal>(body).detail));
        } else if (header.kind == wire::FrameKind::producer_ack && body.size() >= sizeof(wire::ProducerAckHead)) {
            const auto head = wire::load<wire::ProducerAckHead>(body);
            credit_ = std::max(credit_, head.credit_events);
            for (std::uint32_t i = 0; i < head.ranges; ++i) {
                const auto range = wire::load<wire::AckRange>(body.subspan(sizeof head + i * sizeof(wire::AckRange)));
                if (range.status != wire::AckStatus::accepted) not_taken_ += range.count;
            }
        }
    }

    EventTemplate event_;
    PolledSocket socket_;
    std::vector<std::byte> says_;
    std::vector<std::byte> frame_;
    std::uint64_t credit_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t not_taken_ = 0;
    std::string refusal_;
    wire::CarryPool pool_{1, wire::frame_body_bytes_max};
    wire::FrameSplitter splitter_{pool_};
};

}  // namespace

PolledSocket::~PolledSocket() {
    if (descriptor_ >= 0) ::close(descriptor_);
}
PolledSocket::PolledSocket(PolledSocket&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      unsent_(std::move(other.unsent_)),
      room_(std::move(other.room_)) {}
PolledSocket& PolledSocket::operator=(PolledSocket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    unsent_.swap(other.unsent_);
    room_.swap(other.room_);
    return *this;
}

bool PolledSocket::send(ConstBytes bytes) {
    if (unsent_.empty()) {
        const ssize_t count = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN && errno != ENOTCONN) return false;
        if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
    return true;
}

bool PolledSocket::flush() {
    if (unsent_.empty()) return true;
    const std::vector<std::byte> bytes = std::exchange(unsent_, {});
    return send(bytes);
}

ConstBytes PolledSocket::receive(bool& is_over) {
    if (room_.empty()) room_.resize(receive_bytes);
    const ssize_t count = ::recv(descriptor_, room_.data(), room_.size(), MSG_DONTWAIT);
    is_over = count == 0 || (count < 0 && errno != EAGAIN && errno != ENOTCONN);
    return {room_.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
}

Status StandInCentral::listen(const std::string& address) {
    auto opened = io::open_listener(address);
    if (!opened) return opened.error();
    listener_ = PolledSocket(opened.value());
    return Done{};
}

Status StandInCentral::accept() {
    const int descriptor = ::accept4(listener_.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) return errno == EAGAIN ? Status(Done{}) : Status(error_from_errno(errno, "accept"));
    io::tune_connection(descriptor);
    edge_ = PolledSocket(descriptor);
    return Done{};
}

// Whatever the edge has had acked before, this central says that it has.
Status StandInCentral::take_hello(ConstBytes body) {
    if (body.size() < sizeof(wire::EdgeHello)) return broken("the edge's hello is cut");
    const auto hello = wire::load<wire::EdgeHello>(body);
    if (body.size() != sizeof hello + hello.lanes * sizeof(wire::LaneOffer)) return broken("the edge's hello is cut");
    std::vector<std::byte> welcome(sizeof(wire::EdgeWelcome) + hello.lanes * sizeof(wire::LanePosition));
    wire::store(Bytes(welcome), wire::EdgeWelcome{.credit_bytes = credit_bytes, .lanes = hello.lanes, .identity = 0});
    for (std::uint32_t i = 0; i < hello.lanes; ++i) {
        const auto offer = wire::load<wire::LaneOffer>(body.subspan(sizeof hello + i * sizeof(wire::LaneOffer)));
        wire::store(Bytes(welcome).subspan(sizeof(wire::EdgeWelcome) + i * sizeof(wire::LanePosition)),
                    wire::LanePosition{.lane = offer.lane, .part = offer.part, .last_sequence = offer.last_sequence});
    }
    say(wire::FrameKind::edge_welcome, welcome);
    // Where this process or the edge had no processor for a while, the next batch is as large as it may be.
    splitter_.set_body_bytes_max(wire::frame_body_bytes_max);
    is_greeted_ = true;
    return Done{};
}

void StandInCentral::say(wire::FrameKind kind, ConstBytes body, std::uint64_t number) {
    append_frame(says_, kind, body, number);
}

template <class Out>
Status StandInCentral::poll(Out&& out) {
    if (!edge_.is_open()) return accept();
    bool is_over = false;
    ConstBytes bytes = edge_.receive(is_over);
    if (is_over) return broken("the edge ended its session");
    auto fault = wire::SplitFault::none;
    Status said = Done{};
    const auto take = [&](const wire::FrameHeader& header, ConstBytes frame) {
        const ConstBytes body = frame.subspan(sizeof header, header.body_bytes);
        if (header.kind == wire::FrameKind::edge_hello) said = take_hello(body);
        if (header.kind == wire::FrameKind::ping) say(wire::FrameKind::pong, {}, header.number);
        if (header.kind != wire::FrameKind::batch) return said.ok();
        wire::BatchHeader batch;
        if (const auto wrong = wire::check_batch(body, batch); wrong != wire::BatchFault::none) {
            said = broken("a batch is not whole: " + std::string(wire::text(wrong)));
            return false;
        }
        if (batch.kind == wire::BatchKind::events && batch.lane != dead_letter_lane) {
            out(batch.first_sequence, batch.last_sequence());
        }
        const wire::EdgeAck ack{.lane = batch.lane, .part = batch.part, .last_sequence = batch.last_sequence()};
        say(wire::FrameKind::edge_ack, bytes_of(ack));
        return true;
    };
    while (!bytes.empty() && said.ok() && fault == wire::SplitFault::none) {
        bytes = bytes.subspan(splitter_.split(bytes, UINT32_MAX, take, fault));
    }
    if (!said) return said;
    if (fault != wire::SplitFault::none) return no_frame(fault);
    const bool is_said = says_.empty() || edge_.send(says_);
    says_.clear();
    return is_said && edge_.flush() ? Status(Done{}) : Status(broken("the edge ended its session"));
}

namespace {

// What was due when, of events that have not come out; they come out in the order in which they were sent.
class TransitRun {
  public:
    explicit TransitRun(const TransitOptions& options) : options_(options), producer_(options.payload_bytes) {}

    [[nodiscard]] Status run() {
        if (auto listening = central_.listen(options_.listen); !listening) return listening;
        if (auto connected = producer_.connect(options_.to); !connected) return connected;
        if (auto agreed = poll_until([&] { return central_.has_edge() && producer_.may_send(); }); !agreed)
            return agreed;
        const double all_s = options_.warmup_s + options_.seconds;
        const auto count = static_cast<std::uint64_t>(all_s * static_cast<double>(options_.rate));
        const auto warm_count = static_cast<std::uint64_t>(options_.warmup_s * static_cast<double>(options_.rate));
        const std::uint64_t every_ns = ns_per_second / options_.rate;
        begun_ = monotonic_now();
        steady_from_ = begun_.plus_ns(warm_count * every_ns);
        while (producer_.sent() < count) {
            const MonotonicNs due = begun_.plus_ns(producer_.sent() * every_ns);
            if (monotonic_now() >= due && producer_.may_send() && due_.size() < sent_max) {
                due_.push_back(due);
                if (!producer_.send_one(wall_now())) return broken("the edge ended the producer's connection");
            }
            if (auto polled = poll(); !polled) return polled;
        }
        return poll_until([&] { return due_.empty(); });
    }
    [[nodiscard]] const LatencyLog::All& latency() const { return latency_; }
    [[nodiscard]] std::uint64_t sent() const { return producer_.sent(); }

  private:
    [[nodiscard]] Status poll() {
        bool is_in_order = true;
        const auto out = [&](Sequence first, Sequence last) {
            const MonotonicNs now = monotonic_now();
            for (Sequence one = first; one <= last; ++one) {
                if (due_.empty()) {
                    is_in_order = false;
                    return;
                }
                if (due_.front() >= steady_from_) latency_.record(now.since(due_.front()));
                due_.pop_front();
            }
        };
        if (auto polled = central_.poll(out); !polled) return polled;
        if (!is_in_order) return broken("more came out than was sent: somebody else sends to this edge too");
        if (auto polled = producer_.poll(); !polled) return polled;
        return producer_.not_taken() == 0 ? Status(Done{}) : Status(broken("the edge did not take every event"));
    }
    template <class Until>
    [[nodiscard]] Status poll_until(Until&& is_done) {
        const MonotonicNs give_up = monotonic_now().plus_ns(options_.timeout_s * ns_per_second);
        while (!is_done()) {
            if (monotonic_now() >= give_up) {
                return broken("not within " + std::to_string(options_.timeout_s) + " s: " +
                              (central_.has_edge() ? "what was sent has not come out" : "the edge has not come"));
            }
            if (auto polled = poll(); !polled) return polled;
        }
        return Done{};
    }

    TransitOptions options_;
    StandInCentral central_;
    TransitProducer producer_;
    std::deque<MonotonicNs> due_;
    MonotonicNs begun_{};
    MonotonicNs steady_from_{};
    LatencyLog::All latency_;
};

}  // namespace

int transit_command(const TransitOptions& options) {
    TransitRun run(options);
    if (const Status done = run.run(); !done) {
        std::fprintf(stderr, "transit: %s\n", done.error().what.c_str());
        return 1;
    }
    const auto us = [&](std::uint64_t ns) { return static_cast<double>(ns) / 1000.0; };
    const auto& all = run.latency();
    std::printf(options.as_json
                    ? "{\"sent\":%llu,\"measured\":%llu,\"transit_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,"
                      "\"p999\":%.1f,\"max\":%.1f}}\n"
                    : "sent      %llu\nmeasured  %llu\np50       %.1f us\np90       %.1f us\np99       %.1f us\n"
                      "p99.9     %.1f us\nmaximum   %.1f us\n",
                static_cast<unsigned long long>(run.sent()), static_cast<unsigned long long>(all.count()),
                us(all.percentile(0.5)), us(all.percentile(0.9)), us(all.percentile(0.99)), us(all.percentile(0.999)),
                us(all.greatest()));
    return 0;
}

}  // namespace weir::bench
