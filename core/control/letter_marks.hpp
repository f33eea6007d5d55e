// Letter marks: what was done with dead letters, beside the journal that holds them, which is never changed: DIR/dead-letter-marks.
//
// A purged letter is not shown any more; one that was replayed was answered as accepted or as a duplicate. The marks only say what
// tools show and offer: whether a letter is applied is decided by its edge, which never forgets (core/wire/FORMAT.md §3.1).
//
// Thread    Command lines only; two at once are kept apart by a lock on the file.
// Law       A range that add() was given is on the disk, directory entry too, when it returns well. A line that was cut by a crash is
//           no mark.
// Format    EDGE is an edge's id; for what central's ingest set aside in a batch, ID/LANE or ID/LANE.backlog, and the sequences are that lane's.
//           A line: KIND EDGE LINEAGE(16 hex) FIRST LAST WALL_NS "REASON as JSON" CRC32C(8 hex, of all before it and the space).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

namespace weir::control {

enum class LetterState : std::uint8_t { kept, replayed, purged };
[[nodiscard]] std::string_view text(LetterState state) noexcept;

struct LetterMark {
    LetterState state = LetterState::purged;
    std::string edge;
    std::uint64_t lineage = 0;
    Sequence first = 0, last = 0;
};

class LetterMarks {
  public:
    // What is there; nothing if there is no file. Lines that are none go to `faults`, "PATH:LINE: what".
    [[nodiscard]] static Result<LetterMarks> load(const std::string& directory, std::vector<std::string>& faults);
    // Purged goes before replayed.
    [[nodiscard]] LetterState state_of(std::string_view edge, std::uint64_t lineage, Sequence sequence) const;
    // Durable when it returns, with the words of whoever asked for it.
    [[nodiscard]] static Status add(const std::string& directory, const std::vector<LetterMark>& marks, WallNs now,
                                    std::string_view reason_text);

  private:
    using Ranges = std::map<Sequence, Sequence>;  // first to last, apart
    struct Of {
        Ranges replayed, purged;
    };
    static void insert(Ranges& ranges, Sequence first, Sequence last);
    [[nodiscard]] static bool contains(const Ranges& ranges, Sequence sequence);
    [[nodiscard]] bool take(std::string_view line);

    std::map<std::pair<std::string, std::uint64_t>, Of, std::less<>> marks_;
};

}  // namespace weir::control
