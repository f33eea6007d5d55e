"""TLS on the admin ports of real processes, and operators by certificate: second half of scripts/security/roles.

Certificates are those of scripts/certs: a CA, the daemons' own, the operators alice and bob, who have a role by a line in the token file,
and carol, who has none; and alice once more of another CA.
"""
import base64
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time

from cluster import BIN, ROOT, Cluster, contexts, wait_for

LINES = "alice operator certificate\nbob viewer certificate\n"
SECONDS_MAX = 5  # for a rotation or a deny list to be taken


class Port:
    """One daemon's admin port, asked by those who show a certificate, a token, both or neither."""

    def __init__(self, daemon, certs):
        self.daemon, self.certs, self.name = daemon, certs, daemon.name

    def context(self, operator=None, ca="trusted.crt"):
        context = ssl.create_default_context(cafile=self.certs / ca)
        if operator:
            context.load_cert_chain(self.certs / f"{operator}.crt", self.certs / f"{operator}.key")
        return context

    def connect(self, operator=None):
        connection = http.client.HTTPSConnection("127.0.0.1", self.daemon.admin_port, timeout=20, context=self.context(operator))
        connection.connect()
        return connection

    def status(self, method, target, operator=None, token=None, headers=()):
        """0: nothing is answered."""
        try:
            connection = self.connect(operator)
            said = dict(headers) | ({"Authorization": f"Bearer {token}"} if token else {})
            connection.request(method, target, headers=said)
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return answer.status
        except OSError:
            return 0

    def socket(self, operator):
        raw = socket.create_connection(("127.0.0.1", self.daemon.admin_port), timeout=10)
        return self.context(operator).wrap_socket(raw, server_hostname="localhost")

    def is_shown_to(self, ca):
        """Whether who trusts that CA is connected."""
        try:
            with socket.create_connection(("127.0.0.1", self.daemon.admin_port), timeout=10) as raw, \
                    self.context(ca=ca).wrap_socket(raw, server_hostname="localhost") as wrapped:
                return wrapped.version() == "TLSv1.3"
        except OSError:
            return False

    def metric(self, name):
        return self.daemon.metrics()[f"weir_{'central' if self.name == 'central' else 'edge'}_admin_{name}"]


def receive_until(stream, end):
    heard = b""
    while end not in heard:
        piece = stream.recv(65536)
        if not piece:
            break
        heard += piece
    return heard


def make_certificates(directory, ca="ca"):
    subprocess.run([ROOT / "scripts/certs", directory, "--edges", "north", "--operators", "alice,bob,carol", "--ca", ca], check=True)


def strangers(checks, port):
    name = port.name
    with socket.create_connection(("127.0.0.1", port.daemon.admin_port), timeout=10) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            heard = plain.recv(4096)
        except OSError:
            heard = b""
    checks.expect(f"{name}: plain HTTP on the TLS port is closed unanswered", b"HTTP" not in heard, heard)
    checks.expect(f"{name}: a certificate of another CA is not let in", port.status("GET", "/healthz", "other/alice") == 0)
    checks.expect(f"{name}: an edge's certificate is no operator's, from whatever CA", port.status("GET", "/healthz", "north") == 0)
    wait_for("the refusals are counted", lambda: port.metric('refused_requests_total{for="handshake"}') == 3, SECONDS_MAX)
    checks.expect(f"{name}: each handshake that was refused is counted", True)
    try:
        with socket.create_connection(("127.0.0.1", port.daemon.admin_port), timeout=10) as raw:
            old = port.context()
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
            old.wrap_socket(raw, server_hostname="localhost")
        spoken = True
    except OSError:
        spoken = False
    checks.expect(f"{name}: TLS 1.2 is not spoken", not spoken)


