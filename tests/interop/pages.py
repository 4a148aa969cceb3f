#!/usr/bin/env python3
"""Real Chromium at the tenant's consent page, and at the bridge's own last pages: what a person sees there, in light and
dark, in a window as people have it and in a narrow one.

`pages.py DIR` also keeps a screenshot of each in DIR: some things only eyes can judge. Needs the program chromium.
"""

import pathlib
import re
import sys

import chromium
import parts
from parts import Home, Tenant, expect, step
from person import Login

SHOTS = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else None
ALLOW, CANCEL = [{"press": "Allow"}], [{"press": "Cancel"}]
# What WCAG 2.2 asks for at level AA (1.4.3); the bridge's own pages keep 7 (AAA, 1.4.6).
TENANT = 4.5
BACK = "go back to your app"


def look(name, link, steps, ends="/callback", contrast=7):
    """The last page of a walk, which is judged as far as a machine can; one of the tenant's may have less contrast."""
    page = chromium.visit(link, steps, ends, chromium.LOOKS, SHOTS, name)
    expect(page["language"] == "en" and page["title"], f"{name}: language and title: {page}")
    expect(page["tree"].count("[level=1]") == 1 and "- main:" in page["tree"], f"{name}: one h1 in main:\n{page['tree']}")
    for seen in page["looks"]:
        expect(seen["contrast"] >= contrast, f"{name}: contrast in {seen}")
        expect(not seen["overflows"], f"{name}: wider than its window: {seen}")
    # Whatever was loaded, or tried and kept off by the policy, would stand here.
    expect(page["requests"] == [page["url"]], f"{name}: it asks for {page['requests']}")
    # A status of 400 is an error to the console, and right: nobody is signed in.
    wrong = [line for line in page["complaints"] if "the server responded with a status of 4" not in line]
    expect(not wrong, f"{name}: the console says {wrong}")
    expect("default-src 'none'" in page["headers"]["content-security-policy"], f"{name}: {page['headers']}")
    expect(page["headers"]["cache-control"] == "no-store", f"{name}: {page['headers']}")
    return page


def last_page(name, login, steps, status):
    """The bridge's own page at the end of a sign-in, and how `login` ends."""
    page = look(name, login.link(), steps)
    code, said = login.end()
    expect(page["status"] == status and BACK in page["text"], f"{name}: {page['status']} {page['text']}")
    expect(page["title"] == f"{page['heading']} - planhat-mcp", f"{name}: title {page['title']}, heading {page['heading']}")
    nonce = re.search(r"style-src 'nonce-([\w-]{16,})'", page["headers"]["content-security-policy"])
    expect(nonce, f"{name}: {page['headers']}")
    return page, code, said


def scene(*options):
    """A tenant and a home that is set up for it."""
    tenant, home = Tenant(*options), Home()
    secret = home.file("secret", tenant.client_secret)
    return tenant, home, tenant.settings(token_store="file", client_secret_file=secret)


def allowed():
    """Allow: the consent page, the last page, a sign-in; and the same address once more."""
    tenant, home, settings = scene()
    with tenant, home:
        home.configure(**settings)
        with Login(home) as login:
            consent = look("consent", login.link(), [], None, TENANT)
            expect(consent["heading"].startswith("Allow "), f"not the consent page: {consent['text']}")
            page, code, said = last_page("signed-in", login, ALLOW, 200)
        expect(code == 0 and page["heading"] == "You are signed in", f"login: {code} {said}; {page['text']}")
        step("Allow: the consent page, \"You are signed in\", and it is so")


def refused():
    """Cancel: said in the browser and in the terminal, with the way out."""
    tenant, home, settings = scene()
    with tenant, home:
        home.configure(**settings)
        with Login(home) as login:
            page, code, said = last_page("refused", login, CANCEL, 400)
        expect(code == 3 and page["heading"] == "Access was not granted", f"login: {code} {said}; {page['text']}")
        expect("planhat-mcp login" in page["text"] and "access-denied" in page["text"], f"no way out: {page['text']}")
        expect(tenant.counted("consents_denied") == 1, "the tenant knows of no refusal")
        step("Cancel: \"Access was not granted\", with the way out")


def failed():
    """The code cannot be exchanged: the page does not call that signed in."""
    tenant, home, settings = scene()
    with tenant, home:
        home.configure(**{**settings, "client_secret_file": home.file("wrong", "sk_wrong")})
        with Login(home) as login:
            page, code, said = last_page("failed", login, ALLOW, 400)
        expect(code == 3 and page["heading"] == "The sign-in did not succeed", f"login: {code} {said}; {page['text']}")
        expect("What to do" in page["text"] and "client id and secret" in page["text"], f"no way out: {page['text']}")
        expect("sk_wrong" not in page["text"], "the secret is shown")
        step("a wrong client secret: \"The sign-in did not succeed\", with cause and way out")


def foreign():
    """An address from an earlier sign-in is turned away, and the true one still works."""
    tenant, home, settings = scene()
    with tenant, home:
        home.configure(**settings)
        with Login(home) as login:
            login.link()
            page = look("foreign", f"http://127.0.0.1:{tenant.port}/callback?code=x&state=of-another-time", [])
            expect(page["status"] == 400 and "newest tab" in page["text"], f"{page['status']} {page['text']}")
            last_page("signed-in", login, ALLOW, 200)
        step("an answer to another sign-in is turned away, and does not end this one")


def page_error(name, words, change, *options):
    """The tenant's page shows an error that leads nowhere."""
    tenant, home, settings = scene(*options)
    with tenant, home:
        home.configure(**{**settings, **change})
        with Login(home) as login:
            page = look(name.replace(" ", "-"), login.link(), [], None, TENANT)
        expect(words in page["text"], f"the page says: {page['text']}")
        expect(tenant.counted("consents_shown") == 0, "a consent page was shown")
        step(f"{name}: \"{words}\"")


def page_errors():
    """All that Planhat's page may say, as Planhat words it."""
    port = parts.free_port()
    page_error("wrong redirect URL", "Invalid redirect_uri: not registered for this client.", {"callback_port": port})
    page_error("wrong client id", "Invalid client_id: OAuth client not found.", {"client_id": "pk_elsewhere"})
    page_error("empty permissions", "You do not have any of the permissions this application requests.", {}, "--no-permissions")
    page_error("scope default", "OAuth permission check failed: missing permissions", {"scope": "default"})


CASES = [
    ("consent given", allowed), ("consent refused", refused), ("exchange refused", failed), ("another sign-in", foreign),
    ("errors of the tenant's page", page_errors),
]

if __name__ == "__main__":
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
    parts.run(CASES)
