#!/usr/bin/env python3
"""The program for Windows, in Wine: a sign-in that goes into the Credential Manager, what clients do to the bridge there, a
secret typed at a console, and the commands.

Needs wine64, a prefix (WINEPREFIX) and mingw; INTEROP_WINDOWS names the folder of planhat-mcp.exe. `.ci/windows` has all of
it. The tenant is Linux's own build.
"""

import contextlib
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time

import parts
from parts import Bridge, Home, Tenant, command, expect, step

WINE = shutil.which("wine64") or "/usr/lib/wine/wine64"
PREFIX = pathlib.Path(os.environ.get("WINEPREFIX", "/nonexistent"))
EXE = pathlib.Path(os.environ.get("INTEROP_WINDOWS", parts.ROOT / "target/x86_64-pc-windows-gnu/debug")) / "planhat-mcp.exe"
TOOL, ARGUMENTS = "list_model_records", {"MODEL": "Company", "LIMIT": 2}
# An item of the Credential Manager takes 2,560 bytes.
LONG_TOKEN = "canary-" + "x" * 6_000
# Wine takes two seconds for the end of a process.
END = 20


class Windows(Home):
    """A home that Wine makes for the user whom the environment names; and a folder with the programs that it is to find."""

    def __init__(self, exe=EXE):
        self.path = PREFIX / "drive_c/users/interop"
        self.own = self.path / ".planhat-mcp"
        self.config = self.own / "config.toml"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="interop-windows-"))
        self.clear()
        # What the other scripts call the program; it is found by INTEROP_BIN.
        wine = f"export WINEPREFIX='{PREFIX}' WINEDEBUG=-all LC_ALL=C.UTF-8\nexec '{WINE}'"
        self.program("planhat-mcp", f"{wine} '{exe}' \"$@\"")
        # What Wine gives links to: written down, and walked once nobody holds it up.
        self.links, self.held = self.folder / "opened", self.folder / "held"
        self.program("xdg-open", (
            f"printf '%s\\n' \"$1\" >>'{self.links}'\n"
            f"while [ -e '{self.held}' ]; do sleep 0.1; done\n"
            f"exec '{parts.program('planhat-sandbox')}' browse \"$1\""
        ))
        self.before = os.environ.get("INTEROP_BIN")
        os.environ["INTEROP_BIN"] = str(self.folder)

    def __exit__(self, *_):
        self.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        del os.environ["INTEROP_BIN"]
        if self.before:
            os.environ["INTEROP_BIN"] = self.before

    def program(self, name, script):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def clear(self):
        """As on the first day."""
        shutil.rmtree(self.own, ignore_errors=True)
        for item in self.items():
            self.registry("delete", item, "/f")

    def environment(self, **more):
        return super().environment(PATH=f"{self.folder}:{os.environ['PATH']}", **more)

    def registry(self, *words):
        """What `reg` says; Wine keeps the Credential Manager there."""
        environment = {**super().environment(), "WINEPREFIX": str(PREFIX), "WINEDEBUG": "-all"}
        done = subprocess.run([WINE, "reg", *words], env=environment, capture_output=True, timeout=60)
        return done.stdout.decode("utf-8", "replace")

    def items(self):
        """The items of this program in the Credential Manager."""
        found = self.registry("query", r"HKCU\Software\Wine\Credential Manager", "/s")
        return [line.strip() for line in found.splitlines() if line.startswith("HKEY") and "planhat-mcp" in line]

    def opened(self, within=END, count=1):
        """The links that were opened, once there are that many."""
        deadline = time.monotonic() + within
        while True:
            links = self.links.read_text().splitlines() if self.links.exists() else []
            if len(links) >= count:
                return links
            expect(time.monotonic() < deadline, f"{len(links)} links were opened, not {count}")
            time.sleep(0.1)


@contextlib.contextmanager
def scene(**settings):
    """A Windows, a tenant, and the environment with the client's secret."""
    with Windows() as home, Tenant() as tenant:
        home.configure(**tenant.settings(**settings))
        yield home, tenant, home.environment(PLANHAT_MCP_CLIENT_SECRET=tenant.client_secret)


def works(bridge, tenant):
    """Lists and calls."""
    tools = bridge.tools(60)
    if TOOL not in tools:
        bridge.wait(lambda m: m.get("method") == "notifications/tools/list_changed", "a new list", 60)
        tools = bridge.tools(60)
    expect(TOOL in tools, f"not the tenant's tools: {list(tools)}")
    before = tenant.counted(TOOL)
    result = bridge.call(TOOL, ARGUMENTS)
    expect(not result.get("isError") and tenant.counted(TOOL) == before + 1, f"the call failed: {result}")


