// StreamHub: the newest state, as each client of GET /api/v1/stream needs it.
//
//   StreamCollector ─ publish ─▶ StreamHub: state, and delta from the one before ─ take ─▶ each client, when it has taken the last message
//
// Thread    publish(), beat(), clear(), wait(): the collector's. open() and its clients: the admin server's. client_count(): any.
// Pressure  A client that is slow misses states, never waits for others, and holds one message.
// Bounds    Each text is made once, whatever the number of clients.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>

#include "central/api/stream_state.hpp"
#include "core/control/admin.hpp"
#include "core/metrics/counter.hpp"

namespace weir::central {

class StreamHub {
  public:
    using Text = control::AdminStream::Text;
    explicit StreamHub(std::uint32_t pushes_per_second) : pushes_per_second_(pushes_per_second) {}

    // True: it differs from what was told last, and is to be told.
    [[nodiscard]] bool publish(StreamState state, WallNs now);
    // Each client is told that nothing has changed, once.
    void beat(WallNs now);
    // Nobody is here: the next state is new to all.
    void clear();
    // Until a first client opens, or `ms`.
    void wait(std::uint64_t ms);
    void stop();

    [[nodiscard]] std::unique_ptr<control::AdminStream> open();
    [[nodiscard]] std::uint32_t client_count() const { return clients_.load(std::memory_order_relaxed); }
    struct Counters {
        Counter states, deltas, beats, bytes;  // by the admin server's thread: messages given to clients
        Counter published, delta_bytes;        // by the collector's
    };
    [[nodiscard]] const Counters& counters() const { return counters_; }

  private:
    class Client;
    struct Moment {
        StreamHead head;
        std::shared_ptr<const StreamState> state;
        Text delta;          // from head.base; null: there is none
        mutable Text whole;  // made when first asked for, by the admin server's thread
    };

    std::uint32_t pushes_per_second_;
    std::atomic<std::uint32_t> clients_{0};
    mutable std::mutex mutex_;  // for the next five
    std::condition_variable changed_;
    std::shared_ptr<const Moment> moment_;
    Text beat_;
    std::uint64_t beat_number_ = 0;
    bool is_stopping_ = false;
    std::uint64_t sequence_ = 0;  // the collector's
    Counters counters_;
};

}  // namespace weir::central
