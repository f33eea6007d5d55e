#!/usr/bin/env python3
"""What the pinned threads ask of the kernel and of the allocator beside their input and output while load passes, counted: page faults, memory calls
(mmap, munmap, mremap, brk, madvise), futex calls, which a lock makes when it has to wait, and allocations. In steady state there are none. And whether
both daemons' memory stays as it is. Involuntary switches and time in wait for a core are told, not judged: here more threads want to run than there are cores.

  scripts/steady [--seconds N] [--rate N|max] [--payload-bytes N] [--io auto|uring|epoll] [--spoil]

Ten minutes at full rate, unless told otherwise. Page faults and switches are the kernel's count of each thread; calls and allocations are counted by perf
in the kernel over the whole time (as root, with the package linux-perf), else calls by strace for three seconds at the end, and allocations not at all:
then that is said. What central has stored is cut out of its files again after a while, as ten minutes at full rate are more than many a disk has.
--spoil takes the threads that are not pinned for those that are: it must fail. Exit 1: something was counted, or memory grew.
"""
import argparse
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

import bench_machine as machine
import proc_threads
from cluster import BIN, Cluster

PLANS = ({"intake", "spool", "ingest"}, {"intake+spool", "ingest"})  # the edge with two runners, with one
PINNED = set.union(*PLANS)
CALLS = ("futex", "mmap", "munmap", "mremap", "brk", "madvise")
ALLOCATORS = ("malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign",
              "mi_new", "mi_new_nothrow", "mi_new_aligned")  # operator new, where mimalloc brings it; libstdc++'s calls malloc
SAMPLES = 60  # of memory and rate, over the whole time
GROWTH_SHARE_MAX, GROWTH_BYTES_MAX = 0.01, 1 << 20  # of memory, from the second fifth of the time to the last
KEPT_SEGMENTS, KEPT_SECONDS = 16, 60  # of central's journal, whatever is younger
STRACE_SECONDS = 3
CENTRAL = "[journal]\nscrub_period_s = 0\n"  # the scrubber would name what is cut out


def threads(pid, is_wanted):
    return {tid: name.strip() for tid, (name,) in proc_threads.read(pid, "comm") if is_wanted(name.strip())}


