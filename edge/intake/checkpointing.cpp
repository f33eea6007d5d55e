#include "edge/intake/checkpointing.hpp"

#include <algorithm>
#include <cstdlib>

#include "core/base/planted.hpp"

namespace weir::edge {
namespace {

// Grows with everything that a checkpoint stores.
std::uint64_t changes(const IntakeCounters& counters) {
    return counters.accepted.get() + counters.rejected.get();  // what was shed is accepted, too
}

}  // namespace

Checkpointing::Checkpointing(io::Io& io, io::Token ring_token, io::Token checkpoint_token, IntakeMemory& memory,
                             const std::vector<LaneState>& streams, IntakeCounters& counters)
    : io_(io),
      ring_token_(ring_token),
      checkpoint_token_(checkpoint_token),
      memory_(memory),
      counters_(counters),
      checkpoint_(intake_checkpoint_path(memory.data_dir()), memory.checkpoint_serial()),
      staging_memory_(
          static_cast<std::byte*>(std::aligned_alloc(journal::block_bytes, staging_entries * sizeof(FilterEntry)))),
      staging_(reinterpret_cast<FilterEntry*>(staging_memory_.get()), staging_entries),
      // What recovery put in from the spool is in the file only after the first cut: write it all once.
      stored_next_(memory.filter().oldest_index()),
      stored_producers_(memory.producers().count()),
      stored_changes_(changes(counters)) {
    WEIR_ASSERT(staging_memory_ != nullptr);
    for (const LaneState& stream : streams) {
        const Position covered = memory.covered(stream.id, stream.part);
        streams_.push_back(
            {.lane = stream.id, .part = stream.part, .durable = covered, .cut = covered, .stored = covered});
    }
    content_.reserve(journal::checkpoint_content_bytes_max);
}

Status Checkpointing::open() {
    auto ring = io_.open(filter_path(memory_.data_dir()), {.direct = true});
    if (!ring) return ring.error();
    ring_ = ring.value();
    return checkpoint_.open(io_, checkpoint_token_);
}

bool Checkpointing::is_due() const noexcept {
    return stored_changes_ != changes(counters_) || stored_producers_ != memory_.producers().count() ||
           uncovered_bytes() > 0;
}

std::uint64_t Checkpointing::uncovered_bytes() const noexcept {
    std::uint64_t bytes = 0;
    for (const Stream& stream : streams_) bytes += stream.durable.value - stream.stored.value;
    return bytes;
}

bool Checkpointing::is_worth_it() const noexcept {
    return uncovered_bytes() >= checkpoint_worth_bytes ||
           changes(counters_) - stored_changes_ >= checkpoint_worth_events ||
           stored_producers_ != memory_.producers().count();
}

void Checkpointing::cut(const Batcher& batcher) noexcept {
    WEIR_ASSERT(step_ == Step::idle);
    WEIR_ASSERT(batcher.lanes() == streams_.size());
    const Producers& producers = memory_.producers();
    const std::size_t fixed = sizeof(IntakeCheckpointHead) + streams_.size() * sizeof(CoveredStream);
    if (fixed + producers.encoded_bytes() > journal::checkpoint_content_bytes_max) return fail();
    for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
        streams_[stream].cut_until = batcher.last_sequence(static_cast<StreamIndex>(stream));
        streams_[stream].cut = streams_[stream].durable;
    }
    cut_next_ = memory_.filter().next_index();
    cut_producers_ = producers.count();
    cut_changes_ = changes(counters_);
    IntakeCheckpointHead head;
    head.seed = memory_.filter().options().seed;
    head.filter_next = cut_next_;
    head.streams = static_cast<std::uint32_t>(streams_.size());
    content_.resize(fixed);
    wire::store(Bytes(content_), head);
    std::size_t at = sizeof head;
    for (const Stream& stream : streams_) {
        wire::store(Bytes(content_).subspan(at),
                    CoveredStream{.lane = stream.lane, .part = stream.part, .position = stream.cut});
        at += sizeof(CoveredStream);
    }
    producers.encode(content_);
    write_next_ = std::max(stored_next_, memory_.filter().oldest_index());
    step_ = Step::waiting;
    advance(batcher);
}

