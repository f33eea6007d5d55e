// TopList: the texts that occur most often, in bounded room.
//
// Law       For each text listed: count - over <= its true count <= count. A text that occurs more than events / top_entries_max times is
//           listed. While there were at most top_entries_max different texts, everything is exact and independent of order; beyond, it
//           depends on the order of events (and is the same at every replay).
// Bounds    top_entries_max texts of at most top_text_bytes_max bytes; longer ones are cut.
// Source    Metwally, Agrawal, El Abbadi: Space-Saving (2005); Agarwal and others: Mergeable summaries (2012), for merge.
#pragma once

#include <vector>

#include "central/analytics/state_io.hpp"

namespace weir::analytics {

inline constexpr std::uint32_t top_entries_max = 64;
inline constexpr std::uint32_t top_text_bytes_max = 256;

struct TopEntry {
    std::string text;
    std::uint64_t count = 0;
    std::uint64_t over = 0;  // by so much the count may be too high
    bool operator==(const TopEntry&) const = default;
};

class TopList {
  public:
    void add(std::string_view text);
    void merge(const TopList& other);
    // The first `count`: most first, equal ones by text.
    [[nodiscard]] std::vector<TopEntry> first(std::size_t count) const;
    void save(StateWriter& out) const;
    void load(StateReader& in);

  private:
    struct Entry {
        std::uint64_t hash = 0;  // of the text: compared first
        TopEntry entry;
    };
    [[nodiscard]] const Entry* find(std::uint64_t hash, std::string_view text) const;
    // What a text that is not listed may have occurred at most.
    [[nodiscard]] std::uint64_t unlisted_max() const;

    std::vector<Entry> entries_;
};

}  // namespace weir::analytics
