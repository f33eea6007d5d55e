// weir-limits [hop] [tcp] [disk] [composed] [--dir DIR] [--seconds S]: one JSON object of the machine's limits; all of them by default.
#include <pthread.h>
#include <sched.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "bench/limits/limits.hpp"

namespace weir::limits {

std::uint64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

std::uint64_t thread_cpu_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

void pin(unsigned n) {
    // What this process may use, as it was before any thread was pinned.
    static const cpu_set_t allowed = [] {
        cpu_set_t set;
        CPU_ZERO(&set);
        ::sched_getaffinity(::getpid(), sizeof set, &set);
        return set;
    }();
    for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
        if (!CPU_ISSET(core, &allowed) || n-- > 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
        return;
    }
}

double percentile(std::vector<std::uint64_t>& values, double share) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const double wanted = std::max(1.0, std::ceil(share * static_cast<double>(values.size())));
    return static_cast<double>(values[static_cast<std::size_t>(wanted) - 1]);
}

void die(const char* what) {
    std::fprintf(stderr, "weir-limits: %s: %s\n", what, std::strerror(errno));
    std::exit(1);
}

}  // namespace weir::limits

int main(int argc, char** argv) {
    CLI::App app{"weir-limits: what this machine can do at best, as one JSON object"};
    weir::limits::LimitsOptions options;
    std::vector<std::string> which;
    app.add_option("which", which, "hop, tcp, disk, composed (default: all)")
        ->check(CLI::IsMember({"hop", "tcp", "disk", "composed"}));
    app.add_option("--dir", options.directory, "on the disk that is measured; 256 MiB of room")
        ->check(CLI::ExistingDirectory);
    app.add_option("--seconds", options.seconds, "of each single measure")->check(CLI::Range(0.01, 60.0));
    CLI11_PARSE(app, argc, argv);
    const auto is_wanted = [&](const char* name) {
        return which.empty() || std::find(which.begin(), which.end(), name) != which.end();
    };
    weir::limits::Measured all;
    const auto add = [&](const weir::limits::Measured& some) { all.insert(all.end(), some.begin(), some.end()); };
    weir::limits::pin(0);
    if (is_wanted("hop")) add(weir::limits::measure_hop(options));
    if (is_wanted("tcp")) add(weir::limits::measure_tcp(options));
    if (is_wanted("disk")) add(weir::limits::measure_disk(options));
    if (is_wanted("composed")) add(weir::limits::measure_composed(options));
    const char* before = "{";
    for (const auto& [name, value] : all) {
        std::printf("%s\"%s\":%.6g", before, name.c_str(), value);
        before = ",";
    }
    std::printf("}\n");
    return 0;
}
