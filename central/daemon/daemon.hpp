// Daemon: weir-central from a checked configuration to its last checkpoint.
//
//   lock ─▶ recover ─▶ ingest runner ─▶ reader ─▶ admin ─▶ signals ─▶ drain
//
// Thread    The control thread (main), which alone logs. block_signals() comes first.
#pragma once

#include "central/config.hpp"
#include "core/io/io.hpp"

namespace weir::central {

// The exit code: 0 drained, 1 halted or could not start.
[[nodiscard]] int run_daemon(const CentralConfig& config, io::IoChoice io_choice);
// Which threads there will be and where.
[[nodiscard]] std::string thread_plan_text(const CentralConfig& config);

}  // namespace weir::central
