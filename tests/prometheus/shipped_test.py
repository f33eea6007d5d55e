#!/usr/bin/env python3
"""The shipped dashboard and alerting rules: every metric they read is in METRICS.md, every expression is one, every rule says what to do
and has a case, and every case fails when its rule is broken in any of three ways."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "scripts/harness"))
from metrics_table import NAME, read_table  # noqa: E402

RULES = ROOT / "central/prometheus/rules.yaml"
CASES = ROOT / "central/prometheus/rules.test.yaml"
DASHBOARD = ROOT / "central/grafana/weir.json"
VARIABLES = {"$__rate_interval": "5m", "$edge": ".*", "$central": ".*"}
TOPICS = ("Rates", "Lag", "Latency", "Lanes", "Alerts", "Dead letters", "Disk", "Security")

faults = []


def expect(what, is_so, detail=""):
    print(("ok    " if is_so else "FAIL  ") + what + ("" if is_so else f": {detail}"), flush=True)
    if not is_so:
        faults.append(what)


def blocks(text, begin):
    """The text of each entry that begins with this line, by its name; an entry ends where a line is indented less, or as much."""
    found = {}
    for match in re.finditer(rf"^( *)- {begin}: (.+)\n((?:\1 .*\n|\n)*)", text, re.MULTILINE):
        found[match[2]] = match[0].rstrip("\n") + "\n"
    return found


def promtool(*arguments):
    """What it said, in the order in which it said it."""
    done = subprocess.run(["promtool", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout


def check_names(table):
    histograms = {name + end for name, metric in table.items() if metric.kind == "histogram" for end in ("_bucket", "_sum", "_count")}
    for path in (RULES, CASES, DASHBOARD):
        names = set(NAME.findall(path.read_text()))
        unknown = sorted(names - table.keys() - histograms)
        expect(f"{path.name}: its {len(names)} metrics are in METRICS.md", names and not unknown, unknown)


def dashboard_expressions():
    board = json.loads(DASHBOARD.read_text())
    panels = board["panels"]
    expect("dashboard: no panel has another's number", len({panel["id"] for panel in panels}) == len(panels))
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    expect("dashboard: a row for each topic", not set(TOPICS) - set(rows), rows)
    empty = [panel["title"] for panel in panels if panel["type"] != "row" and not all(one["expr"] for one in panel["targets"] or [{"expr": ""}])]
    expect("dashboard: every panel asks something", not empty, empty)
    for panel in panels:
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in VARIABLES.items():
                expression = expression.replace(name, value)
            yield expression


def check_words(rules):
    wanted = (r"severity: (critical|warning|info)\b", r'summary: ".+"', r'action: ".+"', r"expr: .+")
    bad = [name for name, text in rules.items() if not all(re.search(one, text) for one in wanted)]
    expect(f"rules: all {len(rules)} have a severity, a summary and an action", rules and not bad, bad)


def broken(rule):
    """What a mistake makes of it: it never fires, it fires at once, it always fires."""
    hasty = re.sub(r"^ *for: .*\n", "", rule, flags=re.MULTILINE)
    yield "never", re.sub(r"expr: .*", "expr: vector(0) == 1", rule)
    yield "always", re.sub(r"expr: .*", "expr: vector(1)", hasty)
    if hasty != rule:
        yield "at once", hasty


def check_cases(rules, cases, work):
    """One run of promtool over a file for each rule and way to break it, and one for the rule as it is."""
    files = {}

    def put(name, way, text):
        stem = work / f"{name}-{way.replace(' ', '-')}"
        stem.with_suffix(".rules.yaml").write_text("groups:\n  - name: one\n    rules:\n" + text)
        test = stem.with_suffix(".test.yaml")
        test.write_text(f"rule_files: [{stem.name}.rules.yaml]\nevaluation_interval: 1m\ntests:\n" + cases[name])
        files[str(test)] = (name, way)

    for name, text in rules.items():
        put(name, "whole", text)
        for way, spoilt in broken(text):
            put(name, way, spoilt)
    said = promtool("test", "rules", *files)
    verdicts = dict(re.findall(r"^Unit Testing: +(\S+)\n((?:(?!Unit Testing).*\n?)*)", said, re.MULTILINE))
    unseen, unwell = [], []
    for path, (name, way) in files.items():
        verdict = verdicts.get(path, "")
        if way == "whole" and "SUCCESS" not in verdict:
            unwell.append(f"{name}: {verdict}")
        # Because of what it found, and not because it could not read the file.
        if way != "whole" and not re.search(r"FAILED:\s.*\bexp:", verdict, re.DOTALL):
            unseen.append(f"{name}, {way}: {verdict}")
    expect(f"rules: {len(rules)} cases hold for the rules alone", not unwell, unwell)
    expect(f"rules: {len(files) - len(rules)} broken rules fail their cases", not unseen, unseen)


def main():
    table = read_table()
    check_names(table)
    rules, cases = blocks(RULES.read_text(), "alert"), blocks(CASES.read_text(), "name")
    check_words(rules)
    without = sorted(rules.keys() - cases.keys())
    expect("rules: each has a case of its name", not without, without)
    expressions = list(dashboard_expressions())
    if not shutil.which("promtool"):
        print("skip  promtool is not here (package prometheus; scripts/setup --check installs it)")
        return 1 if faults else 0
    with tempfile.TemporaryDirectory(prefix="weir-") as directory:
        work = pathlib.Path(directory)
        records = "".join(f"      - record: dashboard:{index}\n        expr: {json.dumps(one)}\n" for index, one in enumerate(expressions))
        asked = work / "dashboard.yaml"
        asked.write_text("groups:\n  - name: dashboard\n    rules:\n" + records)
        said = promtool("check", "rules", asked)
        expect(f"dashboard: its {len(expressions)} expressions are ones", f"SUCCESS: {len(expressions)} rules found" in said, said)
        said = promtool("check", "rules", "--lint-fatal", RULES)
        expect("rules: promtool check rules", f"SUCCESS: {len(rules)} rules found" in said, said)
        said = promtool("test", "rules", CASES)
        expect("rules: promtool test rules", "SUCCESS" in said and "FAILED" not in said, said)
        if not without:
            check_cases(rules, cases, work)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
