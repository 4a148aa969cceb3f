#!/usr/bin/env python3
"""A certified authorization server that nobody here wrote: oidc-provider, and behind it the TypeScript SDK's MCP server.

It is strict where the tenant only could be: rotated refresh tokens are good once, and presenting one again revokes all
that came of it; `resource`, PKCE and redirect URLs are checked by a foreign hand. What happened is read from its events.
Needs the programs chromium and openssl.
"""

import contextlib
import json
import queue
import threading
import time

import chromium
import forms
import parts
from foreign import Servers, document
from network import Authority
from parts import Bridge, Home, command, expect, step
from person import Asking, Login

REDIRECT = "http://127.0.0.1/callback"
CODE = ["authorization_code", "refresh_token"]
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
# Characters that a form changes: RFC 6749, 2.3.1 has them encoded before they go into the header.
SECRET = "s3cret+with/all%of:these==&chars-and-enough-of-them"
PUBLIC = {
    "client_id": "public", "application_type": "native", "token_endpoint_auth_method": "none",
    "redirect_uris": [REDIRECT], "grant_types": [*CODE, DEVICE],
}
BASIC = {
    "client_id": "confidential", "application_type": "native", "client_secret": SECRET,
    "redirect_uris": [REDIRECT], "grant_types": CODE,
}
POST = {**BASIC, "client_id": "posting", "token_endpoint_auth_method": "client_secret_post"}
MACHINE = {
    "client_id": "machine", "key": True, "token_endpoint_auth_method": "private_key_jwt",
    "redirect_uris": [], "response_types": [], "grant_types": ["client_credentials"],
}


@contextlib.contextmanager
def scene(*clients, settings=None, **order):
    """The servers, and a home whose configuration points at them."""
    with Servers(*clients, **order) as servers, Home() as home:
        home.configure(url=servers.resource, token_store="file", **(settings or {}))
        yield servers, home


def given(client_id):
    """The settings of a client that an administrator gave out."""
    return {"client_id": client_id, "callback_port": parts.free_port()}


def sign_in(home, *, environment=None, arguments=("--no-browser",)):
    """A person signs in at a terminal, and presses Continue everywhere; the last page."""
    with Login(home, *arguments, environment=environment) as login:
        page = forms.Browser().walk(login.link(), login="ada")
        code, said = login.end()
    expect(code == 0, f"login ended with {code}: {said}\nthe browser ended at {page.url}: {page.text}")
    expect(page.status == 200 and "signed in" in page.text.lower(), f"the last page: {page.status} {page.text}")
    return page


def whoami(home, *arguments, environment=None):
    """Whose token a bridge process sends."""
    with Bridge(arguments, environment or home.environment()) as bridge:
        bridge.open()
        expect("whoami" in bridge.tools(), f"not the server's tools: {list(bridge.tools())}; {bridge.log[-9:]}")
        return told(bridge.call("whoami", {}))


def told(result):
    """What `whoami` says."""
    expect(not result.get("isError"), f"whoami failed: {result}")
    return json.loads(result["content"][0]["text"])


def expired(servers):
    """Returns when the last token that was issued has expired, which the server rounds to seconds."""
    time.sleep(servers.all("token")[-1]["expires_in"] + 1)


def given_clients():
    """Clients that an administrator gave out: a public one, and confidential ones that show their secret in either way."""
    with Servers(PUBLIC, BASIC, POST) as servers:
        for client in (PUBLIC, BASIC, POST):
            with Home() as home:
                name = client["client_id"]
                secret = {"client_secret_file": home.file("secret", SECRET)} if "client_secret" in client else {}
                home.configure(url=servers.resource, token_store="file", **given(name), **secret)
                before = len(servers.events)
                sign_in(home)
                issued = servers.tokens("authorization_code", before)
                expect([one["client_id"] for one in issued] == [name], f"issued: {issued}")
                expect(issued[0]["renewable"] and issued[0]["resource"] == servers.resource, f"issued: {issued}")
                me = whoami(home)
                expect(me == {"sub": "ada", "client_id": name, "scopes": ["records:read"]}, f"whoami says {me}")
                status = command(home, "status")
                expect(status.returncode == 0 and name in status.stdout, f"status: {status}")
                servers.say("reject")
                whoami(home)
                expect(len(servers.tokens("refresh_token", before)) == 1, "the rejected token was not renewed once")
                servers.expect_peace(before)
                step(f"{name}: signs in, calls, renews a token that is rejected")


def wrong_secret():
    """A wrong secret is named as such, at the terminal and in the browser."""
    with scene(BASIC, settings=given("confidential")) as (servers, home):
        environment = home.environment(PLANHAT_MCP_CLIENT_SECRET="a-wrong-one")
        with Login(home, environment=environment) as login:
            page = forms.Browser().walk(login.link(), login="ada")
            code, said = login.end()
        expect(code == 3 and "its secret is wrong" in " ".join(said.split()), f"login: {code} {said}")
        expect(page.status == 400 and "its secret is wrong" in page.text, f"the last page: {page.text}")
        expect("a-wrong-one" not in said + page.html, "the secret is shown")
        expect(servers.all("token refused")[0]["error"] == "invalid_client", f"{servers.events}")
        step("a wrong client secret: said by login and by the last page")


