#!/usr/bin/env python3
"""What scripts/bench --peers makes of its rounds: the table, whether weir is ahead, the README's sections, and what a product costs."""
import os
import pathlib
import subprocess
import sys
import time
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/harness"))
sys.dont_write_bytecode = True
import bench_machine  # noqa: E402
import peer_products  # noqa: E402
import peer_table  # noqa: E402
from bench_peers import README  # noqa: E402


def one(title="peer", hops=1, rate=100_000.0, cpu=5.0, p99=4.0, is_weir=False, kept="no", **more):
    run = {"title": title, "hops": hops, "is_weir": is_weir, "synced": kept, "events_per_second": rate, "cpu_s_per_million": cpu, "p50_ms": 1.0,
           "p99_ms": p99, "p999_ms": 9.0, "missing": 0, "open_rate_held": True}
    return {**run, **more}


def ended(*runs):
    return peer_table.middle(list(runs))


def weir(**more):
    return ended(one("weir", rate=1e6, cpu=1.0, p99=2.0, is_weir=True, kept="yes", **more))


def held(entries, wanted):
    return [(demand.what.split()[0], demand.holds()) for demand in peer_table.demands(entries, wanted)]


class Table(unittest.TestCase):
    def test_a_rounds_figures_are_of_both_runs_and_the_warm_up_is_paid_for(self):
        flat = {"events_per_second": 5e5, "cpu_s": 2.2, "sent": 1_100_000, "missing": 1}
        steady = {"events_per_second": 9_900, "missing": 2, "latency_us": {"p50": 500, "p99": 2000, "p999": 9000}}
        got = peer_table.entry("redis", "yes", 1, flat, steady, 10_000)
        self.assertEqual((got["events_per_second"], got["p50_ms"], got["p99_ms"], got["p999_ms"], got["missing"]), (5e5, 0.5, 2, 9, 3))
        self.assertAlmostEqual(got["cpu_s_per_million"], 2.0)
        self.assertTrue(got["open_rate_held"])
        self.assertFalse(peer_table.entry("redis", "yes", 1, flat, {**steady, "events_per_second": 9_700}, 10_000)["open_rate_held"])

    def test_a_median_is_of_each_figure_and_what_is_missing_anywhere_is_missing(self):
        got = ended(one(rate=1, p99=9), one(rate=5, p99=1), one(rate=2, p99=3, missing=4, open_rate_held=False))
        self.assertEqual((got["events_per_second"], got["p99_ms"], got["missing"], got["open_rate_held"], got["rounds"]), (2, 3, 4, False, 3))
        self.assertEqual(got["spread"]["events_per_second"], (1, 5))

    def test_the_table_names_medians_spread_and_what_did_not_come(self):
        text = peer_table.table([ended(one("redis", rate=9e4), one("redis", rate=1.2e5, missing=7, open_rate_held=False)), ended(one("weir", rate=1e6, cpu=1.0, is_weir=True), one("weir", rate=1e6, cpu=1.0, is_weir=True))], 10_000)
        lines = text.splitlines()
        self.assertTrue(lines[2].startswith("| **weir** | 1 | 1000 | 1.00 |"), lines[2])
        self.assertTrue(lines[3].startswith("| redis | 1 | 105 (90–120) | 5.00 | 1.00, rate not held |"), lines[3])
        self.assertTrue(lines[3].endswith("no; 7 never came |"))
        self.assertIn("redis (1 of 2 rounds)", peer_table.table([ended(one("redis")), ended(one("nats"), one("nats"))], 10_000))


class Verdict(unittest.TestCase):
    def test_a_peer_that_syncs_before_it_acks_is_held_against_p99_too(self):
        self.assertEqual(held([weir(), ended(one("redis"))], [("redis", 1, True)]), [("events/s", True), ("CPU", True), ("p99", True)])
        self.assertEqual(held([weir(), ended(one("redis"))], [("redis", 1, False)]), [("events/s", True), ("CPU", True)])

    def test_each_is_held_against_weir_over_as_many_hops(self):
        far = ended(one("weir far", hops=2, rate=50_000.0, cpu=9.0, p99=20.0, is_weir=True))
        self.assertEqual(held([weir(), far, ended(one("bridge", hops=2))], [("bridge", 2, False)]), [("events/s", False), ("CPU", False), ("p99", False)])

    def test_as_good_is_not_ahead_and_near_is_said(self):
        demand = peer_table.Demand("events/s", "redis", 1000, 1000, is_more_better=True)
        self.assertFalse(demand.holds())
        self.assertTrue(demand.line().startswith("FAIL"))
        near = peer_table.Demand("p99", "redis", 1.0, 1.1)
        self.assertTrue(near.holds())
        self.assertIn("equal within 20%", near.line())
        self.assertNotIn("equal", peer_table.Demand("p99", "redis", 1.0, 1.3).line())

    def test_what_was_not_measured_does_not_hold(self):
        self.assertEqual(held([weir()], [("nats", 1, False)]), [("events/s", False), ("CPU", False)])
        self.assertEqual(held([ended(one("nats"))], [("nats", 1, False)]), [("events/s", False), ("CPU", False)])

    def test_weirs_own_losses_are_faults_and_a_peers_are_not(self):
        self.assertEqual(peer_table.faults_of_weir([weir(), ended(one(missing=5, open_rate_held=False))]), [])
        self.assertEqual(len(peer_table.faults_of_weir([weir(missing=1, open_rate_held=False)])), 2)

    def test_each_that_is_asked_for_is_set_up_and_those_that_sync_say_so(self):
        setups = {setup.title: setup for setup in peer_products.SETUPS}
        self.assertEqual([title for title, setup in setups.items() if setup.kept == "yes"], ["Redis stream, appendfsync always"])
        self.assertEqual([title for title, setup in setups.items() if setup.hops == 2], ["NATS JetStream, leaf to hub", "mosquitto bridge, QoS 1"])


