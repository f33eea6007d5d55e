#!/usr/bin/env python3
"""Changes an edge's rules and routes by SIGHUP again and again while events flow, and compares the latency with the same load
without, in alternating rounds of the same length on the same daemons. Every event must be at central once, whatever rules it met; a
broken file must change nothing and say where it is broken.

Each side's figure is the median of its rounds; what one side's rounds differ among themselves is the noise, and is printed too.
--p999-ratio-max makes the comparison a verdict; without it only the account is judged, for on a busy machine a round is luck.

  scripts/chaos/reload [--reloads N] [--rounds N] [--events N] [--rate N] [--p999-ratio-max R] [--io auto|uring|epoll]
"""
import argparse
import json
import signal
import statistics
import subprocess
import sys
import time

from cluster import BIN, Cluster, wait_for

LANE = '[[lanes]]\nname = "urgent"\n'
RULES = [
    LANE + '[[routes]]\nlane = "urgent"\nwhen = \'priority >= 2 || key == "a"\'\n',
    LANE + "[[rules]]\nwhen = 'type like \"load*\"'\nmust = 'len(id) > 0'\n",
]
BROKEN = LANE + "[[rules]]\nmust = 'type == 5'\n"
POLL_S = 0.002  # a reload takes some milliseconds


def load(cluster, args):
    command = [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", str(args.events),
               "--rate", str(args.rate), "--payload-bytes", "100", "--ack", "spooled", "--json"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    cluster.senders.append(process)
    return process


def reload_under(cluster, args, texts, count, sender):
    """Takes so many configurations, spread over the load's time; how many of them it took while events flowed."""
    edge = cluster.edges[0]
    taken = int(edge.metric("weir_edge_reloads_total"))
    begin, interval = time.monotonic(), args.events / args.rate / (count + 1)
    under_load = 0
    for number in range(1, count + 1):
        time.sleep(max(0.0, begin + number * interval - time.monotonic()))
        edge.config.write_text(texts[(taken + number) % 2])
        edge.process.send_signal(signal.SIGHUP)
        wait_for(f"reload {number}", lambda n=number: edge.metric("weir_edge_reloads_total") == taken + n, poll_s=POLL_S)
        under_load += sender.poll() is None
    return under_load


def refuse_a_broken_file(edge, taken):
    good = edge.config.read_text()
    edge.config.write_text(good.replace(RULES[taken % 2], BROKEN))
    edge.process.send_signal(signal.SIGHUP)
    wait_for("the broken file is refused", lambda: edge.metric("weir_edge_reloads_refused_total") == 1)
    if edge.metric("weir_edge_reloads_total") != taken:
        raise RuntimeError("a broken file was taken")
    wait_for("the log says where", lambda: "rules[0].must: at 1:6: " in edge.log.read_text())


def print_latency(calm, stirred):
    """The ratio of the p99.9s."""
    for name in ("p50", "p99", "p999", "max"):
        sides = [[each[name] / 1000 for each in side] for side in (calm, stirred)]
        medians = [statistics.median(side) for side in sides]
        print(f"  {name:>5}: {medians[0]:8.2f} ms without reloads (rounds {min(sides[0]):.2f} to {max(sides[0]):.2f}), "
              f"{medians[1]:8.2f} ms with them ({min(sides[1]):.2f} to {max(sides[1]):.2f}), ratio {medians[1] / medians[0]:.2f}")
    return statistics.median(e["p999"] for e in stirred) / statistics.median(e["p999"] for e in calm)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--reloads", type=int, default=1000)
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--events", type=int, default=200_000, help="of each run")
    args.add_argument("--rate", type=int, default=20_000)
    args.add_argument("--p999-ratio-max", type=float)
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args = args.parse_args()
    per_round = -(-args.reloads // args.rounds)
    reloads = per_round * args.rounds
    calm, stirred, under_load = [], [], 0
    with Cluster(["north"], io=args.io, edge_extra=RULES[0]) as cluster:
        edge = cluster.edges[0]
        texts = [edge.config.read_text().replace(RULES[0], rules) for rules in RULES]
        for _ in range(args.rounds):
            calm.append(cluster.finish([load(cluster, args)])[0]["latency_us"])
            sender = load(cluster, args)
            under_load += reload_under(cluster, args, texts, per_round, sender)
            stirred.append(cluster.finish([sender])[0]["latency_us"])
        refuse_a_broken_file(edge, reloads)
        cluster.finish([load(cluster, argparse.Namespace(events=1000, rate=args.rate))])

        cluster.wait_until_delivered()
        ledger = edge.ledger()
        expected = 2 * args.rounds * args.events + 1000
        print(f"reload: {reloads} configurations taken, {under_load} of them while events flowed, 1 broken one refused; "
              f"offered {ledger['offered']}, delivered {ledger['delivered']}, dead letters {ledger['dead_lettered']}, "
              f"residue {ledger['residue']}")
        ratio = print_latency(calm, stirred)
        if ledger["delivered"] != expected or ledger["residue"] != 0 or ledger["dead_lettered"] != 0:
            raise RuntimeError(f"expected {expected} delivered: {json.dumps(ledger)}")
        cluster.verify_journals()
        cluster.audit()
    if args.p999_ratio_max is not None and ratio > args.p999_ratio_max:
        print(f"reload: FAIL: the p99.9 is {ratio:.2f} times that without reloads, more than {args.p999_ratio_max:g}")
        return 1
    print("reload: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
