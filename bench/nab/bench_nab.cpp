// bench_nab DIR [--series] [--members MASK]: runs the anomaly ensemble over NAB's files, one configuration for all, as a stream, and
// prints the score beside the published ones. DIR holds labels.json, profiles.json and the folders of CSV files.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "bench/nab/score.hpp"
#include "central/analytics/anomaly_ensemble.hpp"
#include "core/base/json_scan.hpp"
#include "core/base/time_text.hpp"

namespace weir::bench::nab {
namespace {

struct Published {
    const char* name;
    double score;
};
// Numenta's scoreboard: standard profile, all 58 series.
constexpr Published published[] = {{"ARTime", 74.9},        {"Numenta HTM", 70.1},      {"contextOSE", 69.9},
                                   {"KNN-CAD", 58.0},       {"relative entropy", 54.6}, {"random cut forest", 51.7},
                                   {"Twitter ADVec", 47.1}, {"windowed Gaussian", 39.6}};

std::string contents_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// "2014-02-26 13:45:00.000000"
std::uint64_t time_of(std::string text) {
    std::replace(text.begin(), text.end(), ' ', 'T');
    const auto time = parse_time(text + "Z");
    if (!time) std::fprintf(stderr, "no time: %s\n", text.c_str());
    return time ? time->value : 0;
}

// The texts of labels.json in order: a file's name, then begin and end of each of its windows.
std::map<std::string, std::vector<std::uint64_t>> labels_of(const std::string& json) {
    std::map<std::string, std::vector<std::uint64_t>> labels;
    std::vector<std::uint64_t>* of_file = nullptr;
    for (std::size_t at = json.find('"'); at != std::string::npos; at = json.find('"', at + 1)) {
        const std::size_t end = json.find('"', at + 1);
        const std::string text = json.substr(at + 1, end - at - 1);
        if (text.ends_with(".csv")) {
            of_file = &labels[text];
        } else if (of_file != nullptr) {
            of_file->push_back(time_of(text));
        }
        at = end;
    }
    return labels;
}

Series read_series(const std::filesystem::path& path, std::string name, const std::vector<std::uint64_t>& edges) {
    Series series;
    series.name = std::move(name);
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
        const std::size_t comma = line.find(',');
        series.times_ns.push_back(time_of(line.substr(0, comma)));
        series.values.push_back(std::strtod(line.c_str() + comma + 1, nullptr));
    }
    const auto& times = series.times_ns;
    for (std::size_t at = 0; at + 1 < edges.size(); at += 2) {
        series.windows.emplace_back(std::lower_bound(times.begin(), times.end(), edges[at]) - times.begin(),
                                    std::upper_bound(times.begin(), times.end(), edges[at + 1]) - times.begin() - 1);
    }
    return series;
}

std::vector<Series> read_all(const std::filesystem::path& directory) {
    const auto labels = labels_of(contents_of(directory / "labels.json"));
    std::vector<Series> all;
    for (const auto& [name, edges] : labels) {
        if (std::filesystem::exists(directory / name)) all.push_back(read_series(directory / name, name, edges));
    }
    return all;
}

Profile profile_of(const std::string& json, const std::string& name) {
    Profile profile;
    profile.name = name;
    const auto weight = [&](const char* which) {
        const auto value = json_path(json, name + ".CostMatrix." + which);
        return value ? json_number(*value).value_or(0) : 0;
    };
    profile.hit = weight("tpWeight");
    profile.miss = weight("fnWeight");
    profile.false_alarm = weight("fpWeight");
    return profile;
}

void detect(Series& series, const analytics::AnomalySpec& spec) {
    analytics::AnomalyEnsemble ensemble(spec);
    for (std::size_t at = 0; at < series.values.size(); ++at) {
        const analytics::AnomalyScore said = ensemble.take(series.times_ns[at], series.values[at]);
        series.scores.push_back(said.is_alarm ? said.score : 0);
        series.by.emplace_back(text(said.by));
    }
}

void print_series(const std::vector<Series>& all, const Profile& profile, double threshold) {
    std::printf("\n%-58s %7s %5s %6s %7s\n", "series", "windows", "hits", "false", "raw");
    for (const Series& series : all) {
        const Tally of = tally(series, profile, threshold);
        std::printf("%-58s %7zu %5zu %6zu %7.2f\n", series.name.c_str(), series.windows.size(), of.hits,
                    of.false_alarms, of.raw);
    }
}

int run(int count, char** arguments) {
    const std::filesystem::path directory = count > 1 ? arguments[1] : "";
    bool shows_series = false;
    analytics::AnomalySpec spec;
    for (int at = 2; at < count; ++at) {
        shows_series = shows_series || std::strcmp(arguments[at], "--series") == 0;
        if (std::strcmp(arguments[at], "--members") == 0 && at + 1 < count) {
            spec.members = static_cast<std::uint32_t>(std::strtoul(arguments[++at], nullptr, 0));
        }
    }
    std::vector<Series> all = read_all(directory);
    if (all.empty()) {
        std::fprintf(stderr, "bench_nab: no series below \"%s\"\n", directory.c_str());
        return 2;
    }
    std::size_t values = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (Series& series : all) {
        detect(series, spec);
        values += series.values.size();
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const std::string profiles = contents_of(directory / "profiles.json");
    const Profile standard = profile_of(profiles, "standard");
    const Score best = best_score(all, standard);
    std::size_t windows = 0;
    for (const Series& series : all) windows += series.windows.size();
    std::printf("%zu series, %zu values, %zu windows, one configuration, streaming: %.0f values/s on one core\n\n",
                all.size(), values, windows, static_cast<double>(values) / seconds);
    for (const char* name : {"standard", "reward_low_FP_rate", "reward_low_FN_rate"}) {
        const Profile profile = profile_of(profiles, name);
        const Score of = best_score(all, profile);
        std::printf("%-20s %6.2f at threshold %.3f; %6.2f at the alarm threshold %.3f\n", name, of.score, of.threshold,
                    score_at(all, profile, spec.alarm_at), spec.alarm_at);
    }
    std::printf("\nstandard profile, published for all 58 series; weir for these %zu:\n", all.size());
    bool is_told = false;
    for (const Published& one : published) {
        if (!is_told && best.score > one.score) std::printf("  %-20s %5.1f\n", "weir", best.score);
        is_told = is_told || best.score > one.score;
        std::printf("  %-20s %5.1f\n", one.name, one.score);
    }
    if (!is_told) std::printf("  %-20s %5.1f\n", "weir", best.score);
    if (shows_series) print_series(all, standard, best.threshold);
    return 0;
}

}  // namespace
}  // namespace weir::bench::nab

int main(int count, char** arguments) {
    return weir::bench::nab::run(count, arguments);
}
