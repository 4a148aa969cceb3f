"""A client that uses the official Python SDK; runs in an environment that has it installed.

Takes its order as JSON in argv[1]: mode, command, arguments, environment (what the client's configuration adds), tool
and tool_arguments. Prints what it saw as JSON.
"""

import asyncio
import json
import sys

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

ORDER = json.loads(sys.argv[1])
SERVER = StdioServerParameters(command=ORDER["command"], args=ORDER["arguments"], env=ORDER["environment"])


async def main():
    """Lists the tools, calls one, and goes."""
    async with Client(stdio_client(SERVER), mode=ORDER["mode"]) as client:
        tools = (await client.list_tools()).tools
        result = await client.call_tool(ORDER["tool"], ORDER["tool_arguments"])
        seen = {
            "revision": client.protocol_version,
            "server": client.server_info.name if client.server_info else None,
            "tools": [tool.name for tool in tools],
            "is_error": bool(result.is_error),
            "text": "".join(block.text for block in result.content if block.type == "text"),
        }
    print(json.dumps(seen))


asyncio.run(main())
