// World: edges, producers and a central in one thread, from one seed; faults for a while, then healing; then everything must drain.
//
// Thread    One.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/nodes.hpp"
#include "tests/simulation/oracle.hpp"
#include "tests/simulation/producer.hpp"

namespace weir::sim {

struct WorldOptions {
    std::uint64_t seed = 1;
    std::uint32_t events = 0;  // per producer; 0: the seed says
    bool has_faults = true;
    bool is_traced = false;
    std::string watched;  // "PRODUCER#NUMBER": traced: where it lies whenever a life ends or begins

    // For loops over crash points instead of faults by chance: one machine (0 = central, 1.. = edges) goes down at its n-th disk
    // operation.
    struct Crash {
        int machine = 0;
        std::uint64_t at_operation = 0;
        End how = End::kill;
        std::uint64_t again_after = 0;  // and once more, so many operations into its next life (0: not)
    };
    std::vector<Crash> crashes;
    // Or: operations fail with EIO, once (1) or from then on (UINT64_MAX, until the world is healed).
    struct Failure {
        int machine = 0;
        std::uint64_t from_operation = 0;
        std::uint64_t count = 1;
    };
    std::vector<Failure> failures;
    std::uint32_t edges = 0;  // 0: the seed says
    enum class Lanes : std::uint8_t { by_seed, durable, lossy } lanes = Lanes::durable;
    std::vector<std::string> only;  // these faults and no others, by name (world.cpp); empty: the seed says
};

struct Outcome {
    std::string wrong;  // empty: all promises held
    std::uint64_t trace_hash = 0;
    std::uint64_t simulated_ns = 0;
    std::uint64_t steps = 0;
    std::uint64_t events = 0;
    std::uint64_t faults = 0;
    std::uint64_t crashes = 0;
    std::uint64_t shed = 0, expired = 0, lost = 0;  // by the edges' ledgers, of lanes that may
    std::vector<std::uint64_t> operations;          // by machine
};

[[nodiscard]] Outcome run_world(const WorldOptions& options);

}  // namespace weir::sim
