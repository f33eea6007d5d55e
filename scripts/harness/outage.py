#!/usr/bin/env python3
"""Takes central away for a while under load, gives it back, and looks at who notices.

  scripts/chaos/outage [--minutes 10] [--rate 50000] [--measure-s 20] [--slice-s 2] [--queue-us US] [--io auto|uring|epoll]

Two lanes: "calls" (live_first) under the full rate and "meters" (in_order) under a hundredth of it. In one run:
  calm      both lanes with central there, in slices as the drain's: the median of their p99s of the time to central's ack; once
            more when the backlog is gone, as a machine is not the same from one minute to the next
  outage    central is killed; the load goes on for --minutes and must be acked as spooled
  drain     central is back: the same load beside the backlog, until that is gone; the median of the slices' live p99s
            may be twice that of the calm slices
  held      central grants "meters" nothing: its events wait, the p99 of "calls" must not notice (half more and 2 ms are noise)
At the end the ledger closes, both journals verify, and the audit accounts for every event. Exit 0 only then.
"""
import argparse
import json
import subprocess
import sys
import time
import urllib.request

from cluster import BIN, Cluster

LANES = """[spool]
bytes_max = 34359738368
[[lanes]]
name = "calls"
drain = "live_first"
[[lanes]]
name = "meters"
[[routes]]
lane = "calls"
sources = ["calls"]
[[routes]]
lane = "meters"
sources = ["meters"]
"""
SHARE = 100  # of the events, one in so many is for "meters"
LIVE_RATIO_MAX = 2.0
NOISE_RATIO_MAX, NOISE_US = 1.5, 2000


class Run:
    def __init__(self, cluster, args):
        self.cluster, self.args, self.edge = cluster, args, cluster.edges[0]
        self.offered = 0

    def load(self, source, rate, seconds, ack):
        events = int(rate * seconds)
        self.offered += events
        sender = subprocess.Popen(
            [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{self.cluster.producer_ports[0]}", "--events", str(events), "--rate",
             str(rate), "--payload-bytes", "30", "--ack", ack, "--source", source, "--json"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.cluster.senders.append(sender)
        return sender

    def both(self, seconds, calls_ack="delivered", meters_ack="delivered"):
        """The full load on both lanes; their latencies in us."""
        senders = [self.load("calls", self.args.rate, seconds, calls_ack),
                   self.load("meters", max(1, self.args.rate // SHARE), seconds, meters_ack)]
        return [report["latency_us"] for report in self.cluster.finish(senders, seconds_max=seconds + 600)]

    def calm(self):
        """The p99 of "calls" in each of a number of slices."""
        return [self.both(self.args.slice_s)[0]["p99"] for _ in range(max(3, round(self.args.measure_s / self.args.slice_s)))]

    def held(self, lane=None, part=None):
        return sum(row["held"] for row in self.edge.ledger()["lanes"]
                   if (lane is None or row["lane"] == lane) and (part is None or row.get("part") == part))

    def wait_until_live(self):
        """Until new events of "calls" go to its live part again: it went to the backlog and came back."""
        give_up = time.monotonic() + 60
        while self.edge.metric("weir_edge_part_changes_total") % 2 == 1 or self.held("calls", "live") > 0:
            if time.monotonic() > give_up:
                raise RuntimeError("the live part did not come back within 60 s")
            time.sleep(0.05)

    def hold(self, is_held):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.cluster.central.admin_port}/api/v1/lanes/meters/{'hold' if is_held else 'release'}", method="POST")
        with urllib.request.urlopen(request, timeout=5):
            pass


def median(values):
    return sorted(values)[len(values) // 2]


def ms(value):
    return f"{value / 1000:.2f} ms"


def drain(run):
    """Slices of load while the backlog drains; the p99 of each slice that ended before the backlog did."""
    slices = []
    began = time.monotonic()
    while run.held("calls", "backlog") > 0:
        calls, _ = run.both(run.args.slice_s)
        left = run.held("calls", "backlog")
        print(f"  drain: {time.monotonic() - began:6.1f} s, backlog {left}, live p50 {ms(calls['p50'])} p99 {ms(calls['p99'])}", flush=True)
        if left > 0 or not slices:
            slices.append(calls["p99"])
        if time.monotonic() - began > 3600:
            raise RuntimeError("the backlog does not drain")
    return slices, time.monotonic() - began


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--minutes", type=float, default=10)
    args.add_argument("--rate", type=int, default=50_000)
    args.add_argument("--measure-s", type=float, default=20)
    args.add_argument("--queue-us", type=int, help="uplink.catch_up_queue_us; 0: what is read back is not held to a short queue")
    args.add_argument("--slice-s", type=float, default=2, help="length of one measurement while the backlog drains")
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args = args.parse_args()
    cluster = Cluster(["north"], io=args.io, edge_extra=LANES)
    if args.queue_us is not None:
        config = cluster.edges[0].config
        config.write_text(config.read_text().replace("[uplink]\n", f"[uplink]\ncatch_up_queue_us = {args.queue_us}\n"))
    with cluster:
        run = Run(cluster, args)
        run.both(2)  # what a first start makes slow is no part of it
        calm = run.calm()

        cluster.central.kill()
        time.sleep(2)  # the live part turns to the backlog
        out_calls, _ = run.both(args.minutes * 60, "spooled", "spooled")
        backlog = run.held()
        print(f"outage: {args.minutes * 60:.0f} s at {args.rate} events/s, spooled p99 {ms(out_calls['p99'])}; {backlog} events held", flush=True)
        cluster.central.start()
        run.wait_until_live()
        slices, seconds = drain(run)
        if not slices:
            raise RuntimeError("the backlog was gone before anything could be measured: a longer --minutes")
        run.both(2)
        after = run.calm()
        ratio = median(slices) / median(calm + after)
        print(f"drain: {seconds:.1f} s; live p99, medians of slices: calm {ms(median(calm))} before and {ms(median(after))} after, "
              f"{ms(median(slices))} beside the backlog (worst {ms(max(slices))}, {len(slices)} slices): ratio {ratio:.2f}", flush=True)

        before_calls, _ = run.both(args.measure_s)
        run.hold(True)
        time.sleep(0.5)
        held_calls, _ = run.both(args.measure_s, meters_ack="spooled")
        waiting = run.held("meters")
        run.hold(False)
        cluster.wait_until_delivered()
        print(f"held: {waiting} events of \"meters\" waited; p99 of \"calls\" {ms(before_calls['p99'])} before, {ms(held_calls['p99'])} meanwhile", flush=True)

        ledger = run.edge.ledger()
        print(f"ledger: offered {ledger['offered']}, delivered {ledger['delivered']}, held {ledger['held']}, residue {ledger['residue']}")
        if ledger["offered"] != run.offered or ledger["delivered"] != run.offered or ledger["residue"] != 0:
            raise RuntimeError(f"expected {run.offered} delivered: {json.dumps(ledger)}")
        cluster.verify_journals()
        cluster.audit()
        if waiting == 0:
            raise RuntimeError("nothing waited in the lane that was held")
        if ratio > LIVE_RATIO_MAX:
            raise RuntimeError(f"the live p99 beside the backlog is {ratio:.2f} times the calm one")
        if held_calls["p99"] > NOISE_RATIO_MAX * before_calls["p99"] + NOISE_US:
            raise RuntimeError("the held lane harmed the other one")
    print("outage: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
