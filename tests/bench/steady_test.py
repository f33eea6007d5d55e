#!/usr/bin/env python3
"""What scripts/steady makes of its samples and counts."""
import contextlib
import io
import os
import pathlib
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts/harness"))
sys.dont_write_bytecode = True
import steady  # noqa: E402

MIB = 1 << 20
QUIET = {"faults": 0, "switches": 900, "ran_s": 3.0, "waited_s": 1.0}


def samples(*mib):
    return [{"s": float(index), "events": 100 * index, "north": int(value * MIB)} for index, value in enumerate(mib)]


def judged(*arguments):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = steady.judge(*arguments)
    return code, said.getvalue()


class Judge(unittest.TestCase):
    flat = samples(*[64] * 11)

    def test_what_asks_for_nothing_and_stays_is_steady(self):
        code, said = judged(self.flat, [("north intake", QUIET, {})])
        self.assertEqual(code, 0, said)
        self.assertIn("1000 events in 10 s: 100 a second", said)
        self.assertIn("90.0 involuntary switches a second", said)

    def test_one_fault_one_call_or_one_allocation_is_not(self):
        for spent, calls in (({**QUIET, "faults": 1}, {}), (QUIET, {"futex": 1}), (QUIET, {"mi_new": 1})):
            code, said = judged(self.flat, [("north intake", spent, calls)])
            self.assertEqual(code, 1)
            self.assertIn("FAIL  north intake", said)

    def test_memory_may_settle_in_the_first_fifth_and_not_grow_after_it(self):
        self.assertEqual(judged(samples(*[20, 40] + [64] * 13), [])[0], 0)
        code, said = judged(samples(*range(64, 79)), [])
        self.assertEqual(code, 1)
        self.assertIn("FAIL  north's memory", said)

    def test_growth_is_from_the_second_fifth_to_the_last(self):
        self.assertEqual(steady.grown([100, 100, 1, 1, 5, 5, 5, 5, 9, 9]), 8)

    def test_a_few_samples_are_judged_too(self):
        self.assertEqual(judged(samples(64, 64), [])[0], 0)
        self.assertEqual(judged(samples(64, 64, 80), [])[0], 1)


class Counts(unittest.TestCase):
    def test_perfs_counts_are_by_thread_and_zeros_are_none(self):
        text = ("# started on Sun\n\nspool-17;288;;syscalls:sys_enter_futex;1;100.00;;\nspool-17;0;;syscalls:sys_enter_mmap;1;100.00;;\n"
                "a-b c-18;3;;weir_steady_9:malloc;1;100.00;;\nintake-19;0;;syscalls:sys_enter_futex;1;100.00;;\nx-20;<not counted>;;y:z;0;0;;\n")
        self.assertEqual(steady.read_perf(text), {17: {"futex": 288}, 18: {"malloc": 3}, 19: {}})

    def test_of_this_thread_the_kernel_counts_what_it_did(self):
        before = steady.thread_counts(os.getpid(), os.getpid())
        bytearray(16 * MIB)[::4096] = b"x" * 4096
        after = steady.thread_counts(os.getpid(), os.getpid())
        self.assertGreater(after["faults"], before["faults"])
        self.assertGreater(after["ran_s"], before["ran_s"])


class Room(unittest.TestCase):
    def test_only_the_oldest_segments_are_cut_out_and_keep_their_length(self):
        with tempfile.TemporaryDirectory() as folder:
            paths = [pathlib.Path(folder) / "journal" / f"{index:020}.seg" for index in range(steady.KEPT_SEGMENTS + 3)]
            paths[0].parent.mkdir()
            for path in paths:
                with open(path, "wb") as out:
                    out.write(b"x" * 8192)
                    out.flush()
                    os.fsync(out.fileno())  # before that it has no blocks yet
                os.utime(path, (time.time() - 2 * steady.KEPT_SECONDS,) * 2)
            os.utime(paths[2])  # written a moment ago
            steady.cut_out_old(pathlib.Path(folder))
            self.assertEqual([index for index, path in enumerate(paths) if path.stat().st_blocks == 0], [0, 1])
            self.assertEqual({path.stat().st_size for path in paths}, {8192})


if __name__ == "__main__":
    unittest.main()
