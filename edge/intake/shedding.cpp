#include "edge/intake/shedding.hpp"

#include <algorithm>

namespace weir::edge {

Shedding::Shedding(const std::vector<LaneState>& streams, std::uint64_t seed)
    : rules_(streams.size()), random_(seed * 0x9e3779b97f4a7c15 | 1U) {
    WEIR_ASSERT(streams.size() <= lanes_max);
    for (std::size_t index = 0; index < streams.size(); ++index) {
        const bool is_second = index > 0 && streams[index].id == streams[index - 1].id;
        lane_of_[index] = static_cast<std::uint8_t>(is_second ? index - 1 : index);
    }
}

void Shedding::configure(const std::vector<ShedRule>& rules) noexcept {
    WEIR_ASSERT(rules.size() == rules_.size());
    std::copy(rules.begin(), rules.end(), rules_.begin());
}

void Shedding::filled(StreamIndex stream, std::uint8_t percent) noexcept {
    fill_of_stream_[stream] = std::min(percent, fill_full);
    const std::uint8_t lane = lane_of_[stream];
    fill_[lane] = fill_of_stream_[lane];
    const std::size_t second = std::size_t{lane} + 1;
    if (second < rules_.size() && lane_of_[second] == lane)
        fill_[lane] = std::max(fill_[lane], fill_of_stream_[second]);
}

std::optional<wire::Reason> Shedding::judge(std::uint8_t lane) noexcept {
    const ShedRule& rule = rules_[lane];
    if (!rule.is_best_effort) return std::nullopt;
    if (is_critical_) return wire::Reason::shed_critical;
    const std::uint8_t fill = fill_[lane];
    if (fill >= fill_full) return wire::Reason::lane_full;
    switch (rule.policy) {
        case ShedPolicy::oldest:
        case ShedPolicy::newest:
            return std::nullopt;
        case ShedPolicy::random:
            break;
    }
    if (fill <= random_shed_above_fill) return std::nullopt;
    const bool is_hit = random() % (fill_full - random_shed_above_fill) < std::uint64_t{fill} - random_shed_above_fill;
    return is_hit ? std::optional(wire::Reason::shed_random) : std::nullopt;
}

// xorshift64* (Vigna 2016): a function of the seed.
std::uint64_t Shedding::random() noexcept {
    random_ ^= random_ >> 12U;
    random_ ^= random_ << 25U;
    random_ ^= random_ >> 27U;
    return (random_ * 0x2545f4914f6cdd1d) >> 32U;
}

}  // namespace weir::edge
