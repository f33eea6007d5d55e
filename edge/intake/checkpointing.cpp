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

Checkpointing::Checkpointing(io::Io& io, io::Token ring_token, io::Token checkpoint_token, IntakeMemory& memory,
                             IntakeCounters& counters)
    : io_(io),
      ring_token_(ring_token),
      checkpoint_token_(checkpoint_token),
      memory_(memory),
      counters_(counters),
      checkpoint_(intake_checkpoint_path(memory.data_dir()), memory.checkpoint_serial()),
      staging_(staging_entries),
      // What recovery put in from the spool is in the file only after the first cut: write it all once.
      stored_next_(memory.filter().oldest_index()),
      stored_producers_(memory.producers().count()),
      stored_changes_(changes(counters)),
      stored_(memory.covered()) {
    content_.reserve(journal::checkpoint_content_bytes_max);
}

Status Checkpointing::open() {
    auto ring = io_.open(filter_path(memory_.data_dir()), {});
    if (!ring) return ring.error();
    ring_ = ring.value();
    return checkpoint_.open(io_, checkpoint_token_);
}

bool Checkpointing::is_due(Position durable) const noexcept {
    return stored_changes_ != changes(counters_) || stored_producers_ != memory_.producers().count() ||
           stored_ < durable;
}

void Checkpointing::cut(const Batcher& batcher, Position durable) noexcept {
    WEIR_ASSERT(step_ == Step::idle);
    const Producers& producers = memory_.producers();
    if (sizeof(IntakeCheckpointHead) + producers.encoded_bytes() > journal::checkpoint_content_bytes_max) return fail();
    for (std::size_t lane = 0; lane < batcher.lanes(); ++lane) {
        cut_until_[lane] = batcher.last_sequence(static_cast<std::uint8_t>(lane));
    }
    cut_position_ = std::max(durable, stored_);
    cut_next_ = memory_.filter().next_index();
    cut_producers_ = producers.count();
    cut_changes_ = changes(counters_);
    IntakeCheckpointHead head;
    head.seed = memory_.filter().options().seed;
    head.covered = cut_position_;
    head.filter_next = cut_next_;
    content_.resize(sizeof head);
    wire::store(Bytes(content_), head);
    producers.encode(content_);
    write_next_ = std::max(stored_next_, memory_.filter().oldest_index());
    step_ = Step::waiting;
    advance(batcher);
}

void Checkpointing::advance(const Batcher& batcher) noexcept {
    if (step_ != Step::waiting) return;
    for (std::size_t lane = 0; lane < batcher.lanes(); ++lane) {
        const bool is_durable = batcher.durable_sequence(static_cast<std::uint8_t>(lane)) >= cut_until_[lane];
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
    writing_ = std::min({staging_entries, cut_next_ - write_next_, ids_max - position});
    // An entry that was overwritten meanwhile goes out empty: what took its place may not be durable.
    for (std::uint64_t i = 0; i < writing_; ++i) staging_[i] = memory_.filter().sealed(write_next_ + i);
    step_ = Step::writing;
    io_.write(ring_, std::as_bytes(std::span(staging_.data(), writing_)), position * sizeof(FilterEntry), ring_token_);
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
    stored_ = cut_position_;
    stored_next_ = cut_next_;
    stored_producers_ = cut_producers_;
    stored_changes_ = cut_changes_;
    counters_.checkpoints.add(1);
    return true;
}

}  // namespace weir::edge
