#!/usr/bin/env python3
"""An include may only point down (DESIGN: layers). Prints each one that does not; exit 1 if there is any."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = {
    "base": set(),
    "ring": {"base"},
    "metrics": {"base"},
    "wire": {"base"},
    "cache": {"base"},
    "rules": {"base", "wire"},
    "io": {"base", "ring", "metrics", "wire"},
    "tls": {"base", "ring", "metrics", "io"},
    "client": {"base", "metrics", "wire", "io", "tls"},
    "pipeline": {"base", "ring", "metrics", "wire", "io"},
    "journal": {"base", "ring", "metrics", "wire", "io", "pipeline"},
    "control": {"base", "ring", "metrics", "wire", "io", "tls", "client", "pipeline", "journal"},
}
# Each third-party library enters at its seam and nowhere else in the product.
SEAMS = {
    r"liburing\.h": {"core/io/uring_io.cpp"},
    r"boost/lockfree/.*": {"core/ring/ring.hpp"},
    r"concurrentqueue.*": {"core/ring/inbox.hpp"},
    r"flatbuffers/reflection.*": {"core/rules/flat_schema.cpp", "core/rules/flat_verifier.cpp"},
    r"flatbuffers/(?!reflection).*|schemas/.*_generated\.h": {"core/wire/event.cpp"},
    r"toml\+\+/.*": {"core/control/config_reader.cpp"},
    r"boost/(beast|asio).*": {
        "core/control/admin.cpp",
        "core/control/admin_client.cpp",
        "core/control/admin_connection.cpp",
        "core/control/admin_judge.cpp",
        "core/control/admin_server.hpp",
        "core/control/admin_tls.cpp",
        "core/control/admin_websocket.cpp",
        "core/control/admin_wire.cpp",
        "core/control/admin_wire.hpp",
    },
    r"openssl/(?!types\.h).*": {"core/tls/openssl.hpp", "core/journal/at_rest.cpp"},
    r"sqlite3\.h": {"central/readmodel/database.cpp"},
    r"spdlog/.*": {"core/control/log.cpp"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def layer_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "core" else parts[0]


def may_include(source, target):
    if source == target or target == "schemas":
        return True
    if source.startswith("core/"):
        return target.startswith("core/") and target[5:] in CORE.get(source[5:], set())
    if source == "bench" and target in ("central", "edge"):  # it measures their pieces; nothing includes bench
        return True
    return source in ("edge", "central", "bench") and target.startswith("core/")


def main():
    wrong = []
    files = [p for top in ("core", "edge", "central", "bench") for p in sorted((ROOT / top).rglob("*.[ch]pp"))]
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            quoted, target = found.group(1) == '"', found.group(2)
            for pattern, seams in SEAMS.items():
                if re.fullmatch(pattern, target) and name not in seams and not name.startswith(("bench/micro/", "bench/limits/")):
                    wrong.append(f"{name}:{number}: {target} enters weir only at {', '.join(sorted(seams))}")
            if quoted and "/" not in target:
                wrong.append(f"{name}:{number}: {target} is not named from the repository's root")
            elif quoted and not may_include(layer_of(name), layer_of(target)):
                wrong.append(f"{name}:{number}: {layer_of(name)} may not include {target}")
    print("\n".join(wrong) if wrong else f"layers: {len(files)} files, every include points down")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main())
