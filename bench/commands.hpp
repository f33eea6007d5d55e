// The commands of weir-bench. Each returns the process's exit code.
#pragma once

#include <cstdint>
#include <string>

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
    std::uint64_t events = 0;
    std::uint64_t rate = 0;  // 0 = max
    std::uint32_t payload_bytes = 100;
    std::uint32_t keys = 0;  // 0: all events have one key
    std::string source = "weir-bench";
    wire::AckLevel level = wire::AckLevel::spooled;
    std::uint64_t warmup_events = 0;
    bool as_json = false;
    std::uint64_t timeout_s = 0;
    std::string ca_file;  // TLS; empty: plain
};
[[nodiscard]] int load_command(const LoadOptions& options);

struct EdgesOptions {
    std::string to;           // HOST:PORT of a central
    std::uint32_t count = 1;  // edges, each with an id and a lineage of its own
    std::uint32_t batches = 1;
    std::uint32_t events = 1;  // of one batch
    std::uint32_t payload_bytes = 100;
    std::string prefix = "bench";  // of the edges' ids
    int pid = 0;                   // of central, on this machine; 0: its memory is not looked at
    bool as_json = false;
    std::uint64_t timeout_s = 60;  // without any ack for so long: give up
};
// 0: every batch of every edge is acked.
[[nodiscard]] int edges_command(const EdgesOptions& options);

}  // namespace weir::bench
