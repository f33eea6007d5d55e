#!/usr/bin/env python3
"""weir-bench transit beside an edge whose batches are far larger than what a peer may send before its hello: every event comes out."""
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/harness"))
sys.dont_write_bytecode = True
from cluster import BIN, Cluster  # noqa: E402

RATE, SECONDS, BEFORE_HELLO_BYTES = 5_000, 1, 16 << 10
# It waits for its events, as an edge does that has no processor for a while.
EXTRA = ('reconnect_ms_max = 200\n[[lanes]]\nname = "default"\nclass = "best_effort"\nspool = "memory"\nlinger_us = 50000\n')


def main():
    cluster = Cluster(["bench"], edge_extra=EXTRA)
    try:
        edge = cluster.edges[0].start()
        central = re.search(r'centrals = \["(.+?)"\]', edge.config.read_text()).group(1)
        done = subprocess.run([str(part) for part in (
            BIN / "weir-bench", "transit", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--listen", central, "--rate", RATE, "--seconds", SECONDS,
            "--warmup-s", 0, "--payload-bytes", 400, "--json")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True)
        ledger = edge.ledger()
    finally:
        cluster.__exit__(None, None, None)
    report = json.loads(done.stdout)
    batch_bytes = RATE * 0.05 * 400
    print(f"{report['sent']} sent, {report['measured']} came out; a batch is about {batch_bytes:.0f} bytes; p50 {report['transit_us']['p50']:.0f} us")
    assert batch_bytes > 2 * BEFORE_HELLO_BYTES
    assert report["sent"] == report["measured"] == RATE * SECONDS == ledger["accepted"], (report, ledger)
    assert report["transit_us"]["max"] > 40_000, report  # else no batch was that large


if __name__ == "__main__":
    main()
