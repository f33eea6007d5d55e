"""T1 to T14: each from real processes on loopback, every disk synced, every ledger looked at afterwards."""
import contextlib
import json
import os
import re
import subprocess
import time

import bench_machine as machine
from bench_table import Row
from cluster import BIN, Cluster

PAYLOAD_BYTES = "30"  # makes events of about 200 bytes
EDGE = "[spool]\nbytes_max = 17179869184\n"
MEMORY_LANE = '[[lanes]]\nname = "default"\nclass = "best_effort"\nspool = "memory"\n'
TWO_RUNNERS = '[runtime]\nthread_plan = "floating"\n'  # also where there are two cores
FLAT_OUT_S, FLAT_OUT_WARM_S, OPEN_RATE = 2.0, 0.5, 10_000  # flat out a second writes 2 GB
NOISE_P50, NOISE_P99 = 0.3, 0.6  # the tail of a virtual disk is its host's
CHECKPOINTS_BYTES = 1 << 20  # may come at any time
MICRO = ["bench_ring", "bench_rules", "bench_wire", "bench_at_rest", "bench_analytics"]


class Bench:
    """`scale`: of every duration; below 1 the figures only show that it runs."""

    def __init__(self, limits, scale, repeats):
        self.limits, self.scale, self.repeats, self.said = limits, scale, repeats, []
        self.stage_ns = {}  # ns_by_stage()

    def load(self, cluster, *arguments, seconds, warm_s=0.5, ack="delivered", rate="max", payload=PAYLOAD_BYTES, prefix=()):
        command = [*prefix, BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--rate", str(rate), "--ack", ack,
                   "--payload-bytes", payload, "--seconds", f"{max(0.2, seconds * self.scale):.2f}", "--warmup-s", f"{warm_s * self.scale:.2f}",
                   "--timeout-s", "60", "--json", "--edge-admin", f"127.0.0.1:{cluster.edges[0].admin_port}", *map(str, arguments)]
        if cluster.central.process is not None:
            command += ["--central-admin", f"127.0.0.1:{cluster.central.admin_port}"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        cluster.senders.append(process)
        return cluster.finish([process])[0]

    def settle(self, cluster):
        """What a start prepares on the disk is no part of a latency."""
        if self.scale == 1:
            wait_until_written(*(one.process.pid for one in (cluster.edges[0], cluster.central) if one.process is not None))

    def say(self, key, report):
        self.said.append({"key": key, "events_per_second": report["events_per_second"], "limited_by": report["limited_by"],
                          "latency_us": report["latency_us"], "busy": report["busy"], "machine_share": report["machine_share"],
                          "sent_late_us": report["sent_late_us"]})

    @contextlib.contextmanager
    def cluster(self, edge_extra=EDGE, central_extra="", has_central=True, launcher=()):
        one = Cluster(["bench"], edge_extra=edge_extra, central_extra=central_extra, launcher=launcher)
        if has_central:
            with one:
                yield one
                one.wait_until_delivered()
                for daemon in (one.edges[0], one.central):
                    check_residue(daemon)
            return
        try:
            one.edges[0].start()
            yield one
            check_residue(one.edges[0])
        finally:
            one.__exit__(None, None, None)


def check_residue(daemon):
    ledger = daemon.ledger()
    if ledger.get("totals", ledger)["residue"] != 0:
        raise RuntimeError(f"the ledger of {daemon.name} does not close: {ledger}")


def is_taken(edge_extra):
    """Whether this edge knows such a configuration: a feature that is not built is refused by its name."""
    cluster = Cluster(["bench"], edge_extra=edge_extra)
    try:
        done = subprocess.run([BIN / "weir-edge", "check", cluster.edges[0].config], capture_output=True, check=False)
        return done.returncode == 0
    finally:
        cluster.__exit__(None, None, None)


def t1_t4(bench):
    """Flat out, durable at both ends; and what that costs the two daemons."""
    limits = bench.limits
    rows = [Row("T1", "durable end to end, delivered", "events/s", gate=1.0e6, goal=2.0e6,
                limit=min(limits["composed_forward_per_second"], limits["append_1m_x4_bytes_per_second"] / (2 * limits["event_bytes"])),
                note="limit: the disk, or the forwarding bound"),
            Row("T4", "CPU of edge and central, a million events", "s", is_more_better=False, gate=1.5, goal=0.8,
                limit=(limits["composed_cpu_ns"] + limits["composed_forward_cpu_ns"]) / 1000)]
    with bench.cluster() as cluster:
        daemons = [cluster.edges[0], cluster.central]
        bench.load(cluster, seconds=1)
        for _ in range(bench.repeats):
            before = [machine.cpu_seconds(one.process.pid) for one in daemons]
            report = bench.load(cluster, seconds=FLAT_OUT_S, warm_s=FLAT_OUT_WARM_S)
            cluster.wait_until_delivered()
            spent = sum(machine.cpu_seconds(one.process.pid) for one in daemons) - sum(before)
            rows[0].values.append(report["events_per_second"])
            rows[1].values.append(spent / report["offered"] * 1e6)
            bench.say("T1", report)
    bench.stage_ns = ns_by_stage(bench)
    return rows


def ns_by_stage(bench):
    """What each stage costs with a thread of its own, an event: for the model of more cores."""
    with bench.cluster(EDGE + TWO_RUNNERS) as cluster:
        edge = cluster.edges[0].process.pid
        bench.load(cluster, seconds=1)
        before = machine.cpu_by_thread(edge)
        report = bench.load(cluster, seconds=2)
        cluster.wait_until_delivered()
        now = machine.cpu_by_thread(edge)
        return {name: (now[name] - before[name]) / report["offered"] * 1e9 for name in ("intake", "spool")}


def t2_t5(bench):
    """Into the spool, flat out, with central away; and what the first runner does of its own for each event."""
    limits = bench.limits
    rows = [Row("T2", "edge ingest to spool, spooled", "events/s", gate=1.5e6, goal=3.0e6,
                limit=min(limits["composed_append_per_second"], limits["append_64k_x4_bytes_per_second"] / limits["event_bytes"])),
            Row("T5", "own work in the edge's first runner, an event", "ns", is_more_better=False, gate=150, goal=75,
                limit=limits["composed_own_ns"], note="intake with a thread of its own; time outside the kernel, spinning included")]
    for _ in range(bench.repeats):
        with bench.cluster(has_central=False) as cluster:
            report = bench.load(cluster, seconds=FLAT_OUT_S, ack="spooled")
            rows[0].values.append(report["events_per_second"])
            bench.say("T2", report)
        with bench.cluster(EDGE + TWO_RUNNERS, has_central=False) as cluster:
            edge = cluster.edges[0]
            first = first_runner(edge)
            before = machine.user_seconds(edge.process.pid, first)
            report = bench.load(cluster, seconds=FLAT_OUT_S, ack="spooled")
            spent = machine.user_seconds(edge.process.pid, first) - before
            rows[1].values.append(spent / report["offered"] * 1e9)
    return rows


def wait_until_written(*pids, seconds_max=20):
    """Until the disk is left alone for a second: segments are prepared ahead of time by a thread of their own."""
    give_up = time.monotonic() + seconds_max
    seen = sum(map(machine.written_bytes, pids))
    while time.monotonic() < give_up:
        time.sleep(1)
        now = sum(map(machine.written_bytes, pids))
        if now - seen < CHECKPOINTS_BYTES:
            return
        seen = now


def wait_until_stored(edge, seconds_max=40):
    """Until its checkpoints know what came: where few events come they wait for half a minute, and what a part leads to counts as its own."""
    names = ("weir_edge_intake_checkpoints_total", "weir_edge_spool_checkpoints_total")
    before, give_up = [edge.metric(name) for name in names], time.monotonic() + seconds_max
    while time.monotonic() < give_up and any(edge.metric(name) == was for name, was in zip(names, before)):
        time.sleep(0.2)


def first_runner(edge):
    names = [name.partition('runner="')[2].rstrip('"}') for name in edge.metrics() if name.startswith("weir_edge_runner_worked_seconds_total")]
    return names[0][:15]


def t3(bench):
    """What a full lane sheds was taken and not forwarded: it does not count."""
    row = Row("T3", "edge with a memory lane, received, forwarded", "events/s", gate=2.5e6,
              goal=0.6 * bench.limits["composed_forward_per_second"], limit=bench.limits["composed_forward_per_second"])
    shed_share = 0
    for _ in range(bench.repeats):
        with bench.cluster(EDGE + MEMORY_LANE) as cluster:
            report = bench.load(cluster, seconds=FLAT_OUT_S, ack="received", warm_s=FLAT_OUT_WARM_S)
            cluster.wait_until_delivered()
            ledger = cluster.edges[0].ledger()
            shed_share = max(shed_share, ledger["shed"] / max(1, ledger["accepted"]))
            row.values.append(report["events_per_second"] * ledger["delivered"] / max(1, ledger["accepted"]))
            bench.say("T3", report)
    row.note = f"of what was received at most {shed_share:.0%} was shed, and is left out"
    return [row]


def t6_t7(bench, wanted):
    """10,000 a second, open loop."""
    limits, rows = bench.limits, []
    p50, p99 = limits["append_64k_p50_us"], limits["append_64k_p99_us"]
    both50, both99 = 2 * (p50 + limits["tcp_round_trip_p50_us"]), 2 * (p99 + limits["tcp_round_trip_p99_us"])
    plans = {"T6": ("spooled", (400, 1.6 * p50, p50), (1200, 2 * p99, p99), "limit: one append of 64 KiB"),
             "T7": ("delivered", (1200, 700, both50), (4000, 2000, both99), "limit: two appends and two TCP round trips")}
    for key, (ack, low, high, note) in plans.items():
        if key not in wanted:
            continue
        pair = [Row(f"{key} {name}", f"{ack} at 10,000/s, {name}", "us", is_more_better=False, gate=gate, goal=goal, limit=limit, note=note,
                    noise=NOISE_P50 if name == "p50" else NOISE_P99)
                for name, (gate, goal, limit) in (("p50", low), ("p99", high))]
        with bench.cluster(has_central=key == "T7") as cluster:
            bench.settle(cluster)
            for _ in range(bench.repeats):
                report = bench.load(cluster, seconds=4, ack=ack, rate=OPEN_RATE)
                for row, name in zip(pair, ("p50", "p99")):
                    row.values.append(report["latency_us"][name])
                bench.say(key, report)
        rows += pair
    return rows


def t8(bench):
    """An edge whose central is the measuring process itself: from an event's sending until the bytes of its batch have come out.

    That process polls on a core of its own. The edge's runners spin on a core each where there are so many; with two cores in all they
    share one, and yield to each other after every round: two that only spin would wait for each other's time slices.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return [Row("T8", "transit, socket in to socket out, memory lane", "us", is_built=False, note="needs two cores")]
    spins = len(cores) > 2
    how = "spinning" if spins else "one thread that yields"
    idle = 'idle = "spin"\nthread_plan = "pinned"\n' if spins else 'idle = "spin-then-yield"\nidle_spin_us = 0\nthread_plan = "one"\n'
    rows = [Row(f"T8 {name}", f"transit, socket in to socket out, memory lane, {how}, {name}", "us", is_more_better=False, gate=gate, goal=goal,
                noise=noise) for name, gate, goal, noise in (("p50", 30, 15, NOISE_P50), ("p99", None, 25, NOISE_P99))]
    extra = "reconnect_ms_max = 200\n[runtime]\nlow_latency_idle = true\n" + idle + MEMORY_LANE
    edge_cores = ["taskset", "-c", ",".join(map(str, cores[1:3]))]
    for _ in range(bench.repeats):
        with bench.cluster(extra, has_central=False, launcher=edge_cores) as cluster:
            central = re.search(r'centrals = \["(.+?)"\]', cluster.edges[0].config.read_text()).group(1)
            command = ["taskset", "-c", str(cores[0]), BIN / "weir-bench", "transit", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--listen", central,
                       "--rate", OPEN_RATE, "--seconds", f"{max(0.2, 4 * bench.scale):.2f}", "--warmup-s", f"{bench.scale:.2f}",
                       "--payload-bytes", PAYLOAD_BYTES, "--json"]
            done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True)
            report = json.loads(done.stdout)
            for row, name in zip(rows, ("p50", "p99")):
                row.values.append(report["transit_us"][name])
            is_awake = cluster.edges[0].metric("weir_edge_low_latency_idle")
    for row in rows:
        row.note = "" if is_awake else "runtime.low_latency_idle is not allowed here"
    return rows


def t9(bench):
    """What is taken while twice as much is offered as goes through; latency of what is admitted, from when it was sent."""
    rows = [Row("T9 rate", "goodput at twice the peak, of the peak", "share", gate=0.9, goal=0.95, limit=1.0),
            Row("T9 p99", "p99 of what is admitted, of that at 0.8 of the peak", "times", is_more_better=False, goal=3.0, limit=1.0, noise=0.5),
            Row("T9 memory", "growth of edge and central meanwhile", "MiB", is_more_better=False, noise=0.5)]
    with bench.cluster() as cluster:
        daemons = [cluster.edges[0], cluster.central]
        bench.load(cluster, seconds=1)
        for _ in range(min(3, bench.repeats)):
            peak = bench.load(cluster, seconds=FLAT_OUT_S, warm_s=FLAT_OUT_WARM_S)["events_per_second"]
            calm = bench.load(cluster, "--from-sent", seconds=2, rate=int(peak * 0.8))
            before = sum(machine.memory_bytes(one.process.pid) for one in daemons)
            over = bench.load(cluster, "--from-sent", seconds=FLAT_OUT_S, rate=int(peak * 2), warm_s=FLAT_OUT_WARM_S)
            after = sum(machine.memory_bytes(one.process.pid, "VmHWM") for one in daemons)
            cluster.wait_until_delivered()
            rows[0].values.append(over["events_per_second"] / peak)
            rows[1].values.append(over["latency_us"]["p99"] / calm["latency_us"]["p99"])
            rows[2].values.append(max(0, after - before) / (1 << 20))
            bench.say("T9", over)
    return rows


def t10(bench):
    small = 'profile = "small"\n'
    rows = []
    # A key of the top level stands before the tables: it is put there.
    cluster = Cluster(["bench"])
    try:
        config = cluster.edges[0].config
        config.write_text(small + config.read_text())
        is_built = subprocess.run([BIN / "weir-edge", "check", config], capture_output=True, check=False).returncode == 0
    finally:
        cluster.__exit__(None, None, None)
    if not is_built:
        rows.append(Row("T10", "edge memory and CPU, small profile", "", is_built=False, note='no profile = "small" yet; below: as it comes'))
    name, suffix = ("small profile", "") if is_built else ("default profile", " default")
    bounds = {"memory": (64, 32), "busy": (20, 8), "idle": (1, 0.2)} if is_built else {"memory": (None, None), "busy": (None, None), "idle": (None, None)}
    rows += [Row(f"T10{suffix} memory", f"edge memory at 10,000/s, {name}", "MiB", is_more_better=False, gate=bounds["memory"][0], goal=bounds["memory"][1]),
             Row(f"T10{suffix} busy", f"edge CPU at 10,000/s, {name}", "% of core", is_more_better=False, gate=bounds["busy"][0], goal=bounds["busy"][1]),
             Row(f"T10{suffix} idle", f"edge CPU idle, {name}", "% of core", is_more_better=False, gate=bounds["idle"][0], goal=bounds["idle"][1])]
    one = Cluster(["bench"])
    if is_built:
        one.edges[0].config.write_text(small + one.edges[0].config.read_text())
    with one as cluster:
        pid = cluster.edges[0].process.pid
        for _ in range(min(3, bench.repeats)):
            begun, before = time.monotonic(), machine.cpu_seconds(pid)
            bench.say("T10", bench.load(cluster, seconds=4, warm_s=0, rate=OPEN_RATE))
            rows[-2].values.append((machine.cpu_seconds(pid) - before) / (time.monotonic() - begun) * 100)
            rows[-3].values.append(machine.memory_bytes(pid) / (1 << 20))
            time.sleep(0.5)
            begun, before = time.monotonic(), machine.cpu_seconds(pid)
            time.sleep(max(0.5, 3 * bench.scale))
            rows[-1].values.append((machine.cpu_seconds(pid) - before) / (time.monotonic() - begun) * 100)
    return rows


def rate_on(bench, cores):
    """Events/s of all processes on these cores, and how much of one core the others were busy meanwhile."""
    pinned = ["taskset", "-c", ",".join(map(str, cores))]
    others = os.sched_getaffinity(0) - set(cores)
    with bench.cluster(launcher=pinned) as cluster:
        bench.load(cluster, seconds=1, prefix=pinned)  # as T1: for a second the edge makes the segments that it then uses again
        begun, before = time.monotonic(), machine.busy_seconds(others)
        report = bench.load(cluster, seconds=FLAT_OUT_S, warm_s=FLAT_OUT_WARM_S, prefix=pinned)
        elsewhere = (machine.busy_seconds(others) - before) / (time.monotonic() - begun)
        bench.say(f"T11 {len(cores)}", report)
    return report["events_per_second"], elsewhere


def t11(bench):
    cores = sorted(os.sched_getaffinity(0))[:2]
    row = Row("T11", f"rate on {len(cores)} cores, of {len(cores)} times that on 1", "share", gate=0.8, goal=0.9, limit=1.0, note="producer included")
    if len(cores) < 2:
        row.note = "one core only"
        return [row]
    # The kernel's part of a write may be bound to one core, where the disk's interrupts come: on the other one a run on one core has some of
    # a second one besides (bench/NOTES.md). So it is the core that leaves the other the least to do.
    tried = {core: rate_on(bench, [core]) for core in cores}
    one = min(cores, key=lambda core: tried[core][1])
    row.note += f"; one core is core {one}, the other is busy {tried[one][1]:.0%} meanwhile"
    for n in range(min(3, bench.repeats)):
        alone = tried[one][0] if n == 0 else rate_on(bench, [one])[0]
        row.values.append(rate_on(bench, cores)[0] / (2 * alone))
    return [row]


def cost_ns(bench, cluster, *arguments, seconds=2, rate=100_000, **options):
    """CPU of the edge for an event, at a rate that is held: a cost, whatever else limits."""
    pid = cluster.edges[0].process.pid
    before = machine.cpu_seconds(pid)
    report = bench.load(cluster, *arguments, seconds=seconds, rate=rate, **options)
    cluster.wait_until_delivered()
    return (machine.cpu_seconds(pid) - before) / report["offered"] * 1e9, report


def worst_step(costs):
    return max([later / earlier for earlier, later in zip(costs, costs[1:])] + [1.0])


def t12(bench):
    """No step costs more than twice the one before it; see --curves for whole curves."""
    plans = {"connections": ([1, 10, 100, 1000], "--connections"), "keys": ([1_000, 100_000, 10_000_000], "--keys")}
    rows = []
    for name, (steps, option) in plans.items():
        row = Row(f"T12 {name}", f"worst step of edge CPU, {steps[0]:,} to {steps[-1]:,} {name}", "times", is_more_better=False, gate=2.0, goal=1.2,
                  limit=1.0, noise=0.3)
        for _ in range(min(2, bench.repeats)):
            with bench.cluster(EDGE.replace("[spool]", "[cache]\nkeys_max = 65536\n[spool]"), "") as cluster:
                points = [cost_ns(bench, cluster, option, step) for step in steps]
            costs = [cost for cost, _ in points]
            bench.say(f"T12 {name}", points[-1][1])
            row.values.append(worst_step(costs))
            row.note = "ns an event: " + ", ".join(f"{cost:.0f}" for cost in costs)
        rows.append(row)
    return rows


def t13(bench):
    """The real load: silence, then something."""
    limits = bench.limits
    both = 2 * (limits["append_64k_p50_us"] + limits["tcp_round_trip_p50_us"])
    rows = [Row("T13 p50", "one event after 1 s of silence, delivered, p50", "us", is_more_better=False, gate=1500, goal=800, limit=both),
            Row("T13 p99", "the same, worst of the run", "us", is_more_better=False, gate=5000, goal=2500, limit=both, noise=0.5,
                note="20 events in all: the worst of each run stands for p99"),
            Row("T13 burst", "10,000 events after 1 s of silence, until the last", "ms", is_more_better=False, goal=25, noise=0.3)]
    with bench.cluster() as cluster:
        bench.settle(cluster)
        for _ in range(bench.repeats):
            single = bench.load(cluster, seconds=20 / bench.repeats, warm_s=1, rate="1@1000ms")
            rows[0].values.append(single["latency_us"]["p50"])
            rows[1].values.append(single["latency_us"]["max"])
            bench.say("T13", single)
        burst = bench.load(cluster, seconds=8, warm_s=1, rate="10000@1000ms")
        rows[2].values += [us / 1000 for us in burst["slice_max_us"]]
        bench.say("T13 burst", burst)
    return rows


def t14(bench):
    """Everything the edge sends to its disk, by the kernel's account. First as much as the spool keeps, so that segments are used again."""
    rows = []
    linger = "[spool]\nkeep_delivered_ms = 0\nbytes_max = 17179869184\n" + '[[lanes]]\nname = "default"\nlinger_us = 1000000\n'
    with bench.cluster(linger) as cluster:
        pid = cluster.edges[0].process.pid
        report = bench.load(cluster, seconds=5, warm_s=0)
        cluster.wait_until_delivered()
        wait_until_written(pid)
        if bench.scale == 1:
            wait_until_stored(cluster.edges[0])
        fresh = machine.written_bytes(pid) / report["offered"]
        for rate, seconds, gate, goal in ((10, 20, 900, 600), (1000, 12, 300, 240), (100_000, 8, 260, 235)):
            row = Row(f"T14 {rate}", f"bytes to the edge's disk an event, linger 1 s, {rate:,}/s", "bytes", is_more_better=False, gate=gate, goal=goal,
                      limit=bench.limits["event_bytes"])
            before = machine.written_bytes(pid)
            report = bench.load(cluster, seconds=seconds, warm_s=0, rate=rate)
            cluster.wait_until_delivered()
            if bench.scale == 1:
                wait_until_stored(cluster.edges[0])
            row.values.append((machine.written_bytes(pid) - before) / report["offered"])
            rows.append(row)
            wait_until_written(pid)
        rows[-1].note = f"flat out, while a new spool prepared its segments: {fresh:.0f}"
    return rows


def run_all(bench, wanted, show):
    """`wanted`: T numbers. Calls `show` with each part's rows as they come; returns all in the order of their numbers.

    What writes most comes last: a virtual disk that took some 200 GB may answer at a hundredth of its speed for minutes.
    """
    plan = [({"T6", "T7"}, lambda: t6_t7(bench, wanted)), ({"T8"}, lambda: t8(bench)), ({"T13"}, lambda: t13(bench)), ({"T10"}, lambda: t10(bench)),
            ({"T12"}, lambda: t12(bench)), ({"T14"}, lambda: t14(bench)), ({"T9"}, lambda: t9(bench)), ({"T11"}, lambda: t11(bench)),
            ({"T1", "T4"}, lambda: t1_t4(bench)), ({"T3"}, lambda: t3(bench)), ({"T2", "T5"}, lambda: t2_t5(bench))]
    rows = []
    for keys, run in plan:
        if not keys & wanted:
            continue
        begun = time.monotonic()
        part = [row for row in run() if row.key.split()[0] in wanted]
        rows += part
        show(part, time.monotonic() - begun)
    return sorted(rows, key=lambda row: int(row.key.split()[0][1:]))


def micro_benches():
    """The small benches' own figures: name, ns."""
    figures = {}
    for name in MICRO:
        if not (BIN / name).exists():
            continue
        done = subprocess.run([BIN / name, "--benchmark_min_time=0.05", "--benchmark_format=json"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True, text=True)
        for one in json.loads(done.stdout)["benchmarks"]:
            scale = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[one["time_unit"]]
            figures[f"{name[6:]}/{one['name']}"] = round(one["cpu_time"] * scale, 2)
    return figures
