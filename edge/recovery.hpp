// Recovery: what the edge knows when it starts: read from its data directory before any runner runs.
//
// Thread    Control thread, at start; blocking.
// Law       Bad bytes never stop a start: what is damaged becomes a line in `faults`, and the start goes on with the rest. What
//           does fail it is a directory that cannot be made, locked or written.
//           The epoch in `identity` is on disk before this returns, so no two lives of an edge speak with the same one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.hpp"
#include "edge/config.hpp"
#include "edge/intake/memory.hpp"
#include "edge/spool/spool_start.hpp"

namespace weir::edge {

// The directory's exclusive lock, held as long as this lives.
class DirectoryLock {
  public:
    explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
    DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    DirectoryLock& operator=(DirectoryLock&&) = delete;
    ~DirectoryLock();

  private:
    int descriptor_;
};

struct Recovered {
    DirectoryLock lock;
    SpoolStart spool;
    IntakeMemory memory;
    std::uint64_t records = 0;  // read back
    std::vector<std::string> faults;
    bool is_new = false;  // a new lineage was born
};

[[nodiscard]] Result<Recovered> recover(const EdgeConfig& config);

}  // namespace weir::edge
