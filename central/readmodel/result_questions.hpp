// ResultQuestions: what the admin port answers of results: GET /api/v1/windows, patterns, anomalies, alerts.
//
//   limit=N   at most 10000, 100 by default, the newest first     cursor=   the page behind that     name=, key=     of that definition, of that key
//   since=T until=T   ends (alerts, anomalies: time) in [since, until)             T: RFC 3339, or ns since 1970
//   as_of=T   what was known then: results of what had arrived by T               versions=all   not only the newest of each window
//   severity= kind= fate=   of alerts     alarm=0|1   of anomalies     max_staleness_ms=N
//
// Thread    The admin server's.
// Bounds    `ms_max` for a question; what takes longer is answered with 503.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "central/readmodel/result_store.hpp"
#include "core/control/admin.hpp"

namespace weir::central {

struct ApiSources;
class Query;

class ResultQuestions {
  public:
    ResultQuestions(std::string path, std::uint64_t ms_max) : path_(std::move(path)), ms_max_(ms_max) {}
    // nullopt: the path is none of these.
    [[nodiscard]] std::optional<control::AdminResponse> answer(const ApiSources& sources, std::string_view target);

  private:
    [[nodiscard]] control::AdminResponse ask(const ApiSources& sources, ResultKind kind, std::string_view target);

    std::string path_;
    std::uint64_t ms_max_;
    std::optional<Database> database_;  // opened when it is first asked
};

}  // namespace weir::central
