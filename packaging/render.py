"""Fills in what names the packages by their versions, addresses and sums, and writes it to DIST/manifests:

    render.py TEMPLATES DIST --version V --description D --repository R --mcp-name N [--release]

@VERSION@, @DESCRIPTION@, @REPOSITORY@, @RELEASE@ (where a release's files lie), @OWNER@, @MCP_NAME@, @SHA256(FILE)@ of a file
in DIST. A file that was not made here has zeros for its sum, and that is said; with --release it is a failure.
"""

import argparse
import hashlib
import pathlib
import re
import sys


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("templates", type=pathlib.Path)
    parser.add_argument("dist", type=pathlib.Path)
    for name in ("version", "description", "repository", "mcp-name"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--release", action="store_true")
    return parser.parse_args()


def main():
    given = options()
    facts = {
        "VERSION": given.version, "DESCRIPTION": given.description, "REPOSITORY": given.repository,
        "RELEASE": f"{given.repository}/releases/download/v{given.version}", "MCP_NAME": given.mcp_name,
        "OWNER": given.mcp_name.removeprefix("io.github.").split("/")[0],
    }
    missing = set()

    def sum_of(found):
        file = given.dist / found[1]
        if not file.is_file():
            missing.add(file.name)
            return "0" * 64
        return hashlib.sha256(file.read_bytes()).hexdigest()

    # Who publishes must be named where people read: the registry compares.
    readme = (given.templates.parents[1] / "README.md").read_text()
    if not re.search(rf"mcp-name: {re.escape(given.mcp_name)}(\s|<)", readme):
        sys.exit(f"render.py: README.md has no `mcp-name: {given.mcp_name}`, which the MCP registry looks for")

    for template in sorted(path for path in given.templates.rglob("*") if path.is_file()):
        text = re.sub("@(" + "|".join(facts) + ")@", lambda found: facts[found[1]], template.read_text())
        text = re.sub(r"@SHA256\(([^)]*)\)@", sum_of, text)
        if left := re.search(r"@[A-Z_]+[@(]", text):
            sys.exit(f"render.py: nothing is known for {left[0]} in {template}")
        place = given.dist / "manifests" / template.relative_to(given.templates)
        # Their own names, which would hide them here.
        place = place.with_name({"SRCINFO": ".SRCINFO"}.get(place.name, place.name))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    for name in sorted(missing):
        print(f"note      no sum of {name}, which was not made here")
    if missing and given.release:
        sys.exit("render.py: a release needs all of them")


main()