def roles(checks, port, act, token):
    name = port.name
    checks.expect(f"{name}: without certificate and token nothing but /healthz is answered", [
        port.status("GET", "/healthz"), port.status("GET", "/metrics"), port.status("POST", act)] == [200, 401, 401])
    checks.expect(f"{name}: a certificate has the role that its line says", [
        port.status("GET", "/metrics", "alice"), port.status("POST", act, "alice"), port.status("GET", "/metrics", "bob"),
        port.status("POST", act, "bob")] == [200, 200, 200, 403])
    checks.expect(f"{name}: a certificate whose name has no line has no role", [
        port.status("GET", "/healthz", "carol"), port.status("GET", "/metrics", "carol"), port.status("POST", act, "carol")]
        == [200, 403, 403])
    checks.expect(f"{name}: a token goes over TLS too, and counts alone beside a certificate", [
        port.status("GET", "/metrics", token=token), port.status("POST", act, "alice", token=token),
        port.status("GET", "/metrics", "alice", token="harness." + "A" * 43), port.status("GET", "/metrics", "carol", token=token)]
        == [200, 403, 401, 200])
    own = f"127.0.0.1:{port.daemon.admin_port}"
    checks.expect(f"{name}: a page of another origin acts by nobody's certificate", [
        port.status("POST", act, "alice", headers={"Origin": "https://evil.example"}),
        port.status("POST", act, "alice", headers={"Origin": f"http://{own}", "X-Weir": "1"}),
        port.status("POST", act, "alice", headers={"Sec-Fetch-Site": "cross-site"}),
        port.status("GET", "/metrics", "alice", headers={"Host": "evil.example"}),
        port.status("POST", act, "alice", headers={"Origin": f"https://{own}", "X-Weir": "1"})] == [403] * 4 + [200])
    records = [json.loads(line) for line in (port.daemon.data_dir / "audit-trail").read_text().splitlines()]
    done = {(one["act"], one["who"], one["outcome"]) for one in records}
    checks.expect(f"{name}: the trail says whose certificate it was", ("admin", "certificate:alice", "200") in done
                  and ("authentication", "certificate:carol", "has no role") in done
                  and any(act == "identity.tls_handshake_failed" for act, _, _ in done), done)


