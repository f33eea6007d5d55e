// ApiSources: what the API answers from: counters, snapshots, files.
//
// Thread    The admin server's and the stream's: all that is named here may be read by both.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "central/analysis/follower.hpp"
#include "central/api/edge_delays.hpp"
#include "central/api/freshness.hpp"
#include "central/api/live_events.hpp"
#include "central/api/milestones.hpp"
#include "central/api/stream_hub.hpp"
#include "central/api/vitals.hpp"
#include "central/ingest/ingest.hpp"
#include "central/readmodel/reader.hpp"
#include "central/readmodel/result_questions.hpp"
#include "central/sinks/alert_teller.hpp"
#include "central/sinks/silence_book.hpp"
#include "core/control/admin.hpp"
#include "core/control/admin_guard.hpp"
#include "core/control/tls_watch.hpp"
#include "core/journal/scrubber.hpp"
#include "core/pipeline/runner.hpp"

namespace weir::central {

// The time that events took from one place to another.
struct HopTimes {
    std::string hop;
    std::uint64_t p50_us = 0, p99_us = 0, max_us = 0, count = 0;
};

struct ApiSources {
    const CentralConfig& config;
    IngestShared& shared;
    const ReadModel& model;
    const Reader& reader;
    const std::atomic<bool>& is_draining;
    const std::atomic<bool>& is_alive;  // the ingest runner's heart beats
    const journal::ScrubCounters& scrub;
    std::string io_name;                           // of the ingest runner: what the kernel allowed
    const control::TlsWatch* tls = nullptr;        // null: everything is plain
    const control::TlsWatch* admin_tls = nullptr;  // null: the admin port is plain HTTP
    const control::AdminGuard* guard = nullptr;
    const FollowerCounters* analytics = nullptr;
    ResultQuestions* results = nullptr;
    const std::vector<std::unique_ptr<AlertTeller>>* tellers = nullptr;
    Freshness* freshness = nullptr;
    const EdgeDelays* delays = nullptr;
    const Vitals* vitals = nullptr;
    const Milestones* milestones = nullptr;         // of the journal of events
    const Milestones* letter_milestones = nullptr;  // of that of dead letters
    SilenceBook* silences = nullptr;
    // In the order of an event's way; empty: nothing is measured.
    std::function<std::vector<HopTimes>()> hops{};
    StreamHub* stream = nullptr;
    LiveEvents* live = nullptr;
    const Runner* runner = nullptr;               // ingest's
    const control::AdminServer* admin = nullptr;  // for its counters
};

// What central would say of itself at /readyz: why it is not ready; empty: it is.
[[nodiscard]] std::vector<std::string> unready_reasons(const ApiSources& sources);

}  // namespace weir::central
