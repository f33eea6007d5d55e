#!/usr/bin/env python3
"""The dashboard on a real central, over https: real.py BUILD_DIR. Starts central and three edges, and real_test.mjs, whose orders it follows."""
import gzip
import itertools
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "scripts/harness"))
import demo_story  # noqa: E402
from cluster import Cluster, input_file  # noqa: E402

EDGES = ["north-1", "north-2", "south-1"]
EVENTS = 24_000  # five days: as many hours as a series needs before it is judged
SECONDS = 5      # over which they are sent
SKIPPED = 77


class Scene:
    """What the page is shown: each order is done when its function returns."""

    def __init__(self, cluster, parts):
        self.cluster, self.parts, self.senders = cluster, parts, []

    def send(self):
        self.senders = [self.cluster.send(i, part, producer=f"gateway-{i}", rate=EVENTS // SECONDS // len(EDGES))
                        for i, part in enumerate(self.parts)]

    def sent(self):
        self.cluster.finish(self.senders, may_be_rejected=True)
        self.cluster.wait_until_delivered()

    def mend(self):
        mended = [edge for edge in self.cluster.edges if edge.name.startswith("north")]
        for edge in mended:
            edge.config.write_text(edge.config.read_text().replace(demo_story.WRONG_RULE, ""))
            edge.process.send_signal(signal.SIGHUP)
        give_up = time.monotonic() + 10
        while any("event=reloaded" not in edge.log.read_text(errors="replace") for edge in mended):
            if time.monotonic() > give_up:
                raise RuntimeError("the edges did not take their new rules")
            time.sleep(0.05)

    def spool(self, count):
        """Events that north-2 has on its disk, wherever they go from there."""
        path = self.cluster.directory / "spool.ndjson"
        path.write_text("".join(f'{{"id":"held-{i}","type":"note","source":"test/held","time":"2018-01-01T00:00:00Z","data":{{}}}}\n'
                                for i in range(count)))
        self.cluster.finish([self.cluster.send(EDGES.index("north-2"), path, ack="spooled")])

    def follow(self, order):
        what, _, number = order.partition(" ")
        if what == "spool":
            return self.spool(int(number))
        return {"send": self.send, "sent": self.sent, "mend": self.mend, "stop central": self.cluster.central.stop,
                "start central": self.cluster.central.start}[order]()


def write_input(cluster):
    """The first events, with a burst, and with a fine that north's rule does not let through, whatever the source."""
    with gzip.open(input_file(), "rb") as lines:
        demo_story.with_burst(itertools.islice(lines, EVENTS), cluster.directory / "input.ndjson")
    parts = cluster.split_input(cluster.directory / "input.ndjson")
    with open(parts[0], "ab") as out:
        out.write(b'{"id":"too-dear","type":"violation.parking","source":"test/dear","time":"2018-01-01T00:00:00Z","key":"k","data":{"fine":900}}\n')
    return parts


def main():
    build = sys.argv[1]
    extras = [demo_story.EDGE + (demo_story.WRONG_RULE if name.startswith("north") else "") for name in EDGES]
    cluster = Cluster(EDGES, edge_extra=extras, central_extra=demo_story.CENTRAL, is_admin_tls=True)
    demo_story.tell_central_of_edges(cluster, is_tls=False)
    parts = write_input(cluster)
    with cluster:
        scene = Scene(cluster, parts)
        environment = {**os.environ, "WEIR_PAGE_URL": f"https://127.0.0.1:{cluster.central.admin_port}/"}
        with subprocess.Popen([HERE / "run", build, "real_test.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as page:
            for line in page.stdout:
                if not line.startswith("@"):
                    print(line, end="", flush=True)
                    continue
                scene.follow(line[1:].strip())
                page.stdin.write("done\n")
                page.stdin.flush()
            code = page.wait()
        if code in (0, SKIPPED):
            for daemon in [*cluster.edges, cluster.central]:
                daemon.stop()
            if code == 0:
                cluster.audit()
    return code


if __name__ == "__main__":
    sys.exit(main())
