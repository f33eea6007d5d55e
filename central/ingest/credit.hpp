// Credit: how much an edge may have on its way to central: absolute totals that never shrink within a connection.
//
// CreditShare divides limits.credit_bytes_total among the connections. Each may always have `floor` on its way, so that its
// largest batch can move; the rest is divided: an edge that sends is granted more, as it uses what it has, up to an equal part of
// the rest and to listen.credit_bytes in all. When edges come the part shrinks: nothing is taken back, but what gets durable is
// granted again only down to the new part. When edges go it grows again.
//
// Thread    The ingest runner. No clock, nothing allocated.
// Law       done <= used <= granted for each account; the sum of granted - done over all accounts never exceeds `total`.
#pragma once

#include <algorithm>
#include <cstdint>

#include "central/ingest/positions.hpp"
#include "core/base/assert.hpp"
#include "core/base/types.hpp"

namespace weir::central {

// Of a connection. Bytes of batch frames: header, batch, padding.
struct CreditAccount {
    std::uint64_t granted = 0;
    std::uint64_t used = 0;    // sent
    std::uint64_t done = 0;    // of those used: durable, known before, or set aside
    std::uint64_t window = 0;  // what granted - done is to come back to
    std::uint64_t extra = 0;   // of granted - done: above the floor
    [[nodiscard]] std::uint64_t on_the_way() const { return granted - done; }
};

class CreditShare {
  public:
    struct Options {
        std::uint64_t total = 0;           // >= connections_max * floor
        std::uint64_t floor = 0;           // of each connection
        std::uint64_t connection_max = 0;  // >= floor
        std::uint32_t connections_max = 1;
    };
    explicit CreditShare(Options options)
        : floor_(options.floor),
          connection_max_(options.connection_max),
          reserved_(options.floor * options.connections_max),
          extra_total_(options.total - std::min(options.total, reserved_)) {
        WEIR_ASSERT(floor_ > 0 && connection_max_ >= floor_);
    }

    // The account of a connection that has just been agreed.
    void open(CreditAccount& account) {
        ++accounts_;
        account = {.granted = floor_, .window = floor_};
    }
    void close(CreditAccount& account) {
        WEIR_ASSERT(accounts_ > 0 && extra_used_ >= account.extra);
        --accounts_;
        extra_used_ -= account.extra;
        account = {};
    }
    // False: that would be more than was granted.
    [[nodiscard]] static bool use(CreditAccount& account, std::uint64_t bytes) {
        if (account.used + bytes > account.granted) return false;
        account.used += bytes;
        return true;
    }
    // So much of what was sent is done with; who sends may have as much more on its way, up to its part.
    void done(CreditAccount& account, std::uint64_t bytes) {
        account.done += bytes;
        WEIR_ASSERT(account.done <= account.used);
        account.window += bytes;
        settle(account);
    }
    // Grants what may be granted now; returns how much more that is.
    std::uint64_t grant(CreditAccount& account) {
        account.window = std::min(account.window, part());
        const std::uint64_t wanted = account.done + account.window;
        if (wanted <= account.granted) return 0;
        const std::uint64_t room = floor_ + account.extra + (extra_total_ - extra_used_);
        const std::uint64_t more = std::min(wanted, account.done + room) - account.granted;
        account.granted += more;
        settle(account);
        return more;
    }
    // What each connection may have on its way at most, while so many are here.
    [[nodiscard]] std::uint64_t part() const {
        return std::min(connection_max_, floor_ + extra_total_ / std::max<std::uint64_t>(accounts_, 1));
    }
    // Granted and not done, over all connections: at most so much.
    [[nodiscard]] std::uint64_t on_the_way_max() const { return accounts_ * floor_ + extra_used_; }

  private:
    void settle(CreditAccount& account) {
        const std::uint64_t extra = account.on_the_way() - std::min(account.on_the_way(), floor_);
        extra_used_ = extra_used_ - account.extra + extra;
        account.extra = extra;
        WEIR_ASSERT(extra_used_ <= extra_total_);
    }

    std::uint64_t floor_;
    std::uint64_t connection_max_;
    std::uint64_t reserved_;  // the floors of all connections that there may be
    std::uint64_t extra_total_;
    std::uint64_t extra_used_ = 0;
    std::uint64_t accounts_ = 0;
};

// One lane of one connection, both parts together (FORMAT.md §3.2). Unbound until the first word about it.
struct LaneCredit {
    static constexpr std::uint64_t no_bound = 0;

    LaneId lane = 0;
    LaneName name{};
    bool is_closed = false;  // held, or its journal is stuck: nothing more is granted
    bool is_bound = false;
    bool wants_said = false;
    bool has_set_aside = false;  // batches were dropped unread, or the welcome left some out: a new session is needed
    std::uint64_t window = no_bound;  // of the configuration
    std::uint64_t granted = 0;
    std::uint64_t tolerated = 0;  // before the edge has heard of its first bound, the connection's held alone
    std::uint64_t used = 0;
    std::uint64_t done = 0;

    // From now on it is bound, and may send nothing more for the moment. No news if it is bound already.
    void bind(const CreditAccount& connection) {
        if (is_bound) return;
        is_bound = wants_said = true;
        granted = used;
        tolerated = used + (connection.granted - connection.used);
    }
    [[nodiscard]] bool use(std::uint64_t bytes) {
        if (is_bound && used + bytes > std::max(granted, tolerated)) return false;
        used += bytes;
        return true;
    }
    // Up to `window_now` beyond what is done; more than the connection's credit would say nothing.
    void grant(const CreditAccount& connection, std::uint64_t window_now) {
        const std::uint64_t wanted = std::min(done + window_now, connection.granted);
        if (!is_bound || wanted <= granted) return;
        granted = wanted;
        wants_said = true;
    }
};

}  // namespace weir::central
