// Dead letters held in bounds: each producer's quota, and the fuses of the stages.
#include "edge/intake/intake.hpp"

namespace weir::edge {
namespace {

// Of the receive slots, what connections that a fuse holds may keep pinned; above it they are ended, to come again.
constexpr std::uint64_t held_slots_share = 4;

}  // namespace

// Above its quota a producer's failing events are rejected: known to it, counted, not kept.
void Intake::limit_letters() {
    const std::uint64_t per_minute = judgement_->dead_letters().quota_per_minute;
    if (per_minute == 0) return;
    for (EventRef& event : vector_.events()) {
        if (event.verdict != Verdict::dead_letter) continue;
        LetterQuota::Used& used = event.producer >= 0 ? letters_of_producers_[static_cast<std::size_t>(event.producer)]
                                                      : connections_[event.connection].letters;
        if (!LetterQuota::take(used, per_minute, now_)) {
            event.fail(Verdict::rejected, wire::Reason::letter_quota, event.stage);
        }
    }
}

// Counts what is kept as a letter, where it failed; what reached a stage and did not fail there has passed it.
void Intake::count_failures(MonotonicNs now) {
    // Most rows of a connection pass whole.
    std::uint32_t passed = 0;
    std::uint32_t of = no_index;
    const auto count_row = [&] {
        if (passed == 0) return;
        auto& records = connections_[of].records;
        for (std::size_t stage = 0; stage < fused_stages; ++stage) fuses_[stage].count_passed(records[stage], passed);
        passed = 0;
    };
    for (const EventRef& event : vector_.events()) {
        switch (event.verdict) {
            case Verdict::admitted:
            case Verdict::duplicate:
            case Verdict::shed:
                if (event.connection != of) count_row();
                of = event.connection;
                ++passed;
                break;
            case Verdict::dead_letter:
                count_row();
                count_letter(event);
                break;
            case Verdict::rejected:
            case Verdict::dropped:
            case Verdict::waiting:  // is judged again, and counted then
                break;
        }
    }
    count_row();
    look_at_fuses(now);
}

void Intake::count_letter(const EventRef& event) {
    const bool failed_decode = event.stage == wire::StageId::decode;
    auto& records = connections_[event.connection].records;
    fuses_[0].count(records[0], failed_decode);
    if (!failed_decode) fuses_[1].count(records[1], event.stage == wire::StageId::validate);
}

void Intake::look_at_fuses(MonotonicNs now) {
    for (std::size_t stage = 0; stage < fused_stages; ++stage) {
        if (!fuses_[stage].look(now)) continue;
        counters_.fuse_state[stage].set(static_cast<std::uint64_t>(fuses_[stage].state()));
        if (fuses_[stage].state() == FuseState::open) counters_.fuse_blown[stage].add(1);
    }
}

bool Intake::is_held(const Connection& connection) const noexcept {
    if (connection.session != Session::open) return false;
    return fuses_[0].holds(connection.records[0]) || fuses_[1].holds(connection.records[1]);
}

void Intake::reset_fuses() {
    for (std::size_t stage = 0; stage < fused_stages; ++stage) {
        fuses_[stage].configure(judgement_->dead_letters());
        counters_.fuse_state[stage].set(0);
    }
}

void Intake::keep_fuses(MonotonicNs now) {
    if (controls_ != nullptr && controls_->fuse_resets.load(std::memory_order_relaxed) != fuse_resets_) {
        fuse_resets_ = controls_->fuse_resets.load(std::memory_order_relaxed);
        reset_fuses();
    }
    look_at_fuses(now);
    std::uint64_t held = 0, pinned = 0;
    for (std::uint32_t index = 0; index < connections_.size(); ++index) {
        Connection& connection = connections_[index];
        const bool is_held_now = is_held(connection);
        if (!is_held_now) {
            if (std::exchange(connection.is_held, false)) let_go(index);
            continue;
        }
        ++held;
        connection.is_held = true;
        if (!connection.is_paused) {
            connection.is_paused = true;
            io_.pause_receive(connection.socket, true);
        }
        pinned += connection.held_count;
        if (connection.peer_failed) {
            close(index);
        } else if (pinned > receive_slots_ / held_slots_share) {
            pinned -= connection.held_count;
            refuse(index, wire::RefusalReason::limit, "too many of its events fail: come back later");
        }
    }
    counters_.connections_held.set(held);
}

// Reading goes on where it stopped.
void Intake::let_go(std::uint32_t index) {
    Connection& connection = connections_[index];
    if (connection.session != Session::open || draining_) return;
    if (connection.is_paused && connection.held_head == no_index) {
        connection.is_paused = false;
        io_.pause_receive(connection.socket, false);
    }
    make_ready(index);
}

}  // namespace weir::edge
