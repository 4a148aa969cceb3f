#!/usr/bin/env python3
"""The commands in a real terminal of 80 columns: colors where they are wanted and nowhere else, no line that the terminal
would break in the middle of a word, and something to do for each row of `doctor` that is not well.
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import parts
from parts import Home, Tenant, expect, program, step

COLUMNS, ROWS = 80, 50
WITHIN = 40
ESCAPE = re.compile(r"\x1b\[([0-9;]*)m")


def shown(home, words, within=WITHIN, answers=(), **environment):
    """What a command shows on a terminal, and its exit code. Each of `answers`, a question and what is typed at it, is given
    once, when the question stands there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    variables = home.environment(TERM="xterm-256color", **environment)
    process = subprocess.Popen(
        [program("planhat-mcp"), *words], env=variables, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
    )
    os.close(theirs)
    text, deadline = b"", time.monotonic() + within
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 0.2)
        if not ready:
            continue
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        text += piece
        if answers and answers[0][0].encode() in text:
            os.write(ours, f"{answers[0][1]}\r".encode())
            answers = answers[1:]
    os.close(ours)
    if process.poll() is None:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise parts.Failed(f"{words} did not end within {within} s") from None
    return text.decode().replace("\r\n", "\n"), process.returncode


def fits(text, what):
    """No line is wider than the terminal, but for an address or a path at its end that fits into no column."""
    for line in ESCAPE.sub("", text).splitlines():
        longest = len(line.split()[-1]) if line.split() else 0
        expect(len(line) <= COLUMNS or longest > COLUMNS - 28, f"{what} breaks badly: {line!r}")
    expect("\x1b" not in ESCAPE.sub("", text), f"{what} does more to the terminal than color")


def both(home, words, code, **environment):
    """With colors and without, the same text; returns it."""
    colored, first = shown(home, words, **environment)
    plain, second = shown(home, words, NO_COLOR="1", **environment)
    what = "planhat-mcp " + " ".join(words)
    expect(first == second == code, f"{what} ended with {first} and {second}, not {code}: {plain}")
    expect(not ESCAPE.search(plain), f"{what} is colored though NO_COLOR is set")
    fits(colored, what)
    fits(plain, what)
    return colored, plain


def rows_end_in_something_to_do(text):
    """Each row that is not well has its way out."""
    wrong = re.findall(r"^  (?:warn|fail) ", text, re.MULTILINE)
    ways = re.findall(r"^ +fix  \S", text, re.MULTILINE)
    expect(len(wrong) == len(ways), f"{len(wrong)} rows are not well and {len(ways)} ways out are shown:\n{text}")
    return len(wrong)


def signed_out_and_in():
    """From nothing to a sign-in and back."""
    with Home() as home, Tenant() as tenant:
        secret = home.file("secret", tenant.client_secret)
        home.configure(**tenant.settings(token_store="file", client_secret_file=secret))
        colored, plain = both(home, ["status"], 3)
        expect(ESCAPE.search(colored), "status has no colors on a terminal")
        expect("To sign in: planhat-mcp login" in plain, f"status does not say what to do: {plain}")
        _, plain = both(home, ["doctor"], 3)
        expect(rows_end_in_something_to_do(plain) >= 1, "doctor finds nothing wrong though nobody is signed in")
        step("signed out: status and doctor say what to do")
        text, code = shown(home, ["login"], BROWSER=tenant.sandbox)
        expect(code == 0 and "Signed in to" in text, f"login failed: {text}")
        fits(text, "login")
        step("login fits the terminal")
        both(home, ["status"], 0)
        _, plain = both(home, ["doctor"], 0)
        expect(rows_end_in_something_to_do(plain) == 0, f"doctor finds something wrong:\n{plain}")
        both(home, ["config"], 0)
        _, plain = both(home, ["--help"], 0)
        expect("doctor" in plain, "the help does not name doctor")
        text, code = shown(home, ["logout"])
        expect(code == 0, f"logout failed: {text}")
        fits(text, "logout")
        step("signed in: status, doctor, config, --help and logout, with colors and without")


def mending():
    """`doctor --fix` says what it will do, and does it after a yes alone."""
    with Home() as home, Tenant() as tenant:
        secret = home.file("secret", tenant.client_secret)
        home.configure(**tenant.settings(token_store="file", client_secret_file=secret))
        text, code = shown(home, ["login"], BROWSER=tenant.sandbox)
        expect(code == 0, f"login failed: {text}")
        [tokens] = home.path.rglob("tokens.json")
        for answer, mode in [("", 0o644), ("n", 0o644), ("y", 0o600)]:
            tokens.chmod(tokens.stat().st_mode | 0o644)
            text, code = shown(home, ["doctor", "--fix"], answers=[("[y/N]", answer)])
            fits(text, "doctor --fix")
            plain = ESCAPE.sub("", text)
            expect(0 <= plain.find("  wrong ") < plain.index("[y/N]"), f"it does not say what is wrong before it asks: {plain}")
            expect(tokens.stat().st_mode & 0o777 == mode, f"after {answer!r} the mode is {tokens.stat().st_mode:o}: {plain}")
            expect(code == 0 or answer != "y", f"doctor --fix ended with {code}: {plain}")
        text, code = shown(home, ["status"])
        expect(code == 0, f"the sign-in is not kept: {text}")
        step("doctor --fix: it asks, and only a yes mends")


def with_nobody_there():
    """A server that is gone: bounded, and each failure has a way out."""
    with Home() as home:
        home.configure(url=f"http://127.0.0.1:{parts.free_port()}/mcp", client_id="x", token_store="file")
        started = time.monotonic()
        _, plain = both(home, ["doctor"], 4)
        expect(rows_end_in_something_to_do(plain) >= 1, f"nothing is wrong?\n{plain}")
        expect(time.monotonic() - started < 2 * WITHIN, "doctor took too long")
        step("a server that is gone: doctor says so and ends")


parts.run([
    ("a terminal of 80 columns", signed_out_and_in),
    ("a terminal, and what is to mend", mending),
    ("a terminal, and no server", with_nobody_there),
])
