#!/usr/bin/env python3
"""Instructions per event of small fixed pieces of the hot path (build/release/bin/weir-cost), counted by callgrind, beside those of
bench/baseline.json: a piece that has become more than `tolerance` dearer fails.

  scripts/cost [--update] [--top N] [WORKLOAD...]

Counts do not depend on how busy or how fast the machine is, but on the compiler: with another one than the baseline's nothing is
compared, and that is said. --update writes the baseline; --top N shows where the instructions go. Exit 1: a piece is too dear.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASELINE = ROOT / "bench" / "baseline.json"
TOLERANCE = 0.05


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def count(program, workload, top):
    """Instructions per event, and how many events there were."""
    with tempfile.TemporaryDirectory() as directory:
        out = pathlib.Path(directory) / "callgrind.out"
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=weir_cost_measured",
             f"--callgrind-out-file={out}", program, workload], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"cost: {workload}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        events = int(re.search(r"^(\d+) events", done.stdout, re.M).group(1))
        instructions = int(re.search(r"Collected\s*:\s*(\d+)", done.stderr).group(1))
        if top:
            shown = output_of("callgrind_annotate", "--threshold=100", "--auto=no", str(out)).splitlines()
            lines = [line for line in shown if re.match(r"\s*[\d,]+ \(", line)]
            for line in lines[1:top + 1]:
                self_count = int(line.split()[0].replace(",", ""))
                name = re.sub(r"^.*?\)\s+", "", line.strip())
                name = re.sub(r"\[.*?\]", "", name.split(":", 1)[-1] if "/" in name.split(":", 1)[0] else name)
                print(f"    {self_count / events:9.1f}  {name[:110]}")
        return instructions / events, events


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--update", action="store_true")
    arguments.add_argument("--top", type=int, default=0)
    arguments.add_argument("--program", default=str(ROOT / "build" / "release" / "bin" / "weir-cost"))
    arguments.add_argument("workloads", nargs="*")
    args = arguments.parse_args()
    if shutil.which("valgrind") is None:
        print("cost: skipped: valgrind is not installed (scripts/setup --check)")
        return 0
    compiler = output_of(args.program, "--compiler")
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {"compiler": compiler, "instructions_per_event": {}}
    is_compared = baseline["compiler"] == compiler
    if not is_compared and not args.update:
        print(f"cost: nothing is compared: the baseline is of {baseline['compiler']}, this is {compiler}")
    print(f"{'instructions per event':<24}{'now':>10}{'baseline':>10}{'change':>9}")
    found, too_dear = {}, []
    for workload in args.workloads or output_of(args.program, "--list").split():
        now, _ = count(args.program, workload, args.top)
        found[workload] = round(now, 1)
        before = baseline["instructions_per_event"].get(workload)
        change = now / before - 1 if before else 0.0
        print(f"{workload:<24}{now:>10.1f}{before if before else '-':>10}{change:>+9.1%}")
        if before is None and not args.update:
            print(f"cost: {workload} has no baseline and is not compared (scripts/cost --update)")
        elif before and change > TOLERANCE:
            too_dear.append(f"{workload}: {before} -> {now:.1f} instructions per event ({change:+.1%})")
    if args.update:
        pieces = {**baseline["instructions_per_event"], **found} if is_compared else found
        BASELINE.write_text(json.dumps({"compiler": compiler, "instructions_per_event": pieces}, indent=2) + "\n")
        print(f"cost: {BASELINE.relative_to(ROOT)} written")
        return 0
    if is_compared and too_dear:
        print("cost: dearer than the baseline by more than 5 %:\n  " + "\n  ".join(too_dear))
        print("cost: if that is meant, say why and run scripts/cost --update")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
