#include "edge/spool/central_probe.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"

namespace weir::edge {

void CentralProbe::begin(const std::string& address, MonotonicNs now) {
    WEIR_ASSERT(is_idle());
    ++generation_;
    until_ = now.plus_ns(patience_ns_);
    auto socket = io_.connect(io::Address{address}, token(tokens_.connect));
    if (!socket) {
        outcome_ = Outcome{};
        return;
    }
    socket_ = socket.value();
    state_ = State::connecting;
}

std::optional<CentralProbe::Outcome> CentralProbe::take_outcome(MonotonicNs now) {
    if (state_ != State::idle && now >= until_) end(std::nullopt);
    return std::exchange(outcome_, std::nullopt);
}

void CentralProbe::cancel() {
    if (state_ != State::idle) end(std::nullopt);
    outcome_.reset();
}

MonotonicNs CentralProbe::next_deadline() const {
    if (outcome_) return MonotonicNs{0};
    return state_ == State::idle ? never : until_;
}

void CentralProbe::on_completion(const io::Completion& completion) {
    const io::Token token = completion.token;
    const bool is_stale = token.generation != generation_ || state_ == State::idle;
    if (token.kind == tokens_.send) {
        // One at a time: no new one begins before it is through.
        is_sending_ = false;
        if (!is_stale && completion.result < 0) end(std::nullopt);
        return;
    }
    if (token.kind == tokens_.connect) {
        if (is_stale) return;
        if (completion.result < 0) return end(std::nullopt);
        return ask();
    }
    if (!is_stale) {
        if (completion.result <= 0) {
            end(std::nullopt);
        } else {
            take_bytes({completion.bytes, static_cast<std::size_t>(completion.result)});
        }
    }
    if (completion.slot != io::no_slot) io_.release(completion.slot);
}

void CentralProbe::ask() {
    state_ = State::asking;
    answer_bytes_ = 0;
    wire::store(Bytes{ping_}, wire::FrameHeader{.kind = wire::FrameKind::ping, .number = generation_});
    is_sending_ = true;
    io_.send(socket_, ping_, token(tokens_.send));
    io_.receive(socket_, token(tokens_.receive));
}

void CentralProbe::take_bytes(ConstBytes bytes) {
    const std::size_t count = std::min(bytes.size(), answer_.size() - answer_bytes_);
    std::copy_n(bytes.begin(), count, answer_.begin() + static_cast<std::ptrdiff_t>(answer_bytes_));
    answer_bytes_ += count;
    if (answer_bytes_ < answer_.size()) return;
    const auto header = wire::load<wire::FrameHeader>(answer_);
    const bool is_answer =
        header.kind == wire::FrameKind::pong && header.number == generation_ && header.body_bytes == 0;
    end(is_answer ? std::optional(header.tag) : std::nullopt);
}

void CentralProbe::end(std::optional<std::uint16_t> life) {
    io_.close(socket_);
    socket_ = {};
    state_ = State::idle;
    outcome_ = Outcome{life};
}

}  // namespace weir::edge
