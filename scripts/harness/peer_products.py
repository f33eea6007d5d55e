"""How each other product is set up for scripts/bench --peers, plain and with TLS. bench/README.md says why so.

Each has its own ports on loopback, its own new directory and, as its product says it, the settings that lose least; everything else is as Debian's
package has it. Every process ends with this one (PDEATHSIG), is ended by its pid, and leaves nothing behind.
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import typing
import urllib.request

from cluster import ROOT, free_ports, wait_for

PACKAGES = {"nats": "nats-server", "redis": "redis-server", "mosquitto": "mosquitto"}
READY_SECONDS_MAX = 10
STARTS_MAX = 3  # a free port may be taken between its choice and its use
UNTIL_WE_END = ("setpriv", "--pdeathsig", "KILL")


class SetupFault(RuntimeError):
    """A product could not be brought to where it can be measured."""


def found(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def install(names):
    """What --peers asks for. Debian's packages would start services: that is refused while they are installed."""
    missing = [PACKAGES[name] for name in names if not found(PACKAGES[name])]
    if not missing:
        return
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    by_hand = f"install {' '.join(missing)} by hand, or leave them out with --only"
    if not shutil.which("apt-get") or (as_root and not shutil.which("sudo")):
        raise SystemExit(f"bench --peers: {', '.join(missing)} missing, and no apt-get with root's rights here: {by_hand}")
    print(f"peers: installing {' '.join(missing)}", flush=True)
    policy = pathlib.Path("/usr/sbin/policy-rc.d")
    is_ours = not policy.exists()
    if is_ours:
        subprocess.run([*as_root, "tee", policy], input="#!/bin/sh\nexit 101\n", text=True, stdout=subprocess.DEVNULL, check=True)
        subprocess.run([*as_root, "chmod", "755", policy], check=True)
    try:
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *missing]):
            done = subprocess.run([*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *command], capture_output=True, text=True, check=False)
            if done.returncode != 0 and command[0] == "install":
                raise SystemExit(f"bench --peers: apt-get {' '.join(command)}: {done.stderr.strip()}\n{by_hand}")
    finally:
        if is_ours:
            subprocess.run([*as_root, "rm", "-f", policy], check=True)
    if still := [name for name in missing if not found(name)]:
        raise SystemExit(f"bench --peers: installed, and yet not found: {', '.join(still)}")


def versions(names):
    """What each product calls itself."""
    asked = {"redis": ["redis-server", "--version"], "nats": ["nats-server", "--version"], "mosquitto": ["mosquitto", "-h"]}
    told = {}
    for name in names:
        done = subprocess.run([found(asked[name][0]), *asked[name][1:]], capture_output=True, text=True, check=False)
        number = re.search(r"\bv?=?(\d+\.\d+\.\d+)", done.stdout + done.stderr)
        told[PACKAGES[name]] = number.group(1) if number else "unknown"
    return told


def make_certificates(directory):
    """`server` for whatever listens last or alone, `first` for a first hop, which listens and calls; both of `ca.crt`."""
    subprocess.run([ROOT / "scripts/certs", directory, "--central", "server", "--edges", "first"], check=True)
    return pathlib.Path(directory)


@dataclasses.dataclass(frozen=True)
class Setup:
    """`kept`: what holds when the product acknowledges. `flat_events`: some seconds of it, flat out. `begin`: called with a Peer and the folder of
    certificates, or None."""
    product: str
    title: str
    kept: str
    hops: int
    flat_events: int
    begin: typing.Callable


