"""The certificate of a chaos run as text."""


def show(said):
    def number(value, unit=""):
        return "-" if value is None else f"{value:,.2f}{unit}"
    print(f"\ncertificate of {said['command']}\n{said['seconds']} s, io {', '.join(map(str, said['io']))}\n")
    print(f"  {'fault':<22}{'count':>6}{'recovery: median':>19}{'max':>10}")
    for name, row in said["faults"].items():
        print(f"  {name:<22}{row['count']:>6}{number(row['recovery_s_median'], ' s'):>19}{number(row['recovery_s_max'], ' s'):>10}")
    print(f"  {'all':<22}{sum(row['count'] for row in said['faults'].values()):>6}")
    for name, why in said["skipped"].items():
        print(f"  skipped: {name}: {why}")
    print(f"  batches sent again by a proxy: {said['batches_replayed']}; restarts that a disk fault needed: "
          f"{said['restarts_needed_after_disk_faults']}")
    print(f"\n  {'p99 until the ack':<22}{'slices':>8}{'median':>14}{'worst':>14}")
    for level, sides in said["ack_latency_ms"].items():
        for side, row in sides.items():
            print(f"  {level + ', ' + side:<22}{row['slices']:>8}{number(row['median_p99_ms'], ' ms'):>14}"
                  f"{number(row['worst_p99_ms'], ' ms'):>14}")
    print()
    if said["ledger"]:
        for side in ("edges", "central"):
            print(f"  ledger, {side}: " + ", ".join(f"{name} {value}" for name, value in said["ledger"][side].items()))
        print()
    for row in said["checks"]:
        print(f"  {'ok  ' if row['pass'] else 'FAIL'}  {row['check']}: {row['said']}")
    print(f"\nchaos run: {said['verdict']}\nagain: {said['command']}", flush=True)
