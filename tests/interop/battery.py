"""One battery for every stack of stacks.py: a server that nobody here wrote, from the first sign-in to the logout.

What a stack cannot do is said by the stack, in words, and stands in the report; nothing is left out silently.
"""

import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import time
import urllib.parse
from collections.abc import Callable

import chromium
import forms
import parts
from parts import Bridge, Home, command, expect
from person import Asking, Login

# How long an access token lives here; the battery waits for the end of one.
LIFE = 6
LARGE = 3_000_000
REVISIONS = ("2025-11-25", "2025-06-18", "2024-11-05")
# Each stack is done within this; installing it and starting its server do not count.
SOON = 60


@dataclasses.dataclass(frozen=True)
class Stack:
    """A stack, and what is known of it. A text in the place of True says why it is not so."""

    name: str
    version: str
    # The command that serves at a port: it prints the address, or listens at `path`.
    argv: Callable[[int], list]
    environment: dict = dataclasses.field(default_factory=dict)
    path: str | None = None
    # Why the first sign-in is not good enough, for a server that takes the token of the second.
    second: str | None = None
    # What a person has to give besides the address.
    settings: dict = dataclasses.field(default_factory=dict)
    revisions: tuple = REVISIONS
    signs_in: bool | str = True
    asks: bool | str = True
    renews: bool | str = True
    # Where a GET ends all tokens in use, for a server that cannot issue one of a few seconds.
    rejects: str | None = None
    # Whether the server drops its sessions at SIGUSR1.
    forgets: bool = False
    # Why nobody can tell before the tab that the server has forgotten the client: then the person types `login --restart`.
    dead_link: str | None = None


class Server:
    """The stack's server as a process."""

    # The seconds that starting took, of all so far.
    starting = 0.0

    def __init__(self, stack, home, port):
        self.log, began = home.path / "server.log", time.monotonic()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [str(word) for word in stack.argv(port)], cwd=home.path, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if stack.path is None else log, stderr=log, text=True,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(home.path), **stack.environment, "PORT": str(port)},
            )
        try:
            self.url = self.address(stack, port)
            parts.wait_port(port)
        except parts.Failed as failure:
            self.stop()
            raise parts.Failed(f"the server does not start: {failure}\n{self.said()}") from None
        # What a stack takes to start is its own affair.
        Server.starting += time.monotonic() - began

    def address(self, stack, port):
        """Where it listens."""
        if stack.path is not None:
            return f"http://127.0.0.1:{port}{stack.path}"
        url = self.process.stdout.readline().strip()
        expect(url.startswith("http://127.0.0.1:"), f"its first line is {url!r}")
        return url

    def said(self):
        """The end of its log."""
        return self.log.read_text()[-3000:]

    def stop(self):
        """Ends it, and with it all that it had in memory."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()


def agree(method, _params):
    """What the client answers to the server's questions."""
    return {"action": "accept", "content": {"confirm": True}} if method == "elicitation/create" else None


def text(result):
    """What a tool says."""
    return "".join(part.get("text", "") for part in result["content"])


