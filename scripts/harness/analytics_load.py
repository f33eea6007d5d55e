#!/usr/bin/env python3
"""How far analytics is behind its journal at a rate, what it costs, and whether its memory stays flat.

  scripts/chaos/analytics-load [--seconds N] [--rate N] [--rate-share-min S] [--lag-ms-max N] [--memory-growth-max N]
                             [--io auto|uring|epoll]

One central with three edges, a load on each, all on this machine's cores; load_definitions.py says what central computes. Each 50 ms the
places where the operators and the stored results are are compared with where the journal is: the lag is how long ago the journal ended
there. Printed: rate, lag, also the most of each second, processor time of each thread of central's and of the other processes, memory of
central by the second (anonymous, as the heap is, and of files), rows by table.
The state grows until all windows are as many as they will be: 10 minutes for the sliding ones, a day for those of a day. Memory is flat
where it does not grow by more than the state does.
PASS: every event of every load arrived; --rate-share-min of the rate (0.98) was kept; no look found the operators further behind than --lag-ms-max (1000) after the first
ten seconds; memory by byte of state was not more in the second half of the run than in the quarter before, by --memory-growth-max percent
(10).
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

import analytics
import load_definitions
import proc_threads
from cluster import BIN, Cluster, ask

LOOK_SECONDS = 0.05
SETTLE_SECONDS_MAX = 10  # a quarter of the run, if that is less
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(stat):
    """By the text of a process's or a thread's `stat`."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_seconds_of(process):
    return cpu_seconds(pathlib.Path(f"/proc/{process.pid}/stat").read_text())


def threads(pid):
    """Processor seconds of each thread, by name."""
    found = {}
    for _, (name, stat) in proc_threads.read(pid, "comm", "stat"):
        found[name.strip()] = found.get(name.strip(), 0) + cpu_seconds(stat)
    return found


