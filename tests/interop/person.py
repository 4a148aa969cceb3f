"""A person who waits: at `login` in a terminal, and for the answer to a request of their client."""

import contextlib
import queue
import re
import subprocess
import threading

import parts
from parts import expect


class Login:
    """`login --no-browser` (or another way) as a process, of which a person reads the link."""

    def __init__(self, home, *arguments, environment=None):
        argv = [parts.program("planhat-mcp"), "login", *(arguments or ["--no-browser"])]
        self.process = subprocess.Popen(
            argv, env=environment or home.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.lines, self.said, self.page = queue.Queue(), "", None
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self, pattern):
        """What the pattern's first group matches, in the first line that it matches."""
        while (line := self.lines.get(timeout=30)) is not None:
            self.said += line
            if found := re.search(pattern, line):
                return found[1]
        raise parts.Failed(f"login ended without {pattern}: {self.said}")

    def link(self):
        """The link to open."""
        self.page = self.page or self.line(r"^(https?://\S+)$")
        return self.page

    def end(self):
        """The exit code and all that was said."""
        while (line := self.lines.get(timeout=60)) is not None:
            self.said += line
        return self.process.wait(10), self.said


class Asking(threading.Thread):
    """A request that waits for a person: asked now, answered when `answer` is called."""

    def __init__(self, bridge, method, params=None):
        super().__init__(daemon=True)
        self.bridge, self.method, self.params, self.reply = bridge, method, params, None
        self.start()

    def run(self):
        with contextlib.suppress(parts.Failed):
            self.reply = self.bridge.ask(self.method, self.params, within=60)

    def answer(self):
        """The whole answer."""
        self.join(60)
        expect(self.reply, f"no answer to {self.method}: {self.bridge.log[-9:]}")
        return self.reply