class Battery:
    """One run of one stack."""

    def __init__(self, stack, home):
        self.stack, self.home, self.port = stack, home, parts.free_port()
        self.did, self.opener = [], chromium.Opener(home)
        self.server = Server(stack, home, self.port)
        self.settings = {"url": self.server.url, "token_store": "file", "callback_port": parts.free_port(), **stack.settings}
        home.configure(**self.settings)

    def bridge(self):
        """A bridge, in whose time tabs open."""
        return Bridge(["--log-level", "debug"], self.home.environment(**self.opener.environment), agree)

    def done(self, what, known=True):
        """Writes down what worked, or why it is not to be had from this stack."""
        self.did.append(what if known is True else f"no {what}: {known}")

    def sign_in(self):
        """A person signs in at a terminal."""
        if self.stack.signs_in is not True:
            said = command(self.home, "login", "--no-browser")
            expect("needs no sign-in" in " ".join(said.stdout.split()), f"login: {said}")
            return self.done("sign-in", self.stack.signs_in)
        self.login()
        if self.stack.second is None:
            return self.done("sign-in")
        with self.bridge() as bridge:
            bridge.open()
            refused = bridge.ask("tools/call", {"name": "echo", "arguments": {"message": "too early"}})
            expect("login" in str(refused) or "sign in again" in str(refused), f"what to do is not said: {refused}")
        expect(not self.opener.opened(), "a tab was opened after a sign-in that had just succeeded")
        self.login()
        self.done(f"sign-in, by the second try: {self.stack.second}")

    def login(self, *arguments):
        """`login`, its link, and what the person does there."""
        with Login(self.home, "--no-browser", *arguments) as login:
            page = forms.Browser().walk(login.link(), **PERSON)
            code, said = login.end()
        expect(code == 0, f"login ended with {code}: {said}\nthe browser ended at {page.url}: {page.text}")

    def talk(self, bridge, revision):
        """What every client does, at one revision."""
        hello = bridge.open(revision, capabilities={"elicitation": {}} if revision >= "2025-06-18" else {})
        tools = bridge.tools()
        expect("echo" in tools, f"no echo is listed, but {list(tools)}")
        self.echo(bridge, revision)
        self.done(revision if hello["protocolVersion"] == revision else f"{revision} ({hello['protocolVersion']})")

    @staticmethod
    def echo(bridge, message):
        """One call, which is answered with what was said."""
        result = bridge.call("echo", {"message": message}, within=55)
        expect(not result.get("isError") and message in text(result), f"echo: {result}")

    def revisions(self):
        """Each revision of the handshake era, and what only one of them has to show."""
        for revision in self.stack.revisions:
            with self.bridge() as bridge:
                self.talk(bridge, revision)
                if revision != self.stack.revisions[0]:
                    continue
                received = text(bridge.call("large", {"length": LARGE}))
                expect(len(received) >= LARGE, f"3 MB became {len(received)} bytes")
                self.done("3 MB")
                if self.stack.asks is True:
                    said = text(bridge.call("deploy", {"env": "production"}))
                    expect("accept" in said, f"the tool that asks: {said}")
                self.done("question", self.stack.asks)
        expect(not self.opener.opened(), "a tab was opened although there is a sign-in")

    def access_tokens(self):
        """The stored record of the sign-in, as text."""
        return [path.read_text() for path in self.home.path.rglob("tokens.json")]

    def sessions(self):
        """The server forgets its sessions, as it does where it runs in several processes; the sign-in holds."""
        if not self.stack.forgets:
            return
        with self.bridge() as bridge:
            bridge.open()
            self.echo(bridge, "in a session")
            self.server.process.send_signal(signal.SIGUSR1)
            self.echo(bridge, "in another session")
        expect(not self.opener.opened(), "a tab was opened where a session was lost")
        self.done("lost session")

    def renewal(self):
        """The access token ends, and nobody is asked to sign in again."""
        if self.stack.renews is not True or self.stack.signs_in is not True:
            return self.done("renewal", self.stack.renews if self.stack.signs_in is True else "nothing to renew")
        with self.bridge() as bridge:
            bridge.open()
            self.echo(bridge, "before")
            before = self.access_tokens()
            if self.stack.rejects:
                forms.Browser().load(urllib.parse.urljoin(self.server.url, self.stack.rejects))
            else:
                time.sleep(LIFE + 1)
            self.echo(bridge, "after")
            expect(before != self.access_tokens(), "the access token is still the old one")
        expect(not self.opener.opened(), "a tab was opened where a renewal would have done")
        self.done("renewal")

    def restart(self):
        """The server is started anew, its memory is lost, and the bridge stays open."""
        with self.bridge() as bridge:
            bridge.open()
            self.echo(bridge, "before the restart")
            self.server.stop()
            self.server = Server(self.stack, self.home, self.port)
            asked = Asking(bridge, "tools/call", {"name": "echo", "arguments": {"message": "after the restart"}})
            tabs = 1 if self.stack.signs_in is True else 0
            if tabs:
                page = forms.Browser().walk(self.opener.link(), **PERSON)
                last = f"the browser ended at {page.url}: {page.status} {page.text[:300]}"
            is_dead = self.stack.dead_link is not None and "signed in" not in page.text.lower()
            if is_dead:
                self.login("--restart")
            answer = asked.answer()
            # A call that waits for a sign-in hears that it was started over; the next one goes through.
            answered = "echo" in str(answer.get("result")) or is_dead
            expect(answered, f"after the restart: {answer}\n{last if tabs else ''}")
            self.echo(bridge, "and again")
        expect(len(self.opener.opened()) == tabs, f"{len(self.opener.opened())} tabs, not {tabs}")
        words = f"restart ({tabs} tab{'s' * (tabs != 1)})"
        if is_dead:
            words = f"restart (a tab that ends in an error, then `login --restart`: {self.stack.dead_link})"
        self.done(words)

    def typed_login(self):
        """The server is started anew while nobody looks, and a person types `login`."""
        if self.stack.signs_in is not True:
            return
        tabs = len(self.opener.opened())
        self.server.stop()
        self.server = Server(self.stack, self.home, self.port)
        if self.stack.dead_link is None:
            self.login()
        else:
            with Login(self.home) as login:
                page = forms.Browser().walk(login.link(), **PERSON)
            expect("signed in" not in page.text.lower(), "the link is good, although the stack says that it is dead")
            self.login("--restart")
        with self.bridge() as bridge:
            bridge.open()
            self.echo(bridge, "after a typed login")
        expect(len(self.opener.opened()) == tabs, "a tab was opened although somebody has just signed in")
        self.done("login after a restart")

    def doctor(self):
        """All is well."""
        report = command(self.home, "doctor")
        expect(report.returncode == 0, f"doctor: {report.stdout}{report.stderr}")
        self.done("doctor")

    def logout(self):
        """Nothing is left."""
        if self.stack.signs_in is not True:
            return self.done("logout", "nobody is signed in")
        ended = command(self.home, "logout")
        expect(ended.returncode == 0, f"logout: {ended.stdout}{ended.stderr}")
        expect(command(self.home, "status").returncode == 3, "still signed in after logout")
        self.done("logout")

    def run(self):
        """All of it; what went wrong, if anything did."""
        parts_of_it = (
            self.sign_in, self.revisions, self.sessions, self.renewal, self.restart, self.typed_login, self.doctor, self.logout,
        )
        for part in parts_of_it:
            try:
                part()
            except (parts.Failed, subprocess.TimeoutExpired, queue.Empty, OSError) as failure:
                return f"in {part.__name__}: {str(failure) or repr(failure)}\nthe server:\n{self.server.said()}"
        return None


# Who signs in where a server asks: the names of the fields, and what is typed into them.
PERSON = {"login": "ada", "username": "ada", "email": "ada@example.com", "password": "correct horse"}


def play(stack):
    """Runs the battery; returns what was done, what went wrong (or None), and the seconds that it took."""
    began, before, did = time.monotonic(), Server.starting, []
    with Home() as home:
        try:
            battery = Battery(stack, home)
        except parts.Failed as failure:
            return did, str(failure), time.monotonic() - began
        did = battery.did
        try:
            wrong = battery.run()
        finally:
            battery.server.stop()
    seconds = time.monotonic() - began - (Server.starting - before)
    if wrong is None and seconds > SOON:
        wrong = f"it took {seconds:.0f} s, not {SOON}"
    return did, wrong, seconds
