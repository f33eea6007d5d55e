#include "edge/intake/ack_book.hpp"

#include <algorithm>

namespace weir::edge {

AckBook::AckBook(std::uint32_t connections, const std::vector<LaneState>& lanes, IntakeHops& hops, std::uint32_t runs)
    : lanes_(lanes.size()), hops_(hops), runs_(runs), free_count_(runs), owners_(connections) {
    WEIR_ASSERT(lanes_ <= lanes_max);
    for (std::uint32_t run = 0; run < runs; ++run) runs_[run].next = run + 1 < runs ? run + 1 : none;
    for (Level& at : levels_) at.barriers.resize(barriers_max);
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
        appended_[lane] = lanes[lane].last_sequence;
        level(Wait::spooled).reached[lane] = lanes[lane].last_sequence;
        level(Wait::delivered).reached[lane] = lanes[lane].delivered_sequence;
    }
}

std::uint32_t AckBook::new_run(const AckItem& item) noexcept {
    WEIR_ASSERT(free_count_ > 0);
    const std::uint32_t index = free_head_;
    Run& run = runs_[index];
    free_head_ = run.next;
    --free_count_;
    Owner& owner = owners_[item.connection];
    ++owner.runs;
    run = Run{};
    run.first_ordinal = item.ordinal;
    run.count = item.count;
    run.connection = item.connection;
    run.generation = owner.generation;
    run.status = item.status;
    run.reason = item.reason;
    run.received_at = item.received_at;
    return index;
}

void AckBook::free_run(std::uint32_t index) noexcept {
    Run& run = runs_[index];
    Owner& owner = owners_[run.connection];
    if (run.generation == owner.generation) --owner.runs;
    run.next = free_head_;
    free_head_ = index;
    ++free_count_;
}

bool AckBook::extend(const List& list, const AckItem& item, Sequence batch) noexcept {
    if (list.tail == none) return false;
    Run& run = runs_[list.tail];
    if (run.connection != item.connection || run.generation != owners_[item.connection].generation ||
        run.batch != batch || run.status != item.status || run.reason != item.reason ||
        run.first_ordinal + run.count != item.ordinal) {
        return false;
    }
    run.count += item.count;
    run.later_ns += item.received_at.since(run.received_at) * item.count;
    return true;
}

void AckBook::push(List& list, std::uint32_t run) noexcept {
    runs_[run].next = none;
    if (list.tail == none) {
        list.head = run;
    } else {
        runs_[list.tail].next = run;
    }
    list.tail = run;
}

std::uint32_t AckBook::pop(List& list) noexcept {
    const std::uint32_t run = list.head;
    list.head = runs_[run].next;
    if (list.head == none) list.tail = none;
    return run;
}

void AckBook::wait_for(Wait wait, std::uint8_t lane, Sequence sequence, Sequence batch, const AckItem& item) noexcept {
    List& list = level(wait).waiting[lane];
    if (!extend(list, item, batch)) {
        push(list, new_run(item));
        if (wait == Wait::delivered) ++for_central_[lane];
    }
    runs_[list.tail].last_sequence = sequence;
    runs_[list.tail].batch = batch;
}

bool AckBook::is_open(const Level& at, const std::array<Sequence, lanes_max>& until) const noexcept {
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
        if (at.reached[lane] < until[lane]) return false;
    }
    return true;
}

void AckBook::wait_behind_all(Wait wait, const AckItem& item) noexcept {
    Level& at = level(wait);
    if (at.barrier_count == 0 && is_open(at, appended_)) return ack_now(item);
    Barrier* newest = nullptr;
    if (at.barrier_count > 0) {
        newest = &at.barriers[(at.barrier_head + at.barrier_count - 1) % barriers_max];
    }
    if (newest == nullptr || (newest->stamp != stamp_ && at.barrier_count < barriers_max)) {
        newest = &at.barriers[(at.barrier_head + at.barrier_count) % barriers_max];
        ++at.barrier_count;
        newest->runs = List{};
    }
    newest->stamp = stamp_;
    newest->until = appended_;
    if (!extend(newest->runs, item, 0)) push(newest->runs, new_run(item));
}

void AckBook::release(std::uint32_t index) noexcept {
    Run& run = runs_[index];
    Owner& owner = owners_[run.connection];
    if (run.generation != owner.generation) return free_run(index);
    if (owner.ready.tail != none) {
        Run& before = runs_[owner.ready.tail];
        if (before.status == run.status && before.reason == run.reason &&
            before.first_ordinal + before.count == run.first_ordinal) {
            before.count += run.count;
            return free_run(index);
        }
    }
    push(owner.ready, index);
}

