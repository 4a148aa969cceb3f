#!/usr/bin/env python3
"""The whole program and a real keychain: gnome-keyring on a message bus of its own, unlocked, locked and absent.

Needs the programs dbus-daemon, gdbus, gnome-keyring-daemon and secret-tool. Nothing of the user's own keychain is touched.
"""

import contextlib
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import parts
from parts import Bridge, Home, Tenant, command, expect, step

PASSWORD = "a password for this test alone"
LOGIN_RING = "/org/freedesktop/secrets/collection/login"
TOOL, ARGUMENTS = "list_model_records", {"MODEL": "Company", "LIMIT": 2}
# Where programs look for the bus that are not told; clients pass no address.
OWN_BUS = pathlib.Path(f"/run/user/{os.getuid()}/bus")


class Keyring:
    """A message bus and gnome-keyring on it, with a home of its own."""

    def __init__(self, bus=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="interop-keyring-"))
        (self.folder / "run").mkdir(mode=0o700)
        # No display: nobody can be asked for the password.
        self.environment = {"HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.folder / "run"), "PATH": os.environ["PATH"]}
        address = bus or self.folder / "run" / "bus"
        self.bus = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", f"--address=unix:path={address}", "--print-address"],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        self.address = self.bus.stdout.readline().strip()
        expect(self.address, "no message bus")
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = self.address
        self.daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],
            env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        self.daemon.stdin.write(PASSWORD.encode())
        self.daemon.stdin.close()
        wait = ["gdbus", "wait", "--session", "--timeout", "20", "org.freedesktop.secrets"]
        subprocess.run(wait, env=self.environment, check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in (self.daemon, self.bus):
            process.terminate()
            process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def lock(self):
        """Locks it, as a desktop does when its user goes."""
        service = ["--dest", "org.freedesktop.secrets", "--object-path", "/org/freedesktop/secrets"]
        method = ["--method", "org.freedesktop.Secret.Service.Lock", f"['{LOGIN_RING}']"]
        subprocess.run(["gdbus", "call", "--session", *service, *method], env=self.environment, check=True, capture_output=True)

    def unlock(self):
        """Unlocks it again as the login screen does, over the daemon's control socket."""
        password = PASSWORD.encode()
        # A byte that carries the credentials, then the packet: its length, the operation (1 is unlock), the password.
        packet = struct.pack(">III", 12 + len(password), 1, len(password)) + password
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(20)
            control.connect(str(self.folder / "run" / "keyring" / "control"))
            control.sendall(b"\0")
            control.sendall(packet)
            answer = control.recv(8, socket.MSG_WAITALL)
        expect(answer == struct.pack(">II", 8, 0), f"the keyring was not unlocked: {answer}")

    def items(self):
        """How many items of the bridge it holds."""
        search = ["secret-tool", "search", "--all", "service", "planhat-mcp"]
        found = subprocess.run(search, env=self.environment, capture_output=True, text=True, timeout=20)
        return len(re.findall(r"^\[/", found.stdout, re.MULTILINE))

    def damage(self):
        """Puts something else in the place of the sign-in."""
        search = ["secret-tool", "search", "--all", "service", "planhat-mcp"]
        found = subprocess.run(search, env=self.environment, capture_output=True, text=True, timeout=20)
        names = re.findall(r"^attribute\.username = (.* sign-in .*)$", found.stderr, re.MULTILINE)
        expect(len(names) == 1, f"not one sign-in: {names}")
        attributes = ["service", "planhat-mcp", "username", names[0]]
        subprocess.run(["secret-tool", "clear", *attributes], env=self.environment, check=True, timeout=20)
        store = ["secret-tool", "store", "--label", "damaged", *attributes]
        subprocess.run(store, env=self.environment, input="{\"version\"", text=True, check=True, timeout=20)


@contextlib.contextmanager
def scene(keyring, **settings):
    """A tenant, a home, and what the bridge's environment is: without a browser and with one."""
    with Home() as home, Tenant() as tenant:
        home.configure(**tenant.settings(**settings))
        bus = {"DBUS_SESSION_BUS_ADDRESS": keyring.address} if keyring else {}
        secret = {"PLANHAT_MCP_CLIENT_SECRET": tenant.client_secret}
        yield home, tenant, home.environment(**bus, **secret), home.environment(**bus, **secret, BROWSER=tenant.sandbox)


def works(environment, tenant):
    """A bridge process lists and calls."""
    with Bridge([], environment) as bridge:
        bridge.open()
        expect(TOOL in bridge.tools(), f"not the tenant's tools: {list(bridge.tools())}; log:\n" + "\n".join(bridge.log[-9:]))
        before = tenant.counted(TOOL)
        result = bridge.call(TOOL, ARGUMENTS)
        expect(not result.get("isError") and tenant.counted(TOOL) == before + 1, f"the call failed: {result}")


def nothing_in_files(home, tenant):
    """No token and no client secret in any file of the home."""
    found = home.files_with("at_sandbox_", "rt_sandbox_", tenant.client_secret)
    expect(not found, f"a secret stands in {found}")


def unlocked():
    """A sign-in goes into the keychain, and from there to the next process; `logout` takes it out."""
    with Keyring() as keyring, scene(keyring) as (home, tenant, alone, with_browser):
        works(with_browser, tenant)
        expect(tenant.counted("consents_granted") == 1 and keyring.items() > 0, f"{keyring.items()} items in the keychain")
        nothing_in_files(home, tenant)
        step("the sign-in is in the keychain, and in no file")
        works(alone, tenant)
        expect(tenant.counted("authorize_hits") == 1, "the second process signed in again")
        step("a second process uses it, without a tab")
        tenant.say("expire")
        works(alone, tenant)
        works(alone, tenant)
        expect(tenant.counted("refreshes") == 1 and tenant.counted("refresh_reuse") == 0, "the rotated token was not kept")
        nothing_in_files(home, tenant)
        step("a refreshed token replaces the old one there")
        status = command(home, "status", environment=alone)
        expect(status.returncode == 0 and "keychain" in status.stdout, f"status: {status}")
        logout = command(home, "logout", environment=alone)
        expect(logout.returncode == 0 and keyring.items() == 0, f"{keyring.items()} items left; {logout}")
        expect(command(home, "status", environment=alone).returncode == 3, "still signed in after logout")
        step("status names it, logout empties it")


def secret_from_input():
    """The client secret, typed once at `login`, lies in the keychain and serves every later process."""
    with Keyring() as keyring, scene(keyring) as (home, tenant, alone, with_browser):
        del alone["PLANHAT_MCP_CLIENT_SECRET"], with_browser["PLANHAT_MCP_CLIENT_SECRET"]
        done = subprocess.run(
            [parts.program("planhat-mcp"), "login", "--client-secret-file", "-"], env=with_browser,
            input=tenant.client_secret + "\n", capture_output=True, text=True, timeout=60,
        )
        expect(done.returncode == 0, f"login failed: {done.stdout}{done.stderr}")
        expect(tenant.client_secret not in done.stdout + done.stderr, "login shows the secret")
        nothing_in_files(home, tenant)
        tenant.say("expire")
        works(alone, tenant)
        expect(tenant.counted("refreshes") == 1, "not refreshed")
        step("a client secret from standard input is kept there, and a refresh finds it")


def locked():
    """While nobody can unlock it: a clear word, no tab, nothing lost; afterwards all goes on."""
    with Keyring() as keyring, scene(keyring) as (home, tenant, alone, with_browser):
        works(with_browser, tenant)
        items = keyring.items()
        keyring.lock()
        with Bridge([], with_browser) as bridge:
            bridge.open()
            answer = bridge.ask("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
            expect("locked" in str(answer), f"the answer does not say that it is locked: {answer}")
            expect(tenant.counted("authorize_hits") == 1, "a locked keychain was taken for signed out")
            step("locked: the call is told so, and no tab opens")
            status = command(home, "status", environment=alone)
            expect(status.returncode == 5 and "locked" in status.stderr, f"status: {status}")
            logout = command(home, "logout", environment=alone)
            expect(logout.returncode == 5 and "locked" in logout.stderr, f"logout: {logout}")
            login = command(home, "login", environment=with_browser)
            expect(login.returncode == 5 and "locked" in login.stderr, f"login: {login}")
            expect(tenant.counted("authorize_hits") == 1, "login lets somebody sign in, and only then finds it locked")
            step("locked: status, logout and login say so, and no tab opens")
            keyring.unlock()
            expect(keyring.items() == items, f"{items} items before, {keyring.items()} after")
            # A keychain that said no is left alone for a moment, so that nobody is asked for the password ten times.
            soon = time.monotonic() + 10
            while (result := bridge.call(TOOL, ARGUMENTS)).get("isError") and time.monotonic() < soon:
                time.sleep(0.2)
            expect(not result.get("isError"), f"10 s after unlocking: {result}")
        works(alone, tenant)
        expect(tenant.counted("authorize_hits") == 1, "signed in again after unlocking")
        step("unlocked again: the same process and the next one go on, signed in")


def damaged():
    """A record that nobody can read is named, and `doctor --fix` makes room for a new sign-in."""
    with Keyring() as keyring, scene(keyring) as (home, tenant, alone, with_browser):
        works(with_browser, tenant)
        items = keyring.items()
        keyring.damage()
        doctor = command(home, "doctor", environment=alone)
        expect("the stored sign-in cannot be read" in doctor.stdout, f"doctor does not name it: {doctor}")
        fixed = command(home, "doctor", "--fix", "--yes", environment=alone)
        expect("its record is deleted" in " ".join(fixed.stdout.split()), f"doctor --fix does not say what it does: {fixed}")
        expect(keyring.items() == items - 1, f"{keyring.items()} of {items} items left")
        again = command(home, "doctor", environment=alone)
        expect("cannot be read" not in again.stdout, f"doctor still finds it: {again}")
        works(with_browser, tenant)
        expect(tenant.counted("consents_granted") == 2, "no new sign-in")
        works(alone, tenant)
        step("a damaged record is named by doctor, deleted by doctor --fix, and the next sign-in takes its place")


def absent():
    """Without a keychain: an error that names the way out, which then works."""
    with scene(None) as (home, tenant, _alone, with_browser):
        done = command(home, "login", environment=with_browser)
        expect(done.returncode == 5 and "--token-store" in done.stderr, f"login: {done}")
        expect(tenant.counted("authorize_hits") == 0, "login lets somebody sign in, and only then finds no keychain")
        step("absent: login names --token-store, before it opens a browser")
        with Bridge([], with_browser) as bridge:
            bridge.open()
            answer = bridge.ask("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
            expect("--token-store" in str(answer), f"the answer does not name --token-store: {answer}")
        expect(tenant.counted("authorize_hits") == 0, "the bridge lets somebody sign in for nothing")
        step("absent: a call is told so, and no tab opens")
        done = command(home, "login", "--token-store", "file", environment=with_browser)
        expect(done.returncode == 0, f"login --token-store file: {done}")
        step("absent: with --token-store file it works")


def found_without_address():
    """Clients pass no bus address: the bridge looks where the system has it."""
    OWN_BUS.parent.mkdir(mode=0o700)
    try:
        with Keyring(bus=OWN_BUS) as keyring, scene(None) as (home, tenant, alone, with_browser):
            works(with_browser, tenant)
            expect(keyring.items() > 0, "it is not in the keychain")
            works(alone, tenant)
            nothing_in_files(home, tenant)
            step("found at its usual place by a process that was told nothing")
    finally:
        shutil.rmtree(OWN_BUS.parent, ignore_errors=True)


CASES = [("keychain unlocked", unlocked), ("client secret typed", secret_from_input), ("keychain locked", locked), ("keychain damaged", damaged)]
if not OWN_BUS.parent.exists():
    CASES.append(("keychain absent", absent))
    # Only where nobody is logged in, and the place can be made.
    if os.access(OWN_BUS.parent.parent, os.W_OK):
        CASES.append(("keychain without an address", found_without_address))

if __name__ == "__main__":
    parts.run(CASES)
