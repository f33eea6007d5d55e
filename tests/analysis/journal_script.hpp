// A journal with events of two edges, as central writes it, and configurations for tests of what is computed from it.
#pragma once

#include <gtest/gtest.h>

#include <fstream>

#include "central/analysis/recompute.hpp"
#include "central/config.hpp"
#include "tests/central/central_bench.hpp"
#include "tests/simulation/random.hpp"

namespace weir::central::test {

inline constexpr std::uint64_t second = ns_per_second;
inline constexpr std::uint64_t base_ns = 1'700'000'000 * second;

inline const std::string definitions_text = R"(
[analytics]
future_s_max = 2678400
idle_s_max = 1
[[windows]]
name = "fines"
key = "data.zip"
value = "data.fine"
percentiles = ["50", "99"]
distinct = "data.plate"
top = "data.plate"
length_s = 60
lateness_s = 600
[[windows]]
name = "slides"
length_s = 120
step_s = 30
keys_max = 3
[[windows]]
name = "visits"
gap_s = 20
[[patterns]]
name = "five"
pattern = '''
5 x any within 60s by key
any: true
'''
[[patterns]]
name = "unvalidated"
pattern = '''
submitted -> !validated within 30s by key
submitted: type == "violation.submitted"
validated: type == "violation.validated"
'''
[[anomalies]]
name = "odd"
window = "fines"
warm_values = 5
[[alerts]]
name = "many"
on = "window.fines"
raise = "data.count > 4"
[[alerts]]
name = "open"
on = "pattern.unvalidated"
stale_s = 60
suppressed_by = "many"
)";

inline std::string config_text(const std::string& data_dir, const std::string& definitions = definitions_text) {
    return "data_dir = \"" + data_dir + "\"\n[listen]\nedges = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n" +
           definitions;
}

// As from a file of that text.
inline CentralConfig config_of(const std::string& data_dir, const std::string& definitions = definitions_text) {
    const std::string path = data_dir + "/central.toml";
    std::ofstream(path) << config_text(data_dir, definitions);
    auto loaded = load_config(path);
    EXPECT_TRUE(loaded.config) << (loaded.errors.empty() ? "" : loaded.errors.front());
    return loaded.config.value_or(CentralConfig());
}

class JournalScript {
  public:
    JournalScript(std::uint64_t seed, std::uint16_t port) : random_(seed), edge_(port) {
        edge_.hello(lane_);
        EXPECT_NE(edge_.welcomed(), UINT64_MAX);
    }
    // Batches of a few events, some out of order, some late; durable when it returns.
    void write(std::size_t batches) {
        for (; batches > 0; --batches) ASSERT_TRUE(edge_.send_within_credit(batch()));
        ASSERT_TRUE(edge_.await_ack(lane_.next - 1));
    }

  private:
    Batch batch() {
        wire::EventBuilder builder;
        Batch body;
        const auto events = static_cast<std::uint32_t>(random_.within(1, 12));
        now_ns_ += random_.below(4 * second);
        for (std::uint32_t event = 0; event < events; ++event) {
            const std::string id = "e" + std::to_string(lane_.next + event);
            const std::string key = "k" + std::to_string(random_.below(5));
            // One draw a statement: within one, each compiler has an order of its own, and the same seed would be another world.
            const std::string zip = std::to_string(19100 + random_.below(4));
            const std::string fine = std::to_string(random_.below(300));
            const std::string plate = std::to_string(random_.below(20));
            const std::string data = "{\"zip\":\"" + zip + "\",\"fine\":" + fine + ".25,\"plate\":\"p" + plate + "\"}";
            const std::uint64_t back = random_.below(random_.chance(50) ? 300 * second : 2 * second);
            LaneScript::add_frame(
                body, wire::FrameKind::event,
                builder.build({.id = id,
                               .type = random_.chance(500) ? "violation.submitted" : "violation.validated",
                               .source = "test",
                               .key = key,
                               .content_type = "application/json",
                               .payload = data,
                               .time = {now_ns_ - back},
                               .trace_id = {}}));
        }
        return lane_.seal(lane_.header(events), body);
    }

    sim::Random random_;
    ScriptedEdge edge_;
    LaneScript lane_;
    std::uint64_t now_ns_ = base_ns;
};

}  // namespace weir::central::test
