// SegmentIndex: what may be in each block of a journal segment, so that a question about a time, types, a key or an edge reads little.
//
// A block is about block_bytes of records, whole. Of each: the least and greatest time of its events, their types, their edges, and a Bloom
// filter of their keys. What an index says is not there is not there; what it says may be there is looked for.
//
// Thread    One at a time; several processes may write the same file, each whole.
// Law       An index is a function of its segment, and only of one that is closed and undamaged. It may be deleted at any time: whoever reads
//           the segment to its end makes it anew.
// Format    DATA_DIR/index/N.idx, N as of the segment: "IDX1", blocks (32 bits each), journal, segment, end (64 bits each); each block:
//           position, least and greatest time (64 bits each), CRC field of the record before it (32 bits), types and edges (a 32-bit
//           count, and texts; count 2^32 - 1: too many to say), filter (1024 bytes); CRC32C of all before it. Little-endian.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/journal/scan.hpp"
#include "core/wire/event.hpp"

namespace weir::central {

// Bits that a text sets among those of a block; all of them are set if it may be in it.
class KeyFilter {
  public:
    static constexpr std::size_t bytes = 1024;
    void add(std::string_view text);
    [[nodiscard]] bool may_hold(std::string_view text) const;
    [[nodiscard]] std::array<std::uint8_t, bytes>& bits() { return bits_; }
    [[nodiscard]] const std::array<std::uint8_t, bytes>& bits() const { return bits_; }

  private:
    std::array<std::uint8_t, bytes> bits_{};
};

// A few texts, in order; or too many to name.
struct NameSet {
    static constexpr std::size_t names_max = 64;
    std::vector<std::string> names{};
    bool is_open = false;
    void add(std::string_view name);
    bool operator==(const NameSet&) const = default;
};

struct IndexBlock {
    std::uint64_t position = 0;  // of its first record
    std::uint32_t previous_crc = 0;
    std::uint64_t least_ns = UINT64_MAX;
    std::uint64_t greatest_ns = 0;
    NameSet types{};
    NameSet edges{};
    KeyFilter keys{};
};

struct SegmentIndex {
    static constexpr std::uint64_t block_bytes = 256U << 10;

    std::uint64_t journal_id = 0;
    std::uint64_t segment_index = 0;
    std::uint64_t end = 0;  // of its last record
    std::vector<IndexBlock> blocks;

    // `time_ns` as EventReader counts it. In the journal's order; begin_record() for each record, whatever is in it.
    void begin_record(const journal::RecordView& record);
    void add(const wire::EventView& event, std::string_view edge, std::uint64_t time_ns);

    [[nodiscard]] std::string bytes() const;
    [[nodiscard]] static std::optional<SegmentIndex> parse(std::string_view bytes);
};

[[nodiscard]] std::string index_directory(const std::string& data_dir);
// nullopt: it is not there, is damaged, or is of another segment.
[[nodiscard]] std::optional<SegmentIndex> load_index(const std::string& directory, const journal::SegmentInfo& segment);
// Makes the directory where it is not there.
[[nodiscard]] Status store_index(const std::string& directory, const SegmentIndex& index);

}  // namespace weir::central
