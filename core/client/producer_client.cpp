#include "core/client/producer_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/clock.hpp"
#include "core/io/address.hpp"
#include "core/tls/channel.hpp"

namespace weir::client {
namespace {

constexpr std::size_t send_bytes_max = 1U << 20;
constexpr int welcome_ms_max = 5000;

bool is_passing(wire::RefusalReason reason) {
    return reason == wire::RefusalReason::draining || reason == wire::RefusalReason::storage ||
           reason == wire::RefusalReason::busy || reason == wire::RefusalReason::limit;
}

}  // namespace

ProducerClient::ProducerClient(ClientOptions options)
    : options_(std::move(options)),
      arena_(options_.arena_bytes),
      entries_(options_.events_max),
      received_(options_.receive_bytes) {
    WEIR_ASSERT((options_.arena_bytes & (options_.arena_bytes - 1)) == 0);
    WEIR_ASSERT((options_.events_max & (options_.events_max - 1)) == 0);
}

ProducerClient::~ProducerClient() {
    if (fd_ >= 0) ::close(fd_);
}

void ProducerClient::put(ConstBytes bytes) {
    const std::size_t at = arena_end_ & (arena_.size() - 1);
    const std::size_t first = std::min(bytes.size(), arena_.size() - at);
    std::memcpy(arena_.data() + at, bytes.data(), first);
    std::memcpy(arena_.data(), bytes.data() + first, bytes.size() - first);
    arena_end_ += bytes.size();
}

bool ProducerClient::offer(ConstBytes event, std::uint64_t number, MonotonicNs intended, bool is_counted) {
    const auto body_bytes = static_cast<std::uint32_t>(event.size());
    const std::uint64_t bytes = wire::frame_bytes(body_bytes);
    if (arena_end_ - arena_begin_ + bytes > arena_.size() || end_ - begin_ == entries_.size()) return false;
    if (is_welcome_ && end_ >= credit_events_) return false;
    entry(end_) = Entry{arena_end_, static_cast<std::uint32_t>(bytes), false, is_counted, number, intended};
    ++end_;
    const wire::FrameHeader header{body_bytes, 0, wire::FrameKind::event, 0, number};
    constexpr std::array<std::byte, wire::frame_alignment> zeros{};
    put(std::as_bytes(std::span(&header, 1)));
    put(event);
    put(ConstBytes(zeros).first(bytes - sizeof header - body_bytes));
    ++totals_.offered;
    return true;
}

Status ProducerClient::pump(std::uint64_t wait_ns) {
    const MonotonicNs now = monotonic_now();
    if (fd_ < 0) {
        if (now < next_try_) {
            const std::uint64_t ns = std::min(wait_ns, next_try_.since(now));
            const timespec pause{static_cast<time_t>(ns / ns_per_second), static_cast<long>(ns % ns_per_second)};
            ::nanosleep(&pause, nullptr);
            return Done{};
        }
        if (const Status status = try_connect(now); !status) return status;
        if (fd_ < 0) return Done{};
    }
    if (channel_) channel_->flush(fd_);
    // Sent ahead of waiting: what is due now goes out in one piece.
    if (const Status status = send_some(); !status) return status;
    if (fd_ < 0) return Done{};
    const bool is_waiting_to_send = has_unsent() || (channel_ && channel_->has_unsent());
    if (channel_ && channel_->has_plain()) return receive_some();
    pollfd watched{fd_, static_cast<short>(POLLIN | (is_waiting_to_send ? POLLOUT : 0)), 0};
    const timespec limit{static_cast<time_t>(wait_ns / ns_per_second), static_cast<long>(wait_ns % ns_per_second)};
    if (::ppoll(&watched, 1, &limit, nullptr) <= 0) return Done{};
    return receive_some();
}

Status ProducerClient::try_connect(MonotonicNs now) {
    backoff_ms_ = std::clamp(backoff_ms_ * 2, options_.reconnect_ms_min, options_.reconnect_ms_max);
    next_try_ = now.plus_ns(backoff_ms_ * ns_per_ms);
    const auto address = io::parse_address(options_.to);
    if (!address) return address.error();
    auto opened = io::open_socket(address.value());
    if (!opened) return opened.error();
    fd_ = opened.value();
    if (::connect(fd_, address.value().get(), address.value().bytes) != 0) {
        pollfd watched{fd_, POLLOUT, 0};
        int fault = errno;
        socklen_t bytes = sizeof fault;
        if (fault == EINPROGRESS && ::poll(&watched, 1, welcome_ms_max) == 1)
            ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &fault, &bytes);
        if (fault != 0) {
            last_fault_ = error_from_errno(fault, "connect " + options_.to).what;
            ::close(fd_);
            fd_ = -1;
            return Done{};
        }
    }
    if (!options_.ca_file.empty()) {
        if (const Status status = begin_tls(); !status) return status;
        if (fd_ < 0) return Done{};
    }
    wire::ProducerHello hello;
    hello.level = options_.level;
    hello.name = wire::name_field<wire::producer_name_bytes_max>(options_.producer);
    std::array<std::byte, sizeof(wire::FrameHeader) + sizeof hello> frame{};
    wire::store(Bytes(frame), wire::FrameHeader{sizeof hello, 0, wire::FrameKind::producer_hello, 0, 0});
    wire::store(Bytes(frame).subspan(sizeof(wire::FrameHeader)), hello);
    if (send_bytes(frame) != static_cast<ssize_t>(frame.size())) disconnect();
    return Done{};
}

