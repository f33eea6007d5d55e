// What one event costs the operators together, and what it costs to store their results: definitions of a file over records in memory, as
// 100,000 events/s of three edges would make them.
//
//   bench_engine DEFINITIONS [EVENTS]
//
// Prints the time of the processor per event with and without the store, the slowest record, the state and what taking it costs, and a hash
// of all results: where that changes, the meaning of an operator has changed.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "bench/event_mix.hpp"
#include "bench/event_template.hpp"
#include "central/analytics_config.hpp"
#include "central/readmodel/result_store.hpp"

namespace {

using namespace weir;

constexpr std::array<std::string_view, 3> edges = {"north", "south", "west"};
constexpr std::uint32_t keys = 10'000;
constexpr std::uint64_t events_per_record = 64;
constexpr std::uint64_t event_gap_ns = 10 * ns_per_us;
constexpr std::uint64_t begin_ns = 1'700'000'000 * ns_per_second;
constexpr std::uint64_t commit_ns = 50 * ns_per_ms;

double processor_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

struct Totals {
    double seconds = 0;
    double slowest = 0;
    std::uint64_t rows = 0;
    std::uint64_t hash = 0;
    double save_seconds = 0;
    std::size_t state_bytes = 0;
};

class Records {
  public:
    Records() {
        for (const char* type : bench::event_types) templates_.emplace_back(type, "bench", 1, 100, true);
    }
    // The next one; its last event is at now_ns().
    [[nodiscard]] ConstBytes next() {
        body_.clear();
        for (std::uint64_t left = events_per_record; left > 0; --left, ++index_) {
            bench::EventTemplate& next = templates_[index_ % templates_.size()];
            next.set_key(analytics::hash_of({reinterpret_cast<const char*>(&index_), sizeof index_}) % keys);
            const ConstBytes event = next.stamp(index_, {now_ns()});
            add_frame(event);
        }
        return body_;
    }
    [[nodiscard]] std::uint64_t now_ns() const { return begin_ns + index_ * event_gap_ns; }
    [[nodiscard]] std::uint64_t count() const { return index_; }

  private:
    void add_frame(ConstBytes event) {
        wire::FrameHeader header;
        header.body_bytes = static_cast<std::uint32_t>(event.size());
        header.kind = wire::FrameKind::event;
        const std::size_t at = body_.size();
        body_.resize(at + wire::frame_bytes(header.body_bytes));
        std::memcpy(body_.data() + at, &header, sizeof header);
        std::memcpy(body_.data() + at + sizeof header, event.data(), event.size());
    }

    std::vector<bench::EventTemplate> templates_;
    std::vector<std::byte> body_;
    std::uint64_t index_ = 0;
};

Totals run(const analytics::Definitions& definitions, std::uint64_t events, central::ResultStore* store) {
    auto engine = analytics::Engine::build(definitions);
    if (!engine) {
        std::fprintf(stderr, "%s\n", engine.error().what.c_str());
        std::exit(2);
    }
    Totals totals;
    analytics::Results results;
    Records records;
    std::string lines;
    std::uint64_t position = 0, committed_ns = begin_ns;
    const auto check = [](const Status& status) { WEIR_ASSERT(status.ok()); };
    if (store != nullptr) check(store->begin());
    while (records.count() < events) {
        wire::BatchHeader header;
        header.edge_id = wire::name_field<wire::edge_id_bytes_max>(edges[position % edges.size()]);
        header.lane_name = wire::name_field<wire::lane_name_bytes_max>("main");
        const ConstBytes body = records.next();
        const double begun = processor_seconds();
        results.clear();
        engine.value()->apply(header, body, {records.now_ns()}, {++position}, results);
        if (store != nullptr) {
            check(store->add(definitions, results, {position}, {records.now_ns()}));
            if (records.now_ns() > committed_ns + commit_ns) {
                check(store->commit());
                check(store->begin());
                committed_ns = records.now_ns();
            }
        }
        const double took = processor_seconds() - begun;
        totals.seconds += took;
        totals.slowest = std::max(totals.slowest, took);
        totals.rows +=
            results.windows.size() + results.patterns.size() + results.anomalies.size() + results.notices.size();
        if (store != nullptr) continue;
        lines.assign(sizeof totals.hash, '\0');
        std::memcpy(lines.data(), &totals.hash, sizeof totals.hash);
        engine.value()->append_lines(results, lines);
        totals.hash = analytics::hash_of(lines);
    }
    if (store != nullptr) check(store->commit());
    const double begun = processor_seconds();
    totals.state_bytes = engine.value()->save().size();
    totals.save_seconds = processor_seconds() - begun;
    return totals;
}

void print(const char* what, const Totals& totals, std::uint64_t events) {
    std::printf("%-12s %6.2f us/event, slowest record %7.2f ms, %llu rows; state %.1f MiB in %.0f ms", what,
                1e6 * totals.seconds / static_cast<double>(events), 1e3 * totals.slowest,
                static_cast<unsigned long long>(totals.rows), static_cast<double>(totals.state_bytes) / (1 << 20),
                1e3 * totals.save_seconds);
    if (totals.hash != 0) std::printf("; results %016llx", static_cast<unsigned long long>(totals.hash));
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "bench_engine DEFINITIONS [EVENTS]\n");
        return 2;
    }
    std::ifstream file(argv[1]);
    std::stringstream text;
    text << file.rdbuf();
    const auto config = central::analytics_of_text(text.str());
    if (!config) {
        std::fprintf(stderr, "%s: %s\n", argv[1], config.error().what.c_str());
        return 2;
    }
    const std::uint64_t events = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
    print("operators", run(config.value().definitions, events, nullptr), events);
    char directory[] = "/tmp/weir-bench-XXXXXX";
    if (::mkdtemp(directory) == nullptr) return 2;
    {
        auto store = central::ResultStore::open(central::results_path(directory));
        WEIR_ASSERT(store.ok() && store.value()->clear().ok());
        print("with store", run(config.value().definitions, events, store.value().get()), events);
    }
    std::filesystem::remove_all(directory);
    return 0;
}
