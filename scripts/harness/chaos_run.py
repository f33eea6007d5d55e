#!/usr/bin/env python3
"""Breaks processes, connections and disks of a running cluster, one or two at a time as a seed says, then audits every event.

  scripts/chaos/run [--minutes M] [--seed S] [--edges N] [--io auto|uring|epoll] [--rate N] [--only KIND,...] [--json FILE]
                    [--refuse-uring] [--tls]

Ends with a certificate; exit 0 only when it says PASS. Needs no root; as root it also fills disks (small file systems in a
mount namespace of its own). With the Debian package faketime it also steps wall clocks.
"""
import argparse
import collections
import itertools
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

import audit
import certificate
import faults
import feed
from cluster import BIN, Cluster, input_file

NAMES = ("north", "center", "south", "east", "west", "coast", "hills", "plain")
IN_NAMESPACE = "WEIR_CHAOS_NAMESPACE"
RECOVERY_SECONDS_MAX = 60
DRAIN_SECONDS_MAX = 120
SLICE_S_MIN = 1.5
PRODUCERS_PER_EDGE_MAX = 8000  # that are numbered; an edge keeps a word about each
DELIVERED_RATE = 50  # of the feed that asks for `delivered`, beside the one that asks for `spooled`
CALM_S = (1.6, 3.2)  # between faults
PAIR_SHARE = 0.2
FAST = "reconnect_ms_max = 1000\n"  # a run has many outages: no long pause of the edge after each


