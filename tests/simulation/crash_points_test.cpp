// Every logical disk operation of a scenario, on every machine, is once the last before a crash, of every kind; and again in the
// recovery from that crash; and every operation fails, once and from then on. After each the world must drain and every promise hold.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/simulation/world.hpp"

namespace weir::sim {
namespace {

constexpr End ends[] = {End::kill, End::power_none, End::power_all, End::power_random};

WorldOptions scenario(std::uint64_t seed) {
    WorldOptions options;
    options.seed = seed;
    options.has_faults = false;
    options.events = 12;
    options.edges = 1;
    return options;
}

std::string place(const char* what, std::uint64_t seed, std::size_t machine, std::uint64_t operation) {
    return std::string(what) + " at operation " + std::to_string(operation) + " of machine " + std::to_string(machine) +
           ", seed " + std::to_string(seed);
}

TEST(CrashPoints, AtEveryOperationNothingIsLostOrStoredTwice) {
    std::uint64_t points = 0, crashes = 0;
    for (const std::uint64_t seed : {11U, 12U, 13U, 14U, 15U, 16U, 17U, 18U, 19U, 20U, 22U, 23U}) {
        const Outcome calm = run_world(scenario(seed));
        ASSERT_EQ(calm.wrong, "");
        for (std::size_t machine = 0; machine < calm.operations.size(); ++machine) {
            for (std::uint64_t operation = 1; operation <= calm.operations[machine]; ++operation) {
                for (const End how : ends) {
                    WorldOptions options = scenario(seed);
                    options.crashes.push_back(
                        {.machine = static_cast<int>(machine), .at_operation = operation, .how = how});
                    const Outcome outcome = run_world(options);
                    ASSERT_EQ(outcome.wrong, "")
                        << place("crash", seed, machine, operation) << ", kind " << static_cast<int>(how);
                    ++points;
                    crashes += outcome.crashes;
                }
            }
        }
    }
    std::printf("%llu crash points, %llu lives ended\n", static_cast<unsigned long long>(points),
                static_cast<unsigned long long>(crashes));
    EXPECT_GE(points, 10'000U);
    EXPECT_GE(crashes, points * 9 / 10);  // the points are reached, not only set
}

TEST(CrashPoints, AtEveryOperationOfARecoveryNothingIsLostOrStoredTwice) {
    std::uint64_t points = 0, crashes = 0;
    const std::uint64_t seed = 21;
    const Outcome calm = run_world(scenario(seed));
    for (std::size_t machine = 0; machine < calm.operations.size(); ++machine) {
        // Recovery is a hundred operations or so; from some states of the journal.
        for (std::uint64_t operation = calm.operations[machine] / 4; operation <= calm.operations[machine];
             operation += std::max<std::uint64_t>(1, calm.operations[machine] / 8)) {
            for (std::uint64_t again = 1; again <= 120; ++again) {
                WorldOptions options = scenario(seed);
                options.crashes.push_back({.machine = static_cast<int>(machine),
                                           .at_operation = std::max<std::uint64_t>(1, operation),
                                           .how = ends[again % std::size(ends)],
                                           .again_after = again});
                const Outcome outcome = run_world(options);
                ASSERT_EQ(outcome.wrong, "") << place("crash", seed, machine, operation) << ", again after " << again;
                ++points;
                crashes += outcome.crashes;
            }
        }
    }
    std::printf("%llu crash points in recoveries, %llu lives ended\n", static_cast<unsigned long long>(points),
                static_cast<unsigned long long>(crashes));
    EXPECT_GE(crashes, points * 3 / 2);
}

TEST(CrashPoints, EveryOperationThatFailsOnceOrFromThenOnLosesNothing) {
    std::uint64_t points = 0;
    for (const std::uint64_t seed : {31U, 32U}) {
        const Outcome calm = run_world(scenario(seed));
        for (std::size_t machine = 0; machine < calm.operations.size(); ++machine) {
            for (std::uint64_t operation = 1; operation <= calm.operations[machine]; ++operation) {
                for (const std::uint64_t count : {std::uint64_t{1}, UINT64_MAX}) {
                    WorldOptions options = scenario(seed);
                    options.failures.push_back(
                        {.machine = static_cast<int>(machine), .from_operation = operation, .count = count});
                    const Outcome outcome = run_world(options);
                    ASSERT_EQ(outcome.wrong, "") << place("failure", seed, machine, operation) << ", count " << count;
                    ++points;
                }
            }
        }
    }
    std::printf("%llu failures\n", static_cast<unsigned long long>(points));
    EXPECT_GE(points, 500U);
}

}  // namespace
}  // namespace weir::sim
