// EdgeDaemon: one edge in one process: recovery, two runners, the admin port and the control loop.
//
//   control thread: recover ─▶ start spool runner ─▶ start intake runner ─▶ admin ─▶ wait for signals, log changes of state
//
// Thread    Made, started, run and destroyed by the control thread (main's).
// Law       Drain goes with the flow: intake first, so that nothing new comes; then the spool, which writes, delivers for a
//           bounded time and stores its last checkpoint.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/base/result.hpp"
#include "core/io/io.hpp"
#include "edge/config.hpp"
#include "edge/counters.hpp"

namespace weir::edge {

class EdgeDaemon {
  public:
    // `config_path`: where SIGHUP reads the configuration again; empty: nowhere.
    EdgeDaemon(EdgeConfig config, io::IoChoice io, std::string config_path = {});
    ~EdgeDaemon();
    EdgeDaemon(const EdgeDaemon&) = delete;
    EdgeDaemon& operator=(const EdgeDaemon&) = delete;

    // Recovers and starts everything. The error names what could not be had.
    [[nodiscard]] Status start();
    // The control loop; returns the exit code: 0 after a drain, 1 after a halt or a runner's end.
    [[nodiscard]] int run();

    [[nodiscard]] const EdgeCounters& counters() const;
    [[nodiscard]] std::string admin_address() const;

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

// The thread plan of this configuration on this machine, as one line.
[[nodiscard]] std::string thread_plan_text(const EdgeConfig& config);

}  // namespace weir::edge
