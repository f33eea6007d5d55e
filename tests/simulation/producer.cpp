#include "tests/simulation/producer.hpp"

#include <algorithm>

#include "tests/simulation/lanes.hpp"

namespace weir::sim {
namespace {
constexpr std::uint64_t silence_ns_max = 8 * ns_per_second;

void append(std::vector<std::byte>& out, wire::FrameKind kind, ConstBytes body, std::uint64_t number) {
    const std::size_t at = out.size();
    out.resize(at + wire::frame_bytes(static_cast<std::uint32_t>(body.size())));
    wire::store(
        Bytes(out).subspan(at),
        wire::FrameHeader{.body_bytes = static_cast<std::uint32_t>(body.size()), .kind = kind, .number = number});
    std::copy(body.begin(), body.end(), out.begin() + static_cast<std::ptrdiff_t>(at + sizeof(wire::FrameHeader)));
}
}  // namespace

SimProducer::SimProducer(Clock& clock, Network& network, Random random, ProducerOptions options)
    : clock_(clock),
      random_(random.fork()),
      options_(std::move(options)),
      machine_{.number = options_.machine, .disk = Disk(random.fork())},
      io_(clock, network, machine_, random.fork(), {.slots = 4, .slot_bytes = 4096}) {
    events.resize(options_.events);
    for (Sent& event : events) {
        event.is_valid = !random_.chance(options_.invalid_per_mille);
        if (random_.chance(200)) event.type = alarm_type;
    }
    if (options_.bulk_per_mille == 0) return;
    for (Sent& event : events) {
        if (event.type != alarm_type && random_.chance(options_.bulk_per_mille)) event.type = bulk_type;
    }
}

std::uint64_t SimProducer::next_ns() const {
    std::uint64_t next = io_.next_event_ns();
    if (state_ == State::away) next = std::min(next, retry_at_ns_);
    if (state_ != State::away) next = std::min(next, heard_ns_ + silence_ns_max);
    if (released_ < events.size()) next = std::min(next, next_event_at_ns_);
    return std::max(next, clock_.now_ns);
}

std::uint64_t SimProducer::step() {
    const auto completions = io_.wait({clock_.now_ns});
    for (const io::Completion& one : completions) take(one);
    while (released_ < events.size() && next_event_at_ns_ <= clock_.now_ns) {
        todo_.push_back(++released_);
        next_event_at_ns_ = std::max(next_event_at_ns_, clock_.now_ns) +
                            (random_.chance(700) ? 0 : random_.within(0, options_.gap_ns_max));
    }
    if (state_ != State::away && clock_.now_ns >= heard_ns_ + silence_ns_max) {
        heard_ns_ = clock_.now_ns;
        if (!is_done()) go_away(ns_per_ms);
    }
    if (state_ == State::away && clock_.now_ns >= retry_at_ns_) {
        retry_at_ns_ = UINT64_MAX;
        heard_ns_ = clock_.now_ns;
        ++generation_;
        auto made = io_.connect({options_.to}, {.owner = 0, .kind = 0, .generation = generation_, .index = 0});
        socket_ = made.value();
        state_ = State::connecting;
    }
    if (state_ == State::live) fill();
    send_next();
    return completions.size();
}

std::string SimProducer::state_text() const {
    constexpr const char* names[] = {"away", "connecting", "greeting", "live"};
    return options_.name + ": " + std::to_string(settled_) + " of " + std::to_string(events.size()) + " settled, " +
           std::to_string(released_) + " begun; " + names[static_cast<int>(state_)] + ", " +
           std::to_string(ordinals_.size()) + " sent, " + std::to_string(answered_) + " answered, credit " +
           std::to_string(credit_) + (is_sending_ ? ", sending" : "");
}

void SimProducer::go_away(std::uint64_t pause_ns) {
    if (socket_.is_valid()) io_.close(socket_);
    socket_ = {};
    state_ = State::away;
    retry_at_ns_ = clock_.now_ns + pause_ns + random_.within(0, pause_ns);
    out_.clear();
    out_next_.clear();
    in_.clear();
    is_sending_ = false;
    credit_ = answered_ = 0;
    ordinals_.clear();
    // All that is open goes again, in order.
    todo_.clear();
    todo_next_ = 0;
    for (std::uint64_t number = 1; number <= released_; ++number) {
        if (events[number - 1].fate == Sent::Fate::open) todo_.push_back(number);
    }
}

void SimProducer::take(const io::Completion& one) {
    const bool is_mine = one.token.generation == generation_ && state_ != State::away;
    if (one.op == io::Op::receive && one.result > 0) {
        if (is_mine) in_.insert(in_.end(), one.bytes, one.bytes + one.result);
        io_.release(one.slot);
        if (!is_mine) return;
        heard_ns_ = clock_.now_ns;
        while (in_.size() >= sizeof(wire::FrameHeader)) {
            const auto header = wire::load<wire::FrameHeader>(in_);
            const auto bytes = wire::frame_bytes(header.body_bytes);
            if (in_.size() < bytes) break;
            const std::vector<std::byte> frame(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(bytes));
            in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(bytes));
            take_frame(header, ConstBytes(frame).subspan(sizeof header, header.body_bytes));
            if (state_ == State::away) return;
        }
        return;
    }
    if (!is_mine) return;
    switch (one.op) {
        case io::Op::connect: {
            if (one.result < 0) return go_away(20 * ns_per_ms);
            state_ = State::greeting;
            wire::ProducerHello hello;
            hello.level = options_.level;
            if (options_.is_numbered) hello.name = wire::name_field<wire::producer_name_bytes_max>(options_.name);
            append(out_next_, wire::FrameKind::producer_hello, std::as_bytes(std::span(&hello, 1)), 0);
            io_.receive(socket_, {.owner = 0, .kind = 1, .generation = generation_, .index = 0});
            return;
        }
        case io::Op::send:
            is_sending_ = false;
            if (one.result < 0) return go_away(5 * ns_per_ms);
            out_.clear();
            return;
        case io::Op::receive:
            return go_away(5 * ns_per_ms);
        case io::Op::accept:
        case io::Op::read:
        case io::Op::write:
        case io::Op::sync:
            return;
    }
}

