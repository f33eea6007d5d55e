#!/usr/bin/env python3
"""The README's page "Run it safely", tried as a new user would: its files are written and its commands run as they stand, one after the
other in one shell, in an empty directory. Only the ports are others, so that it runs beside anything. Then what the page promises is
looked for in what the daemons left.

  scripts/security/page [--spoil]

--spoil leaves the CA out of central.toml: the page must fail at its check.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from cluster import BIN, ROOT, free_ports

TITLE = "## Run it safely\n"
PORTS = ("7500", "7510", "7401", "7411")
SECONDS_MAX = 45
# Behind the last command of a step that the daemons take their time for.
WAITS = {
    "kill -HUP %2": "until [ $(grep -c event=reloaded north.log) = 2 ] && grep -q tls_rotated north.log && grep -q tls_rotated central.log; do sleep 0.1; done",
    ">> denied": "until grep -q 'the deny list names' central.log; do sleep 0.1; done",
}


def blocks():
    """(language, text) of the page's fenced blocks, in order."""
    page = (ROOT / "README.md").read_text(encoding="utf-8").split(TITLE)[1].split("\n## ")[0]
    for found in re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", page, re.M | re.S):
        yield found.group(2), re.sub(f"^{found.group(1)}", "", found.group(3), flags=re.M)


def with_waits(text):
    lines = []
    for line in text.splitlines():
        lines.append(line)
        lines += [wait for end, wait in WAITS.items() if line.endswith(end)]
    return "\n".join(lines) + "\n"


def script(directory, is_spoiled):
    """Writes the files; returns the commands."""
    commands = f'set -euo pipefail\nset -m\nweir="{ROOT}"\n'
    renamed = dict(zip(PORTS, map(str, free_ports(len(PORTS)))))
    for language, text in blocks():
        for port, other in renamed.items():
            text = text.replace(f":{port}", f":{other}")
        if language == "sh":
            commands += with_waits(text)
        else:
            name = re.match(r"# (\S+)\n", text).group(1)
            if is_spoiled and name == "central.toml":
                text = re.sub(r"^ca .*\n", "", text, flags=re.M)
            (directory / name).write_text(text, encoding="utf-8")
    # The build that is tried, which may be another than the page's.
    return commands.replace('"$weir/build/release/bin', f'"{BIN}') + "trap - EXIT\n"


def run(directory, commands):
    path = directory / "page.sh"
    path.write_text("trap 'set +x; kill $(jobs -p) 2>/dev/null' EXIT\n" + commands, encoding="utf-8")
    return subprocess.run(["timeout", str(SECONDS_MAX), "bash", "-x", path], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)


def look(directory, said):
    """What the page promises, by what is left."""
    logs = {name: (directory / f"{name}.log").read_text(encoding="utf-8") for name in ("central", "north")}
    yield "the ledger that was asked for by a token closes", '"residue":0' in said.stdout.replace(" ", "")
    yield "central answered an operator who showed a certificate, and no token", '"certificates":1' in said.stdout.replace(" ", "") and \
        "weir-central   io" in said.stdout
    yield "all events were delivered and are accounted for", "events 10000" in said.stdout and "residue 0" in said.stdout
    yield "the key at rest was changed without a restart", logs["north"].count("event=reloaded") == 2 and "event=started" not in \
        logs["north"].split("event=reloaded", 1)[1]
    yield "certificates were replaced without a restart", "tls_rotated" in logs["north"] and "tls_rotated" in logs["central"]
    yield "the stolen edge's session was ended, and it is not let in again", "tls_session_denied" in logs["central"]
    yield "no token and no key is in a log", not any(secret.read_text(encoding="utf-8").strip() in log for log in logs.values() for secret in
                                                     [directory / "alice.token", *directory.glob("keys-*/*.key")])


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--spoil", action="store_true")
    args = args.parse_args()
    directory = pathlib.Path(tempfile.mkdtemp(prefix="weir-page-"))
    try:
        said = run(directory, script(directory, args.spoil))
        if said.returncode != 0:
            commands = [line for line in said.stderr.splitlines() if line.startswith("+ ") and line != "+ set +x"]
            print(f"FAIL  the page ends with {said.returncode} at: {commands[-1] if commands else said.stderr}")
            print("\n".join((said.stdout + said.stderr).splitlines()[-15:]))
            return 1
        results = list(look(directory, said))
        for what, is_so in results:
            print(f"  {'ok  ' if is_so else 'FAIL'}  {what}")
        if not all(is_so for _, is_so in results):
            print(json.dumps({path.name: path.read_text(encoding='utf-8')[-3000:] for path in directory.glob("*.log")}, indent=1), said.stdout)
            return 1
        print("page: every command of \"Run it safely\" does what it says")
        return 0
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
