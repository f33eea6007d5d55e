#include "tests/interleaving/explorer.hpp"

#include <algorithm>
#include <utility>

#include "core/base/assert.hpp"

namespace weir::interleaving {
namespace {

constexpr std::size_t stack_bytes = 128U << 10;
constexpr std::uint32_t steps_max = 2'000;  // a scenario needs some dozens: more is a thread that spins for ever
Explorer* the_explorer = nullptr;

std::uint64_t mix(std::uint64_t digest, std::uint64_t value) {
    digest ^= value + 0x9e3779b97f4a7c15U;
    digest *= 0xff51afd7ed558ccdU;  // MurmurHash3's finaliser (Appleby)
    digest ^= digest >> 33U;
    digest *= 0xc4ceb9fe1a85ec53U;
    return digest ^ (digest >> 29U);
}

bool is_release(std::memory_order order) {
    return order == std::memory_order_release || order == std::memory_order_acq_rel ||
           order == std::memory_order_seq_cst;
}

}  // namespace

const char* name_of(Memory memory) {
    switch (memory) {
        case Memory::sequential:
            return "sequential";
        case Memory::store_buffers:
            return "store buffers";
        case Memory::reordered_stores:
            return "reordered stores";
    }
    return "";
}

Explorer* Explorer::current() {
    return the_explorer;
}

Outcome Explorer::explore(const Exploration& exploration, const Make& make) {
    Explorer explorer(exploration, make);
    the_explorer = &explorer;
    Outcome outcome = explorer.explore();
    explorer.scenario_.reset();
    the_explorer = nullptr;
    return outcome;
}

Explorer::Explorer(const Exploration& exploration, const Make& make) : exploration_(exploration), make_(make) {
    WEIR_ASSERT(exploration.threads <= 32);
    threads_.resize(exploration.threads);
    for (Thread& thread : threads_) thread.stack.resize(stack_bytes);
}

Outcome Explorer::explore() {
    while (outcome_.runs < exploration_.runs_max) {
        ++outcome_.runs;
        double found = 0;
        has_learnt_ = false;
        const bool is_at_end = run_once(false);
        if (has_learnt_) {
            path_.clear();
            known_.clear();
            continue;
        }
        if (is_at_end) {
            found = 1;
            outcome_.wrong = steps_ == steps_max ? "a thread spins for ever" : scenario_->judge();
        } else {
            found = known_.at(state());
        }
        outcome_.steps_max = std::max(outcome_.steps_max, steps_);
        if (!outcome_.wrong.empty()) {
            trace_.clear();
            static_cast<void>(run_once(true));
            outcome_.wrong += "\n" + trace_;
            return outcome_;
        }
        // The deepest choice that has another way to go.
        while (!path_.empty()) {
            Node& node = path_.back();
            node.interleavings += found;
            if (++node.taken < node.count) break;
            found = known_[node.state] = node.interleavings;
            path_.pop_back();
        }
        if (path_.empty()) {
            outcome_.interleavings = found;
            outcome_.is_complete = true;
            break;
        }
    }
    outcome_.states = known_.size();
    return outcome_;
}

bool Explorer::run_once(bool is_traced) {
    scenario_.reset();
    cells_.clear();
    scenario_ = make_();
    early_wakes_left_ = exploration_.early_wakes;
    begin_threads();
    std::vector<Transition> transitions;
    std::size_t depth = 0;
    for (steps_ = 0; steps_ < steps_max; ++steps_) {
        collect(transitions);
        if (transitions.empty()) return true;
        std::size_t choice = 0;
        if (transitions.size() > 1) {
            if (depth == path_.size()) {
                const std::uint64_t here = state();
                // 0 while the state is on the path: a circle adds no end of its own.
                if (!known_.emplace(here, 0).second) return false;
                path_.push_back({.state = here, .count = static_cast<std::uint32_t>(transitions.size())});
            }
            WEIR_ASSERT(path_[depth].count == transitions.size());  // else the scenario is no function of the choices
            choice = path_[depth++].taken;
        }
        take(transitions[choice], is_traced);
    }
    return true;
}

void Explorer::enter(unsigned thread) {
    Explorer& explorer = *the_explorer;
    explorer.scenario_->run_thread(thread);
    explorer.threads_[thread].is_done = true;
    ::setcontext(&explorer.main_);
}

void Explorer::begin_threads() {
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        Thread& thread = threads_[i];
        thread.next = {};
        thread.buffer.clear();
        thread.returns = 0;
        thread.is_done = thread.is_woken_early = false;
        ::getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = thread.stack.data();
        thread.context.uc_stack.ss_size = thread.stack.size();
        thread.context.uc_link = nullptr;
        ::makecontext(&thread.context, reinterpret_cast<void (*)()>(&Explorer::enter), 1, static_cast<unsigned>(i));
    }
    for (std::size_t i = 0; i < threads_.size(); ++i) go_on(i);  // up to its first access nobody sees it
}

