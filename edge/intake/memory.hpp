// IntakeMemory: what intake knew before: the duplicate filter and the producers' numbers, from its checkpoint and the spool.
//
// Files: DATA_DIR/intake.0 and .1 (checkpoint), DATA_DIR/filter.ring (the filter's entries, entry of index i at i mod ids_max; empty
// ones up to a whole block behind them).
//
// Thread    Control thread, at start; blocking. Intake's runner takes it over.
// Law       After replay of every record of each stream at or after its covered(), in any order of streams, an event that is in the spool is known, and none that is not.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/journal/record.hpp"
#include "core/wire/batch.hpp"
#include "edge/config.hpp"
#include "edge/intake/duplicate_filter.hpp"
#include "edge/intake/producers.hpp"

namespace weir::edge {

inline constexpr std::uint32_t intake_checkpoint_magic = 0x31494857;
// Slots that a checkpoint can hold beside ranges above holes; a larger cache.producers_max counts as this.
inline constexpr std::uint32_t producer_slots_max = 8192;

inline constexpr std::uint32_t intake_checkpoint_version = 2;

// Then `streams` CoveredStream, then the producers' table.
struct IntakeCheckpointHead {
    std::uint32_t magic = intake_checkpoint_magic;
    std::uint32_t version = intake_checkpoint_version;
    std::uint64_t seed = 0;
    std::uint64_t filter_next = 0;
    std::uint32_t streams = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(IntakeCheckpointHead) == 32);
struct CoveredStream {
    LaneId lane = 0;
    wire::Part part = wire::Part::live;
    std::array<std::uint8_t, 5> reserved{};
    Position position{};  // in the stream's own journal: what lies before it is in the checkpoint
};
static_assert(sizeof(CoveredStream) == 16);

[[nodiscard]] inline std::string intake_checkpoint_path(const std::string& data_dir) {
    return data_dir + "/intake";
}
[[nodiscard]] inline std::string filter_path(const std::string& data_dir) {
    return data_dir + "/filter.ring";
}

// The filter's file is written in blocks of so many entries, and is so many of them long.
inline constexpr std::uint64_t filter_block_entries = journal::block_bytes / sizeof(FilterEntry);
[[nodiscard]] constexpr std::uint64_t filter_file_entries(std::uint64_t ids_max) {
    return round_up(ids_max, filter_block_entries);
}

class IntakeMemory {
  public:
    // Reads both files; makes them in a new directory.
    [[nodiscard]] static Result<IntakeMemory> load(const EdgeConfig& config, const std::string& data_dir);
    // Forgets all, for a spool that begins anew. True if there was something; blocking.
    [[nodiscard]] static Result<bool> remove(const std::string& data_dir);
    [[nodiscard]] Position covered(LaneId lane, wire::Part part) const;
    void replay(const wire::BatchHeader& header, ConstBytes body);
    [[nodiscard]] const std::vector<std::string>& faults() const { return faults_; }

    // For the Intake that takes it over.
    [[nodiscard]] DuplicateFilter& filter() { return filter_; }
    [[nodiscard]] Producers& producers() { return producers_; }
    [[nodiscard]] std::uint64_t checkpoint_serial() const { return serial_; }
    [[nodiscard]] const std::string& data_dir() const { return data_dir_; }

  private:
    IntakeMemory(const EdgeConfig& config, std::uint64_t seed, std::string data_dir);
    [[nodiscard]] Status load_filter();
    [[nodiscard]] Status store_filter() const;
    void note(const wire::FrameView& frame, std::uint32_t seconds);

    std::string data_dir_;
    DuplicateFilter filter_;
    Producers producers_;
    std::vector<CoveredStream> covered_;
    std::uint64_t serial_ = 0;
    std::vector<std::string> faults_;
};

}  // namespace weir::edge
