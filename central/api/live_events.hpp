// LiveEvents: events as they become durable, for clients of GET /api/v1/events/stream (FORMAT.md).
//
//   Reader ─ take, look ─▶ a queue for each client, by its filter ─ take ─▶ AdminServer
//
// Thread    take(), look(): the reader's. open() and its clients: the admin server's. One mutex.
// Pressure  A queue that is full drops what comes, counts it, and says so behind what it holds. Nobody waits for a client.
// Bounds    clients_max queues of queue_bytes.
// Cost      Nobody listens: one load for a record.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/control/admin.hpp"
#include "core/journal/scan.hpp"
#include "core/metrics/counter.hpp"

namespace weir::central {

struct EventFilter {
    std::optional<std::string> type, key, edge, lane;  // query.hpp, agrees()
};

class LiveEvents {
  public:
    static constexpr std::uint32_t wake_group = 1;  // of AdminServer::wake

    struct Options {
        std::uint32_t clients_max = 0;
        std::uint64_t queue_bytes = 0;
        std::uint64_t beat_ms = 0;
    };
    explicit LiveEvents(const Options& options) : options_(options) {}
    // Before the reader starts; called on its thread.
    void set_wake(std::function<void()> wake) { wake_ = std::move(wake); }

    void take(const journal::RecordView& record);
    // After each run of records: clients with something to take are woken, and all of them each beat_ms.
    void look(MonotonicNs now);

    // Of events in records from `from` on; null: clients_max are here.
    [[nodiscard]] std::unique_ptr<control::AdminStream> open(EventFilter filter, std::uint64_t from);
    [[nodiscard]] std::uint32_t client_count() const { return count_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t told() const { return told_.get(); }
    [[nodiscard]] std::uint64_t dropped() const { return dropped_.get(); }

  private:
    class Client;
    struct Queue {
        EventFilter filter;
        std::uint64_t from = 0;
        std::string events;  // objects with commas between
        std::uint64_t dropped = 0;
        bool wants_beat = false;
    };
    void offer(Queue& queue, const journal::RecordView& record);

    Options options_;
    std::function<void()> wake_;
    std::atomic<std::uint32_t> count_{0};
    mutable std::mutex mutex_;  // for the next two and the queues
    std::vector<std::shared_ptr<Queue>> queues_;
    std::uint64_t position_ = 0;
    bool has_news_ = false;  // the reader's, as are:
    MonotonicNs beaten_{};
    Counter told_, dropped_;
};

}  // namespace weir::central
