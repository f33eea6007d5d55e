// AdminGuard: who may do what on a daemon's admin port, how often, and that it is written down.
//
// Without a token file everyone who reaches the port (which is on loopback) may do everything; with one, nobody without a token, or a
// certificate whose name it lists, may more than the rules allow to anyone. A token that is shown counts alone: a browser shows a
// certificate by itself, a token is said on purpose. A wrong one is wrong whatever certificate is beside it.
//
// Thread    judge(), begin_act() and end_act(): the admin server's; begin(), record() and look(): the control thread; counters: any.
// Law       An act begins when a record of it is on the disk, and is answered when a record of its outcome is.
// Bounds    AdminLimits; peers_max addresses and names are remembered, the one longest not seen makes room.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.hpp"
#include "core/control/audit_trail.hpp"
#include "core/control/roles.hpp"
#include "core/control/token_book.hpp"
#include "core/metrics/counter.hpp"

namespace weir::control {

// What a request was refused for, before anything read it.
enum class AdminRefusal : std::uint8_t {
    connections,  // more than connections_max at once
    head,         // too long, or not HTTP
    body,         // too long
    host,         // names another machine
    origin,       // a page in a browser sent it
    method,
    target,     // admin_target.hpp
    rate,       // more than requests_per_second
    pause,      // after failures_max wrong tokens
    token,      // none, or a wrong one
    role,       // not enough for that
    reason,     // none where one is asked for
    audit,      // the trail cannot be written
    handshake,  // of TLS: nobody who may come, or too late
};
inline constexpr std::size_t admin_refusals = 14;
[[nodiscard]] std::string_view text(AdminRefusal refusal) noexcept;

struct AdminLimits {
    std::uint32_t requests_per_second = 500;  // of one address; as many at once
    std::uint32_t failures_max = 5;           // wrong tokens in a row of one address for one name
    std::uint64_t backoff_ms = 1000;          // then nothing of it is looked at for so long; twice as long after each
    std::uint64_t backoff_ms_max = 30'000;    // further one, up to this
    bool operator==(const AdminLimits&) const = default;
};

struct AdminCall {
    bool is_act = false;
    std::string_view target{};
    std::string_view from{};           // the peer's address
    std::string_view authorization{};  // the header
    std::string_view certificate{};    // NAME of the operator's certificate that was shown
    std::string_view reason{};         // the header Weir-Reason
};
struct AdminVerdict {
    unsigned status = 0;  // 0: let in; else what it is answered with
    std::string_view why = "";
    std::uint64_t retry_s = 0;  // Retry-After; 0: none
    std::string who{};
    std::string role{};  // empty: no tokens are asked for
};

class AdminGuard {
  public:
    static constexpr std::size_t peers_max = 256;

    struct Options {
        std::string owner;   // "edge", as its metrics begin
        std::string tokens;  // the file; empty: none are asked for
        AdminLimits limits;
        std::vector<AccessRule> rules;
    };
    // `trail` outlives it. The error names the token file.
    [[nodiscard]] static Result<std::unique_ptr<AdminGuard>> open(Options options, AuditTrail& trail);

    // Begins the trail; says at the start, in log and trail, where the trail stands and whether tokens are asked for.
    void begin();
    // A record of something that nobody waits for; a failure is logged and counted.
    void record(const AuditEntry& entry);
    // What outsiders do to the daemon's other ports: one record of each act in AuditTrail::note_period_ns. The control thread.
    void note(const AuditEntry& entry, MonotonicNs now) { trail_.note(entry, now); }
    // Where the token file has changed since: reads it, whole or not at all. Logs and records what came of it.
    void look(MonotonicNs now, bool is_asked);
    [[nodiscard]] AdminVerdict judge(const AdminCall& call, MonotonicNs now);
    // Before a handshake: false, and counted, where an address asks for more than it may.
    [[nodiscard]] bool may_come(std::string_view from, MonotonicNs now);
    // The record's sequence, for its end.
    [[nodiscard]] Result<std::uint64_t> begin_act(const AdminCall& call, const AdminVerdict& verdict);
    [[nodiscard]] Status end_act(std::uint64_t begun, const AdminCall& call, const AdminVerdict& verdict,
                                 unsigned status);
    void count(AdminRefusal refusal) {
        refused_[static_cast<std::size_t>(refusal)].add(1);
    }  // the admin server's thread

    [[nodiscard]] bool asks_for_tokens() const { return !options_.tokens.empty(); }
    [[nodiscard]] AuditTrail& trail() { return trail_; }
    [[nodiscard]] std::string metrics() const;
    // For /api/v1/access: whether tokens are asked for, how many there are, and the trail's head.
    [[nodiscard]] std::string json() const;
    // A line for /readyz where everyone may do everything; else empty.
    [[nodiscard]] std::string health() const;

  private:
    struct Peer {
        std::string key;
        MonotonicNs seen{};
        double room = 0;  // requests
        std::uint32_t failures = 0;
        MonotonicNs paused_until{};
    };
    AdminGuard(Options options, AuditTrail& trail) : options_(std::move(options)), trail_(trail) {}
    [[nodiscard]] Peer& peer(std::string key, MonotonicNs now);
    [[nodiscard]] bool is_too_often(std::string_view from, MonotonicNs now);
    [[nodiscard]] AdminVerdict judge_caller(const AdminCall& call, std::optional<Role> needed, MonotonicNs now);
    [[nodiscard]] AdminVerdict judge_token(const AdminCall& call, const TokenBook& book, Role needed, MonotonicNs now);
    [[nodiscard]] AdminVerdict judge_certificate(const AdminCall& call, const TokenBook& book, Role needed,
                                                 MonotonicNs now);
    // What a known caller may; `noted` names him.
    [[nodiscard]] AdminVerdict judge_role(Role role, Role needed, AuditEntry noted, MonotonicNs now);
    [[nodiscard]] AdminVerdict refuse(AdminRefusal refusal, unsigned status, std::string_view why);
    void fail(Peer& failed, MonotonicNs now);

    Options options_;
    AuditTrail& trail_;
    mutable std::mutex mutex_;  // of book_
    std::shared_ptr<const TokenBook> book_;
    std::string taken_stamp_, refused_stamp_;
    MonotonicNs next_look_{};
    std::vector<Peer> peers_;
    std::array<Counter, admin_refusals> refused_;
    Counter requests_, acts_, tokens_taken_, tokens_refused_;
};

}  // namespace weir::control
