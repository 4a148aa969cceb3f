#!/usr/bin/env python3
"""Signing in within the conversation, with a client that nobody here wrote: the Python SDK shows the link of a sign-in
(URL-mode elicitation), in the handshake era and in the stateless one. The bridge opens no browser.
"""

import json
import subprocess

import parts
import peers
from parts import Home, Tenant, expect, program, step

MODES = ["auto", "legacy", "2026-07-28"]
PATIENCE = 90


def run(mode, answer, home, tenant):
    """One run of the client; returns what it saw."""
    order = {
        "mode": mode, "command": program("planhat-mcp"), "browse": tenant.sandbox, "answer": answer,
        # A browser that would be noticed, if the bridge opened one: its sign-in would be a second one.
        "environment": {"BROWSER": tenant.sandbox},
    }
    done = subprocess.run(
        [peers.python(peers.PYTHON_SDK), str(parts.HERE / "sdk_links_client.py"), json.dumps(order)],
        env=home.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
    )
    expect(done.returncode == 0, f"the client failed ({done.returncode}):\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)


def begin(home, tenant):
    """A home that knows the tenant, and in which nobody is signed in."""
    home.configure(**tenant.settings(token_store="file", client_secret_file=home.file("secret", tenant.client_secret)))


def accepted(mode):
    """The user opens the link; the call goes on, and the next one needs nothing."""
    with Home() as home, Tenant() as tenant:
        begin(home, tenant)
        seen = run(mode, "accept", home, tenant)
        expect(len(seen["shown"]) == 1, f"shown {len(seen['shown'])} times, not once: {seen}")
        shown = seen["shown"][0]
        expect(shown["mode"] == "url" and "code_challenge" in shown["url"], f"not the link of a sign-in: {shown}")
        expect(all('"name"' in text for text in seen["texts"]), f"no companies came: {seen['texts']}")
        counted = (tenant.counted("authorize_hits"), tenant.counted("consents_granted"))
        expect(counted == (1, 1), f"pages and consents: {counted}")
        step(f"revision {seen['revision']}: the link is shown once, and both calls are answered")


def declined(mode):
    """The user does not want to; the call says so, and the next one does not ask again."""
    with Home() as home, Tenant() as tenant:
        begin(home, tenant)
        seen = run(mode, "decline", home, tenant)
        expect(len(seen["shown"]) == 1, f"shown {len(seen['shown'])} times, not once: {seen}")
        expect(seen["is_error"] and all("declined" in text for text in seen["texts"]), f"not said: {seen['texts']}")
        expect(tenant.counted("authorize_hits") == 0, "a page was opened all the same")
        step(f"revision {seen['revision']}: a refusal is respected")


def cases():
    """All of them."""
    for mode in MODES:
        yield f"Python SDK, {mode}, accepted", lambda mode=mode: accepted(mode)
        yield f"Python SDK, {mode}, declined", lambda mode=mode: declined(mode)


parts.run(cases())
