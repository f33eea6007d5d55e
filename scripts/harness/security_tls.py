#!/usr/bin/env python3
"""TLS on every connection of real processes: events flow while both leaf certificates and the CA are replaced, without a lost event and
without a new connection; then who does not belong is kept out, and a stolen edge's open session is ended.

  scripts/security/tls [--events N] [--rate N] [--io auto|uring|epoll]
"""
import argparse
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys

from cluster import BIN, Cluster, wait_for

WAIT_S = 20


def expect(what, is_so):
    if not is_so:
        raise RuntimeError(f"not so: {what}")
    print(f"  {what}", flush=True)


def load(cluster, args):
    command = [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", str(args.events),
               "--rate", str(args.rate), "--payload-bytes", "100", "--ack", "delivered", "--json", *cluster.sender_tls()]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    cluster.senders.append(process)
    return process


def put(path, *parts):
    """All of it at once: what reads it sees the old or the new."""
    new = path.with_suffix(".new")
    new.write_bytes(b"".join(part.read_bytes() for part in parts))
    os.replace(new, path)


def rotate(cluster, edges, taken_before=0):
    """New leaves; then a new CA beside the old one, leaves of the new one, and the old one goes. The files are found by themselves; the
    last change is asked for by SIGHUP."""
    certs, make_certificates = cluster.certs, cluster.secured.make_certificates
    daemons = [cluster.central, *cluster.edges]
    taken = {daemon.name: taken_before for daemon in daemons}

    def all_take(what, is_asked=False):
        for daemon in daemons:
            taken[daemon.name] += 1
            if is_asked:
                daemon.process.send_signal(signal.SIGHUP)
        seconds = wait_for(what, lambda: all(
            d.metrics()[f"weir_{'central' if d is cluster.central else 'edge'}_tls_rotations_total"] >= taken[d.name] for d in daemons))
        print(f"  {what}: taken by all within {seconds:.1f} s", flush=True)

    make_certificates(certs, edges)
    all_take("new leaf certificates")
    make_certificates(certs / "next", edges)
    put(certs / "trusted.crt", certs / "ca.crt", certs / "next/ca.crt")
    all_take("a second CA beside the first")
    for name in ["central", *edges]:
        for end in ("key", "crt"):
            put(certs / f"{name}.{end}", certs / f"next/{name}.{end}")
            (certs / f"{name}.key").chmod(0o600)
    all_take("leaf certificates of the second CA")
    put(certs / "trusted.crt", certs / "next/ca.crt")
    all_take("the first CA gone", is_asked=True)


def sessions(daemon, label):
    who = "central" if daemon.name == "central" else "edge"
    return int(daemon.metrics()[f'weir_{who}_tls_sessions_total{{of="{label}"}}'])


