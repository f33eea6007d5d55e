// A configuration file: it is refused with lines that name the place, or what is loaded keeps the promises that the daemons
// build on.
//
// Input     1 byte: even = the edge's, odd = central's · the file.
#include <algorithm>

#include "central/analytics/engine.hpp"
#include "central/config.hpp"
#include "core/control/config_reader.hpp"
#include "core/wire/batch.hpp"
#include "edge/config.hpp"
#include "edge/intake/judgement.hpp"
#include "tests/fuzz/files.hpp"
#include "tests/fuzz/input.hpp"

namespace {
using namespace weir;

// FILE:LINE:COL: key: what, one line, nothing in it that moves a terminal's cursor.
void must_name_a_place(const std::string& line, const std::string& path) {
    WEIR_ASSERT(line.starts_with(path + ':'));
    const std::string_view rest = std::string_view(line).substr(path.size() + 1);
    WEIR_ASSERT(!rest.empty() && rest.front() >= '1' && rest.front() <= '9');
    WEIR_ASSERT(rest.find(": ") != rest.npos);
    WEIR_ASSERT(std::none_of(line.begin(), line.end(), [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; }));
}

template <class Loaded>
bool is_loaded(const Loaded& loaded, const std::string& path) {
    WEIR_ASSERT(loaded.config.has_value() == loaded.errors.empty());
    for (const std::string& line : loaded.errors) must_name_a_place(line, path);
    return loaded.config.has_value();
}

void look_at(const edge::EdgeConfig& config) {
    WEIR_ASSERT(wire::is_name(config.edge_id, wire::edge_id_bytes_max));
    WEIR_ASSERT(!config.lanes.empty() && config.lanes.front().name == "default");
    std::vector<edge::LaneState> lanes;
    for (const edge::LaneConfig& lane : config.lanes) {
        WEIR_ASSERT(wire::is_name(lane.name, wire::lane_name_bytes_max) && lane.name != dead_letter_lane_name);
        WEIR_ASSERT(std::none_of(lanes.begin(), lanes.end(), [&](const auto& one) { return one.name == lane.name; }));
        edge::LaneState& state = lanes.emplace_back();
        state.id = static_cast<LaneId>(lanes.size() - 1);
        state.name = lane.name;
        state.is_configured = true;
    }
    WEIR_ASSERT(config.spool.bytes_max >= 2 * config.spool.segment_bytes);
    for (const std::string& producers : config.listen.producers) {
        WEIR_ASSERT(config.listen.allow_plaintext || control::is_loopback(producers));
    }
    // A route to a lane that is not there would end the edge at its start.
    edge::Judgement judgement(config, lanes);
    wire::EventView event;
    event.id = "i";
    event.type = "violation.parking";
    event.source = "s";
    event.key = "19104";
    event.content_type = "application/json";
    event.payload = R"({"fine":51.0,"where":{"zip":"19104"},"nothing":null})";
    edge::EventRef judged;
    judged.view = event;
    judgement.judge({&judged, 1}, {1'512'086'407'000'000'000});
    WEIR_ASSERT(judged.lane < lanes.size());
    WEIR_ASSERT(judged.rule <= config.rules.size());
    const auto budget = edge::budget_of(config);
    WEIR_ASSERT(budget.memory_bytes > 0 && budget.disk_bytes >= config.spool.bytes_max);
}

void look_at(const central::CentralConfig& config) {
    WEIR_ASSERT(!config.data_dir.empty());
    for (const std::string& edges : config.listen.edges) WEIR_ASSERT(io::check_address(edges).ok());
    WEIR_ASSERT(central::budget_of(config).memory_bytes > 0);
    // What it is told to compute can be computed, and what is kept with the results says the same.
    WEIR_ASSERT(analytics::Engine::build(config.analytics.definitions).ok());
    if (!config.analytics.is_used()) return;
    const auto kept = central::analytics_of_text(config.analytics.text);
    WEIR_ASSERT(kept.ok());
    WEIR_ASSERT(kept.value().definitions.windows.size() == config.analytics.definitions.windows.size());
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
    static fuzz::MemoryFile file;
    fuzz::Input input(data, bytes);
    const bool is_edge = input.take<std::uint8_t>() % 2 == 0;
    file.set(input.rest());
    if (is_edge) {
        const auto loaded = edge::load_config(file.path());
        if (is_loaded(loaded, file.path())) look_at(*loaded.config);
    } else {
        const auto loaded = central::load_config(file.path());
        if (is_loaded(loaded, file.path())) look_at(*loaded.config);
    }
    return 0;
}
