"""Reference tables from central to an edge, enrichment without a central, changes, and personal data that is nowhere on any disk; and a table of
which the edge caches rows."""
import argparse
import json
import os
import pathlib
import subprocess
import sys

import cluster

OFFENCES = "key,class,fine\n" + "".join(f"{code},{'minor' if code % 2 else 'major'},{code}\n" for code in range(1000, 4000))
EDGE = """
[tables]
bytes_max = 4194304
[[tables.use]]
name = "offence"
columns = ["class:text", "fine:integer"]
[pii]
key_file = "KEY_FILE"
[[pii.remove]]
types = ["violation.*"]
fields = [{ field = "data.plate", how = "hash" }, { field = "data.driver.name", how = "truncate:1" }, { field = "data.phone", how = "drop" },
       { field = "key", how = "hash" }]
[[rules]]
types = ["violation.*"]
must = 'data.code != 9666'
[[enrich]]
types = ["violation.*"]
set = [{ field = "data.class", from = 'lookup("offence", data.code).class' },
       { field = "data.fine", from = 'lookup("offence", data.code).fine' }]
"""
PLATE, NAME, PHONE = "SECRETPLATE", "SecretName", "555-SECRET"


CACHED = """
[tables]
[[tables.use]]
name = "offence"
keep = "cached"
columns = ["class:text", "fine:integer"]
[[enrich]]
types = ["violation.*"]
set = [{ field = "data.class", from = 'lookup("offence", data.code).class' },
       { field = "data.fine", from = 'lookup("offence", data.code).fine' }]
"""


def event(number, code):
    plate = f"{PLATE}-{number % 7}"
    return {"id": f"{number}", "type": "violation.parking", "source": "tables", "time": "2017-12-01T00:00:07Z", "key": plate,
            "data": {"plate": plate, "code": code, "driver": {"name": NAME, "n": number}, "phone": PHONE}}


def await_true(what, is_true):
    cluster.wait_for(what, is_true)
    print(f"ok    {what}")


def expect(what, is_true, detail=""):
    if not is_true:
        raise SystemExit(f"FAIL  {what} {detail}")
    print(f"ok    {what}")


def send(cl, numbers, code_of, ack, dead_letters=0):
    path = cl.directory / f"in-{numbers[0]}.ndjson"
    path.write_text("".join(json.dumps(event(number, code_of(number))) + "\n" for number in numbers))
    sender = cl.send(0, path, ack=ack)
    if dead_letters == 0:
        return cl.finish([sender])[0]
    out, _ = sender.communicate(timeout=60)  # it ends with 1: not all were accepted
    report = json.loads(out.strip().splitlines()[-1])
    expect(f"{dead_letters} dead letters", report["rejected"] == dead_letters, out)
    return report


def stored(program, daemon):
    """The events in a journal, by id."""
    out = subprocess.run([cluster.BIN / program, "journal", "cat", daemon.data_dir, "--json"], check=True, capture_output=True,
                         text=True).stdout
    lines = [json.loads(line) for line in out.splitlines()]
    return {line["id"]: line for line in lines if "id" in line and "data" in line}


def count_on_disk(directory, needles):
    return {needle: sum(needle.encode() in found for _, found in cluster.files_under(directory)) for needle in needles}


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--io", default="auto", choices=["auto", "uring", "epoll"])
    options.add_argument("--spoil", action="store_true", help="declare nothing personal: the search must then find it")
    arguments = options.parse_args()
    outer = pathlib.Path(cluster.tempfile.mkdtemp(prefix="weir-tables-"))
    try:
        run(arguments, outer)
        run_cached(arguments, outer)
        print("PASS")
    finally:
        cluster.shutil.rmtree(outer, ignore_errors=True)


