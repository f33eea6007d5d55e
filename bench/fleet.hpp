// Fleet: the producers of a load, each on a connection of its own, served by one thread.
//
//   Schedule ─▶ events that are due, dealt to the connections in turn ─▶ ProducerClient ─▶ edge ─▶ acks ─▶ LatencyLog of the group
//
// Thread    One.
// Pressure  What is due and cannot be taken (credit, room, a stall) is owed to its connection, and counts from when it was due.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/commands.hpp"
#include "bench/event_mix.hpp"
#include "bench/latency_log.hpp"
#include "bench/schedule.hpp"
#include "core/client/producer_client.hpp"

namespace weir::bench {

// Connections with one ack level, apart from those that stall.
struct FleetGroup {
    std::string name;  // "spooled", "spooled (stalling)"
    wire::AckLevel level = wire::AckLevel::spooled;
    LatencyLog latency;
};

class Fleet {
  public:
    Fleet(const LoadOptions& options, Schedule schedule, EventMix mix);
    ~Fleet();
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;

    // Connects all; an error when it is refused for good, or after connect_s_max.
    [[nodiscard]] Status connect();
    // The schedule begins. From `steady_ns` after it on (or from the event of this index on) events count.
    void begin(MonotonicNs start, std::uint64_t steady_ns, std::uint64_t steady_index);
    // Sends what is due, of up to `events_max` events in all and due before `end_ns`, and takes what is answered; waits a little where there is
    // nothing to do.
    [[nodiscard]] Status round(std::uint64_t events_max, std::uint64_t end_ns);

    [[nodiscard]] bool is_all_sent(std::uint64_t events_max, std::uint64_t end_ns) const;
    [[nodiscard]] std::uint64_t unacked_count() const;
    [[nodiscard]] std::uint64_t offered_count() const { return offered_; }
    [[nodiscard]] bool is_steady() const { return is_steady_; }
    // Events answered in the steady part's time, whenever they were due: with more offered than goes through, the warm-up's among them.
    [[nodiscard]] std::uint64_t answered_count() const { return totals().acked - acked_before_; }
    // From when those are counted; until then 0.
    [[nodiscard]] MonotonicNs answered_since() const { return answered_since_; }
    [[nodiscard]] MonotonicNs last_ack() const;
    [[nodiscard]] client::ClientTotals totals() const;
    [[nodiscard]] wire::Rung rung() const;
    [[nodiscard]] const std::vector<std::unique_ptr<FleetGroup>>& groups() const { return groups_; }
    // How late events were sent, against when they were due; without those of producers that stall.
    [[nodiscard]] const LogLinear<4>& lateness() const { return lateness_; }
    // Of the steady part: time with an event due that no one could take.
    [[nodiscard]] std::uint64_t waited_ns() const { return waited_ns_; }

  private:
    struct Producer {
        std::unique_ptr<client::ProducerClient> client;
        std::uint64_t next_index = 0;  // of its events: every connections-th
        std::uint64_t owed = 0;        // due and not offered yet
        bool is_stalling = false;      // one of those that stall at times
        int watched_fd = -1;
    };
    [[nodiscard]] bool is_stalled(const Producer& producer, std::uint64_t since_ns) const;
    [[nodiscard]] bool offer(Producer& producer, std::uint64_t index, std::uint64_t due_ns, MonotonicNs now);
    void deal(std::uint64_t events_max, std::uint64_t end_ns, MonotonicNs now);
    void offer_owed(Producer& producer, MonotonicNs now);
    void offer_flat_out(Producer& producer, std::uint64_t events_max, std::uint64_t end_ns, MonotonicNs now);
    [[nodiscard]] std::uint64_t wait_ns(std::uint64_t events_max, std::uint64_t end_ns) const;
    [[nodiscard]] Status pump_one(Producer& producer, std::uint64_t wait_ns);
    [[nodiscard]] Status pump_ready(std::uint64_t wait_ns);
    void watch(Producer& producer, std::uint64_t index);
    void mind_waiting(MonotonicNs now);
    void mind_steady_start(MonotonicNs now);

    const LoadOptions& options_;
    Schedule schedule_;
    EventMix mix_;
    std::vector<std::unique_ptr<FleetGroup>> groups_;
    std::vector<Producer> producers_;
    std::vector<std::uint32_t> debtors_;  // producers with something owed
    std::vector<std::uint32_t> fresh_;    // producers with something to send in this round
    std::vector<bool> is_fresh_;
    int epoll_ = -1;
    MonotonicNs start_{};
    std::uint64_t steady_ns_ = 0;
    std::uint64_t steady_index_ = 0;
    bool is_steady_ = false;
    MonotonicNs steady_since_{};
    std::uint64_t acked_before_ = 0;
    MonotonicNs answered_since_{};
    std::uint64_t dealt_ = 0;  // events of the schedule given to a connection
    std::uint64_t offered_ = 0;
    WallNs wall_{};
    LogLinear<4> lateness_;
    MonotonicNs waiting_since_{};
    bool is_waiting_ = false;
    std::uint64_t waited_ns_ = 0;
};

}  // namespace weir::bench