def streams(checks, port):
    """Central's."""
    key = base64.b64encode(os.urandom(16)).decode()
    with port.socket("bob") as stream:
        stream.sendall(f"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        heard = receive_until(stream, b'"type":')
        checks.expect("central: a WebSocket is told the state over TLS", heard.startswith(b"HTTP/1.1 101") and b'"type":' in heard, heard[:300])
    with port.socket("bob") as stream:
        stream.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
        heard = receive_until(stream, b"data: ")
        checks.expect("central: and as server-sent events", heard.startswith(b"HTTP/1.1 200") and b"data: " in heard, heard[:300])


def tools(checks, cluster, edge, central):
    show = ["--ca", cluster.certs / "ca.crt", "--cert", cluster.certs / "alice.crt", "--key", cluster.certs / "alice.key"]

    def run(program, *command):
        return subprocess.run([BIN / program, *command], capture_output=True, text=True, check=False, timeout=30)

    for port in (edge, central):
        at = f"https://127.0.0.1:{port.daemon.admin_port}"
        top = run(port.daemon.program, "top", "--once", "--interval", "0.1", "--admin", at, *show)
        checks.expect(f"{port.name}: top looks over TLS", top.returncode == 0 and len(top.stdout) > 100, top.stderr)
        top = run(port.daemon.program, "top", "--once", "--interval", "0.1", "--admin", at, "--ca", cluster.certs / "other/other.crt")
        checks.expect(f"{port.name}: and at nobody who shows a certificate of another CA", top.returncode == 2
                      and "certificate verify failed" in top.stderr, top.stderr)

    def tapping():
        cluster.senders.append(subprocess.Popen(
            [BIN / "weir-edge", "tap", "--limit", "1", "--format", "json", "--admin", f"127.0.0.1:{edge.daemon.admin_port}", *show],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return cluster.senders[-1]

    tap = tapping()
    path = cluster.directory / "tapped.ndjson"
    for number in range(60):  # it is let in once that is in the audit trail: a slow disk makes it wait, or give up
        path.write_text(json.dumps({"id": str(number), "type": "a.b", "source": "s", "time": "2026-01-31T08:00:00Z", "data": {}}) + "\n")
        cluster.finish([cluster.send(0, path)])
        if tap.poll() == 0:
            break
        if tap.poll() is not None:
            tap = tapping()
        time.sleep(0.2)
    out, err = tap.communicate(timeout=30)
    checks.expect("north: tap shows an event over TLS", tap.returncode == 0 and '"a.b"' in out, out + err)


def rotation(checks, cluster, ports):
    """Of certificate and CA; connections that are open go on."""
    certs = cluster.certs
    open_connections = [port.connect("bob") for port in ports]
    make_certificates(certs / "next", ca="next")
    shutil.copy(certs / "next/next.crt", certs / "next.crt")
    with open(certs / "trusted.crt", "a", encoding="utf-8") as bundle:
        bundle.write((certs / "next.crt").read_text())
    for daemon in ("north", "central"):
        for ending in ("key", "crt"):
            os.replace(certs / f"next/{daemon}.{ending}", certs / f"{daemon}.{ending}")
    for port, connection in zip(ports, open_connections):
        seconds = wait_for("the new certificate is shown", lambda p=port: p.is_shown_to("next.crt"), 2 * SECONDS_MAX)
        checks.expect(f"{port.name}: a new certificate of a new CA is shown within {SECONDS_MAX} s, without a restart", seconds < SECONDS_MAX, seconds)
        checks.expect(f"{port.name}: who trusts the old CA alone is not connected any more", not port.is_shown_to("ca.crt"))
        connection.request("GET", "/metrics")
        checks.expect(f"{port.name}: a connection that was open goes on", connection.getresponse().status == 200)
        connection.close()
    for port in ports:
        contexts[port.daemon.admin_port] = cluster.secured.context()
        checks.expect(f"{port.name}: the rotation is counted", port.metric("tls_rotations_total") >= 1)


def revocation(checks, cluster, ports):
    connections = [port.connect("alice") for port in ports]
    (cluster.certs / "denied").write_text("uri:spiffe://weir.test/operator/alice\n")
    for port, connection in zip(ports, connections):
        connection.sock.settimeout(2 * SECONDS_MAX)
        began = time.monotonic()
        try:
            ended = connection.sock.recv(1) == b""
        except OSError:
            ended = time.monotonic() - began < SECONDS_MAX
        checks.expect(f"{port.name}: a denied operator's open connection is ended within {SECONDS_MAX} s", ended
                      and time.monotonic() - began < SECONDS_MAX)
        checks.expect(f"{port.name}: and no other", [port.status("GET", "/metrics", "alice"), port.status("GET", "/metrics", "bob")] == [0, 200])


def beyond_loopback(checks, cluster):
    """Judged by `check`: nothing listens there."""
    text = cluster.central.config.read_text().replace('admin = "127.0.0.1:', 'admin = "0.0.0.0:')
    common, own = text.split("[admin]\n")

    def is_taken(*left_out):
        path = cluster.directory / "far.toml"
        path.write_text(common + "[admin]\n" + "".join(line for line in own.splitlines(True) if not line.startswith(left_out)))
        done = subprocess.run([BIN / "weir-central", "check", path], capture_output=True, text=True, check=False)
        return done.returncode == 0, "listen.admin: must be a loopback address" in done.stdout + done.stderr

    checks.expect("central: an admin port may leave loopback with TLS and tokens, and not without both", [
        is_taken("#"), is_taken("tokens", "client_"), is_taken("certificate", "key", "client_")]
        == [(True, False), (False, True), (False, True)])


def secrets(checks, cluster, ports, memory_of):
    needle = cluster.secured.token.split(".")[1].encode()
    for port in ports:
        try:
            is_there = any(needle in piece for piece in memory_of(port.daemon.process.pid))
        except PermissionError:
            print("  skipped: this user may not read another process's memory")
            return
        checks.expect(f"{port.name}: no token that came over TLS is in its memory", not is_there)


def check(checks, io, memory_of, is_spoiled):
    """`memory_of`: the pieces of a process's memory, by its pid. `is_spoiled`: carol has a role."""
    cluster = Cluster(["north"], io=io, is_tls=True, has_roles=True, is_admin_tls=True)
    certs = cluster.certs
    make_certificates(certs)
    make_certificates(certs / "other", ca="other")
    with open(certs / "tokens", "a", encoding="utf-8") as tokens:
        tokens.write(LINES + ("carol viewer certificate\n" if is_spoiled else ""))
    for daemon in (cluster.central, *cluster.edges):
        daemon.config.write_text(daemon.config.read_text() + f'client_ca = "{certs}/ca.crt"\nclient_certificate = "asked"\n')
    with cluster:
        edge, central = Port(cluster.edges[0], certs), Port(cluster.central, certs)
        for port, act in ((edge, "/v1/reload"), (central, "/api/v1/lanes/telemetry/release")):
            print(f"{port.name}: TLS and certificates on the admin port", flush=True)
            strangers(checks, port)
            roles(checks, port, act, cluster.secured.token)
        streams(checks, central)
        secrets(checks, cluster, (edge, central), memory_of)
        tools(checks, cluster, edge, central)
        rotation(checks, cluster, (edge, central))
        revocation(checks, cluster, (edge, central))
        beyond_loopback(checks, cluster)
