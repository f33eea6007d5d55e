#!/usr/bin/env python3
"""What lies on the disks of an edge and a central, and what of their keys is to be found anywhere: file modes, encryption with keys that
change and go, dead letters included, and no secret in arguments, environment, logs, data or a core dump.

  scripts/security/at-rest [--io auto|uring|epoll] [--spoil]

--spoil leaves encryption out, to see the search find what was written: it must fail.
"""
import argparse
import json
import os
import pathlib
import resource
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

from cluster import BIN, Cluster, files_under

MARK, LETTER_MARK = "marker-payload-of-this-run", "marker-letter-of-this-run"
EDGE = """
[pii]
key_file = "PII_KEY"
[[pii.remove]]
types = ["reading"]
fields = [{ field = "data.owner", how = "hash" }]
[[rules]]
types = ["reading"]
ranges = [{ path = "data.value", min = 0, max = 1000 }]
"""


def expect(what, is_so, seen=""):
    if not is_so:
        raise RuntimeError(f"FAIL  {what}{': ' if seen else ''}{seen}")
    print(f"  {what}", flush=True)


def make_key(path):
    """32 random bytes, as hexadecimal digits; what is to be found nowhere else."""
    digits = secrets.token_hex(32 if path.suffix == ".key" and path.stem.isdigit() else 16)
    path.write_text(digits + "\n")
    path.chmod(0o600)
    return digits


def wrong_modes(directory):
    """Every file must be 0600 and every directory 0700."""
    for path in [directory, *directory.rglob("*")]:
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
        except FileNotFoundError:  # a running daemon renames and removes
            continue
        if mode != (0o700 if path.is_dir() else 0o600):
            yield f"{path.relative_to(directory.parent)} is {mode:04o}"


def files_with(directory, needle):
    needle = needle if isinstance(needle, bytes) else needle.encode()
    return [str(path) for path, found in files_under(directory) if needle in found]


def send(cluster, numbers):
    """Events, each tenth of them one that becomes a dead letter."""
    path = cluster.directory / "events.ndjson"
    with open(path, "w", encoding="utf-8") as out:
        for number in numbers:
            is_bad = number % 10 == 9
            data = {"value": 5000 if is_bad else number % 1000, "text": LETTER_MARK if is_bad else MARK, "owner": "someone"}
            out.write(json.dumps({"id": f"e{number}", "type": "reading", "source": "meter/1", "time": "2024-01-01T00:00:00Z",
                                  "data": data}) + "\n")
    sender = cluster.send(0, path, ack="spooled")
    report = json.loads(sender.communicate(timeout=60)[0].strip().splitlines()[-1])
    if report["rejected"] != len(numbers) // 10 or report["accepted"] != len(numbers) - len(numbers) // 10:
        raise RuntimeError(f"what was sent was not taken: {report}")


def wait_for(what, is_so):
    until = time.monotonic() + 10
    while not is_so() and time.monotonic() < until:
        time.sleep(0.05)
    expect(what, is_so())


def restart(daemon):
    daemon.stop()
    daemon.start()


def use_key(daemon, number):
    text = daemon.config.read_text()
    at = text.index("[at_rest]")
    head, tail = text[:at], text[at:]
    lines = [f"key = {number}" if line.startswith("key = ") else line for line in tail.splitlines()[:3]] + tail.splitlines()[3:]
    daemon.config.write_text(head + "\n".join(lines) + "\n")


def journal(daemon, verb, *more):
    return subprocess.run([BIN / daemon.program, "journal", verb, daemon.data_dir, *more], capture_output=True, text=True, check=False,
                          timeout=60)


def check_secrets(cluster, secret_texts):
    """Hexadecimal and raw, wherever a process shows itself."""
    needles = {text.encode() for text in secret_texts} | {bytes.fromhex(text) for text in secret_texts}
    for key in cluster.certs.glob("*.key"):
        needles.add("".join(key.read_text().splitlines()[1:-1])[:64].encode())
    daemons = [cluster.central, *cluster.edges]
    for daemon in daemons:
        for name in ("cmdline", "environ"):
            shown = pathlib.Path(f"/proc/{daemon.process.pid}/{name}").read_bytes()
            expect(f"no secret in the {name} of {daemon.name}", not any(needle in shown for needle in needles))
        shown = daemon.log.read_bytes()
        expect(f"no secret in the log of {daemon.name}", not any(needle in shown for needle in needles))
        expect(f"no secret in the data of {daemon.name}", not any(files_with(daemon.data_dir, needle) for needle in needles))


def dies_with_core(command, directory, is_ready):
    """Whether a process that aborts in `directory` leaves a core dump there."""
    def prepare():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    directory.mkdir()
    with open(directory.with_suffix(".log"), "wb") as log:
        process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=prepare)
    try:
        is_ready()
        process.send_signal(signal.SIGABRT)
        process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return any(directory.iterdir())