void SimProducer::take_frame(const wire::FrameHeader& header, ConstBytes body) {
    if (header.kind == wire::FrameKind::producer_welcome) {
        const auto welcome = wire::load<wire::ProducerWelcome>(body);
        state_ = State::live;
        credit_ = welcome.credit_events;
        if (options_.is_numbered && welcome.last_number > released_) {
            complaint = options_.name + ": the edge knows number " + std::to_string(welcome.last_number) + " of " +
                        std::to_string(released_);
        }
        if (options_.is_numbered) go_on_after(welcome.last_number);
        return;
    }
    if (header.kind == wire::FrameKind::producer_ack) return take_ack(body);
    if (header.kind == wire::FrameKind::goodbye) return go_away(10 * ns_per_ms);
    if (header.kind == wire::FrameKind::refusal) {
        const auto refusal = wire::load<wire::Refusal>(body);
        const bool is_passing =
            refusal.reason == wire::RefusalReason::draining || refusal.reason == wire::RefusalReason::storage ||
            refusal.reason == wire::RefusalReason::busy || refusal.reason == wire::RefusalReason::limit;
        if (!is_passing) {
            complaint = options_.name + ": refused: " + std::string(wire::text(refusal.reason)) + ": " +
                        std::string(wire::name_of(refusal.detail));
        }
        go_away(50 * ns_per_ms);
    }
}

// What was only received may be gone with the edge's last life: a producer that keeps its events sends it again.
void SimProducer::go_on_after(std::uint64_t last_number) {
    if (options_.level != wire::AckLevel::received) return;
    std::vector<std::uint64_t> again;
    for (std::uint64_t number = last_number + 1; number <= released_; ++number) {
        Sent& event = events[number - 1];
        // What was shed was answered for good.
        if (event.fate == Sent::Fate::open || event.fate == Sent::Fate::shed) continue;
        event.fate = Sent::Fate::open;
        event.was_taken = false;
        --settled_;
        again.push_back(number);
    }
    todo_.insert(todo_.end(), again.begin(), again.end());
    std::sort(todo_.begin(), todo_.end());
}