class Run:
    def __init__(self, args, cluster, volumes):
        self.args, self.cluster = args, cluster
        self.rng = random.Random(args.seed)
        self.scene = faults.Scene(cluster, self.rng, self.start_burst)
        self.scene.volumes = volumes
        self.feeds = []
        self.injected = collections.Counter()
        self.recovery_s = collections.defaultdict(list)
        self.windows = []  # (begin, recovered) of each fault, monotonic
        self.verdict = audit.Verdict()
        self.ledger = None
        self.skipped = {}
        self.kinds = self.available_kinds()

    def available_kinds(self):
        kinds = faults.kinds()
        if self.scene.volumes:
            kinds += faults.disk_kinds()
        elif wants_disks(self.args):
            self.skipped["disk-full"] = "needs root, mkfs.ext4 and loop devices"
        if faults.FAKETIME:
            kinds += faults.clock_kinds()
        else:
            self.skipped["clock-jump"] = "needs the package faketime"
        if self.args.only:
            wanted = self.args.only.split(",")
            unknown = set(wanted) - {kind.name for kind in kinds}
            if unknown:
                raise SystemExit(f"no such fault, or not here: {', '.join(sorted(unknown))}")
            kinds = [kind for kind in kinds if kind.name in wanted]
        return kinds

    # Load.
    def start_feeds(self):
        slice_s = max(SLICE_S_MIN, self.args.minutes * 60 / PRODUCERS_PER_EDGE_MAX)
        for index, edge in enumerate(self.cluster.edges):
            for ack, rate in (("spooled", self.args.rate), ("delivered", DELIVERED_RATE)):
                self.feeds.append(feed.Feed(self.cluster, index, input_file(), f"{edge.name}-{ack}", ack, rate, slice_s,
                                            f"{self.args.seed} {edge.name} {ack}").start())

    def start_burst(self, index, count):
        name = f"{self.cluster.edges[index].name}-burst-{sum(isinstance(one, feed.Burst) for one in self.feeds)}"
        self.feeds.append(feed.Burst(self.cluster, index, input_file(), name, count).start())
        return self.feeds[-1]

    # Faults.
    def draw(self):
        """Kinds in shuffled rounds, so that each has its turn; the place from the seed."""
        while True:
            for kind in self.rng.sample(self.kinds, len(self.kinds)):
                index = None
                if kind.place == "small":
                    index = len(self.cluster.edges) - 1
                elif kind.place != "central":
                    index = self.rng.randrange(len(self.cluster.edges))
                yield kind, index

    def inject(self, seconds):
        end = time.monotonic() + seconds
        drawn = self.draw()
        self.calm()
        while time.monotonic() < end:
            pair = [next(drawn)]
            if self.rng.random() < PAIR_SHARE:
                other = next(drawn)
                # Two at once never act on one process or connection, nor one on a process that the other has ended.
                if other[1] != pair[0][1]:
                    pair.append(other)
                else:
                    drawn = itertools.chain([other], drawn)
            self.strike(pair)
            self.calm()

    def strike(self, pair):
        began = time.monotonic()
        hold = [self.rng.uniform(*kind.hold_s) for kind, _ in pair]
        where = [self.scene.daemon(index).name for _, index in pair]
        print("  " + " and ".join(f"{kind.name} at {name} for {for_s:.1f} s"
                                  for (kind, _), name, for_s in zip(pair, where, hold)), flush=True)
        for kind, index in pair:
            kind.begin(self.scene, index)
            self.injected[kind.name] += 1
        time.sleep(max(hold))
        healing = time.monotonic()
        for kind, index in pair:
            kind.heal(self.scene, index)
        touched = sorted({one for _, index in pair for one in ([index] if index is not None else range(len(self.cluster.edges)))})
        took = self.await_progress(touched, healing)
        self.windows.append((began, time.monotonic()))
        for kind, _ in pair:
            self.recovery_s[kind.name].append(took)

    def appended(self):
        """Events on central's disk, by edge."""
        counts = collections.Counter()
        for lane in self.cluster.central.ledger()["lanes"]:
            counts[lane["edge"]] += lane["appended"]
        return counts

    def await_progress(self, touched, since):
        """Until events of each of these edges have become durable at central since now; how long after `since` that was."""
        names = {self.cluster.edges[index].name for index in touched}
        before = self.appended()
        while names:
            time.sleep(0.01)
            self.check_alive()
            now = self.appended()
            names = {name for name in names if now[name] <= before[name]}
            if names and time.monotonic() - since > RECOVERY_SECONDS_MAX:
                raise RuntimeError(f"no event of {', '.join(names)} within {RECOVERY_SECONDS_MAX} s after the fault was healed")
        return time.monotonic() - since

    def calm(self):
        time.sleep(self.rng.uniform(*CALM_S))
        self.check_alive()

    def check_alive(self):
        for daemon in [self.cluster.central, *self.cluster.edges]:
            if daemon.process is None or daemon.process.poll() is not None:
                code = daemon.process and daemon.process.returncode
                raise RuntimeError(f"{daemon.name} ended by itself with {code}; its log:\n{daemon.log.read_text()[-2000:]}")
        for one in self.feeds:
            if one.fault:
                raise RuntimeError(one.fault)

    # The end.
    def drain(self):
        give_up = time.monotonic() + DRAIN_SECONDS_MAX
        for one in self.feeds:
            one.is_stopping = True
        for one in self.feeds:
            one.stop(max(1, give_up - time.monotonic()))
        self.check_alive()
        self.cluster.wait_until_delivered(DRAIN_SECONDS_MAX)

    def audit_all(self):
        self.ledger = audit.audit(self.cluster, self.feeds, self.scene.flipped, self.verdict, self.args.spoil_audit)
        if not audit.has_tool():
            self.skipped["weir-central audit"] = "this binary does not have it"

    def fault_row(self, name):
        took = self.recovery_s[name]
        return {"count": self.injected[name], "recovery_s_median": statistics.median(took) if took else None,
                "recovery_s_max": max(took, default=None)}

    def certificate(self, seconds):
        spooled = [one for one in self.feeds if one.name.endswith("-spooled")]
        delivered = [one for one in self.feeds if one.name.endswith("-delivered")]
        return {
            "verdict": "PASS" if self.verdict.is_good() else "FAIL", "command": command_of(self.args), "seed": self.args.seed,
            "seconds": round(seconds, 1), "io": sorted({daemon.io_in_use() for daemon in
                                                        [self.cluster.central, *self.cluster.edges]}),
            "faults": {name: self.fault_row(name) for name in sorted(self.injected)},
            "skipped": self.skipped, "restarts_needed_after_disk_faults": self.scene.restarts_needed,
            "batches_replayed": sum(one.replayed for one in self.cluster.uplinks), "notes": self.scene.notes,
            "ack_latency_ms": {"spooled": feed.latency_ms(spooled, self.windows),
                               "delivered": feed.latency_ms(delivered, self.windows)},
            "ledger": self.ledger, "checks": self.verdict.rows}


