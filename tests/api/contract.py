#!/usr/bin/env python3
"""central/api/openapi.yaml and central/api/FORMAT.md, held against a real central with events, results, alerts and dead letters.

Every path, parameter, status and member that the file names is asked for and must be answered so; nothing may be answered that it
does not name. The stream's first message and its deltas must come to what a client that opens later is told. --spoil takes a member
out of the file first: the test must fail then.

  tests/api/contract.py [--io auto|uring|epoll] [--events N] [--spoil]
"""
import argparse
import datetime
import gzip
import http.client
import itertools
import json
import pathlib
import re
import subprocess
import sys
import time
import urllib.parse

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts/harness")]
from cluster import BIN, Cluster, input_file  # noqa: E402
from websocket import Refused, WebSocket  # noqa: E402

API = ROOT / "central/api"
WAIT_S_MAX = 60
CENTRAL = """
[admin]
tokens = "TOKENS"
requests_per_second = 100000
[stream]
clients_max = 4
beat_ms = 200
[[edges]]
name = "north"
region = "coast"
intake = "127.0.0.1:INTAKE"
[analytics]
commit_ms = 20
idle_s_max = 1
disorder_ms = 200
[[windows]]
name = "days"
length_s = 86400
lateness_s = 31622400
key = "type"
value = "len(id)"
[[windows]]
name = "minutes"
length_s = 60
lateness_s = 31622400
key = "type"
[[patterns]]
name = "often"
pattern = '''
3 x any within 1h by type
any: true
'''
[[anomalies]]
name = "odd"
window = "minutes"
warm_values = 5
alarm_at = 0.1
quiet_values = 0
[[alerts]]
name = "busy"
on = "window.days"
raise = "data.count > 3"
"""
EDGE = """
[[rules]]
types = ["broken.*"]
require = ["data.never"]
"""
# Statuses that a test on loopback cannot bring about by asking, and why.
EXCUSED = {
    ("/healthz", "503"): "ingest stands still",
    ("/readyz", "503"): "the journal cannot be written",
    ("/api/v1/events", "410"): "the journal of events is kept whole",
    ("/api/v1/events", "503"): "a journal that cannot be read",
    ("/api/v1/dead-letters", "410"): "a day's retention",
    ("/api/v1/dead-letters", "503"): "a journal that cannot be read",
    ("/api/v1/lanes/{lane}/hold", "409"): "64 lanes are held",
    ("/api/v1/lanes/{lane}/release", "409"): "64 lanes are held",
    ("/api/v1/alerts/silences", "409"): "256 silences hold",
    ("/api/v1/dead-letters/replay", "404"): "no directory of dead letters",
    ("/api/v1/dead-letters/purge", "404"): "no directory of dead letters",
    ("/api/v1/dead-letters/purge", "409"): "a journal that cannot be read",
    ("/api/v1/windows", "404"): "nothing was ever computed",
    ("/api/v1/patterns", "404"): "nothing was ever computed",
    ("/api/v1/anomalies", "404"): "nothing was ever computed",
    ("/api/v1/alerts", "404"): "nothing was ever computed",
    ("/api/v1/events/stream", "503"): "as many clients as there may be",
    ("/", "200"): "a binary without a page", ("/", "304"): "a binary without a page",
    ("/assets/{path}", "200"): "a binary without a page", ("/assets/{path}", "304"): "a binary without a page",
    ("/", "404"): "a binary with a page",
}
# What each parameter is given; by its name, or by its name at a path.
SAMPLES = {"edge": "north", "lane": "default", "region": "coast", "connected": "true", "limit": "2", "max_staleness_ms": "86400000",
           "type": "*", "key": "x*", "name": "days", "since": "2000-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z",
           "as_of": "2100-01-01T00:00:00Z", "reason": "field_missing", "stage": "validate", "source": "*", "sequence": "1..", "dry_run": "1"}


class Checks:
    def __init__(self):
        self.failed = 0

    def expect(self, what, is_so, why=""):
        self.failed += not is_so
        if not is_so:
            print(f"FAIL  {what}  {why}", flush=True)
        return is_so