bool Explorer::can_go_on(const Thread& thread) const {
    if (thread.is_done) return false;
    switch (thread.next.kind) {
        case Kind::load:
        case Kind::store:
        case Kind::step:
            return true;
        case Kind::fence:
            return thread.buffer.empty();
        case Kind::take:
            return thread.buffer.empty() && cells_[thread.next.cell].value != 0;
        case Kind::modify:
            if (exploration_.memory != Memory::reordered_stores || thread.next.is_release) return thread.buffer.empty();
            return std::none_of(thread.buffer.begin(), thread.buffer.end(),
                                [&](const Stored& stored) { return stored.cell == thread.next.cell; });
    }
    return false;
}

bool Explorer::may_leave(const std::vector<Stored>& buffer, std::size_t index, Memory memory) {
    if (index == 0) return true;
    if (memory != Memory::reordered_stores || buffer[index].is_release) return false;
    return std::none_of(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(index),
                        [&](const Stored& before) { return before.cell == buffer[index].cell; });
}

void Explorer::collect(std::vector<Transition>& transitions) const {
    transitions.clear();
    using What = Transition::What;
    for (std::size_t i = 0; i < threads_.size(); ++i) {
        const Thread& thread = threads_[i];
        const auto number = static_cast<std::uint8_t>(i);
        if (can_go_on(thread)) transitions.push_back({What::go_on, number, 0});
        if (!thread.is_done && thread.next.kind == Kind::take && thread.buffer.empty() && early_wakes_left_ > 0)
            transitions.push_back({What::wake_early, number, 0});
        for (std::size_t at = 0; at < thread.buffer.size(); ++at) {
            if (may_leave(thread.buffer, at, exploration_.memory))
                transitions.push_back({What::flush, number, static_cast<std::uint8_t>(at)});
        }
    }
}

void Explorer::take(const Transition& transition, bool is_traced) {
    Thread& thread = threads_[transition.thread];
    if (is_traced) {
        static constexpr const char* kinds[] = {"loads", "stores", "modifies", "passes a fence", "takes", "steps"};
        trace_ += "  thread " + std::to_string(transition.thread) + " ";
        if (transition.what == Transition::What::flush) {
            const Stored& stored = thread.buffer[transition.index];
            trace_ += "shows its store of cell " + std::to_string(stored.cell) + "\n";
        } else {
            trace_ += kinds[static_cast<std::size_t>(thread.next.kind)];
            trace_ += " (cell " + std::to_string(thread.next.cell) + ")\n";
        }
    }
    switch (transition.what) {
        case Transition::What::flush: {
            const Stored stored = thread.buffer[transition.index];
            thread.buffer.erase(thread.buffer.begin() + transition.index);
            cells_[stored.cell].value = stored.value;
            return;
        }
        case Transition::What::wake_early:
            --early_wakes_left_;
            thread.is_woken_early = true;
            break;
        case Transition::What::go_on:
            break;
    }
    go_on(transition.thread);
}

void Explorer::go_on(std::size_t thread) {
    running_ = thread;
    ::swapcontext(&main_, &threads_[thread].context);
    running_ = no_thread;
}

std::uint64_t Explorer::plain(const Cell& cell, std::uint64_t value) const {
    return cell.is_address ? static_cast<std::uint64_t>(value != 0) : value;
}

std::uint64_t Explorer::state() const {
    std::uint64_t digest = mix(scenario_->digest(), early_wakes_left_);
    for (const Cell& cell : cells_) digest = mix(digest, plain(cell, cell.value));
    for (const Thread& thread : threads_) {
        digest = mix(digest, thread.returns);
        digest = mix(digest, (std::uint64_t{thread.is_done} << 8U) | static_cast<std::uint64_t>(thread.next.kind));
        for (const Stored& stored : thread.buffer) {
            digest = mix(digest, (std::uint64_t{stored.cell} << 1U) | std::uint64_t{stored.is_release});
            digest = mix(digest, plain(cells_[stored.cell], stored.value));
        }
        digest = mix(digest, thread.buffer.size());
    }
    return digest;
}

