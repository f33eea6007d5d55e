#!/usr/bin/env python3
"""weir-bench transit beside an edge whose batches are far larger than what a peer may send before its hello: every event comes out."""
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/harness"))
sys.dont_write_bytecode = True
from bench_runs import MEMORY_LANE  # noqa: E402
from cluster import BIN, Cluster  # noqa: E402

RATE, SECONDS, PAYLOAD_BYTES, LINGER_S = 5_000, 1, 400, 0.05  # 100 KB of payloads in a batch; 16 KiB may come before a hello
# It waits for its events, as an edge does that has no processor for a while.
EXTRA = f"reconnect_ms_max = 200\n{MEMORY_LANE}linger_us = {LINGER_S * 1e6:.0f}\n"


def main():
    cluster = Cluster(["bench"], edge_extra=EXTRA)
    try:
        edge = cluster.edges[0].start()
        central = re.search(r'centrals = \["(.+?)"\]', edge.config.read_text()).group(1)
        done = subprocess.run([str(part) for part in (
            BIN / "weir-bench", "transit", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--listen", central, "--rate", RATE, "--seconds", SECONDS,
            "--warmup-s", 0, "--payload-bytes", PAYLOAD_BYTES, "--json")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, text=True)
        ledger = edge.ledger()
    finally:
        cluster.__exit__(None, None, None)
    report = json.loads(done.stdout)
    print(f"{report['sent']} sent, {report['measured']} came out; p50 {report['transit_us']['p50']:.0f} us")
    assert report["sent"] == report["measured"] == RATE * SECONDS == ledger["accepted"], (report, ledger)
    assert report["transit_us"]["max"] > 0.8 * LINGER_S * 1e6, report  # else no batch was that large


if __name__ == "__main__":
    main()
