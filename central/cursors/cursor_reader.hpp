// read_partition(): the next events of one partition of a group, from its place on.
//
// Thread    Any, beside a running daemon: it reads the journal's files up to `durable`.
// Bounds    Whole records, until `events_max` events are there; records_max records at once, so that a quiet partition answers too.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "central/store/event_reader.hpp"

namespace weir::central {

struct PartitionQuestion {
    std::uint64_t place = 0;
    std::uint32_t partition = 0;
    std::uint32_t partitions = 1;
    std::size_t events_max = 1000;
    std::uint64_t durable = UINT64_MAX;  // records that end beyond it are not looked at
};
struct PartitionRead {
    std::uint64_t place = 0;  // to commit once the events are dealt with
    std::size_t events = 0;
    bool is_at_end = false;  // there is nothing more, for now
    // What the journal no longer has, from the place that was asked for up to this one: events in it are not told, and were not read.
    std::optional<std::uint64_t> gap_to;
    std::uint64_t damaged = 0;  // records that could not be read
};
inline constexpr std::size_t partition_records_max = 4096;
[[nodiscard]] Result<PartitionRead> read_partition(const std::string& journal, const PartitionQuestion& question,
                                                   const std::function<void(const FoundEvent&)>& visit);

}  // namespace weir::central
