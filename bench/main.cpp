// weir-bench: sends real events (send) or makes load (load) and measures from outside what an edge promises; or is many edges
// itself (edges), and measures what central does.
#include <CLI/CLI.hpp>
#include <csignal>
#include <map>

#include "bench/commands.hpp"

namespace {

const std::map<std::string, weir::wire::AckLevel> levels = {{"received", weir::wire::AckLevel::received},
                                                            {"spooled", weir::wire::AckLevel::spooled},
                                                            {"delivered", weir::wire::AckLevel::delivered}};

}  // namespace

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
        ->transform(CLI::CheckedTransformer(levels, CLI::ignore_case));
    send_app->add_option("--rate", send.rate, "events per second (default: as fast as it goes)");
    send_app->add_option("--producer", send.producer,
                         "name this producer and number its events: retries are recognised for ever");
    send_app->add_flag("--now", send.is_now, "events happen when they are sent, whatever time the file says");
    send_app->add_option("--timeout-s", send.timeout_s,
                         "give up after so many seconds without an ack (default: never)");
    auto* send_ca = send_app->add_option("--ca", send.ca_file, "CAs (PEM) of the edge's certificate");
    send_app->add_flag("--tls", is_tls, "speak TLS 1.3")->needs(send_ca);
    send_ca->needs(send_app->get_option("--tls"));
    send_app->add_flag("--json", send.as_json, "end with one JSON object on stdout");

    weir::bench::LoadOptions load;
    std::string rate = "max";
    CLI::App* load_app = app.add_subcommand("load", "make events at a rate (open loop) or flat out");
    load_app->add_option("--to", load.to, "HOST:PORT or unix:PATH of an edge")->required();
    load_app->add_option("--events", load.events, "how many to measure")->required()->check(CLI::PositiveNumber);
    load_app->add_option("--rate", rate, "events per second, or max")->required();
    load_app->add_option("--payload-bytes", load.payload_bytes, "size of each payload")
        ->required()
        ->check(CLI::Range(10, 200'000));
    load_app->add_option("--source", load.source, "source of each event, by which a route may know them")
        ->check([](const std::string& text) {
            return text.empty() || text.size() > 256 ? std::string("1 to 256 bytes") : std::string();
        });
    load_app->add_option("--keys", load.keys, "so many keys, drawn evenly, and an amount in each payload")
        ->check(CLI::Range(1, 1'000'000));
    load_app->add_option("--ack", load.level, "received, spooled or delivered")
        ->transform(CLI::CheckedTransformer(levels, CLI::ignore_case));
    load_app->add_option("--warmup-events", load.warmup_events, "so many more, sent first and not measured");
    load_app->add_option("--timeout-s", load.timeout_s,
                         "give up after so many seconds without an ack (default: never)");
    auto* load_ca = load_app->add_option("--ca", load.ca_file, "CAs (PEM) of the edge's certificate");
    load_app->add_flag("--tls", is_tls, "speak TLS 1.3")->needs(load_ca);
    load_ca->needs(load_app->get_option("--tls"));
    load_app->add_flag("--json", load.as_json, "end with one JSON object on stdout");

    weir::bench::EdgesOptions edges;
    CLI::App* edges_app =
        app.add_subcommand("edges", "be many edges that come to a central at once with what they hold");
    edges_app->add_option("--to", edges.to, "HOST:PORT of a central")->required();
    edges_app->add_option("--count", edges.count, "edges")->required()->check(CLI::Range(1, 60'000));
    edges_app->add_option("--batches", edges.batches, "batches of each edge")->check(CLI::PositiveNumber);
    edges_app->add_option("--events", edges.events, "events of each batch")->check(CLI::Range(1, 4096));
    edges_app->add_option("--payload-bytes", edges.payload_bytes, "size of each payload")
        ->check(CLI::Range(10, 200'000));
    edges_app->add_option("--prefix", edges.prefix, "of the edges' ids: [a-z0-9-]");
    edges_app->add_option("--pid", edges.pid, "of central: its largest resident memory is printed");
    edges_app->add_option("--timeout-s", edges.timeout_s, "give up after so many seconds without an ack");
    edges_app->add_flag("--json", edges.as_json, "end with one JSON object on stdout");

    CLI11_PARSE(app, argc, argv);
    if (*send_app) return weir::bench::send_command(send);
    if (*edges_app) return weir::bench::edges_command(edges);
    if (rate != "max") {
        char* end = nullptr;
        load.rate = std::strtoull(rate.c_str(), &end, 10);
        if (*end != '\0' || load.rate == 0) {
            std::fprintf(stderr, "load: --rate %s: must be max or events per second\n", rate.c_str());
            return 2;
        }
    }
    return weir::bench::load_command(load);
}
