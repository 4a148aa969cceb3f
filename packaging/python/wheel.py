"""Puts a built binary into a wheel: `uvx planhat-mcp` and `pip install planhat-mcp` start the program itself, without Python.

    wheel.py BINARY TARGET VERSION DIST --root ROOT --description D --repository R --licenses FILE
"""

import argparse
import base64
import hashlib
import os
import pathlib
import time
import zipfile

# A static binary needs no C library, so it is right for the oldest of both kinds of Linux.
TAGS = {
    "x86_64-unknown-linux-musl": "manylinux_2_17_x86_64.manylinux2014_x86_64.musllinux_1_1_x86_64",
    "aarch64-unknown-linux-musl": "manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64",
    "x86_64-apple-darwin": "macosx_10_12_x86_64",
    "aarch64-apple-darwin": "macosx_11_0_arm64",
    "x86_64-pc-windows-msvc": "win_amd64",
    # Built for one machine, to try.
    "x86_64-unknown-linux-gnu": "linux_x86_64",
    "aarch64-unknown-linux-gnu": "linux_aarch64",
    "x86_64-pc-windows-gnu": "win_amd64",
    "aarch64-pc-windows-msvc": "win_arm64",
}


def options():
    parser = argparse.ArgumentParser()
    for name in ("binary", "target", "version", "dist"):
        parser.add_argument(name)
    for name in ("root", "description", "repository", "licenses"):
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args()


def metadata(given):
    """The core metadata; the README in it carries the name that the MCP registry looks for."""
    head = [
        "Metadata-Version: 2.4", "Name: planhat-mcp", f"Version: {given.version}", f"Summary: {given.description}",
        "License-Expression: MIT", "License-File: LICENSE", "License-File: THIRD-PARTY-LICENSES.md",
        "Keywords: mcp,oauth,planhat,bridge,stdio", f"Project-URL: Repository, {given.repository}",
        "Requires-Python: >=3.8", "Description-Content-Type: text/markdown",
    ]
    readme = (pathlib.Path(given.root) / "README.md").read_text()
    return "\n".join(head) + f"\n\n{readme}"


def main():
    given = options()
    binary, root, tag = pathlib.Path(given.binary), pathlib.Path(given.root), TAGS[given.target]
    stem = f"planhat_mcp-{given.version}"
    info = f"{stem}.dist-info"
    tags = "".join(f"Tag: py3-none-{one}\n" for one in tag.split("."))
    files = {
        f"{stem}.data/scripts/{binary.name}": (binary.read_bytes(), 0o755),
        f"{info}/METADATA": (metadata(given).encode(), 0o644),
        f"{info}/WHEEL": (f"Wheel-Version: 1.0\nGenerator: planhat-mcp\nRoot-Is-Purelib: false\n{tags}".encode(), 0o644),
        f"{info}/licenses/LICENSE": ((root / "LICENSE").read_bytes(), 0o644),
        f"{info}/licenses/THIRD-PARTY-LICENSES.md": (pathlib.Path(given.licenses).read_bytes(), 0o644),
    }
    record = ""
    for name, (content, _) in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(content)}\n"
    files[f"{info}/RECORD"] = (f"{record}{info}/RECORD,,\n".encode(), 0o644)

    moment = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
    out = pathlib.Path(given.dist) / f"{stem}-py3-none-{tag}.whl"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as wheel:
        for name, (content, mode) in files.items():
            entry = zipfile.ZipInfo(name, moment)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100000 | mode) << 16
            wheel.writestr(entry, content)


main()
