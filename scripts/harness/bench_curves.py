"""Cost as work grows: one curve for each thing of which there may be more; a picture and a table each, under bench/results/curves/.

The cost is CPU of the edge (and of central) for an event at a moderate rate, so that what else the machine does moves it little; latency is that of the
same run. got_rate says whether the rate was held.
"""
import subprocess
import time

import bench_machine as machine
import bench_runs
import bench_table
from cluster import BIN, Cluster

RATE = 100_000
BATCHES = 192


def rules_of(count):
    """Of every event the first ones are asked, and none fails."""
    return "".join(f'[[rules]]\ntypes = ["*"]\nmust = \'len(type) > 0 && key != "nobody-{number}"\'\n' for number in range(count))


def lanes_of(count):
    """The events come from one source each lane; the route asks for it."""
    lanes = "".join(f'[[lanes]]\nname = "lane-{number}"\n' for number in range(count))
    return lanes + "".join(f'[[routes]]\nlane = "lane-{number}"\nkeys = ["key-{number:010d}"]\n' for number in range(count))


# name: (steps, title of x, kind of x, configuration of the edge, arguments of the load, rate)
CURVES = {
    "connections": ([1, 10, 100, 1_000, 10_000], "producers connected at once", "number",
                    lambda step: f"connections_max = {max(1024, 2 * step)}\n", lambda step: ["--connections", str(step)], lambda _: RATE),
    "keys": ([1_000, 10_000, 100_000, 1_000_000, 10_000_000], "different keys", "number", lambda step: "",
             lambda step: ["--keys", str(step)], lambda _: RATE),
    "lanes": ([1, 4, 16, 60], "lanes, events spread over all", "number", lambda step: "LANES " + lanes_of(step),
              lambda step: ["--keys", str(step)], lambda _: RATE),
    "rules": ([1, 4, 16, 64, 256], "rules, each asked of every event", "number", lambda step: "RULES " + rules_of(step), lambda step: [],
              lambda _: RATE),
    "size": ([64, 256, 1_024, 4_096, 16_384, 65_536], "bytes of a payload", "bytes", lambda step: "",
             lambda step: ["--payload-bytes", str(step)], lambda step: max(500, min(RATE, 20_000_000 // step))),
}


def cluster_of(extra):
    """`listen` keys go into that table, tables to the end."""
    kind, _, rest = extra.partition(" ") if extra.startswith(("LANES ", "RULES ")) else ("", "", extra)
    if kind:  # every lane needs a batch of its own
        return Cluster(["bench"], edge_extra=bench_runs.EDGE + f"batches_max = {BATCHES}\n" + rest)
    cluster = Cluster(["bench"], edge_extra=bench_runs.EDGE)
    config = cluster.edges[0].config
    config.write_text(config.read_text().replace("[listen]\n", "[listen]\n" + rest))
    return cluster


def point(bench, step, extra, arguments, rate):
    with cluster_of(extra) as cluster:
        pids = [cluster.edges[0].process.pid, cluster.central.process.pid]
        payload = arguments[1] if arguments[:1] == ["--payload-bytes"] else bench_runs.PAYLOAD_BYTES
        rest = [] if arguments[:1] == ["--payload-bytes"] else arguments
        bench.load(cluster, *rest, seconds=0.5, warm_s=0, rate=rate, payload=payload)
        before = [machine.cpu_seconds(pid) for pid in pids]
        report = bench.load(cluster, *rest, seconds=3, warm_s=0, rate=rate, payload=payload)
        cluster.wait_until_delivered()
        costs = [(machine.cpu_seconds(pid) - was) / report["offered"] * 1e9 for pid, was in zip(pids, before)]
        memory = machine.memory_bytes(pids[0]) / (1 << 20)
    return {"step": step, "edge_ns": costs[0], "central_ns": costs[1], "p50_us": report["latency_us"]["p50"], "p99_us": report["latency_us"]["p99"],
            "edge_mib": memory, "rate": rate, "got_rate": report["events_per_second"], "event_bytes": report["event_bytes"]}


def edges_curve(scale):
    """Many edges at one central: what central spends for an event, and how long until all is acked."""
    points = []
    for count in (1, 10, 100, 1_000):
        batches = max(1, int(2_000 * scale) // count)
        cluster = Cluster([], central_extra=f"connections_max = {max(1024, 2 * count)}\n")
        with cluster:
            pid = cluster.central.process.pid
            port = int(cluster.central.config.read_text().partition('edges = "127.0.0.1:')[2].partition('"')[0])
            before = machine.cpu_seconds(pid)
            subprocess.run([BIN / "weir-bench", "edges", "--to", f"127.0.0.1:{port}", "--count", str(count), "--batches", str(batches), "--events", "500",
                            "--payload-bytes", bench_runs.PAYLOAD_BYTES, "--json"], stdout=subprocess.DEVNULL, check=True, timeout=120)
            events = count * batches * 500
            points.append({"step": count, "central_ns": (machine.cpu_seconds(pid) - before) / events * 1e9,
                           "central_mib": machine.memory_bytes(pid, "VmHWM") / (1 << 20)})
    return points


def draw(folder, name, x_title, x_kind, y_title, y_kind, columns, points, title, subtitle, is_y_log=False):
    table = "\t".join(["x", *columns]) + "\n"
    for one in points:
        table += "\t".join(str(one[key]) for key in ["step", *columns.values()]) + "\n"
    command = [BIN / "weir-bench", "chart", "--title", title, "--subtitle", subtitle, "--x-title", x_title, "--x-kind", x_kind, "--y-title", y_title, "--y-kind",
               y_kind, "--x-log", *(["--y-log"] if is_y_log else [])]
    done = subprocess.run(command, input=table, stdout=subprocess.PIPE, text=True, check=True)
    (folder / f"{name}.svg").write_text(done.stdout)


def markdown(points):
    names = list(points[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(bench_table.number(one[name]) if name != "step" else f"{one[name]:,}" for name in names) + " |" for one in points])


def run(args):
    wanted = args.only.split(",") if args.only else [*CURVES, "edges"]
    bench = bench_runs.Bench(None, args.scale, 1)
    texts, said = [], bench_table.stamp()
    folder = bench_table.RESULTS / ("curves" if args.scale == 1 else "curves-scaled")  # the latter show only that it runs
    folder.mkdir(parents=True, exist_ok=True)
    for name in wanted:
        begun = time.monotonic()
        if name == "edges":
            points = edges_curve(args.scale)
            draw(folder, "edges-cost", "edges at one central", "number", "ns of CPU an event", "number", {"central": "central_ns"}, points,
                 "What an event costs central, by edges", said["kind"])
            draw(folder, "edges-memory", "edges at one central", "number", "MiB", "number", {"central's largest memory": "central_mib"}, points,
                 "Central's memory, by edges", said["kind"])
        else:
            steps, x_title, x_kind, extra, arguments, rate = CURVES[name]
            points = [point(bench, step, extra(step), arguments(step), rate(step)) for step in steps]
            subtitle = f"{said['kind']}; at {points[0]['rate']:,} to {points[-1]['rate']:,} events/s; delivered, both disks synced"
            draw(folder, f"{name}-cost", x_title, x_kind, "ns of CPU an event", "number", {"edge": "edge_ns", "central": "central_ns"}, points,
                 f"What an event costs, by {name}", subtitle)
            draw(folder, f"{name}-latency", x_title, x_kind, "latency until delivered", "microseconds", {"p50": "p50_us", "p99": "p99_us"}, points,
                 f"Latency, by {name}", subtitle, is_y_log=True)
        texts.append(f"## {name}\n\n{markdown(points)}\n")
        print(f"{texts[-1]}({time.monotonic() - begun:.0f} s)\n", flush=True)
    if args.scale == 1:
        (folder / "README.md").write_text(f"# Cost as work grows\n\n{said['kind']}, {said['time']}, commit {said['commit']}\n\n" + "\n".join(texts))
    print(f"pictures: {folder}")
    return 0
