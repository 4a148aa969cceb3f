"""One run of the official Python SDK's client, in the mode and with the server that the first argument names (JSON):
lists, calls, answers a question, hears of a change. Prints what it saw as one line of JSON, also when it fails."""

import asyncio
import json
import sys
import time

import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

ORDER = json.loads(sys.argv[1])
SERVER = StdioServerParameters(command=ORDER["command"], args=ORDER["arguments"], env=ORDER["environment"])
PATIENCE = 20


def words(result):
    """The text in a result."""
    return "".join(block.text for block in result.content if block.type == "text")


async def agree(_context, params):
    """A person who agrees to everything."""
    SEEN["questions"].append(params.message)
    return types.ElicitResult(action="accept", content={"confirm": True})


async def hear(message):
    """Notes what the server says by itself."""
    if "ToolListChanged" in type(message).__name__ or getattr(message, "method", "").endswith("tools/list_changed"):
        CHANGED.set()


SEEN = {"questions": []}
CHANGED = asyncio.Event()


async def converse():
    """What each client does that can."""
    async with Client(
        stdio_client(SERVER), mode=ORDER["mode"], elicitation_callback=agree, message_handler=hear
    ) as client:
        SEEN["revision"] = client.protocol_version
        SEEN["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        SEEN["echo"] = words(await client.call_tool("echo", {"message": "Malmö \U0001f600"}))
        if "deploy" not in SEEN["tools"]:
            return
        SEEN["deploy"] = words(await client.call_tool("deploy", {"env": "production"}))
        if client.protocol_version >= "2026":
            async with client.listen(tools_list_changed=True) as subscription:
                await client.call_tool("change", {})
                event = await asyncio.wait_for(anext(aiter(subscription)), PATIENCE)
                SEEN["change"] = type(event).__name__
        else:
            await client.call_tool("change", {})
            await asyncio.wait_for(CHANGED.wait(), PATIENCE)
            SEEN["change"] = "ToolsListChanged"


def reasons(error):
    """The errors in a group of them."""
    inner = getattr(error, "exceptions", None)
    return [text for one in inner for text in reasons(one)] if inner else [f"{type(error).__name__}: {error}"]


def main():
    """Tells what became of it."""
    start = time.monotonic()
    try:
        asyncio.run(asyncio.wait_for(converse(), 2 * PATIENCE))
    except BaseException as error:  # noqa: B036 - whatever it is, it is what this client has to show
        SEEN["failed"] = reasons(error)
    SEEN["seconds"] = time.monotonic() - start
    print(json.dumps(SEEN))


main()
