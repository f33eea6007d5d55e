#include "bench/chart.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "bench/chart_axis.hpp"

namespace weir::bench {
namespace {

constexpr double width = 960;
constexpr double left = 96;
constexpr double right = 40;
constexpr double plot_height = 280;
constexpr double above_plot = 56;  // its title and legend
constexpr double below_plot = 60;  // its marks and the axis's title
constexpr double line_height = 20;
// Told apart also by the colour-blind (M. Okabe, K. Ito, Color Universal Design).
constexpr std::array colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};

__attribute__((format(printf, 2, 3))) void append(std::string& out, const char* format, ...) {
    char text[512];
    va_list rest;
    va_start(rest, format);
    std::vsnprintf(text, sizeof text, format, rest);
    va_end(rest);
    out += text;
}

void put_text(std::string& out, double x, double y, const char* style, std::string_view text) {
    append(out, "<text x=\"%.1f\" y=\"%.1f\" %s>", x, y, style);
    for (const char letter : text) {
        switch (letter) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            default:
                out += letter;
        }
    }
    out += "</text>\n";
}

void draw_axes(std::string& out, const Chart& chart, const ChartScale& x, const ChartScale& y, double top) {
    const double bottom = top + plot_height;
    for (const auto& mark : y.marks()) {
        append(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", left, width - right,
               mark.pixel, mark.pixel);
        put_text(out, left - 8, mark.pixel + 4, "text-anchor=\"end\" font-size=\"12\"", mark.text);
    }
    for (const auto& mark : x.marks()) {
        append(out, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#eee\"/>\n", mark.pixel, mark.pixel,
               top, bottom);
        put_text(out, mark.pixel, bottom + 18, "text-anchor=\"middle\" font-size=\"12\"", mark.text);
    }
    append(out, "<path d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"#444\"/>\n", left, top, bottom, width - right);
    put_text(out, (left + width - right) / 2, bottom + 40, "text-anchor=\"middle\" font-size=\"13\"", chart.x.title);
    append(out, "<g transform=\"translate(20 %.1f) rotate(-90)\">", (top + bottom) / 2);
    put_text(out, 0, 0, "text-anchor=\"middle\" font-size=\"13\"", chart.y.title);
    out += "</g>\n";
}

void draw_series(std::string& out, const Series& series, const char* colour, const ChartScale& x, const ChartScale& y) {
    std::string path;
    for (const auto& [at, value] : series.points) {
        if (!std::isfinite(value) || !x.can_show(at) || !y.can_show(value)) continue;
        append(path, "%s%.1f %.1f", path.empty() ? "M" : "L", x.pixel(at), y.pixel(value));
        if (series.is_marked)
            append(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", x.pixel(at), y.pixel(value), colour);
    }
    out += "<path d=\"" + path + "\" fill=\"none\" stroke-width=\"2\" stroke=\"" + colour + "\"/>\n";
}

void draw(std::string& out, const Chart& chart, double top) {
    std::vector<double> all_x;
    std::vector<double> all_y;
    for (const Series& one : chart.series) {
        for (const auto& [at, value] : one.points) {
            if (!std::isfinite(value)) continue;
            all_x.push_back(at);
            all_y.push_back(value);
        }
    }
    const ChartScale x(chart.x, all_x, left, width - right);
    const ChartScale y(chart.y, all_y, top + above_plot + plot_height, top + above_plot);
    put_text(out, left, top + 20, "font-size=\"15\" font-weight=\"bold\"", chart.title);
    double at = left;
    for (std::size_t i = 0; i < chart.series.size(); ++i) {
        const char* colour = colours[i % colours.size()];
        append(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"18\" height=\"4\" fill=\"%s\"/>\n", at, top + 36, colour);
        put_text(out, at + 24, top + 43, "font-size=\"13\"", chart.series[i].name);
        at += 48 + 7.5 * static_cast<double>(chart.series[i].name.size());
    }
    draw_axes(out, chart, x, y, top + above_plot);
    for (std::size_t i = 0; i < chart.series.size(); ++i)
        draw_series(out, chart.series[i], colours[i % colours.size()], x, y);
}

}  // namespace

std::string svg_of(std::string_view title, const std::vector<std::string>& lines, const std::vector<Chart>& charts) {
    const double head = 44 + line_height * static_cast<double>(lines.size());
    const double each = above_plot + plot_height + below_plot;
    const double height = head + each * static_cast<double>(charts.size()) + 8;
    std::string out;
    append(out,
           "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
           "font-family=\"sans-serif\" fill=\"#222\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
           width, height, width, height);
    put_text(out, 24, 32, "font-size=\"19\" font-weight=\"bold\"", title);
    for (std::size_t i = 0; i < lines.size(); ++i)
        put_text(out, 24, 54 + line_height * static_cast<double>(i), "font-size=\"13\"", lines[i]);
    for (std::size_t i = 0; i < charts.size(); ++i) draw(out, charts[i], head + each * static_cast<double>(i));
    return out + "</svg>\n";
}

}  // namespace weir::bench
