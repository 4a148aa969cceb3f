"""A server of FastMCP with its own in-memory provider, or with its OAuth proxy before an authorization server that this
process plays, too. The argument is its order as JSON: port, life of a token in seconds, kind (provider or proxy). It prints
its address when it listens."""

import asyncio
import dataclasses
import json
import secrets
import socket
import sys
import time
import urllib.parse

import uvicorn
from fastmcp import Context, FastMCP
from fastmcp.server.auth.auth import AccessToken, ClientRegistrationOptions, RevocationOptions, TokenVerifier
from fastmcp.server.auth.oauth_proxy import OAuthProxy
from fastmcp.server.auth.providers import in_memory
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

try:
    # Up to 2.12.
    from fastmcp.utilities.storage import InMemoryStorage as Memory
except ImportError:
    from key_value.aio.stores.memory import MemoryStore as Memory

ORDER = json.loads(sys.argv[1])
ORIGIN = f"http://127.0.0.1:{ORDER['port']}"
SCOPE = "records"


@dataclasses.dataclass
class Consent:
    """What the person is asked for."""

    confirm: bool


class Upstream:
    """The authorization server behind the proxy. It knows one client, as those do that take no registrations."""

    def __init__(self):
        self.codes, self.access, self.refresh = set(), {}, set()
        routes = [Route("/authorize", self.authorize), Route("/token", self.token, methods=["POST"])]
        self.app = Starlette(routes=routes)

    async def authorize(self, request):
        """Lets everybody in."""
        asked, code = request.query_params, secrets.token_urlsafe(16)
        self.codes.add(code)
        return RedirectResponse(f"{asked['redirect_uri']}?{urllib.parse.urlencode({'code': code, 'state': asked['state']})}")

    async def token(self, request):
        """Exchanges and renews, each code and token once."""
        form = await request.form()
        given, known = (
            (form["code"], self.codes) if form["grant_type"] == "authorization_code" else (form["refresh_token"], self.refresh)
        )
        if given not in known:
            return JSONResponse({"error": "invalid_grant"}, 400)
        known.discard(given)
        access, refresh = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self.access[access] = time.time() + ORDER["life"]
        self.refresh.add(refresh)
        return JSONResponse({
            "access_token": access, "token_type": "Bearer", "expires_in": ORDER["life"], "refresh_token": refresh,
            "scope": SCOPE,
        })


class Verifier(TokenVerifier):
    """What the MCP server asks about a token of the upstream."""

    def __init__(self, upstream):
        super().__init__(required_scopes=[SCOPE])
        self.upstream = upstream

    async def verify_token(self, token):
        ends = self.upstream.access.get(token, 0)
        return AccessToken(token=token, client_id="one", scopes=[SCOPE], expires_at=int(ends)) if ends > time.time() else None


def provider():
    """FastMCP's own."""
    in_memory.DEFAULT_ACCESS_TOKEN_EXPIRY_SECONDS = ORDER["life"]
    return in_memory.InMemoryOAuthProvider(
        base_url=ORIGIN, required_scopes=[SCOPE], revocation_options=RevocationOptions(enabled=True),
        client_registration_options=ClientRegistrationOptions(enabled=True, valid_scopes=[SCOPE]),
    )


def proxy(upstream, at):
    """The one that stands before an authorization server without registration."""
    return OAuthProxy(
        upstream_authorization_endpoint=f"{at}/authorize", upstream_token_endpoint=f"{at}/token",
        upstream_client_id="one", upstream_client_secret="a secret of the upstream", token_verifier=Verifier(upstream),
        base_url=ORIGIN, client_storage=Memory(),
    )


def mcp_server(auth):
    """The tools."""
    server = FastMCP("fastmcp", auth=auth)

    @server.tool
    async def echo(message: str) -> str:
        """Says it again."""
        return f"echo: {message}"

    @server.tool
    async def large(length: int) -> str:
        """A long answer."""
        return "x" * length

    @server.tool
    async def deploy(env: str, ctx: Context) -> str:
        """Deploys, when the person agrees."""
        answer = await ctx.elicit(f"Deploy to {env}?", response_type=Consent)
        return f"deploy: {answer.action}"

    return server


async def serve(app, listener):
    """Serves at a listener until the end."""
    config = uvicorn.Config(app, timeout_graceful_shutdown=1, lifespan="auto")
    await uvicorn.Server(config).serve(sockets=[listener])


async def main():
    """Both servers where there are two."""
    listener = socket.create_server(("127.0.0.1", ORDER["port"]))
    others = []
    if ORDER["kind"] == "proxy":
        upstream, other = Upstream(), socket.create_server(("127.0.0.1", 0))
        others = [serve(upstream.app, other)]
        auth = proxy(upstream, f"http://127.0.0.1:{other.getsockname()[1]}")
    else:
        auth = provider()
    print(f"{ORIGIN}/mcp", flush=True)
    await asyncio.wait([asyncio.ensure_future(one) for one in (serve(mcp_server(auth).http_app(), listener), *others)],
                       return_when=asyncio.FIRST_COMPLETED)


asyncio.run(main())
