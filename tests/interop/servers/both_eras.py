"""A server of the official Python SDK, which answers both eras. Its address is printed when it listens; the folder in
the second argument is where it counts what it has executed."""

import asyncio
import pathlib
import socket
import sys
from typing import Annotated

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, Resolve
from pydantic import BaseModel

EXECUTED = pathlib.Path(sys.argv[1])
server = MCPServer("both-eras", version="1")


class Consent(BaseModel):
    """What the person is asked for."""

    confirm: bool


async def ask(env: str) -> Elicit[Consent]:
    """Asks before anything is done."""
    return Elicit(f"Deploy to {env}?", Consent)


@server.tool()
async def echo(message: str) -> str:
    """Says it again."""
    return f"echo: {message}"


@server.tool()
async def deploy(env: str, consent: Annotated[Consent, Resolve(ask)]) -> str:
    """Deploys, when the person agrees."""
    with EXECUTED.open("a") as counted:
        counted.write("deploy\n")
    return f"deployed to {env}: {consent.confirm}"


@server.tool()
async def change(ctx: Context) -> str:
    """Says that the tools have changed, in both eras' ways."""
    await ctx.notify_tools_changed()
    await ctx.session.send_tool_list_changed()
    return "changed"


async def main():
    """Listens until it is ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    config = uvicorn.Config(server.streamable_http_app(), log_level="warning")
    await uvicorn.Server(config).serve(sockets=[listener])


asyncio.run(main())
