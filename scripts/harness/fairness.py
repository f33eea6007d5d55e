#!/usr/bin/env python3
"""Two producers on one edge, one slow and paced, one that floods: is the slow one's p99 to the spooled ack harmed by the other one?

Rounds alternate: the slow producer alone, then the same beside the flood, on the same edge and central; each side's p99 is the
median of its rounds. Exit 1 where the ratio is above 2.

What is measured is all that lies between the slow producer's schedule and its ack: its own wake-ups too. Flooder and central are other
machines in the field; here they share the edge's cores, so they run at the lowest priority (nice 19) and take what it leaves. The edge's
own work for the flood is not niced. --central-nice 0 measures a machine that is edge and central at once.

  scripts/chaos/fairness [--rounds N] [--seconds N] [--slow-rate N] [--flood-rate N|max] [--ack LEVEL] [--ratio-max R]
                         [--central-nice N] [--io auto|uring|epoll]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from cluster import BIN, Cluster

FLOOD_EVENTS = 1_000_000_000  # never all sent: it is ended with its round
SETTLE_S = 0.5


def load(cluster, events, rate, ack, is_flood):
    command = [*(["nice", "-n", "19"] if is_flood else []), BIN / "weir-bench", "load", "--to",
               f"127.0.0.1:{cluster.producer_ports[0]}", "--events", str(events), "--rate", str(rate), "--payload-bytes", "100",
               "--ack", ack, "--json"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    cluster.senders.append(process)
    return process


def slow_run(cluster, args):
    return cluster.finish([load(cluster, args.seconds * args.slow_rate, args.slow_rate, args.ack, False)])[0]["latency_us"]


def flooded_run(cluster, args):
    flooder = load(cluster, FLOOD_EVENTS, args.flood_rate, args.ack, True)
    try:
        time.sleep(SETTLE_S)
        before, begin = cluster.edges[0].ledger()["accepted"], time.monotonic()
        latency = slow_run(cluster, args)
        rate = (cluster.edges[0].ledger()["accepted"] - before) / (time.monotonic() - begin)
        if flooder.poll() is not None:
            raise RuntimeError(f"the flood ended: {flooder.communicate()}")
    finally:
        flooder.kill()
        flooder.wait()
        cluster.senders.remove(flooder)
    cluster.wait_until_delivered()
    return latency, rate


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--seconds", type=int, default=5)
    args.add_argument("--slow-rate", type=int, default=500)
    args.add_argument("--flood-rate", default="max")
    args.add_argument("--ack", default="spooled", choices=("received", "spooled", "delivered"))
    args.add_argument("--ratio-max", type=float, default=2.0)
    args.add_argument("--central-nice", type=int, default=19, choices=range(20), metavar="N")
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args = args.parse_args()
    alone, flooded, rates = [], [], []
    with Cluster(["north"], io=args.io) as cluster:
        cluster.central.renice(args.central_nice)
        slow_run(cluster, args)  # warm
        for number in range(1, args.rounds + 1):
            alone.append(slow_run(cluster, args))
            latency, rate = flooded_run(cluster, args)
            flooded.append(latency)
            rates.append(rate)
            print(f"  round {number}: p99 {alone[-1]['p99'] / 1000:8.2f} ms alone, {latency['p99'] / 1000:8.2f} ms beside "
                  f"{rate:,.0f} events/s", flush=True)
        ledger = cluster.edges[0].ledger()
        cluster.audit()
    for name in ("p50", "p90", "p99", "max"):
        one, other = (statistics.median(each[name] for each in side) / 1000 for side in (alone, flooded))
        print(f"  {name:>5}: {one:10.2f} ms alone, {other:10.2f} ms beside the flood, ratio {other / one:.2f}")
        if name == "p99":
            ratio = other / one
    if ledger["residue"] != 0 or ledger["held"] != 0:
        raise RuntimeError(f"the ledger does not close: {json.dumps(ledger)}")
    verdict = "PASS" if ratio <= args.ratio_max else "FAIL"
    print(f"fairness: {verdict}: the slow producer's p99 is {ratio:.2f} times that of the run without the flood "
          f"(at most {args.ratio_max:g}); flood {statistics.median(rates):,.0f} events/s; residue 0")
    return 0 if verdict == "PASS" else 1


if __name__ == "__main__":
    sys.exit(main())
