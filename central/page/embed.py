#!/usr/bin/env python3
"""Writes the page's files as C++: embed.py OUT.cpp UPLOT_DIR. Fails when the page has become too heavy."""
import hashlib
import pathlib
import sys

PAGE_BYTES_MAX = 200_000  # all files together, uncompressed
TYPES = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".svg": "image/svg+xml"}
BYTES_A_LINE = 40


def files(here, uplot):
    """(path as it is asked for, file)."""
    found = {"/": here / "index.html", "/assets/uplot.js": uplot / "uPlot.iife.min.js", "/assets/uplot.css": uplot / "uPlot.min.css"}
    for file in [*here.glob("*.js"), *here.glob("*.css"), *here.glob("*.svg"), *here.glob("views/*.js")]:
        found[f"/assets/{file.relative_to(here).as_posix()}"] = file
    return sorted(found.items())


def array(name, data):
    lines = [", ".join(str(byte) for byte in data[at:at + BYTES_A_LINE]) for at in range(0, len(data), BYTES_A_LINE)]
    return f"constexpr unsigned char {name}[] = {{\n" + ",\n".join(lines) + "};\n"


def main():
    out, uplot = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    arrays, rows, total = [], [], 0
    for number, (path, file) in enumerate(files(pathlib.Path(__file__).resolve().parent, uplot)):
        data = file.read_bytes()
        total += len(data)
        arrays.append(array(f"bytes_{number}", data))
        etag = hashlib.sha256(data).hexdigest()[:16]
        rows.append(f'    {{"{path}", "{TYPES[file.suffix]}", "{etag}", text(bytes_{number}, {len(data)})}},\n')
    if total >= PAGE_BYTES_MAX:
        sys.exit(f"the page weighs {total} bytes, {PAGE_BYTES_MAX} at most")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("// Made by central/page/embed.py.\n#include \"central/page/assets.hpp\"\n\n#include <cstddef>\n\nnamespace weir::central {\nnamespace {\n\n"
                   + "".join(arrays)
                   + "\nstd::string_view text(const unsigned char* bytes, std::size_t count) {\n"
                   + "    return {reinterpret_cast<const char*>(bytes), count};  // NOLINT\n}\n\n}  // namespace\n\n"
                   + "std::span<const Asset> assets() {\n    static const Asset all[] = {\n" + "".join("    " + row for row in rows)
                   + "    };\n    return all;\n}\n\n}  // namespace weir::central\n")
    print(f"page: {len(rows)} files, {total} bytes")


if __name__ == "__main__":
    main()