def run(arguments, outer):
    table, key = outer / "offence.csv", outer / "pii.key"
    table.write_text(OFFENCES)
    key.write_text("000102030405060708090a0b0c0d0e0f\n")
    os.chmod(key, 0o600)
    extra = EDGE.replace("KEY_FILE", str(key))
    if arguments.spoil:
        extra = extra[:extra.index("[[pii.remove]]")] + extra[extra.index("[[rules]]"):]
    central_extra = f'[[tables]]\nname = "offence"\nfile = "{table}"\n'
    with cluster.Cluster(["north"], io=arguments.io, edge_extra=extra, central_extra=central_extra) as cl:
        edge = cl.edges[0]
        await_true("the edge has taken central's table", lambda: edge.metric("weir_edge_table_rows") == 3000)
        send(cl, range(0, 500), lambda n: 1000 + n, "delivered")
        events = stored("weir-central", cl.central)
        expect("500 events at central, each enriched", len(events) == 500 and all(
            one["data"]["fine"] == one["data"]["code"] for one in events.values()), str(len(events)))

        cl.central.kill()
        edge.kill()
        edge.start()
        expect("started without a central, the edge has the table", edge.metric("weir_edge_table_rows") == 3000)
        # Every 50th fails the rule: a dead letter.
        report = send(cl, range(500, 1000), lambda n: 9666 if n % 50 == 0 else 1000 + n, "spooled",
                      dead_letters=10)
        expect("490 more are taken", report["accepted"] == 490, str(report))

        # The table changes while central is away; it comes back with the new one, without knowing the old: the whole image.
        table.write_text(OFFENCES.replace("1001,minor,1001", "1001,none,7"))
        cl.central.start()
        await_true("the changed table is taken whole from a central that was away",
                   lambda: edge.metric("weir_edge_table_images_total") == 1)
        # And now as a change, while it runs; a broken file changes nothing.
        table.write_text(OFFENCES.replace("1002,major,1002", "1002,none,8,9"))
        await_true("a broken file is refused by place", lambda: "offence.csv:4:1: a row of 4 fields under 3 names" in
                   cl.central.log.read_text())
        table.write_text(OFFENCES.replace("1002,major,1002\n", "").replace("1003,minor,1003", "1003,other,3"))
        await_true("a change is taken as a change", lambda: edge.metric("weir_edge_table_changes_total") == 1)
        expect("a row is gone", edge.metric("weir_edge_table_rows") == 2999)
        expect("and less than a tenth of the image has crossed", edge.metric("weir_edge_table_received_bytes_total") <
               1.1 * 3000 * 40, str(edge.metric("weir_edge_table_received_bytes_total")))
        send(cl, range(1000, 1003), lambda n: n + 1, "delivered")
        cl.wait_until_delivered()
        events = stored("weir-central", cl.central)
        expect("the new rows are looked up", [events[str(n)]["data"].get("class") for n in (1000, 1001, 1002)] ==
               ["minor", None, "other"], str([events[str(n)]["data"] for n in (1000, 1001, 1002)]))
        expect("all are at central but the dead letters", len(events) == 1003 - 10, str(len(events)))
        hashes = {one["data"].get("plate") for one in events.values()}
        expect("the same plate has the same hash after restarts", len(hashes) == 7, str(hashes))
        expect("the ledger closes", edge.ledger()["residue"] == 0)

        edge.stop()
        cl.central.stop()
        found = {}
        for daemon in (edge, cl.central):
            for needle, files in count_on_disk(daemon.data_dir, [PLATE, NAME, PHONE]).items():
                found[needle] = found.get(needle, 0) + files
        kept = count_on_disk(cl.central.data_dir, ["violation.parking", "pii:" if not arguments.spoil else "tables"])
        expect("the search finds what is stored", all(kept.values()), str(kept))
        expect("nothing personal is in any file of edge or central", not any(found.values()), str(found))


def run_cached(arguments, outer):
    table = outer / "offence.csv"
    table.write_text(OFFENCES)
    central_extra = f'[[tables]]\nname = "offence"\nfile = "{table}"\n'
    with cluster.Cluster(["north"], io=arguments.io, edge_extra=CACHED, central_extra=central_extra) as cl:
        edge, numbers = cl.edges[0], iter(range(10_000))

        def metric(name):
            return edge.metric(f"weir_edge_cached_table_{name}")

        def classes(codes):
            """What events of these codes, sent one after the other, have at central."""
            sent = [next(numbers) for _ in codes]
            for number, code in zip(sent, codes):
                send(cl, [number], lambda _, code=code: code, "delivered")
            events = stored("weir-central", cl.central)
            return [events[str(number)]["data"].get("class") for number in sent]

        def learn(codes, rows):
            """Looked up once; until so many rows are cached."""
            found = classes(codes)
            await_true(f"central has answered {codes}", lambda: metric("rows") == rows)
            return found

        expect("a row that is not cached is null", learn([1001], 1) == [None])
        expect("and is there when it is looked up next", classes([1001]) == ["minor"])
        learn([1002, 1003, 5000], 4)
        expect("so are others, and what is not there is null", classes([1002, 1003, 5000]) == ["major", "minor", None])
        expect("nothing of the table is on the edge's disk", not list((pathlib.Path(edge.data_dir) / "tables").glob("*")))
        asked = metric("asked_keys_total")

        table.write_text(OFFENCES.replace("1002,major,1002", "1002,none,7") + "5000,new,1\n")
        await_true("central says which rows have changed", lambda: metric("changes_total") == 1)
        await_true("and they alone go", lambda: metric("invalidated_rows_total") == 2 and metric("rows") == 2)
        expect("the others are still there", classes([1001, 1003]) == ["minor", "minor"])
        expect("without being asked for", metric("asked_keys_total") == asked)
        learn([1002, 5000], 4)
        expect("a changed row and a new one are seen", classes([1002, 5000]) == ["none", "new"])

        # Without a central the rows that are cached stay, and no other comes; a central that was away does not know the version.
        cl.central.kill()
        path = outer / "offline.ndjson"
        path.write_text("".join(json.dumps(event(number, code)) + "\n" for number, code in ((20_001, 1002), (20_002, 1500))))
        cl.finish([cl.send(0, path, ack="spooled")])
        table.write_text(OFFENCES.replace("1002,major,1002", "1002,later,7"))
        cl.central.start()
        cl.wait_until_delivered()
        events = stored("weir-central", cl.central)
        expect("without a central what is cached stays", [events[n]["data"].get("class") for n in ("20001", "20002")] == ["none", None])
        # Of the row that was missed meanwhile it is asked at once.
        await_true("a central that does not know the version says that all has changed",
                   lambda: metric("changes_total") == 2 and metric("rows") == 1)
        learn([1002], 2)
        expect("and the new row is seen", classes([1002]) == ["later"])
        expect("the ledger closes", edge.ledger()["residue"] == 0)


if __name__ == "__main__":
    sys.exit(main())