def plain_bytes(port):
    """What a port does to one who does not speak TLS: it must close."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while plain.recv(4096):
            pass


def refusal_of(cluster, port, edge_id):
    """North's certificate with a hello of `edge_id` (core/wire/FORMAT.md): central's reason for refusing it, 0 if it does not."""
    context = ssl.create_default_context(cafile=cluster.certs / "trusted.crt")
    context.load_cert_chain(cluster.certs / "north.crt", cluster.certs / "north.key")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain, \
            context.wrap_socket(plain, server_hostname="127.0.0.1") as peer:
        hello = struct.pack("<IHH32sQQQQ", 0x52494557, 1, 0, edge_id.encode(), 99, 1, 0, 0)
        peer.sendall(struct.pack("<IHBBQ", len(hello), 0, 32, 0, 0) + hello)
        kind = struct.unpack("<IHBBQ", peer.recv(16))[2]
        return peer.recv(128)[0] if kind == 19 else 0


def outsiders(cluster):
    edge, central = cluster.edges[0], cluster.central
    edges_port = int(re.search(r'edges = "127.0.0.1:(\d+)"', central.config.read_text()).group(1))
    before = central.metrics()['weir_central_tls_handshakes_failed_total{of="edges"}']
    plain_bytes(edges_port)
    plain_bytes(cluster.producer_ports[0])
    wait_for("central counts who spoke no TLS",
             lambda: central.metrics()['weir_central_tls_handshakes_failed_total{of="edges"}'] > before)
    expect("plain bytes are closed by both listeners", True)

    expect("a hello with another edge's id is refused for its name", refusal_of(cluster, edges_port, "south") == 4)
    wait_for("and logged", lambda: re.search(r"tls_false_claim .*identity=edge/north what=edge/south", central.log.read_text()))

    # A producer that trusts another CA does not talk to this edge.
    stranger = cluster.directory / "stranger"
    cluster.secured.make_certificates(stranger, ["north"])
    done = subprocess.run([BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", "1", "--rate",
                           "max", "--payload-bytes", "10", "--tls", "--ca", stranger / "ca.crt"], capture_output=True, text=True)
    expect(f"a producer refuses an edge of another CA: {done.stderr.strip()}",
           done.returncode == 1 and "certificate verify failed" in done.stderr)

    # The edge gets a certificate of another CA: central keeps it out, it spools on, and comes back when that is mended.
    edge.stop()
    certs = cluster.certs
    (certs / "kept").mkdir()
    for end in ("key", "crt"):
        shutil.copy2(certs / f"north.{end}", certs / f"kept/north.{end}")
        shutil.copy2(stranger / f"north.{end}", certs / f"north.{end}")
    edge.start()
    cluster.finish([spool_some(cluster)])
    wait_for("central refuses it", lambda: "tls_handshake_failed" in central.log.read_text())
    expect("an edge of another CA is kept out and spools on", edge.ledger()["held"] >= 100)
    for end in ("key", "crt"):
        put(certs / f"north.{end}", certs / f"kept/north.{end}")
    (certs / "north.key").chmod(0o600)
    edge.process.send_signal(signal.SIGHUP)
    cluster.wait_until_delivered()
    expect("with its own certificate again everything it held is delivered, without a restart", edge.ledger()["held"] == 0)

    # Another edge's certificate: the name in the hello is not the certificate's.
    edge.stop()
    was = edge.config.read_text()
    edge.config.write_text(was.replace('edge_id = "north"', 'edge_id = "south"'))
    edge.start(is_awaited=False)
    code = edge.process.wait(WAIT_S)
    edge.process = None
    expect("an edge does not start with another edge's certificate", code != 0 and "none of the names" in edge.log.read_text())
    edge.config.write_text(was)
    (certs / "north.key").chmod(0o644)
    edge.start(is_awaited=False)
    code = edge.process.wait(WAIT_S)
    edge.process = None
    expect("nor with a key that others may read", code != 0 and "0600 or stricter" in edge.log.read_text())
    (certs / "north.key").chmod(0o600)
    edge.start()


def spool_some(cluster):
    command = [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", "100", "--rate", "max",
               "--payload-bytes", "100", "--ack", "spooled", "--json", "--tls", "--ca", cluster.directory / "stranger/ca.crt"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    cluster.senders.append(process)
    return process


def deny(cluster):
    edge, central = cluster.edges[0], cluster.central
    wait_for("the edge is connected", lambda: edge.metrics()["weir_edge_uplink_connected"] == 1)
    serial = subprocess.run(["openssl", "x509", "-in", cluster.certs / "north.crt", "-noout", "-serial"], capture_output=True,
                            text=True, check=True).stdout.strip().split("=")[1]
    denied = cluster.directory / "denied.new"
    denied.write_text(f"serial:{serial}\n")
    os.replace(denied, cluster.certs / "denied")
    seconds = wait_for("its open session is ended", lambda: central.metrics()['weir_central_tls_sessions_denied_total{of="edges"}'] > 0, 5)
    expect(f"the deny list ended the open session after {seconds:.1f} s (5 at most)", True)
    wait_for("it is not let in again", lambda: "the deny list names serial" in central.log.read_text())
    expect("and it is not let in again", edge.metrics()["weir_edge_uplink_connected"] == 0)
    (cluster.certs / "denied").write_text("")
    wait_for("it comes back when the list is empty", lambda: edge.metrics()["weir_edge_uplink_connected"] == 1)


def secrets(cluster):
    words = [line for name in ("north", "central") for line in (cluster.certs / f"{name}.key").read_text().splitlines()[1:-1]]
    logs = "".join(daemon.log.read_text() for daemon in [cluster.central, *cluster.edges])
    expect("no line of a key is in a log", not any(word in logs for word in words))


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--events", type=int, default=100_000)
    args.add_argument("--rate", type=int, default=5_000)
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args = args.parse_args()
    with Cluster(["north"], io=args.io, is_tls=True) as cluster:
        edge, central = cluster.edges[0], cluster.central
        print("rotation under load", flush=True)
        sender = load(cluster, args)
        wait_for("events flow", lambda: edge.ledger()["delivered"] > 0)
        rotate(cluster, ["north"])
        expect("load went on all the while", sender.poll() is None)
        report = cluster.finish([sender])[0]
        cluster.wait_until_delivered()
        ledger = edge.ledger()
        expect(f"offered {ledger['offered']}, delivered {ledger['delivered']}, residue {ledger['residue']}",
               ledger["delivered"] == args.events and ledger["residue"] == 0 and report["acked"] == args.events)
        expect(f"no new connection: {sessions(edge, 'producers')} producer, {sessions(central, 'edges')} edge",
               sessions(edge, "producers") == 1 and sessions(central, "edges") == 1)
        for name in ("p50", "p99", "max"):
            print(f"  delivered {name:>3}: {report['latency_us'][name] / 1000:8.2f} ms", flush=True)
        print("who does not belong", flush=True)
        outsiders(cluster)
        deny(cluster)
        secrets(cluster)
        cluster.wait_until_delivered()
        cluster.verify_journals()
        cluster.audit()
        for daemon in [*cluster.edges, cluster.central]:
            daemon.stop()
    print("tls: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
