#include "edge/reload_desk.hpp"

#include <chrono>
#include <cinttypes>
#include <cstdio>

#include "core/base/json_scan.hpp"

namespace weir::edge {
namespace {

void append_list(const char* name, const std::vector<std::string>& lines, std::string& out) {
    out += std::string(",\"") + name + "\":[";
    for (const std::string& line : lines) {
        if (out.back() != '[') out += ',';
        json_quote(line, out);
    }
    out += ']';
}

}  // namespace

std::optional<ReloadOutcome> ReloadDesk::ask(void (*wake)(), std::uint64_t ms_max) {
    std::unique_lock lock(mutex_);
    const std::uint64_t ticket = ++asked_;
    wake();
    const bool is_answered =
        answered_now_.wait_for(lock, std::chrono::milliseconds(ms_max), [&] { return answered_ >= ticket; });
    return is_answered ? std::optional(outcome_) : std::nullopt;
}

void ReloadDesk::begin() {
    const std::lock_guard lock(mutex_);
    begun_ = asked_;
}

void ReloadDesk::end(const ReloadOutcome& outcome) {
    const std::lock_guard lock(mutex_);
    answered_ = begun_;
    outcome_ = outcome;
    answered_now_.notify_all();
}

std::string reload_json(const ReloadOutcome& outcome, bool is_in_force) {
    char digest[17];
    std::snprintf(digest, sizeof digest, "%016" PRIx64, outcome.digest);
    std::string out = std::string("{\"taken\":") + (outcome.is_taken ? "true" : "false");
    if (outcome.is_taken) out += std::string(",\"in_force\":") + (is_in_force ? "true" : "false");
    out += std::string(",\"digest\":\"") + digest + '"';
    if (outcome.is_taken) {
        const std::pair<const char*, std::size_t> counts[] = {{"rules", outcome.rules},
                                                              {"routes", outcome.routes},
                                                              {"lanes", outcome.lanes},
                                                              {"payloads", outcome.payloads}};
        for (const auto& [name, count] : counts) out += std::string(",\"") + name + "\":" + std::to_string(count);
        append_list("warnings", outcome.warnings, out);
    } else {
        append_list("errors", outcome.errors, out);
    }
    return out + "}\n";
}

}  // namespace weir::edge
