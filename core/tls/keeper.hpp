// CredentialKeeper: watches the files of [tls] and brings what is new to the endpoints, so that the next handshakes use it. Open
// connections go on; only those whose certificate the deny list names are ended.
//
// Thread    One control thread; the getters below `any thread`.
// Law       Files are taken whole, after they have been checked whole, or not at all; one that is bad changes nothing and is named once.
// Bounds    A change is taken within two looks; a deny list within one, and by each runner at its next duty cycle, park_ns_max later.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tls/endpoint.hpp"

namespace weir::tls {

inline constexpr std::uint64_t look_ns = ns_per_second;

enum class NewsKind : std::uint8_t {
    taken,
    refused,
    deny_list_taken,
    deny_list_refused,
    ageing,
    expired,
    not_yet_good
};
[[nodiscard]] std::string_view text(NewsKind kind) noexcept;
struct News {
    NewsKind kind = NewsKind::taken;
    std::string what;
};

class CredentialKeeper {
  public:
    struct Options {
        TlsFiles files;
        std::string role;  // whom the certificate must be of: "edge"
        std::string name;  // "north"; empty: any name of the role
        WallNs time_floor = build_time();
    };
    // A certificate that has run out is no error: an edge that has one spools on. The error names the file.
    [[nodiscard]] static Result<std::unique_ptr<CredentialKeeper>> open(Options options);

    // Before the runners start. Lives as long as this.
    [[nodiscard]] Result<Endpoint*> add_endpoint(Side side, PeerRule rule);
    // Looks if a look is due, or `is_asked` (SIGHUP): then also at files that have not settled. What is to be told, if anything.
    [[nodiscard]] std::vector<News> look(MonotonicNs now, WallNs wall, bool is_asked);
    template <class Take>
    void take_notes(Take&& take) {
        for (const auto& one : kept_) one.endpoint->take_notes(take);
    }

    // Any thread.
    [[nodiscard]] WallNs not_after() const noexcept { return {not_after_.load(std::memory_order_relaxed)}; }
    // Below 0: since when it has run out.
    [[nodiscard]] std::int64_t seconds_left(WallNs wall) const noexcept;
    // Two thirds of its life are over.
    [[nodiscard]] bool is_ageing(WallNs wall) const noexcept;
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.get(); }
    [[nodiscard]] std::uint64_t taken() const noexcept { return taken_.get(); }
    [[nodiscard]] std::uint64_t denied_count() const noexcept { return denied_count_.get(); }
    struct Kept {
        Side side = Side::server;
        PeerRule rule;
        std::unique_ptr<Endpoint> endpoint;
    };
    [[nodiscard]] const std::vector<Kept>& endpoints() const { return kept_; }

  private:
    explicit CredentialKeeper(Options options) : options_(std::move(options)) {}
    void take(std::unique_ptr<Credentials> next);
    void look_at_credentials(WallNs wall, bool is_asked, std::vector<News>& news);
    void look_at_deny_list(std::vector<News>& news);
    void look_at_age(WallNs wall, std::vector<News>& news);
    [[nodiscard]] std::string fault_of(const Credentials& next, WallNs wall) const;
    [[nodiscard]] Result<std::unique_ptr<TlsState>> make_state(const Credentials& from, Side side,
                                                               const PeerRule& rule) const;
    [[nodiscard]] Status offer(const Credentials& from);

    Options options_;
    std::unique_ptr<Credentials> credentials_;
    DenyList denied_;
    std::vector<Kept> kept_;
    std::string taken_stamp_;  // of the files in use
    std::string seen_stamp_;   // at the last look
    std::string refused_stamp_;
    std::string deny_stamp_;
    MonotonicNs next_look_{};
    std::optional<NewsKind> told_age_;
    std::atomic<std::uint64_t> not_before_{0};
    std::atomic<std::uint64_t> not_after_{0};
    Counter taken_, refused_, denied_count_;
};

}  // namespace weir::tls
