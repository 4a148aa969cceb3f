"""The foreign servers of oauth.py: oidc-provider and the MCP server behind it, and a document that describes a client."""

import contextlib
import http.server
import json
import re
import subprocess
import threading

import parts
import peers
from parts import expect


class Servers:
    """The two servers, as one process."""

    def __init__(self, *clients, environment=None, **order):
        self.stack = contextlib.ExitStack()
        modules = peers.packages(peers.OIDC_PROVIDER, *peers.SERVER_SDK)
        scripts = [parts.HERE / "authorization_server.mjs", parts.HERE / "resource_server.mjs"]
        place = self.stack.enter_context(peers.beside(modules, *scripts))
        self.process = subprocess.Popen(
            [peers.node(), str(place / scripts[0].name), json.dumps({"clients": clients, **order})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )
        self.events, self.complaints, self.arrived, self.ended = [], [], threading.Condition(), False
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=lambda: self.complaints.extend(self.process.stderr), daemon=True).start()
        ready = self.wait("ready")
        self.issuer, self.resource, self.keys = ready["issuer"], ready["resource"], ready["keys"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()
        self.stack.close()

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                with self.arrived:
                    self.events.append(json.loads(line))
                    self.arrived.notify_all()
        with self.arrived:
            self.ended = True
            self.arrived.notify_all()

    def wait(self, event, after=0, within=30):
        """The first event of this kind after so many others."""
        with self.arrived:
            self.arrived.wait_for(lambda: self.ended or self.all(event, after), within)
            found = self.all(event, after)
            expect(found, f"no {event!r}: {self.events[-8:]}\n{''.join(self.complaints[-20:])}")
            return found[0]

    def all(self, event, after=0):
        """All events of this kind so far."""
        return [one for one in self.events[after:] if one["event"] == event]

    def say(self, line):
        """A word that the servers obey; when this returns, they have."""
        before = len(self.events)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.wait("obeyed", before)

    def tokens(self, grant_type, after=0):
        """The tokens that were issued for this kind of grant."""
        return [one for one in self.all("token", after) if one["grant_type"] == grant_type]

    def expect_peace(self, after=0):
        """Nothing was refused, revoked or broken."""
        trouble = [one for one in self.events[after:] if re.search("refused|revoked|destroyed|broken", one["event"])]
        expect(not trouble, f"the authorization server had to say: {trouble}")


@contextlib.contextmanager
def document(authority, **metadata):
    """Serves a Client ID Metadata Document over https; the address and the paths that were asked for."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = json.dumps({"client_id": url, **metadata}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = authority.context("document").wrap_socket(server.socket, server_side=True)
    url = f"https://127.0.0.1:{server.server_port}/client.json"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield url, asked
    finally:
        server.shutdown()
        server.server_close()
