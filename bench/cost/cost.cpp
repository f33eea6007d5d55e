// weir-cost: runs one workload (workloads.hpp), or says which there are, and which compiler made it.
#include <cstdio>
#include <string_view>

#include "bench/cost/workloads.hpp"

int main(int argc, char** argv) {
    const std::string_view asked = argc == 2 ? argv[1] : "";
    if (asked == "--list") {
        for (const auto& one : weir::bench::workloads()) std::printf("%.*s\n", int(one.name.size()), one.name.data());
        return 0;
    }
    if (asked == "--compiler") {
#if defined(__clang__)
        std::printf("clang " __clang_version__ "\n");
#else
        std::printf("gcc " __VERSION__ "\n");
#endif
        return 0;
    }
    for (const auto& one : weir::bench::workloads()) {
        if (one.name != asked) continue;
        std::printf("%llu events\n", static_cast<unsigned long long>(one.run()));
        return 0;
    }
    std::fprintf(stderr, "usage: weir-cost --list | --compiler | WORKLOAD\n");
    return 64;
}
