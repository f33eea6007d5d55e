#include "bench/edge_swarm.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "core/base/assert.hpp"
#include "core/base/clock.hpp"

namespace weir::bench {
namespace {

constexpr LaneId lane_id = 0;
constexpr std::string_view lane_name = "default";
constexpr rlim_t sockets_spare = 32;
// What a thousand machines would each keep for themselves must not all lie in this one's kernel.
constexpr int send_buffer_bytes = 64 << 10;

std::uint64_t random_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

EdgeSwarm::EdgeSwarm(SwarmOptions options)
    : options_(std::move(options)),
      no_carries_(0, wire::frame_body_bytes_max_before_hello),
      event_("bench.edge", "weir-bench", 0, options_.payload_bytes),
      wall_(wall_now()),
      run_(random_seed()),
      random_(run_) {
    event_ = EventTemplate("bench.edge", "weir-bench", static_cast<std::uint32_t>(run_), options_.payload_bytes);
    for (std::uint32_t i = 0; i < options_.count; ++i) {
        edges_.push_back(std::make_unique<Edge>(no_carries_));
        edges_.back()->index = i;
        edges_.back()->crcs.resize(options_.batches);
    }
}

EdgeSwarm::~EdgeSwarm() {
    for (const auto& edge : edges_) {
        if (edge->socket >= 0) ::close(edge->socket);
    }
    if (poll_ >= 0) ::close(poll_);
}

Status EdgeSwarm::open() {
    rlimit limit{};
    const rlim_t wanted = options_.count + sockets_spare;
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = std::min(wanted, limit.rlim_max);
        if (limit.rlim_cur < wanted || ::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            return Error{EMFILE, "so many edges need more open files than this process may have"};
        }
    }
    const auto colon = options_.to.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    if (colon == options_.to.npos || ::inet_pton(AF_INET, options_.to.substr(0, colon).c_str(), &to.sin_addr) != 1) {
        return Error{EINVAL, "--to " + options_.to + ": not an IPv4 address and port"};
    }
    to.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(options_.to.c_str() + colon + 1, nullptr, 10)));
    address_.resize(sizeof to);
    wire::store(address_, to);
    poll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (poll_ < 0) return error_from_errno(errno, "epoll_create1");
    batch_frame_bytes_ = make_batch(*edges_[0], 0).size();
    if (batch_frame_bytes_ > wire::frame_bytes(wire::frame_body_bytes_max)) {
        return Error{EINVAL, "a batch of so many events of that size does not fit a frame"};
    }
    return Done{};
}

void EdgeSwarm::pump(int wait_ms) {
    const MonotonicNs now = monotonic_now();
    if (now.since(looked_) >= ns_per_ms) {
        looked_ = now;
        for (const auto& edge : edges_) {
            if (edge->state == State::waiting && now >= edge->due) connect(*edge);
        }
    }
    serve_link(now);
    std::array<epoll_event, 256> events;
    const int count = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), wait_ms);
    for (int i = 0; i < count; ++i) {
        Edge& edge = *edges_[events[static_cast<std::size_t>(i)].data.u32];
        const std::uint32_t what = events[static_cast<std::size_t>(i)].events;
        if (edge.state == State::connecting) {
            int fault = 0;
            socklen_t bytes = sizeof fault;
            ::getsockopt(edge.socket, SOL_SOCKET, SO_ERROR, &fault, &bytes);
            if (fault != 0 || (what & (EPOLLERR | EPOLLHUP)) != 0) {
                lose(edge);
                continue;
            }
            greet(edge);
        }
        if ((what & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && edge.socket >= 0) receive(edge);
        if (edge.socket >= 0 && flush(edge)) send_more(edge);
    }
}

