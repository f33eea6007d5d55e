// The edge's process, taken apart: what it is made of, and in which order that starts and ends. The folder's own; others take daemon.hpp.
//
// Thread    The control thread makes, runs and ends all of it; what the admin port's thread may read says so.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/control/admin.hpp"
#include "core/control/admin_guard.hpp"
#include "core/control/letters_act.hpp"
#include "core/control/service.hpp"
#include "core/control/signals.hpp"
#include "core/control/tls_watch.hpp"
#include "core/journal/scrubber.hpp"
#include "core/journal/segments.hpp"
#include "core/pipeline/low_latency_idle.hpp"
#include "core/pipeline/runner.hpp"
#include "core/pipeline/thread_plan.hpp"
#include "edge/account.hpp"
#include "edge/daemon/daemon.hpp"
#include "edge/daemon/words.hpp"
#include "edge/intake/intake.hpp"
#include "edge/lane_changes.hpp"
#include "edge/recovery.hpp"
#include "edge/reload_desk.hpp"
#include "edge/spool/spare_lanes.hpp"
#include "edge/spool/spool_stage.hpp"
#include "edge/tables/cached_tables.hpp"
#include "edge/tables/row_asks.hpp"
#include "edge/tables/table_keeper.hpp"
#include "edge/tap_desk.hpp"

namespace weir::edge {

inline constexpr std::size_t to_spool_capacity = 1024;
inline constexpr std::uint32_t uplink_receive_slots = 4;   // acks and credit are small and taken at once
inline constexpr std::uint32_t recycled_segments_max = 1;  // of each stream

// What the control loop said last: a line is written only when something changes.
struct Told {
    bool is_connected = false;
    std::array<std::uint64_t, centrals_max> breakers{};
    std::uint64_t switch_overs = 0;
    std::uint64_t returns = 0;
    bool was_connected = false;
    std::uint64_t refusals = 0;
    std::uint64_t last_refusal = 0;
    std::uint64_t checkpoint_failures = 0;
    std::uint64_t central_behind = 0;
    std::uint64_t damaged_records = 0;
    bool is_poisoned = false;
    wire::Rung rung = wire::Rung::healthy;
    std::array<std::uint64_t, fused_stages> fuse_blown{};
    std::array<bool, fused_stages> is_fuse_closed{true, true};
    bool is_full = false;
};

struct EdgeDaemon::Parts {
    Parts(EdgeConfig edge_config, io::IoChoice io_choice, std::string path);

    [[nodiscard]] Status start();
    [[nodiscard]] Status start_admin();
    [[nodiscard]] Status open_guard();
    [[nodiscard]] Status start_tls();
    [[nodiscard]] Status start_runners();
    void make_tables();
    void make_segments();
    [[nodiscard]] Result<std::unique_ptr<Stage>> make_spool(io::Io& runner_io, std::uint8_t owner);
    [[nodiscard]] Result<std::unique_ptr<Stage>> make_intake(io::Io& runner_io, std::uint8_t owner);
    [[nodiscard]] std::vector<RunnerFacts> runner_facts() const;
    void open_poison_guard();
    [[nodiscard]] int run();
    [[nodiscard]] int drain(control::SignalWatch& signals);
    void tell_changes();
    void tell_fuses();
    void keep_watchdog();
    void measure_spool();
    void look_at_flash();
    void tell_centrals();
    [[nodiscard]] ReloadOutcome reload();
    void change_lanes(const EdgeConfig& next);
    void tell_lane_names();
    [[nodiscard]] std::vector<LaneName> lanes() const {
        const std::lock_guard lock(lanes_mutex);
        return lane_names;
    }
    [[nodiscard]] ReloadOutcome tell_reload(ReloadOutcome outcome);
    void look_at_tables();
    void tell_tables();
    [[nodiscard]] control::AdminResponse answer(std::string_view target) const;
    [[nodiscard]] control::AdminResponse act(const control::AdminAct& asked);
    [[nodiscard]] control::AdminResponse answer_reload();
    [[nodiscard]] control::LettersDesk letters_desk() const;
    [[nodiscard]] std::vector<std::string> unready_reasons() const;
    [[nodiscard]] wire::Rung rung() const { return static_cast<wire::Rung>(counters.intake.rung.get()); }
    [[nodiscard]] std::string_view rung_text() const { return wire::text(rung()); }
    [[nodiscard]] bool is_full() const {
        const std::uint64_t needed = counters.spool.journal_bytes_needed.get();
        const std::uint64_t reserve = std::uint64_t{config.spool.batches_max} * batch_buffer_bytes;
        // As intake is stopped: the rest is for batches on their way.
        return needed + std::min(reserve, config.spool.bytes_max / 4) >= config.spool.bytes_max;
    }

