"""A server of the official Python SDK that is its own authorization server (`auth_server_provider`), all in one process
and all in memory. The argument is its order as JSON: port, life of a token in seconds, transport. It prints its address when
it listens."""

import json
import secrets
import signal
import socket
import sys
import time

import uvicorn
from mcp.server.auth.provider import AccessToken, AuthorizationCode, RefreshToken, construct_redirect_uri
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthToken
from pydantic import BaseModel

try:
    from mcp.server.mcpserver import Context, MCPServer as Server
    SETTINGS = {}
except ImportError:
    from mcp.server.fastmcp import Context, FastMCP as Server
    SETTINGS = {"stateless_http": False}

ORDER = json.loads(sys.argv[1])
ORIGIN = f"http://127.0.0.1:{ORDER['port']}"
PATH = "/sse" if ORDER.get("transport") == "sse" else "/mcp"
SCOPE = "records"


class Provider:
    """The authorization server's memory. Everybody who comes is let in."""

    def __init__(self):
        self.clients, self.codes, self.access, self.refresh = {}, {}, {}, {}

    async def get_client(self, client_id):
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32), client_id=client.client_id, scopes=params.scopes or [],
            expires_at=time.time() + 60, code_challenge=params.code_challenge, redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly, resource=params.resource,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(self, client, authorization_code):
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        del self.codes[authorization_code.code]
        return self.issue(client, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(self, client, refresh_token):
        return self.refresh.get(refresh_token)

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        del self.refresh[refresh_token.token]
        return self.issue(client, scopes, f"{ORIGIN}{PATH}")

    async def load_access_token(self, token):
        found = self.access.get(token)
        return found if found and found.expires_at >= time.time() else None

    async def revoke_token(self, token):
        self.access.pop(token.token, None)
        self.refresh.pop(token.token, None)

    def issue(self, client, scopes, resource):
        """A pair of tokens."""
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self.access[access] = AccessToken(
            token=access, client_id=client.client_id, scopes=scopes, resource=resource,
            expires_at=int(time.time() + ORDER["life"]),
        )
        self.refresh[refresh] = RefreshToken(token=refresh, client_id=client.client_id, scopes=scopes)
        return OAuthToken(
            access_token=access, token_type="Bearer", expires_in=ORDER["life"], scope=" ".join(scopes),
            refresh_token=refresh,
        )


server = Server(
    "python-sdk",
    auth_server_provider=Provider(),
    auth=AuthSettings(
        issuer_url=ORIGIN, resource_server_url=f"{ORIGIN}{PATH}", required_scopes=[SCOPE],
        client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=[SCOPE]),
        revocation_options=RevocationOptions(enabled=True),
    ),
    **SETTINGS,
)


class Consent(BaseModel):
    """What the person is asked for."""

    confirm: bool


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


app = server.sse_app() if PATH == "/sse" else server.streamable_http_app()
# What happens where there are several processes, or none for a while.
signal.signal(signal.SIGUSR1, lambda *_: server.session_manager._server_instances.clear())
listener = socket.create_server(("127.0.0.1", ORDER["port"]))
print(f"{ORIGIN}{PATH}", flush=True)
uvicorn.Server(uvicorn.Config(app, timeout_graceful_shutdown=1)).run(sockets=[listener])
