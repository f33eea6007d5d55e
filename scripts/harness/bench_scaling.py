"""A model, not a measurement: what an edge would do on more cores, from what each of its threads spends on an event.

A pipeline goes no faster than its dearest thread, and no faster than all cores together: rate = min(1 / dearest, cores / sum). Each event crosses
one hop between the two runners with its batch, so a hop's cost is divided by the events of a batch. `sharded`: as if intake were spread over
the cores that are left (SO_REUSEPORT), which is not built; the spool's thread stays one.
"""

CORES = (1, 2, 4, 8, 16)
BATCH_EVENTS = 1000  # of 256 KiB with events of 200 bytes


def model(stage_ns, hop_ns):
    """`stage_ns`: thread name to ns an event. Rows of cores, events/s as it is, events/s if intake were sharded."""
    hop = hop_ns / 2 / BATCH_EVENTS
    costs = {name: ns + hop for name, ns in stage_ns.items()}
    intake, rest = costs.get("intake", 0), sum(ns for name, ns in costs.items() if name != "intake")
    if not intake:
        return []
    rows = []
    for cores in CORES:
        as_it_is = min(1e9 / max(costs.values()), cores * 1e9 / (intake + rest))
        shards = max(1, cores - 1)
        sharded = min(1e9 / max(intake / shards, rest), cores * 1e9 / (intake + rest))
        rows.append({"cores": cores, "events_per_second": as_it_is, "events_per_second_sharded": sharded})
    return rows


def show(stage_ns, rows):
    if not rows:
        return
    print("\nmodel of an edge on more cores (not measured), from " + ", ".join(f"{name} {ns:.0f} ns" for name, ns in sorted(stage_ns.items())) + " an event:")
    for row in rows:
        print(f"  {row['cores']:>2} cores: {row['events_per_second'] / 1e6:.2f} M/s; with sharded intake {row['events_per_second_sharded'] / 1e6:.2f} M/s")
