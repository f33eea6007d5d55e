#include "core/control/admin_guard.hpp"

#include <algorithm>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/control/admin_target.hpp"
#include "core/control/log.hpp"
#include "core/control/metrics_text.hpp"

namespace weir::control {
namespace {

constexpr std::uint64_t look_ns = ns_per_second;
constexpr std::string_view bearer = "Bearer ";
constexpr std::string_view anyone = "anyone";

// All of loopback is one: on it an address costs nothing.
std::string_view address_key(std::string_view from) {
    return from.starts_with("127.") || from == "::1" ? std::string_view("loopback") : from;
}

}  // namespace

std::string_view text(AdminRefusal refusal) noexcept {
    switch (refusal) {
        case AdminRefusal::connections:
            return "connections";
        case AdminRefusal::head:
            return "head";
        case AdminRefusal::body:
            return "body";
        case AdminRefusal::host:
            return "host";
        case AdminRefusal::origin:
            return "origin";
        case AdminRefusal::method:
            return "method";
        case AdminRefusal::target:
            return "target";
        case AdminRefusal::rate:
            return "rate";
        case AdminRefusal::pause:
            return "pause";
        case AdminRefusal::token:
            return "token";
        case AdminRefusal::role:
            return "role";
        case AdminRefusal::reason:
            return "reason";
        case AdminRefusal::audit:
            return "audit";
        case AdminRefusal::handshake:
            return "handshake";
    }
    return "unknown";
}

Result<std::unique_ptr<AdminGuard>> AdminGuard::open(Options options, AuditTrail& trail) {
    std::unique_ptr<AdminGuard> guard(new AdminGuard(std::move(options), trail));
    guard->peers_.reserve(peers_max);
    if (!guard->asks_for_tokens()) return guard;
    guard->taken_stamp_ = stamp_of(guard->options_.tokens);
    auto book = TokenBook::load(guard->options_.tokens);
    if (!book) return Error{book.error().code, "admin.tokens: " + book.error().what};
    if (book.value().count() == 0)
        return Error{EINVAL, "admin.tokens: " + guard->options_.tokens + ": has no token and no certificate"};
    guard->book_ = std::make_shared<const TokenBook>(std::move(book.value()));
    return guard;
}

void AdminGuard::look(MonotonicNs now, bool is_asked) {
    trail_.write_notes(now);
    if (!asks_for_tokens() || (now < next_look_ && !is_asked)) return;
    next_look_ = now.plus_ns(look_ns);
    std::string stamp = stamp_of(options_.tokens);
    if (stamp == taken_stamp_ || stamp == refused_stamp_) return;
    auto book = TokenBook::load(options_.tokens);
    AuditEntry entry{.act = "tokens", .who = std::string(options_.owner), .target = options_.tokens};
    if (!book) {
        refused_stamp_ = std::move(stamp);
        tokens_refused_.add(1);
        log_error("tokens_refused", {{"what", book.error().what}});
        entry.outcome = "refused: " + book.error().what;
        trail_.note(entry, now);
        return;
    }
    taken_stamp_ = std::move(stamp);
    refused_stamp_.clear();
    tokens_taken_.add(1);
    entry.outcome = "taken: " + std::to_string(book.value().count());
    log_info("tokens_taken", {{"tokens", book.value().count()}});
    {
        const std::lock_guard lock(mutex_);
        book_ = std::make_shared<const TokenBook>(std::move(book.value()));
    }
    record(entry);
}

void AdminGuard::begin() {
    if (auto read = trail_.begin(); !read) log_error("audit_failed", {{"what", read.error().what}});
    const AuditHead before = trail_.head();
    if (const std::string broken = trail_.last_break(); !broken.empty()) log_error("audit_broken", {{"what", broken}});
    log_info("audit_trail", {{"records", before.records}, {"head", tls::hex_of(before.hash)}});
    if (!asks_for_tokens()) log_info("admin_open", {{"what", "everyone on this machine may do everything"}});
    record({.act = "start",
            .who = options_.owner,
            .outcome = asks_for_tokens() ? "asks for tokens" : "asks for no tokens"});
}

void AdminGuard::record(const AuditEntry& entry) {
    if (auto done = trail_.add(entry); !done) log_error("audit_failed", {{"what", done.error().what}});
}

AdminGuard::Peer& AdminGuard::peer(std::string key, MonotonicNs now) {
    auto found = std::find_if(peers_.begin(), peers_.end(), [&](const Peer& one) { return one.key == key; });
    if (found == peers_.end()) {
        if (peers_.size() < peers_max) {
            found = peers_.emplace(peers_.end());
        } else {
            found = std::min_element(peers_.begin(), peers_.end(),
                                     [](const Peer& a, const Peer& b) { return a.seen < b.seen; });
        }
        *found = {.key = std::move(key), .seen = now, .room = static_cast<double>(options_.limits.requests_per_second)};
    }
    return *found;
}

bool AdminGuard::is_too_often(std::string_view from, MonotonicNs now) {
    Peer& one = peer(std::string(address_key(from)), now);
    const double rate = options_.limits.requests_per_second;
    one.room =
        std::min(rate, one.room + rate * static_cast<double>(now.since(one.seen)) / static_cast<double>(ns_per_second));
    one.seen = now;
    if (one.room < 1) return true;
    one.room -= 1;
    return false;
}

AdminVerdict AdminGuard::refuse(AdminRefusal refusal, unsigned status, std::string_view why) {
    count(refusal);
    return {.status = status, .why = why, .who = {}, .role = {}};
}

AdminVerdict AdminGuard::judge(const AdminCall& call, MonotonicNs now) {
    requests_.add(1);
    if (is_too_often(call.from, now)) {
        auto refused = refuse(AdminRefusal::rate, 429, "more than admin.requests_per_second");
        refused.retry_s = 1;
        return refused;
    }
    const AccessRule rule = rule_for(options_.rules, call.is_act, path_of(call.target));
    AdminVerdict verdict = judge_caller(call, rule.role, now);
    if (verdict.status != 0) return verdict;
    if (rule.needs_reason && call.reason.empty())
        return refuse(AdminRefusal::reason, 400, "the header Weir-Reason is missing: say why");
    if (call.reason.size() > reason_bytes_max)
        return refuse(AdminRefusal::reason, 400, "Weir-Reason is longer than 1000 bytes");
    return verdict;
}

bool AdminGuard::may_come(std::string_view from, MonotonicNs now) {
    if (!is_too_often(from, now)) return true;
    count(AdminRefusal::rate);
    return false;
}

AdminVerdict AdminGuard::judge_caller(const AdminCall& call, std::optional<Role> needed, MonotonicNs now) {
    if (!asks_for_tokens() || !needed) return {.who = std::string(anyone), .role = {}};
    std::shared_ptr<const TokenBook> book;
    {
        const std::lock_guard lock(mutex_);
        book = book_;
    }
    if (!call.authorization.empty()) return judge_token(call, *book, *needed, now);
    if (!call.certificate.empty()) return judge_certificate(call, *book, *needed, now);
    return refuse(AdminRefusal::token, 401, "a token is asked for: Authorization: Bearer NAME.SECRET");
}

AdminVerdict AdminGuard::judge_token(const AdminCall& call, const TokenBook& book, Role needed, MonotonicNs now) {
    const std::string_view token =
        call.authorization.starts_with(bearer) ? call.authorization.substr(bearer.size()) : std::string_view{};
    // Who guesses at one name holds up nobody else's; all names that there are not are one.
    const std::string_view name = claimed_name(token);
    const std::string known(book.has_name(name) ? name : std::string_view("?"));
    Peer& asking = peer(std::string(address_key(call.from)) + ' ' + known, now);
    asking.seen = now;
    if (now < asking.paused_until) {
        auto refused = refuse(AdminRefusal::pause, 429, "too many wrong tokens");
        refused.retry_s = 1 + asking.paused_until.since(now) / ns_per_second;
        return refused;
    }
    const TokenBook::Entry* const entry = book.find(token);
    AuditEntry noted{.act = "authentication",
                     .who = known,
                     .from = std::string(call.from),
                     .target = std::string(path_of(call.target))};
    if (entry == nullptr) {
        fail(asking, now);
        noted.outcome = "wrong token";
        trail_.note(noted, now);
        return refuse(AdminRefusal::token, 401, "the token is not known");
    }
    asking.failures = 0;
    return judge_role(entry->role, needed, std::move(noted), now);
}

// It is of a CA that is trusted: nobody guesses, and nothing is paused.
AdminVerdict AdminGuard::judge_certificate(const AdminCall& call, const TokenBook& book, Role needed, MonotonicNs now) {
    AuditEntry noted{.act = "authentication",
                     .who = "certificate:" + std::string(call.certificate),
                     .from = std::string(call.from),
                     .target = std::string(path_of(call.target))};
    const auto role = book.role_of_certificate(call.certificate);
    if (role) return judge_role(*role, needed, std::move(noted), now);
    noted.outcome = "has no role";
    trail_.note(noted, now);
    return refuse(AdminRefusal::role, 403, "the certificate's name has no role here");
}

AdminVerdict AdminGuard::judge_role(Role role, Role needed, AuditEntry noted, MonotonicNs now) {
    if (may(role, needed)) return {.who = noted.who, .role = std::string(text(role))};
    noted.act = "role";
    noted.role = text(role);
    noted.outcome = "needs " + std::string(text(needed));
    trail_.note(noted, now);
    return refuse(AdminRefusal::role, 403, "the role may not do that");
}

void AdminGuard::fail(Peer& failed, MonotonicNs now) {
    constexpr std::uint32_t doublings_max = 20;
    const AdminLimits& limits = options_.limits;
    if (++failed.failures < limits.failures_max) return;
    const std::uint32_t doublings = std::min(failed.failures - limits.failures_max, doublings_max);
    failed.paused_until = now.plus_ns(std::min(limits.backoff_ms << doublings, limits.backoff_ms_max) * ns_per_ms);
}

Result<std::uint64_t> AdminGuard::begin_act(const AdminCall& call, const AdminVerdict& verdict) {
    acts_.add(1);
    auto begun = trail_.add({.act = "admin",
                             .who = verdict.who,
                             .role = verdict.role,
                             .from = std::string(call.from),
                             .target = std::string(call.target),
                             .reason = std::string(call.reason),
                             .outcome = "asked"});
    if (!begun) {
        count(AdminRefusal::audit);
        log_error("audit_failed", {{"what", begun.error().what}});
    }
    return begun;
}

Status AdminGuard::end_act(std::uint64_t begun, const AdminCall& call, const AdminVerdict& verdict, unsigned status) {
    auto ended = trail_.add({.act = "admin",
                             .who = verdict.who,
                             .role = verdict.role,
                             .from = std::string(call.from),
                             .target = std::string(call.target),
                             .outcome = std::to_string(status),
                             .of = begun});
    if (ended) return Done{};
    log_error("audit_failed", {{"what", ended.error().what}});
    return ended.error();
}

std::string AdminGuard::metrics() const {
    MetricsText out;
    const std::string begin = "weir_" + options_.owner + "_admin_";
    out.counter(begin + "requests_total", "Requests judged", {}, requests_.get());
    out.counter(begin + "acts_total", "Acts that were let in", {}, acts_.get());
    for (std::size_t i = 0; i < admin_refusals; ++i) {
        out.counter(begin + "refused_requests_total", "Requests and connections refused",
                    {{"for", text(static_cast<AdminRefusal>(i))}}, refused_[i].get());
    }
    out.counter(begin + "tokens_taken_total", "Token files taken in place of earlier ones", {}, tokens_taken_.get());
    out.counter(begin + "tokens_refused_total", "Token files that changed and were not taken", {},
                tokens_refused_.get());
    out.gauge(begin + "asks_for_tokens", "0: everyone who reaches the port may do everything", {},
              asks_for_tokens() ? 1.0 : 0.0);
    return out.text() + trail_.metrics("weir_" + options_.owner + "_");
}

std::string AdminGuard::json() const {
    std::size_t tokens = 0, certificates = 0;
    if (asks_for_tokens()) {
        const std::lock_guard lock(mutex_);
        certificates = book_->certificate_count();
        tokens = book_->count() - certificates;
    }
    std::string trail = trail_.json();
    trail.pop_back();
    return std::string("{\"asks_for_tokens\":") + (asks_for_tokens() ? "true" : "false") +
           ",\"tokens\":" + std::to_string(tokens) + ",\"certificates\":" + std::to_string(certificates) +
           ",\"audit_trail\":" + trail + "}\n";
}

std::string AdminGuard::health() const {
    std::string lines;
    if (!asks_for_tokens())
        lines += "note: the admin port asks for no token: everyone on this machine may do everything\n";
    if (const std::string broken = trail_.last_break(); !broken.empty())
        lines += "note: the audit trail had been changed: " + broken + '\n';
    return lines;
}

}  // namespace weir::control
