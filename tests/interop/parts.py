"""What the interop scripts share: the programs under test, a home of their own, the tenant, and an MCP client on pipes.

Python's standard library only. Everything listens on loopback, lives below one temporary folder and ends with the script.
"""

import contextlib
import json
import os
import pathlib
import queue
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]

REVISION = "2025-11-25"
CLIENT_INFO = {"name": "planhat-mcp-interop", "version": "1"}


class Failed(Exception):
    """Something was not as it should be; the text says what."""


def program(name):
    """The built program: the release build where there is one, and INTEROP_BIN may name another folder."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    places = [target / "release", target / "debug"]
    if "INTEROP_BIN" in os.environ:
        places = [pathlib.Path(os.environ["INTEROP_BIN"])] + places
    for place in places:
        if os.access(place / name, os.X_OK):
            return str((place / name).resolve())
    raise Failed(f"{name} is not built; run cargo build --release -p planhat-mcp && cargo build -p planhat-sandbox")


def free_port():
    """A loopback port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_port(port, within=30):
    """Blocks until somebody listens there."""
    deadline = time.monotonic() + within
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        expect(time.monotonic() < deadline, f"nobody listens on port {port} within {within} s")
        time.sleep(0.05)


def expect(condition, text):
    """Fails with the text unless the condition holds."""
    if not condition:
        raise Failed(text)


def step(text):
    """Says what was just seen to work."""
    print(f"  ok    {text}", flush=True)


class Home:
    """A home directory of its own, and the environment that MCP clients leave to the servers that they start."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="interop-home-"))
        self.config = self.path / ".config" / "planhat-mcp" / "config.toml"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def environment(self, **more):
        """HOME, LOGNAME, PATH, SHELL, TERM and USER, as the Python SDK and the Inspector pass them, and `more`."""
        kept = {"HOME": str(self.path), "LOGNAME": "interop", "USER": "interop", "SHELL": "/bin/sh", "TERM": "dumb"}
        return {**kept, "PATH": os.environ["PATH"], **more}

    def configure(self, **values):
        """Writes the configuration file: it carries what the environment cannot."""
        self.config.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def file(self, name, text):
        """Writes a file that only the user may read."""
        path = self.path / name
        path.touch(mode=0o600)
        path.write_text(text)
        return str(path)

    def files_with(self, *needles):
        """The files below this home in which one of the needles stands."""
        found = []
        for path in sorted(self.path.rglob("*")):
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                found += [str(path.relative_to(self.path)) for needle in needles if needle.encode() in content]
        return found


class Tenant:
    """A made-up tenant (`planhat-sandbox serve`), as a process."""

    def __init__(self, *options):
        self.port = free_port()
        self.sandbox = program("planhat-sandbox")
        self.process = subprocess.Popen(
            [self.sandbox, "serve", "--callback-port", str(self.port), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        facts = {}
        while "Ctrl-C" not in (line := self._line()):
            if found := re.match(r"  ([A-Za-z ]+?) {2,}(\S+)", line):
                facts[found[1]] = found[2]
        self.url, self.client_id, self.client_secret = (facts[k] for k in ("MCP endpoint", "client id", "client secret"))
        self.private_app_token = facts["Private App"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _line(self):
        line = self.lines.get(timeout=20)
        expect(line is not None, "the tenant has ended")
        return line

    def say(self, word):
        """One of the words that `serve` obeys."""
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def counted(self, name):
        """One number: a counter by its name, or a key of one of the counters' tables, such as a tool."""
        self.say("counters")
        text = ""
        while (line := self._line()).rstrip() != "}":
            text += line
        found = re.search(rf'^ +"?{re.escape(name)}"?: (\d+),', text, re.MULTILINE)
        return int(found[1]) if found else 0

    def settings(self, **more):
        """What the configuration file says to reach this tenant; by its URL, so Planhat's own scope is not assumed."""
        return {
            "url": self.url, "client_id": self.client_id, "scope": "inclusive", "callback_port": self.port, **more
        }

    def browse(self, link):
        """Opens a sign-in link as a person does who presses Allow."""
        done = subprocess.run([self.sandbox, "browse", link], capture_output=True, text=True, timeout=30)
        expect(done.returncode == 0, f"the browser got nowhere: {done.stderr}")


