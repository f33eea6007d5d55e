#include "central/analysis/run.hpp"

#include <algorithm>

namespace weir::central {

AnalysisRun::AnalysisRun(ResultStore& store, const AnalyticsConfig& config, Journal journal, StatePlace place)
    : store_(store), config_(config), journal_(journal), place_(std::move(place)) {
    if (!place_.results.empty()) keeper_.emplace(place_.path, place_.results);
}

Result<std::unique_ptr<AnalysisRun>> AnalysisRun::open(ResultStore& store, const AnalyticsConfig& config,
                                                       Journal journal, StatePlace place) {
    std::unique_ptr<AnalysisRun> run(new AnalysisRun(store, config, journal, std::move(place)));
    auto state = run->last_state();
    if (!state) return state.error();
    const Status ready = state.value() ? run->go_on_from(*state.value()) : run->begin_anew();
    if (!ready) return ready.error();
    return run;
}

Result<std::optional<StoredState>> AnalysisRun::last_state() {
    const std::optional<StoredState> none;
    if (place_.path.empty()) return none;
    auto state = read_state(place_.path);
    if (!state) {
        notes_.push_back(state.error().what + ": begun anew");
        return none;
    }
    if (!state.value()) return none;
    const StoredState& found = *state.value();
    auto history = store_.history();
    if (!history) return history.error();
    const auto rows_to = cursor_of(store_.database(), "analytics");
    if (!rows_to) return rows_to.error();
    if (found.journal_id != journal_.id || found.position > journal_.durable) {
        notes_.push_back("the results are of another journal: begun anew");
        return none;
    }
    if (found.history != history.value() || found.position > rows_to.value()) {
        notes_.push_back("the results are not those of the state: begun anew");
        return none;
    }
    return state;
}

Status AnalysisRun::build() {
    auto built = analytics::Engine::build(config_.definitions);
    if (!built) return built.error();
    engine_ = std::move(built.value());
    return Done{};
}

Status AnalysisRun::begin_anew() {
    if (auto cleared = store_.clear(); !cleared) return cleared;
    const auto history = store_.history();
    if (!history) return history.error();
    history_ = history.value();
    definitions_ = 0;
    if (auto built = build(); !built) return built;
    if (auto begun = begin(); !begun) return begun;
    if (auto noted = note_definitions(); !noted) return noted;
    return checkpoint();
}

Status AnalysisRun::go_on_from(const StoredState& state) {
    if (auto built = build(); !built) return built;
    if (auto taken = take_up(state.engine); !taken) {
        notes_.push_back(taken.error().what + ": begun anew");
        return begin_anew();
    }
    previous_crc_ = state.previous_crc;
    history_ = state.history;
    definitions_ = state.definitions;
    if (auto begun = begin(); !begun) return begun;
    if (auto back = store_.take_back(state.serials, state.definitions); !back) return back;
    if (engine_->definitions_digest() != state.definitions_digest) {
        if (auto noted = note_definitions(); !noted) return noted;
    }
    return checkpoint();
}

Status AnalysisRun::take_up(std::string_view state) {
    auto anew = engine_->load(state);
    if (!anew) return anew.error();
    for (const std::string& name : anew.value()) notes_.push_back(name + " begins anew: its definition changed");
    return Done{};
}

Status AnalysisRun::note_definitions() {
    ++definitions_;
    return store_.add_definitions({position(), engine_->definitions_digest(), config_.text});
}

Status AnalysisRun::begin() {
    if (is_open_) return Done{};
    is_open_ = true;
    return store_.begin();
}

Status AnalysisRun::apply(const journal::RecordView& record) {
    if (auto begun = begin(); !begun) return begun;
    const WallNs arrival{record.header.arrival_wall_ns};
    results_.clear();
    engine_->apply(record.batch_header, record.body(), arrival, record.end, results_);
    previous_crc_ = record.header.crc;
    if (const auto& batch = record.batch_header; batch.kind == wire::BatchKind::events) {
        edges_[{std::string(wire::name_of(batch.edge_id)), batch.lineage, std::string(wire::name_of(batch.lane_name)),
                batch.part}] = {batch.last_sequence(), record.end.value, arrival.value};
    }
    has_news_ = has_news_ || std::any_of(results_.notices.begin(), results_.notices.end(),
                                         [](const auto& notice) { return notice.fate == analytics::Fate::told; });
    return store_.add(*engine_, results_, arrival);
}

Status AnalysisRun::commit() {
    if (!is_open_) return Done{};
    if (auto pruned = store_.prune(config_.rows_max); !pruned) return pruned;
    if (auto set = store_.set_cursor("analytics", position()); !set) return set;
    if (auto set = store_.set_edges(edges_); !set) return set;
    edges_.clear();
    is_open_ = has_news_ = false;
    return store_.commit();
}

Status AnalysisRun::put_state() {
    if (place_.path.empty()) return Done{};
    StoredState state;
    state.journal_id = journal_.id;
    state.history = history_;
    state.position = position();
    state.previous_crc = previous_crc_;
    state.definitions = definitions_;
    state.definitions_digest = engine_->definitions_digest();
    state.serials = store_.serials();
    state.engine = engine_->save(state_bytes_ + state_bytes_ / 8);
    state_bytes_ = state.engine.size();
    if (!keeper_) return write_state(place_.path, state);
    if (auto before = keeper_->finish(); !before) return before;
    keeper_->offer(std::move(state));
    return Done{};
}

Status AnalysisRun::checkpoint() {
    if (auto begun = begin(); !begun) return begun;
    if (auto committed = commit(); !committed) return committed;
    return put_state();
}

Status AnalysisRun::redefine(const AnalyticsConfig& config) {
    if (auto begun = begin(); !begun) return begun;
    const std::string state = engine_->save();
    const std::uint64_t digest = engine_->definitions_digest();
    config_ = config;
    if (auto built = build(); !built) return built;
    if (auto taken = take_up(state); !taken) return taken;
    if (engine_->definitions_digest() != digest) {
        if (auto noted = note_definitions(); !noted) return noted;
    }
    return checkpoint();
}

}  // namespace weir::central
