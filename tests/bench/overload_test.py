#!/usr/bin/env python3
"""weir-bench load beside an edge that takes half of what is offered: the rate that it tells is the one that the edge holds."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/harness"))
sys.dont_write_bytecode = True
from bench_runs import MEMORY_LANE  # noqa: E402
from cluster import BIN, Cluster  # noqa: E402

HELD, OFFERED, SECONDS, WARM_S = 20_000, 40_000, 1, 1


def main():
    # In memory: what is held is the edge's limit, and not what the disk takes at this moment.
    cluster = Cluster(["bench"], edge_extra=MEMORY_LANE)
    try:
        edge = cluster.edges[0]
        edge.config.write_text(edge.config.read_text().replace("[listen]\n", f"[listen]\nrate_events_max = {HELD}\n"))
        edge.start()
        done = subprocess.run([str(part) for part in (
            BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--rate", OFFERED, "--ack", "received", "--seconds", SECONDS,
            "--warmup-s", WARM_S, "--payload-bytes", 30, "--timeout-s", 30, "--json")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True)
        ledger = edge.ledger()
    finally:
        cluster.__exit__(None, None, None)
    report = json.loads(done.stdout)
    rate = report["events_per_second"]
    print(f"offered {OFFERED} a second, the edge takes {HELD}: {rate:.0f} told, of {report['answered']} answered in {report['seconds']:.2f} s; "
          f"the latencies of {report['measured']} count")
    assert report["acked"] == OFFERED * (SECONDS + WARM_S) == ledger["accepted"], (report, ledger)
    assert report["measured"] == OFFERED * SECONDS, report
    # The edge lets a burst through at first, before anything counts.
    assert 0.9 * HELD <= rate <= 1.1 * HELD, rate
    assert ledger["residue"] == 0, ledger


if __name__ == "__main__":
    main()
