// The commands of weir-bench. Each returns the process's exit code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/wire/control.hpp"

namespace weir::bench {

struct SendOptions {
    std::string to;
    std::string ndjson;
    wire::AckLevel level = wire::AckLevel::spooled;
    std::uint64_t rate = 0;  // events per second; 0 = as fast as credit allows
    std::string producer;    // empty: unnumbered
    bool is_now = false;     // events happen when they are sent, whatever time the file says
    bool as_json = false;
    std::uint64_t timeout_s = 0;  // without any ack for so long: give up; 0 = never
    std::string ca_file;          // TLS; empty: plain
};
// 0: everything acked; 1: an event was rejected, or the run could not be finished.
[[nodiscard]] int send_command(const SendOptions& options);

struct LoadOptions {
    std::string to;
    std::uint64_t events = 0;         // of the steady part; 0: by `seconds`
    std::uint64_t warmup_events = 0;  // before it
    double seconds = 0;               // of the steady part
    double warmup_s = 0;
    std::string rate = "max";           // see schedule.hpp
    std::string payload_bytes = "100";  // one size, several in turn ("64,1024"), or eight between two ("64..65536")
    std::string source = "weir-bench";
    std::vector<wire::AckLevel> levels = {wire::AckLevel::spooled};  // the connections take turns
    std::uint32_t connections = 1;
    std::uint64_t keys = 0;  // see key_draw.hpp
    std::string key_distribution = "uniform";
    std::uint32_t stalling = 0;           // so many of the connections neither send nor read ...
    std::uint64_t stall_ms = 100;         // ... for so long ...
    std::uint64_t stall_every_ms = 1000;  // ... of each so long
    bool is_counted_from_sent = false;    // latency from when an event was sent, not from when it was due
    std::string edge_admin;               // HOST:PORT, for what limited the run; empty: not asked
    std::string central_admin;
    std::string token_file;
    std::string hgrm_file;  // empty: none
    std::string svg_file;
    bool as_json = false;
    std::uint64_t timeout_s = 0;
    std::string ca_file;  // TLS; empty: plain
};
// 0: every event was taken; 1: an event was rejected, or the run could not be finished; 2: options that cannot be.
[[nodiscard]] int load_command(const LoadOptions& options);

struct ChartOptions {
    std::string title, subtitle, x_title, y_title;
    std::string x_kind = "number";  // see chart.hpp
    std::string y_kind = "number";
    bool is_x_log = false;
    bool is_y_log = false;
};
// Draws the table on stdin as SVG on stdout: a line of names (the first is x), then numbers, parted by tabs; "-" where there is none.
[[nodiscard]] int chart_command(const ChartOptions& options);

struct EdgesOptions {
    std::string to;           // HOST:PORT of a central
    std::uint32_t count = 1;  // edges, each with an id and a lineage of its own
    std::uint32_t batches = 1;
    std::uint32_t events = 1;  // of one batch
    std::uint32_t payload_bytes = 100;
    std::string prefix = "bench";  // of the edges' ids
    std::uint64_t link_mbit = 0;   // megabit a second that all of them share; 0: no bound
    int pid = 0;                   // of central, on this machine; 0: its memory is not looked at
    bool as_json = false;
    std::uint64_t timeout_s = 60;  // without any ack for so long: give up
};
// 0: every batch of every edge is acked.
[[nodiscard]] int edges_command(const EdgesOptions& options);

struct WatchOptions {
    std::string to;  // HOST:PORT of central's admin port
    std::uint32_t clients = 1;
    std::uint32_t stalled = 0;  // of them: they read nothing
    std::uint64_t seconds = 10;
    std::uint64_t ask_rate = 0;        // requests per second beside them, in turn of:
    std::vector<std::string> targets;  // paths
    std::string token_file;            // empty: none is asked for
    bool as_json = false;
};
// 0: no delta was missed, nobody was let go, and every request was answered 200.
[[nodiscard]] int watch_command(const WatchOptions& options);

}  // namespace weir::bench
