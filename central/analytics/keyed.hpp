// Keyed<State>: a bounded table of states by key, which knows the one that was touched longest ago.
//
// Ownership A key's slot number is stable while the key is there, and so is the place of its state.
// Bounds    The owner keeps count() within its limit by erasing oldest().
// Law       What it is saved as does not depend on slot numbers: keys are written in the order in which they were last touched.
//           A copy (begin_copy) is of the moment at which it began: what changes before its turn has come is copied first.
// Cost      A look-up is one line of the table and the entry; touch() writes to the entry alone. oldest() pays for the order: entries are
//           queued as they were touched once, and queued again where they have been touched since.
#pragma once

#include <algorithm>
#include <bit>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "central/analytics/hashed_key.hpp"
#include "central/analytics/table_copy.hpp"

namespace weir::analytics {

inline constexpr std::uint32_t key_bytes_max = 256;  // longer ones are cut

template <class State>
class Keyed {
  public:
    using Slot = std::uint32_t;
    static constexpr Slot no_slot = UINT32_MAX;

    [[nodiscard]] Slot find(const HashedKey& key) const {
        if (table_.empty()) return no_slot;
        for (std::size_t at = home_of(key.hash());; at = next_of(at)) {
            const Place& place = table_[at];
            if (place.slot == no_slot) return no_slot;
            if (place.hash == key.hash() && entry(place.slot).key == key.text()) return place.slot;
        }
    }
    // The key's slot, made if it is new; it is now the newest.
    Slot touch(const HashedKey& key) { return touch(key, find(key)); }
    // `found` by find() just before.
    Slot touch(const HashedKey& key, Slot found) {
        if (found == no_slot) return claim(key);
        entry_to_change(found).touched = ++clock_;
        return found;
    }
    void erase(Slot slot) {
        WEIR_ASSERT(is_used(slot));
        Entry& gone = entry_to_change(slot);
        take_out(gone.hash, slot);
        gone = Entry{};
        free_.push_back(slot);
        --count_;
    }
    [[nodiscard]] Slot oldest() {
        while (!queue_.empty()) {
            const Queued first = queue_.front();
            std::pop_heap(queue_.begin(), queue_.end(), is_after);
            queue_.pop_back();
            Entry& one = entry(first.slot);
            if (!one.is_used || one.queued != first.touched) continue;  // it has gone meanwhile
            one.queued = one.touched;
            queue(first.slot);
            if (one.touched == first.touched) return first.slot;
        }
        return no_slot;
    }
    [[nodiscard]] bool is_used(Slot slot) const { return slot < slots_ && entry(slot).is_used; }
    [[nodiscard]] State& at(Slot slot) { return entry_to_change(slot).state; }
    [[nodiscard]] const State& at(Slot slot) const { return entry(slot).state; }
    [[nodiscard]] const std::string& key_of(Slot slot) const { return entry(slot).key; }
    [[nodiscard]] std::size_t count() const { return count_; }
    void clear() { *this = Keyed{}; }

    // What a find() will need is on its way, one step after the other: where the key stands, then its entry. likely() may be another key's.
    void fetch_place(const HashedKey& key) const {
        if (!table_.empty()) __builtin_prefetch(&table_[home_of(key.hash())]);
    }
    [[nodiscard]] Slot likely(const HashedKey& key) const {
        if (table_.empty()) return no_slot;
        std::size_t at = home_of(key.hash());
        while (table_[at].slot != no_slot && table_[at].hash != key.hash()) at = next_of(at);
        return table_[at].slot;
    }
    void fetch_entry(Slot slot) const {
        const auto* bytes = reinterpret_cast<const char*>(&entry(slot));
        for (std::size_t line = 0; line < sizeof(Entry); line += line_bytes) __builtin_prefetch(bytes + line, 1);
    }

