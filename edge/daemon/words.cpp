#include "edge/daemon/words.hpp"

#include <cinttypes>
#include <cstdio>

namespace weir::edge {

const char* rung_words(wire::Rung rung) {
    switch (rung) {
        case wire::Rung::healthy:
            return "all of its work";
        case wire::Rung::degraded:
            return "no enrichment, larger batches";
        case wire::Rung::critical:
            return "durable lanes only";
    }
    return "";
}

std::string hex(std::uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%016" PRIx64, value);
    return text;
}

std::string joined(const std::vector<std::string>& texts) {
    std::string all;
    for (const auto& one : texts) all += (all.empty() ? "" : ",") + one;
    return all;
}

}  // namespace weir::edge
