#!/usr/bin/env python3
"""Who may do what on the admin ports of real processes: tokens and roles, what a page in a browser may not, what a guesser meets, and the
trail of it, in which a changed record is found. Then the secrets are looked for where they must not be. And the same ports with TLS, and
operators by certificate (security_admin_tls.py).

  scripts/security/roles [--io auto|uring|epoll] [--spoil]

--spoil changes nothing in the trail that is verified, leaves a token in a log, and gives a role to whom none is due: the checks that find
those must fail.
"""
import argparse
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import time

import security_admin_tls
from cluster import BIN, Cluster, files_under, wait_for

WRONG = "." + "A" * 43
PIECE_BYTES, OVERLAP_BYTES = 16 << 20, 4096


class Checks:
    failed = 0

    def expect(self, what, is_so, more=""):
        print(f"  {'ok  ' if is_so else 'FAIL'}  {what}" + (f": {more}" if more and not is_so else ""), flush=True)
        self.failed += not is_so


class Admin:
    """One daemon's admin port, and the tokens for it."""

    def __init__(self, daemon, tokens):
        self.daemon, self.tokens = daemon, tokens

    def ask(self, method, target, role=None, reason=None, token=None, **headers):
        """(status, headers, body) of exactly this request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.admin_port, timeout=20)
        token = token or (self.tokens[role] if role else None)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if reason:
            headers["Weir-Reason"] = reason
        connection.putrequest(method, target, skip_host="Host" in headers, skip_accept_encoding=True)
        if method == "POST":
            connection.putheader("Content-Length", "0")
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, answer.headers, body

    def status(self, *args, **kwargs):
        return self.ask(*args, **kwargs)[0]


def make_tokens(directory, program):
    """A token of each role, as an operator makes them: the hash in one file, each token in a file of its own."""
    tokens = {}
    for role in ("viewer", "operator", "replayer", "admin"):
        out = directory / f"{role}.token"
        subprocess.run([BIN / program, "token", directory / "tokens", role, role, "--out", out], check=True)
        tokens[role] = out.read_text().strip()
    return tokens


def verify(program, path, *more):
    done = subprocess.run([BIN / program, "audit-trail", "verify", path, *more], capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def roles(checks, edge, central):
    for admin, act, letters in ((edge, "/v1/reload", "/v1/dead-letters/"),
                                (central, "/api/v1/lanes/telemetry/hold", "/api/v1/dead-letters/")):
        name = admin.daemon.name
        checks.expect(f"{name}: without a token nothing but /healthz is answered", [
            admin.status("GET", "/healthz"), admin.status("GET", "/metrics"), admin.status("GET", "/api/v1/ledger"),
            admin.status("POST", act)] == [200, 401, 401, 401])
        checks.expect(f"{name}: a viewer reads and does nothing", [
            admin.status("GET", "/metrics", "viewer"), admin.status("POST", act, "viewer"),
            admin.status("POST", letters + "purge", "viewer", "x")] == [200, 403, 403])
        checks.expect(f"{name}: an operator acts", admin.status("POST", act, "operator") == 200)
        checks.expect(f"{name}: dead-letter replay and purge without the role are refused", [
            admin.status("POST", letters + verb, role, "x") for verb in ("replay", "purge") for role in (None, "viewer", "operator")]
            == [401, 403, 403] * 2)
        checks.expect(f"{name}: a replayer without a reason is refused, and may do nothing else", [
            admin.status("POST", letters + "purge", "replayer"), admin.status("POST", act, "replayer")] == [400, 403])
        checks.expect(f"{name}: what no rule names only an admin may ask for", [
            admin.status("POST", "/v1/nothing", role) for role in ("viewer", "operator", "replayer", "admin")] == [403, 403, 403, 404])
    checks.expect("central: a lane that was held is released",
                  central.status("POST", "/api/v1/lanes/telemetry/release", "admin") == 200)


def letters(checks, cluster, edge):
    """Letters of events that broke a rule: replayed by HTTP by the one who may, when the rule is mended."""
    path = cluster.directory / "events.ndjson"
    path.write_text("".join(json.dumps({"id": str(i), "type": "broken.x", "source": "s", "time": "2026-01-31T08:00:00Z", "data": {"n": i}}) + "\n" for i in range(20)))
    sender = cluster.send(0, path, ack="delivered")
    out, _ = sender.communicate(timeout=60)
    checks.expect("edge: what breaks the rule is rejected", json.loads(out.strip().splitlines()[-1])["rejected"] == 20, out)
    config = edge.daemon.config
    config.write_text(config.read_text().replace('must = \'type != "broken.x"\'', "must = 'type != \"never\"'"))
    checks.expect("edge: reload by an operator", edge.status("POST", "/v1/reload", "operator") == 200)
    status, _, body = edge.ask("POST", "/v1/dead-letters/replay", "replayer", "the rule was wrong")
    outcomes = [json.loads(line).get("outcome") for line in body.splitlines() if line.startswith("{")]
    checks.expect("edge: a replayer with a reason replays", status == 200 and outcomes.count("accepted") == 20, (status, body[-300:]))
    status, _, body = edge.ask("POST", "/v1/dead-letters/replay", "replayer", "once more")
    checks.expect("edge: and again finds nothing to do", status == 200 and "accepted" not in body, (status, body[-300:]))


def browser(checks, admin):
    name = admin.daemon.name
    port = admin.daemon.admin_port
    checks.expect(f"{name}: a POST of a page in a browser is refused (CSRF)", [
        admin.status("POST", "/v1/reload", "admin", Origin="http://evil.example"),
        admin.status("POST", "/v1/reload", "admin", Origin=f"http://127.0.0.1:{port}"),
        admin.status("POST", "/v1/reload", "admin", Origin="null"),
        admin.status("POST", "/v1/reload", "admin", Sec_Fetch_Site="cross-site")] == [403] * 4)
    checks.expect(f"{name}: a page of another origin reads nothing",
                  admin.status("GET", "/metrics", "admin", Origin="http://evil.example") == 403)
    checks.expect(f"{name}: a Host of another name is refused (DNS rebinding)", [
        admin.status("GET", "/healthz", Host=host) for host in ("evil.example", f"evil.example:{port}", "10.0.0.1", "localhost.evil.example")]
        == [403] * 4)
    checks.expect(f"{name}: a path that leaves its place is refused (path traversal)", [
        admin.status("GET", path, "admin") for path in ("/../../etc/passwd", "/api/v1/../../metrics", "/%2e%2e/etc/passwd",
                                                        "/api/%2fetc/passwd", "//etc/passwd", "/metrics/..", "/a\\..\\b")] == [400] * 7)
    _, headers, _ = admin.ask("GET", "/metrics", "viewer")
    checks.expect(f"{name}: the answer forbids a page to use it (CSP)",
                  headers["Content-Security-Policy"].startswith("default-src 'none'; frame-ancestors 'none'")
                  and headers["X-Content-Type-Options"] == "nosniff")
    checks.expect(f"{name}: a head or body that is too long is refused", [
        admin.status("GET", "/metrics", "viewer", X="x" * 9000), admin.status("GET", "/metrics", "viewer", Content_Length="100000")]
        == [431, 413])


def guesser(checks, admin):
    name = admin.daemon.name
    tries = [admin.ask("GET", "/metrics", token="operator" + WRONG) for _ in range(8)]
    checks.expect(f"{name}: after five wrong tokens the guesser is told to wait",
                  [status for status, _, _ in tries] == [401] * 5 + [429] * 3 and int(tries[-1][1]["Retry-After"]) >= 1,
                  [status for status, _, _ in tries])
    checks.expect(f"{name}: others are answered meanwhile", admin.status("GET", "/metrics", "viewer") == 200)
    began = time.monotonic()
    while admin.status("GET", "/metrics", "operator") == 429 and time.monotonic() - began < 10:
        time.sleep(0.1)
    checks.expect(f"{name}: the right token is answered once the pause is over", admin.status("GET", "/metrics", "operator") == 200
                  and time.monotonic() - began > 0.5)
    metrics = admin.ask("GET", "/metrics", "viewer")[2]
    refused = {kind: int(float(count)) for kind, count in re.findall(r'_admin_refused_requests_total\{for="(\w+)"\} (\S+)', metrics)}
    checks.expect(f"{name}: each refusal is counted by its reason",
                  all(refused[kind] > 0 for kind in ("host", "origin", "target", "token", "role", "pause", "reason")), refused)


def rotation(checks, admin, others, tokens_file):
    """A token that is taken out of the file is out within two seconds, and one that is put in is in."""
    kept = tokens_file.read_text()
    new = tokens_file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text("".join(line for line in kept.splitlines(True) if not line.startswith("viewer ")))
    os.replace(new, tokens_file)
    began = time.monotonic()
    while admin.status("GET", "/metrics", "viewer") == 200 and time.monotonic() - began < 10:
        time.sleep(0.1)
    checks.expect(f"{admin.daemon.name}: a token that was taken out of the file is refused within 3 s", time.monotonic() - began < 3)
    tokens_file.write_text(kept)
    began = time.monotonic()
    while any(one.status("GET", "/metrics", "viewer") != 200 for one in others) and time.monotonic() - began < 10:
        time.sleep(0.3)
    checks.expect(f"{admin.daemon.name}: one that is put in is answered within 3 s", time.monotonic() - began < 3)


def trail(checks, cluster, admin, is_spoiled):
    program, name = admin.daemon.program, admin.daemon.name
    path = admin.daemon.data_dir / "audit-trail"
    said = json.loads(admin.ask("GET", "/api/v1/access", "admin")[2])["audit_trail"]
    anchor = f"{said['records']}:{said['head']}"
    code, text = verify(program, admin.daemon.data_dir, "--anchor", anchor)
    checks.expect(f"{name}: the trail verifies, and holds the head that the daemon says", code == 0 and said["head"] in text, text)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    acts = [(record["act"], record["who"], record["outcome"]) for record in records]
    checks.expect(f"{name}: the trail says who did what", ("admin", "operator", "asked") in acts
                  and ("admin", "operator", "200") in acts and any(act == "authentication" for act, _, _ in acts)
                  and any(act == "role" for act, _, _ in acts), acts)
    copy = cluster.directory / f"{name}.trail"
    lines = path.read_bytes().splitlines(True)

    def found(what, changed, said_so):
        copy.write_bytes(b"".join(lines if is_spoiled else changed))
        code, text = verify(program, copy)
        checks.expect(f"{name}: audit-trail verify finds {what} and names it", code == 1 and said_so in text, text)

    third = lines[2].replace(b'"outcome":"', b'"outcome":"x')
    found("a changed record", [*lines[:2], third, *lines[3:]], "record 3: changed")
    found("a removed record", lines[:2] + lines[3:], "record 3: removed or moved")
    found("two records in the other order", [*lines[:2], lines[3], lines[2], *lines[4:]], "record 3: removed or moved")
    copy.write_bytes(b"".join(lines[:-1]))
    checks.expect(f"{name}: a record cut off the end is found by an anchor only",
                  verify(program, copy)[0] == 0 and verify(program, copy, "--anchor", anchor)[0] == 1)


def memory_of(pid):
    """Everything that the process may write to and holds, as bytes: each region in pieces that overlap by more than a token."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            area, modes = line.split()[:2]
            if "w" not in modes or line.rstrip().endswith("[vvar]"):
                continue
            begin, end = (int(number, 16) for number in area.split("-"))
            for at in range(begin, end, PIECE_BYTES):
                try:
                    memory.seek(at)
                    yield memory.read(min(end - at, PIECE_BYTES + OVERLAP_BYTES))
                except (OSError, ValueError, OverflowError):
                    break


