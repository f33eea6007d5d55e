// SpoolCheckpoint: what the spool would otherwise have to read its whole journal for, as of one place in it.
//
// It is a cache: everything but `delivered`, the lineage and the epoch is in the journal too. Kept in DIR/spool-checkpoint.0/.1
// through journal::CheckpointFile, which adds the checksum.
//
// Format    SpoolCheckpointHead, then `lanes` SpoolCheckpointLane, then for each of `centrals` its identity u32, reserved u32 and
//           `lanes` u64, how far it has acked each; little-endian, fixed layout. Without centrals it is as before there were any.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "edge/spool/lane_table.hpp"

namespace weir::edge {

inline constexpr std::uint32_t spool_checkpoint_magic = 0x31505357;  // "WSP1"
inline constexpr std::uint32_t spool_checkpoint_version = 1;

struct SpoolCheckpoint {
    std::uint64_t lineage = 0;
    std::uint64_t epoch = 0;
    Position durable{};             // the lanes are as of this place: a scan may begin here
    std::uint32_t durable_crc = 0;  // of the record that ends there
    Position delivered{};           // every record before it is on central's disk
    Position trimmed{};             // records before it may be gone
    std::vector<SpoolLane> lanes;   // is_configured and what belongs to a session are not kept
    KnownCentrals centrals;
};

[[nodiscard]] std::vector<std::byte> encode(const SpoolCheckpoint& checkpoint);
// The same without allocating, into bytes of at least spool_checkpoint_bytes_max; returns how many.
inline constexpr std::size_t spool_checkpoint_bytes_max = 16U << 10;
[[nodiscard]] std::size_t encode(const SpoolCheckpoint& head, const LaneTable& lanes, Bytes into);
// nullopt if it is not of this form.
[[nodiscard]] std::optional<SpoolCheckpoint> decode_spool_checkpoint(ConstBytes content);

}  // namespace weir::edge