class Contract:
    def __init__(self, checks, spoil):
        self.file = yaml.safe_load((API / "openapi.yaml").read_text(encoding="utf-8"))
        if spoil:
            del self.file["components"]["schemas"]["Edge"]["properties"]["lag_ms"]
        self.checks, self.seen = checks, set()

    def resolve(self, node):
        while "$ref" in node:
            target = self.file
            for part in node["$ref"][2:].split("/"):
                target = target[part]
            node = target
        return node

    def fault(self, value, schema, at="answer"):
        """Where the value is not what the schema says; None: it is."""
        schema = self.resolve(schema)
        if value is None:
            return None if schema.get("nullable") else f"{at}: null"
        kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
        kind = schema.get("type")
        if kind and (not isinstance(value, kinds[kind]) or kind in ("integer", "number") and isinstance(value, bool)):
            return f"{at}: {value!r} is no {kind}"
        if "enum" in schema and value not in schema["enum"]:
            return f"{at}: {value!r} is none of {schema['enum']}"
        if kind == "array":
            return next(filter(None, (self.fault(one, schema["items"], f"{at}[{i}]") for i, one in enumerate(value))), None)
        if kind == "object" and "properties" in schema:
            for name in schema.get("required", []):
                if name not in value:
                    return f"{at}.{name}: is missing"
            for name, one in value.items():
                if name not in schema["properties"]:
                    return f"{at}.{name}: is not in the file"
                if fault := self.fault(one, schema["properties"][name], f"{at}.{name}"):
                    return fault
        elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            return next(filter(None, (self.fault(one, schema["additionalProperties"], f"{at}.{name}") for name, one in value.items())), None)
        return None

    def hold(self, path, method, status, content_type, body):
        """An answer against the file."""
        self.seen.add((path, method, str(status)))
        what = f"{method} {path} answers {status}"
        responses = self.file["paths"][path][method.lower()]["responses"]
        told = responses.get(str(status))
        if told is None and status in self.file["x-everywhere"]:
            told = {"$ref": "#/components/responses/Problem"}
        if not self.checks.expect(f"{what}: the status is in the file", told is not None, body[:200]):
            return None
        content = self.resolve(told).get("content")
        if not content:
            self.checks.expect(f"{what}: no body", status in (101, 304) and not body or path == "/assets/{path}", body[:100])
            return None
        plain = content_type.split(";")[0]
        if not self.checks.expect(f"{what}: {plain} is in the file", plain in content, body[:200]):
            return None
        if "json" not in plain or plain.endswith("ndjson"):
            return body
        value = json.loads(body)
        fault = self.fault(value, content[plain]["schema"])
        self.checks.expect(f"{what}: the answer is as the file says", fault is None, fault)
        return value