def machine():
    """A client that signs in for itself, with a key: oidc-provider checks the assertion."""
    with scene(MACHINE, settings={"client_id": "machine", "client_credentials": True}) as (servers, home):
        key = home.file("key.pem", servers.keys["machine"])
        me = whoami(home, "--client-key", key)
        expect(me["client_id"] == "machine", f"whoami says {me}")
        expect(len(servers.tokens("client_credentials")) == 1, f"{servers.events}")
        servers.expect_peace()
        step("client credentials with a private key, without a person")


def registration():
    """Nobody gave out a client: the program registers itself, once, as what it is."""
    with scene() as (servers, home):
        sign_in(home)
        client = servers.all("registered")[0]["client"]
        expect(client["application_type"] == "native" and client["token_endpoint_auth_method"] == "none", f"{client}")
        expect("refresh_token" in client["grant_types"] and DEVICE not in client["grant_types"], f"{client}")
        me = whoami(home)
        expect(me["client_id"] == client["client_id"], f"whoami says {me}")
        servers.say("reject")
        whoami(home)
        sign_in(home)
        expect(len(servers.all("registered")) == 1, f"{len(servers.all('registered'))} registrations")
        servers.expect_peace()
        step("registers itself as a native public client, once; the next sign-in uses that registration")


def metadata_document():
    """The client identifies itself by the address of a document, which the authorization server fetches."""
    public = {key: value for key, value in PUBLIC.items() if key != "client_id"}
    with Authority() as authority, document(authority, client_name="planhat-mcp", **public) as (url, asked):
        trusting = {"NODE_EXTRA_CA_CERTS": str(authority.certificate), "PATH": "/usr/bin:/bin"}
        settings = {"client_metadata_url": url, "callback_port": parts.free_port()}
        with scene(documents=True, environment=trusting, settings=settings) as (servers, home):
            sign_in(home)
            me = whoami(home)
            expect(me["client_id"] == url, f"whoami says {me}")
            servers.say("reject")
            whoami(home)
            expect(len(servers.tokens("refresh_token")) == 1, "not renewed")
            expect(asked == ["/client.json"] and not servers.all("registered"), f"asked for: {asked}")
            servers.expect_peace()
            step("a Client ID Metadata Document over https is fetched, and the client needs no registration")


def rotation():
    """Eight bridges and one expired token: one refresh, nothing presented twice, nothing revoked."""
    with scene(PUBLIC, settings=given("public")) as (servers, home):
        servers.say("life 2")
        sign_in(home)
        servers.say("life 600")
        expired(servers)
        with contextlib.ExitStack() as stack:
            # All of them start with a token that has expired.
            bridges = [stack.enter_context(Bridge([], home.environment())) for _ in range(8)]
            at_once(bridges, lambda bridge: (bridge.open(), told(bridge.call("whoami", {}))))
            expect(len(servers.tokens("refresh_token")) == 1, f"{len(servers.tokens('refresh_token'))} refreshes, not one")
            servers.expect_peace()
            step("8 bridges start with an expired token: one refresh")
            # All of them have the same token at hand when the server no longer takes it.
            servers.say("reject")
            at_once(bridges, lambda bridge: told(bridge.call("whoami", {})))
            expect(len(servers.tokens("refresh_token")) == 2, f"{len(servers.tokens('refresh_token')) - 1} refreshes, not one")
            servers.expect_peace()
            step("8 bridges at work whose token is rejected: one refresh")
        expect(len(servers.tokens("authorization_code")) == 1, "somebody signed in again")


