#!/usr/bin/env python3
"""Real clients: the official Python SDK and the MCP Inspector list and call tools through the bridge.

Each does so with a Private App's token, and with a whole sign-in that it causes itself. The bridge gets what such clients
leave of the environment (HOME, LOGNAME, PATH, SHELL, TERM, USER) and what a user writes into the client's own
configuration; the rest stands in the bridge's configuration file.
"""

import json
import subprocess

import parts
import peers
from parts import Home, Tenant, command, expect, program, step

TOOL, ARGUMENTS = "list_model_records", {"MODEL": "Company", "LIMIT": 2}
PATIENCE = 90


def sdk(mode, home, tool, arguments, added):
    """One run of the Python SDK's client; returns the tools and the text of the call."""
    order = {
        "mode": mode, "command": program("planhat-mcp"), "arguments": [], "environment": added,
        "tool": tool, "tool_arguments": arguments,
    }
    seen = json.loads(talk([peers.python(peers.PYTHON_SDK), str(parts.HERE / "sdk_client.py"), json.dumps(order)], home))
    return seen["tools"], seen["text"], seen["is_error"]


def inspector(_mode, home, tool, arguments, added):
    """Two runs of the Inspector, because each does one thing."""
    start = [peers.node(), peers.npm(peers.INSPECTOR, "mcp-inspector"), "--cli"]
    for name, value in added.items():
        start += ["-e", f"{name}={value}"]
    start += [program("planhat-mcp"), "--method"]
    tools = json.loads(talk([*start, "tools/list"], home))["tools"]
    call = ["tools/call", "--tool-name", tool]
    for name, value in arguments.items():
        call += ["--tool-arg", f"{name}={value}"]
    result = json.loads(talk([*start, *call], home))
    text = "".join(block.get("text", "") for block in result["content"])
    return [tool["name"] for tool in tools], text, bool(result.get("isError"))


def talk(argv, home):
    """Runs a client to its end, and returns what it printed."""
    done = subprocess.run(
        argv, env=home.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )
    expect(done.returncode == 0, f"the client failed ({done.returncode}):\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return done.stdout


CLIENTS = {"Python SDK, auto": (sdk, "auto"), "Python SDK, legacy": (sdk, "legacy"), "Inspector": (inspector, None)}


def works(client, home, tenant, added):
    """The client sees the tenant's tools and calls one of them, which the tenant executes once."""
    run, mode = CLIENTS[client]
    before = tenant.counted(TOOL)
    tools, text, is_error = run(mode, home, TOOL, ARGUMENTS, added)
    expect(TOOL in tools and "planhat_sign_in" not in tools, f"not the tenant's tools: {tools}")
    expect(not is_error and '"name"' in text, f"no companies came: {text[:500]}")
    expect(tenant.counted(TOOL) == before + 1, f"{TOOL} was executed {tenant.counted(TOOL) - before} times, not once")


def with_a_token(client):
    """A Private App's token in the client's configuration of its server, nothing else."""
    with Home() as home, Tenant() as tenant:
        home.configure(url=tenant.url)
        works(client, home, tenant, {"PLANHAT_MCP_TOKEN": tenant.private_app_token})
        expect(tenant.counted("authorize_hits") == 0, "a sign-in was started though there is a token")
        step("lists and calls with a Private App's token")


def with_a_sign_in(client):
    """The first `tools/list` opens the browser; what it brings serves that client and the next one."""
    with Home() as home, Tenant() as tenant:
        home.configure(**tenant.settings(token_store="file", client_secret_file=home.file("secret", tenant.client_secret)))
        works(client, home, tenant, {"BROWSER": tenant.sandbox})
        works(client, home, tenant, {"BROWSER": tenant.sandbox})
        expect(tenant.counted("consents_granted") == 1, f"{tenant.counted('consents_granted')} sign-ins, not one")
        step("signs in, lists and calls; the next one is signed in already")


def with_nothing():
    """No browser can be seen from there: the client gets a tool that says what to do, and that is done in a terminal."""
    with Home() as home, Tenant() as tenant:
        home.configure(**tenant.settings(token_store="file", client_secret_file=home.file("secret", tenant.client_secret)))
        tools, text, is_error = sdk("legacy", home, "planhat_sign_in", {}, {})
        expect(tools == ["planhat_sign_in"] and is_error, f"not the sign-in tool alone: {tools} {text}")
        expect("login" in text, f"the sign-in tool does not say how to sign in: {text}")
        expect(tenant.counted("authorize_hits") == 0, "a browser was opened that nobody can see")
        step("without a browser, the sign-in tool says what to do")
        done = command(home, "login", environment=home.environment(BROWSER=tenant.sandbox))
        expect(done.returncode == 0, f"login failed: {done.stdout}{done.stderr}")
        works("Python SDK, legacy", home, tenant, {})
        step("after login in a terminal, the same client lists and calls")


def cases():
    """All of them."""
    for client in CLIENTS:
        yield f"{client}, with a token", lambda client=client: with_a_token(client)
        yield f"{client}, with a sign-in", lambda client=client: with_a_sign_in(client)
    yield "Python SDK, with nothing in its environment", with_nothing


parts.run(cases())