class Bridge:
    """The bridge as a child process, and an MCP client on its pipes: lines out, lines in."""

    def __init__(self, arguments, environment, answer=None):
        self.answer = answer or self.refuse
        self.process = subprocess.Popen(
            [program("planhat-mcp"), *arguments], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        )
        self.log, self.seen, self.last_id, self.wrong = [], [], 0, None
        self.arrived = threading.Condition()
        self.ended = False
        self.writing = threading.Lock()
        self.readers = [threading.Thread(target=run, daemon=True) for run in (self._read, self._read_log)]
        for reader in self.readers:
            reader.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            # What went wrong is known already; how it ends is not the question any more.
            self.process.kill()
            self.process.wait()

    @staticmethod
    def refuse(_method, _params):
        """What a client without capabilities says to the server's requests."""
        return None

    def _read(self):
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                self.wrong = f"a line on standard output is no JSON: {line[:200]!r}"
                continue
            if "method" in message and "id" in message:
                threading.Thread(target=self._reply, args=(message,), daemon=True).start()
            with self.arrived:
                self.seen.append(message)
                self.arrived.notify_all()
        with self.arrived:
            self.ended = True
            self.arrived.notify_all()

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip())

    def _reply(self, request):
        result = self.answer(request["method"], request.get("params") or {})
        outcome = {"result": result} if result is not None else {"error": {"code": -32601, "message": "no such method"}}
        self.send({"jsonrpc": "2.0", "id": request["id"], **outcome})

    def send(self, message):
        """Writes one message."""
        with self.writing, contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def tell(self, method):
        """Sends a notification."""
        self.send({"jsonrpc": "2.0", "method": method})

    def ask(self, method, params=None, within=30):
        """Sends a request and returns the whole answer."""
        with self.arrived:
            self.last_id += 1
            own = self.last_id
        self.send({"jsonrpc": "2.0", "id": own, "method": method, "params": params or {}})
        return self.wait(lambda m: m.get("id") == own and "method" not in m, f"an answer to {method}", within)

    def wait(self, wanted, what, within=30):
        """The first message, past or to come, that is wanted."""
        deadline, start = time.monotonic() + within, 0
        with self.arrived:
            while True:
                for message in self.seen[start:]:
                    if wanted(message):
                        return message
                start = len(self.seen)
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    why = "the bridge has ended" if self.ended else f"not within {within} s"
                    raise Failed(f"{what}: {why}; its log ends with:\n" + "\n".join(self.log[-15:]))
                self.arrived.wait(left)

    def open(self, revision=REVISION, capabilities=None):
        """The handshake; returns the result of `initialize`."""
        hello = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": CLIENT_INFO}
        answer = self.ask("initialize", hello)
        expect("result" in answer, f"initialize was refused: {answer}")
        self.tell("notifications/initialized")
        return answer["result"]

    def tools(self, within=30):
        """The tools by name."""
        answer = self.ask("tools/list", within=within)
        expect("result" in answer, f"tools/list was refused: {answer}")
        return {tool["name"]: tool for tool in answer["result"]["tools"]}

    def call(self, tool, arguments, within=30):
        """Calls a tool and returns its result, which may be an error of the tool; a refusal fails."""
        answer = self.ask("tools/call", {"name": tool, "arguments": arguments}, within)
        expect("result" in answer, f"{tool} was refused: {answer}")
        return answer["result"]

    def close(self, within=10):
        """Ends standard input, as clients do that are done, and returns the exit code."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"the bridge did not end within {within} s after the end of its input") from None
        for reader in self.readers:
            reader.join(5)
        expect(self.wrong is None, self.wrong)
        return self.process.returncode


def command(home, *arguments, environment=None, within=60):
    """Runs a command of the bridge to its end."""
    return subprocess.run(
        [program("planhat-mcp"), *arguments], env=environment or home.environment(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within,
    )


def run(cases):
    """Runs the cases one after the other and ends the program: 0 when all went well."""
    for name, case in cases:
        print(f"{name}", flush=True)
        try:
            case()
        except (Failed, subprocess.TimeoutExpired, queue.Empty) as error:
            print(f"  FAIL  {name}: {error}", flush=True)
            sys.exit(1)
