"""Other products on the same events, rates and percentiles, in the same run: nats-server, redis-server and mosquitto from Debian.

Each has its own ports on loopback, its own directory and, as its product says it, the settings that lose least; processes are ended by pid.
One hop: answered by the product that got the event. Two hops: through a first process that keeps it to a second one, and counted when it has
arrived there; weir's counts when central's ack is back at the producer.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import bench_machine as machine
import bench_table
from bench_runs import EDGE, PAYLOAD_BYTES
from cluster import BIN, Cluster, free_ports

PACKAGES = {"nats": "nats-server", "redis": "redis-server", "mosquitto": "mosquitto"}
FLAT_OUT_EVENTS = {"weir": 2_000_000, "redis": 250_000, "nats": 150_000, "mosquitto": 100_000}
OPEN_RATE, OPEN_SECONDS = 10_000, 5
READY_SECONDS_MAX = 10


def found(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def install(names):
    """Asked for by --peers itself. Their packages would start services: that is refused while they are installed."""
    missing = [PACKAGES[name] for name in names if not found(PACKAGES[name])]
    if not missing:
        return
    print(f"peers: installing {' '.join(missing)}", flush=True)
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    policy = pathlib.Path("/usr/sbin/policy-rc.d")
    is_ours = not policy.exists()
    if is_ours:
        subprocess.run([*as_root, "tee", policy], input="#!/bin/sh\nexit 101\n", text=True, stdout=subprocess.DEVNULL, check=True)
        subprocess.run([*as_root, "chmod", "755", policy], check=True)
    try:
        quiet = {"stdout": subprocess.DEVNULL, "check": True}
        subprocess.run([*as_root, "apt-get", "update", "-qq"], **quiet)
        subprocess.run([*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing], **quiet)
    finally:
        if is_ours:
            subprocess.run([*as_root, "rm", "-f", policy], check=True)


class Peer:
    """Some processes of one product. `way`: what weir-peer is told: --to, and --from where there are two hops."""

    def __init__(self, product, title, kept, hops):
        self.product, self.title, self.kept, self.hops = product, title, kept, hops
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"weir-peer-{product}-"))
        self.processes, self.way = [], []

    def start(self, command, port):
        log = open(self.directory / f"{len(self.processes)}.log", "wb")
        self.processes.append(subprocess.Popen([str(one) for one in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory))
        log.close()
        give_up = time.monotonic() + READY_SECONDS_MAX
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            if self.processes[-1].poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{self.title} did not start:\n{self.log()}")
            time.sleep(0.05)

    def log(self):
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.directory.glob("*.log")))

    def file(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path

    def folder(self, name):
        path = self.directory / name
        path.mkdir()
        path.chmod(0o777)  # some products change their user
        self.directory.chmod(0o755)
        return path

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def redis(fsync):
    peer = Peer("redis", f"Redis stream, appendfsync {fsync}", "yes" if fsync == "always" else "no (each second)", 1)
    port, = free_ports(1)
    peer.start([found("redis-server"), "--port", port, "--bind", "127.0.0.1", "--dir", peer.folder("data"), "--appendonly", "yes", "--appendfsync", fsync,
                "--save", "", "--daemonize", "no"], port)
    peer.way = ["redis", "--to", f"127.0.0.1:{port}"]
    return peer


def nats_config(peer, name, port, more):
    return peer.file(f"{name}.conf", f'listen: "127.0.0.1:{port}"\nserver_name: {name}\njetstream {{ store_dir: "{peer.folder(name)}", domain: {name} }}\n{more}')


def nats_one():
    peer = Peer("nats", "NATS JetStream, one server", "no (two minutes)", 1)
    port, = free_ports(1)
    peer.start([found("nats-server"), "-c", nats_config(peer, "leaf", port, "")], port)
    peer.way = ["nats", "--to", f"127.0.0.1:{port}"]
    return peer


NATS_ACCOUNTS = """accounts {
  SYS: { users: [ { user: sys, password: sys } ] }
  EVENTS: { jetstream: enabled, users: [ { user: events, password: events } ] }
}
system_account: SYS
no_auth_user: events
"""


def nats_leaf():
    """A JetStream domain each; the hub's stream gathers from the leaf's. The system accounts are joined too, as NATS's documentation has it."""
    peer = Peer("nats", "NATS JetStream, leaf to hub", "no (two minutes)", 2)
    leaf, hub, between = free_ports(3)
    remotes = ", ".join(f'{{ url: "nats-leaf://{user}:{user}@127.0.0.1:{between}", account: {account} }}' for user, account in
                        (("events", "EVENTS"), ("sys", "SYS")))
    peer.start([found("nats-server"), "-c", nats_config(peer, "hub", hub, NATS_ACCOUNTS + f'leafnodes {{ listen: "127.0.0.1:{between}" }}\n')], hub)
    peer.start([found("nats-server"), "-c", nats_config(peer, "leaf", leaf, NATS_ACCOUNTS + f"leafnodes {{ remotes = [ {remotes} ] }}\n")], leaf)
    time.sleep(2.0)  # until the leaf has found its hub
    peer.way = ["nats", "--to", f"127.0.0.1:{leaf}", "--from", f"127.0.0.1:{hub}"]
    return peer


