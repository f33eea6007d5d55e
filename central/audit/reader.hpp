// Reader: feeds an Audit from the directories of a central and of edges.
//
//   checkpoints ─▶ spools ─▶ central's journals ─▶ what came in the meantime: spools, then central's journals
//
// In this order everything that a step says must be found by a later one, so daemons may run beside it.
//
// Thread    Blocking; for the command line. Opens for reading only and takes no lock.
// Cost      Each journal is read once; as fast as its checksums are computed.
#pragma once

#include <string>
#include <vector>

#include "central/audit/audit.hpp"
#include "central/config.hpp"
#include "core/base/result.hpp"

namespace weir::central::audit {

// `edge_dirs`: the data_dirs of edges. Fails where there is no journal to read at all.
[[nodiscard]] Result<Report> read_and_audit(const CentralConfig& config, const std::vector<std::string>& edge_dirs);

}  // namespace weir::central::audit
