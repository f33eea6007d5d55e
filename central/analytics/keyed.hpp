// Keyed<State>: a bounded table of states by key, which knows the one that was touched longest ago.
//
// Ownership A key's slot number is stable while the key is there. References to a state are valid until the next touch or erase.
// Bounds    The owner keeps count() within its limit by erasing oldest().
// Law       What it is saved as does not depend on slot numbers: keys are written in the order in which they were last touched.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <deque>
#include <optional>

#include "central/analytics/state_io.hpp"
#include "core/base/assert.hpp"

namespace weir::analytics {

inline constexpr std::uint32_t key_bytes_max = 256;  // longer ones are cut

template <class State>
class Keyed {
  public:
    using Slot = std::uint32_t;
    static constexpr Slot no_slot = UINT32_MAX;

    [[nodiscard]] Slot find(std::string_view key) const {
        const auto found = by_key_.find(key);
        return found == by_key_.end() ? no_slot : found->second;
    }
    // The key's slot, made if it is new; it is now the newest.
    Slot touch(std::string_view key) {
        Slot slot = find(key);
        if (slot == no_slot) {
            slot = claim(key);
        } else if (slot == newest_) {
            return slot;
        } else {
            unlink(slot);
        }
        link_newest(slot);
        return slot;
    }
    void erase(Slot slot) {
        Entry& entry = entries_[slot];
        WEIR_ASSERT(entry.is_used);
        by_key_.erase(std::string_view(entry.key));
        unlink(slot);
        entry = Entry{};
        free_.push_back(slot);
    }
    [[nodiscard]] Slot oldest() const { return oldest_; }
    [[nodiscard]] bool is_used(Slot slot) const { return slot < entries_.size() && entries_[slot].is_used; }
    [[nodiscard]] State& at(Slot slot) { return entries_[slot].state; }
    [[nodiscard]] const State& at(Slot slot) const { return entries_[slot].state; }
    [[nodiscard]] const std::string& key_of(Slot slot) const { return entries_[slot].key; }
    [[nodiscard]] std::size_t count() const { return by_key_.size(); }
    void clear() { *this = Keyed{}; }

    // visit(slot) from the one touched longest ago to the newest.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (Slot slot = oldest_; slot != no_slot; slot = entries_[slot].newer) visit(slot);
    }
    template <class SaveState>
    void save(StateWriter& out, SaveState&& save_state) const {
        out.count(count());
        for_each([&](Slot slot) {
            out.text(entries_[slot].key);
            save_state(entries_[slot].state);
        });
    }
    template <class LoadState>
    void load(StateReader& in, std::size_t count_max, LoadState&& load_state) {
        clear();
        const std::uint32_t keys = in.count(count_max);
        for (std::uint32_t index = 0; index < keys && in.is_ok(); ++index) {
            const std::string_view key = in.text(key_bytes_max);
            in.require(find(key) == no_slot);
            if (in.is_ok()) load_state(at(touch(key)));
        }
        if (!in.is_ok()) clear();
    }

  private:
    struct Entry {
        std::string key;
        State state{};
        Slot older = no_slot;
        Slot newer = no_slot;
        bool is_used = false;
    };
    Slot claim(std::string_view key) {
        Slot slot = static_cast<Slot>(entries_.size());
        if (free_.empty()) {
            entries_.emplace_back();
        } else {
            slot = free_.back();
            free_.pop_back();
        }
        Entry& entry = entries_[slot];
        entry.key = key;
        entry.is_used = true;
        by_key_.emplace(std::string_view(entry.key), slot);
        return slot;
    }
    void unlink(Slot slot) {
        const Entry& entry = entries_[slot];
        (entry.older != no_slot ? entries_[entry.older].newer : oldest_) = entry.newer;
        (entry.newer != no_slot ? entries_[entry.newer].older : newest_) = entry.older;
    }
    void link_newest(Slot slot) {
        entries_[slot].older = newest_;
        entries_[slot].newer = no_slot;
        (newest_ != no_slot ? entries_[newest_].newer : oldest_) = slot;
        newest_ = slot;
    }

    std::deque<Entry> entries_;  // does not move: by_key_ points into the keys
    std::vector<Slot> free_;
    boost::unordered_flat_map<std::string_view, Slot> by_key_;
    Slot oldest_ = no_slot;
    Slot newest_ = no_slot;
};

}  // namespace weir::analytics