def signed_in():
    """A sign-in in the browser, which two bridges wait for; a renewal; what the commands say; and out again."""
    with scene() as (home, tenant, environment):
        with Bridge([], environment) as first, Bridge([], environment) as second:
            for bridge in (first, second):
                bridge.open()
            works(first, tenant)
            works(second, tenant)
            [link] = home.opened()
            expect("&" in link and "state=" in link, f"the link did not arrive whole: {link}")
            expect(tenant.counted("consents_granted") == 1, "each of them signed in")
            step("two bridges at once: one browser opens, with the whole link, and both work")
            expect(home.items(), "nothing is in the Credential Manager")
            found = home.files_with("at_sandbox_", "rt_sandbox_", tenant.client_secret)
            expect(not found, f"a secret stands in {found}")
            step("the sign-in is in the Credential Manager, and in no file")
            tenant.say("expire")
            works(first, tenant)
            works(second, tenant)
            expect((tenant.counted("refreshes"), tenant.counted("refresh_reuse")) == (1, 0), "not one renewal")
            step("one of them renews the token for both")
            expect((first.close(END), second.close(END)) == (0, 0), "a bridge did not end well at the end of its input")
        step("both end at the end of their input")
        status = command(home, "status", environment=environment)
        expect(status.returncode == 0 and "Windows Credential Manager" in status.stdout, f"status: {status}")
        doctor = command(home, "doctor", "--report", "C:\\report ü.txt", environment=environment)
        expect(doctor.returncode == 0, f"doctor: {doctor}")
        expect(re.search(r"state folder +~\\\.planhat-mcp\\state", doctor.stdout), f"no Windows path: {doctor.stdout}")
        report = (PREFIX / "drive_c/report ü.txt").read_text()
        (PREFIX / "drive_c/report ü.txt").unlink()
        expect("planhat-mcp" in report and str(home.path.name) + "\\" not in report, f"the report: {report}")
        step("status and doctor are well, and the report names no home")
        logout = command(home, "logout", environment=environment)
        expect(logout.returncode == 0, f"logout: {logout}")
        expect(command(home, "status", environment=environment).returncode == 3, "still signed in after logout")
        expect(not [item for item in home.items() if "sign-in" in item], f"left: {home.items()}")
        reset = command(home, "reset", "--yes", environment=environment)
        expect(reset.returncode == 0, f"reset: {reset}")
        expect(not home.items(), f"left: {home.items()}")
        step("logout takes the sign-in out, and reset everything")


def long_record():
    """A record that no item takes is divided, and goes with all of its parts."""
    with scene() as (home, _tenant, environment):
        done = subprocess.run(
            [parts.program("planhat-mcp"), "login", "--token-from-stdin"], env=environment,
            input=LONG_TOKEN + "\n", capture_output=True, text=True, timeout=60,
        )
        expect(done.returncode == 0, f"login: {done}")
        expect(len(home.items()) > 3, f"not divided: {home.items()}")
        status = command(home, "status", environment=environment)
        expect(status.returncode == 0, f"status: {status}")
        expect("canary" not in done.stdout + done.stderr + status.stdout + status.stderr, "the token is shown")
        expect(command(home, "logout", environment=environment).returncode == 0, "logout failed")
        left = [item for item in home.items() if "#" in item]
        expect(not left, f"left: {left}")
        step("a record of 6,000 bytes is kept in several items, and none of them is left")


def killed():
    """A client that kills the bridge while somebody signs in: the sign-in goes on without it."""
    with scene() as (home, tenant, environment):
        home.held.touch()
        bridge = Bridge([], environment)
        bridge.open()
        bridge.send({"jsonrpc": "2.0", "id": "list", "method": "tools/list"})
        home.opened()
        bridge.process.kill()
        bridge.process.wait()
        home.held.unlink()
        wait_signed_in(home, environment)
        expect(tenant.counted("consents_granted") == 1, "no sign-in")
        step("killed while the sign-in goes on: it is made all the same")
        with Bridge([], environment) as bridge:
            bridge.open()
            works(bridge, tenant)
        expect(len(home.opened()) == 1, "a second browser")
        step("the next bridge is signed in")


def wait_signed_in(home, environment, within=40):
    deadline = time.monotonic() + within
    while (status := command(home, "status", environment=environment)).returncode:
        expect(time.monotonic() < deadline, f"not signed in: {status}")


def in_a_job():
    """A client whose death ends its job: where processes may leave the job, the sign-in does."""
    with tempfile.TemporaryDirectory() as folder:
        job = pathlib.Path(folder) / "job.exe"
        subprocess.run(["x86_64-w64-mingw32-gcc", "-o", job, parts.HERE / "job.c"], check=True)
        for kind in ("breakaway", "close"):
            with scene() as (home, tenant, environment):
                home.held.touch()
                exe = "Z:" + str(EXE.resolve()).replace("/", "\\")
                wine = f"WINEPREFIX='{PREFIX}' WINEDEBUG=-all exec '{WINE}' '{job}' {kind} '{exe}' \"$@\""
                (home.folder / "planhat-mcp").rename(home.folder / "alone")
                home.program("planhat-mcp", wine)
                bridge = Bridge([], environment)
                bridge.open()
                bridge.send({"jsonrpc": "2.0", "id": "list", "method": "tools/list"})
                home.opened()
                bridge.process.kill()
                bridge.process.wait()
                with bridge.arrived:
                    ended = bridge.arrived.wait_for(lambda: bridge.ended, END)
                expect(ended, "the bridge outlives its job")
                (home.folder / "alone").rename(home.folder / "planhat-mcp")
                home.held.unlink()
                if kind == "breakaway":
                    wait_signed_in(home, environment)
                    step("a job that may be left: the bridge ends with it, and the sign-in is made all the same")
                else:
                    with Bridge([], environment) as bridge:
                        bridge.open()
                        works(bridge, tenant)
                    step("a job that nothing may leave takes the sign-in with it, and the next bridge signs in")


