// weir-sim: runs simulated worlds. See --help.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "core/base/planted.hpp"
#include "tests/simulation/world.hpp"

namespace {

constexpr std::string_view help =
    "weir-sim --seed S [--events N] [--trace [--watch PRODUCER#NUMBER]]\n"
    "                                           one world; exit 1 if a promise was broken\n"
    "weir-sim --seeds A..B [--events N]         many; stops at the first failure with the command that reproduces it\n"
    "         --crash M:N:HOW[:K]               machine M (0 central) goes down at its N-th disk operation; 0 kill, 1 "
    "power\n"
    "                                           loss (nothing pending is kept), 2 (all), 3 (some); K more into the "
    "next life\n"
    "         --fail M:N:COUNT                  COUNT operations from the N-th on fail with EIO; 0: all until healing\n"
    "         --edges N                         so many edges\n"
    "         --lanes durable|lossy|by-seed     what lanes may do: durable unless it is said, or as each seed draws\n"
    "         --only FAULT,FAULT...             these faults alone, by their names in a trace\n"
    "         --no-faults                       the same worlds in fair weather\n"
    "         --go-on                           names every seed that fails, not the first alone\n"
    "         --twice                           each seed twice: the traces must be equal\n";

char current[128] = "";

extern "C" void on_abort(int) {
    std::fputs(current, stderr);
    std::_Exit(134);
}

std::uint64_t number(std::string_view text) {
    return std::strtoull(std::string(text).c_str(), nullptr, 10);
}

}  // namespace

int main(int argc, char** argv) {
    weir::sim::WorldOptions options;
    std::uint64_t first = 1, until = 1;
    bool is_twice = false, goes_on = false;
    std::string lanes, only;
    std::uint64_t failures = 0;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
        if (word == "--seed" || word == "--seeds") {
            const auto dots = value.find("..");
            first = number(value.substr(0, dots));
            until = dots == std::string_view::npos ? first : number(value.substr(dots + 2));
            ++i;
        } else if (word == "--events") {
            options.events = static_cast<std::uint32_t>(number(value));
            ++i;
        } else if (word == "--trace") {
            options.is_traced = true;
        } else if (word == "--edges") {
            options.edges = static_cast<std::uint32_t>(number(value));
            ++i;
        } else if (word == "--crash" || word == "--fail") {
            const auto first_colon = value.find(':');
            const auto second_colon = value.find(':', first_colon + 1);
            const auto third_colon = value.find(':', second_colon + 1);
            const auto machine = static_cast<int>(number(value.substr(0, first_colon)));
            const auto operation = number(value.substr(first_colon + 1));
            const auto last = number(value.substr(second_colon + 1));
            if (word == "--fail") {
                options.failures.push_back({machine, operation, last == 0 ? UINT64_MAX : last});
            } else {
                options.crashes.push_back(
                    {machine, operation, static_cast<weir::sim::End>(last),
                     third_colon == std::string_view::npos ? 0 : number(value.substr(third_colon + 1))});
            }
            ++i;
        } else if (word == "--watch") {
            options.watched = value;
            ++i;
        } else if (word == "--lanes") {
            using Lanes = weir::sim::WorldOptions::Lanes;
            lanes = " --lanes " + std::string(value);
            options.lanes = value == "lossy" ? Lanes::lossy : value == "by-seed" ? Lanes::by_seed : Lanes::durable;
            ++i;
        } else if (word == "--only") {
            only = " --only " + std::string(value);
            for (std::size_t at = 0; at < value.size();) {
                const std::size_t end = std::min(value.find(',', at), value.size());
                options.only.emplace_back(value.substr(at, end - at));
                at = end + 1;
            }
            ++i;
        } else if (word == "--no-faults") {
            options.has_faults = false;
        } else if (word == "--go-on") {
            goes_on = true;
        } else if (word == "--twice") {
            is_twice = true;
        } else {
            std::fputs(std::string(help).c_str(), word == "--help" ? stdout : stderr);
            return word == "--help" ? 0 : 2;
        }
    }
    std::signal(SIGABRT, on_abort);
    double hours = 0;
    std::uint64_t events = 0, faults = 0, crashes = 0, shed = 0, expired = 0, lost = 0;
    for (std::uint64_t seed = first; seed <= until; ++seed) {
        options.seed = seed;
        std::snprintf(current, sizeof current, "weir-sim: aborted; reproduce with: weir-sim --seed %llu%s\n",
                      static_cast<unsigned long long>(seed), options.has_faults ? "" : " --no-faults");
        auto outcome = weir::sim::run_world(options);
        if (is_twice && outcome.wrong.empty() && weir::sim::run_world(options).trace_hash != outcome.trace_hash) {
            outcome.wrong = "the same seed gave another trace";
        }
        if (!outcome.wrong.empty()) {
            std::printf("seed %llu: %s\nreproduce with: weir-sim --seed %llu%s%s%s%s\n",
                        static_cast<unsigned long long>(seed), outcome.wrong.c_str(),
                        static_cast<unsigned long long>(seed),
                        options.events != 0 ? (" --events " + std::to_string(options.events)).c_str() : "",
                        options.has_faults ? "" : " --no-faults", lanes.c_str(), only.c_str());
            ++failures;
            if (!goes_on) return 1;
            continue;
        }
        hours += static_cast<double>(outcome.simulated_ns) / 3.6e12;
        events += outcome.events;
        faults += outcome.faults;
        crashes += outcome.crashes;
        shed += outcome.shed;
        expired += outcome.expired;
        lost += outcome.lost;
        if (first == until) {
            std::printf("seed %llu: trace %016llx, %llu steps\n", static_cast<unsigned long long>(seed),
                        static_cast<unsigned long long>(outcome.trace_hash),
                        static_cast<unsigned long long>(outcome.steps));
        }
    }
    std::printf("%llu seeds, %llu failures: %.1f simulated hours, %llu events judged, %llu faults, %llu lives ended\n",
                static_cast<unsigned long long>(until - first + 1), static_cast<unsigned long long>(failures), hours,
                static_cast<unsigned long long>(events), static_cast<unsigned long long>(faults),
                static_cast<unsigned long long>(crashes));
    std::printf("of lanes that may lose something: %llu shed, %llu expired, %llu lost with memory, all accounted for\n",
                static_cast<unsigned long long>(shed), static_cast<unsigned long long>(expired),
                static_cast<unsigned long long>(lost));
    return failures == 0 ? 0 : 1;
}