class Admin:
    def __init__(self, contract, port, tokens):
        self.contract, self.port, self.tokens = contract, port, tokens

    def raw(self, method, target, role="admin", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        if role:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        connection.request(method, target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        connection.close()
        return answer.status, answer.headers, body

    def ask(self, method, path, query="", role="admin", places=None, **headers):
        """Asks, and holds the answer against the file: status, headers, value."""
        target = re.sub(r"\{(\w+)\}", lambda found: (places or {})[found.group(1)], path) + query
        status, told, body = self.raw(method, target, role, **headers)
        return status, told, self.contract.hold(path, method, status, told.get("Content-Type", ""), body)


class ServerSentEvents:
    """A stream without WebSocket."""

    def __init__(self, admin, path, query=""):
        self.connection = http.client.HTTPConnection("127.0.0.1", admin.port, timeout=20)
        self.connection.request("GET", path + query, headers={"Accept": "text/event-stream", "Authorization": f"Bearer {admin.tokens['viewer']}"})
        self.answer = self.connection.getresponse()
        admin.contract.hold(path, "GET", self.answer.status, self.answer.headers["Content-Type"], "")

    def message(self):
        while line := self.answer.readline():
            if line.startswith(b"data: "):
                return json.loads(line.removeprefix(b"data: "))
        raise RuntimeError("the events ended")

    def close(self):
        self.connection.close()


def wait_for(what, is_so, seconds_max=WAIT_S_MAX):
    give_up = time.monotonic() + seconds_max
    while not (found := is_so()):
        if time.monotonic() > give_up:
            raise RuntimeError(f"not within {seconds_max} s: {what}")
        time.sleep(0.05)
    return found


def reads(contract, admin, checks):
    """Every GET with every parameter, right and wrong."""
    for path, methods in contract.file["paths"].items():
        if "get" not in methods or "101" in methods["get"]["responses"]:
            continue
        get = methods["get"]
        places = {"path": "none.js"}
        status, headers, _ = admin.ask("GET", path, places=places)
        if "304" in get["responses"] and status == 200:
            tag = headers.get("ETag")
            checks.expect(f"GET {path}: has an ETag", tag is not None)
            # What changes by itself may have changed in between.
            wait_for(f"304 of {path}", lambda: admin.ask("GET", path, places=places, If_None_Match=admin.ask("GET", path)[1]["ETag"])[0] == 304)
        for parameter in map(contract.resolve, get.get("parameters", [])):
            if parameter["in"] != "query":
                continue
            name, schema = parameter["name"], parameter["schema"]
            if name != "cursor":
                value = schema["enum"][-1] if "enum" in schema else SAMPLES[name]
                status, _, _ = admin.ask("GET", path, f"?{name}={urllib.parse.quote(value, safe='*')}")
                checks.expect(f"GET {path}?{name}={value}", status == 200, status)
            if "enum" in schema or schema.get("type") == "integer" or name in ("cursor", "since", "until", "as_of"):
                status, _, _ = admin.ask("GET", path, f"?{name}=%21wrong")
                checks.expect(f"GET {path}?{name}=wrong", status == 400, status)
            for bound, step in (("minimum", -1), ("maximum", 1)):
                if bound in schema and schema[bound] + step >= 0:
                    status, _, _ = admin.ask("GET", path, f"?{name}={schema[bound] + step}")
                    checks.expect(f"GET {path}?{name} beyond its {bound}", status == 400, status)
        if "400" in get["responses"]:
            status, _, _ = admin.ask("GET", path, "?nosuch=1")
            checks.expect(f"GET {path}?nosuch", status == 400, status)
            status, _, _ = admin.ask("GET", path, "?limit=1&limit=1")
            checks.expect(f"GET {path} with one name twice", status == 400, status)
    for path in ("/api/v1/nosuch", "/nosuch", "/api/v1", "/api/v1/reload", "/api/v1/edges/north"):
        status, headers, body = admin.raw("GET", path)
        checks.expect(f"GET {path} is not in the file", status == 404 and headers["Content-Type"] == "application/problem+json", (status, body))
        fault = contract.fault(json.loads(body), {"$ref": "#/components/schemas/Problem"})
        checks.expect(f"GET {path}: a problem", fault is None, fault)


def pages(admin, checks):
    """One by one comes to the same as all at once."""
    for path, name, identity in (("/api/v1/windows", "windows", "serial"), ("/api/v1/edges", "edges", "lineage"),
                                 ("/api/v1/events", "events", "id"), ("/api/v1/dead-letters", "letters", "id")):
        every = [row[identity] for row in admin.ask("GET", path, "?limit=1000")[2][name]]
        got, cursor = [], None
        while True:
            _, _, answer = admin.ask("GET", path, "?limit=1" if cursor is None else f"?limit=1&cursor={cursor}")
            got += [row[identity] for row in answer[name]]
            checks.expect(f"{path}: a page is no longer than asked", len(answer[name]) <= 1)
            cursor = answer["next"]
            if cursor is None or len(got) > 40:
                break
        checks.expect(f"{path}: the pages come to the whole", got == every[:len(got)] and got, (got[:3], every[:3]))


def acts(contract, admin, checks, edge):
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    why = {"Weir_Reason": "a test"}

    def status(path, query="", role="admin", places=None, **headers):
        return admin.ask("POST", path, query, role, places, **headers)[0]

    for path, methods in contract.file["paths"].items():
        if "post" not in methods:
            continue
        places = {"lane": "default", "id": "1"}
        checks.expect(f"POST {path} without a token", status(path, role=None, places=places, **why) == 401)
        checks.expect(f"POST {path} by a viewer", status(path, role="viewer", places=places, **why) == 403)
        checks.expect(f"POST {path} by a page of another origin",
                      status(path, places=places, Origin="http://127.0.0.1:1", X_Weir="1", **why) == 403)
        own = f"http://127.0.0.1:{admin.port}"
        checks.expect(f"POST {path} by the own page without X-Weir", status(path, places=places, Origin=own, **why) == 403)
        checks.expect(f"POST {path}?nosuch", status(path, "?nosuch=1", places=places, **why) == 400)
        if any(contract.resolve(one)["name"] == "Weir-Reason" for one in methods["post"].get("parameters", [])):
            checks.expect(f"POST {path} without a reason", status(path, places=places) == 400)
    own = {"Origin": f"http://127.0.0.1:{admin.port}", "X_Weir": "1", "Sec_Fetch_Site": "same-origin"}
    checks.expect("the own page holds a lane", status("/api/v1/lanes/{lane}/hold", places={"lane": "spare"}, role="operator", **own) == 200)
    checks.expect("and releases it", status("/api/v1/lanes/{lane}/release", places={"lane": "spare"}, role="operator", **own) == 200)
    silences = "/api/v1/alerts/silences"
    checks.expect("a silence needs an end", status(silences, "?name=busy", **why) == 400)
    _, _, answer = admin.ask("POST", silences, f"?name=busy&key=k&until={soon}", "operator", **why)
    identity = answer["silences"][0]["id"]
    _, _, answer = admin.ask("POST", silences, f"?name=busy&until={soon}", "operator", **why)
    checks.expect("two silences", len(answer["silences"]) == 2, answer)
    _, _, answer = admin.ask("POST", silences + "/{id}/end", role="operator", places={"id": identity}, **why)
    checks.expect("one of them has ended", len(answer["silences"]) == 1, answer)
    checks.expect("no such silence", status(silences + "/{id}/end", places={"id": identity}, **why) == 404)
    letters = "/api/v1/dead-letters/"
    checks.expect("a letter of an edge without intake", status(letters + "replay", "?edge=south", **why) == 409)
    checks.expect("a dry run", status(letters + "purge", "?edge=north&limit=1&dry_run=1", "replayer", **why) == 200)
    kept = [one for one in admin.ask("GET", "/api/v1/dead-letters")[2]["letters"] if one["state"] == "kept"]
    one = kept[0]["sequence"]
    checks.expect("a letter is purged", status(letters + "purge", f"?edge=north&sequence={one}", "replayer", **why) == 200)
    states = {row["sequence"]: row["state"] for row in admin.ask("GET", "/api/v1/dead-letters")[2]["letters"]}
    checks.expect("and says so", states[one] == "purged", states)
    # The rule is mended: what failed passes now.
    edge.stop()
    edge.config.write_text(edge.config.read_text().replace(EDGE, ""))
    edge.start()
    checks.expect("letters are replayed", status(letters + "replay", "?edge=north", "replayer", **why) == 200)
    states = {row["sequence"]: row["state"] for row in admin.ask("GET", "/api/v1/dead-letters")[2]["letters"]}
    checks.expect("and say so", set(states.values()) == {"purged", "replayed"}, states)
    checks.expect("the files are read again", status("/api/v1/reload", role="operator") == 202)


class State:
    """What a client of the stream has."""

    def __init__(self, first):
        assert first["type"] == "state", first["type"]
        self.sequence, self.objects = first["sequence"], first["objects"]
        self.lists = {name: {row["id"]: row for row in rows} for name, rows in first["lists"].items()}

    def take(self, message):
        if message["type"] == "state":
            self.__init__(message)
        if message["type"] == "delta":
            assert message["base"] == self.sequence, (message["base"], self.sequence)
            self.sequence = message["sequence"]
            self.objects.update(message["objects"])
            for name, change in message["lists"].items():
                self.lists[name].update({row["id"]: row for row in change.get("rows", [])})
                for identity in change.get("gone", []):
                    del self.lists[name][identity]


def named_in_format():
    """The members that FORMAT.md's two tables name, by object or list."""
    told = {}
    for line in (API / "FORMAT.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) in (2, 4):
            told[cells[0].strip("`")] = set(re.findall(r"`(?:\{\")?([a-z_0-9]+)[`\"]", cells[-1])) | set(re.findall(r'"([a-z_0-9]+)"', cells[-1]))
    return told


def stream(admin, checks, send_more):
    headers = {"Authorization": f"Bearer {admin.tokens['viewer']}"}
    opened = WebSocket(admin.port, "/api/v1/stream", headers)
    first = opened.message()
    mine = State(first)
    told = named_in_format()
    shown = {**mine.objects, **{name: next(iter(rows.values()), None) for name, rows in mine.lists.items()}}
    checks.expect("stream: objects and lists are those of FORMAT.md", set(shown) == set(told), set(shown) ^ set(told))
    for name, value in shown.items():
        if checks.expect(f"stream: there is something in {name}", value is not None):
            extra = set(value) - told[name] - {"id"}
            checks.expect(f"stream: FORMAT.md names what is in {name}", not extra, extra)
    send_more()
    kinds, quiet = [], time.monotonic() + WAIT_S_MAX
    while kinds[-2:] != ["beat"] * 2 and time.monotonic() < quiet:
        message = opened.message()
        kinds.append(message["type"])
        mine.take(message)
    checks.expect("stream: deltas came, then beats", "delta" in kinds and kinds[-1] == "beat", kinds[-10:])
    later = WebSocket(admin.port, "/api/v1/stream", {"Sec-WebSocket-Protocol": f"weir.v1, weir.token.{admin.tokens['viewer']}",
                                                     "Origin": f"http://127.0.0.1:{admin.port}", "Sec-Fetch-Site": "same-origin"})
    checks.expect("stream: weir.v1 is agreed on, and the token not repeated",
                  "Sec-WebSocket-Protocol: weir.v1\r" in later.head + "\r" and "weir.token" not in later.head, later.head)
    theirs = State(later.message())
    while mine.sequence != theirs.sequence:
        (mine if mine.sequence < theirs.sequence else theirs).take((opened if mine.sequence < theirs.sequence else later).message())
    for name in mine.objects:
        checks.expect(f"stream: deltas come to the whole state of {name}", mine.objects[name] == theirs.objects[name],
                      (mine.objects[name], theirs.objects[name]))
    for name in mine.lists:
        checks.expect(f"stream: deltas come to the whole list of {name}", mine.lists[name] == theirs.lists[name])
    later.say(9, b"there?")
    for origin, protocol in (("http://127.0.0.1:1", None), (None, "weir.v1"), (None, "weir.token.viewer.wrong")):
        wrong = {**({"Origin": origin, **headers} if origin else {}), **({"Sec-WebSocket-Protocol": protocol} if protocol else {})}
        try:
            WebSocket(admin.port, "/api/v1/stream", wrong)
            checks.expect(f"stream: refused: {wrong}", False)
        except Refused as refused:
            checks.expect(f"stream: refused: {wrong}", refused.status == (403 if origin else 401), refused.status)
    spare = [WebSocket(admin.port, "/api/v1/stream", headers) for _ in range(2)]
    try:
        WebSocket(admin.port, "/api/v1/stream", headers)
        checks.expect("stream: one more than clients_max", False)
    except Refused as refused:
        kind = re.search(r"Content-Type: (\S+)", refused.head).group(1)
        admin.contract.hold("/api/v1/stream", "GET", refused.status, kind, refused.body.decode())
    for one in (*spare, later, opened):
        one.close()
    admin.contract.seen.add(("/api/v1/stream", "GET", "101"))
    wait_for("clients have gone", lambda: admin.ask("GET", "/api/v1/health")[2]["health"]["stream_clients"] == 0)
    for path in ("/api/v1/stream", "/api/v1/events/stream"):
        if path in admin.contract.file["paths"]:
            admin.ask("GET", path)
            admin.ask("GET", path, "?nosuch=1")


def live_events(admin, checks, send_more):
    opened = WebSocket(admin.port, "/api/v1/events/stream?type=late.*", {"Authorization": f"Bearer {admin.tokens['viewer']}"})
    plain = ServerSentEvents(admin, "/api/v1/events/stream", "?type=late.*")
    begun = time.monotonic()
    send_more()
    message = opened.message()
    while message["type"] == "beat":
        message = opened.message()
    fault = admin.contract.fault(message["events"][0], {"$ref": "#/components/schemas/Event"})
    checks.expect("live events: an event is as the file says", fault is None, fault)
    learnt_ms = message["now_ms"] - message["events"][0]["arrival_ms"]
    print(f"live events: made for the client {learnt_ms} ms after central got the first, {1000 * (time.monotonic() - begun):.0f} ms after its sender started")
    checks.expect("live events: within 2 s, whatever else this machine does", learnt_ms < 2000, learnt_ms)
    same = plain.message()
    while same["type"] == "beat":
        same = plain.message()
    checks.expect("live events: without WebSocket the same comes first", same["events"][0] == message["events"][0], same["events"][0])
    opened.close()
    plain.close()
    state = ServerSentEvents(admin, "/api/v1/stream")
    first = state.message()
    checks.expect("stream: without WebSocket the state comes first", first["type"] == "state", first["type"])
    state.close()
    admin.contract.seen.add(("/api/v1/events/stream", "GET", "101"))


def held(cluster, admin, checks):
    """What an edge holds of a lane on hold is told, and is nothing once the lane is released."""
    def edge():
        return admin.ask("GET", "/api/v1/edges", "?edge=north")[2]["edges"][0]

    def ledger(query=""):
        return admin.ask("GET", "/api/v1/ledger", query)[2]

    def lane(name):
        return admin.ask("GET", "/api/v1/lanes", f"?lane={name}")[2]["lanes"][0]

    wait_for("the edge says that it holds nothing", lambda: edge()["held"] == 0 and edge()["rung"] == "healthy")
    checks.expect("held: the classes of lanes", (lane("default")["class"], lane("dead-letters")["class"]) == ("durable", "dead_letters"))
    checks.expect("held: a lane is put on hold", admin.ask("POST", "/api/v1/lanes/{lane}/hold", places={"lane": "default"}, role="operator",
                                                           Weir_Reason="a test")[0] == 200)
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    more = [{"id": f"h{i}", "type": "held.one", "source": "s", "time": now, "data": {}} for i in range(70)]
    before = ledger("?lane=default")["totals"]
    cluster.finish([cluster.send(0, write_lines(cluster.directory / "held.ndjson", more), ack="spooled")])
    wait_for("70 events are held", lambda: edge()["held"] == 70)
    row = edge()
    checks.expect("held: of no backlog part, in bytes, as of now", row["backlog"] == 0 and row["held_bytes"] > 70 and
                  row["held_as_of_ms"] > time.time() * 1000 - 20_000, row)
    answer = ledger("?lane=default")
    checks.expect("held: by the ledger too", answer["totals"]["edges_held"] == 70 and answer["lanes"][0]["held"] == 70, answer)
    checks.expect("held: nothing of it was stored", answer["totals"]["appended"] == before["appended"], (answer, before))
    checks.expect("held: not of another lane", ledger("?lane=dead-letters")["totals"]["edges_held"] == 0)
    metrics = admin.raw("GET", "/metrics")[2]
    checks.expect("held: and by a metric", 'weir_central_edge_held_events{edge="north"} 70' in metrics)
    admin.ask("POST", "/api/v1/lanes/{lane}/release", places={"lane": "default"}, role="operator", Weir_Reason="a test")
    wait_for("nothing is held", lambda: edge()["held"] == 0 and ledger()["totals"]["edges_held"] == 0)
    checks.expect("held: all of it has come", ledger("?lane=default")["totals"]["appended"] == before["appended"] + 70)


def stale(cluster, admin):
    """max_staleness_ms=0 while events come: sooner or later an answer is not fresh."""
    load = subprocess.Popen([BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--events", "1000000",
                             "--rate", "2000", "--payload-bytes", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    cluster.senders.append(load)
    for path in ("/api/v1/edges", "/api/v1/types", "/api/v1/windows", "/api/v1/patterns", "/api/v1/anomalies", "/api/v1/alerts"):
        wait_for(f"503 of {path}", lambda: admin.ask("GET", path, "?max_staleness_ms=0")[0] == 503)
    load.kill()
    load.wait()
    cluster.wait_until_delivered()


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--io", default="auto")
    parser.add_argument("--events", type=int, default=20_000, help="of the real ones; 0: all")
    parser.add_argument("--spoil", action="store_true")
    args = parser.parse_args()
    checks = Checks()
    contract = Contract(checks, args.spoil)
    cluster = Cluster(["north"], io=args.io, edge_extra=EDGE, central_extra=CENTRAL)
    config = cluster.central.config
    tokens_file = cluster.directory / "tokens"
    tokens = {}
    for role in ("viewer", "operator", "replayer", "admin"):
        out = cluster.directory / f"{role}.token"
        subprocess.run([BIN / "weir-central", "token", tokens_file, role, role, "--out", out], check=True, stdout=subprocess.DEVNULL)
        tokens[role] = out.read_text().strip()
    config.write_text(config.read_text().replace("TOKENS", str(tokens_file)).replace("INTAKE", str(cluster.producer_ports[0])))
    with cluster:
        admin = Admin(contract, cluster.central.admin_port, tokens)
        if args.spoil:
            wait_for("an edge", lambda: admin.raw("GET", "/api/v1/edges")[2].count('"lineage"'))
            admin.ask("GET", "/api/v1/edges")
            return 1
        with gzip.open(input_file(), "rt", encoding="utf-8") as lines:
            real = [json.loads(line) for line in itertools.islice(lines, args.events or None)]
        path = write_lines(cluster.directory / "real.ndjson", real)
        broken = [{"id": f"b{i}", "type": "broken.one", "source": "s", "time": "2020-01-01T00:00:00Z", "data": {}} for i in range(5)]
        cluster.finish([cluster.send(0, path)])
        # An event of today ends the windows of then.
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        flush = [{"id": "flush", "type": "flush.one", "source": "s", "time": now, "data": {}}]
        cluster.finish([cluster.send(0, write_lines(cluster.directory / "flush.ndjson", flush))])
        types = {one["type"] for one in real}
        rejecter = cluster.send(0, write_lines(cluster.directory / "broken.ndjson", broken))
        rejecter.communicate(timeout=60)

        def days():
            _, _, answer = admin.ask("GET", "/api/v1/windows", "?name=days&limit=10000")
            return answer and sum(row["data"]["count"] for row in answer["windows"] if row["data"]["key"] in types)

        try:
            wait_for("the windows hold every event", lambda: days() == len(real))
            print(f"GET /api/v1/windows sums to {days()} of {len(real)} events")
        except RuntimeError as error:
            checks.expect("the windows hold every event", False, f"{error}: {days()} of {len(real)}")
        wait_for("dead letters at central", lambda: len(admin.ask("GET", "/api/v1/dead-letters")[2]["letters"]) == len(broken))
        stale(cluster, admin)
        reads(contract, admin, checks)
        pages(admin, checks)
        number = itertools.count()

        def send_more(kind="late.one"):
            now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            more = [{"id": f"l{next(number)}", "type": kind, "source": "s", "time": now, "data": {"a": i}} for i in range(50)]
            cluster.finish([cluster.send(0, write_lines(cluster.directory / "more.ndjson", more))])

        admin.ask("POST", "/api/v1/alerts/silences", "?name=other&until=" + str(time.time_ns() + 10**12), "operator", Weir_Reason="a test")
        stream(admin, checks, send_more)
        if "/api/v1/events/stream" in contract.file["paths"]:
            live_events(admin, checks, send_more)
        admin.ask("POST", "/api/v1/alerts/silences/{id}/end", places={"id": "1"}, Weir_Reason="a test")
        held(cluster, admin, checks)
        acts(contract, admin, checks, cluster.edges[0])
        checks.expect("it drains", admin.ask("POST", "/api/v1/drain", role="operator", Weir_Reason="a test")[0] == 202)
        checks.expect("and ends well", cluster.central.process.wait(30) == 0)
        cluster.central.process = None
    for path, methods in contract.file["paths"].items():
        for method, operation in methods.items():
            for status in operation["responses"]:
                if (path, method.upper(), status) not in contract.seen and (path, status) not in EXCUSED:
                    checks.expect(f"{method.upper()} {path} can answer {status}", False)
    print(f"{len(contract.seen)} answers of the file seen, {checks.failed} checks failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