def at_once(bridges, work):
    """Does the work with each bridge, all at the same time; fails when one fails."""
    wrong = []

    def guarded(bridge):
        try:
            work(bridge)
        except (parts.Failed, queue.Empty) as error:
            wrong.append(f"{error}; log: {bridge.log[-5:]}")

    threads = [threading.Thread(target=guarded, args=(bridge,)) for bridge in bridges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expect(not wrong, f"{len(wrong)} of {len(bridges)}: {wrong[:1]}")


def reuse():
    """A refresh token from before the last rotation (a restored backup, say): the server revokes, and that is said."""
    with scene(PUBLIC, settings=given("public")) as (servers, home):
        sign_in(home)
        kept = {path: path.read_bytes() for path in home.path.rglob("*") if path.is_file() and "tokens" in path.name}
        expect(kept, "no token file found")
        whoami(home)
        servers.say("reject")
        whoami(home)
        expect(len(servers.tokens("refresh_token")) == 1, "not renewed")
        for path, content in kept.items():
            path.write_bytes(content)
        servers.say("reject")
        with Bridge([], home.environment()) as bridge:
            bridge.open()
            answer = bridge.ask("tools/call", {"name": "whoami", "arguments": {}})
            expect("sign" in str(answer).lower(), f"the answer does not speak of signing in: {answer}")
        refused = servers.all("token refused")
        expect([one["error"] for one in refused] == ["invalid_grant"], f"presented more than once: {refused}")
        step("a refresh token that was used before is presented once, and then a sign-in is asked for")
        sign_in(home)
        whoami(home)
        step("after signing in again all is well")


def logout():
    """`logout` withdraws the access at the server, and deletes it here."""
    with scene(PUBLIC, settings=given("public")) as (servers, home):
        sign_in(home)
        whoami(home)
        before = len(servers.events)
        done = command(home, "logout")
        expect(done.returncode == 0 and "revoked" in done.stdout, f"logout: {done}")
        servers.wait("refresh token destroyed", before)
        servers.wait("grant revoked", before)
        expect(command(home, "status").returncode == 3, "still signed in after logout")
        step("logout: seen at the server, gone here")
        servers.process.kill()
        servers.process.wait()
        expect("not signed in" in command(home, "logout").stdout, "a second logout")
        step("a second logout needs no server")


def device():
    """A code for another device; this server names no interval, so five seconds are waited."""
    with scene(PUBLIC, settings=given("public")) as (servers, home):
        with Login(home, "--device") as login:
            page_to_open = login.link()
            code = login.line(r"^    (\S+)$")
            page = forms.Browser().walk(page_to_open, user_code=code, login="ada")
            expect("Success" in page.text, f"the device page ends with: {page.text}")
            ended, said = login.end()
        expect(ended == 0, f"login --device ended with {ended}: {said}")
        issued = servers.tokens(DEVICE)
        expect(len(issued) == 1 and issued[0]["renewable"] and issued[0]["resource"] == servers.resource, f"{servers.events}")
        me = whoami(home)
        expect(me["sub"] == "ada", f"whoami says {me}")
        waited = servers.all("token refused")
        expect({one["error"] for one in waited} <= {"authorization_pending"}, f"asked too often: {waited}")
        step("signs in with a code on another device")


def refusal():
    """The person presses Cancel: that is said in the terminal and in the browser, and nothing is kept."""
    with scene(PUBLIC, settings=given("public")) as (servers, home):
        with Login(home) as login:
            page = forms.Browser().walk(login.link(), press="Cancel", login="ada")
            code, said = login.end()
        expect(code == 3 and "signed in to" not in said.lower(), f"login: {code} {said}")
        expect(page.status == 400 and "signed in" not in page.text, f"the last page: {page.text}")
        expect(not servers.all("token"), f"{servers.events}")
        expect(command(home, "status").returncode == 3, "signed in all the same")
        step("Cancel on the consent page ends it, with its reason")


def step_up():
    """A call that needs one more scope: the person is asked for both, and the call goes through."""
    with scene(PUBLIC, settings=given("public")) as (servers, home):
        opener, person = chromium.Opener(home), forms.Browser()
        with Bridge([], home.environment(**opener.environment)) as bridge:
            bridge.open()
            listing = Asking(bridge, "tools/list")
            person.walk(opener.link(), login="ada")
            listing.answer()
            changing = Asking(bridge, "tools/call", {"name": "change", "arguments": {"to": "blue"}})
            page = person.walk(opener.link(2), login="ada")
            expect(page.status == 200, f"the last page: {page.text}")
            answer = changing.answer()
            expect("changed to blue" in str(answer), f"the call: {answer}")
            me = told(bridge.call("whoami", {}))
            expect(set(me["scopes"]) == {"records:read", "records:write"}, f"whoami says {me}")
        expect(len(opener.opened()) == 2, f"{len(opener.opened())} tabs")
        servers.expect_peace()
        step("a wider scope is asked for when a call needs it, and nothing is lost")


def real_browser():
    """The whole of it in a real browser: the bridge's first list opens it, and goes on when the person is done."""
    with scene(PUBLIC, settings=given("public")) as (servers, home):
        opener = chromium.Opener(home)
        with Bridge([], home.environment(**opener.environment)) as bridge:
            bridge.open()
            listing = Asking(bridge, "tools/list")
            seen = chromium.visit(opener.link(), [
                {"fill": {"[name=login]": "ada", "[name=password]": "x"}, "press": "Sign-in"},
                {"press": "Continue"},
            ])
            expect(seen["heading"] == "You are signed in" and seen["status"] == 200, f"the last page: {seen}")
            listing.answer()
            me = told(bridge.call("whoami", {}))
            expect(me["sub"] == "ada", f"whoami says {me}")
            expect("whoami" in bridge.tools(), "the list is not the server's")
        expect(len(opener.opened()) == 1, f"{len(opener.opened())} tabs")
        servers.expect_peace()
        step("Chromium: one tab, login and consent, the last page, and the list that waited")


CASES = [
    ("given clients", given_clients), ("wrong client secret", wrong_secret), ("client credentials", machine),
    ("dynamic registration", registration), ("client id metadata document", metadata_document),
    ("rotation with reuse detection", rotation), ("a token from a backup", reuse), ("logout", logout),
    ("device flow", device), ("refusal", refusal), ("a wider scope", step_up), ("real browser", real_browser),
]

if __name__ == "__main__":
    parts.run(CASES)
