// Transit: how long events are inside an edge, from one socket to the other: this process sends them as a producer, and is the central
// at whose socket their batch comes out.
//
// An event's latency is from when it was due (open loop) until the bytes that complete its batch have been read. The stand-in
// checks each batch as central does, acks it at once and keeps nothing: what it measures is the edge, its own writing and reading of
// two sockets and the check included.
//
// Thread    One, which polls without a pause: it wants a core of its own.
// Bounds    One connection of each kind; sent_max events that have not come out.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "bench/event_template.hpp"
#include "bench/latency_log.hpp"
#include "core/base/result.hpp"
#include "core/wire/batch.hpp"
#include "core/wire/control.hpp"
#include "core/wire/splitter.hpp"

namespace weir::bench {

struct TransitOptions {
    std::string to;      // the edge, for producers
    std::string listen;  // where the edge expects its central
    std::uint64_t rate = 10'000;
    double seconds = 5;
    double warmup_s = 1;
    std::uint32_t payload_bytes = 30;
    bool as_json = false;
    std::uint64_t timeout_s = 30;  // until the edge has come, or what was sent has come out
};
// 0: every event that was sent has come out, once and in order.
[[nodiscard]] int transit_command(const TransitOptions& options);

// A socket that is never waited for.
class PolledSocket {
  public:
    explicit PolledSocket(int descriptor = -1) : descriptor_(descriptor) {}
    ~PolledSocket();
    PolledSocket(PolledSocket&& other) noexcept;
    PolledSocket& operator=(PolledSocket&& other) noexcept;
    [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
    [[nodiscard]] int descriptor() const { return descriptor_; }
    // Sends what it can, keeps the rest for flush(). False: the connection is over.
    [[nodiscard]] bool send(ConstBytes bytes);
    [[nodiscard]] bool flush();
    // What has come, valid until the next call; empty: nothing. `is_over`: no more will.
    [[nodiscard]] ConstBytes receive(bool& is_over);

  private:
    int descriptor_;
    std::vector<std::byte> unsent_;
    std::vector<std::byte> room_;
};

// Central's half of the uplink.
class StandInCentral {
  public:
    [[nodiscard]] Status listen(const std::string& address);
    // Takes what has come. `out(first, last)` of the events of each batch of a lane but the dead letters'.
    template <class Out>
    [[nodiscard]] Status poll(Out&& out);
    [[nodiscard]] bool has_edge() const { return is_greeted_; }

  private:
    [[nodiscard]] Status accept();
    [[nodiscard]] Status take_hello(ConstBytes body);
    void say(wire::FrameKind kind, ConstBytes body, std::uint64_t number = 0);

    PolledSocket listener_;
    PolledSocket edge_;
    bool is_greeted_ = false;
    std::vector<std::byte> says_;
    wire::CarryPool pool_{1, wire::frame_body_bytes_max};
    wire::FrameSplitter splitter_{pool_};
};

}  // namespace weir::bench
