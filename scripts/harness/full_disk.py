#!/usr/bin/env python3
"""Fills the file system under an edge's spool by another process, with central away, and looks whether each lane's policy acts.

  scripts/chaos/full-disk [--events N] [--io auto|uring|epoll]

The spool lies on an ext4 of 64 MiB in a mount namespace of its own (needs root; without it the script says so and ends with 0).
Three lanes: "orders" (durable), "positions" (best_effort, sheds the oldest) and "readings" (best_effort, sheds the newest), a producer
for each. Central is away and the file system is full; then central comes back while the disk is still full: trimming must make room
and the durable producer must go on; then the other process's file goes. At the end every event that was offered is delivered or
counted as shed, "orders" has all of its own, and the audit accounts for every event.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

import faults
from cluster import BIN, Cluster, wait_for

IN_NAMESPACE = "WEIR_FULL_DISK_NAMESPACE"
MEGABYTES = 64
LANES = """[spool]
segment_bytes = 1048576
bytes_max = 50331648
keep_delivered_bytes = 0
keep_delivered_ms = 0
checkpoint_ms = 200
[cache]
ids_max = 65536
[[lanes]]
name = "orders"
[[lanes]]
name = "positions"
class = "best_effort"
shed = "oldest"
bytes_max = 8388608
[[lanes]]
name = "readings"
class = "best_effort"
shed = "newest"
bytes_max = 8388608
""" + "".join(f'[[routes]]\nlane = "{lane}"\nsources = ["{lane}"]\n' for lane in ("orders", "positions", "readings"))


def load(cluster, lane, args, events=None):
    sender = subprocess.Popen(
        [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", str(events or args.events), "--rate",
         str(args.rate), "--payload-bytes", "500", "--ack", "spooled", "--source", lane, "--json"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    cluster.senders.append(sender)
    return sender


class Filler:
    """Another process's file that takes whatever is free now."""

    def __init__(self, volume):
        self.path = volume / "of-somebody-else"
        done = subprocess.run(["dd", "if=/dev/zero", f"of={self.path}", "bs=64K"], capture_output=True, check=False)
        if done.returncode == 0:
            raise RuntimeError("the disk cannot be filled")
        self.taken = self.path.stat().st_size

    def stop(self):
        self.path.unlink()


def enter_namespace():
    if IN_NAMESPACE in os.environ:
        return True
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("mkfs.ext4"):
        return False
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode != 0:
        return False
    os.environ[IN_NAMESPACE] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--events", type=int, default=60_000, help="to each lane")
    args.add_argument("--rate", type=int, default=6000, help="events per second to each lane")
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args = args.parse_args()
    if not enter_namespace():
        print("full-disk: skipped: needs root, a mount namespace, mkfs.ext4 and loop devices")
        return 0
    cluster = Cluster(["north"], io=args.io, edge_extra=LANES)
    edge = cluster.edges[0]
    volume = faults.mount_small(cluster.directory, edge.name, MEGABYTES)
    if volume is None:
        print("full-disk: skipped: no loop device can be mounted here")
        return 0
    edge.config.write_text(edge.config.read_text().replace(str(edge.data_dir), str(volume / "data")))
    edge.data_dir = volume / "data"

    def free():
        stat = os.statvfs(volume)
        return stat.f_bavail * stat.f_frsize

    def lane(name, column):
        return sum(row[column] for row in edge.ledger()["lanes"] if row["lane"] == name)

    with cluster:
        cluster.central.kill()
        # Something is in every lane when the room goes.
        before = cluster.finish([load(cluster, name, args, args.events // 8) for name in ("orders", "positions", "readings")])
        filler = Filler(volume)
        senders = {name: load(cluster, name, args) for name in ("orders", "positions", "readings")}
        wait_for("positions and readings shed", lambda: lane("positions", "shed") > 0 and lane("readings", "shed") > 0, 60)
        for name in ("positions", "readings"):
            senders[name].wait(120)  # best_effort never stops its producer
        is_waiting = senders["orders"].poll() is None
        print(f"full: {filler.taken >> 20} MiB are somebody else's, central is away; shed of positions {lane('positions', 'shed')}, of readings "
              f"{lane('readings', 'shed')}; the producer of orders {'waits' if is_waiting else 'is through'}", flush=True)

        cluster.central.start()
        reports = dict(zip(senders, cluster.finish(senders.values())))
        print(f"central is back, the disk still full: {free() >> 10} KiB free, all producers are through", flush=True)
        cluster.wait_until_delivered()
        filler.stop()
        more = cluster.finish([load(cluster, name, args) for name in ("orders", "positions", "readings")])
        cluster.wait_until_delivered()

        ledger = edge.ledger()
        shed = {name: lane(name, "shed") for name in ("orders", "positions", "readings")}
        print(f"ledger: offered {ledger['offered']}, delivered {ledger['delivered']}, shed {ledger['shed']} {shed}, gap {ledger['gap']}, residue "
              f"{ledger['residue']}", flush=True)
        told = sum(report.get("shed", 0) for report in [*before, *reports.values(), *more])
        print(f"producers were told of {told} shed events before they were sequenced; the others were acked as spooled before", flush=True)
        expected = 6 * args.events + 3 * (args.events // 8)
        if ledger["offered"] != expected or ledger["residue"] != 0 or ledger["gap"] != 0:
            raise RuntimeError(f"expected {expected} offered: {json.dumps(ledger)}")
        if ledger["delivered"] + ledger["shed"] != ledger["offered"] or shed["orders"] != 0:
            raise RuntimeError(f"the ledger does not close: {json.dumps(ledger)}")
        if not is_waiting:
            raise RuntimeError("the disk was never too small for orders: more --events")
        if reports["orders"]["accepted"] != args.events or told == 0:
            raise RuntimeError(f"acks: {json.dumps(reports)}")
        cluster.verify_journals()
        cluster.audit()
    print("full-disk: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
