// IntakeMemory: what intake knew before: the duplicate filter and the producers' numbers, from its checkpoint and the spool.
//
// Files: DATA_DIR/intake.0 and .1 (checkpoint), DATA_DIR/filter.blocks (filter_blocks.hpp). What earlier editions wrote (checkpoints of
// version 2 and DATA_DIR/filter.ring) is read, and written anew; where the filter is full, its 239 oldest ids at most make room for that.
//
// Thread    Control thread, at start; blocking. Intake's runner takes it over.
// Law       After replay of every record of each stream at or after its covered(), in any order of streams, an event that is in the spool is known, and none that is not.
// Failure   A copy of the checkpoint that is damaged is named in faults(), and the one before it counts: what came between is known again from
//           the spool's records, as far back as these are kept (spool.keep_delivered_ms). With neither, the whole spool is read, with a new seed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/journal/record.hpp"
#include "core/wire/batch.hpp"
#include "edge/config.hpp"
#include "edge/intake/filter_blocks.hpp"
#include "edge/intake/producers.hpp"

namespace weir::edge {

inline constexpr std::uint32_t intake_checkpoint_magic = 0x31494857;
// Slots that a checkpoint can hold beside ranges above holes; a larger cache.producers_max counts as this.
inline constexpr std::uint32_t producer_slots_max = 8192;

inline constexpr std::uint32_t intake_checkpoint_version = 3;
inline constexpr std::uint32_t intake_checkpoint_version_before = 2;  // without the filter's last block

// Then `streams` CoveredStream, then the filter's block that is not full yet, then the producers' table.
struct IntakeCheckpointHead {
    std::uint32_t magic = intake_checkpoint_magic;
    std::uint32_t version = intake_checkpoint_version;
    std::uint64_t seed = 0;
    std::uint64_t filter_next = 0;  // index of the first entry that it does not have
    std::uint32_t streams = 0;
    std::uint32_t last_block_bytes = 0;  // of the filter
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
    return data_dir + "/filter.blocks";
}
[[nodiscard]] inline std::string filter_path_before(const std::string& data_dir) {
    return data_dir + "/filter.ring";
}

// In filter.ring: entry of index i at i mod ids_max.
struct FilterEntryBefore {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    std::uint64_t index = 0;  // 0: none
    std::uint32_t seconds = 0;
    std::uint32_t crc = 0;  // CRC-32C of the fields above and the seed
};
static_assert(sizeof(FilterEntryBefore) == 32);

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
    // The first of its blocks that the file need not have.
    [[nodiscard]] std::uint64_t next_filter_block() const { return next_filter_block_; }
    [[nodiscard]] Producers& producers() { return producers_; }
    [[nodiscard]] std::uint64_t checkpoint_serial() const { return serial_; }
    [[nodiscard]] const std::string& data_dir() const { return data_dir_; }

  private:
    IntakeMemory(const EdgeConfig& config, std::uint64_t seed, std::string data_dir);
    [[nodiscard]] Status load_filter(const IntakeCheckpointHead& head, ConstBytes last_block);
    void restore_blocks(ConstBytes last_block, ConstBytes file);
    [[nodiscard]] Result<bool> load_filter_before();
    [[nodiscard]] Status store_filter() const;
    void note(const wire::FrameView& frame, std::uint32_t seconds);

    std::string data_dir_;
    DuplicateFilter filter_;
    std::uint64_t next_filter_block_ = 0;
    Producers producers_;
    std::vector<CoveredStream> covered_;
    std::uint64_t serial_ = 0;
    std::vector<std::string> faults_;
};

}  // namespace weir::edge
