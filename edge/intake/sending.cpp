// What is said to producers: one send per connection at a time, from its own buffer.

#include "edge/intake/intake.hpp"

namespace weir::edge {
namespace {

constexpr std::uint64_t linger_ns_max = ns_per_second;

bool is_agreed(Session session) {
    return session == Session::open || session == Session::ending;
}

// Frames one behind the other in a connection's send buffer.
class FrameWriter {
  public:
    explicit FrameWriter(Bytes buffer) : buffer_(buffer) {}
    template <class Body>
    void add(wire::FrameKind kind, const Body& body) {
        wire::store(claim(kind, sizeof body, 0), body);
    }
    void add_empty(wire::FrameKind kind, std::uint64_t number) { (void)claim(kind, 0, number); }
    // A frame's body, to be filled in.
    [[nodiscard]] Bytes claim(wire::FrameKind kind, std::uint32_t body_bytes, std::uint64_t number) {
        const std::uint64_t bytes = wire::frame_bytes(body_bytes);
        WEIR_ASSERT(used_ + bytes <= buffer_.size());
        wire::FrameHeader header;
        header.body_bytes = body_bytes;
        header.kind = kind;
        header.number = number;
        wire::store(buffer_.subspan(used_), header);
        const Bytes body = buffer_.subspan(used_ + sizeof header, body_bytes);
        used_ += bytes;
        return body;
    }
    [[nodiscard]] ConstBytes written() const { return buffer_.first(used_); }

  private:
    Bytes buffer_;
    std::size_t used_ = 0;
};

static_assert(sizeof(wire::ProducerWelcome) % wire::frame_alignment == 0 &&
                  sizeof(wire::Refusal) % wire::frame_alignment == 0 &&
                  sizeof(wire::ProducerAckHead) % wire::frame_alignment == 0,
              "no frame of ours has padding");

}  // namespace

std::size_t Intake::send_all(MonotonicNs now) {
    std::size_t sends = 0;
    rate_look_at_ = never;
    // Not all that there could be: a look at each of a thousand free ones would cost a quiet edge more than its events.
    for (const std::uint32_t index : live_) {
        const Connection& connection = connections_[index];
        if (connection.session == Session::closed || connection.sending) continue;
        end_if_done(index);
        if (judgement_->rate_quota().is_bound()) look_at_rate(connections_[index], now);
        send_some(index, now);
        sends += connection.sending ? 1 : 0;
    }
    return sends;
}

// What it may have sent in all: by what is unacked of it, and by its rate.
std::uint64_t Intake::credit_due(Connection& connection, MonotonicNs now) const {
    const std::uint64_t unacked = connection.acked + credit_events_;
    const RateQuota& quota = judgement_->rate_quota();
    if (!quota.is_bound()) return unacked;
    const std::uint64_t allowed = quota.fill(connection.rate, connection.ordinal, now);
    return std::max(connection.credit, std::min(unacked, allowed));
}

// When it is to be looked at again though nothing of it comes: its bucket fills.
void Intake::look_at_rate(Connection& connection, MonotonicNs now) {
    if (!is_agreed(connection.session)) return;
    const RateQuota& quota = judgement_->rate_quota();
    const bool is_rate_bound = connection.credit < connection.acked + credit_events_;
    if (is_rate_bound && connection.credit + quota.step() <= connection.ordinal + quota.burst()) {
        rate_look_at_ = std::min(rate_look_at_, now.plus_ns(quota.step_ns()));
    }
    const bool is_at_rate = is_rate_bound && connection.ordinal == connection.credit;
    if (is_at_rate && !connection.is_at_rate) counters_.rate_waits.add(1);
    connection.is_at_rate = is_at_rate;
}

void Intake::send_some(std::uint32_t index, MonotonicNs now) {
    Connection& connection = connections_[index];
    if (connection.closes_after_send) return;
    FrameWriter writer(Bytes(send_buffers_).subspan(std::size_t{index} * send_buffer_bytes, send_buffer_bytes));
    if (connection.wants_welcome) {
        wire::ProducerWelcome welcome;
        if (connection.producer >= 0) {
            welcome.last_number = producers_.last_number(static_cast<std::uint32_t>(connection.producer));
        }
        welcome.credit_events = connection.credit;
        welcome.event_bytes_max = wire::event_bytes_max;
        writer.add(wire::FrameKind::producer_welcome, welcome);
        connection.wants_welcome = false;
    }
    // Its acks say the rung; one that has none to come is told of a new rung by an ack without ranges.
    const bool is_rung_new = connection.rung_told != ladder_.rung() && is_agreed(connection.session);
    // And one that waits for its rate is told of more credit in the same way.
    const bool is_rate_step = connection.rate.allowed != 0 && is_agreed(connection.session) &&
                              credit_due(connection, now) >= connection.credit + judgement_->rate_quota().step();
    if (book_.has_ready(index) || is_rung_new || is_rate_step) {
        std::array<wire::AckRange, wire::ack_ranges_max> ranges;
        std::uint64_t events = 0;
        const std::uint32_t count = book_.take_ready(index, ranges, events);
        connection.acked += events;
        connection.credit = credit_due(connection, now);
        const std::size_t ranges_bytes = count * sizeof(wire::AckRange);
        const Bytes body = writer.claim(wire::FrameKind::producer_ack,
                                        static_cast<std::uint32_t>(sizeof(wire::ProducerAckHead) + ranges_bytes), 0);
        wire::store(body, wire::ProducerAckHead{connection.credit, count, ladder_.rung(), {}});
        connection.rung_told = ladder_.rung();
        std::memcpy(body.data() + sizeof(wire::ProducerAckHead), ranges.data(), ranges_bytes);
    }
    if (connection.wants_pong) writer.add_empty(wire::FrameKind::pong, connection.pong_number);
    if (connection.wants_goodbye) writer.add_empty(wire::FrameKind::goodbye, 0);
    if (connection.wants_refusal) writer.add(wire::FrameKind::refusal, connection.refusal);
    connection.closes_after_send = connection.wants_goodbye || connection.wants_refusal;
    connection.wants_pong = connection.wants_goodbye = connection.wants_refusal = false;
    if (writer.written().empty()) return;
    connection.sending = true;
    connection.sending_since = now;
    io_.send(connection.socket, writer.written(),
             {.owner = owner_, .kind = send_kind, .generation = connection.generation, .index = index});
}

void Intake::on_sent(const io::Completion& completion, MonotonicNs now) {
    const std::uint32_t index = completion.token.index;
    Connection& connection = connections_[index];
    WEIR_ASSERT(connection.sending);
    connection.sending = false;
    if (connection.session == Session::closed) return free_if_done(index);
    if (completion.result < 0) return close(index);
    if (!connection.closes_after_send) return;
    // Closing with unread bytes would reset the connection and take the last words with it.
    if (connection.peer_ended) return close(index);
    connection.session = Session::lingering;
    connection.deadline = now.plus_ns(linger_ns_max);
}

}  // namespace weir::edge
