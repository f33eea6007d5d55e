#!/usr/bin/env python3
"""Two producers on one edge, one slow and paced, one that floods: is the slow one's p99 to the spooled ack harmed by the other one?

Each round, on a fresh edge and central, measures the slow producer three times: alone; beside a flood that goes to another edge of
this machine, which says what the machine costs it once its cores and its disk are busy; and beside the same flood on its own edge.
Each side's p99 is the median of its rounds. Exit 1 where beside the flood it is above twice that of the run alone.

In the field all but the edge are other machines. Here they share its cores and its disk, so they are kept out of its way, in all
three runs alike: flooder and central get what the edge leaves of the cores (SCHED_IDLE; at nice 19 the kernel lets each finish its slice
of milliseconds before a thread that woke), central's disk is memory where that has room, and the slow producer does not wait for a
core before it sends or reads (SCHED_FIFO, where that is allowed), or its own wait would count as the edge's. Nothing of the edge is
changed: its work for the flood and the disk under its spool are in every figure. --one-machine leaves all as it is.

The flood sends as fast as it gets credit, and the edge gives a connection credit for --producer-rate events a second
(listen.rate_events_max): that is how an operator keeps one producer from taking all there is. --producer-rate 0 is the edge as it
comes: the flood then takes the whole disk and both cores, and the slow producer gets its share of events, but waits as all do.

  scripts/chaos/fairness [--rounds N] [--seconds N] [--slow-rate N] [--flood-rate N|max] [--producer-rate N] [--ack LEVEL]
                         [--ratio-max R] [--one-machine] [--no-neighbour] [--io auto|uring|epoll]
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import proc_threads
from cluster import BIN, Cluster

FLOOD_EVENTS = 1_000_000_000  # never all sent: it is ended with its round
FLOOD_BYTES_PER_S = 800 << 20  # what central may come to hold
SETTLE_S = 0.5
WARM_EVENTS = 500
MEMORY = pathlib.Path("/dev/shm")
OTHER_MACHINE = ["chrt", "--idle", "0"]
UNHURRIED = ["chrt", "--fifo", "1"]


def is_allowed(prefix):
    try:
        return subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


class Field:
    """What stands for the other machines, and how."""

    def __init__(self, args):
        seconds = (args.seconds + SETTLE_S) * (1 if args.no_neighbour else 2)
        self.others = [] if args.one_machine else OTHER_MACHINE
        self.slow = UNHURRIED if not args.one_machine and is_allowed(UNHURRIED) else []
        self.memory = None
        if not args.one_machine and MEMORY.is_dir() and 2 * seconds * FLOOD_BYTES_PER_S < free_memory_bytes():
            self.memory = MEMORY

    def said(self):
        if not self.others:
            return "edge, central and both producers share this machine"
        disk = "memory" if self.memory else "the edge's (too little memory)"
        slow = "before all others" if self.slow else "as the edge (more is not allowed here)"
        return f"flooder and central run on what the edge leaves; central's disk is {disk}; the slow producer runs {slow}"


def free_memory_bytes():
    kib = next(line.split()[1] for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return min(int(kib) << 10, shutil.disk_usage(MEMORY).free)


class Round:
    """A cluster whose first edge is the slow producer's; the second one is its neighbour on this machine."""

    def __init__(self, args, field):
        self.args, self.field = args, field
        self.cluster = Cluster(["north", "south"], io=args.io)
        for edge in self.cluster.edges:
            edge.config.write_text(edge.config.read_text().replace("[listen]\n", f"[listen]\nrate_events_max = {args.producer_rate}\n", 1))
        self.memory = None
        if field.memory:
            self.memory = pathlib.Path(tempfile.mkdtemp(prefix="weir-", dir=field.memory))
            central = self.cluster.central
            central.config.write_text(central.config.read_text().replace(str(central.data_dir), str(self.memory / "central")))
            central.data_dir = self.memory / "central"

    def __enter__(self):
        try:
            self.cluster.__enter__()
        except BaseException:
            self.remove_memory()
            raise
        if self.field.others:
            proc_threads.each(self.cluster.central.process.pid, lambda tid: os.sched_setscheduler(tid, os.SCHED_IDLE, os.sched_param(0)))
        return self

    def __exit__(self, kind, error, trace):
        try:
            self.cluster.__exit__(kind, error, trace)
        finally:
            self.remove_memory()

    def remove_memory(self):
        if self.memory:
            shutil.rmtree(self.memory, ignore_errors=True)

    def load(self, edge, events, rate, prefix):
        command = [*prefix, BIN / "weir-bench", "load", "--to", f"127.0.0.1:{self.cluster.producer_ports[edge]}", "--events", str(events),
                   "--rate", str(rate), "--payload-bytes", "100", "--ack", self.args.ack, "--json"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.cluster.senders.append(process)
        return process

    def alone(self, events=None):
        slow = self.load(0, events or self.args.seconds * self.args.slow_rate, self.args.slow_rate, self.field.slow)
        return self.cluster.finish([slow])[0]["latency_us"]

    def beside_flood(self, edge):
        """Latencies, and events per second of the flood, which goes to that edge."""
        ledger = self.cluster.edges[edge].ledger
        flooder = self.load(edge, FLOOD_EVENTS, self.args.flood_rate, self.field.others)
        try:
            time.sleep(SETTLE_S)
            before, begin = ledger()["accepted"], time.monotonic()
            latency = self.alone()
            rate = (ledger()["accepted"] - before) / (time.monotonic() - begin)
            if flooder.poll() is not None:
                raise RuntimeError(f"the flood ended: {flooder.communicate()}")
        finally:
            flooder.kill()
            flooder.wait()
            self.cluster.senders.remove(flooder)
        self.cluster.wait_until_delivered()
        return latency, rate

    def close_ledger(self):
        for edge in self.cluster.edges:
            ledger = edge.ledger()
            if ledger["residue"] != 0 or ledger["held"] != 0:
                raise RuntimeError(f"the ledger does not close: {json.dumps(ledger)}")
        self.cluster.audit()


def measure(args, field):
    """Of each side the latencies of its rounds; and the flood's rates on the slow producer's own edge."""
    sides, rates = {"alone": [], "neighbour": [], "flood": []}, []
    for number in range(1, args.rounds + 1):
        with Round(args, field) as one:
            one.alone(WARM_EVENTS)
            sides["alone"].append(one.alone())
            if not args.no_neighbour:
                sides["neighbour"].append(one.beside_flood(1)[0])
            latency, rate = one.beside_flood(0)
            sides["flood"].append(latency)
            rates.append(rate)
            one.close_ledger()
        said = ", ".join(f"{side} {runs[-1]['p99'] / 1000:.2f}" for side, runs in sides.items() if runs)
        print(f"  round {number}: p99 in ms: {said}; flood {rate:,.0f} events/s", flush=True)
    return sides, rates


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--seconds", type=int, default=5)
    args.add_argument("--slow-rate", type=int, default=500)
    args.add_argument("--flood-rate", default="max")
    args.add_argument("--producer-rate", type=int, default=100_000, help="listen.rate_events_max of the edges; 0: any rate")
    args.add_argument("--ack", default="spooled", choices=("received", "spooled", "delivered"))
    args.add_argument("--ratio-max", type=float, default=2.0)
    args.add_argument("--one-machine", action="store_true", help="nothing stands for other machines: all compete as they are")
    args.add_argument("--no-neighbour", action="store_true", help="without the runs beside a flood on another edge")
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args = args.parse_args()
    field = Field(args)
    print(f"  {field.said()}", flush=True)
    sides, rates = measure(args, field)
    medians = {side: {name: statistics.median(run[name] for run in runs) / 1000 for name in ("p50", "p90", "p99", "max")}
               for side, runs in sides.items() if runs}
    for name in ("p50", "p90", "p99", "max"):
        print(f"  {name:>5}, ms: " + ", ".join(f"{side} {values[name]:.2f}" for side, values in medians.items()))
    ratio = medians["flood"]["p99"] / medians["alone"]["p99"]
    machine = ""
    if "neighbour" in medians:
        machine = (f"; beside a flood on another edge of this machine {medians['neighbour']['p99'] / medians['alone']['p99']:.2f} times, "
                   f"so that sharing the edge costs {medians['flood']['p99'] / medians['neighbour']['p99']:.2f} times that")
    verdict = "PASS" if ratio <= args.ratio_max else "FAIL"
    print(f"fairness: {verdict}: the slow producer's p99 is {ratio:.2f} times that of the run alone (at most {args.ratio_max:g}){machine}; "
          f"flood {statistics.median(rates):,.0f} events/s; residue 0")
    return 0 if verdict == "PASS" else 1


if __name__ == "__main__":
    sys.exit(main())
