#!/usr/bin/env python3
"""Real stacks from the package registries: what people build MCP servers and their sign-in with, each in the versions that
are in use, signed in to and called. The battery is battery.py; the servers are in servers/stacks.

    stacks.py [NAME...]    those whose name and version contain one of the words; all without one
"""

import json
import sys

import battery
import parts
import peers
from battery import LIFE, Stack

SERVERS = parts.HERE / "servers" / "stacks"
# Of the time of the oldest versions, which import what later releases have moved.
OF_2025 = "pydantic==2.11.7"
SESSIONLESS = "without sessions there is no stream that an answer could come back to"


def order(port, **more):
    """What a server of ours is told."""
    return json.dumps({"port": port, "life": LIFE} | more)


def python(script, requirements, **more):
    """A server in Python, in an environment of its own."""
    return lambda port: [peers.python(*requirements), SERVERS / script, order(port, **more)]


def python_sdk():
    """The official Python SDK, which is its own authorization server."""
    for version, more in (("1.12.4", [OF_2025]), ("1.26.0", []), ("1.30.0", []), ("2.3.0", [])):
        yield Stack("Python SDK", version, python("python_sdk.py", [f"mcp=={version}", *more]), forgets=True)
    yield Stack("Python SDK, HTTP+SSE", "1.12.4", python("python_sdk.py", ["mcp==1.12.4", OF_2025], transport="sse"))


def fastmcp():
    """FastMCP with its own provider, and with its proxy."""
    for version, more in (("2.12.5", [OF_2025]), ("3.4.11", []), ("4.2.3", [])):
        for kind in ("provider", "proxy"):
            argv = python("fastmcp_server.py", [f"fastmcp=={version}", *more], kind=kind)
            yield Stack(f"FastMCP, {kind}", version, argv)


def node(script, packages, **more):
    """A server in JavaScript, with its packages."""
    return lambda port: [peers.node(), SERVERS / script, order(port, modules=str(peers.packages(*packages)), **more)]


def typescript_sdk():
    """The official TypeScript SDK with its auth router."""
    young = "this version knows no questions"
    # The first version names its scopes nowhere: neither in metadata nor in the challenge. So a person has to.
    told = {"scope": "records"}
    for version, asks, settings in (("1.10.2", young, told), ("1.17.5", True, {}), ("1.25.3", True, {}), ("1.32.2", True, {})):
        packages = [f"@modelcontextprotocol/sdk@{version}", "express@5.1.0"]
        for kind in ("stateful", "stateless"):
            argv = node("typescript_sdk.mjs", packages, kind=kind)
            can = asks if kind == "stateful" else SESSIONLESS
            yield Stack(f"TypeScript SDK, {kind}", version, argv, settings=settings, asks=can, forgets=kind == "stateful")
    argv = node("typescript_sdk.mjs", ["@modelcontextprotocol/sdk@1.10.2", "express@5.1.0"], kind="sse")
    yield Stack("TypeScript SDK, HTTP+SSE", "1.10.2", argv, settings=told, asks=young)


def workers():
    """Cloudflare's workers-oauth-provider in workerd: the first, the oldest that many deploy, one of the middle, the newest."""
    origin = "it describes no resource, and takes tokens for its origin or for none"
    # From 0.1.0 on it throws where a worker asks it about an unknown client, and the page is an error of the server (500).
    for version, more in (("0.0.1", {}), ("0.1.0", {"second": origin}), ("0.8.3", {}), ("1.2.3", {})):
        packages = [f"@cloudflare/workers-oauth-provider@{version}", "miniflare@4.20260730.0"]
        # KV keeps nothing for less than a minute.
        argv = node("workers.mjs", packages, life=60)
        yield Stack("workers-oauth-provider", version, argv, asks="this worker keeps no streams", rejects="/reject", **more)


def better_auth():
    """better-auth with its mcp plugin, and with what came after it, a package of its own."""
    more = ["@modelcontextprotocol/sdk@1.32.2", "express@5.1.0"]
    dead_link = "it asks who one is before it looks for the client"
    argv = node("better_auth.mjs", ["better-auth@1.4.22", *more])
    yield Stack("better-auth", "1.4.22", argv, asks=SESSIONLESS, dead_link=dead_link)
    version = "1.7.5"
    names = ("@better-auth/oauth-provider", "@better-auth/mcp", "better-auth", "@better-auth/core")
    argv = node("better_auth_provider.mjs", [f"{name}@{version}" for name in names] + more)
    yield Stack("@better-auth/oauth-provider", version, argv, asks=SESSIONLESS)


def npm_fastmcp():
    """npm's fastmcp with its proxy."""
    argv = node("npm_fastmcp.mjs", ["fastmcp@4.20.16"])
    yield Stack("fastmcp (npm)", "4.20.16", argv, asks="its tools cannot ask")


def guarded():
    """A Python SDK server behind an authorization server of another make."""
    argv = python("guarded.py", ["django-oauth-toolkit==3.4.1", "mcp==1.30.0"], kind="as_django")
    yield Stack("django-oauth-toolkit", "3.4.1", argv, dead_link="it asks who one is before it looks for the client")
    packages = ["authlib==1.9.10", "flask==3.1.3", "sqlalchemy==2.1.9", "mcp==1.30.0"]
    yield Stack("Authlib", "1.9.10", python("guarded.py", packages, kind="as_authlib"))


def supergateway():
    """supergateway, which carries a server on standard input and output to the network, for everybody who comes."""
    modules = ("@modelcontextprotocol/sdk@1.32.2", "express@5.1.0")
    loopback = parts.HERE / "conformance" / "loopback.cjs"

    def argv(version, *kind):
        def of(port):
            stdio = f"{peers.node()} {SERVERS / 'stdio.mjs'} {peers.packages(*modules)}"
            gateway = peers.npm(f"supergateway@{version}", "supergateway")
            return [peers.node(), "--require", loopback, gateway, "--stdio", stdio, "--port", port, *kind]
        return of

    everybody = "it lets everybody in"
    for version in ("3.4.3", "4.0.0"):
        options = ["--outputTransport", "streamableHttp", "--stateful"]
        yield Stack("supergateway, stateful", version, argv(version, *options), path="/mcp", signs_in=everybody)
    # The HTTP+SSE of 3.4.3 is not here: its process dies at the second connection ("Already connected to a transport").
    yield Stack("supergateway, HTTP+SSE", "4.0.0", argv("4.0.0", "--outputTransport", "sse"), path="/sse", signs_in=everybody)


ALL = [*python_sdk(), *fastmcp(), *typescript_sdk(), *workers(), *better_auth(), *npm_fastmcp(), *guarded(), *supergateway()]


def main():
    """Plays them in their order; all are played, whatever fails."""
    words = [word.lower() for word in sys.argv[1:]]
    chosen = [one for one in ALL if not words or any(word in f"{one.name} {one.version}".lower() for word in words)]
    parts.expect(chosen, f"no stack is called {' or '.join(words)}")
    rows, failed = [], 0
    for stack in chosen:
        # Installing it does not count as its time.
        stack.argv(0)
        did, wrong, seconds = battery.play(stack)
        failed += wrong is not None
        print(f"  {'FAIL' if wrong else 'ok'}  {stack.name} {stack.version}, {seconds:.0f} s: {'; '.join(did)}", flush=True)
        if wrong:
            print("\n".join(f"        {line}" for line in wrong.splitlines()), flush=True)
        rows.append((stack.name, stack.version, "; ".join(did), "FAIL" if wrong else "ok", f"{seconds:.0f}"))
    print("\n| stack | version | what was done | result | seconds |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
