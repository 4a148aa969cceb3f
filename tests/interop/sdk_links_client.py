"""A client on the official Python SDK that shows links (URL-mode elicitation); runs in an environment that has it installed.

Takes its order as JSON in argv[1]: mode, command, environment, browse (the program that opens a link and signs in) and
answer (accept or decline). Calls a tool without listing any, and prints what it saw as JSON.
"""

import asyncio
import json
import sys

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import ElicitResult

ORDER = json.loads(sys.argv[1])
SERVER = StdioServerParameters(command=ORDER["command"], args=[], env=ORDER["environment"])
SHOWN = []


async def show(_context, question):
    """What a client does with the link: here it is opened by a program instead of a person."""
    SHOWN.append({"mode": question.mode, "url": question.url, "message": question.message})
    if ORDER["answer"] == "accept":
        await asyncio.create_subprocess_exec(ORDER["browse"], "browse", question.url, stdout=asyncio.subprocess.DEVNULL)
    return ElicitResult(action=ORDER["answer"])


async def main():
    """Calls a tool twice, and goes."""
    texts = []
    async with Client(stdio_client(SERVER), mode=ORDER["mode"], elicitation_callback=show) as client:
        for _ in range(2):
            result = await client.call_tool("list_model_records", {"MODEL": "Company", "LIMIT": 2})
            texts.append("".join(block.text for block in result.content if block.type == "text"))
        seen = {"revision": client.protocol_version, "shown": SHOWN, "texts": texts, "is_error": bool(result.is_error)}
    print(json.dumps(seen))


asyncio.run(main())
