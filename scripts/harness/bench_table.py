"""Rows of a bench: goal | limit | now | ratio; kept as JSON with the machine they are of, and compared with an earlier run's."""
import dataclasses
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import time

from cluster import ROOT

RESULTS = ROOT / "bench/results"
NOISE_MIN = 0.20  # differences below it are equal on a machine that is shared (the hosts move the cores within minutes)


@dataclasses.dataclass
class Row:
    """`values`: one for each repetition. `is_more_better`: the ratio is now / limit, else limit / now; 1 is all the machine can give."""
    key: str
    what: str
    unit: str
    values: list = dataclasses.field(default_factory=list)
    is_more_better: bool = True
    gate: float | None = None
    goal: float | None = None
    limit: float | None = None
    noise: float = NOISE_MIN
    note: str = ""
    is_built: bool = True

    def now(self):
        return statistics.median(self.values) if self.values else None

    def ratio(self):
        if not self.values or not self.limit or not self.now():
            return None
        return self.now() / self.limit if self.is_more_better else self.limit / self.now()

    def noise_stated(self):
        """What the repetitions themselves show, if that is more; of five, one may lie apart."""
        if len(self.values) < 3 or not self.now():
            return self.noise
        ordered = sorted(self.values)
        inner = ordered[1:-1] if len(ordered) >= 5 else ordered
        return max(self.noise, (inner[-1] - inner[0]) / self.now())

    def verdict(self):
        if not self.is_built:
            return "not built"
        if self.now() is None:
            return "not measured"
        for name, bound in (("goal", self.goal), ("gate", self.gate)):
            if bound is not None and (self.now() >= bound if self.is_more_better else self.now() <= bound):
                return name
        return "" if self.goal is None and self.gate is None else "missed"

    def as_json(self):
        return {**dataclasses.asdict(self), "now": self.now(), "ratio": self.ratio(), "noise_stated": self.noise_stated(),
                "verdict": self.verdict()}


def number(value):
    if value is None:
        return "-"
    if value == 0:
        return "0"
    digits = 3 - 1 - math.floor(math.log10(abs(value)))
    if abs(value) >= 1e6:
        return f"{value / 1e6:.2f}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:.0f}k"
    return f"{value:.{min(max(0, digits), 4)}f}"


def print_table(rows):
    head = f"{'':<10} {'what':<50} {'unit':<12} {'gate':>8} {'goal':>8} {'limit':>8} {'now':>8} {'lowest':>8} {'highest':>8} {'ratio':>6}"
    print(head)
    print("-" * len(head))
    for row in rows:
        if not row.is_built:
            print(f"{row.key:<10} {row.what:<50} not built{': ' + row.note if row.note else ''}")
            continue
        spread = (min(row.values), max(row.values)) if row.values else (None, None)
        ratio = row.ratio()
        print(f"{row.key:<10} {row.what:<50} {row.unit:<12} {number(row.gate):>8} {number(row.goal):>8} {number(row.limit):>8} "
              f"{number(row.now()):>8} {number(spread[0]):>8} {number(spread[1]):>8} {'-' if ratio is None else f'{ratio:.2f}':>6}  "
              f"{row.verdict()}{'  (' + row.note + ')' if row.note else ''}")


def machine_kind():
    """What a reference is for: processor, cores and kernel series; nothing that names one machine."""
    model = next((line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    words = "-".join(model.lower().replace("(r)", "").replace("(tm)", "").split()[:4])
    series = ".".join(platform.release().split(".")[:2])
    return "".join(c if c.isalnum() or c in "-." else "-" for c in f"{words}-{len(os.sched_getaffinity(0))}-cores-linux-{series}")


def stamp():
    def told(*command):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    memory = next(int(line.split()[1]) for line in pathlib.Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    return {"kind": machine_kind(), "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "memory_gib": round(memory / (1 << 20), 1), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "commit": told("git", "rev-parse", "--short=12", "HEAD"), "is_changed": bool(told("git", "status", "--porcelain", "-uno"))}


def reference_path():
    return RESULTS / f"reference-{machine_kind()}.json"


def read_reference():
    path = reference_path()
    return json.loads(path.read_text()) if path.exists() else None


def write_result(result):
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{result['machine']['time'].replace(':', '')}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def keep_as_reference(result):
    """Rows of this run take the place of their namesakes; the others stay as they were, with the machine that each is of."""
    reference = read_reference() or {"rows": [], "machine": result["machine"]}
    fresh = [{**row, "measured": result["machine"]["time"], "commit": result["machine"]["commit"]} for row in result["rows"]]
    keys = {row["key"] for row in fresh}
    rows = [row for row in reference["rows"] if row["key"] not in keys] + fresh
    rows.sort(key=lambda row: [int(part) if part.isdigit() else part for part in row["key"].replace("T", "").replace("-", " ").split()])
    machine = {key: result["machine"][key] for key in ("kind", "cores", "kernel", "memory_gib")}
    reference_path().write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    return reference_path()


def score(row):
    """What is compared with an earlier run: the ratio; where there is no limit, the figure itself, the more the better."""
    if row["ratio"] is not None or row["now"] is None:
        return row["ratio"]
    return row["now"] if row["is_more_better"] else 1 / row["now"] if row["now"] else None


def fallen(rows, reference):
    """What fell by more than the noise that either run states: lines of text."""
    was = {row["key"]: row for row in (reference or {"rows": []})["rows"]}
    lines = []
    for row in rows:
        before, now = was.get(row.key), score(row.as_json())
        then = score(before) if before else None
        if then and row.is_built and row.now() is None:
            lines.append(f"{row.key}: was {number(before['now'])} {row.unit}, and is not measured any more")
        if now is None or not then:
            continue
        noise = max(row.noise_stated(), before["noise_stated"])
        if now < then * (1 - noise):
            lines.append(f"{row.key} {row.what}: {number(row.now())} {row.unit}, was {number(before['now'])}: {now / then:.2f} of what it was against the limit, "
                         f"noise {noise * 100:.0f} %")
    return lines