    // Why a stream has no next file, 0 if all have.
    [[nodiscard]] int prepare_errno() const {
        for (const auto& one : segments) {
            if (const int code = one->prepare_errno(); code != 0) return code;
        }
        return 0;
    }
    // Written by all streams to make segments ready.
    [[nodiscard]] std::uint64_t prepared_bytes() const {
        std::uint64_t bytes = 0;
        for (const auto& one : segments) bytes += one->prepared_bytes();
        return bytes;
    }
    [[nodiscard]] std::uint64_t quarantined() const {
        std::uint64_t count = 0;
        for (const auto& one : segments) count += one->quarantined();
        return count;
    }

    EdgeConfig config;
    std::string config_path;
    // Before any thread is made: it changes the environment.
    control::ServiceManager service = control::ServiceManager::from_environment();
    control::Watchdog watchdog{service.watchdog_ns(), 2};
    ThreadPlan plan;
    io::IoChoice io;
    EdgeCounters counters;
    BatchPool pool;
    Ring<ToSpool> to_spool;
    Ring<ToIntake> to_intake;
    std::optional<LowLatencyIdle> awake;
    std::optional<Recovered> recovered;
    mutable std::mutex lanes_mutex;
    std::vector<LaneName> lane_names;  // under lanes_mutex: the admin port reads them
    std::optional<LaneChanges> lane_changes;
    LaneOrdersSlot lane_orders;
    // Only where a table is cached.
    std::optional<RowLink> row_link;
    std::optional<CachedTables> cached_tables;  // intake's
    std::optional<RowAsks> row_asks;            // the spool runner's
    TableLink table_link;
    std::optional<TableKeeper> tables;  // only where tables are used; its counts, as the admin port reads them:
    TableCounters table_numbers;
    JudgementSlot reloads;
    IntakeControls controls;
    std::optional<PoisonGuard> poison_guard;
    std::atomic<std::uint64_t> reloads_refused{0};
    FlashBudget flash{config.flash.daily_write_limit_bytes};
    std::uint64_t flash_written_bytes = 0;  // as last seen
    MonotonicNs flash_at{};                 // when it is looked at next
    ReloadDesk reload_desk;
    TapDesk taps;
    std::unique_ptr<journal::SegmentWorker> segment_worker;
    std::vector<std::unique_ptr<journal::SegmentStore>> segments;  // index by index the streams
    std::vector<NamedStore*> spare_segments;                       // of them, those of spare streams; else null
    std::unique_ptr<journal::Scrubber> scrubber;                   // ends before the segments
    std::unique_ptr<control::TlsWatch> tls;                        // null: everything is plain
    std::unique_ptr<control::TlsWatch> admin_tls;                  // of the admin port; null: it is plain HTTP
    // The runners end before what their stages use.
    Runner intake_runner;
    std::unique_ptr<Runner> own_spool_runner;  // null: both stages share intake's (the thread plan)
    Runner& spool_runner;
    std::unique_ptr<control::AuditTrail> trail;
    std::unique_ptr<control::AdminGuard> guard;
    std::unique_ptr<control::AdminServer> admin;
    std::atomic<bool> is_draining{false};
    // Why the spool has no next file, 0 if it has one: as the control thread last looked.
    std::atomic<int> next_file_errno{0};
    Told told;
};

}  // namespace weir::edge
