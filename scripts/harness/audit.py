"""What is asked of a cluster at the end of a chaos run: every event, every ledger, every journal."""
import subprocess

import feed
from cluster import BIN

SETTLED = ("dead_lettered", "shed", "expired", "gap")


class Verdict:
    """What was checked, and whether it holds."""

    def __init__(self):
        self.rows = []

    def check(self, what, is_good, said):
        self.rows.append({"check": what, "pass": bool(is_good), "said": str(said)})

    def is_good(self):
        return all(row["pass"] for row in self.rows) and bool(self.rows)


def audit(cluster, feeds, flipped, verdict, spoil_how=None):
    """Stops the daemons, which are drained, and checks all; returns the ledgers. `flipped`: edges whose spool was damaged."""
    edges = [edge.ledger() for edge in cluster.edges]
    central = cluster.central.ledger()
    for daemon in [*cluster.edges, cluster.central]:
        daemon.stop()
    acked = feed.Account()
    for one in feeds:
        acked.add_all(one.acked)
    path = cluster.central_events()
    if spoil_how:
        spoil(path, spoil_how)
    stored = feed.account_of([path])
    lost, extra = acked.minus(stored), stored.minus(acked)
    verdict.check("lost: acknowledged and not in central's journal", not lost, sum(lost.values()))
    verdict.check("duplicates, or events that nobody sent, in central's journal", not extra, sum(extra.values()))
    verdict.check("events acknowledged", acked.count() > 0, acked.count())
    check_journals(cluster, flipped, verdict)
    if has_tool():
        check_by_tool(cluster, flipped, verdict)
    return check_ledgers(edges, central, acked.count(), verdict)


def spoil(path, how):
    """Changes what the audit reads, to see it fail: one event taken away, or one twice."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1] if how == "lose" else [*lines, lines[-1]]))


def check_ledgers(edges, central, acked_count, verdict):
    sums = {name: sum(row[name] for row in edges) for name in edges[0] if isinstance(edges[0][name], int)}
    # Across processes: what the edges were offered must be on central's disk, or stand in another column.
    residue = (sums["offered"] - sums["duplicates"] - sums["rejected"] - sums["shed"] - sums["expired"] - sums["gap"]
               - sums["held"] - central["totals"]["appended"])
    check = verdict.check
    check("ledger: residue from the edges' offers to central's disk", residue == 0, residue)
    check("ledger: residue of each edge", all(row["residue"] == 0 for row in edges), [row["residue"] for row in edges])
    check("ledger: residue of central", central["totals"]["residue"] == 0, central["totals"]["residue"])
    check("ledger: accepted is what was acknowledged", sums["accepted"] == acked_count, sums["accepted"])
    check("ledger: nothing dead-lettered, shed, expired or declared a gap", not any(sums[name] for name in SETTLED),
          {name: sums[name] for name in SETTLED})
    return {"edges": sums, "central": central["totals"]}


def check_journals(cluster, flipped, verdict):
    for daemon in [cluster.central, *cluster.edges]:
        if daemon.name in flipped:
            continue  # what was flipped there may still lie there
        done = subprocess.run([BIN / daemon.program, "journal", "verify", daemon.data_dir], capture_output=True, text=True,
                              check=False)
        verdict.check(f"journal of {daemon.name} verifies", done.returncode == 0,
                      "ok" if done.returncode == 0 else (done.stdout + done.stderr).strip()[-300:])


def has_tool():
    """Whether weir-central can audit by itself."""
    listed = subprocess.run([BIN / "weir-central", "--help"], capture_output=True, text=True, check=False).stdout
    return "\n  audit" in listed


def check_by_tool(cluster, flipped, verdict):
    command = [BIN / "weir-central", "audit", "--config", cluster.central.config]
    if not flipped:  # a spool that was damaged by hand is no witness
        for edge in cluster.edges:
            command += ["--edge-dir", edge.data_dir]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    verdict.check("weir-central audit", done.returncode == 0, (done.stdout + done.stderr).strip()[-300:])
