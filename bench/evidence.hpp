// Evidence: what was busy while a load ran, and so what limited it: weir-bench itself, the edge, central, the disk, or the machine.
//
// Thread    read_machine: any; it waits for two HTTP answers.
// Format    /metrics of both daemons; /proc/stat and /proc/diskstats of this machine (Linux, Documentation/admin-guide/iostats.rst).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/types.hpp"

namespace weir::bench {

struct EvidenceSources {
    std::string edge_admin;  // empty: not asked
    std::string central_admin;
    std::string token_file;
};

// One reading; shares come from the difference of two.
struct MachineReading {
    MonotonicNs at{};
    struct Runner {
        std::string name;  // "edge intake"
        double worked_s = 0;
    };
    std::vector<Runner> runners;
    struct Disk {
        std::string name;
        double busy_s = 0;
    };
    std::vector<Disk> disks;
    double cpu_total_s = 0;  // all cores together
    double cpu_idle_s = 0;
    std::string fault;  // of a daemon that did not answer
};
[[nodiscard]] MachineReading read_machine(const EvidenceSources& sources);

struct Share {
    std::string name;
    double share = 0;  // of the steady part; 1 = all of it
};
struct Evidence {
    double wanted_rate = 0;  // events per second; 0: as fast as it goes
    double got_rate = 0;
    Share self{"weir-bench", 0};  // its own time on a processor
    double waited_share = 0;      // for credit or room, with events due
    std::vector<Share> runners;   // of the daemons: time in duty cycles that did something
    std::vector<Share> disks;     // time with a request under way
    double machine_share = 0;     // of all cores
    std::string fault;
};
[[nodiscard]] Evidence compare(const MachineReading& before, const MachineReading& after);
// One sentence: what limited the run.
[[nodiscard]] std::string verdict(const Evidence& evidence);

}  // namespace weir::bench
