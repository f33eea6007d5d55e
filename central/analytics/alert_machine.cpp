#include "central/analytics/alert_machine.hpp"

#include <algorithm>

namespace weir::analytics {
namespace {

Severity escalated(Severity severity) {
    return severity == Severity::info ? Severity::warning : Severity::critical;
}

}  // namespace

std::string_view text(Severity severity) {
    switch (severity) {
        case Severity::info:
            return "info";
        case Severity::warning:
            return "warning";
        case Severity::critical:
            return "critical";
    }
    return "unknown";
}

std::string_view text(NoticeKind kind) {
    switch (kind) {
        case NoticeKind::fired:
            return "fired";
        case NoticeKind::escalated:
            return "escalated";
        case NoticeKind::repeated:
            return "repeated";
        case NoticeKind::resolved:
            return "resolved";
        case NoticeKind::folded:
            return "folded";
    }
    return "unknown";
}

std::string_view text(Fate fate) {
    switch (fate) {
        case Fate::told:
            return "told";
        case Fate::silenced:
            return "silenced";
        case Fate::suppressed:
            return "suppressed";
        case Fate::grouped:
            return "grouped";
    }
    return "unknown";
}

AlertMachine::AlertMachine(std::vector<AlertRule> rules) : rules_(std::move(rules)), alerts_(rules_.size()) {
    for (const AlertRule& rule : rules_) {
        WEIR_ASSERT(rule.keys_max > 0);
        if (!rule.group.empty()) group_names_.push_back(rule.group);
    }
    std::sort(group_names_.begin(), group_names_.end());
    group_names_.erase(std::unique(group_names_.begin(), group_names_.end()), group_names_.end());
    groups_.resize(group_names_.size());
}

void AlertMachine::observe(std::uint32_t rule, std::string_view key, Observed what, std::uint64_t time_ns,
                           std::vector<Notice>& out) {
    Alerts& alerts = alerts_.at(rule);
    const HashedKey hashed(key.substr(0, key_bytes_max));
    Alerts::Slot slot = alerts.find(hashed);
    if (slot == Alerts::no_slot && what != Observed::raise) return;
    const bool is_new = slot == Alerts::no_slot;
    slot = alerts.touch(hashed, slot);
    Alert& alert = alerts.at(slot);
    // What corrects the past is taken as said now: an alert does not go back in time.
    time_ns = std::max({time_ns, alert.seen_ns, is_new ? std::uint64_t{0} : alert.since_ns});
    if (is_new) alert.since_ns = time_ns;
    if (!is_new && pass(rule, alerts.key_of(slot), alert, time_ns, out)) {
        alert = Alert{};
        if (what != Observed::raise) {
            alerts.erase(slot);
            return;
        }
        alert.since_ns = time_ns;
    }
    alert.seen_ns = time_ns;
    if (what == Observed::raise) alert.raised_ns = time_ns;
    if (what != Observed::clear) alert.clear_since_ns = UINT64_MAX;
    if (what == Observed::clear) alert.clear_since_ns = std::min(alert.clear_since_ns, time_ns);
    if (what != Observed::raise && !alert.is_firing) {
        alerts.erase(slot);  // pending, and it does not hold any more
        return;
    }
    settle(rule, slot, time_ns, out);
    if (alerts.count() <= rules_[rule].keys_max) return;
    const Alerts::Slot oldest = alerts.oldest();
    if (alerts.at(oldest).is_firing) {
        say(NoticeKind::resolved, rule, alerts.key_of(oldest), alerts.at(oldest), time_ns, out);
        out.back().is_evicted = true;
        --firing_;
    }
    alerts.erase(oldest);
}

void AlertMachine::settle(std::uint32_t rule, Alerts::Slot slot, std::uint64_t now_ns, std::vector<Notice>& out) {
    Alerts& alerts = alerts_[rule];
    Alert& alert = alerts.at(slot);
    if (pass(rule, alerts.key_of(slot), alert, now_ns, out)) {
        alerts.erase(slot);
        return;
    }
    const std::uint64_t next_ns = next_of(rules_[rule], alert);
    if (next_ns == alert.next_ns) return;
    alert.next_ns = next_ns;
    if (next_ns != UINT64_MAX) due_.push({next_ns, rule, alerts.key_of(slot)});
}

std::uint64_t AlertMachine::next_of(const AlertRule& rule, const Alert& alert) const {
    if (!alert.is_firing) return alert.since_ns + rule.for_ns;
    std::uint64_t next_ns = UINT64_MAX;
    if (alert.clear_since_ns != UINT64_MAX) next_ns = alert.clear_since_ns + rule.clear_ns;
    if (rule.stale_ns > 0) next_ns = std::min(next_ns, alert.raised_ns + rule.stale_ns);
    if (rule.escalate_ns > 0 && !alert.is_escalated) next_ns = std::min(next_ns, alert.fired_ns + rule.escalate_ns);
    if (rule.repeat_ns > 0) next_ns = std::min(next_ns, alert.said_ns + rule.repeat_ns);
    return next_ns;
}

bool AlertMachine::pass(std::uint32_t rule, const std::string& key, Alert& alert, std::uint64_t now_ns,
                        std::vector<Notice>& out) {
    const AlertRule& of = rules_[rule];
    for (;;) {
        const std::uint64_t at_ns = next_of(of, alert);
        if (at_ns > now_ns) return false;
        if (!alert.is_firing) {
            alert.is_firing = true;
            alert.fired_ns = alert.said_ns = at_ns;
            ++firing_;
            say(NoticeKind::fired, rule, key, alert, at_ns, out);
            continue;
        }
        const bool is_clear = alert.clear_since_ns != UINT64_MAX && at_ns == alert.clear_since_ns + of.clear_ns;
        if (is_clear || (of.stale_ns > 0 && at_ns == alert.raised_ns + of.stale_ns)) {
            say(NoticeKind::resolved, rule, key, alert, at_ns, out);
            --firing_;
            return true;
        }
        if (of.escalate_ns > 0 && !alert.is_escalated && at_ns == alert.fired_ns + of.escalate_ns) {
            alert.is_escalated = true;
            alert.said_ns = at_ns;
            say(NoticeKind::escalated, rule, key, alert, at_ns, out);
            continue;
        }
        // One for all that a jump of time would bring.
        alert.said_ns = at_ns + (std::max(now_ns, now_ns_) - at_ns) / of.repeat_ns * of.repeat_ns;
        say(NoticeKind::repeated, rule, key, alert, at_ns, out);
    }
}

void AlertMachine::say(NoticeKind kind, std::uint32_t rule, const std::string& key, const Alert& alert,
                       std::uint64_t at_ns, std::vector<Notice>& out) {
    end_groups(at_ns, out);
    Notice notice;
    notice.kind = kind;
    notice.severity = alert.is_escalated ? escalated(rules_[rule].severity) : rules_[rule].severity;
    notice.rule = rule;
    notice.key = key;
    notice.time_ns = at_ns;
    notice.since_ns = alert.since_ns;
    notice.fate = fate_of(notice);
    out.push_back(std::move(notice));
}

Fate AlertMachine::fate_of(const Notice& notice) {
    const AlertRule& rule = rules_[notice.rule];
    for (const Silence& one : silences_) {
        const bool is_meant = (one.rule.empty() || one.rule == rule.name) && (one.key.empty() || one.key == notice.key);
        if (is_meant && one.from_ns <= notice.time_ns && notice.time_ns < one.to_ns) return Fate::silenced;
    }
    for (const std::uint32_t other : rule.suppressed_by) {
        const Alerts::Slot slot = alerts_.at(other).find(notice.key);
        if (slot != Alerts::no_slot && alerts_.at(other).at(slot).is_firing) return Fate::suppressed;
    }
    if (rule.group.empty() || notice.kind != NoticeKind::fired) return Fate::told;
    const auto name = std::lower_bound(group_names_.begin(), group_names_.end(), rule.group);
    Group& group = groups_[static_cast<std::size_t>(name - group_names_.begin())];
    if (notice.time_ns < group.open_ns) {
        ++group.folded;
        group.rule = notice.rule;
        return Fate::grouped;
    }
    group.open_ns = notice.time_ns + rule.group_ns;
    return Fate::told;
}

void AlertMachine::end_groups(std::uint64_t now_ns, std::vector<Notice>& out) {
    for (std::size_t index = 0; index < groups_.size(); ++index) {
        Group& group = groups_[index];
        if (group.folded == 0 || group.open_ns > now_ns) continue;
        Notice notice;
        notice.kind = NoticeKind::folded;
        notice.rule = group.rule;
        notice.severity = rules_[group.rule].severity;
        notice.key = group_names_[index];
        notice.time_ns = notice.since_ns = group.open_ns;
        notice.count = group.folded;
        out.push_back(std::move(notice));
        group.open_ns += rules_[group.rule].group_ns;
        group.folded = 0;
    }
}

void AlertMachine::advance(std::uint64_t now_ns, std::vector<Notice>& out) {
    now_ns_ = std::max(now_ns_, now_ns);
    while (!due_.empty() && due_.top().at_ns <= now_ns_) {
        const Due due = due_.top();
        due_.pop();
        const Alerts::Slot slot = alerts_[due.rule].find(due.key);
        if (slot == Alerts::no_slot || alerts_[due.rule].at(slot).next_ns != due.at_ns) continue;
        settle(due.rule, slot, due.at_ns, out);
    }
    end_groups(now_ns_, out);
    std::erase_if(silences_, [&](const Silence& one) { return one.to_ns <= now_ns_; });
}

bool AlertMachine::silence(Silence silence) {
    if (silences_.size() >= silences_max) return false;
    silences_.push_back(std::move(silence));
    return true;
}

void AlertMachine::Alert::save(StateWriter& out) const {
    out.put(is_firing);
    out.put(is_escalated);
    for (const std::uint64_t one : {since_ns, seen_ns, raised_ns, clear_since_ns, said_ns, fired_ns, next_ns}) {
        out.put(one);
    }
}

void AlertMachine::save_tail(StateWriter& out) const {
    for (const Group& group : groups_) {
        out.put(group.open_ns);
        out.put(group.folded);
        out.put(group.rule);
    }
    out.count(silences_.size());
    for (const Silence& one : silences_) {
        out.text(one.rule);
        out.text(one.key);
        out.put(one.from_ns);
        out.put(one.to_ns);
    }
}

void AlertMachine::load(StateReader& in) {
    now_ns_ = in.get<std::uint64_t>();
    firing_ = 0;
    due_ = {};
    for (std::uint32_t rule = 0; rule < rules_.size(); ++rule) {
        Alerts& alerts = alerts_[rule];
        alerts.load(in, rules_[rule].keys_max, [&](Alert& alert) {
            alert.is_firing = in.get<std::uint8_t>() != 0;
            alert.is_escalated = in.get<std::uint8_t>() != 0;
            for (std::uint64_t* one : {&alert.since_ns, &alert.seen_ns, &alert.raised_ns, &alert.clear_since_ns,
                                       &alert.said_ns, &alert.fired_ns, &alert.next_ns}) {
                *one = in.get<std::uint64_t>();
            }
        });
        alerts.for_each([&](Alerts::Slot slot) {
            const Alert& alert = alerts.at(slot);
            firing_ += alert.is_firing ? 1 : 0;
            if (alert.next_ns != UINT64_MAX) due_.push({alert.next_ns, rule, alerts.key_of(slot)});
        });
    }
    for (Group& group : groups_) {
        group.open_ns = in.get<std::uint64_t>();
        group.folded = in.get<std::uint64_t>();
        group.rule = in.get<std::uint32_t>();
        in.require(group.rule < rules_.size());
    }
    silences_.clear();
    const std::uint32_t silences = in.count(silences_max);
    for (std::uint32_t index = 0; index < silences && in.is_ok(); ++index) {
        Silence one;
        one.rule = in.text(key_bytes_max);
        one.key = in.text(key_bytes_max);
        one.from_ns = in.get<std::uint64_t>();
        one.to_ns = in.get<std::uint64_t>();
        silences_.push_back(std::move(one));
    }
}

}  // namespace weir::analytics
