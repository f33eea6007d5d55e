"""What processes cost, read from /proc; and the machine's own limits, by weir-limits."""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess

import proc_threads
from cluster import BIN
from proc_threads import cpu_seconds

FAR_NS = 250  # a cache line's round trip between the two cores: below it they are near


def product_cpu_seconds(pids):
    """Of these processes with their ended threads, and of all that they started: what a product costs in all."""
    parents, stats = {}, {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile: in its parent's from now on
            stats[int(path.parent.name)] = fields = path.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    total, left = 0.0, list(pids)
    while left:
        pid = left.pop()
        left += parents.get(pid, [])
        with contextlib.suppress(OSError, KeyError):
            user, system, *of_ended_children = (int(field) / os.sysconf("SC_CLK_TCK") for field in stats[pid][11:15])
            total += max(user + system, cpu_seconds(pid)) + sum(of_ended_children)  # the ticks have ended threads, the others are finer
    return total


def busy_seconds(cores):
    """Of these cores, whoever had them: user, nice, system, interrupts."""
    ticks = 0
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, _, _, interrupts, soft_interrupts = map(int, fields[:7])
            ticks += user + nice + system + interrupts + soft_interrupts
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_by_thread(pid):
    """Seconds by thread name; those of one name together."""
    spent = {}
    for _, (name, schedstat) in proc_threads.read(pid, "comm", "schedstat"):
        spent[name.strip()] = spent.get(name.strip(), 0) + int(schedstat.split()[0]) / 1e9
    return spent


def user_seconds(pid, thread):
    """Of the threads of that name: time outside the kernel. By the tick: good to a few percent over seconds."""
    total = sum(int(stat.rpartition(")")[2].split()[11]) for _, (name, stat) in proc_threads.read(pid, "comm", "stat") if name.strip() == thread)
    return total / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid, field="VmRSS"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def written_bytes(pid):
    """Sent to the disk by this process, whatever for."""
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


class Limits:
    """Measured as often as measure() is called: before, beside and after. A limit is the median of all."""

    def __init__(self, directory, seconds):
        self.directory, self.seconds, self.runs = directory, seconds, []

    def measure(self):
        done = subprocess.run([BIN / "weir-limits", "--dir", self.directory, "--seconds", str(self.seconds)], stdout=subprocess.PIPE,
                              check=True, text=True)
        self.runs.append(json.loads(done.stdout))

    def __getitem__(self, name):
        return statistics.median(run[name] for run in self.runs)

    def hop(self):
        """near, far, or both: the host may have moved the cores meanwhile."""
        seen = {"near" if run["hop_round_trip_ns"] < FAR_NS else "far" for run in self.runs}
        return " and ".join(sorted(seen))

    def as_json(self):
        return {"hop": self.hop(), **{name: {"median": self[name], "values": [run[name] for run in self.runs]} for name in self.runs[0]}}

    def show(self):
        print(f"machine: cores {self.hop()}: hop {self['hop_round_trip_ns']:.0f} ns there and back; TCP {self['tcp_round_trip_p50_us']:.0f} us there "
              f"and back, {self['tcp_stream_bytes_per_second'] / 1e9:.1f} GB/s, {self['tcp_small_writes_per_second'] / 1e6:.2f} M writes/s of 200 bytes")
        print(f"         durable append of 64 KiB: p50 {self['append_64k_p50_us']:.0f}, p99 {self['append_64k_p99_us']:.0f} us; four at a time "
              f"{self['append_64k_x4_bytes_per_second'] / 1e6:.0f} MB/s; 1 MiB, four at a time {self['append_1m_x4_bytes_per_second'] / 1e6:.0f} MB/s")
        print(f"         receive, split, verify, look up, append: {self['composed_append_per_second'] / 1e6:.1f} M events/s, {self['composed_own_ns']:.0f} ns own "
              f"work an event; and forwarded: {self['composed_forward_per_second'] / 1e6:.1f} M events/s  ({self['event_bytes']:.0f} bytes a frame)\n", flush=True)
