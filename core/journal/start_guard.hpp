// StartGuard: knows which segment a start was reading when it died, so that no start dies on the same one for ever (P5).
//
//   begin() ─▶ reading(segment) before its first byte is read ─▶ … ─▶ end()
//
// After `failed_starts_max` starts that died with the same segment in their hands, that segment is read once more in a process
// of its own, and its records used. If that one dies of it too, by a signal that it brought about, the segment goes to
// `quarantine/`; if it comes through, the deaths had another reason (a power cut, a supervisor without patience) and it stays.
//
// What is lost  In the middle of a journal: the segment's records, a gap by its exact range. At its end, where a start reads most:
//               what is behind the last checkpoint is not known by number any more. A central with more than that answers
//               DIVERGED and mixes nothing; a person decides then. A segment that makes a start hang, not die, is not judged.
//
// Files     DIR/starting.0 and .1 (journal::CheckpointFile).
// Thread    Blocking, at start, before the journal has a writer.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/result.hpp"

namespace weir::journal {

inline constexpr std::uint32_t failed_starts_max = 3;
// A trial that takes longer says nothing against the segment: a disk may hang.
inline constexpr std::uint32_t trial_ms_max = 60'000;

struct RecordView;

class StartGuard {
  public:
    // What a start does with a record, on state of its own: in a trial it is what may die, as much as the reading.
    using Use = std::function<void(const RecordView&)>;
    // Judges the starts before this one. Fails where `directory` cannot be read or renamed in.
    [[nodiscard]] static Result<StartGuard> begin(const std::string& directory, const Use& use = {});
    // What was set aside: "PATH: why"; empty if nothing was.
    [[nodiscard]] const std::string& fault() const { return fault_; }
    // The segment's bytes are about to be read; on the disk when this returns. Does nothing for the same one again.
    // A disk that takes no note is no reason not to start.
    void reading(std::uint64_t segment_index);
    // The start came through.
    void end();

  private:
    explicit StartGuard(std::string directory) : directory_(std::move(directory)) {}
    void note(std::uint64_t segment_index, std::uint32_t starts);

    std::string directory_;
    std::string fault_;
    std::uint64_t serial_ = 0;
    std::optional<std::uint64_t> suspect_;  // the segment that earlier starts died with
    std::uint32_t deaths_ = 0;
    std::optional<std::uint64_t> noted_;
};

}  // namespace weir::journal
