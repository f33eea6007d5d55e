// What encryption at rest adds to a batch on its way to the disk, and back: beside the checksum that every batch has anyway. Events of
// 200 bytes; the argument is how many are in a batch.
#include <benchmark/benchmark.h>

#include <vector>

#include "core/base/crc32c.hpp"
#include "core/journal/at_rest.hpp"

namespace {

using namespace weir;

constexpr std::size_t event_bytes = 200;

struct Sample {
    explicit Sample(std::int64_t events)
        : batch(sizeof(wire::BatchHeader) + static_cast<std::size_t>(events) * event_bytes, std::byte{7}),
          sealed(batch.size()),
          opened(batch.size()) {
        journal::Keyring ring;
        ring.add(1, SecretBytes(journal::master_key_bytes));
        static_cast<void>(journal::use_keyring(std::move(ring)));
        header.batch_bytes = static_cast<std::uint32_t>(batch.size());
    }
    std::vector<std::byte> batch, sealed, opened;
    journal::RecordHeader header;
    journal::RecordSeal seal{.life = {}, .key_id = 1, .tag = {}};
};

void count(benchmark::State& state) {
    state.SetItemsProcessed(state.iterations() * state.range(0));  // events
}

void checksum_alone(benchmark::State& state) {
    const Sample sample(state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(crc32c(0, sample.batch));
    count(state);
}
BENCHMARK(checksum_alone)->Arg(1)->Arg(32)->Arg(1000);

void seal_batch(benchmark::State& state) {
    Sample sample(state.range(0));
    journal::RecordCipher cipher(1);
    for (auto _ : state) {
        sample.header.position += 4096;
        benchmark::DoNotOptimize(cipher.seal(0, sample.header, sample.batch, sample.sealed.data(), sample.seal));
    }
    count(state);
}
BENCHMARK(seal_batch)->Arg(1)->Arg(32)->Arg(1000);

void open_batch(benchmark::State& state) {
    Sample sample(state.range(0));
    journal::RecordCipher sealer(1), opener(1);
    bool is_whole = sealer.seal(0, sample.header, sample.batch, sample.sealed.data(), sample.seal);
    for (auto _ : state) {
        is_whole = is_whole && opener.open(0, sample.header, sample.seal, sample.sealed, sample.opened.data()) ==
                                   journal::RecordCipher::Opened::whole;
    }
    if (!is_whole) state.SkipWithError("what was sealed is not opened");
    count(state);
}
BENCHMARK(open_batch)->Arg(1)->Arg(32)->Arg(1000);

// A new life or segment with every batch.
void derive_and_seal_batch(benchmark::State& state) {
    Sample sample(state.range(0));
    journal::RecordCipher cipher(1);
    std::uint64_t segment_index = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(
            cipher.seal(++segment_index, sample.header, sample.batch, sample.sealed.data(), sample.seal));
    }
    count(state);
}
BENCHMARK(derive_and_seal_batch)->Arg(1);

}  // namespace
