"""Uses the `planhat-mcp` in a folder, on any system: its version, a sign-in against the sandbox, a call: try.py FOLDER.

The sandbox is a debug build: cargo build -p planhat-sandbox.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1]
SUFFIX = ".exe" if os.name == "nt" else ""
PROGRAM = str((pathlib.Path(sys.argv[1]) / f"planhat-mcp{SUFFIX}").resolve())
SANDBOX = str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / f"planhat-sandbox{SUFFIX}")
TOOL = "list_model_records"


def facts_of(tenant):
    """What the tenant says of itself before it serves."""
    facts = {}
    for line in tenant.stdout:
        if "Ctrl-C" in line:
            return facts
        name, _, value = line.strip().partition("  ")
        facts[name] = value.split()[0] if value.split() else ""
    sys.exit("try.py: the tenant has ended")


def ask(bridge, number, method, params):
    """Sends a request and returns its result."""
    bridge.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
    bridge.stdin.flush()
    for line in bridge.stdout:
        message = json.loads(line)
        if message.get("id") == number and "method" not in message:
            return message["result"]
    sys.exit(f"try.py: no answer to {method}")


def main():
    version = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Whatever is longer than this has hung.
        tenant = subprocess.Popen([SANDBOX, "serve", "--callback-port", port], **pipes)
        watch = threading.Timer(120, lambda: os._exit(3))
        watch.daemon = True
        watch.start()
        facts = facts_of(tenant)
        threading.Thread(target=tenant.stdout.read, daemon=True).start()
        settings = {
            "PLANHAT_MCP_URL": facts["MCP endpoint"], "PLANHAT_MCP_CLIENT_ID": facts["client id"],
            "PLANHAT_MCP_CLIENT_SECRET": facts["client secret"], "PLANHAT_MCP_SCOPE": "inclusive",
            "PLANHAT_MCP_TOKEN_STORE": "file", "PLANHAT_MCP_CALLBACK_PORT": port,
        }
        environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        environment.update(settings, HOME=folder, USERPROFILE=folder)
        login = [PROGRAM, "login", "--no-browser"]
        signing = subprocess.Popen(login, env=environment, stderr=subprocess.STDOUT, **pipes)
        for link in signing.stdout:
            if link.startswith("http"):
                subprocess.run([SANDBOX, "browse", link.strip()], check=True, capture_output=True, timeout=60)
                break
        signing.stdout.read()
        if signing.wait(60) != 0:
            sys.exit("try.py: the sign-in failed")
        bridge = subprocess.Popen([PROGRAM], env=environment, **pipes)
        ask(bridge, 1, "initialize", {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "try", "version": "1"},
        })
        bridge.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        tools = ask(bridge, 2, "tools/list", {})["tools"]
        result = ask(bridge, 3, "tools/call", {"name": TOOL, "arguments": {"MODEL": "Company", "LIMIT": 2}})
        if result.get("isError"):
            sys.exit(f"try.py: the call failed: {result}")
        bridge.stdin.close()
        bridge.wait(30)
        tenant.stdin.close()
        tenant.wait(10)
        print(f"{version}: signed in, {len(tools)} tools, one call")


main()