def command_of(args):
    parts = ["scripts/chaos/run", f"--minutes {args.minutes:g}", f"--seed {args.seed}", f"--edges {args.edges}", f"--io {args.io}",
             f"--rate {args.rate}"]
    parts += [f"--only {args.only}"] if args.only else []
    parts += ["--refuse-uring"] if args.refuse_uring else []
    parts += ["--tls"] if args.tls else []
    return " ".join(parts)


def enter_namespace(args):
    """As root: the same command again in a mount namespace of its own, so that small file systems end with it."""
    if os.geteuid() == 0 and wants_disks(args) and IN_NAMESPACE not in os.environ and shutil.which("unshare") and shutil.which("mkfs.ext4"):
        can = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
        if can:
            os.environ[IN_NAMESPACE] = "1"
            os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def wants_disks(args):
    return not args.only or "disk-full" in args.only


def small_volumes(args, cluster, megabytes):
    """Where it is possible: central and the edge with the small spool on file systems that can be filled."""
    if IN_NAMESPACE not in os.environ or not wants_disks(args):
        return {}
    volumes = {}
    for daemon, size in ((cluster.central, megabytes), (cluster.edges[-1], 512)):
        volume = faults.mount_small(cluster.directory, daemon.name, size)
        if volume is None:
            return {}
        daemon.config.write_text(daemon.config.read_text().replace(str(daemon.data_dir), str(volume / "data")))
        daemon.data_dir = volume / "data"
        volumes[daemon.name] = volume
    return volumes


def parse():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--minutes", type=float, default=1)
    args.add_argument("--seed", type=int, default=None, help="default: a new one, which is printed")
    args.add_argument("--edges", type=int, default=3, choices=range(2, len(NAMES) + 1))
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args.add_argument("--rate", type=int, default=1000, help="events per second to each edge")
    args.add_argument("--only", help="only these kinds of fault, separated by commas")
    args.add_argument("--refuse-uring", action="store_true", help="the kernel refuses io_uring: epoll must be used by itself")
    args.add_argument("--tls", action="store_true", help="TLS 1.3 on every connection, and tokens on the admin ports")
    args.add_argument("--json", help="the certificate also as this file")
    args.add_argument("--spoil-audit", choices=("lose", "repeat"), help="proves that the audit can fail: it must, with this")
    args = args.parse_args()
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    return args


def main():
    args = parse()
    enter_namespace(args)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    extras = ["[cache]\nproducers_max = 16384\n" for _ in range(args.edges)]
    extras[-1] += faults.SMALL_SPOOL
    cluster = Cluster(NAMES[:args.edges], io=args.io, edge_extra=[FAST + extra for extra in extras], is_proxied=True,
                      central_extra="[journal]\nsegment_bytes = 4194304\n",
                      launcher=[BIN / "weir-no-uring"] if args.refuse_uring else [], is_tls=args.tls, has_roles=args.tls)
    volumes = small_volumes(args, cluster, 4096 + int(args.minutes * 60 * args.edges * args.rate / 1024))
    print(f"chaos run: seed {args.seed}, {args.edges} edges, {input_file().name}\nagain: {command_of(args)}", flush=True)
    began = time.monotonic()
    try:
        with cluster:
            run = Run(args, cluster, volumes)
            if args.refuse_uring:
                used = [daemon.io_in_use() for daemon in [cluster.central, *cluster.edges]]
                run.verdict.check("io_uring is refused and epoll is used", set(used) == {"epoll"}, used)
            try:
                run.start_feeds()
                run.inject(args.minutes * 60)
                run.drain()
                run.audit_all()
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                run.verdict.check("the run goes through", False, error)
            said = run.certificate(time.monotonic() - began)
            certificate.show(said)
            if args.json:
                with open(args.json, "w", encoding="utf-8") as out:
                    json.dump(said, out, indent=1)
            if said["verdict"] != "PASS":
                raise RuntimeError("see above")
    except RuntimeError:
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for volume in volumes.values():
            subprocess.run(["umount", volume], check=False)
        shutil.rmtree(cluster.directory, ignore_errors=True) if not os.environ.get("WEIR_KEEP") else None
    return 0


if __name__ == "__main__":
    sys.exit(main())
