#!/usr/bin/env python3
"""scripts/container/seccomp-profile adds three calls to a profile that denies by default, nothing else, and refuses any other."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "scripts/container/seccomp-profile"
DEFAULT = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "archMap": [{"architecture": "SCMP_ARCH_X86_64"}],
           "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
                        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}}]}


def run(profile):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as given:
        given.write(profile if isinstance(profile, str) else json.dumps(profile))
        given.flush()
        return subprocess.run([TOOL, given.name], capture_output=True, text=True, check=False)


class Profile(unittest.TestCase):
    def test_three_calls_are_added_and_nothing_else_changes(self):
        done = run(DEFAULT)
        self.assertEqual(done.returncode, 0, done.stderr)
        made = json.loads(done.stdout)
        added = made["syscalls"].pop()
        self.assertEqual(made, DEFAULT)
        self.assertEqual(added, {"names": ["io_uring_enter", "io_uring_register", "io_uring_setup"], "action": "SCMP_ACT_ALLOW"})

    def test_what_does_not_deny_by_default_is_refused(self):
        for action in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", None):
            done = run({**DEFAULT, "defaultAction": action})
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stdout, "")

    def test_what_names_the_calls_already_is_refused(self):
        done = run({**DEFAULT, "syscalls": [{"names": ["io_uring_setup"], "action": "SCMP_ACT_ALLOW"}]})
        self.assertIn("io_uring_setup already", done.stderr)
        self.assertEqual(done.returncode, 1)

    def test_what_is_no_profile_is_refused(self):
        for text in ("", "[]", "{}", "{\"syscalls\": 3}"):
            self.assertEqual(run(text).returncode, 1, text)


if __name__ == "__main__":
    sys.exit(unittest.main())
