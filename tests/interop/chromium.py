"""A person at real Chromium (Debian's, driven by playwright-core), and what BROWSER opens for that person."""

import json
import shutil
import subprocess
import time

import parts
import peers
from parts import expect

# Light and dark, a window as people have it and a narrow one (WCAG 2.2, 1.4.10).
LOOKS = [
    {"scheme": scheme, "width": width, "height": 720} for scheme in ("light", "dark") for width in (1024, 320)
]


def visit(link, steps, ends="/callback", looks=LOOKS[:1], shots=None, name="page"):
    """What the last page of an errand is; see chromium.mjs. `shots` is a folder for screenshots."""
    executable = shutil.which("chromium")
    expect(executable, "chromium is not installed")
    if shots:
        looks = [{**look, "file": str(shots / f"{name}-{look['scheme']}-{look['width']}.png")} for look in looks]
    order = {"executable": executable, "link": link, "steps": steps, "ends": ends, "looks": looks}
    with peers.beside(peers.packages(peers.PLAYWRIGHT), parts.HERE / "chromium.mjs") as place:
        done = subprocess.run(
            [peers.node(), str(place / "chromium.mjs"), json.dumps(order)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90,
        )
    expect(done.returncode == 0, f"the browser got nowhere: {done.stderr[-3000:]}")
    return json.loads(done.stdout)


class Opener:
    """A BROWSER that only writes down what it is to open: the person opens it."""

    def __init__(self, home):
        self.log = home.path / "opened"
        self.log.touch()
        program = home.path / "browser"
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$1\" >>'{self.log}'\n")
        program.chmod(0o700)
        self.environment = {"BROWSER": str(program)}

    def opened(self):
        """All links so far."""
        return self.log.read_text().split()

    def link(self, number=1, within=30):
        """The first link, or a later one, as soon as it is there."""
        deadline = time.monotonic() + within
        while len(self.opened()) < number:
            expect(time.monotonic() < deadline, f"{len(self.opened())} tabs were opened within {within} s, not {number}")
            time.sleep(0.05)
        return self.opened()[number - 1]
