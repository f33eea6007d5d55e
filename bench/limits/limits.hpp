// What this machine can do at best, each by a program that does nothing else. Run in turn with weir's benches, never beside them.
//
// Thread    Each measure starts its own threads, pinned to the first two cores this process may use, and joins them.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace weir::limits {

struct LimitsOptions {
    std::string directory = ".";  // of the disk that is measured
    double seconds = 0.5;         // of each single measure
};
// A measured quantity, named with its unit at the end; one JSON object is made of all.
using Measured = std::vector<std::pair<std::string, double>>;

// A cache line there and back between two cores, a system call, the clock.
[[nodiscard]] Measured measure_hop(const LimitsOptions& options);
// TCP over loopback: 200 bytes there and back, and streaming.
[[nodiscard]] Measured measure_tcp(const LimitsOptions& options);
// Durable appends to a file written before, past the page cache: one and four at a time.
[[nodiscard]] Measured measure_disk(const LimitsOptions& options);
// What one core does of the edge's work at most: receive, split, verify, look up, append; and the same forwarded.
[[nodiscard]] Measured measure_composed(const LimitsOptions& options);

[[nodiscard]] std::uint64_t now_ns();
[[nodiscard]] std::uint64_t thread_cpu_ns();
// To the n-th core this process may use; stays where it is if there are fewer.
void pin(unsigned n);
// Sorts; of rank ceil(share * count).
[[nodiscard]] double percentile(std::vector<std::uint64_t>& values, double share);
// Prints what failed and errno, and ends the process: a limit is measured whole or not at all.
[[noreturn]] void die(const char* what);

// Two connected TCP sockets over loopback.
struct SocketPair {
    int near = -1;
    int far = -1;
};
[[nodiscard]] SocketPair tcp_pair();

}  // namespace weir::limits
