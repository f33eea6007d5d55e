#!/usr/bin/env python3
"""The preferred central comes and goes: the edge must stay where it is until that one has stayed.

  scripts/chaos/flapping [--cycles N] [--io auto|uring|epoll] [--seed S] [--tls]

Two independent centrals; the edge prefers the first. That one is lost, then comes back --cycles times for less than
uplink.return_stable_ms: not one switch-over may follow. Then it stays: exactly one return. Lost again within a minute it must prove
itself for twice as long before the next. Events flow all the time, and none may be lost: held 0, gap 0 at the end.
"""
import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from cluster import BIN
from failover import await_session, end_all, is_closed, secure, set_up

RETURN_MS, STABLE_MS = 300, 3000
RATE = 200


def moves(edge):
    now = edge.metrics()
    return int(now["weir_edge_uplink_switch_overs_total"]), int(now["weir_edge_uplink_returns_total"])


def expect(what, seen, wanted):
    print(f"{what}: switch-overs {seen[0]}, returns {seen[1]}", flush=True)
    if seen != wanted:
        raise RuntimeError(f"{what}: expected {wanted[0]} switch-overs and {wanted[1]} returns")


def start_load(producers, seconds, more):
    return subprocess.Popen(
        [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{producers}", "--events", str(RATE * seconds), "--rate", str(RATE),
         "--payload-bytes", "30", "--ack", "spooled", "--json", *more],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--cycles", type=int, default=20)
    args.add_argument("--io", default="auto")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--tls", action="store_true", help="TLS 1.3 on every connection, and tokens on the admin ports")
    args = args.parse_args()
    dice = random.Random(args.seed)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-flapping-"))
    secured = secure(directory) if args.tls else None
    centrals, edge, producers = set_up(directory, args.io, secured)
    edge.config.write_text(edge.config.read_text().replace("return_ms = 86400000", f"return_ms = {RETURN_MS}\nreturn_stable_ms = {STABLE_MS}"))
    first, second = centrals
    sender, stayed = None, 0
    try:
        for daemon in [edge, first, second]:
            daemon.start()
        await_session(edge, 0, time.monotonic())
        sender = start_load(producers, args.cycles * 5 + 60, secured.sender() if secured else [])
        first.kill()
        await_session(edge, 1, time.monotonic())
        expect("the first is lost", moves(edge), (1, 0))
        for _ in range(args.cycles):
            came, stays = time.monotonic(), dice.uniform(0.1, 0.7) * STABLE_MS / 1000
            first.start()  # it may be there for the edge before it says that it is ready
            time.sleep(max(0, came + stays - time.monotonic()))
            first.kill()
            stayed = max(stayed, time.monotonic() - came)
            time.sleep(dice.uniform(0.1, 1.0))
        if stayed > STABLE_MS / 1000:
            raise RuntimeError(f"this machine is too slow to judge: it took {stayed:.1f} s to start and end a central")
        expect(f"it came and went {args.cycles} times", moves(edge), (1, 0))
        first.start()
        came = time.monotonic()
        await_session(edge, 0, came)
        once = time.monotonic() - came
        expect(f"it stayed, and was gone back to after {once:.1f} s", moves(edge), (2, 1))
        first.kill()
        await_session(edge, 1, time.monotonic())
        first.start()
        came = time.monotonic()
        await_session(edge, 0, came)
        twice = time.monotonic() - came
        expect(f"lost soon after and back, after {twice:.1f} s", moves(edge), (4, 2))
        good = is_closed(centrals, edge, sender)
        if once < STABLE_MS / 1000 or twice < 2 * STABLE_MS / 1000:
            raise RuntimeError("it was gone back to before it had proved itself")
        print(f"flapping: {'PASS' if good else 'FAIL'}")
        return 0 if good else 1
    finally:
        end_all([edge, *centrals], sender, directory)


if __name__ == "__main__":
    sys.exit(main())
