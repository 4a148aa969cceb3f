"""A server of the official Python SDK (1.x) that speaks HTTP+SSE alone, the transport of revision 2024-11-05. Its address is
printed when it listens; the argument after it is where it counts what it has executed."""

import pathlib
import socket
import sys

import uvicorn
from mcp.server.fastmcp import Context, FastMCP
from pydantic import BaseModel

EXECUTED = pathlib.Path(sys.argv[1])
server = FastMCP("http-sse")


class Consent(BaseModel):
    """What the person is asked for."""

    confirm: bool


@server.tool()
async def echo(message: str) -> str:
    """Says it again."""
    return f"Echo: {message}"


@server.tool()
async def deploy(env: str, ctx: Context) -> str:
    """Deploys, when the person agrees."""
    answer = await ctx.elicit(f"Deploy to {env}?", Consent)
    with EXECUTED.open("a") as counted:
        counted.write("deploy\n")
    return f"deployed to {env}: {answer.action}"


listener = socket.create_server(("127.0.0.1", int(sys.argv[2])))
print(f"http://127.0.0.1:{listener.getsockname()[1]}/sse", flush=True)
config = uvicorn.Config(server.sse_app(), log_level="warning", timeout_graceful_shutdown=1)
uvicorn.Server(config).run(sockets=[listener])
