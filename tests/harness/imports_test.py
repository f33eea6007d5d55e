#!/usr/bin/env python3
"""Every file of scripts/harness can be imported, also those that no short test runs; exit 1 and their names if one cannot."""
import importlib
import pathlib
import sys
import traceback

HARNESS = pathlib.Path(__file__).resolve().parents[2] / "scripts/harness"


def main():
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(HARNESS))
    names = sorted(path.stem for path in HARNESS.glob("*.py"))
    bad = []
    for name in names:
        try:
            importlib.import_module(name)
        except Exception:
            traceback.print_exc()
            bad.append(name)
    print(f"{len(names)} files of scripts/harness, of which {len(bad)} cannot be imported: {' '.join(bad)}")
    return 1 if bad or not names else 0


if __name__ == "__main__":
    sys.exit(main())