// An error is final: who answers there is not who it should be, or the CAs cannot be read.
Status ProducerClient::begin_tls() {
    if (!channel_) {
        auto opened = tls::ClientChannel::open(options_.ca_file, options_.to);
        if (!opened) return opened.error();
        channel_ = std::move(opened.value());
    }
    const Status agreed = channel_->handshake(fd_, welcome_ms_max);
    if (agreed) return Done{};
    ::close(fd_);
    fd_ = -1;
    last_fault_ = agreed.error().what;
    if (agreed.error().code == EPROTO) return agreed;
    return Done{};
}

ssize_t ProducerClient::send_bytes(ConstBytes bytes) {
    return channel_ ? channel_->send(fd_, bytes) : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
}

ssize_t ProducerClient::receive_bytes(Bytes room) {
    return channel_ ? channel_->receive(fd_, room) : ::recv(fd_, room.data(), room.size(), 0);
}

void ProducerClient::disconnect() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
    received_bytes_ = 0;
    if (is_welcome_) {
        ++totals_.reconnects;
        backoff_ms_ = 0;
        next_try_ = MonotonicNs{};
    }
    is_welcome_ = false;
    rewind();
}

// What is not acked is moved to the front of a new numbering, to be sent from ordinal 1 on.
void ProducerClient::rewind() {
    std::vector<std::byte> frames;
    std::vector<Entry> kept;
    for (std::uint64_t index = begin_; index < end_; ++index) {
        Entry one = entry(index);
        if (one.is_acked) continue;
        const std::size_t at = one.at & (arena_.size() - 1);
        const std::size_t first = std::min<std::size_t>(one.bytes, arena_.size() - at);
        one.at = frames.size();
        frames.insert(frames.end(), arena_.data() + at, arena_.data() + at + first);
        frames.insert(frames.end(), arena_.data(), arena_.data() + (one.bytes - first));
        kept.push_back(one);
    }
    arena_begin_ = arena_end_ = arena_sent_ = 0;
    put(frames);
    std::copy(kept.begin(), kept.end(), entries_.begin());
    begin_ = 0;
    end_ = kept.size();
}

Status ProducerClient::send_some() {
    if (!is_welcome_) return Done{};
    while (arena_sent_ < arena_end_) {
        const std::size_t at = arena_sent_ & (arena_.size() - 1);
        const std::size_t bytes =
            std::min({static_cast<std::size_t>(arena_end_ - arena_sent_), arena_.size() - at, send_bytes_max});
        const ssize_t sent = send_bytes(arena_.span().subspan(at, bytes));
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return Done{};
        if (sent < 0) {
            // A refusal may lie in our receive buffer: it is read before the connection is given up.
            const Status status = receive_some();
            disconnect();
            return status;
        }
        arena_sent_ += static_cast<std::uint64_t>(sent);
    }
    return Done{};
}

Status ProducerClient::receive_some() {
    const ssize_t count = receive_bytes(received_.span().subspan(received_bytes_));
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return Done{};
    if (count <= 0) {
        disconnect();
        return Done{};
    }
    received_bytes_ += static_cast<std::size_t>(count);
    const MonotonicNs now = monotonic_now();
    ConstBytes rest(received_.data(), received_bytes_);
    while (rest.size() >= sizeof(wire::FrameHeader)) {
        const auto header = wire::load<wire::FrameHeader>(rest);
        const std::uint64_t bytes = wire::frame_bytes(header.body_bytes);
        if (bytes > received_.size())
            return Error{EPROTO, "the edge sent a frame of " + std::to_string(bytes) + " bytes"};
        if (bytes > rest.size()) break;
        const Status status = take_frame(header, rest.subspan(sizeof header, header.body_bytes), now);
        if (!status) return status;
        if (fd_ < 0) return Done{};
        rest = rest.subspan(bytes);
    }
    std::memmove(received_.data(), rest.data(), rest.size());
    received_bytes_ = rest.size();
    return Done{};
}

