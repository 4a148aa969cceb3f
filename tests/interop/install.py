#!/usr/bin/env python3
"""Real clients read what `install` writes: Claude Code, Codex, Gemini CLI and the MCP Inspector, each without its network.

Each client is set up twice in homes of their own: by its own command, which `install` prefers, and with the file written
here. What both write is compared, and the client lists it. The Inspector and Claude Code also start the server.
"""

import json
import pathlib
import subprocess
import tomllib

import parts
import peers
from parts import Home, Tenant, command, expect, program, step

PATIENCE = 120
ARGUMENTS = ["--tenant", "demo", "--client-id", "pk_1"]
NAME = "planhat-demo"
# Where nothing of this machine's clients is found.
BARE_PATH = "/usr/bin:/bin"
CLIENTS = {
    "claude-code": (peers.CLAUDE_CODE, "claude", ".claude.json"),
    "codex": (peers.CODEX, "codex", ".codex/config.toml"),
    "gemini": (peers.GEMINI_CLI, "gemini", ".gemini/settings.json"),
}


def environment(home, own=None):
    """The home's, with the client's program on PATH or without it."""
    path = f"{own}:{BARE_PATH}" if own else BARE_PATH
    return home.environment(PATH=path, XDG_CONFIG_HOME=str(home.path / ".config"))


def folder(client):
    """The folder with the client's program."""
    package, name, _ = CLIENTS[client]
    return pathlib.Path(peers.npm(package, name)).parent


def entry(home, client):
    """The command and the arguments that the client's file has for the server, or nothing."""
    file = home.path / CLIENTS[client][2]
    if not file.exists():
        return None
    text = file.read_text()
    servers = tomllib.loads(text).get("mcp_servers") if file.suffix == ".toml" else json.loads(text).get("mcpServers")
    found = (servers or {}).get(NAME)
    return found and (found["command"], found.get("args", []))


def install(home, client, own, *words):
    """Runs `install` for a client; returns what it said."""
    done = command(home, "install", client, *words, "--yes", environment=environment(home, own), within=PATIENCE)
    expect(done.returncode == 0, f"install failed: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def listed(home, client):
    """What the client itself says of its servers."""
    _, name, _ = CLIENTS[client]
    argv = [str(folder(client) / name), "mcp", "list"]
    done = subprocess.run(
        argv, env=environment(home, folder(client)), cwd=home.path,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
    )
    expect(done.returncode == 0, f"{name} mcp list failed: {done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout + done.stderr


def reads(client):
    """The client lists what its own command wrote and what is written here, which are the same."""
    wanted = (program("planhat-mcp"), ARGUMENTS)
    for own in (folder(client), None):
        with Home() as home:
            said = install(home, client, own, *ARGUMENTS)
            expect(("did it itself" in said) == bool(own), f"not as it should be with {own}: {said}")
            expect(entry(home, client) == wanted, f"not in its file: {entry(home, client)}")
            text = listed(home, client)
            expect(NAME in text and "demo" in text, f"the client does not list it: {text}")
            # Now it is there, and nobody has to do anything.
            expect("already" in install(home, client, own, *ARGUMENTS), "a second time something changed")
            done = command(home, "uninstall", client, "--yes", environment=environment(home, own))
            expect(done.returncode == 0, f"uninstall failed: {done.stderr}")
            expect(entry(home, client) is None and NAME not in listed(home, client), "the client still has it")
            done = command(home, "install", client, "--undo", "--yes", environment=environment(home, own))
            expect(done.returncode == 0, f"undo failed: {done.stderr}")
            step("by its own command" if own else "with the file written here")


def inspected():
    """The Inspector starts the server from the file that `install` has written, and calls a tool."""
    with Home() as home, Tenant() as tenant:
        home.configure(scope="inclusive", token_store="file")
        done = command(home, "install", "cursor", tenant.url, "--name", "tenant", "--yes")
        expect(done.returncode == 0, f"install failed: {done.stderr}")
        file = home.path / ".cursor" / "mcp.json"
        start = [peers.node(), peers.npm(peers.INSPECTOR, "mcp-inspector"), "--cli", "--config", str(file)]
        start += ["--server", "tenant", "--method", "tools/list"]
        # The token comes from the client's own environment, as its user gives it.
        written = json.loads(file.read_text())
        written["mcpServers"]["tenant"]["env"] = {"PLANHAT_MCP_TOKEN": tenant.private_app_token}
        file.write_text(json.dumps(written))
        done = subprocess.run(
            start, env=home.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )
        expect(done.returncode == 0, f"the Inspector failed: {done.stdout[-1000:]}{done.stderr[-2000:]}")
        tools = [tool["name"] for tool in json.loads(done.stdout)["tools"]]
        expect("list_model_records" in tools, f"not the tenant's tools: {tools}")
        step("lists the tenant's tools")


def started_by_claude_code():
    """Claude Code starts each server for its list, and says that this one is connected."""
    with Home() as home, Tenant() as tenant:
        home.configure(scope="inclusive", token_store="file")
        own = folder("claude-code")
        done = command(home, "install", "claude-code", tenant.url, "--name", NAME, "--yes", environment=environment(home, own))
        expect(done.returncode == 0, f"install failed: {done.stderr}")
        argv = [str(own / "claude"), "mcp", "list"]
        passed = {**environment(home, own), "PLANHAT_MCP_TOKEN": tenant.private_app_token}
        done = subprocess.run(
            argv, env=passed, cwd=home.path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
        )
        expect("Connected" in done.stdout, f"it did not connect: {done.stdout}{done.stderr}")
        step("starts the server, and is connected")


def cases():
    """All of them."""
    for client in CLIENTS:
        yield f"{client} reads what install writes", lambda client=client: reads(client)
    yield "Inspector, with the file that install writes", inspected
    yield "Claude Code, with the entry that install makes", started_by_claude_code


parts.run(cases())
