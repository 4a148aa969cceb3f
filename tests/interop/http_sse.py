#!/usr/bin/env python3
"""Servers that speak HTTP+SSE alone, the transport of revision 2024-11-05: `server-everything sse` (the TypeScript SDK's
transport) and the Python SDK's 1.x. Each is found without a setting, lists, is called a hundred times at once, carries three
megabytes, asks the client, and is restarted while the bridge is open."""

import concurrent.futures

import eras
import parts
import peers
from parts import Home, expect, step

LARGE = "x" * 3_000_000


class Everything(eras.Everything):
    """The reference server, with its older transport."""

    transport = "sse"

    def address(self):
        parts.wait_port(self.port)
        return f"http://127.0.0.1:{self.port}/sse"


class Python(eras.Server):
    """A server of the Python SDK 1.x."""

    def __init__(self, home, port=0):
        script = parts.HERE / "servers" / "http_sse.py"
        super().__init__(home, lambda executed: [peers.python(peers.PYTHON_SDK_1), script, executed, port])
        self.port = int(self.url.split(":")[2].split("/")[0])


def agree(method, _params):
    """What the client answers to the server's questions."""
    return {"action": "accept", "content": {"confirm": True}} if method == "elicitation/create" else None


def talk(bridge):
    """What every client does."""
    expect("echo" in bridge.tools(), "no echo is listed")
    with concurrent.futures.ThreadPoolExecutor(100) as callers:
        answers = callers.map(lambda number: bridge.call("echo", {"message": f"number {number}."}), range(100))
        for number, answer in enumerate(answers):
            expect(f"number {number}." in str(answer), f"another's answer to {number}: {answer}")
    step("a hundred calls at once, each with its own answer")
    echoed = bridge.call("echo", {"message": LARGE}, within=60)
    expect(LARGE in echoed["content"][0]["text"], "3 MB did not come back whole")
    step("3 MB there and back")


def everything():
    """The reference server."""
    with Home() as home, Everything(home) as server:
        with parts.Bridge(["--url", server.url, "--token-store", "file"], home.environment(), agree) as bridge:
            bridge.open(capabilities={"elicitation": {}})
            talk(bridge)
        report = parts.command(home, "doctor", "--url", server.url, "--token-store", "file")
        expect("listed within" in report.stdout, f"doctor: {report.stdout}")
        step("doctor lists its tools")


def python():
    """The Python SDK's, restarted while the bridge is open."""
    with Home() as home:
        with Python(home) as server:
            url, port = server.url, server.port
            bridge = parts.Bridge(["--url", url, "--token-store", "file"], home.environment(), agree)
            bridge.open(capabilities={"elicitation": {}})
            talk(bridge)
            deployed = bridge.call("deploy", {"env": "production"})
            expect("accept" in str(deployed) and server.count() == 1, f"the tool that asks first: {deployed}")
            step("it asks the client, and goes on with the answer")
        with Python(home, port) as server, bridge:
            echoed = bridge.call("echo", {"message": "again"})
            expect("Echo: again" in str(echoed), f"after the restart: {echoed}")
            step("after its restart, the next call is answered")


if __name__ == "__main__":
    parts.run([("server-everything sse", everything), ("Python SDK 1.x", python)])
