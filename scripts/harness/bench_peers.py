"""Other products on the same events, rates and percentiles, in the same run: nats-server, redis-server and mosquitto from Debian.

One hop: answered by the product that got the event. Two hops: through a first process that keeps it to a second one, and counted when it has
arrived there; weir's counts when central's ack is back at the producer. CPU is that of all processes of a product. After each run a product is asked
how many events it holds, where it can say. Exit 1: weir is not ahead where it has to be (peer_table.demands).

Seconds of a round: each of the eight entries 1 to 3 flat out, 5.5 at the open rate, 1 to 2 to begin, settle and end, twice: 66 measured; five rounds
five and a half minutes, and as long again with --tls. The last line says what it was.
"""
import json
import subprocess
import tempfile
import time

import bench_machine as machine
import bench_table
import peer_products
import peer_table
from bench_runs import EDGE, PAYLOAD_BYTES, check_residue, wait_until_written
from cluster import BIN, ROOT, Cluster

WEIR_FLAT_EVENTS = {1: 3_000_000, 2: 2_000_000}
WEIR_TITLES = {1: "weir, edge alone (spooled)", 2: "weir, edge to central (delivered)"}
WEIR_KEPT = {1: "yes", 2: "yes, at both"}
OPEN_RATE, OPEN_SECONDS = 10_000, 5
DRIVE_SECONDS_MAX = 120
README = ROOT / "README.md"


def settle(pids, rate, scale):
    """Before the open rate: what a start prepares on the disk is no part of a latency. Flat out it counts."""
    if rate != "max" and scale == 1:
        wait_until_written(*pids)


