#!/usr/bin/env python3
"""Edges whose lane lives in memory die by kill -9 under load, again and again: only what was in memory is lost, and the account says how much.

  scripts/chaos/memory-lane [--events N] [--kills N] [--io auto|uring|epoll]

Before every second kill central is stopped for a moment, so that there is something to lose. One edge's producer asks for `received`, the other's for
`spooled`, which such a lane answers when central has the event. Then: no sequence is at central twice (audit), and no more events than a producer may
have been waiting for when its edge died; what is missing there is at most what the ledger calls lost (gap) or shed; whatever a producer was told is
accepted beyond `received` is there; the ledgers close, and so does the audit, beside the daemons and after they stopped; the lane has left no file.
"""
import argparse
import collections
import json
import signal
import sys
import time

import multiset
from cluster import Cluster, input_file

LANE = '[[lanes]]\nname = "default"\nclass = "best_effort"\nspool = "memory"\n'
LEVELS = ("received", "spooled")
STOPPED_S = 0.25  # central, before every second kill
UNANSWERED_S = STOPPED_S + 0.25  # of what a producer sends: what it may send again after a kill


class Checks:
    def __init__(self):
        self.failures = 0

    def check(self, what, is_good, said=""):
        self.failures += 0 if is_good else 1
        print(f"{'ok  ' if is_good else 'FAIL'}  {what}: {said}", flush=True)


def kill_under_load(cluster, senders, kills):
    for number in range(kills):
        time.sleep(0.4)
        edge = cluster.edges[number % len(cluster.edges)]
        if senders[number % len(senders)].poll() is not None:
            break
        if number % 4 >= 2:
            cluster.central.process.send_signal(signal.SIGSTOP)
            time.sleep(STOPPED_S)
            edge.kill()
            cluster.central.process.send_signal(signal.SIGCONT)
        else:
            edge.kill()
        edge.start()
    print(f"{kills} kills", flush=True)


def said_lost(edge):
    """What each start said of what the one before had promised."""
    return sum("is named to it as a gap" in line for line in edge.log.read_text(errors="replace").splitlines())


def of_edge(path, name):
    with open(path, encoding="utf-8") as lines:
        return collections.Counter(multiset.canonical(event) for event in map(json.loads, lines) if event.get("edge") == name)


def check_edge(checks, edge, level, part, report, stored, twice_max):
    ledger = edge.ledger()
    missing = collections.Counter(multiset.events([part])) - stored
    extra = stored - collections.Counter(multiset.events([part]))
    lost = ledger["gap"] + ledger["shed"]
    checks.check(f"{edge.name} ({level}): twice at central is at most what was unanswered at a kill", sum(extra.values()) <= twice_max,
                 f"{sum(extra.values())} of at most {twice_max}")
    checks.check(f"{edge.name}: what is missing is at most what is counted as lost", sum(missing.values()) <= lost,
                 f"{sum(missing.values())} missing, gap {ledger['gap']}, shed {ledger['shed']}")
    checks.check(f"{edge.name}: its ledger closes", ledger["residue"] == 0 and ledger["held"] == 0, ledger["residue"])
    checks.check(f"{edge.name}: what it calls delivered is at central", ledger["delivered"] == sum(stored.values()),
                 f"{ledger['delivered']} and {sum(stored.values())}")
    if level != "received":
        at_central = len(stored)
        checks.check(f"{edge.name}: whatever was acknowledged as accepted is at central", report["accepted"] + report["duplicates"] <= at_central,
                     f"accepted {report['accepted']}, duplicates {report['duplicates']}, said to be lost {report['shed']}")
    checks.check(f"{edge.name}: the lane left no file", not (edge.data_dir / "spool" / "default").exists())


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--io", default="auto")
    args.add_argument("--events", type=int, default=20000)
    args.add_argument("--kills", type=int, default=8)
    args = args.parse_args()
    checks = Checks()
    with Cluster(["north", "south"], io=args.io, edge_extra=LANE) as cluster:
        parts = cluster.split_input(input_file(), args.events)
        seconds = 1 + 0.7 * args.kills
        rate = max(1, int(args.events / len(parts) / seconds))
        senders = [cluster.send(i, part, ack=LEVELS[i], producer=f"p-{i}", rate=rate) for i, part in enumerate(parts)]
        kill_under_load(cluster, senders, args.kills)
        cluster.audit()
        reports = cluster.finish(senders)
        cluster.wait_until_delivered()
        path = cluster.central_events()
        for edge, level, part, report in zip(cluster.edges, LEVELS, parts, reports):
            check_edge(checks, edge, level, part, report, of_edge(path, edge.name), int(args.kills * rate * UNANSWERED_S))
        print(f"starts that named a loss: {sum(said_lost(edge) for edge in cluster.edges)}")
        for daemon in [*cluster.edges, cluster.central]:
            daemon.stop()
        cluster.audit()
    print(f"memory-lane: {'PASS' if checks.failures == 0 else 'FAIL'}")
    return 0 if checks.failures == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