void EdgeSwarm::connect(Edge& edge) {
    ++totals_.connects;
    edge.socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (edge.socket < 0) return lose(edge);
    const int on = 1;
    ::setsockopt(edge.socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(edge.socket, SOL_SOCKET, SO_SNDBUF, &send_buffer_bytes, sizeof send_buffer_bytes);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT;
    event.data.u32 = edge.index;
    edge.state = State::connecting;
    edge.watches_room = true;
    const auto to = wire::load<sockaddr_in>(address_);
    if (::epoll_ctl(poll_, EPOLL_CTL_ADD, edge.socket, &event) != 0 ||
        (::connect(edge.socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS)) {
        lose(edge);
    }
}

void EdgeSwarm::greet(Edge& edge) {
    struct {
        wire::FrameHeader frame{.body_bytes = sizeof(wire::EdgeHello) + 2 * sizeof(wire::LaneOffer),
                                .kind = wire::FrameKind::edge_hello};
        wire::EdgeHello hello;
        std::array<wire::LaneOffer, 2> offers;
    } said;
    static_assert(sizeof said == sizeof(wire::FrameHeader) + sizeof(wire::EdgeHello) + 2 * sizeof(wire::LaneOffer));
    char name[wire::edge_id_bytes_max + 1];
    std::snprintf(name, sizeof name, "%.20s-%u", options_.prefix.c_str(), edge.index);
    said.hello.lanes = 2;
    said.hello.edge_id = wire::name_field<wire::edge_id_bytes_max>(name);
    said.hello.lineage = run_ + edge.index;
    said.hello.epoch = 1;
    said.offers[0].lane = lane_id;
    said.offers[0].lane_name = wire::name_field<wire::lane_name_bytes_max>(lane_name);
    said.offers[0].oldest_sequence = 1;
    said.offers[0].last_sequence = std::uint64_t{options_.batches} * options_.events;
    said.offers[1].lane = dead_letter_lane;
    said.offers[1].lane_name = wire::name_field<wire::lane_name_bytes_max>(dead_letter_lane_name);
    said.offers[1].oldest_sequence = 1;
    edge.state = State::greeting;
    edge.sent = 0;
    edge.lane_credit = UINT64_MAX;
    static_cast<void>(send(edge, std::as_bytes(std::span(&said, 1))));
}

void EdgeSwarm::receive(Edge& edge) {
    std::array<std::byte, 8192> bytes;
    for (;;) {
        const ssize_t count = ::recv(edge.socket, bytes.data(), bytes.size(), 0);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (count <= 0) return lose(edge);
        auto fault = wire::SplitFault::none;
        ConstBytes rest = ConstBytes(bytes).first(static_cast<std::size_t>(count));
        while (!rest.empty() && fault == wire::SplitFault::none) {
            rest = rest.subspan(edge.splitter.split(
                rest, UINT32_MAX,
                [&](const wire::FrameHeader& header, ConstBytes frame) {
                    take(edge, header, frame.subspan(sizeof header, header.body_bytes));
                    return true;
                },
                fault));
        }
        if (fault != wire::SplitFault::none || edge.state == State::over) return lose(edge);
    }
}

void EdgeSwarm::take(Edge& edge, const wire::FrameHeader& header, ConstBytes body) {
    if (header.kind == wire::FrameKind::edge_welcome) {
        const auto welcome = wire::load<wire::EdgeWelcome>(body);
        edge.credit = welcome.credit_bytes;
        note_acked(edge, wire::load<wire::LanePosition>(body.subspan(sizeof welcome)).last_sequence);
        if (edge.next_batch > edge.acked_batches) totals_.resent_batches += edge.next_batch - edge.acked_batches;
        edge.next_batch = edge.acked_batches;
        edge.state = State::live;
    } else if (header.kind == wire::FrameKind::edge_ack) {
        const auto ack = wire::load<wire::EdgeAck>(body);
        if (ack.lane == lane_id) note_acked(edge, ack.last_sequence);
    } else if (header.kind == wire::FrameKind::credit) {
        const auto credit = wire::load<wire::Credit>(body);
        if (credit.lane == wire::connection_credit) edge.credit = std::max(edge.credit, credit.credit_bytes);
        if (credit.lane == lane_id) {
            edge.lane_credit =
                edge.lane_credit == UINT64_MAX ? credit.credit_bytes : std::max(edge.lane_credit, credit.credit_bytes);
        }
    } else if (header.kind == wire::FrameKind::ping) {
        const wire::FrameHeader pong{.body_bytes = 0, .kind = wire::FrameKind::pong, .number = header.number};
        static_cast<void>(send(edge, std::as_bytes(std::span(&pong, 1))));
    } else if (header.kind == wire::FrameKind::refusal) {
        const auto refusal = wire::load<wire::Refusal>(body);
        const auto reason = static_cast<std::size_t>(refusal.reason);
        edge.told_ms = refusal.after_ms;
        ++totals_.refusals[std::min(reason, totals_.refusals.size() - 1)];
        ++totals_.refused;
        --totals_.lost;  // counted as one when the connection ends
        edge.state = State::over;
    }
}

void EdgeSwarm::note_acked(Edge& edge, Sequence last_sequence) {
    const auto batches = static_cast<std::uint32_t>(last_sequence / options_.events);
    WEIR_ASSERT(last_sequence % options_.events == 0 && batches <= options_.batches);
    if (batches <= edge.acked_batches) return;
    totals_.acked_events += std::uint64_t{batches - edge.acked_batches} * options_.events;
    edge.acked_batches = batches;
    edge.failures = 0;
    if (batches == options_.batches && !std::exchange(edge.is_done, true)) ++totals_.done_edges;
}

bool EdgeSwarm::may_send(const Edge& edge) const {
    return edge.state == State::live && edge.unsent.empty() && edge.next_batch < options_.batches &&
           edge.sent + batch_frame_bytes_ <= std::min(edge.credit, edge.lane_credit);
}

void EdgeSwarm::send_batch(Edge& edge) {
    edge.sent += batch_frame_bytes_;
    totals_.batch_bytes += batch_frame_bytes_;
    static_cast<void>(send(edge, make_batch(edge, edge.next_batch++)));
}

void EdgeSwarm::send_more(Edge& edge) {
    if (options_.link_bytes_per_second == 0) {
        while (may_send(edge)) send_batch(edge);
    } else if (may_send(edge) && !std::exchange(edge.is_at_link, true)) {
        link_.push_back(edge.index);
    }
}

void EdgeSwarm::serve_link(MonotonicNs now) {
    while (!link_.empty() && link_free_at_ <= now) {
        Edge& edge = *edges_[link_.front()];
        link_.pop_front();
        edge.is_at_link = false;
        if (!may_send(edge)) continue;
        const MonotonicNs from{std::max(link_free_at_.value, now.value - std::min(now.value, link_queue_ns))};
        link_free_at_ = from.plus_ns(batch_frame_bytes_ * ns_per_second / options_.link_bytes_per_second);
        send_batch(edge);
        send_more(edge);
    }
}

ConstBytes EdgeSwarm::make_batch(Edge& edge, std::uint32_t batch) {
    constexpr std::size_t head = sizeof(wire::FrameHeader) + sizeof(wire::BatchHeader);
    wire::BatchHeader header;
    char name[wire::edge_id_bytes_max + 1];
    std::snprintf(name, sizeof name, "%.20s-%u", options_.prefix.c_str(), edge.index);
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>(name);
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>(lane_name);
    header.lane = lane_id;
    header.lineage = run_ + edge.index;
    header.epoch = 1;
    header.first_sequence = std::uint64_t{batch} * options_.events + 1;
    header.count = options_.events;
    header.previous_crc = batch == 0 ? 0 : edge.crcs[batch - 1];
    header.closed_wall_ns = wall_.value;
    header.totals.accepted = header.totals.offered = header.last_sequence();
    const std::uint64_t first =
        std::uint64_t{edge.index} * options_.batches * options_.events + header.first_sequence - 1;
    frame_.resize(head);
    for (std::uint32_t i = 0; i < options_.events; ++i) {
        const ConstBytes event = event_.stamp(first + i, wall_);
        const std::size_t at = frame_.size();
        const auto event_bytes = static_cast<std::uint32_t>(event.size());
        frame_.resize(at + wire::frame_bytes(event_bytes));
        wire::store(Bytes(frame_).subspan(at), wire::FrameHeader{.body_bytes = event_bytes});
        std::copy(event.begin(), event.end(),
                  frame_.begin() + static_cast<std::ptrdiff_t>(at + sizeof(wire::FrameHeader)));
    }
    wire::seal(header, ConstBytes(frame_).subspan(head));
    edge.crcs[batch] = header.header_crc;
    const auto body_bytes = static_cast<std::uint32_t>(frame_.size() - sizeof(wire::FrameHeader));
    wire::store(frame_, wire::FrameHeader{.body_bytes = body_bytes, .kind = wire::FrameKind::batch});
    wire::store(Bytes(frame_).subspan(sizeof(wire::FrameHeader)), header);
    WEIR_ASSERT(frame_.size() == wire::frame_bytes(body_bytes));
    return frame_;
}

bool EdgeSwarm::send(Edge& edge, ConstBytes bytes) {
    if (!edge.unsent.empty()) {
        edge.unsent.insert(edge.unsent.end(), bytes.begin(), bytes.end());
        return false;
    }
    const ssize_t count = ::send(edge.socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    const std::size_t taken = count > 0 ? static_cast<std::size_t>(count) : 0;
    if (taken < bytes.size()) edge.unsent.assign(bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.end());
    watch_room(edge, !edge.unsent.empty());  // an error shows when it is looked at next
    return edge.unsent.empty();
}

bool EdgeSwarm::flush(Edge& edge) {
    if (edge.unsent.empty()) return true;
    std::vector<std::byte> rest;
    rest.swap(edge.unsent);
    return send(edge, rest);
}

void EdgeSwarm::watch_room(Edge& edge, bool is_watched) {
    if (edge.watches_room == is_watched) return;
    edge.watches_room = is_watched;
    epoll_event event{};
    event.events = is_watched ? (EPOLLIN | EPOLLOUT) : EPOLLIN;
    event.data.u32 = edge.index;
    ::epoll_ctl(poll_, EPOLL_CTL_MOD, edge.socket, &event);
}

// Comes again when it was told to, or after a pause of up to 100 ms, then 200, 400, ... : full jitter.
void EdgeSwarm::lose(Edge& edge) {
    ++totals_.lost;
    if (edge.socket >= 0) ::close(edge.socket);
    edge.socket = -1;
    edge.state = State::waiting;
    edge.unsent.clear();
    edge.splitter.reset();
    const std::uint64_t pause_ms = std::min(pause_ms_min << std::min(edge.failures, 10U), pause_ms_max);
    ++edge.failures;
    const std::uint64_t told_ns = std::exchange(edge.told_ms, 0) * ns_per_ms;
    edge.due = monotonic_now().plus_ns(told_ns != 0 ? told_ns : random_() % (pause_ms * ns_per_ms));
}

}  // namespace weir::bench
