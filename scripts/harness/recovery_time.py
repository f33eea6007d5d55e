#!/usr/bin/env python3
"""How long an edge that was killed takes until it acks `spooled` again, with a small and with a large backlog in its spool.

  scripts/chaos/recovery-time [--backlog 1GiB] [--io auto|uring|epoll] [--kill at-once|rested] [--json FILE]

Central is away all the time. The edge is killed with -9 and started again, seven times for each backlog, in turns; the time runs from the
start of the process to the ack of one event. FAIL above 2 s, or when the large backlog takes more than 1.5 times the small one, or
when a start reads back much more than what may lie behind the last checkpoints.
at-once kills as soon as the load is acked: what is behind the last checkpoint is read again. rested waits for a checkpoint first.
"""
import argparse
import contextlib
import json
import re
import socket
import statistics
import subprocess
import sys
import time

from cluster import BIN, READY_SECONDS_MAX, Cluster

SMALL_BYTES = 1 << 20
SECONDS_MAX = 2.0
RATIO_MAX = 1.5
READ_BACK_RECORDS_MAX = 1000  # of 256 KiB: checkpoints by bytes (edge/handover.hpp), and what was written meanwhile
TURNS = 7
PAYLOAD_BYTES = 4000
FRAME_BYTES = PAYLOAD_BYTES + 220  # near enough: what an event of that payload takes in the spool
RESTED_S = 11  # two checkpoints apart
PROBE = '{"id":"probe-%d-%d","type":"probe.recovery","source":"recovery-time","time":"2017-12-01T00:00:00Z","key":"k","data":{}}\n'
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def bytes_of(text):
    number, unit = re.fullmatch(r"(\d+)(KiB|MiB|GiB)", text).groups()
    return int(number) * UNITS[unit]


def load(cluster, backlog_bytes):
    subprocess.run([BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events",
                    str(max(1, backlog_bytes // FRAME_BYTES)), "--rate", "max", "--payload-bytes", str(PAYLOAD_BYTES), "--ack",
                    "spooled", "--timeout-s", "60"], stdout=subprocess.DEVNULL, check=True)


def seconds_until_ack(cluster, turn, backlog_bytes):
    """Starts the edge; returns when one event is acked as spooled."""
    probe = cluster.directory / "probe.ndjson"
    probe.write_text(PROBE % (backlog_bytes, turn))
    began = time.monotonic()
    cluster.edges[0].start(is_awaited=False)
    while True:
        try:
            # Opened last, behind the producers' port. That one the kernel may still serve for the dead process: it ends a ring, and
            # the listening socket that the ring holds, some time after it; whoever connects there is reset and backs off.
            socket.create_connection(("127.0.0.1", cluster.edges[0].admin_port), timeout=1).close()
            break
        except OSError:
            if time.monotonic() - began > READY_SECONDS_MAX or cluster.edges[0].process.poll() is not None:
                raise RuntimeError(f"the edge did not come back; its log:\n{cluster.edges[0].log.read_text()}") from None
            time.sleep(0.002)
    cluster.finish([cluster.send(0, probe, ack="spooled")], READY_SECONDS_MAX)
    return time.monotonic() - began


class Backlog:
    """An edge without a central, with so much in its spool."""

    def __init__(self, args, backlog_bytes, stack):
        self.rests, self.backlog_bytes, self.times, self.read_back = args.kill == "rested", backlog_bytes, [], []
        self.cluster = stack.enter_context(Cluster(["north"], io=args.io))
        self.cluster.central.kill()
        load(self.cluster, backlog_bytes)
        self.edge = self.cluster.edges[0]

    def turn(self, number):
        if self.rests:
            time.sleep(RESTED_S)
        held = self.edge.ledger()["held"]
        self.edge.kill()
        self.times.append(seconds_until_ack(self.cluster, number, self.backlog_bytes))
        self.read_back.append(int(re.findall(r"records_read_back=(\d+)", self.edge.log.read_text())[-1]))
        self.edge.await_ready()
        if self.edge.ledger()["held"] < held:
            raise RuntimeError(f"{held} events were held, now {self.edge.ledger()['held']}")

    def report(self):
        held = self.edge.ledger()["held"]
        spool = sum(path.stat().st_blocks * 512 for path in (self.edge.data_dir / "spool").rglob("*") if path.is_file())
        median = statistics.median(self.times)
        print(f"  backlog {self.backlog_bytes >> 20:>6} MiB ({held} events, {spool >> 20} MiB of files): " +
              ", ".join(f"{one:.3f}" for one in self.times) + f" s; median {median:.3f} s; records read back "
              f"{', '.join(map(str, self.read_back))}", flush=True)
        return {"backlog_bytes": self.backlog_bytes, "events": held, "seconds": self.times, "median_s": median,
                "records_read_back": self.read_back}


def measure(args):
    """Both backlogs, turn by turn: what else the machine does meets them alike."""
    with contextlib.ExitStack() as stack:
        backlogs = [Backlog(args, bytes_now, stack) for bytes_now in (SMALL_BYTES, args.backlog)]
        for number in range(TURNS):
            for backlog in backlogs:
                backlog.turn(number)
        return [backlog.report() for backlog in backlogs]


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--backlog", type=bytes_of, default="1GiB")
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args.add_argument("--kill", default="at-once", choices=("at-once", "rested"))
    args.add_argument("--seconds-max", type=float, default=SECONDS_MAX)
    args.add_argument("--ratio-max", type=float, default=RATIO_MAX)
    args.add_argument("--json", help="the figures also as this file")
    args = args.parse_args()
    print(f"recovery-time: killed {args.kill}, io={args.io}", flush=True)
    small, large = measure(args)
    ratio = large["median_s"] / small["median_s"]
    is_quick = max(small["median_s"], large["median_s"]) <= args.seconds_max and ratio <= args.ratio_max
    is_good = is_quick and max(large["records_read_back"]) <= READ_BACK_RECORDS_MAX
    print(f"recovery-time: {small['median_s']:.3f} s and {large['median_s']:.3f} s, ratio {ratio:.2f} (at most {args.seconds_max} s and "
          f"{args.ratio_max}), at most {max(large['records_read_back'])} records read back: {'PASS' if is_good else 'FAIL'}")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as out:
            json.dump({"verdict": "PASS" if is_good else "FAIL", "ratio": ratio, "small": small, "large": large}, out, indent=1)
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