def thread_counts(pid, tid):
    """Since the thread began: page faults, involuntary switches, and seconds on a core and in wait for one."""
    task = pathlib.Path(f"/proc/{pid}/task/{tid}")
    fields = (task / "stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
    ran_ns, waited_ns, _ = map(int, (task / "schedstat").read_text().split())
    return {"faults": int(fields[7]) + int(fields[9]), "switches": int(status["nonvoluntary_ctxt_switches"]), "ran_s": ran_ns / 1e9, "waited_s": waited_ns / 1e9}


def moved_pages():
    """By the kernel, of the whole machine, to make room for long ones (compaction): who comes to a page while it is moved has a fault."""
    counts = dict(line.split() for line in pathlib.Path("/proc/vmstat").read_text().splitlines())
    return int(counts.get("pgmigrate_success", 0))


def cut_out_old(data_dir):
    """Gives back the room of central's oldest segments; nothing reads them while events come."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    punch_and_keep_size = 3
    for folder in {path.parent for path in data_dir.rglob("*.seg")}:
        for path in sorted(folder.glob("*.seg"))[:-KEPT_SEGMENTS]:
            about = path.stat()
            if about.st_blocks == 0 or time.time() - about.st_mtime < KEPT_SECONDS:
                continue
            fd = os.open(path, os.O_WRONLY)
            if libc.fallocate(fd, punch_and_keep_size, 0, about.st_size) != 0:
                raise OSError(ctypes.get_errno(), "fallocate")
            os.close(fd)


def read_perf(text):
    """What `perf stat -x ; --per-thread` wrote: by thread, what was counted at all."""
    counted = {}
    for fields in (line.split(";") for line in text.splitlines()):
        if len(fields) >= 4 and fields[1].strip().isdigit():
            names = counted.setdefault(int(fields[0].rpartition("-")[2]), {})
            if int(fields[1]):
                names[fields[3].partition(":")[2].removeprefix("sys_enter_")] = int(fields[1])
    return counted


class PerfCounts:
    """Calls and allocations of these threads, counted in the kernel: nothing is slowed down but what is counted."""

    def __init__(self, tids, out, program):
        self.out, self.group = out, f"weir_steady_{os.getpid()}"
        self.probes = self.probe(program)
        events = [f"syscalls:sys_enter_{call}" for call in CALLS] + [f"{self.group}:{name}" for name in self.probes]
        self.process = subprocess.Popen(["perf", "stat", "-x", ";", "--per-thread", "-t", ",".join(map(str, tids)), "-e", ",".join(events), "-o", out],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def is_possible():
        return os.geteuid() == 0 and shutil.which("perf") and pathlib.Path("/sys/kernel/debug/tracing/events/syscalls").exists()

    def probe(self, program):
        """The allocator's functions that there are, wherever the program has them from."""
        told = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        library = next((line.split()[2] for line in told.splitlines() if "libmimalloc" in line or "libjemalloc" in line),
                       next((line.split()[2] for line in told.splitlines() if "libc.so" in line), None))
        made = []
        for name in ALLOCATORS:
            done = subprocess.run(["perf", "probe", "-q", "-x", library, "--add", f"{self.group}:{name}={name}"], capture_output=True, check=False)
            if done.returncode == 0:
                made.append(name)
        return made

    def end(self):
        self.process.send_signal(signal.SIGINT)
        _, fault = self.process.communicate(timeout=20)
        counted = read_perf(self.out.read_text())
        if not counted:
            raise RuntimeError(f"perf counted nothing: {fault}")
        return counted

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for name in self.probes:
            subprocess.run(["perf", "probe", "-q", "-d", f"{self.group}:{name}"], capture_output=True, check=False)


class StraceCounts:
    """strace beside each thread; its summary, by call."""

    def __init__(self, tids, directory):
        self.outs = {tid: directory / f"calls-{tid}" for tid in tids}
        self.processes = [subprocess.Popen(["strace", "-c", "-e", f"trace={','.join(CALLS)}", "-p", str(tid), "-o", str(out)],
                                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for tid, out in self.outs.items()]

    def end(self):
        counted = {}
        for process in self.processes:
            process.send_signal(signal.SIGINT)
            process.wait(10)
        for tid, out in self.outs.items():
            rows = [line.split() for line in out.read_text().splitlines()]
            counted[tid] = {words[-1]: int(words[3]) for words in rows if len(words) >= 5 and words[-1] in CALLS}
        return counted


def grown(values):
    """By how much the last fifth of the values is above the second one; the first is not steady yet."""
    fifth = max(1, len(values) // 5)
    return statistics.median(values[-fifth:]) - statistics.median(values[fifth:2 * fifth] or values)


def growth_max(values):
    return GROWTH_BYTES_MAX + GROWTH_SHARE_MAX * statistics.median(values)


def watch(args, cluster, load):
    """Until the time is up: memory of both daemons and events so far, at every sample."""
    daemons = [cluster.edges[0], cluster.central]
    samples, begun = [], time.monotonic()
    while True:
        samples.append({"s": time.monotonic() - begun, "events": daemons[0].ledger()["accepted"],
                        **{daemon.name: machine.memory_bytes(daemon.process.pid) for daemon in daemons}})
        if samples[-1]["s"] >= args.seconds:
            return samples
        if load.poll() is not None:
            raise RuntimeError("the load has ended")
        cut_out_old(cluster.central.data_dir)
        due = begun + args.seconds * len(samples) / SAMPLES
        time.sleep(max(0.0, due - time.monotonic()))


def watched_threads(daemons, is_spoilt):
    found = [(daemon, tid, name) for daemon in daemons for tid, name in threads(daemon.process.pid, lambda name: (name in PINNED) != is_spoilt).items()]
    if not is_spoilt and {name for _, _, name in found} not in PLANS:
        raise RuntimeError(f"the pinned threads are of none of {PLANS}: {found}")
    return found


def all_counts(watched):
    """Without those that have ended: pinned ones do not."""
    counts = {}
    for daemon, tid, _ in watched:
        with contextlib.suppress(OSError):
            counts[tid] = thread_counts(daemon.process.pid, tid)
    return counts


def measure(args, cluster):
    """Returns the samples, and for each thread that is watched its name and what was counted."""
    daemons = [cluster.edges[0], cluster.central]
    load = subprocess.Popen(
        [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", str(10**12), "--rate", args.rate,
         "--payload-bytes", str(args.payload_bytes), "--ack", "delivered"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    cluster.senders.append(load)
    time.sleep(args.warmup_seconds)
    watched = watched_threads(daemons, args.spoil)
    tids = [tid for _, tid, _ in watched]
    perf = PerfCounts(tids, cluster.directory / "perf", BIN / "weir-edge") if PerfCounts.is_possible() else None
    if perf:
        print(f"steady: counted by perf: {', '.join([*CALLS, *perf.probes])}", flush=True)
    try:
        time.sleep(0.5 if perf else 0)
        before, moved = all_counts(watched), moved_pages()
        samples = watch(args, cluster, load)
        after = all_counts(watched)
        print(f"steady: the kernel moved {moved_pages() - moved} pages of the machine meanwhile (compaction); who comes to one of them while it is "
              "moved has a page fault, which is counted")
        calls = perf.end() if perf else by_strace(tids, cluster.directory)
    finally:
        if perf:
            perf.close()
    return samples, [(f"{daemon.name} {name}", {key: after[tid][key] - before[tid][key] for key in before[tid]}, calls.get(tid, {}))
                     for daemon, tid, name in watched if tid in before and tid in after]


def by_strace(tids, directory):
    print("steady: allocations are not counted: that takes root and the package linux-perf")
    if not shutil.which("strace"):
        print("steady: strace is not installed either: calls are not counted")
        return {}
    strace = StraceCounts(tids, directory)
    time.sleep(STRACE_SECONDS)
    return strace.end()


def judge(samples, counts):
    seconds = samples[-1]["s"]
    events = samples[-1]["events"] - samples[0]["events"]
    print(f"{events} events in {seconds:.0f} s: {events / seconds:,.0f} a second")
    bad = 0
    for name in [key for key in samples[0] if key not in ("s", "events")]:
        values = [sample[name] for sample in samples]
        more, most = grown(values), growth_max(values)
        bad += more > most
        tenths = " ".join(f"{values[index * (len(values) - 1) // 9] / (1 << 20):.1f}" for index in range(10))
        print(f"  {'ok  ' if more <= most else 'FAIL'}  {name}'s memory, MiB: {tenths}: {more / 1024:+.0f} KiB from the second fifth to the last, {most / 1024:.0f} allowed")
    for name, spent, calls in counts:
        number = int(spent["faults"]) + sum(calls.values())
        bad += number > 0
        print(f"  {'FAIL' if number else 'ok  '}  {name:<16} page faults {spent['faults']}, calls and allocations {calls or 'none'}; "
              f"{spent['switches'] / seconds:.1f} involuntary switches a second, on a core {spent['ran_s'] / seconds:.0%}, in wait for one {spent['waited_s'] / seconds:.0%}")
    print("steady: nothing was counted, and memory stayed" if not bad else f"steady: {bad} of these are not steady")
    return 1 if bad else 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=600)
    arguments.add_argument("--warmup-seconds", type=float, default=5)
    arguments.add_argument("--rate", default="max")
    arguments.add_argument("--payload-bytes", type=int, default=100)
    arguments.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    arguments.add_argument("--spoil", action="store_true")
    args = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # ended from outside: the daemons are, too
    with Cluster(["north"], io=args.io, central_extra=CENTRAL) as cluster:
        return judge(*measure(args, cluster))


if __name__ == "__main__":
    sys.exit(main())
