"""A server of the official Python SDK that leaves signing in to an authorization server of another make, in the same process,
which takes registrations. The argument is its order as JSON: port, life of a token in
seconds, and the module (kind). It prints its address when it listens."""

import importlib
import json
import pathlib
import socket
import socketserver
import sys
import threading
import wsgiref.simple_server

import uvicorn
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.fastmcp import Context, FastMCP
from pydantic import BaseModel

ORDER = json.loads(sys.argv[1])
RESOURCE = f"http://127.0.0.1:{ORDER['port']}/mcp"
SCOPE = "records"


class Threads(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    """The authorization server's requests, each in its thread."""

    daemon_threads = True


class Verifier:
    """Asks the authorization server, in the process."""

    def __init__(self, look_up):
        self.look_up = look_up

    async def verify_token(self, token):
        """The token's scope and end, if it is good."""
        found = self.look_up(token)
        return found and AccessToken(token=token, client_id=found[0], scopes=found[1].split(), expires_at=int(found[2]))


class Consent(BaseModel):
    """What the person is asked for."""

    confirm: bool


def mcp_server(issuer, look_up):
    """The tools."""
    auth = AuthSettings(issuer_url=issuer, resource_server_url=RESOURCE, required_scopes=[SCOPE])
    server = FastMCP("guarded", token_verifier=Verifier(look_up), auth=auth)

    @server.tool()
    async def echo(message: str) -> str:
        """Says it again."""
        return f"echo: {message}"

    @server.tool()
    async def large(length: int) -> str:
        """A long answer."""
        return "x" * length

    @server.tool()
    async def deploy(env: str, ctx: Context) -> str:
        """Deploys, when the person agrees."""
        answer = await ctx.elicit(f"Deploy to {env}?", Consent)
        return f"deploy: {answer.action}"

    return server


# After a restart it stands where it stood.
place = pathlib.Path("issuer-port")
issuer_port = int(place.read_text()) if place.exists() else 0
front = wsgiref.simple_server.make_server("127.0.0.1", issuer_port, None, server_class=Threads)
place.write_text(str(front.server_port))
issuer = f"http://127.0.0.1:{front.server_port}"
application, look_up = importlib.import_module(ORDER["kind"]).authorization_server(issuer, SCOPE, ORDER["life"])
front.set_app(application)
threading.Thread(target=front.serve_forever, daemon=True).start()
listener = socket.create_server(("127.0.0.1", ORDER["port"]))
print(RESOURCE, flush=True)
app = mcp_server(issuer, look_up).streamable_http_app()
uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=1)).run(sockets=[listener])
