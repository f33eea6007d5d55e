// EdgeSwarm: many edges in one process, as central sees them: each with its own id, lineage, connection, chain and credit.
//
// All connect at once. Each sends its batches within the credit of the connection and of the lane, waits for acks, and after a
// refusal or a broken connection comes again, when it was told to or each time later, where the welcome says. What it sends again has
// the same bytes.
//
// With `link_bytes_per_second` all share a link as machines behind one router do: batches go one after the other, no faster than that, each
// edge in its turn. What a busy thread did not send for link_queue_ns goes at once then, as from a router's queue.
//
// Thread    One.
// Bounds    One frame, cut by a full socket, is kept per edge; everything else it sends is made anew when it may be sent.
// Source    Exponential back-off with full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/event_template.hpp"
#include "core/base/result.hpp"
#include "core/wire/control.hpp"
#include "core/wire/splitter.hpp"

namespace weir::bench {

struct SwarmOptions {
    std::string to;
    std::string prefix;
    std::uint32_t count = 1;
    std::uint32_t batches = 1;  // of each edge
    std::uint32_t events = 1;   // of a batch
    std::uint32_t payload_bytes = 100;
    std::uint64_t link_bytes_per_second = 0;  // 0: no bound
};

struct SwarmTotals {
    std::uint64_t acked_events = 0;
    std::uint64_t done_edges = 0;
    std::uint64_t connects = 0;  // begun
    std::uint64_t refused = 0;   // by a refusal
    std::uint64_t lost = 0;      // not made, or ended, without one
    std::uint64_t resent_batches = 0;
    std::uint64_t batch_bytes = 0;             // of frames sent, those sent again included
    std::array<std::uint64_t, 16> refusals{};  // by RefusalReason
};

class EdgeSwarm {
  public:
    static constexpr std::uint64_t pause_ms_min = 100;
    static constexpr std::uint64_t pause_ms_max = 10'000;
    static constexpr std::uint64_t link_queue_ns = 10 * ns_per_ms;

    explicit EdgeSwarm(SwarmOptions options);
    ~EdgeSwarm();
    EdgeSwarm(const EdgeSwarm&) = delete;
    EdgeSwarm& operator=(const EdgeSwarm&) = delete;

    // Makes room for its sockets and resolves the address.
    [[nodiscard]] Status open();
    // Connects those whose time has come, takes what has arrived, sends what may be sent; waits up to `wait_ms` for that.
    void pump(int wait_ms);
    [[nodiscard]] bool is_done() const { return totals_.done_edges == options_.count; }
    [[nodiscard]] const SwarmTotals& totals() const { return totals_; }

  private:
    enum class State : std::uint8_t { waiting, connecting, greeting, live, over };
    struct Edge {
        explicit Edge(wire::CarryPool& pool) : splitter(pool) {}
        wire::FrameSplitter splitter;
        int socket = -1;
        State state = State::waiting;
        bool watches_room = false;
        bool is_done = false;
        bool is_at_link = false;
        std::uint32_t index = 0;
        std::uint32_t next_batch = 0;  // to be sent on this connection
        std::uint32_t acked_batches = 0;
        std::uint32_t failures = 0;  // in a row
        std::uint64_t told_ms = 0;   // to wait, by the refusal; 0: nothing
        std::uint64_t credit = 0, lane_credit = UINT64_MAX, sent = 0;
        MonotonicNs due{};
        std::vector<std::byte> unsent;    // the rest of a frame
        std::vector<std::uint32_t> crcs;  // header_crc of each batch that was made
    };

    void connect(Edge& edge);
    void greet(Edge& edge);
    void receive(Edge& edge);
    void take(Edge& edge, const wire::FrameHeader& header, ConstBytes body);
    void note_acked(Edge& edge, Sequence last_sequence);
    void send_more(Edge& edge);
    [[nodiscard]] bool may_send(const Edge& edge) const;
    void send_batch(Edge& edge);
    void serve_link(MonotonicNs now);
    void lose(Edge& edge);
    [[nodiscard]] ConstBytes make_batch(Edge& edge, std::uint32_t batch);
    // False: the socket is full, or broken.
    [[nodiscard]] bool send(Edge& edge, ConstBytes bytes);
    [[nodiscard]] bool flush(Edge& edge);
    void watch_room(Edge& edge, bool is_watched);

    SwarmOptions options_;
    SwarmTotals totals_;
    wire::CarryPool no_carries_;
    std::vector<std::unique_ptr<Edge>> edges_;
    EventTemplate event_;
    WallNs wall_;
    std::uint64_t run_;
    std::mt19937_64 random_;
    std::vector<std::byte> frame_;         // the batch that is made
    std::uint64_t batch_frame_bytes_ = 0;  // of each
    std::vector<std::byte> address_;
    int poll_ = -1;
    MonotonicNs looked_{};
    std::deque<std::uint32_t> link_;  // edges with something to send, in turns
    MonotonicNs link_free_at_{};
};

}  // namespace weir::bench
