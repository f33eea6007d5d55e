#include "bench/evidence.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "core/base/clock.hpp"
#include "core/control/admin_client.hpp"
#include "core/control/metrics_reader.hpp"

namespace weir::bench {
namespace {

constexpr double held_share = 0.99;    // of the wanted rate: it was reached
constexpr double busy_share = 0.85;    // whoever is busier than this has nothing left to give
constexpr double machine_full = 0.95;  // all cores
constexpr double waited_much = 0.5;

void read_daemon(const std::string& address, const std::string& token_file, const std::string& who,
                 const std::string& metric, MachineReading& reading) {
    if (address.empty()) return;
    const auto answer =
        control::ask_admin({.address = address, .target = "/metrics", .token_file = token_file, .ms_max = 1000});
    if (!answer || answer.value().status != 200) {
        reading.fault = who + " did not answer on " + address;
        return;
    }
    const auto metrics = control::Metrics::read(answer.value().body);
    for (const auto& one : metrics.all(metric))
        reading.runners.push_back({who + " " + std::string(one.label("runner")), one.value});
}

void read_cores(MachineReading& reading) {
    std::ifstream file("/proc/stat");
    std::string name;
    double user = 0;
    double nice = 0;
    double system = 0;
    double idle = 0;
    double io_wait = 0;
    double irq = 0;
    double soft_irq = 0;
    double steal = 0;
    if (!(file >> name >> user >> nice >> system >> idle >> io_wait >> irq >> soft_irq >> steal)) return;
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    reading.cpu_idle_s = (idle + io_wait) / ticks;
    reading.cpu_total_s = (user + nice + system + idle + io_wait + irq + soft_irq + steal) / ticks;
}

// Whole disks that were ever used; field 10 after the name is the time with a request under way, in ms.
void read_disks(MachineReading& reading) {
    std::ifstream file("/proc/diskstats");
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::uint64_t major = 0;
        std::uint64_t minor = 0;
        std::string name;
        double fields[10] = {};
        if (!(words >> major >> minor >> name)) continue;
        for (double& field : fields) words >> field;
        if (!words || fields[9] <= 0 || name.starts_with("loop") || name.starts_with("zram") || name.starts_with("ram"))
            continue;
        reading.disks.push_back({name, fields[9] / 1000});
    }
}

double share_of(double part, double whole) {
    return whole > 0 ? std::clamp(part / whole, 0.0, 1.0) : 0;
}

std::string percent(const Share& one) {
    char text[96];
    std::snprintf(text, sizeof text, "%s %.0f %%", one.name.c_str(), one.share * 100);
    return text;
}

std::string of_one_core(const Evidence& evidence) {
    std::string text = percent(evidence.self);
    for (const Share& one : evidence.runners) text += ", " + percent(one);
    return text;
}

}  // namespace

MachineReading read_machine(const EvidenceSources& sources) {
    MachineReading reading;
    read_daemon(sources.edge_admin, sources.token_file, "edge", "weir_edge_runner_worked_seconds_total", reading);
    read_daemon(sources.central_admin, sources.token_file, "central", "weir_central_runner_worked_seconds_total",
                reading);
    read_cores(reading);
    read_disks(reading);
    reading.at = monotonic_now();
    return reading;
}

Evidence compare(const MachineReading& before, const MachineReading& after) {
    Evidence evidence;
    const double seconds = static_cast<double>(after.at.since(before.at)) / 1e9;
    for (const auto& now : after.runners) {
        for (const auto& then : before.runners) {
            if (then.name == now.name)
                evidence.runners.push_back({now.name, share_of(now.worked_s - then.worked_s, seconds)});
        }
    }
    for (const auto& now : after.disks) {
        for (const auto& then : before.disks) {
            if (then.name == now.name)
                evidence.disks.push_back({"disk " + now.name, share_of(now.busy_s - then.busy_s, seconds)});
        }
    }
    const double total = after.cpu_total_s - before.cpu_total_s;
    evidence.machine_share = total > 0 ? 1 - share_of(after.cpu_idle_s - before.cpu_idle_s, total) : 0;
    evidence.fault = !before.fault.empty() ? before.fault : after.fault;
    return evidence;
}

std::string verdict(const Evidence& evidence) {
    if (evidence.wanted_rate > 0 && evidence.got_rate >= evidence.wanted_rate * held_share)
        return "nothing: the rate that was asked for was held";
    const auto is_less = [](const Share& a, const Share& b) { return a.share < b.share; };
    // Whose threads share a core counts as busy while it waits for the core: the cores come first.
    if (evidence.machine_share >= machine_full)
        return "the machine: every core is busy; of one core: " + of_one_core(evidence);
    Share most = evidence.self;
    for (const Share& one : evidence.runners) most = std::max(most, one, is_less);
    if (most.share >= busy_share) {
        const std::string who = most.name == evidence.self.name ? "weir-bench itself" : most.name;
        return who + ": the busiest part; of one core: " + of_one_core(evidence);
    }
    const auto disk = std::max_element(evidence.disks.begin(), evidence.disks.end(), is_less);
    if (disk != evidence.disks.end() && disk->share >= busy_share)
        return "the disk: " + percent(*disk) +
               " of the time with requests under way, nobody else is that busy; of one core: " + of_one_core(evidence);
    if (evidence.waited_share >= waited_much) {
        char text[160];
        std::snprintf(
            text, sizeof text,
            "waiting: for %.0f %% of the time events were due and the edge had granted no more; of one core: ",
            evidence.waited_share * 100);
        return text + of_one_core(evidence);
    }
    if (evidence.runners.empty()) return "not known: no daemon was asked (--edge-admin, --central-admin)";
    return "not clear: nobody is busy; of one core: " + of_one_core(evidence);
}

}  // namespace weir::bench
