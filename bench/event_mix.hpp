// EventMix: the events of a run: the twelve civic types in turn, each in every payload size that was asked for, with keys as drawn.
//
// Thread    One.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/event_template.hpp"
#include "bench/key_draw.hpp"
#include "core/base/result.hpp"

namespace weir::bench {

struct EventMixOptions {
    std::string payload_bytes =
        "100";  // "100", "64,1024" in turn, or "64..65536": eight sizes, each the same factor from the next
    std::string source = "weir-bench";
    std::uint64_t keys = 0;
    std::string key_distribution = "uniform";
};

inline constexpr std::array event_types = {"violation.submitted",
                                           "violation.validated",
                                           "violation.rejected",
                                           "violation.stored",
                                           "violation.approved",
                                           "violation.status-changed",
                                           "violation.payment-processed",
                                           "violation.reward-requested",
                                           "violation.camera-reading",
                                           "violation.citation",
                                           "ride.started",
                                           "sensor.reading"};

class EventMix {
  public:
    static constexpr std::uint32_t payload_bytes_min = 10;
    static constexpr std::uint32_t payload_bytes_max = 200'000;
    static constexpr std::size_t sizes_max = 16;
    [[nodiscard]] static Result<EventMix> make(const EventMixOptions& options);

    // Valid until the next call.
    [[nodiscard]] ConstBytes event(std::uint64_t index, WallNs time);
    // Of an encoded event, over one round of all templates.
    [[nodiscard]] double mean_bytes() const { return mean_bytes_; }

  private:
    explicit EventMix(KeyDraw keys) : keys_(std::move(keys)) {}

    std::vector<EventTemplate> templates_;
    KeyDraw keys_;
    double mean_bytes_ = 0;
};

// The sizes that a text asks for.
[[nodiscard]] Result<std::vector<std::uint32_t>> payload_sizes(std::string_view text);

}  // namespace weir::bench
