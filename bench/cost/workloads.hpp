// Workloads: small fixed pieces of the hot path, the same in every run, of which `weir-cost` is the program: `scripts/bench-small` counts the
// instructions of what passes through measured(), and nothing else.
//
// Events are those of `weir-bench load`: about 200 bytes as a FlatBuffer, types in turn, each with an id of its own.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include "core/base/types.hpp"

namespace weir::bench {

// Frames of events as a producer sends them, cut at the slot's size; whole frames only.
class EventFeed {
  public:
    EventFeed();
    // The next ones: as many as fit `bytes_max`. Valid until the next call.
    [[nodiscard]] ConstBytes next(std::size_t bytes_max, std::uint32_t& events);

  private:
    std::vector<std::vector<std::byte>> templates_;  // whole frames
    std::vector<std::size_t> digits_at_;
    std::vector<std::byte> out_;
    std::uint64_t index_ = 0;
};

// What is counted: calls `work(context)`. Never inlined: callgrind knows it by its name.
extern "C" void weir_cost_measured(void (*work)(void*), void* context);
template <class Work>
void measured(Work&& work) {
    weir_cost_measured([](void* context) { (*static_cast<std::remove_reference_t<Work>*>(context))(); }, &work);
}

// Each returns how many events passed.
[[nodiscard]] std::uint64_t
edge_first_runner();  // socket to closed batch and ack, without rules; ids never seen before, the filter full
[[nodiscard]] std::uint64_t edge_rules();      // judging alone: four rules and two routes that read the payload
[[nodiscard]] std::uint64_t journal_append();  // records of 64 KiB batches, chained and handed to the Io
[[nodiscard]] std::uint64_t central_check();   // a batch's checksum, frames and events, as ingest verifies them

struct Workload {
    std::string_view name;
    std::uint64_t (*run)();
};
[[nodiscard]] std::vector<Workload> workloads();

}  // namespace weir::bench
