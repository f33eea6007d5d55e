"""Endless producers over one file of real events, and the account of what they were acknowledged.

A feed sends slices, each with a process of its own (weir-bench send), one after the other. When the file is exhausted it goes
round again; a suffix keeps identities unique. The account holds 8 bytes an event, so that hours fit into memory.
"""
import array
import collections
import gzip
import hashlib
import itertools
import json
import random
import statistics
import subprocess
import threading
import time

import multiset

BUCKETS = 64


class Account:
    """A multiset of events, by digest, in buckets."""

    def __init__(self):
        self.buckets = [array.array("Q") for _ in range(BUCKETS)]

    @staticmethod
    def digest(canonical):
        return int.from_bytes(hashlib.blake2b(canonical.encode(), digest_size=8).digest(), "little")

    def add(self, canonical):
        one = self.digest(canonical)
        self.buckets[one % BUCKETS].append(one)

    def add_all(self, other):
        for mine, theirs in zip(self.buckets, other.buckets):
            mine.extend(theirs)

    def count(self):
        return sum(len(bucket) for bucket in self.buckets)

    def minus(self, other):
        """Digests that are here more often than in `other`, as a Counter of how much more."""
        more = collections.Counter()
        for mine, theirs in zip(self.buckets, other.buckets):
            more += collections.Counter(mine) - collections.Counter(theirs)
        return more


def account_of(paths):
    account = Account()
    for canonical in multiset.events(paths):
        account.add(canonical)
    return account


class Feed:
    """One producer after the other, each over `slice_s` at `rate`, to one edge. `acked` is what was answered positively."""

    def __init__(self, cluster, index, source, name, ack, rate, slice_s, seed):
        self.cluster, self.index, self.name, self.ack, self.rate, self.slice_s = cluster, index, name, ack, rate, slice_s
        self.rng = random.Random(seed)
        self.lines = self._lines(source, len(cluster.edges))
        self.slices = 0
        self.acked = Account()
        self.reports = []  # (begin, end, what weir-bench said), times monotonic
        self.fault = None
        self.is_stopping = False
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def stop(self, seconds_max):
        """Lets the slice under way end; every event must be answered by then."""
        self.is_stopping = True
        self.thread.join(seconds_max)
        if self.thread.is_alive():
            self.fault = self.fault or f"{self.name}: not every event was answered within {seconds_max} s after the last fault"

    def send_slice(self, count, rate, is_numbered):
        """Sends so many events and waits until each is answered. False, and `fault` set, when that fails."""
        slice_name = f"{self.name}-{self.slices}"
        self.slices += 1
        path = self.cluster.directory / f"{slice_name}.ndjson"
        sent = Account()
        with open(path, "w", encoding="utf-8") as out:
            for line in itertools.islice(self.lines, count):
                out.write(json.dumps(line) + "\n")
                sent.add(multiset.canonical(line))
        begin = time.monotonic()
        sender = self.cluster.send(self.index, path, ack=self.ack, rate=rate, producer=slice_name if is_numbered else None,
                                   stderr=subprocess.PIPE)
        if self.cluster.is_ending:
            sender.kill()  # begun while the others were ended
        out, err = sender.communicate()
        self.cluster.senders.remove(sender)
        if sender.returncode != 0:
            self.fault = f"{slice_name}: weir-bench ended with {sender.returncode}: {out}{err}"
            return False
        report = json.loads(out.strip().splitlines()[-1])
        if report["acked"] != count or report["rejected"]:
            self.fault = f"{slice_name}: of {count} events: {report}"
            return False
        self.reports.append((begin, time.monotonic(), report))
        self.acked.add_all(sent)
        path.unlink()
        return True

    def _lines(self, source, edges):
        """The events of this edge's share, for ever; ids differ by feed and by round."""
        for turn in itertools.count():
            with (gzip.open if str(source).endswith(".gz") else open)(source, "rt", encoding="utf-8") as lines:
                for line in itertools.islice(lines, self.index, None, edges):
                    event = json.loads(line)
                    event["id"] += f"-{self.name}-{turn}"
                    yield event

    def _run(self):
        while not self.is_stopping:
            if not self.send_slice(max(1, int(self.rate * self.slice_s)), self.rate, self.rng.random() < 0.5):
                return


class Burst(Feed):
    """So many events, once, as fast as the edge takes them."""

    def __init__(self, cluster, index, source, name, count):
        super().__init__(cluster, index, source, name, "spooled", None, 0, 0)
        self.count_wanted = count

    def _run(self):
        self.send_slice(self.count_wanted, None, True)


def latency_ms(feeds, windows):
    """p99 to the ack, of slices beside no fault and of slices beside one: {"calm": …, "fault": …}, each with its median and worst."""
    sides = {"calm": [], "fault": []}
    for feed in feeds:
        for begin, end, report in feed.reports:
            is_beside = any(begin < until and end > since for since, until in windows)
            sides["fault" if is_beside else "calm"].append(report["latency_us"]["p99"] / 1000)
    return {side: {"slices": len(values), "median_p99_ms": statistics.median(values) if values else None,
                   "worst_p99_ms": max(values, default=None)}
            for side, values in sides.items()}
