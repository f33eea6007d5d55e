// CursorStore: named places in the journal up to which groups of consumers have come, and who reads which part.
//
// A group has partitions, fixed when it is made: an event belongs to the one that its key's hash says, so each key's events stay in order with one
// consumer. A place is the end of a record: a group has all events of a partition in records that end at or before it. Consumers join for a
// time; those whose time has not run out share the partitions, in the order of their names. Whenever that changes the generation grows, and
// who commits with an older one is refused.
//
// Thread    Any, and several processes: each act takes the group's lock, reads, changes and stores it (synced).
// Law       A place never goes back, unless an operator sets it.
// Bounds    groups_max, partitions_max, consumers_max.
// Format    DATA_DIR/cursors/GROUP.0, .1 (core/journal/checkpoint.hpp): "CUR1", partitions, consumers (32 bits each), generation (64 bits),
//           each partition's place (64 bits), each consumer's end of time (64 bits) and name (text). GROUP.lock is empty.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

namespace weir::central {

struct CursorGroup {
    struct Consumer {
        std::string name;
        std::uint64_t until_ns = 0;  // wall time
    };
    std::string name;
    std::uint64_t generation = 0;
    std::vector<std::uint64_t> places;  // by partition
    std::vector<Consumer> consumers;    // by name
    // Which partitions a consumer holds; none if it has not joined.
    [[nodiscard]] std::vector<std::uint32_t> partitions_of(std::string_view consumer) const;
};
[[nodiscard]] std::uint32_t partition_of(std::string_view key, std::size_t partitions);

class CursorStore {
  public:
    static constexpr std::size_t groups_max = 256;
    static constexpr std::uint32_t partitions_max = 1024;
    static constexpr std::size_t consumers_max = 256;
    static constexpr std::size_t name_bytes_max = 64;  // of A-Z, a-z, 0-9, '-' and '_'
    // Codes of Errors that are answers: the group is not there; it is, or is full; the partition is not held by who commits.
    static constexpr int unknown_code = 1, taken_code = 2, fenced_code = 3, wrong_code = 4;

    explicit CursorStore(const std::string& data_dir) : directory_(data_dir + "/cursors") {}
    [[nodiscard]] Result<std::vector<CursorGroup>> list() const;
    [[nodiscard]] Result<CursorGroup> load(const std::string& group) const;
    // All partitions at `place`.
    [[nodiscard]] Status make(const std::string& group, std::uint32_t partitions, std::uint64_t place);
    [[nodiscard]] Status remove(const std::string& group);
    // Joins, or stays for so long more. The group as it is then.
    [[nodiscard]] Result<CursorGroup> join(const std::string& group, const std::string& consumer, std::uint64_t ms,
                                           WallNs now);
    [[nodiscard]] Status leave(const std::string& group, const std::string& consumer);
    // `place` is where a read ended. A lower one than there is changes nothing.
    [[nodiscard]] Status commit(const std::string& group, const std::string& consumer, std::uint64_t generation,
                                std::uint32_t partition, std::uint64_t place);
    // An operator's word: anywhere, whoever holds it.
    [[nodiscard]] Status set(const std::string& group, std::uint32_t partition, std::uint64_t place);

  private:
    class Locked;
    std::string directory_;
};

}  // namespace weir::central