Status ProducerClient::take_frame(const wire::FrameHeader& header, ConstBytes body, MonotonicNs now) {
    if (header.kind == wire::FrameKind::producer_ack) return take_ack(body, now);
    if (header.kind == wire::FrameKind::producer_welcome && body.size() >= sizeof(wire::ProducerWelcome)) {
        const auto welcome = wire::load<wire::ProducerWelcome>(body);
        is_welcome_ = true;
        backoff_ms_ = 0;
        last_number_ = welcome.last_number;
        credit_events_ = welcome.credit_events;
        // More may be held from before than is granted now: it goes out all the same, and the edge reads it in its own time.
        return Done{};
    }
    if (header.kind == wire::FrameKind::refusal && body.size() >= sizeof(wire::Refusal)) {
        const auto refusal = wire::load<wire::Refusal>(body);
        const std::string why =
            std::string(wire::text(refusal.reason)) + ": " + std::string(wire::name_of(refusal.detail));
        disconnect();
        last_fault_ = why;
        if (!is_passing(refusal.reason)) return Error{EPROTO, "the edge refused: " + why};
        next_try_ = now.plus_ns(options_.reconnect_ms_max * ns_per_ms / 4);
        return Done{};
    }
    if (header.kind == wire::FrameKind::goodbye) disconnect();
    return Done{};
}

Status ProducerClient::take_ack(ConstBytes body, MonotonicNs now) {
    if (body.size() < sizeof(wire::ProducerAckHead)) return Error{EPROTO, "the edge sent a short ack"};
    const auto head = wire::load<wire::ProducerAckHead>(body);
    if (body.size() < sizeof head + std::size_t{head.ranges} * sizeof(wire::AckRange))
        return Error{EPROTO, "the edge sent a short ack"};
    for (std::uint32_t i = 0; i < head.ranges; ++i) {
        const auto range = wire::load<wire::AckRange>(body.subspan(sizeof head + i * sizeof(wire::AckRange)));
        if (!is_sent(range)) return Error{EPROTO, "the edge acked what was not sent"};
        if (range.status < wire::AckStatus::accepted || range.status > wire::AckStatus::shed)
            return Error{EPROTO, "the edge acked with an unknown status"};
        settle(range, now);
    }
    credit_events_ = std::max(credit_events_, head.credit_events);
    rung_ = head.rung;
    if (head.ranges > 0) last_ack_ = now;
    while (begin_ < end_ && entry(begin_).is_acked) {
        arena_begin_ = entry(begin_).at + entry(begin_).bytes;
        ++begin_;
    }
    return Done{};
}

// All of it, to the last byte: what is acked makes room, and what was not sent yet must not be written over.
bool ProducerClient::is_sent(const wire::AckRange& range) {
    if (range.first_ordinal == 0 || range.count == 0) return false;
    if (range.first_ordinal > end_ || range.count > end_ - (range.first_ordinal - 1)) return false;
    const std::uint64_t last = range.first_ordinal + range.count - 2;  // its index
    return last < begin_ || entry(last).at + entry(last).bytes <= arena_sent_;
}

void ProducerClient::settle(const wire::AckRange& range, MonotonicNs now) {
    std::uint64_t fresh = 0;
    for (std::uint64_t index = std::max(range.first_ordinal - 1, begin_); index < range.first_ordinal - 1 + range.count;
         ++index) {
        Entry& one = entry(index);
        if (one.is_acked) continue;
        one.is_acked = true;
        ++fresh;
        if (options_.on_answer) {
            options_.on_answer(one.number, range.status, static_cast<wire::Reason>(range.reason));
        }
        if (!one.is_counted) continue;
        if (options_.on_latency) {
            options_.on_latency(one.intended, now);
        } else {
            latency_.record(now.since(one.intended));
        }
    }
    totals_.acked += fresh;
    switch (range.status) {
        case wire::AckStatus::accepted:
            totals_.accepted += fresh;
            break;
        case wire::AckStatus::duplicate:
            totals_.duplicates += fresh;
            break;
        case wire::AckStatus::dead_lettered:
        case wire::AckStatus::rejected:
            totals_.rejected += fresh;
            totals_.reasons[std::string(wire::text(static_cast<wire::Reason>(range.reason)))] += fresh;
            break;
        case wire::AckStatus::shed:
            totals_.shed += fresh;
            totals_.shed_reasons[std::string(wire::text(static_cast<wire::Reason>(range.reason)))] += fresh;
            break;
    }
}

}  // namespace weir::client
