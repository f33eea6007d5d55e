"""core/metrics/METRICS.md as data: what there is to read of a daemon, and the rule its names follow."""
import re
import typing

from cluster import ROOT

TABLE = ROOT / "core/metrics/METRICS.md"
DAEMONS = ("edge", "central")
NAME = re.compile(r"\bweir_(?:edge|central)_[a-z0-9_]+\b")
# Of a measured quantity the unit ends the name; of things counted the name holds what is counted.
UNITS = ("seconds", "bytes", "ratio", "errno", "bytes_per_second")
# What is no quantity: its meaning says which number is what.
NO_UNIT = ("0 or 1", "state", "number")


class Metric(typing.NamedTuple):
    name: str
    kind: str
    unit: str
    labels: frozenset
    meaning: str
    when: str

    def row(self):
        labels = ", ".join(f"`{label}`" for label in sorted(self.labels))
        return f"| `{self.name}` | {self.kind} | {self.unit} | {labels} | {self.meaning} | {self.when} |"


def read_table():
    """By name; a row of weir_* is one for each daemon."""
    metrics = {}
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| `weir_"):
            continue
        if len(cells) != 6:
            raise ValueError(f"{TABLE.name}: not six cells: {line}")
        named = cells[0].strip("`")
        for name in [named.replace("*", daemon, 1) for daemon in DAEMONS] if "*" in named else [named]:
            if name in metrics:
                raise ValueError(f"{TABLE.name}: {name} stands there twice")
            metrics[name] = Metric(name, cells[1], cells[2], frozenset(re.findall(r"`(\w+)`", cells[3])), cells[4], cells[5])
    return metrics


def read_scrape(text):
    """Name to (kind, labels, help), as a scrape says it; buckets, sums and counts are their histogram's."""
    kinds, helps, labels = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, _, said = line[7:].partition(" ")
            helps[name] = said
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            kinds[name] = kind
        elif line:
            name = re.match(r"[a-zA-Z0-9_:]+", line)[0]
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            name = base if kinds.get(base) == "histogram" else name
            found = frozenset(re.findall(r'(\w+)="(?:[^"\\]|\\.)*"', line[len(name):])) - {"le"}
            labels.setdefault(name, set()).add(found)
    return {name: (kinds.get(name), frozenset().union(*sets), len(sets), helps.get(name, "")) for name, sets in labels.items()}


def rule_faults(metric):
    """What of the rule for names (METRICS.md) it breaks."""
    faults = []
    stem = metric.name
    if (metric.kind == "counter") != stem.endswith("_total"):
        faults.append("a counter, and nothing else, ends in _total")
    stem = re.sub(r"_(total|max)$", "", re.sub(r"_total$", "", stem))
    if metric.unit in UNITS and not stem.endswith("_" + metric.unit):
        faults.append(f"does not end in its unit, {metric.unit}")
    if metric.unit not in (*UNITS, *NO_UNIT) and not re.search(rf"_{metric.unit or 'any'}(_|$)", stem):
        faults.append(f"does not say what is counted: {metric.unit}")
    if metric.unit in NO_UNIT and metric.kind != "gauge":
        faults.append("only a gauge can be without a unit")
    if re.search(r"_(ms|us|ns|milliseconds|microseconds|nanoseconds|percent|kilobytes|mib)(_|$)", stem):
        faults.append("is not in a base unit")
    return faults
