// weir-sim-planted: proves that the simulator finds bugs: each one that is planted must break a promise within the seeds of the
// normal check.
//
//   weir-sim-planted [--seeds N] [NAME...]     exit 1 if one was not found; prints the seed that found each
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/planted.hpp"
#include "tests/simulation/world.hpp"

namespace weir {
Planted planted_bug = Planted::none;
}  // namespace weir

namespace {

using weir::Planted;

struct Bug {
    Planted bug;
    const char* name;
};
#define BUG(name)            \
    Bug {                    \
        Planted::name, #name \
    }
constexpr std::array bugs = {
    BUG(write_without_sync), BUG(no_directory_sync),      BUG(trim_undelivered),       BUG(accept_gap),
    BUG(no_duplicate_check), BUG(position_ahead_of_data), BUG(sequence_reuse),         BUG(credit_leak),
    BUG(forget_duplicates),  BUG(early_duplicate_ack),    BUG(checkpoint_before_data), BUG(ignore_write_error),
    BUG(central_ack_early),  BUG(hole_taken_for_end),     BUG(delivered_too_early),    BUG(gap_for_what_is_kept)};
#undef BUG
constexpr std::uint64_t sane_seeds = 50;

// What broke with this seed; empty: nothing. In a process of its own, because a bug may also end in an assertion.
std::string run(Planted bug, std::uint64_t seed) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(2);  // an assertion's words are not wanted
        weir::planted_bug = bug;
        weir::sim::WorldOptions options;
        options.seed = seed;
        const auto outcome = weir::sim::run_world(options);
        [[maybe_unused]] const auto ignored = ::write(ends[1], outcome.wrong.data(), outcome.wrong.size());
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string wrong;
    char some[256];
    for (ssize_t count; (count = ::read(ends[0], some, sizeof some)) > 0;)
        wrong.append(some, static_cast<std::size_t>(count));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFEXITED(status)) return "an assertion";
    return wrong.substr(0, wrong.find('\n'));
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seeds = 7000;
    std::vector<std::string_view> wanted;
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--seeds" && i + 1 < argc) {
            seeds = std::strtoull(argv[++i], nullptr, 10);
        } else {
            wanted.emplace_back(argv[i]);
        }
    }
    for (std::uint64_t seed = 1; seed <= sane_seeds; ++seed) {
        if (const auto wrong = run(Planted::none, seed); !wrong.empty()) {
            std::printf("without a bug: seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
            return 1;
        }
    }
    std::uint32_t missed = 0, tried = 0;
    for (const Bug& bug : bugs) {
        bool is_wanted = wanted.empty();
        for (const auto name : wanted) is_wanted = is_wanted || name == bug.name;
        if (!is_wanted) continue;
        ++tried;
        std::string wrong;
        std::uint64_t seed = 0;
        while (wrong.empty() && seed < seeds) wrong = run(bug.bug, ++seed);
        std::printf("%-24s %s %5llu  %s\n", bug.name, wrong.empty() ? "NOT FOUND in" : "found by seed",
                    static_cast<unsigned long long>(seed), wrong.c_str());
        std::fflush(stdout);
        if (wrong.empty()) ++missed;
    }
    std::printf("%u planted bugs, %u found\n", tried, tried - missed);
    return missed == 0 && tried > 0 ? 0 : 1;
}
