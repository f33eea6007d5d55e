#!/usr/bin/env python3
"""An edge with profile = "small" beside what it may take: memory while 10,000 events a second pass, after central was away and all of that
was read back, and what an idle one writes to its disk: nothing. Its flash budget is passed, said in log, /readyz and metrics, and nothing else.

  scripts/small-edge [--seconds N] [--rate N] [--memory-max MiB] [--io auto|uring|epoll] [--spoil]

--spoil runs the standard profile under the same bounds: it must fail. Exit 1: something is above its bound.
"""
import argparse
import subprocess
import sys
import time

import bench_machine as machine
from cluster import BIN, Cluster, ask, wait_for

# Checkpoints soon, so that the edge is at rest soon. A day's limit that the start alone passes: said, and nothing else.
EXTRA = "[spool]\ncheckpoint_ms = 200\n[flash]\ndaily_write_limit_bytes = 1048576\n"
PROFILE = 'profile = "small"\n'
QUIET_S, REST_S_MAX = 3, 60


def load(cluster, rate, seconds, ack="delivered"):
    command = [BIN / "weir-bench", "load", "--to", f"127.0.0.1:{cluster.producer_ports[0]}", "--rate", str(rate), "--ack", ack, "--payload-bytes",
               "30", "--seconds", f"{seconds:.2f}", "--warmup-s", "0", "--timeout-s", "60", "--json"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    cluster.senders.append(process)
    return cluster.finish([process])[0]


def await_rest(pid):
    """Until nothing has been written for QUIET_S; and what was written until then."""
    last, since, begun = machine.written_bytes(pid), time.monotonic(), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        time.sleep(0.2)
        now = machine.written_bytes(pid)
        if now != last:
            last, since = now, time.monotonic()
        if time.monotonic() - begun > REST_S_MAX:
            raise RuntimeError(f"an edge without events has not stopped writing for {REST_S_MAX} s")
    return last


def memory(pid):
    return {name: machine.memory_bytes(pid, name) / (1 << 20) for name in ("VmRSS", "VmHWM", "RssAnon", "RssFile")}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=5)
    arguments.add_argument("--rate", type=int, default=10_000)
    arguments.add_argument("--memory-max", type=float, default=64)
    arguments.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    arguments.add_argument("--spoil", action="store_true")
    args = arguments.parse_args()
    cluster = Cluster(["north"], io=args.io, edge_extra=EXTRA)
    edge = cluster.edges[0]
    if not args.spoil:
        edge.config.write_text(PROFILE + edge.config.read_text())
    failures = []

    def judge(what, value, bound, unit):
        is_good = value <= bound
        print(f"{'ok  ' if is_good else 'FAIL'}  {what}: {value:.1f} {unit}, at most {bound:g}", flush=True)
        if not is_good:
            failures.append(what)

    with cluster:
        pid = edge.process.pid
        print(f"      started: {memory(pid)['VmRSS']:.1f} MiB", flush=True)
        begun, spent = time.monotonic(), machine.cpu_seconds(pid)
        report = load(cluster, args.rate, args.seconds)
        busy = (machine.cpu_seconds(pid) - spent) / (time.monotonic() - begun) * 100
        under_load = memory(pid)
        print(f"      {report['events_per_second']:.0f} events/s, {busy:.1f} % of a core, p50 {report['latency_us']['p50'] / 1000:.1f} ms, p99 "
              f"{report['latency_us']['p99'] / 1000:.1f} ms; anonymous {under_load['RssAnon']:.1f} MiB, of files {under_load['RssFile']:.1f}", flush=True)
        judge("memory under load", under_load["VmRSS"], args.memory_max, "MiB")
        cluster.central.kill()
        load(cluster, args.rate, args.seconds, ack="spooled")
        cluster.central.start()
        wait_for("all is delivered that central missed", lambda: edge.ledger()["held"] == 0, 60)
        judge("memory after an outage", memory(pid)["VmRSS"], args.memory_max, "MiB")
        judge("the most it ever was", memory(pid)["VmHWM"], args.memory_max, "MiB")
        for _ in range(3):  # a line in its log is a page of a file too: then it was not idle
            written = await_rest(pid)
            spent, begun, logged = machine.cpu_seconds(pid), time.monotonic(), edge.log.stat().st_size
            time.sleep(QUIET_S)
            written = machine.written_bytes(pid) - written
            idle = (machine.cpu_seconds(pid) - spent) / (time.monotonic() - begun) * 100
            if edge.log.stat().st_size == logged:
                break
        judge("written while idle", written, 0, "bytes")
        metrics = edge.metrics()
        with ask(edge.admin_port, "/readyz") as answer:
            ready, note = answer.status == 200, "above flash.daily_write_limit_bytes" in answer.read().decode()
        said = [metrics["weir_edge_flash_over_limit"] == 1, ready and note, "flash_over_limit" in edge.log.read_text()]
        judge("of metrics, /readyz and log, those that do not say that the day's limit is passed", said.count(False), 0, "of 3")
        kinds = {name.split('"')[1]: value for name, value in metrics.items() if name.startswith("weir_edge_disk_written_bytes_total")}
        print(f"      idle: {idle:.2f} % of a core; written: " + ", ".join(f"{kind} {value / (1 << 20):.1f} MiB" for kind, value in kinds.items()) +
              f"; the kernel counts {machine.written_bytes(pid) / (1 << 20):.1f} MiB", flush=True)
        ledger = edge.ledger()
        if ledger["residue"] != 0:
            failures.append(f"the ledger does not close: {ledger}")
    print("small-edge: " + ("within its bounds" if not failures else "above its bounds: " + ", ".join(failures)))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
