#!/usr/bin/env python3
"""What the pinned threads ask of the kernel beside their input and output while load passes, counted: page faults, memory calls (mmap, munmap,
mremap, brk, madvise) and futex calls, which a lock makes when it has to wait. In steady state there are none. Memory of both daemons,
before and after, besides.

  scripts/steady [--seconds N] [--rate N|max] [--payload-bytes N] [--io auto|uring|epoll] [--spoil]

Page faults are the kernel's count of each thread; calls are those that strace sees (without it: said, and not counted). --spoil takes a
thread that is not pinned for one: it must fail. Exit 1: something was counted.
"""
import argparse
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from cluster import BIN, Cluster

PINNED = {"intake", "spool", "ingest"}
CALLS = "futex,mmap,munmap,mremap,brk,madvise"


def threads(process, is_wanted):
    found = {}
    for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if is_wanted(name):
            found[int(task.name)] = name
    return found


def faults(pid, tid):
    fields = pathlib.Path(f"/proc/{pid}/task/{tid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[7]) + int(fields[9])  # minor, major


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))


class CallCount:
    """strace beside one thread; its summary, by call."""

    def __init__(self, tid, out):
        self.out = out
        self.process = subprocess.Popen(["strace", "-c", "-e", f"trace={CALLS}", "-p", str(tid), "-o", str(out)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(10)
        calls = {}
        for line in self.out.read_text().splitlines():
            words = line.split()
            if len(words) >= 5 and words[-1] in CALLS.split(","):
                calls[words[-1]] = int(words[3])
        return calls


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--warmup-seconds", type=float, default=3)
    arguments.add_argument("--rate", default="max")
    arguments.add_argument("--payload-bytes", type=int, default=100)
    arguments.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    arguments.add_argument("--spoil", action="store_true")
    args = arguments.parse_args()
    with Cluster(["north"], io=args.io) as cluster:
        daemons = [cluster.edges[0], cluster.central]
        load = subprocess.Popen(
            [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", str(10**12), "--rate", args.rate,
             "--payload-bytes", str(args.payload_bytes), "--ack", "delivered"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        cluster.senders.append(load)
        time.sleep(args.warmup_seconds)
        watched = []
        for daemon in daemons:
            is_wanted = (lambda name: name not in PINNED) if args.spoil else (lambda name: name in PINNED)
            watched += [(daemon, tid, name) for tid, name in threads(daemon.process, is_wanted).items()]
        if not args.spoil and {name for _, _, name in watched} != PINNED:
            raise RuntimeError(f"the pinned threads are not {PINNED}: {watched}")
        rss = [rss_kib(daemon.process.pid) for daemon in daemons]
        accepted = daemons[0].ledger()["accepted"]
        before = {tid: faults(daemon.process.pid, tid) for daemon, tid, _ in watched}
        time.sleep(args.seconds)
        after = {tid: faults(daemon.process.pid, tid) for daemon, tid, _ in watched}
        accepted = daemons[0].ledger()["accepted"] - accepted
        grown = [rss_kib(daemon.process.pid) - was for daemon, was in zip(daemons, rss)]
        calls = {}
        if shutil.which("strace"):
            counts = {tid: CallCount(tid, cluster.directory / f"calls-{tid}") for _, tid, _ in watched}
            time.sleep(min(args.seconds, 3))
            calls = {tid: count.end() for tid, count in counts.items()}
        else:
            print("steady: strace is not installed: calls are not counted")
        if load.poll() is not None:
            raise RuntimeError("the load has ended")
    counted = 0
    print(f"{accepted} events in {args.seconds:g} s; memory grew by {grown[0]} KiB at the edge, {grown[1]} KiB at central")
    for _, tid, name in watched:
        page_faults = after[tid] - before[tid]
        counted += page_faults + sum(calls.get(tid, {}).values())
        print(f"  {name:<16} page faults {page_faults:>5}   calls {calls.get(tid, {}) or 'none'}")
    print("steady: nothing was counted" if counted == 0 else f"steady: {counted} counted")
    return 1 if counted else 0


if __name__ == "__main__":
    sys.exit(main())
