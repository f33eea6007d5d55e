#!/usr/bin/env python3
"""Strangers at central's and an edge's ports while another producer's events flow over TLS: connections that say nothing, connections that
say a byte a second, and handshakes as fast as they are answered. Is the live edge's p99 to the delivered ack harmed, and what does it
take in memory?

Rounds go through alone, idle, slow and handshakes in turn; each side's p99 is the median of its rounds. The strangers run at the lowest
priority (nice 19), as they share this machine's cores with the edge and central. Then, with the handshakes still coming, a second
edge must get in. Exit 1 where a p99 is above --ratio-max times that of the run alone (0: it is said, not judged), where memory grew by
more than --memory-mb-max, or where the ledger does not close.

  scripts/security/flood [--seconds N] [--rounds N] [--connections N] [--rate N] [--ratio-max R] [--memory-mb-max N] [--io auto|uring|epoll]
"""
import argparse
import json
import pathlib
import re
import resource
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import time

from cluster import BIN, Cluster
from proc_threads import cpu_seconds

SETTLE_S = 1.0
DIALS_AT_ONCE = 200
# Those who wait for a full queue try again together, in bursts of their kernel's timers: that would be measured here, where both ends
# are one machine.
IDLE_DIALS_PER_SECOND = 2000
STRANGER_ADDRESSES = 200
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h
ATTACKS = ("idle", "slow", "handshakes")


def hello():
    """What a TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    read, write = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(read, write).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return write.read()


def dial(port, number):
    """From one of many addresses: from one alone ports run out, and the kernel then looks at each of them for every dial."""
    one = socket.socket()
    one.setblocking(False)
    one.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    one.bind((f"127.0.1.{1 + number % STRANGER_ADDRESSES}", 0))
    one.connect_ex(("127.0.0.1", port))
    return one


def attack(kind, ports, count):
    """Until it is ended; says a second's count a line: connections open, begun in all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    first = hello()
    watched = selectors.DefaultSelector()
    begun, began = 0, time.monotonic()
    said = began
    open_now = {}

    def begin():
        nonlocal begun
        port = ports[begun % len(ports)]
        one = dial(port, begun)
        begun += 1
        open_now[one] = 0
        watched.register(one, selectors.EVENT_READ | (selectors.EVENT_WRITE if kind == "handshakes" else 0))

    def end(one):
        watched.unregister(one)
        del open_now[one]
        one.close()

    while True:
        # No more new ones at once than a listener's backlog: the rest would be the kernel's to refuse.
        while len(open_now) < count and (kind != "idle" or begun < (time.monotonic() - began) * IDLE_DIALS_PER_SECOND):
            begin()
            if begun % DIALS_AT_ONCE == 0:
                break
        for key, what in watched.select(0.05):
            one = key.fileobj
            try:
                if what & selectors.EVENT_WRITE:
                    one.send(first)
                    watched.modify(one, selectors.EVENT_READ)
                elif not one.recv(4096) or kind == "handshakes":
                    end(one)
            except OSError:
                end(one)
        now = time.monotonic()
        if now - said >= 1:
            said = now
            print(f"{len(open_now)} {begun}", flush=True)
            if kind == "slow":
                for one, at in list(open_now.items()):
                    try:
                        one.send(first[at % len(first):][:1])
                        open_now[one] = at + 1
                    except OSError:
                        end(one)


def memory_mb(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def run(cluster, args, index=0):
    command = [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[index]}", "--events",
               str(args.seconds * args.rate), "--rate", str(args.rate), "--payload-bytes", "100", "--ack", "delivered", "--json",
               *cluster.sender_tls()]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    cluster.senders.append(process)
    return cluster.finish([process])[0]["latency_us"]


