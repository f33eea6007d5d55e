"""The table of scripts/bench --peers: medians and spread of its rounds, whether weir is ahead where it has to be, and the README's sections."""
import dataclasses
import re
import statistics

EQUAL_BELOW = 1.2  # ratios nearer to 1 are equal on a machine that is shared
MEASURED = ("events_per_second", "cpu_s_per_million", "p50_ms", "p99_ms", "p999_ms")


def entry(title, kept, hops, flat, steady, open_rate, is_weir=False):
    """One round of one product. `flat`, `steady`: what its driver reported of both runs, with `cpu_s` of all its processes."""
    latency = steady["latency_us"]
    return {"title": title, "hops": hops, "is_weir": is_weir, "synced": kept, "events_per_second": flat["events_per_second"],
            "cpu_s_per_million": flat["cpu_s"] / flat["sent"] * 1e6, "p50_ms": latency["p50"] / 1000, "p99_ms": latency["p99"] / 1000,
            "p999_ms": latency["p999"] / 1000, "missing": flat["missing"] + steady["missing"],
            "open_rate_held": steady["events_per_second"] > 0.98 * open_rate}


def middle(runs):
    """Each figure's median of its own, and its spread; what is missing anywhere is missing."""
    return {**runs[0], **{key: statistics.median(run[key] for run in runs) for key in MEASURED}, "rounds": len(runs),
            "spread": {key: (min(run[key] for run in runs), max(run[key] for run in runs)) for key in MEASURED},
            "missing": sum(run["missing"] for run in runs), "open_rate_held": all(run["open_rate_held"] for run in runs)}


@dataclasses.dataclass(frozen=True)
class Demand:
    """`key` is to be better at weir's entry than at the peer's. `times`: how much; None: one of both was not measured."""
    what: str
    peer: str
    weir: float | None
    other: float | None
    is_more_better: bool = False

    def times(self):
        if not self.weir or not self.other:
            return None
        return self.weir / self.other if self.is_more_better else self.other / self.weir

    def holds(self):
        return self.times() is not None and self.times() > 1

    def line(self):
        if self.times() is None:
            return f"FAIL  {self.what}, beside {self.peer}: not measured"
        near = f"; equal within {EQUAL_BELOW - 1:.0%}" if 1 / EQUAL_BELOW < self.times() < EQUAL_BELOW else ""
        return (f"{'ok  ' if self.holds() else 'FAIL'}  {self.what}: weir {figure(self.weir)}, {self.peer} {figure(self.other)}: "
                f"{self.times():.2f} times as good{near}")


def figure(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def demands(entries, wanted):
    """`wanted`: title, hops and whether it syncs before it acknowledges, of each peer that was to be measured. Each is held against weir over as many
    hops: events/s and CPU always; p99 where the peer syncs first, or has two hops."""
    mine = {one["hops"]: one for one in entries if one["is_weir"]}
    others = {one["title"]: one for one in entries if not one["is_weir"]}
    asked = []
    for title, hops, is_synced in wanted:
        keys = [("events/s", "events_per_second", True), ("CPU s per million", "cpu_s_per_million", False)]
        if is_synced or hops == 2:
            keys.append(("p99 ms at the open rate", "p99_ms", False))
        asked += [Demand(what, title, mine.get(hops, {}).get(key), others.get(title, {}).get(key), is_more) for what, key, is_more in keys]
    return asked


def faults_of_weir(entries):
    """What makes weir's own figures worth nothing."""
    lines = []
    for one in entries:
        if one["is_weir"] and one["missing"]:
            lines.append(f"FAIL  {one['title']}: {one['missing']} events were not acknowledged")
        if one["is_weir"] and not one["open_rate_held"]:
            lines.append(f"FAIL  {one['title']}: the open rate was not held")
    return lines


def with_spread(value, spread, form):
    """The median, and in brackets the lowest and the highest, where there are several."""
    low, high = (form.format(one) for one in spread)
    return form.format(value) + ("" if low == high else f" ({low}–{high})")


def table(entries, open_rate):
    """Markdown: by hops, the fastest first."""
    rounds = max(one["rounds"] for one in entries)
    lines = [f"| what | hops | events/s, thousands | CPU s per million | p50 ms at {open_rate:,}/s | p99 ms | p99.9 ms | synced before ack? |",
             "|---|---|---|---|---|---|---|---|"]
    for one in sorted(entries, key=lambda one: (one["hops"], -one["events_per_second"])):
        thousands = with_spread(one["events_per_second"] / 1000, [value / 1000 for value in one["spread"]["events_per_second"]], "{:.0f}")
        cells = [f"**{one['title']}**" if one["is_weir"] else one["title"], str(one["hops"]), thousands,
                 *(with_spread(one[key], one["spread"][key], "{:.2f}") for key in MEASURED[1:]), one["synced"]]
        if not one["open_rate_held"]:
            cells[4] += ", rate not held"
        if one["rounds"] < rounds:
            cells[0] += f" ({one['rounds']} of {rounds} rounds)"
        if one["missing"]:
            cells[-1] += f"; {one['missing']} never came"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def section(entries, asked, machine, versions, open_rate):
    """What goes between the README's marks."""
    missed = [f"{one.what} beside {one.peer}" for one in asked if not one.holds()]
    rounds = max(one["rounds"] for one in entries)
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    verdict = f"weir is ahead in all {len(asked)} comparisons asked for." if not missed else \
        f"weir is ahead in {len(asked) - len(missed)} of {len(asked)} comparisons asked for; not in: {'; '.join(missed)}."
    return (f"{table(entries, open_rate)}\n\n{machine['time'][:10]}, {machine['kind']}, commit {machine['commit']}{' and changes' if machine['is_changed'] else ''}; "
            f"{told}. Medians of {rounds} round{'s' if rounds != 1 else ''}, in brackets the lowest and the highest. {verdict}")


def marks(kind):
    return f"<!-- scripts/bench --peers, {kind}: begin -->", f"<!-- scripts/bench --peers, {kind}: end -->"


def with_section(text, kind, content):
    """`text` with what stands between the marks of this kind replaced; the marks must be there, once each and in order."""
    begin, end = marks(kind)
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"no place for it: {begin} ... {end}")
    return re.sub(re.escape(begin) + ".*" + re.escape(end), lambda _: f"{begin}\n{content}\n{end}", text, flags=re.DOTALL)