void SimProducer::take_ack(ConstBytes body) {
    const auto head = wire::load<wire::ProducerAckHead>(body);
    credit_ = std::max(credit_, head.credit_events);
    for (std::uint32_t i = 0; i < head.ranges; ++i) {
        const auto range = wire::load<wire::AckRange>(body.subspan(sizeof head + i * sizeof(wire::AckRange)));
        for (std::uint64_t ordinal = range.first_ordinal; ordinal < range.first_ordinal + range.count; ++ordinal) {
            if (ordinal == 0 || ordinal > ordinals_.size()) {
                complaint = options_.name + ": an answer to what was not sent";
                return;
            }
            const std::uint64_t number = ordinals_[ordinal - 1];
            Sent& event = events[number - 1];
            ++answered_;
            if (event.fate == Sent::Fate::open) ++settled_;
            switch (range.status) {
                case wire::AckStatus::accepted:
                    event.was_taken = true;
                    [[fallthrough]];
                case wire::AckStatus::duplicate:
                    // A numbered dead letter that is sent again is answered as the duplicate it is.
                    event.fate = event.is_valid ? Sent::Fate::accepted : Sent::Fate::dead_lettered;
                    if (!event.is_valid && !options_.is_numbered)
                        complaint = options_.name + ": accepted what is no event";
                    break;
                case wire::AckStatus::dead_lettered:
                    event.fate = Sent::Fate::dead_lettered;
                    if (event.is_valid) complaint = options_.name + ": a good event became a dead letter";
                    break;
                case wire::AckStatus::shed:
                    event.fate = Sent::Fate::shed;
                    if (!may_be_shed(event)) complaint = options_.name + ": a durable lane shed";
                    break;
                case wire::AckStatus::rejected:
                    event.fate = Sent::Fate::rejected;
                    complaint = options_.name +
                                ": rejected: " + std::string(wire::text(static_cast<wire::Reason>(range.reason)));
                    break;
            }
        }
    }
}

bool SimProducer::may_be_shed(const Sent& event) const {
    const auto& types = options_.shed_types;
    return event.is_valid && std::find(types.begin(), types.end(), event.type) != types.end();
}

void SimProducer::fill() {
    while (todo_next_ < todo_.size() && ordinals_.size() < credit_ && ordinals_.size() - answered_ < options_.window) {
        append_event(todo_[todo_next_++]);
    }
}

std::vector<std::byte> SimProducer::junk_of(std::uint64_t number) const {
    Random content(number * 104'729 + static_cast<unsigned char>(options_.name.back()));
    std::vector<std::byte> junk(content.within(16, 80));
    for (std::byte& one : junk) one = static_cast<std::byte>(content.next());
    return junk;
}

void SimProducer::append_event(std::uint64_t number) {
    Sent& event = events[number - 1];
    event.was_sent = true;
    ordinals_.push_back(number);
    const std::uint64_t on_wire = options_.is_numbered ? number : 0;
    if (!event.is_valid) return append(out_next_, wire::FrameKind::event, junk_of(number), on_wire);
    // What an event says depends on its number alone: a repetition is the same bytes.
    Random content(number * 7919 + static_cast<unsigned char>(options_.name.back()));
    const std::string id = std::to_string(number);
    const std::string payload(content.below(options_.payload_bytes_max), 'x');
    append(out_next_, wire::FrameKind::event,
           builder_.build({.id = id,
                           .type = event.type,
                           .source = options_.name,
                           .key = {},
                           .content_type = "text/plain",
                           .payload = payload,
                           .time = {},
                           .trace_id = {}}),
           on_wire);
}

void SimProducer::send_next() {
    if (is_sending_ || out_next_.empty() || (state_ != State::live && state_ != State::greeting)) return;
    std::swap(out_, out_next_);
    out_next_.clear();
    is_sending_ = true;
    io_.send(socket_, out_, {.owner = 0, .kind = 2, .generation = generation_, .index = 0});
}

}  // namespace weir::sim
