"""Where the time of running processes goes, by kind of work: samples of Debian's perf, sorted by the library and the function they lie in."""
import collections
import re
import shutil
import signal
import subprocess

SAMPLES_PER_SECOND = 997
# The first that fits: (kind, what the library's name holds, what the function's name begins with).
KINDS = (
    ("libcrypto: AES-GCM", "libcrypto", None),  # Debian's is stripped: what it is of, its users say
    ("libssl, records", "libssl", None),
    ("copying", "libc.so", re.compile(r"_*mem(cpy|move|set)")),
    ("the heap", "libc.so", re.compile(r"_*(int_|libc_)?(malloc|free|calloc|realloc|cfree)")),
    ("the heap", "libmimalloc", None),
    ("libc, else", "libc.so", None),
    ("the kernel: network", "kernel", re.compile(r".*(tcp|skb|sock|inet|ip_|ipv4|net_|loopback|dev_|__dev|softirq)")),
    ("the kernel: io_uring", "kernel", re.compile(r".*(io_|uring)")),
    ("the kernel, else", "kernel", None),
    ("weir: TLS", "weir", re.compile(r"weir::tls|bio_(read|write|control)")),
    ("weir, else", "weir", None),
)
LINE = re.compile(r"^\s*(\d+)\s+[0-9a-f]+\s+(.*)\s+\((.*)\)\s*$")


class Profile:
    """With it, samples are taken of these processes; afterwards `shares[pid]` says what part of its samples each kind has."""

    def __init__(self, pids, path):
        self.pids, self.path, self.shares = pids, path, {}

    @staticmethod
    def is_possible():
        return shutil.which("perf") is not None

    def __enter__(self):
        self.perf = subprocess.Popen(
            ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES_PER_SECOND), "-o", self.path, "-p", ",".join(map(str, self.pids))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.perf.send_signal(signal.SIGINT)
        self.perf.wait()
        said = subprocess.run(["perf", "script", "-i", self.path, "-F", "pid,ip,sym,dso"], capture_output=True, text=True, check=False)
        counts = {pid: collections.Counter() for pid in self.pids}
        for pid, symbol, library in (found.groups() for found in map(LINE.match, said.stdout.splitlines()) if found):
            if int(pid) in counts:
                counts[int(pid)][kind_of(symbol, library)] += 1
        for pid, kinds in counts.items():
            total = sum(kinds.values())
            self.shares[pid] = {kind: count / total for kind, count in kinds.items()} if total else {}


def kind_of(symbol, library):
    return next((kind for kind, holds, begins in KINDS if holds in library and (begins is None or begins.match(symbol))), "else")
