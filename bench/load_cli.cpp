#include "bench/load_cli.hpp"

namespace weir::bench {

const std::map<std::string, wire::AckLevel>& ack_levels() {
    static const std::map<std::string, wire::AckLevel> levels = {{"received", wire::AckLevel::received},
                                                                 {"spooled", wire::AckLevel::spooled},
                                                                 {"delivered", wire::AckLevel::delivered}};
    return levels;
}

CLI::App* add_load(CLI::App& app, LoadOptions& load, bool& is_tls) {
    CLI::App* load_app = app.add_subcommand("load", "make events at a rate (open loop) or flat out");
    load_app->add_option("--to", load.to, "HOST:PORT or unix:PATH of an edge")->required();
    auto* events = load_app->add_option("--events", load.events, "how many to measure")->check(CLI::PositiveNumber);
    auto* warmup =
        load_app->add_option("--warmup-events", load.warmup_events, "so many more, sent first and not measured");
    load_app->add_option("--seconds", load.seconds, "how long to measure")
        ->check(CLI::Range(0.01, 86'400.0))
        ->excludes(events);
    load_app->add_option("--warmup-s", load.warmup_s, "so long before, sent and not measured")
        ->check(CLI::Range(0.0, 3'600.0))
        ->excludes(warmup);
    load_app
        ->add_option("--rate", load.rate,
                     "events per second: max, N, A..B (a ramp), A,B,C (steps), or N@MSms (N at once every MS ms)")
        ->required();
    load_app
        ->add_option("--payload-bytes", load.payload_bytes,
                     "size of each payload: N, N,M in turn, or N..M in eight steps")
        ->required();
    load_app->add_option("--connections", load.connections, "producers at once")->check(CLI::Range(1, 60'000));
    load_app->add_option("--keys", load.keys, "different keys (default: one)");
    load_app->add_option("--key-distribution", load.key_distribution, "uniform, zipf, or zipf:S");
    load_app->add_option("--stalling", load.stalling,
                         "so many of the connections stop at times: they neither send nor read");
    load_app->add_option("--stall-ms", load.stall_ms, "for so long")->check(CLI::Range(1, 3'600'000));
    load_app->add_option("--stall-every-ms", load.stall_every_ms, "of each so long")->check(CLI::Range(1, 3'600'000));
    load_app->add_flag("--from-sent", load.is_counted_from_sent,
                       "count latency from when an event was sent, not from when it was due");
    load_app->add_option("--source", load.source, "source of each event, by which a route may know them")
        ->check([](const std::string& text) {
            return text.empty() || text.size() > 256 ? std::string("1 to 256 bytes") : std::string();
        });
    load_app->add_option("--ack", load.levels, "received, spooled or delivered; several: the connections take turns")
        ->delimiter(',')
        ->transform(CLI::CheckedTransformer(ack_levels(), CLI::ignore_case));
    load_app->add_option("--edge-admin", load.edge_admin,
                         "HOST:PORT of the edge's admin port, to say what limited the run");
    load_app->add_option("--central-admin", load.central_admin, "the same of central's");
    load_app->add_option("--token-file", load.token_file, "for both, where they ask for a token");
    load_app->add_option("--hgrm", load.hgrm_file,
                         "write the percentile distribution to a file, as HdrHistogram's tools read it");
    load_app->add_option("--svg", load.svg_file, "write a picture: latency by percentile, and over time");
    load_app->add_option("--timeout-s", load.timeout_s,
                         "give up after so many seconds without an ack (default: never)");
    auto* load_ca = load_app->add_option("--ca", load.ca_file, "CAs (PEM) of the edge's certificate");
    load_app->add_flag("--tls", is_tls, "speak TLS 1.3")->needs(load_ca);
    load_ca->needs(load_app->get_option("--tls"));
    load_app->add_flag("--json", load.as_json, "end with one JSON object on stdout");
    return load_app;
}

CLI::App* add_chart(CLI::App& app, ChartOptions& chart) {
    CLI::App* chart_app =
        app.add_subcommand("chart", "draw a table on stdin (columns parted by tabs, the first is x) as SVG on stdout");
    chart_app->add_option("--title", chart.title, "above it")->required();
    chart_app->add_option("--subtitle", chart.subtitle, "a line below the title");
    chart_app->add_option("--x-title", chart.x_title, "of the axis");
    chart_app->add_option("--y-title", chart.y_title, "of the axis");
    chart_app->add_option("--x-kind", chart.x_kind, "number, microseconds, seconds, bytes or percentile");
    chart_app->add_option("--y-kind", chart.y_kind, "the same");
    chart_app->add_flag("--x-log", chart.is_x_log, "by powers");
    chart_app->add_flag("--y-log", chart.is_y_log, "by powers");
    return chart_app;
}

}  // namespace weir::bench
