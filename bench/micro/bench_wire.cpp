// What the wire costs per event and per byte: the gate, the checksum, sealing and checking a batch.
#include <benchmark/benchmark.h>

#include <vector>

#include "core/base/crc32c.hpp"
#include "core/wire/batch.hpp"
#include "core/wire/event.hpp"

namespace {

using namespace weir;

std::vector<std::byte> event_bytes() {
    wire::EventView event;
    event.id = "ppa-12_2017-9001381";
    event.type = "violation.parking";
    event.source = "philly/police";
    event.key = "19139";
    event.time = WallNs{1512086400ULL * ns_per_second};
    event.content_type = "application/json";
    event.payload = R"({"lat":39.9659867139,"lon":-75.2247776919,"fine":41.0,"code":"EXPIRED INSPECTION"})";
    wire::EventBuilder builder;
    const ConstBytes built = builder.build(event);
    return {built.begin(), built.end()};
}

// A body of `count` equal events, as the edge lays them out.
std::vector<std::byte> body_of(std::uint32_t count) {
    const auto event = event_bytes();
    const wire::FrameHeader header{static_cast<std::uint32_t>(event.size()), 0, wire::FrameKind::event, 0, 0};
    std::vector<std::byte> body;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto* begin = reinterpret_cast<const std::byte*>(&header);
        body.insert(body.end(), begin, begin + sizeof header);
        body.insert(body.end(), event.begin(), event.end());
        body.resize(round_up(body.size(), wire::frame_alignment));
    }
    return body;
}

wire::BatchHeader header_of(std::uint32_t count) {
    wire::BatchHeader header;
    header.edge_id = wire::name_field<wire::edge_id_bytes_max>("north");
    header.lane_name = wire::name_field<wire::lane_name_bytes_max>("default");
    header.lineage = 1;
    header.epoch = 1;
    header.first_sequence = 1;
    header.count = count;
    return header;
}

void verify_event(benchmark::State& state) {
    const auto event = event_bytes();
    wire::EventView view;
    for (auto _ : state) {
        if (wire::verify_event(event, view) != wire::Reason::none) state.SkipWithError("refused");
        benchmark::DoNotOptimize(view);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(verify_event);

void checksum_64_kib(benchmark::State& state) {
    const std::vector<std::byte> bytes(64U << 10, std::byte{0x5a});
    for (auto _ : state) benchmark::DoNotOptimize(crc32c(0, bytes));
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(checksum_64_kib);

void seal_batch(benchmark::State& state) {
    const auto body = body_of(256);
    auto header = header_of(256);
    for (auto _ : state) {
        wire::seal(header, body);
        benchmark::DoNotOptimize(header);
    }
    state.SetItemsProcessed(state.iterations() * 256);
}
BENCHMARK(seal_batch);

void check_batch(benchmark::State& state) {
    const auto body = body_of(256);
    auto header = header_of(256);
    wire::seal(header, body);
    std::vector<std::byte> batch(sizeof header);
    wire::store(Bytes(batch), header);
    batch.insert(batch.end(), body.begin(), body.end());
    for (auto _ : state) {
        if (wire::check_batch(batch, header) != wire::BatchFault::none) state.SkipWithError("refused");
    }
    state.SetItemsProcessed(state.iterations() * 256);
}
BENCHMARK(check_batch);

}  // namespace
