"""One central and some edges as real processes on loopback, for the demo, the round trip and the chaos scripts.

Everything lives in one temporary directory that is removed at the end. Only processes started here are ended, by pid.
"""
import gzip
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import proc_threads
import proxy
from secured import Secured

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("WEIR_BIN", ROOT / "build/release/bin"))
PHILADELPHIA = ROOT.parent / "shared/data/violations/philadelphia-2017-12.ndjson.gz"
EARTHQUAKES = ROOT / "scripts/data/earthquakes.ndjson.gz"
READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30


def input_file():
    """The Philadelphia events where the shared data is present, else the earthquakes that the repository carries."""
    return PHILADELPHIA if PHILADELPHIA.exists() else EARTHQUAKES


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def wait_for(what, is_so, seconds_max=20, poll_s=0.02):
    """Until `is_so()`; returns the seconds that took. `what`: what is said when it does not come to be; a text, or a function for one."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > seconds_max:
            raise RuntimeError(f"not within {seconds_max} s: {what() if callable(what) else what}")
        time.sleep(poll_s)
    return time.monotonic() - began


def files_under(directory):
    """Each file's path and bytes. What a running daemon renames or removes meanwhile (a new checkpoint, a released segment) is passed over."""
    for folder, _, names in os.walk(directory):
        for path in (pathlib.Path(folder, name) for name in names):
            try:
                found = path.read_bytes() if path.is_file() else None
            except FileNotFoundError:
                continue
            if found is not None:
                yield path, found


tokens = {}  # of admin ports that answer to nobody else
contexts = {}  # of admin ports that speak TLS: what it takes to ask them


def ask(port, path, timeout=5, method="GET"):
    """The open answer of an admin port."""
    request = urllib.request.Request(f"{'https' if port in contexts else 'http'}://127.0.0.1:{port}{path}", method=method)
    if port in tokens:
        request.add_header("Authorization", f"Bearer {tokens[port]}")
    return urllib.request.urlopen(request, timeout=timeout, context=contexts.get(port))


def get_json(port, path):
    with ask(port, path) as answer:
        return json.load(answer)