def drive(peer, events, rate, scale):
    pids = [one.pid for one in peer.processes]
    settle(pids, rate, scale)
    before = machine.product_cpu_seconds(pids)
    done = subprocess.run([BIN / "weir-peer", *peer.way, "--rate", str(rate), "--events", str(events), "--warmup-events", str(max(1, events // 10)),
                           "--payload-bytes", PAYLOAD_BYTES], capture_output=True, text=True, timeout=DRIVE_SECONDS_MAX, check=False)
    if done.returncode != 0:
        raise peer_products.SetupFault(f"{peer.setup.title}: {done.stderr.strip()}; the product's log:\n{peer.log()}")
    report = json.loads(done.stdout)
    report["cpu_s"] = machine.product_cpu_seconds(pids) - before
    for store, held in (peer.held() or {}).items():
        if held != report["sent"]:
            raise peer_products.SetupFault(f"{peer.setup.title}: {report['sent']} events were sent, and its {store} holds {held}")
    return report


def measure_peer(setup, scale, certs):
    """Flat out, and at a rate: each with processes of its own, so that neither finds the other's data."""
    reports = []
    for rate in ("max", OPEN_RATE):
        with peer_products.running(setup, certs) as peer:
            events = setup.flat_events if rate == "max" else OPEN_RATE * OPEN_SECONDS
            reports.append(drive(peer, max(1000, int(events * scale)), rate, scale))
    return peer_table.entry(setup.title, setup.kept, setup.hops, *reports, OPEN_RATE)


def measure_weir(hops, scale, is_tls):
    """`spooled` with central away, or `delivered`."""
    reports = []
    for rate in ("max", OPEN_RATE):
        cluster = Cluster(["bench"], edge_extra=EDGE, is_tls=is_tls, launcher=peer_products.UNTIL_WE_END)
        try:
            daemons = [cluster.central, cluster.edges[0]] if hops == 2 else [cluster.edges[0]]
            for daemon in daemons:
                daemon.start()
            events = int((WEIR_FLAT_EVENTS[hops] if rate == "max" else OPEN_RATE * OPEN_SECONDS) * scale)
            pids = [one.process.pid for one in daemons]
            settle(pids, rate, scale)
            before = machine.product_cpu_seconds(pids)
            process = subprocess.Popen([BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--rate", str(rate), "--events", str(events),
                                        "--warmup-events", str(max(1, events // 10)), "--payload-bytes", PAYLOAD_BYTES, "--ack",
                                        "delivered" if hops == 2 else "spooled", "--timeout-s", "30", "--json", *cluster.sender_tls()],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            cluster.senders.append(process)
            report = cluster.finish([process], DRIVE_SECONDS_MAX)[0]
            report["cpu_s"] = machine.product_cpu_seconds(pids) - before
            report["sent"], report["missing"] = report["offered"], report["offered"] - report["acked"]
            for daemon in daemons:
                check_residue(daemon)
            reports.append(report)
        finally:
            cluster.__exit__(None, None, None)
    return peer_table.entry(WEIR_TITLES[hops], WEIR_KEPT[hops], hops, *reports, OPEN_RATE, is_weir=True)


def measure_all(plan, repeats):
    """In turn: what the machine does meanwhile hits all alike. Returns each title's rounds, and whether it came to the end."""
    rounds = {}
    try:
        for number in range(1, repeats + 1):
            for title, measure in plan:
                try:
                    done = measure()
                except (RuntimeError, subprocess.SubprocessError, OSError) as fault:
                    print(f"  {number}: {title}: not measured: {fault}", flush=True)
                    continue
                rounds.setdefault(title, []).append(done)
                print(f"  {number}: {title}: {done['events_per_second'] / 1000:.0f} k/s, {done['cpu_s_per_million']:.2f} s a million, "
                      f"p99 {done['p99_ms']:.2f} ms{', ' + str(done['missing']) + ' never came' if done['missing'] else ''}", flush=True)
    except KeyboardInterrupt:  # what there is, is shown
        return rounds, False
    return rounds, True


def run(args):
    if args.write_readme and args.scale != 1:
        raise SystemExit("bench --peers: --write-readme wants the whole run, not a scaled one")
    names = args.only.split(",") if args.only else list(peer_products.PACKAGES)
    if unknown := set(names) - set(peer_products.PACKAGES):
        raise SystemExit(f"bench --peers: no such product: {', '.join(sorted(unknown))}")
    begun = time.monotonic()
    peer_products.install(names)
    setups = [one for one in peer_products.SETUPS if one.product in names]
    with tempfile.TemporaryDirectory(prefix="weir-peer-certs-") as directory:
        certs = peer_products.make_certificates(directory) if args.tls else None
        plan = [(WEIR_TITLES[hops], lambda hops=hops: measure_weir(hops, args.scale, args.tls)) for hops in (1, 2)]
        plan += [(setup.title, lambda setup=setup: measure_peer(setup, args.scale, certs)) for setup in setups]
        rounds, is_whole = measure_all(plan, args.repeats)
    entries = [peer_table.middle(runs) for runs in rounds.values()]
    if not entries:
        return 130 if not is_whole else 1
    asked = peer_table.demands(entries, [(one.title, one.hops, one.kept == "yes") for one in setups])
    faults = peer_table.faults_of_weir(entries)
    kind = "TLS" if args.tls else "plain"
    print(f"\n{kind}:\n\n{peer_table.table(entries, OPEN_RATE)}\n")
    for line in [one.line() for one in asked] + faults:
        print(line)
    print(f"\n{sum(one.holds() for one in asked)} of {len(asked)} comparisons hold; {time.monotonic() - begun:.0f} s")
    if not is_whole:
        return 130
    result = {"machine": bench_table.stamp(), "tls": args.tls, "versions": peer_products.versions(names), "peers": entries, "rounds": rounds,
              "verdict": [one.line() for one in asked] + faults}
    if args.scale == 1:
        write(result, kind, asked, args.write_readme)
    return 0 if all(one.holds() for one in asked) and not faults else 1


def write(result, kind, asked, is_readme_written):
    stamp = result["machine"]
    path = bench_table.RESULTS / f"peers-{kind.lower()}-{stamp['time'].replace(':', '')}.json"
    bench_table.RESULTS.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {path.relative_to(ROOT)}")
    content = peer_table.section(result["peers"], asked, stamp, result["versions"], OPEN_RATE)
    if is_readme_written:
        README.write_text(peer_table.with_section(README.read_text(), kind, content))
        print(f"written: {README.relative_to(ROOT)}")
