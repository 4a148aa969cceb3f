#!/usr/bin/env python3
"""Both eras of the protocol: the official Python client in each of its modes through the bridge, against servers of one
era and of both.

A client and a server of the same era get all that they have: lists, calls, a tool that asks first, a change that is told.
Where they share no era the client gets a clear answer in time.
"""

import contextlib
import json
import os
import pathlib
import subprocess

import parts
import peers
from parts import Home, expect, program, step

SERVERS = parts.HERE / "servers"
PATIENCE = 90
# A client that is told nothing useful must not have waited longer than this for it.
SOON = 15
HANDSHAKE, STATELESS = "2025-11-25", "2026-07-28"


class Server:
    """A server as a process, which says on its first line where it listens."""

    def __init__(self, home, argv, **environment):
        self.executed = home.path / "executed"
        self.executed.touch()
        self.log = (home.path / "server.log").open("w")
        self.process = subprocess.Popen(
            [str(word) for word in argv(self.executed)], env={**os.environ, **environment}, cwd=home.path,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )
        self.url = self.address()

    def address(self):
        """Where it listens."""
        url = self.process.stdout.readline().strip()
        expect(url.startswith("http://127.0.0.1:"), f"the server does not start: {self.said()}")
        return url

    def said(self):
        """The end of its log."""
        self.log.flush()
        return pathlib.Path(self.log.name).read_text()[-2000:]

    def count(self):
        """How often the tool that asks first was executed."""
        return len(self.executed.read_text().splitlines())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        self.log.close()


class Everything(Server):
    """The reference server of the handshake era, which is told its port and says on standard error when it listens."""

    transport = "streamableHttp"

    def __init__(self, home):
        self.port = parts.free_port()
        program_path = peers.npm(peers.EVERYTHING, "mcp-server-everything")
        loopback = parts.HERE / "conformance" / "loopback.cjs"
        argv = [peers.node(), "--require", loopback, program_path, self.transport]
        super().__init__(home, lambda _executed: argv, PORT=str(self.port))

    def address(self):
        parts.wait_port(self.port)
        return f"http://127.0.0.1:{self.port}/mcp"


def both_eras(home):
    """The Python SDK's server."""
    return Server(home, lambda executed: [peers.python(peers.PYTHON_SDK), SERVERS / "both_eras.py", executed])


def stateless_only(home):
    """The TypeScript SDK's server, told to refuse the handshake era."""
    packages = peers.packages(*peers.SERVER_SDK).parent
    return Server(home, lambda executed: [peers.node(), SERVERS / "stateless_only.mjs", executed, packages])


def client(home, mode, url):
    """One run of the client; returns what it saw."""
    order = {
        "mode": mode, "command": program("planhat-mcp"), "environment": {},
        "arguments": ["--url", url, "--token-store", "file", "--log-level", "debug"],
    }
    argv = [peers.python(peers.PYTHON_SDK), str(parts.HERE / "eras_client.py"), json.dumps(order)]
    done = subprocess.run(
        argv, env=home.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )
    expect(done.returncode == 0, f"the client crashed: {done.stderr[-3000:]}")
    seen = json.loads(done.stdout)
    seen["log"] = done.stderr[-3000:]
    return seen


def works(server, mode, revision):
    """All of it, each thing once."""
    with Home() as home, server(home) as running:
        seen = client(home, mode, running.url)
        told = f"{seen}\nthe server: {running.said()}"
        expect("failed" not in seen, f"it failed: {told}")
        expect(seen["revision"] == revision, f"{revision} was expected: {told}")
        expect(seen["echo"] == "echo: Malmö \U0001f600", f"echo: {told}")
        expect(seen["deploy"].lower() == "deployed to production: true", f"the tool that asks first: {told}")
        expect(seen["questions"] == ["Deploy to production?"], f"one question: {told}")
        expect(running.count() == 1, f"executed {running.count()} times, not once: {told}")
        expect(seen["change"] == "ToolsListChanged", f"the change: {told}")
        step(f"mode {mode}: lists, calls, is asked once, hears of a change, at {revision}")


def is_told(server, mode, words):
    """No era in common: an error that names the reason, soon."""
    with Home() as home, server(home) as running:
        seen = client(home, mode, running.url)
        expect("failed" in seen, f"it should not have worked: {seen}")
        reason = " ".join(seen["failed"])
        expect(any(word in reason for word in words), f"one of {words} was expected: {seen}")
        expect("Timeout" not in reason and seen["seconds"] < SOON, f"not a clear answer in time: {seen}")
        step(f"mode {mode}: told in {seen['seconds']:.1f} s: {reason[:120]}")


def with_both():
    """A server of both eras serves every mode."""
    works(both_eras, "auto", STATELESS)
    works(both_eras, "legacy", HANDSHAKE)
    works(both_eras, STATELESS, STATELESS)


def with_stateless_only():
    """A server of the stateless era serves the clients that speak it."""
    works(stateless_only, "auto", STATELESS)
    works(stateless_only, STATELESS, STATELESS)
    is_told(stateless_only, "legacy", ["2026-07-28", "protocol version", "revision"])


def with_handshake_only():
    """A server of the handshake era serves the clients that speak it, also those that ask for more first."""
    for mode in ("auto", "legacy"):
        with Home() as home, Everything(home) as running:
            seen = client(home, mode, running.url)
            told = f"{seen}\nthe server: {running.said()}"
            expect("failed" not in seen and seen["revision"] == HANDSHAKE, f"it failed: {told}")
            expect("Malmö" in seen["echo"], f"echo: {told}")
            step(f"mode {mode}: lists and calls, at {seen['revision']}")
    is_told(Everything, STATELESS, ["not initialized", "session", "revision"])


if __name__ == "__main__":
    parts.run([
        ("a server of both eras", with_both),
        ("a server of the stateless era alone", with_stateless_only),
        ("a server of the handshake era alone", with_handshake_only),
    ])