class Daemon:
    def __init__(self, name, program, config_text, directory, admin_port, io, launcher=()):
        self.name, self.program, self.admin_port, self.io, self.launcher = name, program, admin_port, io, launcher
        self.data_dir = directory / name
        self.config = directory / f"{name}.toml"
        self.config.write_text(config_text.replace("DATA_DIR", str(self.data_dir)))
        self.log = directory / f"{name}.log"
        self.process = None

    def start(self, environment=None, is_awaited=True):
        """`environment`: variables on top of this process's own."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.launcher, BIN / self.program, "run", "--config", self.config, f"--io={self.io}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(environment or {})})
        return self.await_ready() if is_awaited else self

    def await_ready(self):
        give_up = time.monotonic() + READY_SECONDS_MAX
        while True:
            try:
                with ask(self.admin_port, "/healthz", timeout=2):
                    return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"{self.name} did not start; its log:\n{self.log.read_text()}") from None
                time.sleep(0.02)

    def stop(self):
        """Asks it to drain; it must end with 0."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_SECONDS_MAX)
        self.process = None
        if code != 0:
            raise RuntimeError(f"{self.name} ended with {code}; its log:\n{self.log.read_text()}")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def renice(self, nice):
        """Each of its threads, and those that they start: a stand-in for a daemon that has a machine of its own."""
        proc_threads.each(self.process.pid, lambda tid: os.setpriority(os.PRIO_PROCESS, tid, nice))

    def ledger(self):
        return get_json(self.admin_port, "/api/v1/ledger")

    def metrics(self):
        """Every metric's value, by its name with its labels as they are written."""
        with ask(self.admin_port, "/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))}

    def metric(self, name):
        """The first of that name, whatever its labels; None: there is none."""
        return next((value for key, value in self.metrics().items() if key.partition("{")[0] == name), None)

    def io_in_use(self):
        """uring or epoll, as the last start wrote to the log."""
        said = re.findall(r"\bio=(\w+)", self.log.read_text(errors="replace"))
        return said[-1] if said else None


class Cluster:
    """`edge_extra` is more configuration: one text for all edges, or a list with one for each. `is_proxied`: a proxy.Proxy stands
    before central for each edge (`uplinks`) and before each edge for its producers (`intakes`). `is_tls`: certificates of
    scripts/certs in `certs`, and TLS on every connection. `has_roles`: tokens on the admin ports; only with TLS. `is_admin_tls`: TLS on
    the admin ports, with the same certificates."""

    def __init__(self, edge_names, io="auto", edge_extra="", central_extra="", launcher=(), is_proxied=False, is_tls=False,
                 has_roles=False, is_admin_tls=False):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-"))
        self.certs = self.directory / "certs" if is_tls or is_admin_tls else None
        self.secured = Secured(ROOT, BIN, self.certs, edge_names, has_roles=has_roles, is_tls=is_tls, is_admin_tls=is_admin_tls) \
            if self.certs else None
        extras = [edge_extra] * len(edge_names) if isinstance(edge_extra, str) else edge_extra
        if self.secured:
            extras = [extra + self.secured.edge_tables(name) for name, extra in zip(edge_names, extras)]
            central_extra += self.secured.tables("central")
        ports = iter(free_ports(2 + 2 * len(edge_names)))
        edges_port, admin = next(ports), next(ports)
        self.central = Daemon("central", "weir-central", (
            'data_dir = "DATA_DIR"\nlog_level = "info"\n[listen]\n'
            f'edges = "127.0.0.1:{edges_port}"\nadmin = "127.0.0.1:{admin}"\n{central_extra}'), self.directory, admin, io,
            launcher)
        self.edges, self.producer_ports, self.uplinks, self.intakes = [], [], [], []
        for index, (name, extra) in enumerate(zip(edge_names, extras)):
            producers, admin = next(ports), next(ports)
            if is_proxied:
                self.uplinks.append(proxy.Proxy(edges_port, framing="tls" if is_tls else "frames", seed=index))
                self.intakes.append(proxy.Proxy(producers, seed=index))
            self.edges.append(Daemon(name, "weir-edge", (
                f'edge_id = "{name}"\ndata_dir = "DATA_DIR"\nlog_level = "info"\n[listen]\n'
                f'producers = ["127.0.0.1:{producers}"]\nadmin = "127.0.0.1:{admin}"\n[uplink]\n'
                f'centrals = ["127.0.0.1:{self.uplinks[-1].port if is_proxied else edges_port}"]\n{extra}'), self.directory,
                admin, io, launcher))
            self.producer_ports.append(self.intakes[-1].port if is_proxied else producers)
        if has_roles:
            tokens.update({daemon.admin_port: self.secured.token for daemon in [self.central, *self.edges]})
        if is_admin_tls:
            contexts.update({daemon.admin_port: self.secured.context() for daemon in [self.central, *self.edges]})
        self.senders = []
        self.is_ending = False

    def __enter__(self):
        try:
            self.central.start()
            for edge in self.edges:
                edge.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, error, trace):
        self.is_ending = True
        for sender in list(self.senders):
            if sender.poll() is None:
                sender.kill()
                sender.wait()
        for daemon in [*self.edges, self.central]:
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.kill()
        for one in [*self.uplinks, *self.intakes]:
            one.close()
        if kind is not None and os.environ.get("WEIR_KEEP"):
            print(f"kept: {self.directory}", file=sys.stderr)
            return
        if kind is not None:
            for daemon in [self.central, *self.edges]:
                if daemon.log.exists():
                    print(f"-- last lines of {daemon.name}'s log", file=sys.stderr)
                    print("\n".join(daemon.log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)
        shutil.rmtree(self.directory, ignore_errors=True)

    def split_input(self, path, events=None):
        """Deals the lines of `path` round robin, one file for each edge."""
        parts = [self.directory / f"input-{edge.name}.ndjson" for edge in self.edges]
        outs = [open(part, "wb") for part in parts]
        with (gzip.open if str(path).endswith(".gz") else open)(path, "rb") as lines:
            for index, line in enumerate(itertools.islice(lines, events)):
                outs[index % len(outs)].write(line)
        for out in outs:
            out.close()
        return parts

    def send(self, index, path, ack="delivered", producer=None, rate=None, stderr=None, more=()):
        command = [BIN / "weir-bench", "send", "--to", f"127.0.0.1:{self.producer_ports[index]}", "--ndjson", path,
                   "--ack", ack, "--json"]
        if producer:
            command += ["--producer", producer]
        if rate:
            command += ["--rate", str(rate)]
        command += [*self.sender_tls(), *more]
        sender = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, text=True)
        self.senders.append(sender)
        return sender

    def sender_tls(self):
        return self.secured.sender() if self.secured and self.secured.is_tls else []

    def finish(self, senders, seconds_max=300, may_be_rejected=False):
        """Waits for senders and returns what each reports; all must end with 0, or with 1 where some of their events may be rejected."""
        reports = []
        for sender in senders:
            out, _ = sender.communicate(timeout=seconds_max)
            if sender.returncode != 0 and not (may_be_rejected and sender.returncode == 1):
                raise RuntimeError(f"a sender ended with {sender.returncode}: {out}")
            reports.append(json.loads(out.strip().splitlines()[-1]))
        return reports

    def wait_until_delivered(self, seconds_max=120):
        wait_for(lambda: f"nothing is held: {[edge.ledger() for edge in self.edges]}",
                 lambda: not any(edge.ledger()["held"] for edge in self.edges), seconds_max, poll_s=0.05)

    def central_events(self):
        """All events in central's journal, as a file of JSON lines."""
        path = self.directory / "central.ndjson"
        with open(path, "wb") as out:
            subprocess.run([BIN / "weir-central", "journal", "cat", self.central.data_dir, "--json"], stdout=out,
                           check=True)
        return path

    def verify_journals(self):
        for daemon in [self.central, *self.edges]:
            done = subprocess.run([BIN / daemon.program, "journal", "verify", daemon.data_dir],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{daemon.name}'s journal: {done.stdout}{done.stderr}")

    def audit(self):
        """Central accounts for every event, from its own journals and those of the edges; beside daemons or without them."""
        command = [BIN / "weir-central", "audit", "--config", self.central.config]
        for edge in self.edges:
            command += ["--edge-dir", edge.data_dir]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"audit ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        print(done.stdout.strip().splitlines()[-1], flush=True)