void Explorer::hand_over(Access access) {
    Thread& thread = threads_[running_];
    thread.next = access;
    ::swapcontext(&thread.context, &main_);
}

void Explorer::returned(Kind kind, std::uint32_t cell, std::uint64_t value) {
    std::uint64_t& returns = threads_[running_].returns;
    returns =
        mix(mix(returns, (std::uint64_t{cell} << 8U) | static_cast<std::uint64_t>(kind)), plain(cells_[cell], value));
}

std::uint32_t Explorer::new_cell(std::uint64_t value, bool is_address) {
    WEIR_ASSERT(!is_in_thread());
    cells_.push_back({value, is_address});
    if (writers_.size() < cells_.size()) writers_.push_back(0);
    return static_cast<std::uint32_t>(cells_.size() - 1);
}

bool Explorer::is_own(std::uint32_t cell) const {
    return (writers_[cell] & ~(1U << running_)) == 0;
}

void Explorer::writes(std::uint32_t cell) {
    if ((writers_[cell] & (1U << running_)) != 0) return;
    writers_[cell] |= 1U << running_;
    has_learnt_ = true;
}

std::uint64_t Explorer::load(std::uint32_t cell) {
    if (!is_in_thread()) return cells_[cell].value;
    if (!is_own(cell)) hand_over({.kind = Kind::load, .cell = cell});
    const std::vector<Stored>& buffer = threads_[running_].buffer;
    const auto own = std::find_if(buffer.rbegin(), buffer.rend(), [&](const Stored& one) { return one.cell == cell; });
    const std::uint64_t value = own == buffer.rend() ? cells_[cell].value : own->value;
    returned(Kind::load, cell, value);
    return value;
}

void Explorer::store(std::uint32_t cell, std::uint64_t value, std::memory_order order) {
    if (!is_in_thread()) {
        cells_[cell].value = value;
        return;
    }
    if (order == std::memory_order_seq_cst) {
        exchange(cell, value, order);
        return;
    }
    writes(cell);
    if (exploration_.memory == Memory::sequential) {
        hand_over({.kind = Kind::store, .cell = cell});
        cells_[cell].value = value;
    } else {
        // Nobody else sees this yet: no choice here, but when it leaves the buffer.
        threads_[running_].buffer.push_back({cell, value, is_release(order)});
    }
    returned(Kind::store, cell, value);
}

std::uint64_t Explorer::modify(std::uint32_t cell, std::memory_order order,
                               const std::function<std::uint64_t(std::uint64_t)>& change) {
    if (is_in_thread()) {
        writes(cell);
        hand_over({.kind = Kind::modify, .cell = cell, .is_release = is_release(order)});
    }
    const std::uint64_t before = cells_[cell].value;
    cells_[cell].value = change(before);
    if (is_in_thread()) returned(Kind::modify, cell, before);
    return before;
}

std::uint64_t Explorer::compare_exchange(std::uint32_t cell, std::uint64_t expected, std::uint64_t desired,
                                         std::memory_order order) {
    return modify(cell, order, [=](std::uint64_t before) { return before == expected ? desired : before; });
}
std::uint64_t Explorer::exchange(std::uint32_t cell, std::uint64_t value, std::memory_order order) {
    return modify(cell, order, [=](std::uint64_t) { return value; });
}
std::uint64_t Explorer::add(std::uint32_t cell, std::uint64_t value, std::memory_order order) {
    return modify(cell, order, [=](std::uint64_t before) { return before + value; });
}

void Explorer::fence_seq_cst() {
    if (!is_in_thread() || threads_[running_].buffer.empty()) return;
    hand_over({.kind = Kind::fence});
}

bool Explorer::take_when_set(std::uint32_t cell) {
    WEIR_ASSERT(is_in_thread());
    writes(cell);
    hand_over({.kind = Kind::take, .cell = cell, .is_release = true});
    Thread& thread = threads_[running_];
    const bool is_woken = !std::exchange(thread.is_woken_early, false);
    if (is_woken) cells_[cell].value = 0;
    returned(Kind::take, cell, is_woken);
    return is_woken;
}

void Explorer::step() {
    if (!is_in_thread()) return;
    hand_over({.kind = Kind::step});
    returned(Kind::step, 0, 0);
}

void Explorer::observe(std::uint64_t value) {
    if (is_in_thread()) threads_[running_].returns = mix(threads_[running_].returns, value);
}

bool Explorer::is_asleep(std::size_t thread) const {
    return !threads_[thread].is_done && threads_[thread].next.kind == Kind::take;
}

}  // namespace weir::interleaving
