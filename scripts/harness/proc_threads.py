"""The threads of a process, read from /proc. One that ends while it is read is left out: io_uring's workers, for one, come and go with a slow disk."""
import pathlib


def read(pid, *names):
    """(thread id, [what each of these files says]) of each thread."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            texts = [(task / name).read_text() for name in names]
        except OSError:
            continue
        yield int(task.name), texts


def cpu_seconds(pid):
    """Of all of them; nanoseconds, where /proc/PID/stat counts in hundredths. Threads that ended are not in it."""
    return sum(int(text.split()[0]) for _, (text,) in read(pid, "schedstat")) / 1e9


def each(pid, act):
    """Calls `act` with the id of each thread."""
    for tid, _ in read(pid):
        try:
            act(tid)
        except ProcessLookupError:
            pass