class Readme(unittest.TestCase):
    machine = {"time": "2026-01-31T08:00:00Z", "kind": "a-machine", "commit": "abc", "is_changed": False}

    def test_a_section_takes_the_place_of_what_stood_between_its_marks(self):
        begin, end = peer_table.marks("plain")
        text = f"before\n{begin}\nold \\1\n{end}\nafter\n"
        self.assertEqual(peer_table.with_section(text, "plain", "new \\1"), f"before\n{begin}\nnew \\1\n{end}\nafter\n")
        for bad in ("nothing", f"{end}\n{begin}\n", f"{begin}\n{text}", f"{text}{end}\n"):
            with self.assertRaises(ValueError):
                peer_table.with_section(bad, "plain", "new")

    def test_a_section_says_when_where_of_what_and_what_does_not_hold(self):
        entries = [weir(), ended(one("redis", rate=2e6))]
        text = peer_table.section(entries, peer_table.demands(entries, [("redis", 1, False)]), self.machine, {"redis-server": "7.0.15"}, 10_000)
        self.assertIn("2026-01-31, a-machine, commit abc; redis-server 7.0.15. Medians of 1 round,", text)
        self.assertIn("ahead in 1 of 2 comparisons asked for; not in: events/s beside redis.", text)

    def test_the_readme_has_a_place_for_each_table(self):
        for kind in ("plain", "TLS"):
            self.assertIn("new", peer_table.with_section(README.read_text(), kind, "new"))


class Cost(unittest.TestCase):
    def test_what_a_products_children_spend_is_its_own(self):
        burn = "import time; until = time.process_time() + 0.2\nwhile time.process_time() < until: pass"
        code = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', '''{burn}'''])\nprint('done', flush=True)\ntime.sleep(60)"
        parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        try:
            parent.stdout.readline()
            self.assertGreaterEqual(bench_machine.product_cpu_seconds([parent.pid]), 0.19)
            self.assertLess(bench_machine.cpu_seconds(parent.pid), 0.19)
        finally:
            parent.kill()
            parent.wait()
            parent.stdout.close()

    def test_what_has_ended_costs_nothing_more(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        self.assertEqual(bench_machine.product_cpu_seconds([gone.pid]), 0)


class Packages(unittest.TestCase):
    def test_one_that_is_missing_and_cannot_be_installed_is_named_with_what_to_do(self):
        with mock.patch.dict(peer_products.PACKAGES, {"nats": "no-such-server"}), mock.patch.dict(os.environ, {"PATH": ""}):
            with self.assertRaises(SystemExit) as ended_with:
                peer_products.install(["nats"])
        self.assertIn("no-such-server missing", str(ended_with.exception))
        self.assertIn("--only", str(ended_with.exception))


class LeftOver(unittest.TestCase):
    def test_a_product_ends_with_who_started_it(self):
        code = f"import subprocess, time\nprint(subprocess.Popen({[*peer_products.UNTIL_WE_END, 'sleep', '60']!r}).pid, flush=True)\ntime.sleep(60)"
        harness = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        product = int(harness.stdout.readline())
        while pathlib.Path(f"/proc/{product}/comm").read_text() != "sleep\n":
            time.sleep(0.01)
        harness.kill()
        harness.wait()
        harness.stdout.close()
        give_up = time.monotonic() + 10
        while pathlib.Path(f"/proc/{product}/comm").exists() and "Z" not in pathlib.Path(f"/proc/{product}/stat").read_text().split()[2]:
            self.assertLess(time.monotonic(), give_up, "it goes on")
            time.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