def check_cores(cluster):
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    edge = cluster.edges[0]
    edge.stop()
    if "/" in pattern or pattern.startswith("|") or not dies_with_core(["sleep", "60"], cluster.directory / "cores-of-another",
                                                                       lambda: time.sleep(0.2)):
        print("  (this machine keeps no core dumps in the working directory: their absence is not tried)", flush=True)
    else:
        command = [BIN / "weir-edge", "run", "--config", edge.config, f"--io={edge.io}"]
        expect("an edge that aborts leaves no core dump, where another process does",
               not dies_with_core(command, cluster.directory / "cores-of-edge", lambda: time.sleep(2)))
    edge.start()


def run(args, outer):
    key_dir, pii_key = outer / "keys", outer / "pii.key"
    key_dir.mkdir(mode=0o700)
    digits = [make_key(key_dir / "1.key"), make_key(key_dir / "2.key"), make_key(pii_key)]
    at_rest = f'\n[at_rest]\nkey_dir = "{key_dir}"\nkey = {0 if args.spoil else 1}\n'
    os.umask(0)  # what the daemons make has its modes from them, not from here
    with Cluster(["north"], io=args.io, edge_extra=EDGE.replace("PII_KEY", str(pii_key)) + at_rest, central_extra=at_rest,
                 is_tls=True) as cluster:
        central, edge = cluster.central, cluster.edges[0]
        daemons = [central, edge]
        send(cluster, range(0, 300))
        cluster.wait_until_delivered()
        check_secrets(cluster, digits)
        for daemon in daemons:
            restart(daemon)  # the tail is opened anew
        send(cluster, range(300, 600))
        cluster.wait_until_delivered()
        for daemon in daemons:
            wrong = list(wrong_modes(daemon.data_dir))
            expect(f"all files of {daemon.name} are 0600, all directories 0700", not wrong, "; ".join(wrong))
        found = [path for daemon in daemons for mark in (MARK, LETTER_MARK) for path in files_with(daemon.data_dir, mark)]
        expect("no event and no dead letter is readable in any file", not found, "; ".join(found))
        keys = ["--key-dir", str(key_dir)]
        shown = journal(central, "cat", "--json", *keys).stdout
        expect("with the key central's journal shows all 540 events", shown.count(MARK) == 540, str(shown.count(MARK)))
        letters = subprocess.run([BIN / "weir-central", "dead-letters", "show", central.data_dir, "--json", *keys], capture_output=True,
                                 text=True, check=False).stdout
        expect("and 60 dead letters", len(letters.splitlines()) == 60, str(len(letters.splitlines())))
        without = journal(central, "verify")
        expect("without it, which key is missing, and no damage", without.returncode == 1 and "key 1 is not here" in without.stderr,
               without.stdout + without.stderr)
        cluster.audit()

        # What is spooled under one key while central is away is read back and delivered under the next.
        central.stop()
        send(cluster, range(600, 800))
        edge.kill()
        for daemon in (edge, central):
            use_key(daemon, 2)
            daemon.start()
        send(cluster, range(800, 900))
        cluster.wait_until_delivered()
        for daemon in daemons:
            whole = journal(daemon, "verify", *keys)
            expect(f"after the key changed {daemon.name}'s journal is whole under both", whole.returncode == 0, whole.stderr)
        cluster.audit()

        # A third key while they run: what is begun from then on is under it.
        digits.append(make_key(key_dir / "3.key"))
        for daemon in daemons:
            use_key(daemon, 3)
            daemon.process.send_signal(signal.SIGHUP)
        wait_for("both daemons took the new key at SIGHUP, without a restart",
                 lambda: "event=at_rest_key key=3" in central.log.read_text() and edge.log.read_text().count("event=reloaded") == 1)

        check_cores(cluster)
        (key_dir / "1.key").chmod(0o640)
        central.stop()
        central.start(is_awaited=False)
        code = central.process.wait(30)
        expect("a key file that others may read: the start is refused, by name", code == 78 and "mode 0600" in central.log.read_text(),
               str(code))
        (key_dir / "1.key").unlink()
        before = sorted(path.name for path in central.data_dir.rglob("*.seg"))
        central.start()
        send(cluster, range(900, 1000))
        cluster.wait_until_delivered()
        after = sorted(path.name for path in central.data_dir.rglob("*.seg"))
        expect("with key 1 destroyed central runs on, and keeps every segment", set(before) <= set(after), f"{before} {after}")
        expect("what it held cannot be read, which is no damage", "key 1 is not here" in central.log.read_text() and
               not list(central.data_dir.rglob("*.damaged")) and not list(central.data_dir.rglob("quarantine")))
        shown = journal(central, "cat", "--json", *keys).stdout
        expect("what is under the other two can", shown.count(MARK) == 360, str(shown.count(MARK)))
        for daemon in daemons:
            daemon.stop()
    print("PASS")


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--io", default="auto", choices=("auto", "uring", "epoll"))
    args.add_argument("--spoil", action="store_true")
    args = args.parse_args()
    outer = pathlib.Path(tempfile.mkdtemp(prefix="weir-keys-"))
    try:
        run(args, outer)
    except RuntimeError as error:
        print(error)
        return 1
    finally:
        shutil.rmtree(outer, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
