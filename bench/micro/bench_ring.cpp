// What a hand-over costs on one thread: the ring's own work, without the travel of cache lines between cores.
#include <benchmark/benchmark.h>

#include <array>

#include "core/ring/inbox.hpp"
#include "core/ring/ring.hpp"

namespace {

struct Ref {
    std::uint64_t place = 0;
    std::uint64_t bytes = 0;
};

void ring_in_vectors(benchmark::State& state) {
    weir::Ring<Ref> ring(4096);
    auto writer = ring.take_writer();
    auto reader = ring.take_reader();
    std::array<Ref, 32> refs{};
    std::uint64_t sum = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(writer.publish(std::span<const Ref>(refs)));
        reader.consume_all([&](const Ref& ref) { sum += ref.bytes + 1; });
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(sum));
}
BENCHMARK(ring_in_vectors);

void ring_one_by_one(benchmark::State& state) {
    weir::Ring<Ref> ring(4096);
    auto writer = ring.take_writer();
    auto reader = ring.take_reader();
    std::uint64_t sum = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(writer.publish(Ref{}));
        reader.consume_all([&](const Ref& ref) { sum += ref.bytes + 1; });
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(sum));
}
BENCHMARK(ring_one_by_one);

void inbox_one_by_one(benchmark::State& state) {
    weir::Inbox<Ref> inbox(4096);
    std::uint64_t sum = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(inbox.post(Ref{}));
        inbox.consume_all([&](const Ref& ref) { sum += ref.bytes + 1; });
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(sum));
}
BENCHMARK(inbox_one_by_one);

}  // namespace
