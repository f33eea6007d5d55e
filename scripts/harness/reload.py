#!/usr/bin/env python3
"""Changes an edge's rules and routes by SIGHUP again and again while events flow, and compares the latency with the same load
without. Every event must be at central once, whatever rules it met; a broken file must change nothing and say where it is broken.

  scripts/chaos/reload [--reloads N] [--events N] [--rate N] [--io auto|uring|epoll]
"""
import argparse
import json
import re
import signal
import subprocess
import sys
import time
import urllib.request

from cluster import BIN, Cluster

LANE = '[[lanes]]\nname = "urgent"\n'
RULES = [
    LANE + '[[routes]]\nlane = "urgent"\nwhen = \'priority >= 2 || key == "a"\'\n',
    LANE + "[[rules]]\nwhen = 'type like \"load*\"'\nmust = 'len(id) > 0'\n",
]
BROKEN = LANE + "[[rules]]\nmust = 'type == 5'\n"
WAIT_S = 10


def metrics(edge):
    with urllib.request.urlopen(f"http://127.0.0.1:{edge.admin_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(weir_\w+)(?:\{[^}]*\})? (\S+)$", text, re.M)}


def wait_for(what, is_so):
    give_up = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > give_up:
            raise RuntimeError(f"not within {WAIT_S} s: {what}")
        time.sleep(0.002)


def load(cluster, args):
    command = [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", str(args.events),
               "--rate", str(args.rate), "--payload-bytes", "100", "--ack", "spooled", "--json"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    cluster.senders.append(process)
    return process


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--reloads", type=int, default=1000)
    args.add_argument("--events", type=int, default=600_000)
    args.add_argument("--rate", type=int, default=20_000)
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args = args.parse_args()
    with Cluster(["north"], io=args.io, edge_extra=RULES[0]) as cluster:
        edge = cluster.edges[0]
        texts = [edge.config.read_text().replace(RULES[0], rules) for rules in RULES]
        calm = cluster.finish([load(cluster, args)])[0]

        sender = load(cluster, args)
        for number in range(1, args.reloads + 1):
            edge.config.write_text(texts[number % 2])
            edge.process.send_signal(signal.SIGHUP)
            wait_for(f"reload {number}", lambda n=number: metrics(edge)["weir_edge_reloads_total"] == n)
        under_load = sender.poll() is None
        stirred = cluster.finish([sender])[0]

        edge.config.write_text(edge.config.read_text().replace(RULES[args.reloads % 2], BROKEN))
        edge.process.send_signal(signal.SIGHUP)
        wait_for("the broken file is refused", lambda: metrics(edge)["weir_edge_reloads_refused_total"] == 1)
        if metrics(edge)["weir_edge_reloads_total"] != args.reloads:
            raise RuntimeError("a broken file was taken")
        wait_for("the log says where", lambda: "rules[0].must: at 1:6: " in edge.log.read_text())
        cluster.finish([load(cluster, argparse.Namespace(events=1000, rate=args.rate))])

        cluster.wait_until_delivered()
        ledger = edge.ledger()
        expected = 2 * args.events + 1000
        print(f"reload: {args.reloads} configurations taken under load{'' if under_load else ' and after it'}, 1 broken one refused; "
              f"offered {ledger['offered']}, delivered {ledger['delivered']}, dead letters {ledger['dead_lettered']}, "
              f"residue {ledger['residue']}")
        for name in ("p50", "p99", "p999", "max"):
            print(f"  {name:>5}: {calm['latency_us'][name] / 1000:10.2f} ms without reloads, "
                  f"{stirred['latency_us'][name] / 1000:10.2f} ms with them")
        if ledger["delivered"] != expected or ledger["residue"] != 0 or ledger["dead_lettered"] != 0:
            raise RuntimeError(f"expected {expected} delivered: {json.dumps(ledger)}")
        cluster.verify_journals()
        cluster.audit()
    print("reload: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