def unread_log():
    """A client that never reads stderr, which fills up."""
    with scene() as (home, tenant, environment):
        environment["PLANHAT_MCP_TOKEN"] = tenant.private_app_token
        with Silent(["--log-level", "trace"], environment) as bridge:
            bridge.open()
            for _ in range(60):
                works(bridge, tenant)
        step("a log that nobody reads holds up nothing, and not the end")


class Silent(Bridge):
    """A client that leaves stderr alone."""

    def _read_log(self):
        pass


def odd_names():
    """Spaces and letters beyond ASCII in every path."""
    with tempfile.TemporaryDirectory(prefix="Übung mit Leerzeichen ") as folder:
        exe = pathlib.Path(folder) / "planhat mcp ß.exe"
        shutil.copy(EXE, exe)
        with Windows(exe) as home, Tenant() as tenant:
            inside = PREFIX / "drive_c" / "Прога ü"
            inside.mkdir(exist_ok=True)
            try:
                (inside / "die Einstellungen.toml").write_text(
                    f'url = "{tenant.url}"\nclient_id = "{tenant.client_id}"\nscope = "inclusive"\n'
                    f'callback_port = {tenant.port}\ntoken_store = "file"\nlog_file = "das Log ü.txt"\nlog_level = "debug"\n'
                    f"client_secret_file = 'C:\\Прога ü\\geheim ß'\n"
                )
                (inside / "geheim ß").write_text(tenant.client_secret)
                words = ["--config", "C:\\Прога ü\\die Einstellungen.toml"]
                environment = home.environment()
                login = command(home, "login", *words, environment=environment)
                expect(login.returncode == 0, f"login: {login}")
                with Bridge(words, environment) as bridge:
                    bridge.open()
                    works(bridge, tenant)
                expect((inside / "das Log ü.txt").stat().st_size > 0, "no log beside the settings")
                config = command(home, "config", *words, environment=environment)
                expect("C:\\Прога ü\\die Einstellungen.toml" in config.stdout, f"config: {config.stdout}")
            finally:
                shutil.rmtree(inside)
    step("spaces and letters beyond ASCII in the names of program, settings, secret and log")


def typed():
    """The client secret, typed at a console, where nobody reads it."""
    with scene() as (home, tenant, _environment):
        shown, code = at_a_console(home, ["login", "--client-secret-file", "-"], "Client secret:", tenant.client_secret)
        expect(code == 0 and "Signed in to" in shown, f"login ended with {code}: {shown}")
        expect("will be visible" not in shown, f"login says that the secret is shown: {shown}")
        expect(tenant.client_secret not in shown, f"login shows the secret: {shown}")
        step("a secret that is typed at a console is not shown")


def at_a_console(home, words, question, answer, within=60):
    """What a command shows at a console, and its exit code; the answer is typed once the question stands there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [parts.program("planhat-mcp"), *words], env=home.environment(TERM="xterm"), stdin=theirs, stdout=theirs,
        stderr=theirs, start_new_session=True,
    )
    os.close(theirs)
    text, deadline, asked = "", time.monotonic() + within, False
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 0.2)
        if ready:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            text += piece.decode(errors="replace")
        elif process.poll() is not None:
            break
        # Wine takes the terminal's own echo away once the program reads.
        if not asked and question in plain(text) and not termios.tcgetattr(ours)[3] & termios.ECHO:
            asked = True
            os.write(ours, f"{answer}\r".encode())
    os.close(ours)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        raise parts.Failed(f"{words} did not end: {plain(text)}")
    return plain(text), process.returncode


def plain(text):
    """What a console draws, without how it draws it: it moves its cursor instead of writing spaces."""
    text = re.sub(r"\x1b\[\d*C", " ", text)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07", "", text)


if __name__ == "__main__":
    if not EXE.is_file() or not PREFIX.is_dir():
        sys.exit(f"no {EXE}, or no prefix of Wine; run .ci/windows")
    cases = [
        ("signed in", signed_in), ("a long record", long_record), ("killed", killed), ("in a job", in_a_job),
        ("a log that nobody reads", unread_log), ("odd names", odd_names), ("typed at a console", typed),
    ]
    # Wine makes a user's home with the first program that runs for them; what is put there meanwhile can get lost.
    with Windows() as someone:
        made = someone.environment(WINEPREFIX=str(PREFIX), WINEDEBUG="-all")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([WINE, "wineboot", "--init"], env=made, timeout=180, check=True, **quiet)
    parts.run([(name, case) for name, case in cases if not sys.argv[1:] or name in sys.argv[1:]])
