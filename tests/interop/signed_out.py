#!/usr/bin/env python3
"""Real clients meet a bridge that nobody is signed in to, each within its own time-outs and in the environment it leaves.

None of them may hang or fail: a client without a browser gets the sign-in tool, and what it says leads to a sign-in; a
client that is given a browser signs in by its first list.
"""

import json
import subprocess
import time

import parts
import peers
from parts import Home, Tenant, command, expect, program, step

TOOL, ARGUMENTS = "list_model_records", {"MODEL": "Company", "LIMIT": 2}
# The longest that one of the clients waits for an answer by itself is 60 s; with the bridge none comes near that.
PATIENCE = 60


def talk(argv, home, codes=(0,)):
    """Runs a client to its end, and returns what it printed as JSON, and how long it took."""
    started = time.monotonic()
    done = subprocess.run(
        argv, env=home.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )
    expect(done.returncode in codes, f"the client failed ({done.returncode}):\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout), time.monotonic() - started


def python_sdk(mode):
    """The official Python SDK."""
    def run(home, tool, arguments, added):
        order = {
            "mode": mode, "command": program("planhat-mcp"), "arguments": [], "environment": added,
            "tool": tool, "tool_arguments": arguments,
        }
        return talk([peers.python(peers.PYTHON_SDK), str(parts.HERE / "sdk_client.py"), json.dumps(order)], home)
    return run


def typescript(mode):
    """The official TypeScript client."""
    def run(home, tool, arguments, added):
        order = {
            "mode": mode, "command": program("planhat-mcp"), "environment": added,
            "tool": tool, "tool_arguments": arguments,
        }
        modules = peers.packages(peers.TYPESCRIPT_CLIENT)
        with peers.beside(modules, parts.HERE / "typescript_client.mjs") as place:
            return talk([peers.node(), str(place / "typescript_client.mjs"), json.dumps(order)], home)
    return run


def fastmcp(home, tool, arguments, added):
    """fastmcp's own client."""
    order = {"command": program("planhat-mcp"), "environment": added, "tool": tool, "tool_arguments": arguments}
    return talk([peers.python(peers.FASTMCP), str(parts.HERE / "fastmcp_client.py"), json.dumps(order)], home)


def inspector(home, tool, arguments, added):
    """The MCP Inspector, which does one thing a run."""
    start = [peers.node(), peers.npm(peers.INSPECTOR, "mcp-inspector"), "--cli"]
    for name, value in added.items():
        start += ["-e", f"{name}={value}"]
    start += [program("planhat-mcp"), "--method"]
    listed, first = talk([*start, "tools/list"], home)
    call = ["tools/call", "--tool-name", tool]
    for name, value in arguments.items():
        call += ["--tool-arg", f"{name}={value}"]
    # It ends with 5 when the tool says that it failed.
    result, second = talk([*start, *call], home, codes=(0, 5))
    text = "".join(block.get("text", "") for block in result["content"])
    seen = {"tools": [one["name"] for one in listed["tools"]], "text": text, "is_error": bool(result.get("isError"))}
    return seen, first + second


CLIENTS = {
    "Python SDK, auto": python_sdk("auto"),
    "Python SDK, legacy": python_sdk("legacy"),
    "TypeScript client, auto": typescript("auto"),
    "TypeScript client, default": typescript(None),
    "fastmcp": fastmcp,
    "Inspector": inspector,
}


def configured(home, tenant):
    """What cannot pass through such a client stands in the file."""
    secret = home.file("secret", tenant.client_secret)
    home.configure(**tenant.settings(token_store="file", client_secret_file=secret))


def without_a_browser(client):
    """The sign-in tool is there, says what to do, and after that has been done the same client sees the real tools."""
    with Home() as home, Tenant() as tenant:
        configured(home, tenant)
        seen, took = CLIENTS[client](home, "planhat_sign_in", {}, {})
        expect("planhat_sign_in" in seen["tools"], f"no way to sign in: {seen}")
        expect(TOOL not in seen["tools"], f"tools that nobody can know yet: {seen}")
        expect("login" in seen["text"], f"the sign-in tool does not say how to sign in: {seen}")
        expect(tenant.counted("code_exchanges") == 0, "somebody was signed in")
        step(f"meets the sign-in tool, and is told what to do ({took:.1f} s)")
        done = command(home, "login", environment=home.environment(BROWSER=tenant.sandbox))
        expect(done.returncode == 0, f"login failed: {done.stdout}{done.stderr}")
        seen, took = CLIENTS[client](home, TOOL, ARGUMENTS, {})
        expect(TOOL in seen["tools"] and not seen["is_error"], f"no real tools after the sign-in: {seen}")
        step(f"after login in a terminal it lists and calls ({took:.1f} s)")


def with_a_browser(client):
    """The first list signs in; nobody waits longer than the client does, and one sign-in is enough."""
    with Home() as home, Tenant() as tenant:
        configured(home, tenant)
        seen, took = CLIENTS[client](home, TOOL, ARGUMENTS, {"BROWSER": tenant.sandbox})
        expect(TOOL in seen["tools"] and not seen["is_error"], f"the first list did not sign in: {seen}")
        expect(tenant.counted("consents_granted") == 1, f"{tenant.counted('consents_granted')} sign-ins, not one")
        step(f"signs in by its first list, and calls ({took:.1f} s)")


def cases():
    """All of them."""
    for client in CLIENTS:
        yield f"{client}, without a browser", lambda client=client: without_a_browser(client)
        yield f"{client}, with a browser", lambda client=client: with_a_browser(client)


parts.run(cases())
