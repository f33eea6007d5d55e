// SpoolCheckpoint: what the spool would otherwise have to read its journals for, as of one place in each.
//
// It is a cache: everything but what was delivered, shed or expired, the lineage and the epoch is in the journals too. Kept in DIR/spool-checkpoint.0/.1
// through journal::CheckpointFile, which adds the checksum.
//
// Format    Version 2, little-endian, fixed layout (spool_checkpoint.cpp): a head, then a row for each stream, then the marks of
//           each stream as many as its row says, then for each of
//           `centrals` its identity u32, reserved u32 and a u64 for each stream, how far it has acked that.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "edge/spool/lane_table.hpp"

namespace weir::edge {

inline constexpr std::uint32_t spool_checkpoint_magic = 0x31505357;  // "WSP1"
inline constexpr std::uint32_t spool_checkpoint_version = 2;

struct SpoolCheckpoint {
    std::uint64_t lineage = 0;
    std::uint64_t epoch = 0;
    std::uint64_t running_ms = 0;  // that edges of this lineage have run: what ages are counted in
    // Of each journal `durable_end`, its crc, `delivered` and `kept_from` are kept: the stream is as of durable_end, a scan may
    // begin there, and records before kept_from may be gone. is_configured and what belongs to a session are not kept.
    std::vector<SpoolLane> lanes;
    KnownCentrals centrals;
};

[[nodiscard]] std::vector<std::byte> encode(const SpoolCheckpoint& checkpoint);
// The same without allocating, into bytes of at least spool_checkpoint_bytes_max; returns how many.
inline constexpr std::size_t spool_checkpoint_bytes_max = 48U << 10;
[[nodiscard]] std::size_t encode(const SpoolCheckpoint& head, const LaneTable& lanes, Bytes into);
// nullopt if it is not of this form.
[[nodiscard]] std::optional<SpoolCheckpoint> decode_spool_checkpoint(ConstBytes content);

}  // namespace weir::edge
