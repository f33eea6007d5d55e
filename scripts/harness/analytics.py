#!/usr/bin/env python3
"""Kills central at random points while it computes under load; its results must be those of an undisturbed run.

  scripts/chaos/analytics [--kills N] [--events N] [--rate N] [--seed N] [--io auto|uring|epoll] [--spoil]

Central is killed with -9 and started again, N times, from just after its start to some seconds later; once in between it reads changed
definitions (SIGHUP). In the end the operators run once more over the same journal, undisturbed: every row and the operators' state must
be equal, byte for byte (`weir-central verify --recompute`). --spoil changes one row before: it must fail. With --kills 0 nobody is killed,
and all of 2 x --events are sent.
"""
import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import time

from cluster import BIN, Cluster, wait_for

DEFINITIONS = """
[analytics]
checkpoint_ms = 300
commit_ms = 20
idle_s_max = 2
disorder_ms = 200
[[windows]]
name = "seconds"
length_s = 2
step_s = 1
key = "source"
value = "len(id)"
percentiles = ["50", "99"]
distinct = "id"
[[windows]]
name = "keys"
length_s = 1
lateness_s = 5
[[windows]]
name = "visits"
gap_s = 1
key = "type"
[[patterns]]
name = "often"
pattern = '''
20 x any within 5s by type
any: true
'''
[[patterns]]
name = "silent"
pattern = '''
any -> !any within 1s by key
any: true
'''
[[anomalies]]
name = "odd"
window = "keys"
warm_values = 5
[[alerts]]
name = "busy"
on = "window.seconds"
raise = "data.count > 20"
clear = "data.count < 10"
[[alerts]]
name = "often"
on = "pattern.often"
stale_s = 3
"""
CATCH_UP_SECONDS_MAX = 60


def catch_up(central):
    """Waits until the operators are where the journal is, and what they found is stored."""
    now = {}

    def is_there():
        now.update(central.metrics())
        return -(-now["weir_central_analytics_rows_position_bytes"] // 4096) * 4096 >= now["weir_central_journal_position_bytes"]

    wait_for(lambda: f"analytics is where the journal is: {now}", is_there, CATCH_UP_SECONDS_MAX, poll_s=0.05)
    return now


def rows(central):
    path = central.data_dir / "analytics.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("windows", "patterns", "anomalies", "alerts", "definitions")}


def verify(central):
    done = subprocess.run([BIN / "weir-central", "verify", "--recompute", "--config", central.config], capture_output=True,
                          text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--kills", type=int, default=100)
    args.add_argument("--events", type=int, default=2_000_000, help="at most: what comes until the last kill")
    args.add_argument("--rate", type=int, default=5000)
    args.add_argument("--seconds", type=float, default=2, help="between a start and its kill, at most")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--io", default="auto")
    args.add_argument("--spoil", action="store_true")
    args = args.parse_args()
    chance = random.Random(args.seed)
    with Cluster(["north", "south"], io=args.io, central_extra=DEFINITIONS) as cluster:
        central = cluster.central
        loads = [subprocess.Popen([BIN / "weir-bench", "load", "--to", f"127.0.0.1:{port}", "--events", str(args.events),
                                   "--rate", str(args.rate), "--payload-bytes", "60"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                 for port in cluster.producer_ports]
        cluster.senders += loads
        for kill in range(args.kills):
            time.sleep(chance.random() ** 2 * args.seconds)
            if kill == args.kills // 2:
                central.config.write_text(central.config.read_text().replace("20 x any", "15 x any"))
                if chance.random() < 0.5:
                    central.process.send_signal(signal.SIGHUP)
                    time.sleep(chance.random())
            central.kill()
            central.start()
        for load in loads:
            if args.kills:
                load.kill()
            load.wait()
        cluster.wait_until_delivered()
        catch_up(central)
        found = rows(central)
        code, said = verify(central)  # beside the daemon
        print(f"beside it: {said.splitlines()[-1]}", flush=True)
        central.stop()
        if args.spoil:
            with sqlite3.connect(central.data_dir / "analytics.db") as database:
                changed = database.execute("""UPDATE windows SET data = replace(data, 'count', 'Count')
                                              WHERE serial = (SELECT max(serial) FROM windows)""").rowcount
            if changed != 1:
                raise RuntimeError(f"{changed} rows were spoilt instead of one")
        code_after, said = verify(central)
        print(said.strip(), flush=True)
        for edge in cluster.edges:
            edge.stop()
        cluster.audit()
    print(f"{args.kills} kills; rows: {found}")
    is_good = code == 0 and code_after == 0 and all(found.values()) and found["definitions"] == (2 if args.kills else 1)
    print(f"analytics: {'PASS' if is_good else 'FAIL'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
