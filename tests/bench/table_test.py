#!/usr/bin/env python3
"""What a bench's table says of its rows: ratios, verdicts, and what fell against a reference."""
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/harness"))
sys.dont_write_bytecode = True
import bench_table  # noqa: E402
from bench_table import Row  # noqa: E402


def rate(*values, **options):
    return Row("T1", "a rate", "events/s", list(values), limit=1000, **options)


def cost(*values, **options):
    return Row("T4", "a cost", "s", list(values), is_more_better=False, limit=10, **options)


def reference(*rows):
    return {"rows": [row.as_json() for row in rows]}


class Table(unittest.TestCase):
    def test_a_ratio_is_1_at_the_limit_and_less_below_it_whichever_way_is_better(self):
        self.assertAlmostEqual(rate(500, 400, 900).ratio(), 0.5)
        self.assertAlmostEqual(cost(20, 15, 90).ratio(), 0.5)
        self.assertIsNone(rate().ratio())

    def test_a_verdict_names_the_best_that_was_reached(self):
        self.assertEqual(rate(500, gate=300, goal=400).verdict(), "goal")
        self.assertEqual(rate(350, gate=300, goal=400).verdict(), "gate")
        self.assertEqual(rate(200, gate=300, goal=400).verdict(), "missed")
        self.assertEqual(cost(5, gate=8, goal=5).verdict(), "goal")
        self.assertEqual(cost(9, gate=8, goal=5).verdict(), "missed")
        self.assertEqual(rate(gate=300).verdict(), "not measured")
        self.assertEqual(Row("T3", "", "", is_built=False, gate=1).verdict(), "not built")

    def test_what_fell_by_more_than_its_noise_is_named(self):
        self.assertEqual(bench_table.fallen([rate(810)], reference(rate(1000))), [])
        self.assertEqual(len(bench_table.fallen([rate(790)], reference(rate(1000)))), 1)
        self.assertEqual(len(bench_table.fallen([cost(13)], reference(cost(10)))), 1)
        self.assertEqual(bench_table.fallen([cost(9)], reference(cost(10))), [])

    def test_a_row_without_a_limit_is_compared_by_itself(self):
        def bare(value):
            return Row("T10", "memory", "MiB", [value], is_more_better=False)

        self.assertEqual(bench_table.fallen([bare(60)], reference(bare(50))), [])
        self.assertEqual(len(bench_table.fallen([bare(70)], reference(bare(50)))), 1)
        self.assertEqual(bench_table.fallen([bare(0)], reference(bare(50))), [])

    def test_a_row_that_scatters_states_more_noise(self):
        wide = rate(500, 700, 1000, 1300, 1500)
        self.assertAlmostEqual(wide.noise_stated(), 0.6)
        self.assertEqual(bench_table.fallen([rate(500)], reference(wide)), [])

    def test_a_row_that_is_no_longer_measured_fell(self):
        self.assertEqual(len(bench_table.fallen([rate()], reference(rate(1000)))), 1)
        self.assertEqual(bench_table.fallen([rate(100)], None), [])
        self.assertEqual(bench_table.fallen([], reference(rate(1000))), [])  # a part only

    def test_a_reference_keeps_the_rows_that_a_part_did_not_measure(self):
        with tempfile.TemporaryDirectory() as folder:
            bench_table.RESULTS = pathlib.Path(folder)
            machine = bench_table.stamp()
            for row in (rate(1000), cost(5), rate(800)):
                bench_table.keep_as_reference({"machine": machine, "rows": [row.as_json()]})
            kept = json.loads(bench_table.reference_path().read_text())["rows"]
        self.assertEqual([(row["key"], row["now"]) for row in kept], [("T1", 800), ("T4", 5)])


if __name__ == "__main__":
    unittest.main()
