#!/usr/bin/env python3
"""Holds core/metrics/METRICS.md against what a running edge and a running central say, in both directions, and both against promtool.

  scripts/metrics [--io auto|uring|epoll] [--spoil]

The pair is set up so that every condition of the table holds: TLS on every port, tables, operators, a sink, a held lane, an event of each fate. What
is said and not in the table is printed as the row that it wants. --spoil takes a row out of the table and puts one in: it must fail.
"""
import argparse
import pathlib
import shutil
import subprocess
import sys

from cluster import Cluster, ask, input_file, wait_for
from metrics_table import DAEMONS, Metric, read_scrape, read_table, rule_faults

EDGE = '[tables]\n[[tables.use]]\nname = "offence"\ncolumns = ["fine:integer"]\n' \
    '[[tables.use]]\nname = "vehicle"\nkeep = "cached"\ncolumns = ["fine:integer"]\n'
CENTRAL = """
[[tables]]
name = "offence"
file = "TABLE"
[[windows]]
name = "seconds"
length_s = 1
[[sinks]]
name = "hook"
kind = "log"
"""


class Checks:
    def __init__(self):
        self.failed = 0

    def expect(self, what, is_so, detail=""):
        print(("ok    " if is_so else "FAIL  ") + what + ("" if is_so else f": {detail}"), flush=True)
        self.failed += not is_so


def scrape(daemon):
    with ask(daemon.admin_port, "/metrics", timeout=10) as answer:
        return answer.read().decode()


def hold(central, lane):
    with ask(central.admin_port, f"/api/v1/lanes/{lane}/hold", method="POST"):
        pass


def row_of(name, kind, labels, meaning):
    """As METRICS.md wants it; the unit is for who adds it to say."""
    return Metric(name, kind, "?", labels, meaning, "").row()


def compare(checks, daemon, said, table):
    own = {name: metric for name, metric in table.items() if name.startswith(f"weir_{daemon}_")}
    missing = "\n".join(row_of(name, kind, labels, meaning) for name, (kind, labels, _, meaning) in said.items() if name not in own)
    checks.expect(f"{daemon}: each of its {len(said)} metrics is in the table", not missing, "\n" + missing)
    never = sorted(own.keys() - said.keys())
    checks.expect(f"{daemon}: each of the table's {len(own)} appears", not never, never)
    wrong = []
    for name in own.keys() & said.keys():
        kind, labels, shapes, meaning = said[name]
        if (kind, labels, meaning) != (own[name].kind, own[name].labels, own[name].meaning) or shapes != 1:
            wrong.append(f"{row_of(name, kind, labels, meaning)}{' (labels differ between its values)' if shapes != 1 else ''}")
    checks.expect(f"{daemon}: types, labels and meanings are those of the table", not wrong, "\n" + "\n".join(wrong))
    faults = [f"{name}: {fault}" for name, metric in own.items() for fault in rule_faults(metric)]
    checks.expect(f"{daemon}: every name follows the rule", not faults, faults)


def check_by_promtool(checks, daemon, text):
    if not shutil.which("promtool"):
        print("skip  promtool is not here (package prometheus; scripts/setup --check installs it)")
        return
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    checks.expect(f"{daemon}: promtool check metrics", done.returncode == 0 and not done.stderr, done.stdout + done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    parser.add_argument("--spoil", action="store_true")
    args = parser.parse_args()
    table = read_table()
    if args.spoil:
        del table["weir_edge_offered_events_total"]
        table["weir_central_never_total"] = Metric("weir_central_never_total", "counter", "never", frozenset(), "Never", "")
    checks = Checks()
    cluster = Cluster(["north"], io=args.io, edge_extra=EDGE, central_extra=CENTRAL, is_tls=True, is_admin_tls=True)
    file = pathlib.Path(cluster.directory) / "offence.csv"
    file.write_text("key,fine\n1,36\n")
    cluster.central.config.write_text(cluster.central.config.read_text().replace("TABLE", str(file)))
    with cluster:
        cluster.finish([cluster.send(0, cluster.split_input(input_file(), 200)[0])])
        hold(cluster.central, "meters")
        wait_for("the edge has central's table", lambda: cluster.edges[0].metric("weir_edge_table_rows") == 1)
        for daemon, text in zip(DAEMONS, (scrape(cluster.edges[0]), scrape(cluster.central))):
            compare(checks, daemon, read_scrape(text), table)
            check_by_promtool(checks, daemon, text)
    print(f"metrics: {'FAIL' if checks.failed else 'PASS'}: {len(table)} names", flush=True)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
