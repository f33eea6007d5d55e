#!/usr/bin/env python3
"""What the daemons say to a service manager, heard over a socket of its own: ready once, alive while idle, stopping.

  scripts/service
"""
import os
import pathlib
import socket
import sys
import tempfile
import time

from cluster import Cluster

WATCHDOG_US = 800_000


def hear(listening, seconds, is_enough):
    """What was said until `is_enough` holds of it, at most so long."""
    heard, give_up = [], time.monotonic() + seconds
    while time.monotonic() < give_up and not is_enough(heard):
        listening.settimeout(max(0.01, give_up - time.monotonic()))
        try:
            heard.append(listening.recv(4096).decode())
        except TimeoutError:
            break
    return heard


def main():
    cluster = Cluster(["north"])
    with tempfile.TemporaryDirectory(prefix="weir-service-") as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        path = str(pathlib.Path(directory) / "notify")
        listening.bind(path)
        try:
            for daemon in (cluster.central, cluster.edges[0]):
                daemon.start({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": str(WATCHDOG_US), "WATCHDOG_PID": ""})
                began = time.monotonic()
                heard = hear(listening, 10, lambda said: said.count("WATCHDOG=1") >= 6)
                seconds = time.monotonic() - began
                daemon.stop()
                last = hear(listening, 1, lambda said: "STOPPING=1" in said)
                print(f"{daemon.name}: ready {heard.count('READY=1')}, alive {heard.count('WATCHDOG=1')} times in {seconds:.1f} s, "
                      f"stopping {last.count('STOPPING=1')}", flush=True)
                if heard[:1] != ["READY=1"] or heard.count("READY=1") != 1 or "STOPPING=1" not in last:
                    raise RuntimeError(f"{daemon.name} said {heard} and {last}")
                # Six times, one at once and then one each half of the time.
                if heard.count("WATCHDOG=1") < 6 or seconds > 6 * WATCHDOG_US / 1e6:
                    raise RuntimeError(f"{daemon.name} would have been ended by its watchdog: {heard} in {seconds} s")
        finally:
            cluster.__exit__(None, None, None)
    print("service: PASS")
    return 0


if __name__ == "__main__":
    os.environ.pop("NOTIFY_SOCKET", None)
    sys.exit(main())