MOSQUITTO = "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {place}/\nmax_queued_messages 0\nmax_inflight_messages 0\n"


def mosquitto_one():
    peer = Peer("mosquitto", "mosquitto, QoS 1", "no (in memory)", 1)
    port, = free_ports(1)
    peer.start([found("mosquitto"), "-c", peer.file("one.conf", MOSQUITTO.format(port=port, place=peer.folder("one")))], port)
    peer.way = ["mqtt", "--to", f"127.0.0.1:{port}"]
    return peer


def mosquitto_bridge():
    peer = Peer("mosquitto", "mosquitto bridge, QoS 1", "no (in memory)", 2)
    edge, hub = free_ports(2)
    peer.start([found("mosquitto"), "-c", peer.file("hub.conf", MOSQUITTO.format(port=hub, place=peer.folder("hub")))], hub)
    peer.start([found("mosquitto"), "-c", peer.file("edge.conf", MOSQUITTO.format(port=edge, place=peer.folder("edge")) + (
        f"connection to-hub\naddress 127.0.0.1:{hub}\ntopic events out 1\ncleansession false\nbridge_protocol_version mqttv311\n"))], edge)
    time.sleep(1.0)
    peer.way = ["mqtt", "--to", f"127.0.0.1:{edge}", "--from", f"127.0.0.1:{hub}"]
    return peer


