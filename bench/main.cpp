// weir-bench: sends real events (send) or makes load (load) and measures from outside what an edge promises; or is many edges
// itself (edges), and measures what central does; or stands on both sides of an edge (transit).
#include <CLI/CLI.hpp>
#include <csignal>

#include "bench/commands.hpp"
#include "bench/load_cli.hpp"
#include "bench/transit.hpp"

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app{"weir-bench: sends events to an edge and measures"};
    app.require_subcommand(1);

    bool is_tls = false;  // --ca says it too: both are asked for, so that neither is forgotten
    weir::bench::SendOptions send;
    CLI::App* send_app =
        app.add_subcommand("send", "send the events of a file of JSON lines, until each one is answered");
    send_app->add_option("--to", send.to, "HOST:PORT or unix:PATH of an edge")->required();
    send_app->add_option("--ndjson", send.ndjson, "file of JSON lines, plain or gzip")->required();
    send_app->add_option("--ack", send.level, "received, spooled or delivered")
        ->transform(CLI::CheckedTransformer(weir::bench::ack_levels(), CLI::ignore_case));
    send_app->add_option("--rate", send.rate, "events per second (default: as fast as it goes)");
    send_app->add_option("--producer", send.producer,
                         "name this producer and number its events: retries are recognised for ever");
    send_app->add_option("--timeout-s", send.timeout_s,
                         "give up after so many seconds without an ack (default: never)");
    auto* send_ca = send_app->add_option("--ca", send.ca_file, "CAs (PEM) of the edge's certificate");
    send_app->add_flag("--tls", is_tls, "speak TLS 1.3")->needs(send_ca);
    send_ca->needs(send_app->get_option("--tls"));
    send_app->add_flag("--now", send.is_now, "events happen when they are sent, whatever time the file says");
    send_app->add_flag("--json", send.as_json, "end with one JSON object on stdout");

    weir::bench::LoadOptions load;
    const CLI::App* load_app = weir::bench::add_load(app, load, is_tls);
    weir::bench::ChartOptions chart;
    const CLI::App* chart_app = weir::bench::add_chart(app, chart);

    weir::bench::EdgesOptions edges;
    CLI::App* edges_app =
        app.add_subcommand("edges", "be many edges that come to a central at once with what they hold");
    edges_app->add_option("--to", edges.to, "HOST:PORT of a central")->required();
    edges_app->add_option("--count", edges.count, "edges")->required()->check(CLI::Range(1, 60'000));
    edges_app->add_option("--batches", edges.batches, "batches of each edge")->check(CLI::PositiveNumber);
    edges_app->add_option("--events", edges.events, "events of each batch")->check(CLI::Range(1, 4096));
    edges_app->add_option("--payload-bytes", edges.payload_bytes, "size of each payload")
        ->check(CLI::Range(10, 200'000));
    edges_app
        ->add_option("--link-mbit", edges.link_mbit,
                     "megabit a second of a link that all of them share, batch by batch in turns; 0: no bound")
        ->check(CLI::Range(0, 1'000'000));
    edges_app->add_option("--prefix", edges.prefix, "of the edges' ids: [a-z0-9-]");
    edges_app->add_option("--pid", edges.pid, "of central: its largest resident memory is printed");
    edges_app->add_option("--timeout-s", edges.timeout_s, "give up after so many seconds without an ack");
    edges_app->add_flag("--json", edges.as_json, "end with one JSON object on stdout");

    weir::bench::WatchOptions watch;
    watch.targets = {"/api/v1/ledger"};
    CLI::App* watch_app =
        app.add_subcommand("watch", "be many clients of central's stream, and ask its API beside them");
    watch_app->add_option("--to", watch.to, "HOST:PORT of a central's admin port")->required();
    watch_app->add_option("--clients", watch.clients, "WebSockets")->check(CLI::Range(0, 60'000));
    watch_app->add_option("--stalled", watch.stalled, "so many of them read nothing");
    watch_app->add_option("--seconds", watch.seconds, "how long")->check(CLI::Range(1, 86'400));
    watch_app->add_option("--ask-rate", watch.ask_rate, "requests per second, in an open loop (default: none)");
    watch_app->add_option("--target", watch.targets, "what is asked for, in turn (default: /api/v1/ledger)");
    watch_app->add_option("--token-file", watch.token_file, "a viewer's token");
    watch_app->add_flag("--json", watch.as_json, "end with one JSON object on stdout");

    weir::bench::TransitOptions transit;
    CLI::App* transit_app = app.add_subcommand(
        "transit",
        "send events to an edge and be the central at whose socket they come out: how long they were inside");
    transit_app->add_option("--to", transit.to, "HOST:PORT or unix:PATH of an edge")->required();
    transit_app->add_option("--listen", transit.listen, "HOST:PORT, the edge's only central")->required();
    transit_app->add_option("--rate", transit.rate, "events per second, in an open loop")
        ->check(CLI::Range(1, 1'000'000));
    transit_app->add_option("--seconds", transit.seconds, "how long")->check(CLI::PositiveNumber);
    transit_app->add_option("--warmup-s", transit.warmup_s, "sent before that and not counted")
        ->check(CLI::NonNegativeNumber);
    transit_app->add_option("--payload-bytes", transit.payload_bytes, "size of each payload")
        ->check(CLI::Range(10, 200'000));
    transit_app->add_option("--timeout-s", transit.timeout_s,
                            "give up after so long without the edge, or what was sent");
    transit_app->add_flag("--json", transit.as_json, "end with one JSON object on stdout");

    CLI11_PARSE(app, argc, argv);
    if (*transit_app) return weir::bench::transit_command(transit);
    if (*watch_app) {
        if (watch.stalled > watch.clients) watch.stalled = watch.clients;
        return weir::bench::watch_command(watch);
    }
    if (*send_app) return weir::bench::send_command(send);
    if (*edges_app) return weir::bench::edges_command(edges);
    if (*chart_app) return weir::bench::chart_command(chart);
    if (*load_app) return weir::bench::load_command(load);
    return 2;
}
