#include "central/analysis/run.hpp"

#include <array>

namespace weir::central {

AnalysisRun::AnalysisRun(ResultStore& store, const AnalyticsConfig& config, Journal journal, Place place)
    : store_(store), config_(config), journal_(journal), place_(std::move(place)), book_(store, config.rows_max) {
    if (place_.results.empty()) return;
    writer_.emplace(book_, *place_.counters, config_.commit_ms * ns_per_ms, std::move(place_.on_news));
    keeper_.emplace(place_.state, place_.results,
                    [this](std::uint64_t position) { return writer_->wait_for(position); });
}

Result<std::unique_ptr<AnalysisRun>> AnalysisRun::open(ResultStore& store, const AnalyticsConfig& config,
                                                       Journal journal, Place place) {
    std::unique_ptr<AnalysisRun> run(new AnalysisRun(store, config, journal, std::move(place)));
    auto state = run->last_state();
    if (!state) return state.error();
    const Status ready = state.value() ? run->go_on_from(*state.value()) : run->begin_anew();
    if (!ready) return ready.error();
    return run;
}

Result<std::optional<StoredState>> AnalysisRun::last_state() {
    const std::optional<StoredState> none;
    if (place_.state.empty()) return none;
    auto state = read_state(place_.state);
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
    book_.use(engine_->definitions(), config_.rows_max);
    return Done{};
}

Status AnalysisRun::begin_anew() {
    if (auto cleared = store_.clear(); !cleared) return cleared;
    const auto history = store_.history();
    if (!history) return history.error();
    history_ = history.value();
    definitions_ = 0;
    serials_ = {};
    if (auto built = build(); !built) return built;
    if (auto begun = book_.begin(); !begun) return begun;
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
    serials_ = state.serials;
    if (auto begun = book_.begin(); !begun) return begun;
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

Status AnalysisRun::apply(const journal::RecordView& record) {
    rows_.results.clear();
    rows_.arrival = {record.header.arrival_wall_ns};
    rows_.position = record.end;
    rows_.edge.reset();
    engine_->apply(record.batch_header, record.body(), rows_.arrival, record.end, rows_.results);
    previous_crc_ = record.header.crc;
    if (const auto& batch = record.batch_header; batch.kind == wire::BatchKind::events) {
        rows_.edge.emplace(EdgeLane{std::string(wire::name_of(batch.edge_id)), batch.lineage,
                                    std::string(wire::name_of(batch.lane_name)), batch.part},
                           EdgeProgress{batch.last_sequence(), record.end.value, record.header.arrival_wall_ns});
    }
    const analytics::Results& found = rows_.results;
    const std::array<std::size_t, result_kinds> counts = {found.windows.size(), found.patterns.size(),
                                                          found.anomalies.size(), found.notices.size()};
    for (std::size_t kind = 0; kind < result_kinds; ++kind) serials_.last[kind] += counts[kind];
    if (!writer_) return book_.add(rows_);
    return writer_->offer(std::exchange(rows_, {}));
}

Status AnalysisRun::commit() {
    if (writer_) {
        if (auto stored = writer_->finish(); !stored) return stored;
    }
    if (auto begun = book_.begin(); !begun) return begun;
    if (auto committed = book_.commit(position()); !committed) return committed;
    if (writer_) writer_->note_committed(position());
    return Done{};
}

Status AnalysisRun::checkpoint() {
    while (is_copying()) static_cast<void>(engine_->copy_some(SIZE_MAX));  // of an earlier record
    if (auto committed = commit(); !committed) return committed;
    begin_checkpoint();
    while (is_copying()) {
        if (auto copied = copy_some(SIZE_MAX); !copied) return copied;
    }
    return Done{};
}

void AnalysisRun::begin_checkpoint() {
    state_.journal_id = journal_.id;
    state_.history = history_;
    state_.position = position();
    state_.previous_crc = previous_crc_;
    state_.definitions = definitions_;
    state_.definitions_digest = engine_->definitions_digest();
    state_.serials = serials_;
    engine_->begin_copy(keeper_ ? keeper_->take_room() : analytics::StateCopy());
}

Status AnalysisRun::copy_some(std::size_t entries) {
    auto copy = engine_->copy_some(entries);
    if (!copy) return Done{};
    return put_state(*std::move(copy));
}

Status AnalysisRun::put_state(analytics::StateCopy copy) {
    state_bytes_ = copy.bytes();
    if (place_.state.empty()) return Done{};
    if (!keeper_) return write_state(place_.state, state_, copy);
    if (auto before = keeper_->finish(); !before) return before;
    keeper_->offer(state_, std::move(copy));
    return Done{};
}

Status AnalysisRun::redefine(const AnalyticsConfig& config) {
    if (auto committed = commit(); !committed) return committed;  // rows of the old ones
    if (auto begun = book_.begin(); !begun) return begun;
    const std::string state = engine_->save();
    const std::uint64_t digest = engine_->definitions_digest();
    config_ = config;
    if (writer_) writer_->limit_commits(config_.commit_ms * ns_per_ms);
    if (auto built = build(); !built) return built;
    if (auto taken = take_up(state); !taken) return taken;
    if (engine_->definitions_digest() != digest) {
        if (auto noted = note_definitions(); !noted) return noted;
    }
    return checkpoint();
}

}  // namespace weir::central
