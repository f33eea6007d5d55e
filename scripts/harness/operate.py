#!/usr/bin/env python3
"""What a person does beside a running edge: POST /v1/reload, `weir-edge tap` and `weir-edge top`, over real events; the ledger closes
whatever the readers do.

  scripts/operate [--events N] [--io auto|uring|epoll]
"""
import argparse
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from cluster import BIN, Cluster

LANE = '[[lanes]]\nname = "urgent"\n'
FIRST = LANE + '[[routes]]\nlane = "urgent"\nwhen = \'data.n == 1\'\n'
STRICT = FIRST + "[[rules]]\nmust = 'data.n < 5'\n"
BROKEN = LANE + "[[rules]]\nmust = 'type == 5'\n"
WAIT_S = 10


def expect(what, is_so, detail=""):
    if not is_so:
        raise RuntimeError(f"{what}: {detail}")


def post(edge, path, body="", headers=None):
    request = urllib.request.Request(f"http://127.0.0.1:{edge.admin_port}{path}", body.encode(), headers or {}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def tap(edge, *options):
    return subprocess.Popen([BIN / "weir-edge", "tap", "--admin", f"127.0.0.1:{edge.admin_port}", *options], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def send(cluster, ids, n):
    """An event that becomes a dead letter has the sender end with 1."""
    path = cluster.directory / "some.ndjson"
    path.write_text("".join(json.dumps({"id": one, "type": "reading", "source": "s", "key": "k", "time": "2026-01-31T08:00:00Z", "data": {"n": n}}) + "\n"
                            for one in ids))
    cluster.send(0, path, ack="spooled").communicate(timeout=WAIT_S)


def until_seen(process, cluster, name, n):
    """Sends until the tap ends: an event that was before it is not shown."""
    give_up = time.monotonic() + WAIT_S
    for number in range(1000):
        if process.poll() is not None:
            return process.communicate()
        expect("the tap ends", time.monotonic() < give_up)
        send(cluster, [name.replace("#", str(number))], n)
        time.sleep(0.02)
    raise RuntimeError("the tap never ended")


def try_reload(cluster, edge):
    text = edge.config.read_text()
    edge.config.write_text(text.replace(FIRST, STRICT))
    status, body = post(edge, "/v1/reload")
    answer = json.loads(body)
    expect("a good file is taken", status == 200 and answer["taken"] and answer["in_force"] and answer["rules"] == 1, body)
    before = edge.ledger()["dead_lettered"]
    send(cluster, ["strict"], 7)
    expect("what was taken judges the next event", edge.ledger()["dead_lettered"] == before + 1, edge.ledger())
    edge.config.write_text(text.replace(FIRST, BROKEN))
    status, body = post(edge, "/v1/reload")
    refused = json.loads(body)
    expect("a broken file is refused", status == 422 and not refused["taken"] and refused["digest"] == answer["digest"], body)
    checked = subprocess.run([BIN / "weir-edge", "check", edge.config], capture_output=True, text=True, check=False)
    expect("as the check prints it", "\n".join(refused["errors"]) + "\n" == checked.stderr, (refused, checked.stderr))
    edge.config.write_text(text)
    status, _ = post(edge, "/v1/reload", headers={"Origin": "http://example.org"})
    expect("a page in a browser has no say", status == 403, status)
    expect("the first one is taken again", post(edge, "/v1/reload")[0] == 200)


def try_tap(cluster, edge):
    out, err = until_seen(tap(edge, "--where", 'lane == "urgent" && data.n == 1', "--limit", "3", "--format", "json"), cluster,
                          "tapped-#", 1)
    events = [json.loads(line) for line in out.splitlines()]
    expect("three events, each as it was", len(events) == 3 and all(
        one["verdict"] == "admitted" and one["lane"] == "urgent" and one["id"].startswith("tapped-") and one["data"] == {"n": 1}
        for one in events), out)
    expect("the count at the end", json.loads(err)["tap"]["shown"] == 3, err)

    wrong = tap(edge, "--where", "verdict = 5")
    _, err = wrong.communicate(timeout=WAIT_S)
    expect("a wrong expression has its place", wrong.returncode == 1 and err.startswith("1:9: ") and "^" in err, err)

    first = tap(edge, "--where", 'id == "never"')
    time.sleep(0.5)
    second = tap(edge)
    _, err = second.communicate(timeout=WAIT_S)
    expect("one tap at a time", second.returncode == 1 and "open already" in err, err)
    first.kill()
    first.communicate()
    # The edge learns that the reader went when it writes to it, or looks: within flow_ms_max of the admin port.
    give_up, err = time.monotonic() + WAIT_S, "open already"
    while "open already" in err and time.monotonic() < give_up:
        out, err = until_seen(tap(edge, "--where", 'verdict == "duplicate"', "--limit", "1"), cluster, "again", 2)
    expect("the place of a reader that went is free", "duplicate" in out and "id=again" in out, out)


def try_stalled_reader(cluster, edge, events):
    """A reader that takes nothing: the pipeline does not wait for it."""
    body = b"true"
    stalled = socket.create_connection(("127.0.0.1", edge.admin_port))
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.sendall(b"POST /v1/tap?limit=1000000&rate=100000 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                    % (len(body), body))
    time.sleep(0.3)
    process = subprocess.Popen([BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events",
                                str(events), "--rate", "max", "--payload-bytes", "100", "--ack", "spooled", "--json"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    cluster.senders.append(process)
    report = cluster.finish([process])[0]
    stalled.close()
    return report


def try_top(edge):
    done = subprocess.run([BIN / "weir-edge", "top", "--admin", f"127.0.0.1:{edge.admin_port}", "--once", "--interval", "0.3"],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=WAIT_S)
    expect("top ends", done.returncode == 0, done.stderr)
    ledger = edge.ledger()
    for word in ("weir-edge north", "RUNNER", "intake", "spool", "LANE", "urgent", "HOP", "received to spooled ack", "SPOOL",
                 "UPLINK  connected", "in use", "DEAD LETTERS", "rule_failed",
                 f"LEDGER  offered {ledger['offered']:,}", "residue 0"):
        expect(f"top shows {word!r}", word in done.stdout, done.stdout)
    gone = subprocess.run([BIN / "weir-edge", "top", "--admin", "127.0.0.1:1", "--once"], capture_output=True, text=True,
                          check=False, stdin=subprocess.DEVNULL, timeout=WAIT_S)
    expect("an edge that is not there is said", gone.returncode == 2 and "127.0.0.1:1" in gone.stderr, gone.stderr)
    return done.stdout


def try_central_top(cluster):
    central = cluster.central
    done = subprocess.run([BIN / "weir-central", "top", "--admin", f"127.0.0.1:{central.admin_port}", "--once", "--interval", "0.3"],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=WAIT_S)
    expect("central's top ends", done.returncode == 0, done.stderr)
    totals = central.ledger()["totals"]
    for word in ("weir-central", "edges 1 of 1", "EDGE", "north", "LANE", "urgent", "JOURNAL", "DEAD LETTERS", "LEDGER",
                 f"received {totals['received']:,}", "residue 0"):
        expect(f"central's top shows {word!r}", word in done.stdout, done.stdout)
    expect("and fits in 80 columns", max(map(len, done.stdout.splitlines())) <= 80, done.stdout)
    return done.stdout


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--events", type=int, default=50_000)
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args = args.parse_args()
    with Cluster(["north"], io=args.io, edge_extra=FIRST) as cluster:
        edge = cluster.edges[0]
        try_reload(cluster, edge)
        try_tap(cluster, edge)
        try_stalled_reader(cluster, edge, args.events)
        cluster.wait_until_delivered()
        table = try_top(edge) + "\n" + try_central_top(cluster)
        ledger = edge.ledger()
        expect("the ledger closes", ledger["residue"] == 0 and ledger["held"] == 0, ledger)
    print(table, end="")
    print("operate: PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