void AckBook::ack_now(const AckItem& item) noexcept {
    release(new_run(item));
}

void AckBook::open_barriers(Level& at) noexcept {
    while (at.barrier_count > 0) {
        Barrier& oldest = at.barriers[at.barrier_head];
        if (!is_open(at, oldest.until)) return;
        while (oldest.runs.head != none) release(pop(oldest.runs));
        at.barrier_head = (at.barrier_head + 1) % barriers_max;
        --at.barrier_count;
    }
}

void AckBook::reached(Wait wait, std::uint8_t lane, Sequence sequence, MonotonicNs now, MonotonicNs told_at) noexcept {
    Level& at = level(wait);
    if (sequence <= at.reached[lane]) return;
    const bool is_spooled = wait == Wait::spooled;
    // The two runners read the clock apart: a word is never older than it was said.
    const MonotonicNs until = std::max(now, told_at);
    if (told_at.value != 0) {
        Histogram& said = is_spooled ? hops_.spooled_said : hops_.delivered_said;
        said.record(until.since(told_at), sequence - at.reached[lane]);
    }
    at.reached[lane] = sequence;
    List& list = at.waiting[lane];
    while (list.head != none && runs_[list.head].last_sequence <= sequence) {
        const std::uint32_t index = pop(list);
        if (!is_spooled) --for_central_[lane];
        const Run& run = runs_[index];
        Moments(run.received_at, run.count, run.later_ns)
            .record(is_spooled ? hops_.spooled_ack : hops_.delivered_ack, until);
        release(index);
    }
    open_barriers(at);
}

void AckBook::shed(std::uint8_t stream, Sequence first, Sequence last) noexcept {
    // Whole batches are shed and no run reaches into a second one, so each is in or out as a whole.
    List& list = level(Wait::delivered).waiting[stream];
    List kept;
    while (list.head != none) {
        const std::uint32_t index = pop(list);
        Run& run = runs_[index];
        if (run.last_sequence < first || run.last_sequence > last) {
            push(kept, index);
            continue;
        }
        run.status = wire::AckStatus::shed;
        run.reason = wire::Reason::shed_oldest;
        --for_central_[stream];
        release(index);
    }
    list = kept;
}

std::uint32_t AckBook::take_ready(std::uint32_t connection, std::span<wire::AckRange> ranges,
                                  std::uint64_t& events) noexcept {
    List& ready = owners_[connection].ready;
    std::uint32_t count = 0;
    for (; count < ranges.size() && ready.head != none; ++count) {
        const std::uint32_t index = pop(ready);
        const Run& run = runs_[index];
        ranges[count] = {run.first_ordinal, run.count, run.status, static_cast<std::uint8_t>(run.reason), 0};
        events += run.count;
        free_run(index);
    }
    return count;
}

void AckBook::forget(std::uint32_t connection) noexcept {
    Owner& owner = owners_[connection];
    while (owner.ready.head != none) free_run(pop(owner.ready));
    forgotten_ = forgotten_ || owner.runs > 0;
    owner.runs = 0;
    ++owner.generation;
}

void AckBook::sweep(List& list, std::uint32_t& freed) noexcept {
    List kept;
    while (list.head != none) {
        const std::uint32_t run = pop(list);
        if (runs_[run].generation == owners_[runs_[run].connection].generation) {
            push(kept, run);
        } else {
            free_run(run);
            ++freed;
        }
    }
    list = kept;
}

void AckBook::sweep() noexcept {
    for (Level& at : levels_) {
        for (std::size_t lane = 0; lane < lanes_; ++lane) {
            std::uint32_t freed = 0;
            sweep(at.waiting[lane], freed);
            if (&at == &level(Wait::delivered)) for_central_[lane] -= freed;
        }
        for (std::uint32_t i = 0, freed = 0; i < at.barrier_count; ++i) {
            sweep(at.barriers[(at.barrier_head + i) % barriers_max].runs, freed);
        }
    }
    forgotten_ = false;
}

bool AckBook::is_quiet(Wait wait) const noexcept {
    const Level& at = level(wait);
    if (at.barrier_count > 0) return false;
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
        if (at.waiting[lane].head != none) return false;
    }
    return true;
}

}  // namespace weir::edge
