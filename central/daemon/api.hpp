// Api: what the admin port answers, from counters and snapshots.
//
// Thread    The admin server's.
#pragma once

#include <string>
#include <string_view>

#include "central/analysis/follower.hpp"
#include "central/ingest/ingest.hpp"
#include "central/readmodel/reader.hpp"
#include "central/readmodel/result_questions.hpp"
#include "central/sinks/alert_teller.hpp"
#include "core/control/admin.hpp"
#include "core/control/admin_guard.hpp"
#include "core/control/tls_watch.hpp"
#include "core/journal/scrubber.hpp"
#include "core/pipeline/runner.hpp"

namespace weir::central {

struct ApiSources {
    const IngestShared& shared;
    const ReadModel& model;
    const Reader& reader;
    const std::atomic<bool>& is_draining;
    const std::atomic<bool>& is_alive;  // the ingest runner's heart beats
    const journal::ScrubCounters& scrub;
    std::string io_name;                     // of the ingest runner: what the kernel allowed
    const control::TlsWatch* tls = nullptr;  // null: everything is plain
    const control::AdminGuard* guard = nullptr;
    const FollowerCounters* analytics = nullptr;
    ResultQuestions* results = nullptr;
    const std::vector<std::unique_ptr<AlertTeller>>* tellers = nullptr;
    const Runner* runner = nullptr;  // ingest's
};
// What the port asks of whom; what is not named here a viewer may read, and only an admin do.
[[nodiscard]] const std::vector<control::AccessRule>& access_rules();
[[nodiscard]] control::AdminResponse answer(const ApiSources& sources, std::string_view target);
// A POST: /api/v1/lanes/NAME/hold or /release; answers with the lanes as they are then. Who calls wakes the ingest runner.
[[nodiscard]] control::AdminResponse act(IngestShared& shared, std::string_view target);

}  // namespace weir::central