    // visit(slot) from the one touched longest ago to the newest.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const Queued& one : by_touch()) visit(one.slot);
    }
    // A state says itself what it is saved as (save(StateWriter&)), or is a number.
    void save(StateWriter& out) const {
        // Taken as they lie in memory, which is many times faster, and put in order then.
        TableCopy copy;
        for (Slot slot = 0; slot < slots_; ++slot) {
            if (entry(slot).is_used) add_to(copy, entry(slot));
        }
        copy.write([&](std::string_view piece) { out.append(piece); });
    }

    // One copy at a time: begin_copy(), copy_some() until it says so, take_copy(). All else goes on in between, but clear() and load().
    // `room` is an earlier one.
    void begin_copy(TableCopy room = {}) {
        WEIR_ASSERT(!copy_);
        copy_.emplace(std::move(room)).clear();
        is_even_ = !is_even_;
        slots_to_copy_ = slots_;
        next_to_copy_ = 0;
    }
    // Passes over at most `slots`; how many of them are left: 0 where there was more to do than that.
    std::size_t copy_some(std::size_t slots) {
        while (slots > 0 && next_to_copy_ < slots_to_copy_) {
            Entry& one = entry(next_to_copy_++);
            if (one.is_used && one.is_even != is_even_) copy(one);
            --slots;
        }
        return slots;
    }
    [[nodiscard]] TableCopy take_copy() {
        WEIR_ASSERT(copy_ && next_to_copy_ == slots_to_copy_);
        return *std::exchange(copy_, std::nullopt);
    }

    template <class LoadState>
    void load(StateReader& in, std::size_t count_max, LoadState&& load_state) {
        clear();
        const std::uint32_t keys = in.count(count_max);
        for (std::uint32_t index = 0; index < keys && in.is_ok(); ++index) {
            const HashedKey key(in.text(key_bytes_max));
            in.require(find(key) == no_slot);
            if (in.is_ok()) load_state(at(touch(key)));
        }
        if (!in.is_ok()) clear();
    }

  private:
    static constexpr std::size_t line_bytes = 64;
    static constexpr std::uint32_t chunk_entries = 256;
    static constexpr std::size_t queue_spare = 64;

    struct Entry {
        std::string key;
        std::uint64_t touched = 0;  // by clock_
        std::uint64_t queued = 0;   // as it was when it was queued
        std::uint32_t hash = 0;
        bool is_used = false;
        bool is_even = false;  // as the table is: it is in the copy, or came after it began
        State state{};
    };
    struct Place {
        std::uint32_t hash = 0;
        Slot slot = no_slot;  // no_slot: free
    };
    struct Queued {
        std::uint64_t touched = 0;
        Slot slot = no_slot;
    };
    static bool is_after(const Queued& left, const Queued& right) { return left.touched > right.touched; }

    [[nodiscard]] Entry& entry(Slot slot) { return chunks_[slot / chunk_entries][slot % chunk_entries]; }
    [[nodiscard]] const Entry& entry(Slot slot) const { return chunks_[slot / chunk_entries][slot % chunk_entries]; }
    // Before anything changes that is saved.
    [[nodiscard]] Entry& entry_to_change(Slot slot) {
        Entry& one = entry(slot);
        if (one.is_even != is_even_) [[unlikely]]
            copy(one);
        return one;
    }
    void copy(Entry& one) {
        WEIR_ASSERT(copy_);
        one.is_even = is_even_;
        add_to(*copy_, one);
    }
    static void add_to(TableCopy& copy, const Entry& one) {
        copy.add(one.touched, [&](StateWriter& out) {
            out.text(one.key);
            if constexpr (std::is_arithmetic_v<State>) {
                out.put(one.state);
            } else {
                one.state.save(out);
            }
        });
    }
    [[nodiscard]] std::size_t home_of(std::uint32_t hash) const { return hash & (table_.size() - 1); }
    [[nodiscard]] std::size_t next_of(std::size_t at) const { return (at + 1) & (table_.size() - 1); }