class Peer:
    """The processes of one product. `way`: what weir-peer is told. `held()`: how many events each of its stores says it has, or None."""

    def __init__(self, setup):
        self.setup = setup
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"weir-peer-{setup.product}-"))
        self.processes, self.way, self.held = [], [], lambda: None

    def start(self, command, port):
        """Until it listens there."""
        log = open(self.directory / f"{len(self.processes)}.log", "wb")
        self.processes.append(subprocess.Popen([*UNTIL_WE_END, *map(str, command)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory))
        log.close()
        give_up = time.monotonic() + READY_SECONDS_MAX
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                time.sleep(0.1)  # who answers may be another: then ours has found its port taken
                if self.processes[-1].poll() is None:
                    return
            if self.processes[-1].poll() is not None or time.monotonic() > give_up:
                raise SetupFault(f"{self.setup.title} did not start:\n{self.log()}")
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


@contextlib.contextmanager
def running(setup, certs):
    """The product as a Peer, with everything that it needs; ended in any case."""
    for attempt in range(1, STARTS_MAX + 1):
        peer = Peer(setup)
        try:
            try:
                setup.begin(peer, certs)
            except (SetupFault, RuntimeError) as fault:
                if attempt == STARTS_MAX or "in use" not in str(fault).lower():
                    raise SetupFault(str(fault)) from fault
                continue
            if certs:
                peer.way += ["--ca", certs / "ca.crt"]
            yield peer
            return
        finally:
            peer.close()


def redis(peer, certs, fsync):
    port, = free_ports(1)
    listen = ["--port", port] if not certs else ["--port", 0, "--tls-port", port, "--tls-cert-file", certs / "server.crt", "--tls-key-file", certs / "server.key",
                                                 "--tls-ca-cert-file", certs / "ca.crt", "--tls-auth-clients", "no"]
    peer.start([found("redis-server"), *listen, "--bind", "127.0.0.1", "--dir", peer.folder("data"), "--appendonly", "yes", "--appendfsync", fsync,
                "--save", "", "--daemonize", "no"], port)
    peer.way = ["redis", "--to", f"127.0.0.1:{port}"]
    secret = ["--tls", "--cacert", str(certs / "ca.crt")] if certs else []
    ask = [found("redis-cli"), "-h", "127.0.0.1", "-p", str(port), *secret, "XLEN", "events"]
    peer.held = lambda: {"events": int(subprocess.run(ask, capture_output=True, text=True, check=True, timeout=10).stdout)}


def nats_tls(certs, name, more=""):
    return f'tls {{ cert_file: "{certs}/{name}.crt", key_file: "{certs}/{name}.key", ca_file: "{certs}/ca.crt", timeout: 5 {more} }}\n' if certs else ""


def nats_server(peer, certs, name, port, more):
    """Starts one with a JetStream domain of its own; returns its monitoring port."""
    monitoring, = free_ports(1)
    certificate = nats_tls(certs, "first" if name == "leaf" else "server")
    config = peer.file(f"{name}.conf", f'listen: "127.0.0.1:{port}"\nserver_name: {name}\nhttp: "127.0.0.1:{monitoring}"\n{certificate}'
                                       f'jetstream {{ store_dir: "{peer.folder(name)}", domain: {name} }}\n{more}')
    peer.start([found("nats-server"), "-c", config], port)
    return monitoring


def monitored(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return json.load(answer)


def nats_one(peer, certs):
    port, = free_ports(1)
    monitoring = nats_server(peer, certs, "leaf", port, "")
    peer.way = ["nats", "--to", f"127.0.0.1:{port}"]
    peer.held = lambda: {"stream": monitored(monitoring, "/jsz")["messages"]}


NATS_ACCOUNTS = """accounts {
  SYS: { users: [ { user: sys, password: sys } ] }
  EVENTS: { jetstream: enabled, users: [ { user: events, password: events } ] }
}
system_account: SYS
no_auth_user: events
"""


def nats_leaf(peer, certs):
    """A JetStream domain each; the hub's stream gathers from the leaf's. The system accounts are joined too, as NATS's documentation has it."""
    leaf, hub, between = free_ports(3)
    own = nats_tls(certs, "first").strip()
    remotes = ", ".join(f'{{ url: "nats-leaf://{user}:{user}@127.0.0.1:{between}", account: {account} {own and ", " + own} }}' for user, account in
                        (("events", "EVENTS"), ("sys", "SYS")))
    hub_monitoring = nats_server(peer, certs, "hub", hub, NATS_ACCOUNTS + (
        f'leafnodes {{\n  listen: "127.0.0.1:{between}"\n  {nats_tls(certs, "server", ", verify: true")}}}\n'))
    leaf_monitoring = nats_server(peer, certs, "leaf", leaf, NATS_ACCOUNTS + f"leafnodes {{ remotes = [ {remotes} ] }}\n")
    wait_for("the leaf finds its hub", lambda: monitored(hub_monitoring, "/leafz")["leafnodes"] == 2, READY_SECONDS_MAX)  # an account each
    peer.way = ["nats", "--to", f"127.0.0.1:{leaf}", "--from", f"127.0.0.1:{hub}"]
    peer.held = lambda: {"leaf": monitored(leaf_monitoring, "/jsz")["messages"], "hub": monitored(hub_monitoring, "/jsz")["messages"]}


def mosquitto_listener(port, certs, name, more=""):
    secret = f"cafile {certs}/ca.crt\ncertfile {certs}/{name}.crt\nkeyfile {certs}/{name}.key\n{more}" if certs else ""
    return f"listener {port} 127.0.0.1\n{secret}"


def mosquitto(peer, name, port, listeners, more=""):
    """`user root`: without it one started by root becomes a user who may read neither the keys nor the directory; others are not changed."""
    peer.start([found("mosquitto"), "-c", peer.file(f"{name}.conf", (
        f"user root\nallow_anonymous true\npersistence true\npersistence_location {peer.folder(name)}/\nmax_queued_messages 0\nmax_inflight_messages 0\n"
        f"{listeners}{more}"))], port)


def mosquitto_one(peer, certs):
    port, = free_ports(1)
    mosquitto(peer, "one", port, mosquitto_listener(port, certs, "server"))
    peer.way = ["mqtt", "--to", f"127.0.0.1:{port}"]


def mosquitto_bridge(peer, certs):
    edge, hub, between = free_ports(3)
    mosquitto(peer, "hub", hub, mosquitto_listener(hub, certs, "server") + mosquitto_listener(between, certs, "server", "require_certificate true\n"))
    secret = f"bridge_cafile {certs}/ca.crt\nbridge_certfile {certs}/first.crt\nbridge_keyfile {certs}/first.key\n" if certs else ""
    mosquitto(peer, "edge", edge, mosquitto_listener(edge, certs, "first"), (
        f"connection to-hub\naddress 127.0.0.1:{between}\ntopic events out 1\ncleansession false\nbridge_protocol_version mqttv311\n{secret}"))
    hub_log = peer.directory / "0.log"
    wait_for("the bridge finds its hub", lambda: re.search(r"New (bridge|client) connected", hub_log.read_text(errors="replace")), READY_SECONDS_MAX)
    peer.way = ["mqtt", "--to", f"127.0.0.1:{edge}", "--from", f"127.0.0.1:{hub}"]


SETUPS = [
    Setup("redis", "Redis stream, appendfsync always", "yes", 1, 150_000, lambda peer, certs: redis(peer, certs, "always")),
    Setup("redis", "Redis stream, appendfsync everysec", "no (each second)", 1, 600_000, lambda peer, certs: redis(peer, certs, "everysec")),
    Setup("nats", "NATS JetStream, one server", "no (every two minutes)", 1, 300_000, nats_one),
    Setup("nats", "NATS JetStream, leaf to hub", "no (every two minutes)", 2, 120_000, nats_leaf),
    Setup("mosquitto", "mosquitto, QoS 1", "no (in memory)", 1, 200_000, mosquitto_one),
    Setup("mosquitto", "mosquitto bridge, QoS 1", "no (in memory)", 2, 80_000, mosquitto_bridge),
]