class Strangers:
    def __init__(self, cluster, kind, ports, count):
        self.cluster, self.kind = cluster, kind
        self.process = subprocess.Popen(["nice", "-n", "19", sys.executable, __file__, "--attack", kind, "--ports",
                                         ",".join(map(str, ports)), "--connections", str(count)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.began = time.monotonic()
        cluster.senders.append(self.process)

    def __enter__(self):
        time.sleep(SETTLE_S)
        return self

    def __exit__(self, *_):
        if self.process.poll() is not None:
            raise RuntimeError(f"the strangers ended by themselves: {self.kind}")
        self.spent = cpu_seconds(self.process.pid)
        self.process.kill()
        out, _ = self.process.communicate()
        self.cores = self.spent / (time.monotonic() - self.began)
        self.cluster.senders.remove(self.process)
        rows = [tuple(map(int, line.split())) for line in out.splitlines() if line.count(" ") == 1]
        self.open_max = max((row[0] for row in rows), default=0)
        self.begun = rows[-1][1] if rows else 0


def second_edge(cluster):
    """Seconds until an edge that starts amid the handshakes is connected."""
    edge, begin = cluster.edges[1], time.monotonic()
    edge.start()
    while time.monotonic() - begin < 60:
        if "event=uplink_up" in edge.log.read_text():
            return time.monotonic() - begin
        time.sleep(0.05)
    raise RuntimeError("no edge gets in while strangers begin handshakes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--ratio-max", type=float, default=2.0)
    parser.add_argument("--memory-mb-max", type=float, default=64)
    parser.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    parser.add_argument("--attack", choices=ATTACKS, help=argparse.SUPPRESS)
    parser.add_argument("--ports", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.attack:
        return attack(args.attack, [int(port) for port in args.ports.split(",")], args.connections)
    cluster = Cluster(["north", "south"], io=args.io, is_tls=True)
    latencies = {kind: [] for kind in ("alone", *ATTACKS)}
    cores = {kind: [] for kind in latencies}
    counts = {"idle": args.connections, "slow": 500, "handshakes": 200}
    told = {}
    south = cluster.edges.pop()
    with cluster:
        central_port = int(re.search(r'edges = "127.0.0.1:(\d+)"', cluster.central.config.read_text()).group(1))
        ports = [central_port, cluster.producer_ports[0]]
        daemons = [cluster.central, cluster.edges[0]]
        def measure(kind):
            began, spent = time.monotonic(), [cpu_seconds(daemon.process.pid) for daemon in daemons]
            latencies[kind].append(run(cluster, args))
            seconds = time.monotonic() - began
            cores[kind].append([(cpu_seconds(daemon.process.pid) - was) / seconds for daemon, was in zip(daemons, spent)])

        run(cluster, args)  # warm
        before = [memory_mb(daemon) for daemon in daemons]
        most = list(before)
        for _ in range(args.rounds):
            measure("alone")
            for kind in ATTACKS:
                with Strangers(cluster, kind, ports, counts[kind]) as strangers:
                    measure(kind)
                    most = [max(was, memory_mb(daemon)) for was, daemon in zip(most, daemons)]
                told[kind] = (strangers.open_max, strangers.begun, strangers.cores)
        cluster.edges.append(south)
        with Strangers(cluster, "handshakes", [central_port], counts["handshakes"]):
            seconds = second_edge(cluster)
        numbers = cluster.central.metrics()
        cluster.wait_until_delivered()
        ledger = cluster.edges[0].ledger()
    failed = ledger["residue"] != 0 or ledger["held"] != 0
    alone = statistics.median(each["p99"] for each in latencies["alone"])
    print("  the strangers run at nice 19: what is measured is weir, not how two programs share a core")

    def share(kind):
        return ", ".join(f"{daemon.name} {statistics.median(row[index] for row in cores[kind]) * 100:.0f} %" for index, daemon in enumerate(daemons))

    print(f"  alone       p99 {alone / 1000:8.2f} ms; of a core: {share('alone')}")
    for kind in ATTACKS:
        p99 = statistics.median(each["p99"] for each in latencies[kind])
        open_max, begun, stranger_cores = told[kind]
        print(f"  {kind:11} p99 {p99 / 1000:8.2f} ms, ratio {p99 / alone:.2f}; of a core: {share(kind)}; strangers {100 * stranger_cores:.0f} %; their connections: {open_max} "
              f"at once, {begun} begun")
        failed |= args.ratio_max > 0 and p99 > args.ratio_max * alone
    for daemon, was, now in zip(daemons, before, most):
        print(f"  {daemon.name:11} memory {was:.0f} MiB before, {now:.0f} MiB at most, {args.memory_mb_max:.0f} more allowed")
        failed |= now - was > args.memory_mb_max
    of = '{of="edges"}'
    print("  central: " + ", ".join(f"{name} {numbers[f'weir_central_tls_{name}_total{of}']:.0f}" for name in (
        "handshakes", "handshake_seconds", "handshakes_late", "accept_pauses", "handshakes_pushed_out", "handshakes_failed", "sessions")))
    print(f"  a second edge got in after {seconds:.1f} s beside a flood of handshakes; ledger {json.dumps(ledger)}")
    print(f"flood: {'FAIL' if failed else 'PASS'}: {len(ATTACKS)} kinds of strangers beside a live edge")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
