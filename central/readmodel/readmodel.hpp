// ReadModel: counts per edge, per type, and per type and minute of event time: a function of the journal, nothing else.
//
// First version: rebuilt at start by reading the journal whole; nothing of it is stored.
//
// Thread    apply() by the reader thread; snapshot() by anyone (one mutex, held for one batch at most).
// Bounds    types_max types, more count as "other"; minutes_max newest minutes for each type, older events are counted only
//           in the type's total and in `older`. A type's memory is taken when it first appears.
// Law       The sum of the types' events is the events applied; a type's events are its minutes' sum + older + evicted.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.hpp"
#include "core/wire/batch.hpp"

namespace weir::central {

inline constexpr std::uint64_t minute_ns = 60 * ns_per_second;

struct MinuteCount {
    std::uint64_t minute = 0;  // since 1970
    std::uint64_t events = 0;
    bool operator==(const MinuteCount&) const = default;
};

struct TypeCounts {
    std::string type;
    std::uint64_t events = 0;
    std::uint64_t older = 0;           // older than every minute that is kept, minutes since let go included
    std::vector<MinuteCount> minutes;  // ascending
};

struct EdgeCounts {
    std::string edge;
    std::uint64_t events = 0;
    std::vector<std::uint64_t> by_type;  // by index into the snapshot's types
};

struct ReadSnapshot {
    std::uint64_t position = 0;  // all before it is counted
    std::uint64_t events = 0;
    std::uint64_t unreadable = 0;
    std::vector<TypeCounts> types;
    std::vector<EdgeCounts> edges;
};

class ReadModel {
  public:
    ReadModel(std::uint32_t types_max, std::uint32_t minutes_max);
    // A batch of the journal that was verified before it was written; `end` is where its record ends.
    void apply(const wire::BatchHeader& header, ConstBytes body, WallNs arrival, Position end);
    [[nodiscard]] ReadSnapshot snapshot() const;
    // Without any minutes.
    [[nodiscard]] ReadSnapshot totals() const;

  private:
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };
    using Index = boost::unordered_flat_map<std::string, std::size_t, TextHash, std::equal_to<>>;
    [[nodiscard]] std::size_t type_of(std::string_view type);
    [[nodiscard]] EdgeCounts& edge_of(std::string_view edge);
    void count_minute(TypeCounts& type, std::uint64_t minute) const;

    std::uint32_t types_max_;
    std::uint32_t minutes_max_;
    mutable std::mutex mutex_;
    ReadSnapshot counts_;
    Index types_;
    Index edges_;
};

}  // namespace weir::central
