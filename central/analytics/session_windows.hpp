// SessionWindows: runs of events of one key with less than gap_ns between neighbours.
//
// A session ends gap_ns after its last event, and is answered when the watermark has passed that. A late event may stretch a session or
// join several into one: the oldest row goes on as the whole, in its next version; rows of the others that had been answered are
// answered once more, empty, with mark_merged.
//
// Thread    One. take() for each event of a record, then advance() once.
// Bounds    keys_max, panes_max (sessions): beyond either, the key touched longest ago is evicted: what is open or changed of it is
//           answered with mark_evicted.
#pragma once

#include <queue>

#include "central/analytics/keyed.hpp"
#include "central/analytics/window_result.hpp"

namespace weir::analytics {

class SessionWindows {
  public:
    // fault_of(spec) is empty, and length_ns is 0.
    explicit SessionWindows(const WindowSpec& spec);
    void take(const WindowEvent& event, std::vector<WindowResult>& out);
    void advance(std::uint64_t watermark, std::vector<WindowResult>& out);
    [[nodiscard]] const WindowCounts& counts() const { return counts_; }
    [[nodiscard]] std::size_t key_count() const { return keys_.count(); }
    [[nodiscard]] std::size_t pane_count() const { return sessions_; }
    void save(StateWriter& out) const { save_operator(*this, out); }
    void load(StateReader& in);
    // Saved as what is besides its tables, and its tables in order.
    void save_head(StateWriter& out) const;
    template <class Self, class Visit>
    static void for_each_table(Self& self, Visit&& visit) {
        visit(self.keys_);
    }

  private:
    struct Session {
        std::uint64_t first_ns = 0;
        std::uint64_t last_ns = 0;
        std::uint64_t born = 0;
        Said said;
        bool is_changed = true;  // since it was answered
        bool is_late = false;    // a late event changed it
        Aggregate aggregate;
    };
    struct Key {
        std::vector<Session> sessions;  // by first_ns; they lie gap_ns apart at least
        std::uint64_t next_ns = UINT64_MAX;
        void save(StateWriter& out) const;
    };
    using Keys = Keyed<Key>;
    using Due = std::pair<std::uint64_t, Keys::Slot>;

    [[nodiscard]] std::uint64_t end_of(const Session& one) const { return one.last_ns + spec_.gap_ns; }
    [[nodiscard]] bool is_gone(const Session& one, std::uint64_t watermark) const {
        return end_of(one) + spec_.lateness_ns <= watermark;
    }
    // The sessions that an event at `time_ns` belongs to: [first, last).
    [[nodiscard]] std::pair<std::size_t, std::size_t> touched(const Key& key, std::uint64_t time_ns) const;
    void join(Keys::Slot slot, std::size_t first, std::size_t last, Session added, std::vector<WindowResult>& out);
    void answer(std::string_view key, Session& one, std::uint8_t marks, std::vector<WindowResult>& out);
    void close(Keys::Slot slot, std::uint64_t watermark, std::vector<WindowResult>& out);
    void plan(Keys::Slot slot);
    void evict(Keys::Slot slot, std::vector<WindowResult>& out);

    WindowSpec spec_;
    std::uint64_t watermark_ = 0;
    std::size_t sessions_ = 0;
    WindowCounts counts_;
    Keys keys_;
    std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

}  // namespace weir::analytics
