#include "edge/intake/checkpointing.hpp"

#include <algorithm>

#include "core/base/planted.hpp"

namespace weir::edge {
namespace {

// Grows with everything that a checkpoint stores.
std::uint64_t changes(const IntakeCounters& counters) {
    return counters.accepted.get() + counters.rejected.get();  // what was shed is accepted, too
}

}  // namespace

Checkpointing::Checkpointing(io::Io& io, io::Token filter_token, io::Token checkpoint_token, IntakeMemory& memory,
                             const std::vector<LaneState>& streams, IntakeCounters& counters)
    : io_(io),
      filter_token_(filter_token),
      checkpoint_token_(checkpoint_token),
      memory_(memory),
      counters_(counters),
      checkpoint_(intake_checkpoint_path(memory.data_dir()), memory.checkpoint_serial()),
      staging_(journal::make_aligned(staging_blocks_max * journal::block_bytes)),
      next_block_(memory.next_filter_block()),
      stored_next_(std::max(memory.filter().oldest_index(), next_block_ * filter_block_entries)),
      stored_producers_(memory.producers().count()),
      stored_changes_(changes(counters)) {
    for (const LaneState& stream : streams) {
        const Position covered = memory.covered(stream.id, stream.part);
        streams_.push_back(
            {.lane = stream.id, .part = stream.part, .durable = covered, .cut = covered, .stored = covered});
    }
    content_.reserve(journal::checkpoint_content_bytes_max);
}

Status Checkpointing::open() {
    auto file = io_.open(filter_path(memory_.data_dir()), {.direct = true});
    if (!file) return file.error();
    filter_file_ = file.value();
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
    const DuplicateFilter& filter = memory_.filter();
    const std::uint64_t last_block_bytes = filter_bytes_of(filter.next_index() % filter_block_entries);
    const std::size_t covered = sizeof(IntakeCheckpointHead) + streams_.size() * sizeof(CoveredStream);
    const std::size_t fixed = covered + last_block_bytes;
    if (fixed + producers.encoded_bytes() > journal::checkpoint_content_bytes_max) return fail();
    for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
        streams_[stream].cut_until = batcher.last_sequence(static_cast<StreamIndex>(stream));
        streams_[stream].cut = streams_[stream].durable;
    }
    cut_next_ = filter.next_index();
    cut_producers_ = producers.count();
    cut_changes_ = changes(counters_);
    IntakeCheckpointHead head;
    head.seed = filter.options().seed;
    head.filter_next = cut_next_;
    head.last_block_bytes = static_cast<std::uint32_t>(last_block_bytes);
    head.streams = static_cast<std::uint32_t>(streams_.size());
    content_.resize(fixed);
    wire::store(Bytes(content_), head);
    std::size_t at = sizeof head;
    for (const Stream& stream : streams_) {
        wire::store(Bytes(content_).subspan(at),
                    CoveredStream{.lane = stream.lane, .part = stream.part, .position = stream.cut});
        at += sizeof(CoveredStream);
    }
    seal_filter_block(filter, cut_next_ / filter_block_entries, Bytes(content_).subspan(covered, last_block_bytes));
    producers.encode(content_);
    write_next_ = std::max(next_block_, filter.oldest_index() / filter_block_entries);
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
    const std::uint64_t end = cut_next_ / filter_block_entries;
    if (write_next_ >= end) {
        step_ = Step::syncing;
        io_.sync(filter_file_, filter_token_);
        return;
    }
    const DuplicateFilter& filter = memory_.filter();
    const std::uint64_t file_blocks = filter_file_blocks(filter.options().ids_max);
    const std::uint64_t place = write_next_ % file_blocks;
    writing_ = std::min({staging_blocks_max, end - write_next_, file_blocks - place});
    const Bytes staged(staging_.get(), writing_ * journal::block_bytes);
    // An entry that was overwritten meanwhile goes as none: what took its place may not be durable.
    for (std::uint64_t i = 0; i < writing_; ++i) {
        seal_filter_block(filter, write_next_ + i, staged.subspan(i * journal::block_bytes, journal::block_bytes));
    }
    step_ = Step::writing;
    io_.write(filter_file_, staged, place * journal::block_bytes, filter_token_);
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
    if (completion.token.kind == filter_token_.kind) {
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
    next_block_ = cut_next_ / filter_block_entries;
    stored_next_ = cut_next_;
    stored_producers_ = cut_producers_;
    stored_changes_ = cut_changes_;
    counters_.checkpoints.add(1);
    counters_.checkpoint_bytes_written.set(checkpoint_.stored_bytes());
    return true;
}

}  // namespace weir::edge
