#!/usr/bin/env python3
"""What TLS costs, or encryption at rest: the same load through one edge to central, plain and with it in turn, in one run. Time of the
processor, not of the clock, so that a busy machine disturbs it less: per event at the producer, at the edge (from its producer, and to
central) and at central; and with perf where that time goes, from one more run of each.

  scripts/bench-tls [--events N] [--rounds N] [--payload-bytes N] [--io auto|uring|epoll] [--at-rest] [--no-profile]
"""
import argparse
import contextlib
import pathlib
import resource
import subprocess
import sys
import tempfile

from cluster import BIN, Cluster
from proc_threads import cpu_seconds
from sampled import Profile


NAMES = ("producer", "edge", "central")


def cluster_of(is_with, args, key_dir):
    if not args.at_rest:
        return Cluster(["north"], io=args.io, is_tls=is_with)
    table = f'\n[at_rest]\nkey_dir = "{key_dir}"\nkey = {1 if is_with else 0}\n'
    return Cluster(["north"], io=args.io, edge_extra=table, central_extra=table)


def run(is_with, args, key_dir, shares=None):
    """Seconds of the processor: producer, edge, central. `shares`: filled with where it went, by the same names."""
    with cluster_of(is_with, args, key_dir) as cluster:
        daemons = [cluster.edges[0], cluster.central]

        def send(events):
            command = [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", str(events), "--rate",
                       "max", "--payload-bytes", str(args.payload_bytes), "--ack", "delivered", "--json", *cluster.sender_tls()]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            cluster.senders.append(process)
            cluster.finish([process])

        send(args.events // 10)
        pids = [daemon.process.pid for daemon in daemons]
        before = [cpu_seconds(daemon.process.pid) for daemon in daemons]
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        with Profile(pids, cluster.directory / "perf.data") if shares is not None else contextlib.nullcontext() as profile:
            send(args.events)
            cluster.wait_until_delivered()
            now = resource.getrusage(resource.RUSAGE_CHILDREN)
            spent = [now.ru_utime + now.ru_stime - children.ru_utime - children.ru_stime]
            spent += [cpu_seconds(daemon.process.pid) - was for daemon, was in zip(daemons, before)]
        if profile:
            shares.update({name: profile.shares[pid] for name, pid in zip(NAMES[1:], pids)})
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
    args.add_argument("--at-rest", action="store_true")
    args.add_argument("--no-profile", action="store_true")
    args = args.parse_args()
    with tempfile.TemporaryDirectory(prefix="weir-keys-") as key_dir:
        key = pathlib.Path(key_dir) / "1.key"
        key.write_text("5a" * 32)
        key.chmod(0o600)
        compare(args, "at rest" if args.at_rest else "TLS", key_dir)
    return 0


def compare(args, name_of_it, key_dir):
    best = {}
    for number in range(args.rounds):
        for is_with in (False, True):
            spent = run(is_with, args, key_dir)
            print(f"  round {number + 1} {name_of_it if is_with else 'plain':<7}: "
                  + ", ".join(f"{name} {seconds:6.2f} s" for name, seconds in zip(NAMES, spent)) + " of the processor", flush=True)
            best[is_with] = [min(pair) for pair in zip(spent, best.get(is_with, spent))]
    print(f"{args.events} events of {args.payload_bytes} bytes payload, the least of {args.rounds} rounds:")
    for index, name in enumerate(NAMES):
        plain, dear = (best[is_with][index] / args.events * 1e9 for is_with in (False, True))
        print(f"  {name:<8} plain {plain:7.0f} ns an event, {name_of_it} {dear:7.0f}: {dear - plain:+.0f} ns, x {dear / max(plain, 1):.2f}")
    if args.no_profile:
        return
    if not Profile.is_possible():
        print("  where it goes: not known here, the package linux-perf is missing")
        return
    where = {}
    for is_with in (False, True):
        where[is_with] = {}
        run(is_with, args, key_dir, where[is_with])
    print("where it goes, ns an event (samples of one more run of each, scaled to the figures above):")
    for index, name in enumerate(NAMES[1:], start=1):
        print_where(name, {is_with: {kind: share * best[is_with][index] / args.events * 1e9 for kind, share in where[is_with][name].items()}
                           for is_with in (False, True)}, name_of_it)


def print_where(name, ns, name_of_it):
    print(f"  {name:<24}{'plain':>8}{name_of_it:>9}{'more':>8}")
    for kind in sorted(set(ns[False]) | set(ns[True]), key=lambda kind: ns[False].get(kind, 0) - ns[True].get(kind, 0)):
        plain, dear = (ns[is_with].get(kind, 0) for is_with in (False, True))
        print(f"    {kind:<22}{plain:8.0f}{dear:9.0f}{dear - plain:+8.0f}")


if __name__ == "__main__":
    sys.exit(main())
