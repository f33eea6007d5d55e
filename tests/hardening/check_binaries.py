#!/usr/bin/env python3
"""Reads from a binary how it was built: PIE, full RELRO, no executable stack, no segment both writable and executable, stack protector,
fortify, and, from the compiler's own record in the debug information, control-flow and stack clash protection in each of our files.

  check_binaries.py BINARY...                      prints one line a fault; exit 1 if there is any
  check_binaries.py --expect-all-faults BINARY     exit 1 unless every kind of fault is found

Source: elf(5), gcc(1) -grecord-gcc-switches.
"""
import argparse
import pathlib
import platform
import re
import subprocess
import sys

OURS = re.compile(r"(^|/)(core|edge|central|bench|schemas|tests)/")
BRANCHES = {"x86_64": "-fcf-protection=full", "aarch64": "-mbranch-protection=standard"}


def readelf(binary, *options):
    return subprocess.run(["readelf", "--wide", *options, binary], check=True, capture_output=True, text=True,
                          env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout


def units(binary):
    """(file, switches) of each file that was compiled into it."""
    text = readelf(binary, "--debug-dump=info", "--dwarf-depth=1")
    for part in text.split("DW_TAG_compile_unit")[1:]:
        producer = re.search(r"DW_AT_producer\s*:(.*)", part)
        name = re.search(r"DW_AT_name\s*:(.*)", part)
        if producer and name:
            yield name.group(1).split("): ")[-1].strip(), producer.group(1)


def faults(binary):
    """Kind -> what is wrong."""
    found = {}
    heads = readelf(binary, "--file-header")
    segments = readelf(binary, "--segments")
    dynamic = readelf(binary, "--dynamic")
    imports = readelf(binary, "--dyn-syms")
    if not re.search(r"Type:\s+DYN", heads) or "PIE" not in dynamic:
        found["pie"] = "no position-independent executable"
    if "GNU_RELRO" not in segments:
        found["relro"] = "what the loader relocated stays writable"
    if not re.search(r"\(FLAGS(_1)?\).*\b(BIND_)?NOW\b", dynamic):
        found["now"] = "functions are bound late, in writable memory"
    stack = re.search(r"GNU_STACK\s+(\S+\s+){5}([R ][W ][E ])", segments)
    if not stack or "E" in stack.group(2):
        found["stack"] = "an executable stack"
    if re.search(r"LOAD\s+(\S+\s+){5}RWE", segments):
        found["wx"] = "memory that is writable and executable"
    if "__stack_chk_fail" not in imports:
        found["protector"] = "no stack protector"
    if not re.search(r"__\w+_chk@GLIBC", imports.replace("__stack_chk_fail", "")):
        found["fortify"] = "no fortified call"
    ours = [(name, switches) for name, switches in units(binary) if OURS.search(name)]
    if not ours:
        found["record"] = "no record of how its files were compiled"
    for kind, switch in (("branches", BRANCHES.get(platform.machine())), ("clash", "-fstack-clash-protection"),
                         ("every protector", "-fstack-protector-strong")):
        # clang keeps no switches in its record.
        lacking = [name for name, switches in ours if switch and "GNU" in switches and switch not in switches]
        if lacking:
            found[kind] = f"{len(lacking)} of {len(ours)} files without {switch}, {lacking[0]} the first"
    return found


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("binaries", nargs="+")
    args.add_argument("--expect-all-faults", action="store_true")
    args = args.parse_args()
    is_bad = False
    kinds = {"pie", "relro", "now", "stack", "protector", "fortify", "branches", "clash", "every protector"}
    if platform.machine() not in BRANCHES:
        kinds -= {"branches"}
    for binary in args.binaries:
        found = faults(binary)
        for kind, what in found.items():
            print(f"{pathlib.Path(binary).name}: {kind}: {what}")
        if args.expect_all_faults:
            for kind in sorted(kinds - set(found)):
                print(f"MISSED {kind}")
            is_bad |= not kinds <= set(found)
        else:
            print(f"{pathlib.Path(binary).name}: {'FAIL' if found else 'PASS'}")
            is_bad |= bool(found)
    return 1 if is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