def drive(peer, events, rate):
    before = sum(machine.cpu_seconds(one.pid) for one in peer.processes)
    done = subprocess.run([BIN / "weir-peer", *peer.way, "--rate", str(rate), "--events", str(events), "--warmup-events", str(max(1, events // 10)),
                           "--payload-bytes", PAYLOAD_BYTES], stdout=subprocess.PIPE, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{peer.title}: the driver ended with {done.returncode}; the product's log:\n{peer.log()}")
    report = json.loads(done.stdout)
    report["cpu_s"] = sum(machine.cpu_seconds(one.pid) for one in peer.processes) - before
    return report


def measure_peer(make, scale):
    """Flat out, and at a rate: each with processes of its own, so that neither finds the other's data."""
    reports = []
    for rate in ("max", OPEN_RATE):
        peer = make()
        try:
            events = FLAT_OUT_EVENTS[peer.product] if rate == "max" else OPEN_RATE * OPEN_SECONDS
            reports.append(drive(peer, max(1000, int(events * scale)), rate))
        finally:
            peer.close()
    return entry(peer.title, peer.kept, peer.hops, *reports)


def entry(title, kept, hops, flat, steady):
    latency = steady["latency_us"]
    return {"title": title, "hops": hops, "events_per_second": flat["events_per_second"], "cpu_s_per_million": flat["cpu_s"] / flat["sent"] * 1e6,
            "p50_ms": latency["p50"] / 1000, "p99_ms": latency["p99"] / 1000, "p999_ms": latency["p999"] / 1000, "synced": kept,
            "missing": flat["missing"] + steady["missing"], "open_rate_held": steady["events_per_second"] > 0.98 * OPEN_RATE}


def measure_weir(hops, scale, is_tls=False):
    """`spooled` with central away, or `delivered`."""
    reports = []
    for rate in ("max", OPEN_RATE):
        cluster = Cluster(["bench"], edge_extra=EDGE, is_tls=is_tls)
        try:
            daemons = [cluster.central, cluster.edges[0]] if hops == 2 else [cluster.edges[0]]
            for daemon in daemons:
                daemon.start()
            events = int((FLAT_OUT_EVENTS["weir"] if rate == "max" else OPEN_RATE * OPEN_SECONDS) * scale)
            before = sum(machine.cpu_seconds(one.process.pid) for one in daemons)
            process = subprocess.Popen([BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--rate", str(rate), "--events", str(events),
                                        "--warmup-events", str(max(1, events // 10)), "--payload-bytes", PAYLOAD_BYTES, "--ack",
                                        "delivered" if hops == 2 else "spooled", "--timeout-s", "30", "--json", *cluster.sender_tls()],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
            cluster.senders.append(process)
            report = cluster.finish([process])[0]
            report["cpu_s"] = sum(machine.cpu_seconds(one.process.pid) for one in daemons) - before
            report["sent"], report["missing"] = report["offered"], report["offered"] - report["acked"]
            reports.append(report)
        finally:
            cluster.__exit__(None, None, None)
    title = ("weir, edge to central (delivered)" if hops == 2 else "weir, edge alone (spooled)") + (", TLS" if is_tls else "")
    return entry(title, "yes, at both" if hops == 2 else "yes", hops, *reports)


def print_entries(entries):
    print(f"\n| {'peer':<40} | hops | events/s | CPU s per million | p50 / p99 / p99.9 ms at 10,000/s | synced before ack? |")
    print(f"|{'-' * 42}|---|---|---|---|---|")
    for one in sorted(entries, key=lambda one: (one["hops"], -one["events_per_second"])):
        if not one["events_per_second"]:
            print(f"| {one['title']:<40} | {one['hops']} | not measured: nothing arrived | | | {one['synced']} |")
            continue
        lost = f"; {one['missing']} never came" if one["missing"] else ""
        held = "" if one["open_rate_held"] else " (rate not held)"
        print(f"| {one['title']:<40} | {one['hops']} | {one['events_per_second'] / 1000:.0f} k | {one['cpu_s_per_million']:.2f} | "
              f"{one['p50_ms']:.2f} / {one['p99_ms']:.2f} / {one['p999_ms']:.2f}{held} | {one['synced']}{lost} |")


def run(args):
    names = args.only.split(",") if args.only else list(PACKAGES)
    install(names)
    makers = {"redis": [lambda: redis("always"), lambda: redis("everysec")], "nats": [nats_one, nats_leaf],
              "mosquitto": [mosquitto_one, mosquitto_bridge]}
    plan = [lambda is_tls=is_tls, hops=hops: measure_weir(hops, args.scale, is_tls) for is_tls in (False, True) for hops in (1, 2)]
    plan += [lambda make=make: measure_peer(make, args.scale) for name in names for make in makers[name]]
    rounds, is_whole = {}, False
    with contextlib.suppress(KeyboardInterrupt):  # what there is, is shown
        for number in range(max(1, min(args.repeats, 3) if args.scale == 1 else 1)):  # in turn: what the machine does meanwhile hits all alike
            for one in plan:
                done = one()
                rounds.setdefault(done["title"], []).append(done)
                print(f"  {number + 1}: {done['title']}: {done['events_per_second'] / 1000:.0f} k/s, p99 {done['p99_ms']:.2f} ms", flush=True)
        is_whole = True
    entries = [middle(runs) for runs in rounds.values()]
    print_entries(entries)
    result = {"machine": bench_table.stamp(), "peers": entries}
    if args.scale == 1 and is_whole:
        path = bench_table.RESULTS / f"peers-{result['machine']['time'].replace(':', '')}.json"
        bench_table.RESULTS.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1) + "\n")
        print(f"\nwritten: {path}")
    return 0 if is_whole else 130


def middle(runs):
    """Each figure's median of its own; what is missing anywhere is missing."""
    ordered = {key: sorted(run[key] for run in runs) for key in runs[0] if isinstance(runs[0][key], float)}
    return {**runs[0], **{key: values[len(values) // 2] for key, values in ordered.items()}, "missing": sum(run["missing"] for run in runs),
            "open_rate_held": all(run["open_rate_held"] for run in runs)}