def secrets(checks, cluster, admins, is_spoiled):
    if is_spoiled:
        with open(admins[0].daemon.log, "a", encoding="utf-8") as log:
            log.write(admins[0].tokens["admin"] + "\n")
    kept = {cluster.directory / name for name in os.listdir(cluster.directory) if name.endswith(".token")}
    for admin in admins:
        needles = {role: token.split(".")[1].encode() for role, token in admin.tokens.items()}
        where = [str(path) for path, found in files_under(cluster.directory) if path not in kept
                 and any(needle in found for needle in needles.values())]
        checks.expect(f"{admin.daemon.name}: no token is in any log or file", not where, where)
        try:
            in_memory = sorted({role for piece in memory_of(admin.daemon.process.pid) for role, needle in needles.items()
                                if needle in piece})
            checks.expect(f"{admin.daemon.name}: no token is in its memory after it was shown", not in_memory, in_memory)
        except PermissionError:
            print("  skipped: this user may not read another process's memory")


def core(checks, cluster, admin):
    """With a core dump asked for by everything else, the daemon leaves none."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text(encoding="utf-8").strip()
    if pattern.startswith("|") or "/" in pattern:
        print(f"  skipped: core dumps go elsewhere here ({pattern})")
        return
    folder = cluster.directory / "cores"
    folder.mkdir()

    def dumps(text, name):
        config = cluster.directory / f"{name}.toml"
        config.write_text(text)
        process = subprocess.Popen([BIN / admin.daemon.program, "run", "--config", config], cwd=folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1)))
        cluster.senders.append(process)
        wait_for(f"{name} writes its audit trail", (admin.daemon.data_dir / "audit-trail").exists)
        time.sleep(1)
        process.send_signal(signal.SIGABRT)
        process.wait()
        found = list(folder.iterdir())
        for one in found:
            one.unlink()
        return bool(found)

    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    text = admin.daemon.config.read_text()
    if hard == 0 or not dumps("runtime.core_dumps = true\n" + text, "dumping"):
        print("  skipped: no core dump is made here at all")
        return
    checks.expect(f"{admin.daemon.name}: a crash leaves no core dump", not dumps(text, "private"))


def refuses_to_start(checks, admin, tokens_file):
    """A token file that others may read."""
    tokens_file.chmod(0o640)
    try:
        admin.daemon.start()
        checks.expect(f"{admin.daemon.name}: a token file that others may read is refused at start", False)
    except RuntimeError as error:
        checks.expect(f"{admin.daemon.name}: a token file that others may read is refused at start", "must have mode 0600" in str(error),
                      str(error))
    admin.daemon.process = None
    tokens_file.chmod(0o600)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--io", default="auto")
    parser.add_argument("--spoil", action="store_true")
    args = parser.parse_args()
    checks = Checks()
    rule = "\n[[rules]]\nmust = 'type != \"broken.x\"'\n"
    cluster = Cluster(["north"], io=args.io, edge_extra="[admin]\ntokens = \"TOKENS\"\n" + rule,
                      central_extra="[admin]\ntokens = \"TOKENS\"\n")
    tokens_file = cluster.directory / "tokens"
    tokens = make_tokens(cluster.directory, "weir-edge")
    for daemon in [cluster.central, *cluster.edges]:
        daemon.config.write_text(daemon.config.read_text().replace("TOKENS", str(tokens_file)))
    with cluster:
        edge, central = Admin(cluster.edges[0], tokens), Admin(cluster.central, tokens)
        print("roles:")
        roles(checks, edge, central)
        letters(checks, cluster, edge)
        for admin in (edge, central):
            print(f"{admin.daemon.name}: pages, guessers, the trail")
            browser(checks, admin)
            guesser(checks, admin)
            rotation(checks, admin, (edge, central), tokens_file)
            trail(checks, cluster, admin, args.spoil)
        print("secrets:")
        secrets(checks, cluster, (edge, central), args.spoil)
        for daemon in [cluster.edges[0], cluster.central]:
            daemon.stop()
        refuses_to_start(checks, edge, tokens_file)
        core(checks, cluster, central)
    security_admin_tls.check(checks, args.io, memory_of, args.spoil)
    print("every check holds" if checks.failed == 0 else f"{checks.failed} checks failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
