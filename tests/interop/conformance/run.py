#!/usr/bin/env python3
"""Runs the official MCP conformance suite, client side, through the bridge: the scenarios of scenarios.txt must pass.

    run.py                                   what scenarios.txt asks for
    run.py --list                            what the suites have
    run.py 0.2.0-alpha.12 2026-07-28 'auth/*'  something else, for a try; --verbose shows what the suite says
"""

import concurrent.futures
import fnmatch
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import parts  # noqa: E402
import peers  # noqa: E402

# The suite's own limit for a client, and ours for the suite.
CLIENT_SECONDS, SUITE_SECONDS = 60, 90
AT_ONCE = 2
# In place of a revision: whatever the suite itself chooses. Extensions belong to none.
ANY = "-"


def suite(version):
    """How the suite is started."""
    program = peers.npm(f"{peers.CONFORMANCE}@{version}", "conformance")
    return [peers.node(), "--require", str(HERE / "loopback.cjs"), program]


def listed(version):
    """The client scenarios that a suite has: for each name, the revisions that it applies to."""
    text = subprocess.run([*suite(version), "list"], capture_output=True, text=True, timeout=60, check=True).stdout
    text = text.partition("Client scenarios")[2].partition("\n\n")[0]
    return {name: tags.split(",") for name, tags in re.findall(r"^ +- (\S+)(?: +\[(.*)\])?", text, re.MULTILINE)}


def chosen(version, revision, patterns):
    """The names that the patterns mean at a revision; a pattern that means nothing is a mistake."""
    names = [name for name, tags in listed(version).items() if revision == ANY or tags == [""] or revision in tags]
    result = []
    for pattern in patterns:
        hits = fnmatch.filter(names, pattern.lstrip("!"))
        parts.expect(hits, f"{version} has no scenario {pattern} at {revision}")
        result = [n for n in result if n not in hits] if pattern.startswith("!") else result + [n for n in hits if n not in result]
    return result


def wanted():
    """The lines of scenarios.txt."""
    for line in (HERE / "scenarios.txt").read_text().splitlines():
        words = line.partition("#")[0].split()
        if words:
            yield words[0], words[1], words[2:]


def one(version, revision, scenario):
    """Runs one scenario; returns what went wrong, and everything that was said."""
    output = pathlib.Path(tempfile.mkdtemp(prefix="interop-conformance-"))
    client = f"{sys.executable} {HERE / 'client.py'}"
    argv = [
        *suite(version), "client", "--command", client, "--scenario", scenario, "--timeout", str(CLIENT_SECONDS * 1000),
        "--output-dir", str(output),
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if revision != ANY:
        argv += ["--spec-version", revision]
        # The older suite does not tell its client.
        environment.setdefault("MCP_CONFORMANCE_PROTOCOL_VERSION", revision)
    process = subprocess.Popen(
        argv, cwd=output, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=SUITE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said = f"{process.communicate()[0]}\nnot done within {SUITE_SECONDS} s"
    checks = [check for file in output.rglob("checks.json") for check in json.loads(file.read_text())]
    said += "".join(file.read_text() for file in output.rglob("stderr.txt"))
    shutil.rmtree(output, ignore_errors=True)
    wrong = [
        f"{check['id']}: {check.get('errorMessage') or check.get('description', check['status'])}"
        for check in checks if check["status"] in ("FAILURE", "WARNING")
    ]
    if process.returncode != 0 and not wrong:
        wrong = re.findall(r"^CLIENT: (.*)", said, re.MULTILINE) or ["the suite fails it, and says no more"]
    # A pass in which nothing was looked at proves nothing.
    if process.returncode == 0 and not any(check["status"] == "SUCCESS" for check in checks):
        wrong = ["the suite checked nothing"]
    return wrong, said


def main():
    """Runs them, and fails when one fails."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--verbose"]
    if arguments == ["--list"]:
        for version in dict.fromkeys(version for version, _, _ in wanted()):
            print(version, *(f"{name}  {' '.join(tags)}" for name, tags in listed(version).items()), sep="\n  ")
        return 0
    lines = [(arguments[0], arguments[1], arguments[2:])] if len(arguments) > 2 else list(wanted())
    runs = [(v, r, name) for v, r, patterns in lines for name in chosen(v, r, patterns)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        started = time.monotonic()
        for run, (wrong, said) in zip(runs, pool.map(lambda run: one(*run), runs)):
            print(f"  {'FAIL' if wrong else 'ok  '}  {' '.join(run)}", *wrong, sep="\n          ", flush=True)
            failed += bool(wrong)
            if "--verbose" in sys.argv or wrong and len(arguments) < 3:
                print(said[-6000:])
    print(f"{len(runs) - failed} of {len(runs)} scenarios pass, in {time.monotonic() - started:.0f} s")
    return 1 if failed else 0


try:
    sys.exit(main())
except parts.Failed as error:
    sys.exit(f"conformance: {error}")
