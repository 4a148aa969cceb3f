"""A client that uses fastmcp; runs in an environment that has it installed.

Takes its order as JSON in argv[1]: command, environment (what the client's configuration adds), tool and tool_arguments.
Prints what it saw as JSON.
"""

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport

ORDER = json.loads(sys.argv[1])


async def main():
    """Lists the tools, calls one, and goes."""
    transport = StdioTransport(command=ORDER["command"], args=[], env=ORDER["environment"], keep_alive=False)
    async with Client(transport) as client:
        tools = await client.list_tools()
        result = await client.call_tool(ORDER["tool"], ORDER["tool_arguments"], raise_on_error=False)
        seen = {
            "tools": [tool.name for tool in tools],
            "is_error": bool(result.is_error),
            "text": "".join(block.text for block in result.content if block.type == "text"),
        }
    print(json.dumps(seen))


asyncio.run(main())
