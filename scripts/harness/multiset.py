#!/usr/bin/env python3
"""Compares events as multisets: multiset.py EXPECTED.ndjson[.gz]... -- ACTUAL.ndjson...

An event is its id, type, source, time, key and data; anything else in a line (edge, lane, sequence) is left aside.
Exit 0 when equal; else 1 with the first differences.
"""
import collections
import gzip
import json
import sys

FIELDS = ("id", "type", "source", "time", "key", "data")


def canonical(event):
    return json.dumps([event.get(field) for field in FIELDS], sort_keys=True)


def events(paths):
    for path in paths:
        with (gzip.open if str(path).endswith(".gz") else open)(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield canonical(json.loads(line))


def compare(expected_paths, actual_paths):
    """(expected count, actual count, missing, extra): the last two as Counters."""
    expected = collections.Counter(events(expected_paths))
    actual = collections.Counter(events(actual_paths))
    return sum(expected.values()), sum(actual.values()), expected - actual, actual - expected


def report(result):
    """Prints the comparison; True when the multisets are equal."""
    expected, actual, missing, extra = result
    print(f"expected {expected} events, central's journal has {actual}: "
          f"{sum(missing.values())} missing, {sum(extra.values())} extra", flush=True)
    for name, some in (("missing", missing), ("extra", extra)):
        for event in list(some)[:3]:
            print(f"  {name}: {event}")
    return not missing and not extra and expected > 0


if __name__ == "__main__":
    split = sys.argv.index("--")
    sys.exit(0 if report(compare(sys.argv[1:split], sys.argv[split + 1:])) else 1)
