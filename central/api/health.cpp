// How central does: GET /api/v1/health, /api/v1/cursors; and as_of, which every answer says.
#include <algorithm>
#include <cstring>
#include <thread>

#include "central/api/answers.hpp"
#include "central/api/json_text.hpp"
#include "central/api/problem.hpp"
#include "core/base/clock.hpp"

namespace weir::central {
namespace {

constexpr std::string_view version = "0.1.0";
constexpr std::uint64_t analytics_lag_ms_max = 10'000;
constexpr double cpu_percent_max = 90;

bool follows(const ApiSources& sources) {
    return sources.analytics != nullptr && sources.analytics->position.get() != 0;
}

// What does not stop central, and somebody should see to.
std::vector<std::string> notes_of(const ApiSources& sources) {
    std::vector<std::string> notes;
    const IngestShared& shared = sources.shared;
    for (std::uint32_t i = 0; i < shared.quota.row_count(); ++i) {
        const EdgeQuota::Row& row = shared.quota.row(i);
        if (row.is_over_journal.get() != 0 || row.is_over_letters.get() != 0) {
            notes.push_back("edge " + std::string(wire::name_of(row.edge)) + " is over its quota");
        }
    }
    for (const auto& lane : shared.holds.held()) notes.push_back("lane " + lane + " is held");
    if (const auto code = shared.checkpoint_errno.get(); code != 0) {
        notes.push_back(std::string("the checkpoint could not be stored: ") + std::strerror(static_cast<int>(code)));
    }
    if (sources.scrub.damaged_segments.get() != 0) notes.emplace_back("the scrubber has found damaged segments");
    if (follows(sources)) {
        const std::uint64_t stale_ms = analytics_staleness_ms(sources, sources.analytics->position.get());
        if (stale_ms > analytics_lag_ms_max) notes.emplace_back("analytics are more than 10 s behind");
    }
    const double cores = std::max(1U, std::thread::hardware_concurrency());
    if (sources.vitals != nullptr && sources.vitals->cpu_percent() > cpu_percent_max * cores) {
        notes.emplace_back("central uses more than 90 % of the cores");
    }
    return notes;
}

std::string texts(const std::vector<std::string>& all) {
    ListText list;
    for (const auto& one : all) list.add_text(one);
    return list.end();
}

}  // namespace

std::vector<std::string> unready_reasons(const ApiSources& sources) {
    std::vector<std::string> reasons;
    if (const auto code = sources.shared.poison_errno.get(); code != 0) {
        reasons.push_back("storage: the journal cannot be written, errno " + std::to_string(code));
    }
    if (const auto code = sources.shared.full_errno.get(); code != 0) {
        reasons.push_back("storage: no next journal file, errno " + std::to_string(code));
    }
    if (const auto code = sources.shared.letters_errno.get(); code != 0) {
        reasons.push_back("storage: dead letters cannot be written, errno " + std::to_string(code));
    }
    if (sources.is_draining.load(std::memory_order_relaxed)) reasons.emplace_back("draining");
    if (!sources.is_alive.load(std::memory_order_relaxed)) reasons.emplace_back("ingest does not move");
    return reasons;
}

std::string as_of_text(const ApiSources& sources) {
    // The others first: what is durable is never behind them.
    const std::uint64_t read = sources.reader.position();
    const std::string analytics = follows(sources) ? std::to_string(sources.analytics->position.get()) : "null";
    const std::uint64_t durable = sources.shared.durable_position.load(std::memory_order_acquire);
    return ObjectText().number("durable", durable).number("read", read).raw("analytics", analytics).end();
}

std::uint64_t read_staleness_ms(const ApiSources& sources) {
    return analytics_staleness_ms(sources, sources.reader.position());
}

std::uint64_t analytics_staleness_ms(const ApiSources& sources, std::uint64_t position) {
    if (sources.freshness == nullptr) return Freshness::unknown_ms;
    const MonotonicNs now = monotonic_now();
    const std::uint64_t durable = sources.shared.durable_position.load(std::memory_order_acquire);
    return sources.freshness->staleness_ms(position, durable, now);
}

std::optional<control::AdminResponse> refusal_of(Query& query, std::uint64_t staleness_ms) {
    const auto most = query.number("max_staleness_ms", 0, staleness_ms_max);
    if (!query.fault().empty()) return problem(400, query.fault());
    if (!most || staleness_ms <= *most) return std::nullopt;
    return problem(503, "the answer may be " + std::to_string(staleness_ms) + " ms old", problem_stale);
}

std::string health_text(const ApiSources& sources, std::uint64_t journal_bytes_per_s) {
    const auto reasons = unready_reasons(sources);
    const auto notes = notes_of(sources);
    const bool is_stuck = !reasons.empty() && !(reasons.size() == 1 && reasons.front() == "draining");
    ObjectText text;
    text.text("name", std::string_view("weir-central")).text("version", version);
    text.text("status", std::string_view(is_stuck ? "critical" : notes.empty() ? "healthy" : "degraded"));
    text.truth("ready", reasons.empty()).raw("reasons", texts(reasons)).raw("notes", texts(notes));
    text.number("started_ms", sources.vitals == nullptr ? 0 : sources.vitals->started_ms());
    text.number("memory_bytes", sources.vitals == nullptr ? 0 : sources.vitals->memory_bytes());
    text.real("cpu_percent", sources.vitals == nullptr ? 0 : sources.vitals->cpu_percent());
    text.number("connections", sources.shared.connections.get());
    text.number("stream_clients", std::uint64_t{sources.stream == nullptr ? 0 : sources.stream->client_count()});
    text.number("scrub_damaged_segments", sources.scrub.damaged_segments.get());
    text.number("journal_bytes_per_s", journal_bytes_per_s);
    text.truth("asks_for_tokens", sources.guard != nullptr && sources.guard->asks_for_tokens());
    return text.end();
}

control::AdminResponse answer_health(const ApiSources& sources, std::string_view target) {
    Query query(target, {});
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    const std::uint64_t rate = sources.vitals == nullptr ? 0 : sources.vitals->journal_bytes_per_s();
    return json_answer(ObjectText().raw("as_of", as_of_text(sources)).raw("health", health_text(sources, rate)).end());
}

control::AdminResponse answer_cursors(const ApiSources& sources, std::string_view target) {
    Query query(target, {});
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    ListText list;
    ObjectText answer;
    answer.raw("as_of", as_of_text(sources));
    const std::uint64_t durable = sources.shared.durable_position.load(std::memory_order_acquire);
    const auto add = [&](std::string_view name, std::string_view kind, std::uint64_t position) {
        ObjectText one;
        one.text("name", name).text("kind", kind).number("position", position);
        list.add(one.number("lag_bytes", durable - std::min(durable, position)).end());
    };
    add("read_model", "read_model", sources.reader.position());
    if (follows(sources)) add("analytics", "analytics", sources.analytics->position.get());
    if (sources.tellers != nullptr) {
        for (const auto& teller : *sources.tellers) add("sink." + teller->name(), "sink", teller->position());
    }
    return tagged_answer(answer.raw("cursors", list.end()).end());
}

control::AdminResponse answer_silences(const ApiSources& sources, std::string_view target) {
    Query query(target, {});
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    ListText list;
    if (sources.silences != nullptr) {
        for (const Silence& silence : sources.silences->holding(wall_now())) list.add(json_of(silence));
    }
    return tagged_answer(ObjectText().raw("silences", list.end()).end());
}

control::AdminResponse open_events(const ApiSources& sources, std::string_view target) {
    Query query(target, {"type", "key", "edge", "lane"});
    if (auto refused = refusal_of(query, 0)) return std::move(*refused);
    control::AdminResponse opened;
    opened.stream = sources.live->open(
        {.type = query.text("type"), .key = query.text("key"), .edge = query.text("edge"), .lane = query.text("lane")},
        sources.shared.durable_position.load(std::memory_order_acquire));
    if (!opened.stream) return problem(503, "there are as many clients of live events as there may be");
    return opened;
}

std::optional<control::AdminResponse> answer_api(const ApiSources& sources, std::string_view target) {
    constexpr std::string_view head = "/api/v1/";
    const std::string_view path = target.substr(0, target.find('?'));
    if (!path.starts_with(head)) return std::nullopt;
    const std::string_view name = path.substr(head.size());
    using Answer = control::AdminResponse (*)(const ApiSources&, std::string_view);
    struct Path {
        std::string_view name;
        Answer answer;
    };
    static constexpr Path paths[] = {
        {"health", answer_health}, {"ledger", answer_ledger},        {"edges", answer_edges},
        {"types", answer_types},   {"lanes", answer_lanes},          {"cursors", answer_cursors},
        {"events", answer_events}, {"dead-letters", answer_letters}, {"alerts/silences", answer_silences},
    };
    for (const Path& one : paths) {
        if (one.name == name) return one.answer(sources, target);
    }
    if (name == "stream" && sources.stream != nullptr) {
        Query query(target, {});
        if (auto refused = refusal_of(query, 0)) return refused;
        control::AdminResponse opened;
        opened.stream = sources.stream->open();
        return opened;
    }
    if (name == "events/stream" && sources.live != nullptr) return open_events(sources, target);
    if (name == "access" && sources.guard != nullptr) {
        std::string text = sources.guard->json();
        text.pop_back();
        return json_answer(std::move(text));
    }
    return sources.results == nullptr ? std::nullopt : sources.results->answer(sources, target);
}

}  // namespace weir::central
