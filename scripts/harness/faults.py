"""The faults that a chaos run draws from: each begins, lasts a while, and is healed.

A fault acts on a resource ("process:north", "uplink:north", "intake:north", "process:central"); two at once never share one.
`begin` and `heal` do what their names say; a daemon is always alive and its own after `heal`.
"""
import dataclasses
import json
import os
import pathlib
import resource
import signal
import subprocess
import time
import typing
import urllib.error

import proxy
from cluster import BIN, ask

FAKETIME = next((path for path in map(pathlib.Path, (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1")) if path.exists()), None)
SEGMENT_HEADER_BYTES = 4096
FILE_BYTES_LIMIT = 512 * 1024
RECOVERS_ALONE_SECONDS = 3
SMALL_SPOOL = "[spool]\nsegment_bytes = 1048576\nbytes_max = 8388608\ncheckpoint_ms = 10000\n"
SPOOL_FULL_EVENTS = 40_000
DISK_FULL_EVENTS = 20_000
SEGMENTS_EVENTS = 12_000  # fill some segments of the small spool
DELIVERED_SECONDS_MAX = 10
REPLAY_SECONDS_MAX = 10


@dataclasses.dataclass
class Kind:
    name: str
    place: str  # "edge", "uplink", "intake", "central", or "small": the edge with the small spool
    hold_s: tuple  # least and most, before it is healed
    begin: typing.Callable  # (scene, index of the edge or None)
    heal: typing.Callable


class Scene:
    """What the faults act on, and what they leave word of."""

    def __init__(self, cluster, rng, start_burst):
        self.cluster, self.rng, self.start_burst = cluster, rng, start_burst
        self.notes = []
        self.flipped = set()  # names of edges whose spool holds bytes that were changed
        self.restarts_needed = 0  # daemons that did not come back by themselves after a disk fault
        self.volumes = {}  # name of a daemon: mount point, where its data_dir lies on a small file system

    def daemon(self, index):
        return self.cluster.central if index is None else self.cluster.edges[index]

    def note(self, text):
        self.notes.append(text)
        print(f"      {text}", flush=True)


# Processes.
def kill(scene, index):
    scene.daemon(index).kill()


def start(scene, index):
    scene.daemon(index).start()


def stop_cont(number):
    def act(scene, index):
        scene.daemon(index).process.send_signal(number)
    return act


# Proxies.
def switched(where, **faults):
    def act(scene, index):
        getattr(scene.cluster, where)[index].set(**faults)
    return act


def told(where, order, *arguments):
    def act(scene, index):
        getattr(getattr(scene.cluster, where)[index], order)(*arguments)
    return act


def replay_ended(scene, index):
    """Batches must pass for one to be sent again: on a busy disk that takes its time."""
    uplink = scene.cluster.uplinks[index]
    give_up = time.monotonic() + REPLAY_SECONDS_MAX
    while uplink.replays_wanted and time.monotonic() < give_up:
        time.sleep(0.02)
    if uplink.replays_wanted:
        scene.note(f"{uplink.replays_wanted} batches were not sent again: none passed")
    uplink.heal()


def nothing(_scene, _index):
    pass


# Disks.
def spool_full(scene, index):
    scene.cluster.uplinks[index].cut()
    scene.start_burst(index, SPOOL_FULL_EVENTS)


def limit_files(scene, index):
    """No write goes beyond so many bytes into a file; the one that crosses the limit is short."""
    pid = scene.daemon(index).process.pid
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (FILE_BYTES_LIMIT, hard))


def unlimit_files(scene, index):
    daemon = scene.daemon(index)
    say_state(scene, index)
    if daemon.process.poll() is None:
        _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    restart_unless_well(scene, index)


def fill_disk(scene, index):
    """Takes all that is left of the daemon's file system, and makes sure that it wants more. (An edge that can deliver uses its
    files again and never needs room: it cannot.)"""
    if index is not None:
        scene.cluster.uplinks[index].cut()
    volume = scene.volumes[scene.daemon(index).name]
    for megabytes in (256, 64, 16, 4, 1):
        _fill(volume, megabytes << 20)
    _fill(volume, 4096)
    scene.start_burst(index or 0, DISK_FULL_EVENTS)


def _fill(volume, step_bytes):
    with open(volume / "filler", "ab") as filler:
        try:
            while True:
                os.posix_fallocate(filler.fileno(), os.fstat(filler.fileno()).st_size, step_bytes)
        except OSError:
            pass


def free_disk(scene, index):
    say_state(scene, index)
    (scene.volumes[scene.daemon(index).name] / "filler").unlink()
    if index is not None:
        scene.cluster.uplinks[index].heal()
    restart_unless_well(scene, index)


def empty_spool(scene, index):
    say_state(scene, index)
    scene.cluster.uplinks[index].heal()


def say_state(scene, index):
    """Leaves word of how a daemon fares while its disk is short."""
    daemon = scene.daemon(index)
    if daemon.process.poll() is None:
        counts = daemon.ledger()
        counts = f", {counts['held']} events held" if "held" in counts else ""
        scene.note(f"{daemon.name} says {readiness(daemon)[1]!r}{counts}")


def restart_unless_well(scene, index):
    """A daemon that ended, or that says it needs a person after a failed write, gets one: a restart."""
    daemon = scene.daemon(index)
    give_up = time.monotonic() + RECOVERS_ALONE_SECONDS
    while time.monotonic() < give_up and daemon.process.poll() is None:
        if readiness(daemon)[0]:
            return
        time.sleep(0.05)
    code = daemon.process.poll()
    scene.note(f"{daemon.name} " + ("is not ready by itself" if code is None else f"ended with {code}") + ": restarted")
    scene.restarts_needed += 1
    daemon.kill()
    daemon.start()


def readiness(daemon):
    """(whether it is ready, what it says)."""
    try:
        with ask(daemon.admin_port, "/readyz") as answer:
            return True, answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return False, error.read().decode().strip()


def flip_byte(scene, index):
    """Changes a byte of a closed segment that central has all of; half of the time the edge reads it at its next start."""
    edge = scene.daemon(index)
    scene.start_burst(index, SEGMENTS_EVENTS).thread.join(DELIVERED_SECONDS_MAX)
    found = delivered_segment(edge)
    if found is None:
        scene.note(f"{edge.name}: no closed segment is delivered and still there: nothing flipped")
    else:
        path, end = found
        at = scene.rng.randrange(SEGMENT_HEADER_BYTES, end)
        with open(path, "r+b") as file:
            file.seek(at)
            old = file.read(1)[0]
            file.seek(at)
            file.write(bytes([old ^ 1 << scene.rng.randrange(8)]))
        scene.flipped.add(edge.name)
        scene.note(f"{edge.name}: byte {at} of {path.name} flipped")
    if scene.rng.random() < 0.5:
        edge.kill()


def delivered_segment(edge):
    """(path, bytes in use) of a segment with another one behind it and nothing in it that central does not have."""
    segments = json_lines(edge, "ls")
    first = next(iter(json_lines(edge, "cat", 1)), None)
    delivered = next(lane["delivered"] for lane in edge.ledger()["lanes"] if lane["lane"] == "default")
    if first is None or not segments or not pathlib.Path(segments[0]["file"]).exists():
        return None  # or trimmed between the two looks
    last, found = first["sequence"] - 1, None
    filled = [one for one in segments if one["records"]]
    for one in filled[:-1]:
        last += one["events"]
        if last <= delivered and pathlib.Path(one["file"]).exists():
            found = (pathlib.Path(one["file"]), one["end_position"] - one["first_position"] + SEGMENT_HEADER_BYTES)
    return found


def json_lines(daemon, verb, lines_max=None):
    with subprocess.Popen([BIN / daemon.program, "journal", verb, daemon.data_dir, "--json"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as tool:
        lines = []
        for line in tool.stdout:
            lines.append(json.loads(line))
            if lines_max and len(lines) == lines_max:
                tool.kill()
                break
    return lines


def start_if_killed(scene, index):
    if scene.daemon(index).process is None:
        scene.daemon(index).start()


# Clocks.
def jump_clock(scene, index):
    """Starts the daemon again under a clock of its own, then steps that one by days, back and forth."""
    daemon = scene.daemon(index)
    offset = daemon.config.with_suffix(".clock")
    offset.write_text("+0")
    daemon.kill()
    daemon.start({"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_CACHE_DURATION": "1",
                  "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    for days in scene.rng.sample((3, -3, 400, -30), 2):
        offset.write_text(f"{days:+}d")
        time.sleep(1.5)


def restart(scene, index):
    kill(scene, index)
    start(scene, index)


def kinds():
    slow = proxy.Fault(delay_s=0.05, jitter_s=0.1)
    tiny_up, tiny_down = proxy.Fault(chunk_bytes=511), proxy.Fault(chunk_bytes=7)
    held = proxy.Fault(is_held=True)
    all_kinds = [
        Kind("edge-kill", "edge", (0, 2), kill, start),
        Kind("central-kill", "central", (0, 2), kill, start),
        Kind("edge-stop", "edge", (1, 6), stop_cont(signal.SIGSTOP), stop_cont(signal.SIGCONT)),
        Kind("central-stop", "central", (1, 6), stop_cont(signal.SIGSTOP), stop_cont(signal.SIGCONT)),
        Kind("uplink-cut", "uplink", (0.5, 4), told("uplinks", "cut"), told("uplinks", "heal")),
        Kind("uplink-hold-acks", "uplink", (1, 6), switched("uplinks", down=held), told("uplinks", "heal")),
        Kind("uplink-hold-both", "uplink", (1, 6), switched("uplinks", up=held, down=held), told("uplinks", "heal")),
        Kind("spool-full", "small", (2, 4), spool_full, empty_spool),
        Kind("file-limit", "edge", (1, 3), limit_files, unlimit_files),
        Kind("file-limit-central", "central", (1, 3), limit_files, unlimit_files),
        Kind("flip-byte", "small", (0, 1), flip_byte, start_if_killed),
    ]
    for where in ("uplink", "intake"):
        all_kinds += [
            Kind(f"{where}-delay", where, (1, 4), switched(f"{where}s", up=slow, down=slow), told(f"{where}s", "heal")),
            Kind(f"{where}-reset", where, (0, 0.2), told(f"{where}s", "reset"), nothing),
            Kind(f"{where}-chunk", where, (1, 3), switched(f"{where}s", up=tiny_up, down=tiny_down),
                 told(f"{where}s", "heal"))]
    all_kinds += [
        Kind("intake-hold", "intake", (1, 4), switched("intakes", up=held, down=held), told("intakes", "heal")),
        Kind("uplink-replay", "uplink", (1, 2), told("uplinks", "replay", 5), replay_ended)]
    return all_kinds


def clock_kinds():
    return [Kind("clock-jump", "edge", (0, 1), jump_clock, restart),
            Kind("clock-jump-central", "central", (0, 1), jump_clock, restart)]


def disk_kinds():
    return [Kind("disk-full", "small", (3, 6), fill_disk, free_disk),
            Kind("disk-full-central", "central", (3, 6), fill_disk, free_disk)]


def mount_small(directory, name, megabytes):
    """An ext4 of so many MB in a file, at the data_dir of `name`; None where that is not possible. It goes with the namespace."""
    image, volume = directory / f"{name}.img", directory / f"{name}-volume"
    with open(image, "wb") as file:
        file.truncate(megabytes << 20)
    volume.mkdir()
    for command in (["mkfs.ext4", "-q", "-F", image], ["mount", "-o", "loop", image, volume]):
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            return None
    return volume
