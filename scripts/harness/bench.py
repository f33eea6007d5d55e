#!/usr/bin/env python3
"""Where weir stands against what this machine can do: limits first and beside, then T1 to T14: goal | limit | now | ratio.

  scripts/bench [--only T1,T7] [--repeats N] [--scale S] [--keep] [--no-micro]     the whole set, under 15 minutes
  scripts/bench --peers [--tls] [--only nats,redis,mosquitto] [--write-readme]     the same events through other products, in the same run
  scripts/bench --curves [--only connections,size]        cost as work grows, a picture and a table each, in bench/results/

Writes bench/results/TIME.json. --keep: this run's rows become the reference for this kind of machine, with which later runs are compared:
exit 1 when a ratio fell by more than its stated noise. --scale below 1 shortens every part: the figures then only show that it runs.

Seconds, of five repeats: T6 and T7 50 to 85 (each start is waited for, up to 20), T8 30, T13 35 to 55, T10 25, T12 40, T14 60 to 200 (what is written
late is waited for), T9 40, T11 30, T1 and T4 25, T3 20, T2 and T5 40, the limits 6 before and after each part, the small benches 10: 8 to 12 minutes.
More than SECONDS_MAX is said.
"""
import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

import bench_curves
import bench_machine
import bench_peers
import bench_runs
import bench_scaling
import bench_table
from cluster import ROOT

SECONDS_MAX = 900
ALL = [f"T{number}" for number in range(1, 15)]


def build(targets):
    if "WEIR_BIN" in os.environ:  # as a test of a build that is there
        return
    subprocess.run([ROOT / "scripts/build", "release", *targets], check=True, stdout=subprocess.DEVNULL)


def report(result, rows, is_kept):
    path = bench_table.write_result(result)
    print(f"\nwritten: {path.relative_to(ROOT)}")
    if is_kept:
        print(f"reference: {bench_table.keep_as_reference(result).relative_to(ROOT)}")
        return 0
    reference = bench_table.read_reference()
    if reference is None:
        print("no reference for this kind of machine: nothing to compare with (--keep makes one)")
        return 0
    lines = bench_table.fallen(rows, reference)
    for line in lines:
        print(f"FELL  {line}")
    if not lines:
        print("no ratio fell by more than its noise against the reference")
    return 1 if lines else 0


def said_once(said):
    """The last word of each part on what limited it."""
    return {one["key"]: one["limited_by"] for one in said}


def run_targets(args):
    wanted = set(args.only.split(",")) if args.only else set(ALL)
    if wanted - set(ALL):
        raise SystemExit(f"bench: no such target: {', '.join(sorted(wanted - set(ALL)))}")
    build(["weir-edge", "weir-central", "weir-bench", "weir-limits", *([] if args.no_micro or args.only else bench_runs.MICRO)])
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="weir-limits-") as directory:
        limits = bench_machine.Limits(directory, 0.5 * min(1, args.scale))
        limits.measure()
        limits.show()
        bench = bench_runs.Bench(limits, args.scale, args.repeats)

        def show(part, seconds):
            for row in part:
                print(f"  {row.key}: {bench_table.number(row.now()) + ' ' + row.unit if row.is_built else 'not built'}", flush=True)
            print(f"  ({seconds:.0f} s)", flush=True)
            if any(row.values for row in part):
                limits.measure()

        rows = bench_runs.run_all(bench, wanted, show)
        micro = {} if args.no_micro or args.only else bench_runs.micro_benches()
    print()
    bench_table.print_table(rows)
    print("\nlimited by")
    for key, text in said_once(bench.said).items():
        print(f"  {key}: {text}")
    model = bench_scaling.model(bench.stage_ns, limits["hop_round_trip_ns"])
    bench_scaling.show(bench.stage_ns, model)
    took = time.monotonic() - begun
    print(f"\ncores were {limits.hop()}; {took:.0f} s{'' if took <= SECONDS_MAX else f', more than the {SECONDS_MAX} s it may take'}; "
          "medians, each beside its lowest and highest")
    result = {"machine": bench_table.stamp(), "limits": limits.as_json(), "rows": [row.as_json() for row in rows], "runs": bench.said, "micro_ns": micro,
              "stage_ns": bench.stage_ns, "model_of_scaling": model}
    if args.scale != 1:
        print("scaled: not written, not compared")
        return 0
    return report(result, rows, args.keep)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--only", help="comma-separated parts")
    args.add_argument("--repeats", type=int, default=5)
    args.add_argument("--scale", type=float, default=1.0)
    args.add_argument("--keep", action="store_true")
    args.add_argument("--no-micro", action="store_true")
    args.add_argument("--peers", action="store_true")
    args.add_argument("--tls", action="store_true", help="with --peers: every connection over TLS")
    args.add_argument("--write-readme", action="store_true", help="with --peers: its table into README.md, between its marks")
    args.add_argument("--curves", action="store_true")
    args = args.parse_args()
    if (args.tls or args.write_readme) and not args.peers or args.repeats < 1:
        raise SystemExit("bench: --tls and --write-readme go with --peers; --repeats is 1 or more")
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))  # ended from outside: the daemons are, too
    with contextlib.suppress(KeyboardInterrupt):
        if args.peers:
            build(["weir-edge", "weir-central", "weir-bench", "weir-peer"])
            return bench_peers.run(args)
        if args.curves:
            build(["weir-edge", "weir-central", "weir-bench"])
            return bench_curves.run(args)
        return run_targets(args)
    return 130


if __name__ == "__main__":
    sys.exit(main())
