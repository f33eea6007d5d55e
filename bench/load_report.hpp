// What a load says at its end: a table for people or one JSON object on stdout; an .hgrm file; a picture.
#pragma once

#include <cstdint>
#include <string>

#include "bench/commands.hpp"
#include "bench/evidence.hpp"
#include "bench/fleet.hpp"
#include "bench/hop_report.hpp"

namespace weir::bench {

struct LoadResult {
    const LoadOptions& options;
    const Fleet& fleet;
    double event_bytes = 0;      // mean, of an encoded event
    std::uint64_t measured = 0;  // events of the steady part that were answered: those whose latency counts
    std::uint64_t answered = 0;  // events answered in its time, late ones of the warm-up among them
    double seconds = 0;          // from the steady part's begin to the last answer
    Evidence evidence{};
    const HopReport* hops = nullptr;  // null: nothing was asked
    [[nodiscard]] double rate() const { return seconds > 0 ? static_cast<double>(answered) / seconds : 0; }
};

void print_load(const LoadResult& result);
[[nodiscard]] std::string load_json(const LoadResult& result);
// The .hgrm and the SVG file, where they were asked for.
[[nodiscard]] Status write_files(const LoadResult& result);
// "10000/s, spooled, 1 connection, events of 232 bytes": what was run.
[[nodiscard]] std::string what_was_run(const LoadResult& result);
[[nodiscard]] std::string load_picture(const LoadResult& result);

}  // namespace weir::bench
