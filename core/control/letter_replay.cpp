#include "core/control/letter_replay.hpp"

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/wire/replay.hpp"

namespace weir::control {
namespace {

constexpr std::size_t marks_max = 1024;        // then they are stored
constexpr std::uint64_t offers_per_pump = 64;  // between two looks for answers
constexpr std::uint64_t wait_ns_max = 10 * ns_per_ms;

}  // namespace

std::string_view text(ReplayOutcome outcome) noexcept {
    switch (outcome) {
        case ReplayOutcome::accepted:
            return "accepted";
        case ReplayOutcome::duplicate:
            return "duplicate";
        case ReplayOutcome::rejected:
            return "rejected";
        case ReplayOutcome::not_an_event:
            return "not_an_event";
        case ReplayOutcome::refused:
            return "refused";
        case ReplayOutcome::unanswered:
            return "unanswered";
        case ReplayOutcome::would_offer:
            return "would_offer";
    }
    return "unknown";
}

LetterReplay::LetterReplay(const DeadLetterArguments& arguments, std::ostream& out, std::ostream& err)
    : arguments_(arguments), err_(err), out_(out) {}

void LetterReplay::offer(const DeadLetter& letter) {
    if (letter.fault != wire::Reason::none) {
        return report(letter.edge, letter.lineage, letter.sequence, ReplayOutcome::not_an_event,
                      wire::text(letter.fault));
    }
    if (arguments_.dry_run) {
        return report(letter.edge, letter.lineage, letter.sequence, ReplayOutcome::would_offer, "");
    }
    Session& session = session_of(letter);
    while (session.client && !session.client->offer(letter.original, letter.sequence, monotonic_now(), false)) {
        pump(session, wait_ns_max);
    }
    if (!session.client) {
        return report(letter.edge, letter.lineage, letter.sequence, session.fault_outcome, session.fault);
    }
    session.waiting.insert(letter.sequence);
    if (++count_ % offers_per_pump == 0) pump(session, 0);
}

LetterReplay::Session& LetterReplay::session_of(const DeadLetter& letter) {
    const auto [found, is_new] = sessions_.try_emplace(letter.lineage);
    Session& session = found->second;
    if (!is_new) return session;
    session.edge = letter.edge;
    session.lineage = letter.lineage;
    session.moved = monotonic_now();
    client::ClientOptions options;
    options.to = arguments_.to;
    options.level = wire::AckLevel::spooled;
    options.producer = wire::replay_name(letter.lineage, letter.edge);
    options.arena_bytes = 4U << 20;
    options.events_max = 4096;
    options.on_answer = [this, &session](std::uint64_t sequence, wire::AckStatus status, wire::Reason reason) {
        answered(session, sequence, status, reason);
    };
    session.client = std::make_unique<client::ProducerClient>(std::move(options));
    return session;
}

void LetterReplay::pump(Session& session, std::uint64_t wait_ns) {
    if (const Status status = session.client->pump(wait_ns); !status) {
        return give_up(session, ReplayOutcome::refused, status.error().what);
    }
    const MonotonicNs now = monotonic_now();
    if (session.client->totals().acked != session.acked) {
        session.acked = session.client->totals().acked;
        session.moved = now;
    } else if (now.since(session.moved) > arguments_.timeout_s * ns_per_second) {
        const std::string& last = session.client->last_fault();
        give_up(session, ReplayOutcome::unanswered,
                "no answer for " + number(arguments_.timeout_s) + " s" + (last.empty() ? "" : ": " + last));
    }
    if (marks_.size() >= marks_max) store_marks();
}

void LetterReplay::give_up(Session& session, ReplayOutcome outcome, std::string why) {
    err_ << "dead-letters: replay: " << arguments_.to << ": " << why << "\n";
    session.client.reset();
    session.fault = std::move(why);
    session.fault_outcome = outcome;
    for (const Sequence sequence : session.waiting) {
        report(session.edge, session.lineage, sequence, outcome, session.fault);
    }
    session.waiting.clear();
}

void LetterReplay::answered(Session& session, Sequence sequence, wire::AckStatus status, wire::Reason reason) {
    session.waiting.erase(sequence);
    const bool is_applied = status == wire::AckStatus::accepted || status == wire::AckStatus::duplicate;
    if (!is_applied) {
        return report(session.edge, session.lineage, sequence, ReplayOutcome::rejected, wire::text(reason));
    }
    report(session.edge, session.lineage, sequence,
           status == wire::AckStatus::accepted ? ReplayOutcome::accepted : ReplayOutcome::duplicate, "");
    LetterMark* last = marks_.empty() ? nullptr : &marks_.back();
    if (last != nullptr && last->lineage == session.lineage && last->last + 1 == sequence) {
        last->last = sequence;
    } else {
        marks_.push_back({LetterState::replayed, session.edge, session.lineage, sequence, sequence});
    }
}

void LetterReplay::report(std::string_view edge, std::uint64_t lineage, Sequence sequence, ReplayOutcome outcome,
                          std::string_view why) {
    ++counts_[static_cast<std::size_t>(outcome)];
    if (!why.empty()) {
        const auto known = reasons_.find(why);
        ++(known == reasons_.end() ? reasons_.emplace(why, 0).first : known)->second;
    }
    std::string& line = out_.text();
    if (arguments_.json) {
        line += "{\"edge\":";
        json_quote(edge, line);
        line += ",\"lineage\":\"";
        append_hex(lineage, 16, line);
        line += "\",\"sequence\":" + number(sequence) + ",\"outcome\":\"";
        line.append(text(outcome)).append("\"");
        if (!why.empty()) {
            line += ",\"reason\":";
            json_quote(why, line);
        }
        line += '}';
    } else {
        line.append(edge).append(" ") += number(sequence) + " ";
        line.append(text(outcome));
        if (!why.empty()) line.append(" ").append(why);
    }
    out_.end_line();
}

void LetterReplay::store_marks() {
    const Status stored = LetterMarks::add(arguments_.directory, marks_, wall_now(), arguments_.reason_text);
    if (!stored) {
        err_ << "dead-letters: replay: " << stored.error().what << "\n";
        has_failed_ = true;
    }
    marks_.clear();
}

int LetterReplay::finish() {
    for (auto& [lineage, session] : sessions_) {
        session.moved = monotonic_now();
        while (session.client && session.client->unacked_count() > 0) pump(session, wait_ns_max);
    }
    store_marks();
    if (!arguments_.json) print_sum();
    const auto count_of = [this](ReplayOutcome outcome) { return counts_[static_cast<std::size_t>(outcome)]; };
    const std::uint64_t not_applied = count_of(ReplayOutcome::rejected) + count_of(ReplayOutcome::not_an_event) +
                                      count_of(ReplayOutcome::refused) + count_of(ReplayOutcome::unanswered);
    return not_applied > 0 || has_failed_ ? 1 : 0;
}

void LetterReplay::print_sum() {
    std::string& line = out_.text();
    line += arguments_.dry_run ? "dry run:" : "replayed:";
    for (std::size_t i = 0; i < replay_outcomes; ++i) {
        if (counts_[i] == 0) continue;
        line.append(" ").append(text(static_cast<ReplayOutcome>(i))).append(" ") += number(counts_[i]);
    }
    for (const auto& [reason, count] : reasons_) line.append("  ").append(reason).append(" ") += number(count);
    out_.end_line();
}

}  // namespace weir::control
