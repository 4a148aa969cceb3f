#!/usr/bin/env python3
"""The client that the conformance suite tests: an MCP client on the pipes of the bridge, which talks to the suite's server.

The suite starts it with the server's URL as the last argument, and says in the environment which scenario it is, at
which revision, and what the client has been given (MCP_CONFORMANCE_SCENARIO, _PROTOCOL_VERSION, _CONTEXT).
"""

import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import parts  # noqa: E402

SCENARIO = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
REVISION = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION", parts.REVISION)
GIVEN = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
# The document that the suite serves for clients that identify themselves by URL.
CLIENT_METADATA = "https://conformance-test.local/client-metadata.json"
STATELESS = REVISION >= "2026"
CAPABILITIES = {"elicitation": {"applyDefaults": True} if "elicitation" in SCENARIO else {}, "sampling": {}, "roots": {}}
MOST_ROUNDS = 6


def bridge(home):
    """The bridge, told about the server what the scenario gives its client."""
    arguments = ["--url", sys.argv[-1], "--token-store", "memory"]
    environment = home.environment(BROWSER=str(HERE.parent / "browser.py"))
    if "client_id" in GIVEN or "cimd" in SCENARIO:
        # A client that registers itself finds a port by itself.
        arguments += ["--callback-port", str(parts.free_port())]
    if "client_id" in GIVEN:
        arguments += ["--client-id", GIVEN["client_id"]]
    if "client_secret" in GIVEN:
        environment["PLANHAT_MCP_CLIENT_SECRET"] = GIVEN["client_secret"]
    if "client-credentials" in SCENARIO:
        arguments += ["--client-credentials"]
    if "private_key_pem" in GIVEN:
        key = home.file("client-key.pem", GIVEN["private_key_pem"])
        arguments += ["--client-key", key, "--client-key-alg", GIVEN.get("signing_algorithm", "ES256")]
    if "cimd" in SCENARIO:
        arguments += ["--client-metadata-url", CLIENT_METADATA]
    return parts.Bridge(arguments, environment, answer)


def answer(method, params):
    """What the client says to a request of the server: a person who agrees to everything."""
    if method == "elicitation/create":
        properties = params.get("requestedSchema", {}).get("properties", {})
        content = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
        required = params.get("requestedSchema", {}).get("required", [])
        content |= {name: sample(properties.get(name, {})) for name in required if name not in content}
        return {"action": "accept", "content": content}
    if method == "sampling/createMessage":
        text = {"type": "text", "text": "a sample"}
        return {"role": "assistant", "content": text, "model": "none", "stopReason": "endTurn"}
    return {"roots/list": {"roots": []}, "ping": {}}.get(method)


def sample(schema):
    """A value that a schema allows, as far as its type goes."""
    if "enum" in schema:
        return schema["enum"][0]
    return {"number": 2.5, "integer": 2, "boolean": True, "array": [], "object": {}}.get(schema.get("type"), "text")


class Handshake:
    """A client of the handshake era."""

    def __init__(self, child):
        self.child = child

    def open(self):
        """`initialize` and `initialized`."""
        self.child.open(REVISION, CAPABILITIES)

    def ask(self, method, params=None):
        """The result of a request."""
        return result(self.child.ask(method, params), method)


class Stateless:
    """A client of the stateless era: each request says who asks, and a question of the server is answered by asking again."""

    def __init__(self, child):
        self.child = child
        about = {"protocolVersion": REVISION, "clientInfo": parts.CLIENT_INFO, "clientCapabilities": CAPABILITIES}
        self.meta = {f"io.modelcontextprotocol/{name}": value for name, value in about.items()}

    def open(self):
        """What the server is. Nobody need ask; and before somebody has signed in, there may be nobody to say."""
        reply = self.reply("server/discover", {})
        unknown = reply.get("error", {}).get("code") == -32601
        parts.expect(unknown or "result" in reply, f"server/discover was refused: {reply}")

    def reply(self, method, params):
        """The answer to a request, in a revision that the server supports."""
        for _ in range(MOST_ROUNDS):
            reply = self.child.ask(method, {**params, "_meta": self.meta})
            refused = reply.get("error", {})
            supported = (refused.get("data") or {}).get("supported")
            if refused.get("code") != -32022 or not supported:
                return reply
            self.meta["io.modelcontextprotocol/protocolVersion"] = supported[0]
        raise parts.Failed(f"{method}: the server supports none of the revisions that it names")

    def ask(self, method, params=None):
        """The result of a request, after all questions are answered."""
        asked = dict(params or {})
        for _ in range(MOST_ROUNDS):
            found = result(self.reply(method, asked), method)
            if found.get("resultType") != "input_required":
                return found
            asked = dict(params or {})
            if questions := found.get("inputRequests"):
                told = {key: answer(question["method"], question.get("params") or {}) for key, question in questions.items()}
                asked["inputResponses"] = told
            if "requestState" in found:
                asked["requestState"] = found["requestState"]
        raise parts.Failed(f"{method}: the server never stops asking")


def result(reply, method):
    """The result in an answer."""
    parts.expect("result" in reply, f"{method} was refused: {reply}")
    return reply["result"]


def converse(client):
    """Does what the scenario wants its client to do: nearly always, list the tools and call them."""
    client.open()
    if SCENARIO == "sse-retry":
        client.ask("tools/call", {"name": "test_reconnection", "arguments": {}})
        return
    tools = {tool["name"]: tool for tool in client.ask("tools/list")["tools"]}
    if list(tools) == ["planhat_sign_in"]:
        # A slow machine: the sign-in takes longer than a list is held for it.
        client.child.wait(lambda m: m.get("method") == "notifications/tools/list_changed", "the real list", within=20)
        tools = {tool["name"]: tool for tool in client.ask("tools/list")["tools"]}
    if SCENARIO == "json-schema-ref-no-deref":
        return
    if SCENARIO == "json-schema-2020-12-preservation":
        schema = tools["json_schema_2020_12_tool"]["inputSchema"]
        client.ask("tools/call", {"name": "json_schema_echo", "arguments": {"schema": schema}})
        return
    told = [(call["name"], call.get("arguments", {})) for call in GIVEN.get("toolCalls", [])]
    # A tool whose calls the scenario spells out is called in no other way.
    rest = {name: tool for name, tool in tools.items() if name not in dict(told)}
    calls = [(name, GIVEN.get("toolArguments", {}).get(name) or arguments(tool)) for name, tool in rest.items()] + told
    for name, given in calls:
        client.ask("tools/call", {"name": name, "arguments": given})


def arguments(tool):
    """Arguments that a tool takes."""
    schema = tool.get("inputSchema", {})
    properties = schema.get("properties", {})
    return {name: sample(properties.get(name, {})) for name in schema.get("required", [])}


def main():
    """Runs the scenario; the suite sees the exit code and what is on standard error."""
    with parts.Home() as home:
        child = bridge(home)
        wrong = None
        try:
            converse((Stateless if STATELESS else Handshake)(child))
            child.close()
        except parts.Failed as error:
            wrong = error
            child.process.kill()
        for line in child.log[-25:]:
            print("bridge:", line, file=sys.stderr)
    if wrong:
        print("CLIENT:", wrong, file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
