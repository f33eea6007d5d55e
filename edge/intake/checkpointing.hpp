// Checkpointing: writes what intake must not forget, so that the spool need not keep its records for that.
//
// A cut fixes what is to be stored; once all that was taken before it is durable, the filter's blocks that have become full are written and
// synced, then the checkpoint, with the block that is not full in it. So it never knows an event that a crash could still lose.
//
// Thread    Intake runner.
// Law       covered() is, for each stream, a place in its journal known durable when the cut was made: every record before it is
//           in the cut.
// Bounds    One cut at a time; staging_blocks_max of the filter in one write; content of checkpoint_content_bytes_max.
// Cost      The filter's blocks are written past the page cache: where its pages are large, a block that changes in a page is as much to
//           write as all of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "core/journal/checkpoint.hpp"
#include "core/journal/posix_file.hpp"
#include "edge/counters.hpp"
#include "edge/intake/batcher.hpp"
#include "edge/intake/memory.hpp"

namespace weir::edge {

class Checkpointing {
  public:
    Checkpointing(io::Io& io, io::Token filter_token, io::Token checkpoint_token, IntakeMemory& memory,
                  const std::vector<LaneState>& streams, IntakeCounters& counters);
    [[nodiscard]] Status open();

    // The stream's journal is durable up to here.
    void durable(std::size_t stream, Position position) noexcept {
        streams_[stream].durable = std::max(streams_[stream].durable, position);
    }
    // Whether there is anything that the last one stored does not have.
    [[nodiscard]] bool is_due() const noexcept;
    // Whether a checkpoint now would save a start so much that it need not wait for more (checkpoint_patience).
    [[nodiscard]] bool is_worth_it() const noexcept;
    // What is durable and not covered, of all streams.
    [[nodiscard]] std::uint64_t uncovered_bytes() const noexcept;
    [[nodiscard]] std::uint64_t ids_since() const { return memory_.filter().next_index() - stored_next_; }
    [[nodiscard]] bool is_busy() const { return step_ != Step::idle; }
    [[nodiscard]] bool is_writing() const { return is_busy() && step_ != Step::waiting; }
    // The caller has just closed all open batches.
    void cut(const Batcher& batcher) noexcept;
    // Goes on when the cut is durable.
    void advance(const Batcher& batcher) noexcept;
    // True when a checkpoint has just become durable.
    [[nodiscard]] bool on_completion(const io::Completion& completion) noexcept;
    [[nodiscard]] std::size_t streams() const { return streams_.size(); }
    [[nodiscard]] Position covered(std::size_t stream) const { return streams_[stream].stored; }
    // Producers with a slot below this survive a crash.
    [[nodiscard]] std::uint32_t producers_stored() const { return stored_producers_; }
    [[nodiscard]] bool has_failed() const { return failed_; }

  private:
    enum class Step : std::uint8_t { idle, waiting, writing, syncing, storing };
    static constexpr std::uint64_t staging_blocks_max = 64;

    void write_some() noexcept;
    void store() noexcept;
    void fail() noexcept;

    io::Io& io_;
    io::Token filter_token_;
    io::Token checkpoint_token_;
    IntakeMemory& memory_;
    IntakeCounters& counters_;
    journal::CheckpointFile checkpoint_;
    io::File filter_file_;
    Step step_ = Step::idle;
    bool failed_ = false;
    struct Stream {
        LaneId lane = 0;
        wire::Part part = wire::Part::live;
        Sequence cut_until = 0;
        Position durable{};
        Position cut{};
        Position stored{};
    };
    std::vector<Stream> streams_;
    std::uint64_t cut_next_ = 0;
    std::uint32_t cut_producers_ = 0;
    std::uint64_t cut_changes_ = 0;
    std::vector<std::byte> content_;
    journal::AlignedBytes staging_;
    std::uint64_t next_block_ = 0;  // the first that the file need not have
    std::uint64_t write_next_ = 0;  // the first not yet written for this cut
    std::uint64_t writing_ = 0;     // blocks of the write under way
    std::uint64_t stored_next_ = 0;
    std::uint32_t stored_producers_ = 0;
    std::uint64_t stored_changes_ = 0;
};

}  // namespace weir::edge