    [[nodiscard]] std::vector<Queued> by_touch() const {
        std::vector<Queued> all;
        all.reserve(count_);
        for (Slot slot = 0; slot < slots_; ++slot) {
            if (entry(slot).is_used) all.push_back({entry(slot).touched, slot});
        }
        std::sort(all.begin(), all.end(), [](const Queued& a, const Queued& b) { return a.touched < b.touched; });
        return all;
    }
    Slot claim(const HashedKey& key) {
        Slot slot = slots_;
        if (free_.empty()) {
            if (slots_ % chunk_entries == 0) chunks_.push_back(std::make_unique<Entry[]>(chunk_entries));
            ++slots_;
        } else {
            slot = free_.back();
            free_.pop_back();
        }
        Entry& made = entry(slot);
        made.key = key.text();
        made.hash = key.hash();
        made.is_used = true;
        made.is_even = is_even_;
        made.touched = made.queued = ++clock_;
        ++count_;
        if (2 * count_ > table_.size()) {
            widen();
        } else {
            put_in(key.hash(), slot);
        }
        if (queue_.size() > 2 * count_ + queue_spare) {
            queue_all();
        } else {
            queue(slot);
        }
        return slot;
    }
    void put_in(std::uint32_t hash, Slot slot) {
        std::size_t at = home_of(hash);
        while (table_[at].slot != no_slot) at = next_of(at);
        table_[at] = {hash, slot};
    }
    void widen() {
        table_.assign(std::bit_ceil(std::max<std::size_t>(4 * count_, 16)), Place{});
        for (Slot slot = 0; slot < slots_; ++slot) {
            if (entry(slot).is_used) put_in(entry(slot).hash, slot);
        }
    }
    // What stands behind moves up, as far as its home lets it: there are no graves.
    void take_out(std::uint32_t hash, Slot slot) {
        std::size_t hole = home_of(hash);
        while (table_[hole].slot != slot) hole = next_of(hole);
        for (std::size_t at = next_of(hole); table_[at].slot != no_slot; at = next_of(at)) {
            const std::size_t mask = table_.size() - 1;
            const std::size_t from_home = (at - home_of(table_[at].hash)) & mask;
            if (from_home < ((at - hole) & mask)) continue;
            table_[hole] = table_[at];
            hole = at;
        }
        table_[hole] = Place{};
    }
    void queue(Slot slot) {
        queue_.push_back({entry(slot).queued, slot});
        std::push_heap(queue_.begin(), queue_.end(), is_after);
    }
    void queue_all() {
        queue_.clear();
        for (Slot slot = 0; slot < slots_; ++slot) {
            if (!entry(slot).is_used) continue;
            entry(slot).queued = entry(slot).touched;
            queue_.push_back({entry(slot).queued, slot});
        }
        std::make_heap(queue_.begin(), queue_.end(), is_after);
    }

    std::vector<std::unique_ptr<Entry[]>> chunks_;  // entries do not move
    Slot slots_ = 0;
    std::vector<Slot> free_;
    std::vector<Place> table_;  // open addressing, a power of two, at most half full
    std::size_t count_ = 0;
    std::uint64_t clock_ = 0;
    std::vector<Queued> queue_;  // a heap, the one queued as longest ago first
    std::optional<TableCopy> copy_;
    bool is_even_ = false;  // changes with each copy
    Slot slots_to_copy_ = 0;
    Slot next_to_copy_ = 0;
};

// What an operator is saved as, at once; its tables are copied in the same order (Engine::begin_copy).
template <class Operator>
void save_operator(const Operator& of, StateWriter& out) {
    if constexpr (requires { of.save_head(out); }) of.save_head(out);
    Operator::for_each_table(of, [&](const auto& table) { table.save(out); });
    if constexpr (requires { of.save_tail(out); }) of.save_tail(out);
}

}  // namespace weir::analytics
