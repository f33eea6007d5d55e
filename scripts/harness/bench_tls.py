#!/usr/bin/env python3
"""What TLS costs: the same load through one edge to central, plain and over TLS in turn, in one run. Time of the processor, not of the
clock, so that a busy machine disturbs it less: per event at the edge (from its producer, and to central) and at central.

  scripts/bench-tls [--events N] [--rounds N] [--payload-bytes N] [--io auto|uring|epoll]
"""
import argparse
import pathlib
import subprocess
import sys

from cluster import BIN, Cluster


def cpu_seconds(process):
    """Of all its threads; nanoseconds, where /proc/PID/stat counts in hundredths."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def run(is_tls, args):
    with Cluster(["north"], io=args.io, is_tls=is_tls) as cluster:
        daemons = [cluster.edges[0], cluster.central]

        def send(events):
            command = [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", str(events), "--rate",
                       "max", "--payload-bytes", str(args.payload_bytes), "--ack", "delivered", "--json", *cluster.sender_tls()]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            cluster.senders.append(process)
            cluster.finish([process])

        send(args.events // 10)
        before = [cpu_seconds(daemon.process) for daemon in daemons]
        send(args.events)
        cluster.wait_until_delivered()
        spent = [cpu_seconds(daemon.process) - was for daemon, was in zip(daemons, before)]
        if cluster.edges[0].ledger()["residue"] != 0:
            raise RuntimeError("the ledger does not close")
        for daemon in daemons:
            daemon.stop()
        return spent


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--events", type=int, default=1_000_000)
    args.add_argument("--rounds", type=int, default=3)
    args.add_argument("--payload-bytes", type=int, default=100)
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args = args.parse_args()
    best = {}
    for number in range(args.rounds):
        for is_tls in (False, True):
            spent = run(is_tls, args)
            print(f"  round {number + 1} {'TLS  ' if is_tls else 'plain'}: edge {spent[0]:6.2f} s, central {spent[1]:6.2f} s of the processor",
                  flush=True)
            best[is_tls] = [min(pair) for pair in zip(spent, best.get(is_tls, spent))]
    print(f"{args.events} events of {args.payload_bytes} bytes payload, the least of {args.rounds} rounds:")
    for index, name in enumerate(("edge", "central")):
        plain, tls = (best[is_tls][index] / args.events * 1e9 for is_tls in (False, True))
        print(f"  {name:<8} plain {plain:7.0f} ns an event, TLS {tls:7.0f}: {tls - plain:+.0f} ns, x {tls / max(plain, 1):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
