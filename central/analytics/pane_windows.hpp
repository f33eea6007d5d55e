// PaneWindows: tumbling and sliding windows in event time, by key.
//
// Event time is cut into panes of one step; an event is counted in the one pane that holds it, and every window over it is a merge of
// length / step panes: overlapping windows share them. A tumbling window is one pane.
//
//   events ──▶ pane of (key, step) ──watermark passes an end──▶ version 1 of each key with events
//                     │  a late event                            ▲
//                     └──▶ marks the windows over it ── advance ─┘ version n+1, with what changed
//
// Where spread_ns is set, each key sees the watermark late by a part of it that its text decides: the answers of many keys at one end come
// one after the other, and not at once.
//
// Thread    One. take() for each event of a record, then advance() once.
// Bounds    keys_max, panes_max: beyond either, the key touched longest ago is evicted: each of its windows that is still open is answered
//           with mark_evicted. Panes of one key: (length + lateness) / step + what the event clock lets ahead.
// Cost      An event: one table look-up and one aggregate. An answer: length / step merges.
#pragma once

#include <queue>

#include "central/analytics/keyed.hpp"
#include "central/analytics/window_result.hpp"

namespace weir::analytics {

class PaneWindows {
  public:
    // fault_of(spec) is empty, and length_ns is not 0.
    explicit PaneWindows(const WindowSpec& spec);
    void take(const WindowEvent& event, std::vector<WindowResult>& out);
    // What take() of this key will touch is on its way: called one after the other, for several windows in turn, before their take().
    void fetch_place(const HashedKey& key) const { keys_.fetch_place(key); }
    void fetch_key(const HashedKey& key) const;
    void fetch_pane(const HashedKey& key) const;
    // Corrections that are due, then the windows that end at or below `watermark`, are appended in sort_results' order.
    void advance(std::uint64_t watermark, std::vector<WindowResult>& out);
    [[nodiscard]] const WindowCounts& counts() const { return counts_; }
    [[nodiscard]] std::size_t key_count() const { return keys_.count(); }
    [[nodiscard]] std::size_t pane_count() const { return panes_; }
    void save(StateWriter& out) const { save_operator(*this, out); }
    void load(StateReader& in);
    // Saved as what is besides its tables, and its tables in order.
    void save_head(StateWriter& out) const;
    template <class Self, class Visit>
    static void for_each_table(Self& self, Visit&& visit) {
        visit(self.keys_);
    }

  private:
    struct Pane {
        std::uint64_t start_ns = 0;
        std::uint64_t born = 0;
        Aggregate aggregate;
    };
    // A window of a key that was answered, and is kept for late events.
    struct Answered {
        std::uint64_t end_ns = 0;
        std::uint64_t born = 0;
        Said said;
        bool is_due = false;  // a late event changed it
    };
    struct Key {
        std::vector<Pane> panes;         // by start
        std::vector<Answered> answered;  // by end
        std::uint64_t spread_ns = 0;
        std::uint64_t next_ns = UINT64_MAX;  // its watermark at which it has something to do
        bool is_due = false;
        void save(StateWriter& out) const;
    };
    using Keys = Keyed<Key>;
    using Due = std::pair<std::uint64_t, Keys::Slot>;

    [[nodiscard]] std::uint64_t spread_of(std::string_view key) const {
        return spec_.spread_ns == 0 ? 0 : hash_of(key) % spec_.spread_ns;
    }
    // As a key sees it that is late by so much.
    [[nodiscard]] static std::uint64_t late_by(std::uint64_t watermark, std::uint64_t spread_ns) {
        return watermark > spread_ns ? watermark - spread_ns : 0;
    }
    [[nodiscard]] std::uint64_t watermark_of(const Key& key) const { return late_by(watermark_, key.spread_ns); }
    [[nodiscard]] std::uint64_t last_end(const Pane& pane) const { return pane.start_ns + spec_.length_ns; }
    [[nodiscard]] std::uint64_t start_of(std::uint64_t end_ns) const {
        return end_ns > spec_.length_ns ? end_ns - spec_.length_ns : 0;
    }
    [[nodiscard]] Pane& pane_of(Key& key, const WindowEvent& event);
    void detach(const WindowEvent& event, std::uint64_t end_ns, std::vector<WindowResult>& out);
    [[nodiscard]] Answered& answered_at(Key& key, std::uint64_t end_ns);
    // False if no pane of the key lies in that window.
    bool answer(Keys::Slot slot, std::uint64_t end_ns, std::uint8_t marks, std::vector<WindowResult>& out);
    void correct(std::vector<WindowResult>& out);
    void close(Keys::Slot slot, std::uint64_t watermark, std::vector<WindowResult>& out);
    void forget(Key& key);
    // The first end above `above_ns` of a window with a pane in it; UINT64_MAX: none.
    [[nodiscard]] std::uint64_t next_end(const Key& key, std::uint64_t above_ns) const;
    void plan(Keys::Slot slot);
    void plan_at(Keys::Slot slot, std::uint64_t next_ns);
    void make_room(std::vector<WindowResult>& out);
    void evict(Keys::Slot slot, std::vector<WindowResult>& out);

    WindowSpec spec_;
    std::uint64_t watermark_ = 0;
    std::size_t panes_ = 0;
    WindowCounts counts_;
    Keys keys_;
    std::vector<Keys::Slot> corrections_;  // keys with is_due
    // When each key has something to do; entries that no longer agree with next_ns are passed over.
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace weir::analytics
