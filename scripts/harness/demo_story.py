"""What happens in the demo beside the events: a producer that goes mad, and faults that are injected and healed."""
import json
import re
import signal
import subprocess
import time

import proxy
from cluster import BIN

REGIONS = ("center", "north", "south")
EDGES_PER_REGION = 4
FAULT_S = 6
BURST_AT = 0.55  # of the events
BURST_EVENTS = 1500

# A small profile: twelve edges and what sends to them share one machine.
EDGE = """
[cache]
ids_max = 65536
[spool]
segment_bytes = 4194304
bytes_max = 268435456
batches_max = 16
[runtime]
receive_slots = 16
[[lanes]]
name = "urgent"
priority = 2
[[routes]]
lane = "urgent"
equals = [{ path = "data.code", value = "FIRE HYDRANT" }]
"""
# North has a rule that is wrong: it is mended while events come, and the letters it made are replayed.
WRONG_RULE = """
[[rules]]
types = ["*"]
ranges = [{ path = "data.fine", max = 300 }]
"""
# A month of events within a minute: what lasts a second here is half a day of event time.
CENTRAL = """
[analytics]
disorder_ms = 50
idle_s_max = 2
[[windows]]
name = "hourly"
key = "type"
length_s = 3600
[[windows]]
name = "fines-by-source"
key = "source"
value = "data.fine"
length_s = 21600
[[windows]]
name = "places"
key = "key"
length_s = 10800
[[anomalies]]
name = "odd-hour"
window = "hourly"
of = "count"
[[alerts]]
name = "unusual-hour"
on = "anomaly.odd-hour"
raise = "data.alarm"
severity = "warning"
stale_s = 432000
[[alerts]]
name = "one-place-floods"
on = "window.places"
raise = "data.count > 300"
severity = "critical"
clear_s = 432000
stale_s = 432000
"""


def edge_names():
    return [f"{region}-{number}" for region in REGIONS for number in range(1, EDGES_PER_REGION + 1)]


def edge_texts(has_wrong_rule):
    return [EDGE + (WRONG_RULE if has_wrong_rule and name.startswith("north") else "") for name in edge_names()]


def tell_central_of_edges(cluster, is_tls):
    """Regions for the map; where dead letters are replayed to, which from central goes over plain TCP only."""
    rows = "".join(f'[[edges]]\nname = "{edge.name}"\nregion = "{edge.name.rpartition("-")[0]}"\n'
                   + ("" if is_tls else f'intake = "127.0.0.1:{port}"\n')
                   for edge, port in zip(cluster.edges, cluster.producer_ports))
    cluster.central.config.write_text(cluster.central.config.read_text() + rows)


def put_proxy_before_central(cluster, name):
    """The edge of that name goes to central through a proxy, so that its way can be cut."""
    edge = next(edge for edge in cluster.edges if edge.name == name)
    text = edge.config.read_text()
    port = int(re.search(r'centrals = \["127\.0\.0\.1:(\d+)"', text)[1])
    cluster.uplinks.append(proxy.Proxy(port))
    edge.config.write_text(text.replace(f'centrals = ["127.0.0.1:{port}"', f'centrals = ["127.0.0.1:{cluster.uplinks[-1].port}"'))
    return cluster.uplinks[-1]


def with_burst(lines, out):
    """Writes the events to `out`, and among them many more of one source within one moment."""
    lines = list(lines)
    at = int(len(lines) * BURST_AT)
    template = json.loads(lines[at])
    with open(out, "wb") as file:
        file.writelines(lines[:at])
        for number in range(BURST_EVENTS):
            event = {**template, "id": f"demo-{number:05}", "source": "demo/stuck-sensor"}
            file.write(json.dumps(event).encode() + b"\n")
        file.writelines(lines[at:])
    return len(lines) + BURST_EVENTS


class Story:
    """Steps by the share of events that are delivered; each fault is healed after FAULT_S."""

    def __init__(self, cluster, say, has_faults, has_wrong_rule):
        self.cluster, self.say = cluster, say
        self.healing = []  # (when, what)
        self.steps = [(0.78, self._mend)] if has_wrong_rule else []
        if has_faults:
            self.cut_proxy = put_proxy_before_central(cluster, "center-3")
            self.steps = [(0.12, self._kill), (0.32, self._cut), *self.steps]

    def go_on(self, share):
        while self.steps and share >= self.steps[0][0]:
            self.steps.pop(0)[1]()
        now = time.monotonic()
        due = [heal for when, heal in self.healing if when <= now]
        self.healing = [one for one in self.healing if one[0] > now]
        for heal in due:
            heal()

    def is_over(self):
        return not self.steps and not self.healing

    def _heal_later(self, heal):
        self.healing.append((time.monotonic() + FAULT_S, heal))

    def _kill(self):
        edge = self._edge("north-2")
        edge.kill()
        self.say("fault: north-2 is killed with -9; its producer waits")
        self._heal_later(self._restart)

    def _restart(self):
        self._edge("north-2").start()
        self.say("healed: north-2 is back and goes on where its disk says")

    def _cut(self):
        self.cut_proxy.cut()
        self.say("fault: the way from center-3 to central is cut; it spools on")
        self._heal_later(self._join)

    def _join(self):
        self.cut_proxy.heal()
        self.say("healed: center-3 has its way back and catches up")

    def _mend(self):
        north = [(edge, port) for edge, port in zip(self.cluster.edges, self.cluster.producer_ports) if edge.name.startswith("north")]
        for edge, _ in north:
            edge.config.write_text(edge.config.read_text().replace(WRONG_RULE, ""))
            edge.process.send_signal(signal.SIGHUP)
        self.say("north's rule was wrong (no fine above 300): mended while events come")
        self._wait_until_mended([edge for edge, _ in north])
        self._wait_until_letters_are_at_central([edge for edge, _ in north])
        applied = sum(self._replay(edge, port) for edge, port in north)
        self.say(f"{applied} dead letters replayed through the rules of now, each at most once")

    def _wait_until_mended(self, edges, seconds_max=10):
        give_up = time.monotonic() + seconds_max
        while any("event=reloaded" not in edge.log.read_text(errors="replace") for edge in edges):
            if time.monotonic() > give_up:
                raise RuntimeError("north did not take its new rules")
            time.sleep(0.05)

    def _wait_until_letters_are_at_central(self, edges, seconds_max=30):
        give_up = time.monotonic() + seconds_max
        names = {edge.name for edge in edges}
        while True:
            made = sum(edge.ledger()["dead_lettered"] for edge in edges)
            rows = self.cluster.central.ledger()["lanes"]
            if sum(row["appended"] for row in rows if row["lane"] == "dead-letters" and row["edge"] in names) >= made:
                return
            if time.monotonic() > give_up:
                raise RuntimeError("north's dead letters do not come to central")
            time.sleep(0.05)

    def _replay(self, edge, port):
        done = subprocess.run([BIN / "weir-central", "dead-letters", "replay", self.cluster.central.data_dir, "--json", "--edge", edge.name,
                               "--to", f"127.0.0.1:{port}", "--reason-text", "the rule was wrong"], capture_output=True, text=True, check=False)
        outcomes = [json.loads(line)["outcome"] for line in done.stdout.splitlines()]
        if any(outcome not in ("accepted", "duplicate") for outcome in outcomes):
            raise RuntimeError(f"{edge.name}: not every letter was applied: {set(outcomes)} {done.stderr}")
        return outcomes.count("accepted")

    def _edge(self, name):
        return next(edge for edge in self.cluster.edges if edge.name == name)
