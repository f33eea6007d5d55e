// weir-bench chart: a table as a picture.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>

#include "bench/chart.hpp"
#include "bench/commands.hpp"

namespace weir::bench {
namespace {

std::vector<std::string> fields_of(const std::string& line) {
    std::vector<std::string> fields;
    std::istringstream stream(line);
    for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
    return fields;
}

bool read_number(const std::string& text, double& out) {
    if (text == "-") {
        out = std::nan("");
        return true;
    }
    char* end = nullptr;
    out = std::strtod(text.c_str(), &end);
    return !text.empty() && *end == '\0';
}

int fail(const std::string& what) {
    std::fprintf(stderr, "chart: %s\n", what.c_str());
    return 2;
}

}  // namespace

int chart_command(const ChartOptions& options) {
    Chart chart{"", {options.x_title}, {options.y_title}, {}};
    if (!axis_kind_of(options.x_kind, chart.x.kind)) return fail("no kind of axis: " + options.x_kind);
    if (!axis_kind_of(options.y_kind, chart.y.kind)) return fail("no kind of axis: " + options.y_kind);
    chart.x.is_log = options.is_x_log;
    chart.y.is_log = options.is_y_log;
    chart.y.is_from_zero = true;
    std::string line;
    if (!std::getline(std::cin, line)) return fail("nothing on stdin");
    const auto names = fields_of(line);
    for (std::size_t i = 1; i < names.size(); ++i) chart.series.push_back({names[i], {}, true});
    for (int number = 2; std::getline(std::cin, line); ++number) {
        const auto fields = fields_of(line);
        if (fields.size() != names.size())
            return fail("line " + std::to_string(number) + " has another number of columns");
        double x = 0;
        for (std::size_t i = 0; i < fields.size(); ++i) {
            double value = 0;
            if (!read_number(fields[i], value))
                return fail("line " + std::to_string(number) + ": no number: " + fields[i]);
            if (i == 0) {
                x = value;
            } else {
                chart.series[i - 1].points.emplace_back(x, value);
            }
        }
    }
    std::vector<std::string> lines;
    if (!options.subtitle.empty()) lines.push_back(options.subtitle);
    std::fputs(svg_of(options.title, lines, {chart}).c_str(), stdout);
    return 0;
}

}  // namespace weir::bench
