#!/usr/bin/env python3
"""From an event to the alert about it: the repeat-offender and fraud examples on the Philadelphia tickets of 2013.

  scripts/chaos/alert-latency [--events N] [--rate N] [--p99-ms-max N] [--io auto|uring|epoll]

central/analytics.example.toml as it ships, but for its directory, its addresses and a webhook for a sink. Two edges get the tickets in turn
at --rate, each with the moment at which it is sent as its time. The latency of an alert is from the time of the event that completed its
pattern to the moment at which the webhook has its request. Event time is complete analytics.disorder_ms (50) behind the slower edge's
latest event: that wait is in it. What the last events of all raise waits for silence to be noticed, and is left out (--rate events).
PASS: p99 below --p99-ms-max (200), and --alerts-min (100) alerts.
"""
import argparse
import datetime
import http.server
import json
import re
import sys
import threading
import time

import analytics
from cluster import ROOT, Cluster

TICKETS = ROOT.parent / "shared/data/violations/philadelphia-2013-tickets.ndjson.gz"


def definitions(port):
    """The example without what the cluster says itself, and with a webhook for its log."""
    text = (ROOT / "central/analytics.example.toml").read_text()
    text = re.sub(r'^data_dir = .*\n', "", text, flags=re.M)
    text = re.sub(r"^\[listen\]\n(\w.*\n)+", "", text, flags=re.M)
    text = re.sub(r"^\[\[sinks\]\]\n(\w.*\n)+", "", text, flags=re.M)
    return text + f'[[sinks]]\nname = "hook"\nkind = "webhook"\nurl = "http://127.0.0.1:{port}/alerts"\n'


def nanoseconds(text):
    """Of RFC 3339 with any number of decimals."""
    whole, _, rest = text.rstrip("Z").partition(".")
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc).timestamp()
    return int(seconds) * 10**9 + int((rest or "0").ljust(9, "0"))


class Hook(http.server.BaseHTTPRequestHandler):
    told = []  # (moment, alert)

    def do_POST(self):
        moment = time.time_ns()
        for alert in json.loads(self.rfile.read(int(self.headers["Content-Length"]))):
            Hook.told.append((moment, alert))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--events", type=int, default=12_000)
    args.add_argument("--rate", type=int, default=200, help="tickets/s, of both edges together")
    args.add_argument("--p99-ms-max", type=float, default=200)
    args.add_argument("--alerts-min", type=int, default=100)
    args.add_argument("--io", default="auto")
    args = args.parse_args()
    if not TICKETS.exists():
        print(f"alert-latency: skipped: {TICKETS} is not here")
        return 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Cluster(["north", "south"], io=args.io, central_extra=definitions(server.server_address[1])) as cluster:
        senders = [cluster.send(index, part, ack="spooled", rate=args.rate // 2, more=["--now"])
                   for index, part in enumerate(cluster.split_input(TICKETS, args.events))]
        cluster.finish(senders)
        ended = time.time_ns()
        cluster.wait_until_delivered()
        analytics.catch_up(cluster.central)
        time.sleep(4)  # silence is noticed, and what is open is told
        said = cluster.central.metrics()
    server.shutdown()
    last = ended - 10**9
    found = {}
    for moment, alert in Hook.told:
        happened = nanoseconds(alert["startsAt"])
        if alert["annotations"]["kind"] == "fired" and happened < last:
            found.setdefault(alert["labels"]["alertname"], []).append((moment - happened) / 1e6)
    everything = sorted(one for latencies in found.values() for one in latencies)
    for name, latencies in found.items():
        latencies.sort()
        print(f"{name}: {len(latencies)} alerts, ms: p50 {latencies[len(latencies) // 2]:.0f}, max {latencies[-1]:.0f}")
    if not everything:
        print("alert-latency: FAIL: no alert was told")
        return 1
    at = lambda share: everything[min(len(everything) - 1, int(share * len(everything)))]
    print(f"event to alert, ms: p50 {at(0.5):.0f}, p95 {at(0.95):.0f}, p99 {at(0.99):.0f}, max {everything[-1]:.0f}, of {len(everything)} alerts; "
          f"commits {said['weir_central_analytics_commits_total']:.0f}")
    is_good = at(0.99) < args.p99_ms_max and len(everything) >= args.alerts_min
    print(f"alert-latency: {'PASS' if is_good else 'FAIL'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
