#!/usr/bin/env python3
"""Breaks a daemon in the middle of a run and compares central's journal with the input.

  scripts/chaos/central-restart [--events N|all]   central stops, stays away, comes back; the edges spool on and catch up
  scripts/chaos/edge-kill [--events N|all]         an edge dies by kill -9, again and again, while its producer retries
  ... [--io auto|uring|epoll] [--plan PLAN] [--numbered] [--tls]
                                                   plan: the edges' runtime.thread_plan; numbered: producers name themselves and number their
                                                   events; tls: TLS 1.3 on every connection, and tokens on the admin ports
"""
import argparse
import sys
import time

import multiset
from cluster import Cluster, input_file


def progress(cluster):
    """Events that the edges have accepted so far."""
    return sum(edge.ledger()["accepted"] for edge in cluster.edges if edge.process)


def await_progress(cluster, accepted, senders):
    while progress(cluster) < accepted and any(sender.poll() is None for sender in senders):
        time.sleep(0.01)


def central_restart(cluster, total, senders):
    await_progress(cluster, total // 4, senders)
    before = progress(cluster)
    cluster.central.stop()
    time.sleep(1.5)
    during = progress(cluster)
    print(f"central away: accepted {before} when it stopped, {during} before it came back", flush=True)
    started = time.monotonic()
    cluster.central.start()
    print(f"central back in {time.monotonic() - started:.2f} s", flush=True)


def edge_kill(cluster, total, senders):
    for share in (4, 2):
        await_progress(cluster, total // share, senders)
        edge = cluster.edges[0]
        edge.kill()
        started = time.monotonic()
        edge.start()
        print(f"{edge.name} killed with -9 and back in {time.monotonic() - started:.2f} s", flush=True)


SCENES = {"central-restart": central_restart, "edge-kill": edge_kill}


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("scene", choices=SCENES)
    args.add_argument("--io", default="auto")
    args.add_argument("--events", default="20000")
    args.add_argument("--seconds", type=float, default=4, help="over how long the events are sent")
    args.add_argument("--numbered", action="store_true")
    args.add_argument("--tls", action="store_true")
    args.add_argument("--plan", default="auto")
    args = args.parse_args()
    count = None if args.events == "all" else int(args.events)
    with Cluster(["north", "center", "south"], io=args.io, is_tls=args.tls, has_roles=args.tls,
                 edge_extra=f'[runtime]\nthread_plan = "{args.plan}"\n') as cluster:
        parts = cluster.split_input(input_file(), count)
        sizes = [sum(1 for _ in open(part, "rb")) for part in parts]
        senders = [cluster.send(i, part, producer=f"replay-{i}" if args.numbered else None,
                                rate=max(1, int(sizes[i] / args.seconds))) for i, part in enumerate(parts)]
        SCENES[args.scene](cluster, sum(sizes), senders)
        cluster.finish(senders)
        cluster.wait_until_delivered()
        same = multiset.report(multiset.compare(parts, [cluster.central_events()]))
        cluster.verify_journals()
        for daemon in [*cluster.edges, cluster.central]:
            daemon.stop()
        cluster.audit()
    print(f"{args.scene}: {'PASS' if same else 'FAIL'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