void Checkpointing::advance(const Batcher& batcher) noexcept {
    if (step_ != Step::waiting) return;
    for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
        const bool is_durable =
            batcher.durable_sequence(static_cast<StreamIndex>(stream)) >= streams_[stream].cut_until;
        if (!is_durable && !WEIR_PLANTED(checkpoint_before_data)) return;
    }
    write_some();
}

void Checkpointing::write_some() noexcept {
    if (write_next_ >= cut_next_) {
        step_ = Step::syncing;
        io_.sync(ring_, ring_token_);
        return;
    }
    const std::uint64_t ids_max = memory_.filter().options().ids_max;
    const std::uint64_t position = write_next_ % ids_max;
    const std::uint64_t block_position = position - position % filter_block_entries;
    writing_ = std::min({staging_entries - (position - block_position), cut_next_ - write_next_, ids_max - position});
    const std::uint64_t staged = stage(position);
    step_ = Step::writing;
    io_.write(ring_, std::as_bytes(staging_.first(staged)), block_position * sizeof(FilterEntry), ring_token_);
}

// Whole blocks with the `writing_` entries from write_next_ on in them, the first of which lies at `position` of the file; and how many
// entries that is.
std::uint64_t Checkpointing::stage(std::uint64_t position) noexcept {
    const std::uint64_t ids_max = memory_.filter().options().ids_max;
    const std::uint64_t before = position % filter_block_entries;
    const std::uint64_t end = position + writing_;
    const std::uint64_t block_end = round_up(end, filter_block_entries);
    // An entry that was overwritten meanwhile goes out empty: what took its place may not be durable.
    memory_.filter().seal(write_next_ - before, staging_.first(before + writing_));
    const auto behind = staging_.subspan(before + writing_, block_end - end);
    const auto of_ring = behind.first(std::min(block_end, ids_max) - end);
    stage_before(write_next_ + writing_, of_ring);
    std::fill(behind.begin() + static_cast<std::ptrdiff_t>(of_ring.size()), behind.end(), FilterEntry{});
    return before + writing_ + behind.size();
}

// What lies where the entries of `index` and behind it are to come: those that the ring held there one round before.
void Checkpointing::stage_before(std::uint64_t index, std::span<FilterEntry> into) const noexcept {
    const std::uint64_t ids_max = memory_.filter().options().ids_max;
    if (index >= ids_max) return memory_.filter().seal(index - ids_max, into);
    std::fill(into.begin(), into.end(), FilterEntry{});  // the first round has none before it
}

void Checkpointing::store() noexcept {
    step_ = Step::storing;
    if (!checkpoint_.begin_store(content_)) fail();
}

void Checkpointing::fail() noexcept {
    counters_.checkpoint_failures.add(1);
    failed_ = true;
    step_ = Step::idle;
}

bool Checkpointing::on_completion(const io::Completion& completion) noexcept {
    if (completion.token.kind == ring_token_.kind) {
        if (completion.result < 0) {
            fail();
        } else if (step_ == Step::writing) {
            counters_.filter_bytes_written.add(static_cast<std::uint64_t>(completion.result));
            write_next_ += writing_;
            write_some();
        } else if (step_ == Step::syncing) {
            store();
        }
        return false;
    }
    const bool is_stored = checkpoint_.on_completion(completion);
    if (!is_stored) {
        if (step_ == Step::storing && !checkpoint_.is_busy()) fail();
        return false;
    }
    step_ = Step::idle;
    failed_ = false;
    for (Stream& stream : streams_) stream.stored = stream.cut;
    stored_next_ = cut_next_;
    stored_producers_ = cut_producers_;
    stored_changes_ = cut_changes_;
    counters_.checkpoints.add(1);
    counters_.checkpoint_bytes_written.set(checkpoint_.stored_bytes());
    return true;
}

}  // namespace weir::edge
