// AlertTeller: takes alerts from the results to one sink, in order, and remembers how far it has come.
//
//   analytics.db, alerts beyond the cursor ─▶ told, severe and young enough? ─▶ sink ─▶ cursor (DATA_DIR/sink-NAME.0, .1)
//
// The cursor is a place in the journal: results that are computed anew are not told again. It is stored when there is nothing more to tell, or
// cursor_ms_max after it moved: what was told just before a kill may be told again.
//
// Thread    One of its own. start/stop from a control thread.
// Pressure  A sink that does not take them waits with growing pauses; the alerts wait in the results, of which analytics.rows_max are
//           kept: what was pruned meanwhile is counted as missed.
// Bounds    batch_max alerts at once.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "central/readmodel/database.hpp"
#include "central/sinks/silence_book.hpp"
#include "central/sinks/sink.hpp"
#include "core/metrics/counter.hpp"

namespace weir::central {

struct TellerCounters {
    Counter told;
    Counter failures;  // attempts
    Counter refused;   // alerts that the sink will never take
    Counter stale;     // older than keep_s
    Counter missed;    // pruned before they were told
    Counter silenced;  // an operator wanted nobody told
};

class AlertTeller {
  public:
    static constexpr std::size_t batch_max = 64;
    static constexpr std::uint32_t refused_attempts_max = 3;

    // `durable`: where the journal ends; a cursor beyond it is of another history, and begins anew.
    // `silences` outlives it; null: there are none.
    AlertTeller(const SinkConfig& config, const std::string& data_dir, std::uint64_t durable,
                const SilenceBook* silences = nullptr);
    ~AlertTeller() { stop(); }
    AlertTeller(const AlertTeller&) = delete;
    AlertTeller& operator=(const AlertTeller&) = delete;
    void start();
    void stop();
    // Any thread: there may be new alerts. Without it they are looked for each quarter of a second.
    void wake();
    [[nodiscard]] const TellerCounters& counters() const { return counters_; }
    [[nodiscard]] const std::string& name() const { return config_.name; }
    // Up to where in the journal alerts have been told. Any thread.
    [[nodiscard]] std::uint64_t position() const { return position_.get(); }

  private:
    struct Cursor {
        std::uint64_t position = 0;
        std::uint64_t serial = 0;
        auto operator<=>(const Cursor&) const = default;
    };
    void work();
    // One batch, told or not. False: there was none.
    [[nodiscard]] bool tell_next();
    // Rows beyond the cursor; those that are to be told of, and where they end.
    struct Batch {
        std::vector<ToldAlert> alerts;
        Cursor end;
    };
    [[nodiscard]] Result<Batch> read_next();
    void pause_after(const Error& error);
    // Until then, or stop() … `is_woken`: or wake(). False: stop.
    [[nodiscard]] bool nap(std::uint64_t ms, bool is_woken = false);
    void move_to(const Cursor& cursor);
    void store_cursor();

    SinkConfig config_;
    std::string results_;
    std::string cursor_path_;
    const SilenceBook* silences_;
    std::unique_ptr<AlertSink> sink_;
    std::optional<Database> database_;
    Cursor cursor_;
    Counter position_;
    Cursor stored_cursor_;  // what was told before it is told once more after a kill
    std::uint64_t cursor_file_serial_ = 0;
    MonotonicNs cursor_stored_{};
    std::uint64_t retry_ms_ = 0;
    std::uint32_t refused_attempts_ = 0;
    TellerCounters counters_;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    bool is_awake_ = false;  // under mutex_
    std::condition_variable changed_;
    std::thread thread_;
};

}  // namespace weir::central