def resident_mib(pid):
    """(anonymous, of files)"""
    lines = (line.split() for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    of = {words[0]: int(words[1]) / 1024 for words in lines if words[0] in ("RssAnon:", "RssFile:", "RssShmem:")}
    return of["RssAnon:"], of["RssFile:"] + of["RssShmem:"]


def metrics(central):
    """Those that are looked at; to read all of them twenty times a second is a load itself."""
    with ask(central.admin_port, "/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in
            re.findall(r"^(weir_central_(?:journal_position_bytes|analytics_[a-z_]+)) (\S+)$", text, re.MULTILINE)}


class Lag:
    """How long ago the journal ended where somebody is now."""

    def __init__(self):
        self.seen = []  # (time, where the journal ends)
        self.found = []

    def look(self, now, durable, position):
        self.seen.append((now, durable))
        behind = 0.0
        while self.seen and self.seen[0][1] <= position + 4095:  # records begin at blocks of 4096
            self.seen.pop(0)
        if self.seen:
            behind = now - self.seen[0][0]
        self.found.append((now, behind))

    def after(self, when):
        return sorted(behind for at, behind in self.found if at > when)

    def by_second(self, begun):
        """The most of each second, in ms."""
        worst = {}
        for at, behind in self.found:
            worst[int(at - begun)] = max(worst.get(int(at - begun), 0), 1000 * behind)
        return " ".join(f"{worst[second]:.0f}" for second in sorted(worst))


def watch(central, seconds):
    settle = min(SETTLE_SECONDS_MAX, seconds / 4)
    pid, lag, stored, memory = central.process.pid, Lag(), Lag(), []
    begun = time.monotonic()
    first = None
    worst_checkpoint = most_waiting = 0
    while (now := time.monotonic()) < begun + seconds:
        said = metrics(central)
        lag.look(now, said["weir_central_journal_position_bytes"], said["weir_central_analytics_position_bytes"])
        stored.look(now, said["weir_central_journal_position_bytes"], said["weir_central_analytics_rows_position_bytes"])
        most_waiting = max(most_waiting, said["weir_central_analytics_waiting_rows"])
        worst_checkpoint = max(worst_checkpoint, said["weir_central_analytics_checkpoint_seconds"])
        if len(memory) < now - begun:
            memory.append((*resident_mib(pid), said["weir_central_analytics_state_bytes"] / 2**20))
        if first is None and now > begun + settle:
            first = (now, threads(pid))
        time.sleep(max(0, now + LOOK_SECONDS - time.monotonic()))
    measured = time.monotonic() - first[0]
    used = {name: 100 * (value - first[1].get(name, 0)) / measured for name, value in threads(pid).items()}
    print(f"begun at {time.strftime('%H:%M:%S', time.gmtime(time.time() - time.monotonic() + begun))}; the most lag of the operators by "
          f"the second, ms: {lag.by_second(begun)}")
    print(f"of stored results: {stored.by_second(begun)}")
    print(f"records waited for a state at most {worst_checkpoint * 1000:.0f} ms in all; at most {most_waiting:.0f} rows waited")
    return lag.after(begun + settle), stored.after(begun + settle), used, memory


def memory_growth(memory):
    """In percent, of the most for a byte of state."""
    shares = [(anonymous + files) / state for anonymous, files, state in memory if state > 0]
    half = len(shares) // 2
    return 100 * (max(shares[half:]) / max(shares[half // 2:half]) - 1) if half > 1 else 0


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--seconds", type=int, default=150)
    args.add_argument("--rate-share-min", type=float, default=0.98)
    args.add_argument("--rate", type=int, default=100_000, help="events/s, of all edges together")
    args.add_argument("--lag-ms-max", type=float, default=1000)
    args.add_argument("--memory-growth-max", type=float, default=10, help="percent")
    args.add_argument("--io", default="auto")
    args = args.parse_args()
    names = ["north", "south", "west"]
    extra = load_definitions.text() + "[journal]\nsegment_bytes = 268435456\n"
    with Cluster(names, io=args.io, central_extra=extra) as cluster:
        rate = args.rate // len(names)
        loads = [subprocess.Popen([BIN / "weir-bench", "load", "--to", f"127.0.0.1:{port}", "--events", str(rate * args.seconds),
                                   "--rate", str(rate), "--payload-bytes", "100", "--keys", str(load_definitions.KEYS),
                                   "--source", name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                 for port, name in zip(cluster.producer_ports, names)]
        cluster.senders += loads
        beside = [*loads, *(edge.process for edge in cluster.edges)]
        before = sum(map(cpu_seconds_of, beside))
        begun = time.monotonic()
        received = cluster.central.ledger()["totals"]["received"]
        settled, stored, used, memory = watch(cluster.central, args.seconds - 5)
        elapsed = time.monotonic() - begun
        got = (cluster.central.ledger()["totals"]["received"] - received) / elapsed
        others = sum(map(cpu_seconds_of, beside)) - before
        codes = [load.wait(120) for load in loads]
        cluster.wait_until_delivered()
        analytics.catch_up(cluster.central)
        missing = len(names) * rate * args.seconds - cluster.central.ledger()["totals"]["received"]
        found = analytics.rows(cluster.central)
    growth = memory_growth(memory)
    at = lambda found, share: 1000 * found[min(len(found) - 1, int(share * len(found)))]
    print(f"rate: {got:.0f} events/s of {args.rate} asked for, {elapsed:.0f} s, on {os.cpu_count()} cores")
    for what, lags in (("the operators", settled), ("stored results", stored)):
        print(f"lag of {what}, ms: p50 {at(lags, 0.5):.0f}, p99 {at(lags, 0.99):.0f}, max {at(lags, 1):.0f}, of {len(lags)} looks")
    print("central, percent of a core: " + ", ".join(f"{name} {share:.0f}" for name, share in sorted(used.items(), key=lambda one: -one[1]) if share >= 1))
    print(f"edges and loads, percent of a core: {100 * others / elapsed:.0f}")
    for what, one in (("memory", 0), ("pages of files", 1), ("operators' state as it is stored", 2)):
        print(f"central's {what}, MiB, each 10 s: " + " ".join(f"{each[one]:.0f}" for each in memory[::10]))
    print(f"memory by byte of state, second half over the quarter before: {growth:+.0f} %")
    print(f"rows: {found}; {missing} events missing, loads ended with {codes}")
    is_good = (missing == 0 and not any(codes) and got >= args.rate_share_min * args.rate and settled[-1] * 1000 < args.lag_ms_max
               and growth < args.memory_growth_max)
    print(f"analytics-load: {'PASS' if is_good else 'FAIL'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
