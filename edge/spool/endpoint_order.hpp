// EndpointOrder: in which order an edge prefers its centrals where they are weighted: a share of all edges in proportion to each
// weight, the same central for the same edge id whatever the order in the file, and few edges that move when one is added.
//
// Each central scores -weight / ln(u), u in (0, 1) by hash of edge id and address; the highest is preferred, the others follow by
// their scores, so that the edges of one that is lost divide by weight among those left. Weight 0: only when all others are gone.
//
// Thread    Start. Allocates.
// Source    Rendezvous hashing: D. Thaler, C. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates", IEEE/ACM Transactions on
//           Networking 6(1), 1998. Weights by logarithm: C. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.hpp"

namespace weir::edge {

// The same on every machine and in every version: a change would move edges. FNV-1a, then the finaliser of SplitMix64.
[[nodiscard]] inline std::uint64_t endpoint_hash(std::string_view edge_id, std::string_view central) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    const auto mix = [&hash](std::string_view text) {
        for (const char letter : text) hash = (hash ^ static_cast<unsigned char>(letter)) * 0x100000001b3;
        hash = (hash ^ 0xffU) * 0x100000001b3;  // "ab", "c" is not "a", "bc"
    };
    mix(edge_id);
    mix(central);
    hash = (hash ^ hash >> 30U) * 0xbf58476d1ce4e5b9;
    hash = (hash ^ hash >> 27U) * 0x94d049bb133111eb;
    return hash ^ hash >> 31U;
}

// `weights` as many as `centrals`. The most preferred first.
[[nodiscard]] inline std::vector<std::string> endpoint_order(std::string_view edge_id,
                                                             std::vector<std::string> centrals,
                                                             const std::vector<std::uint32_t>& weights) {
    WEIR_ASSERT(centrals.size() == weights.size());
    struct Scored {
        double score;
        std::string central;
    };
    std::vector<Scored> scored;
    for (std::size_t index = 0; index < centrals.size(); ++index) {
        // 53 bits, and never 0 or 1.
        const double u = (static_cast<double>(endpoint_hash(edge_id, centrals[index]) >> 11U) + 0.5) / 0x1p53;
        scored.push_back({-static_cast<double>(weights[index]) / std::log(u), std::move(centrals[index])});
    }
    // Of equal scores (weight 0) by address, so that the order in the file says nothing.
    std::sort(scored.begin(), scored.end(), [](const Scored& one, const Scored& other) {
        return one.score != other.score ? one.score > other.score : one.central < other.central;
    });
    std::vector<std::string> order;
    for (Scored& one : scored) order.push_back(std::move(one.central));
    return order;
}

}  // namespace weir::edge
