#!/usr/bin/env python3
"""A public MCP server that names addresses inside: the real program, real TLS, the system's own resolver.

The public address is made up: it is added to the loopback interface of a network namespace of its own, whose /etc/hosts
says where names lead. Needs `unshare` and `ip`, and a system that allows user namespaces; says so where there are none.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

import network
import parts
from parts import Bridge, Home, expect, step

PUBLIC, INNER, NAME = "93.184.215.14", "10.9.8.7", "auth.corp.example"


class Authority(network.Authority):
    """Certificates for the addresses of this stage."""

    names = f"IP:{PUBLIC},IP:{INNER},DNS:{NAME}"


class Server(network.Listener):
    """Says over TLS what it is told to; every request and connection is remembered."""

    def __init__(self, address, context):
        self.context, self.pages, self.challenge, self.seen, self.connections = context, {}, "Bearer", [], 0
        self.socket = socket.create_server((address, 0))
        self.port = self.socket.getsockname()[1]
        self.origin = f"https://{address}:{self.port}" if context else f"http://{address}:{self.port}"
        network.threading.Thread(target=self._accept, daemon=True).start()

    def serve(self, connection):
        self.connections += 1
        stream = self.context.wrap_socket(connection, server_side=True) if self.context else connection
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := stream.recv(4096)):
                return
            head += piece
        target = head.split(b" ")[1].decode()
        self.seen.append(target)
        if target == "/mcp":
            status, extra, body = "401 Unauthorized", f"WWW-Authenticate: {self.challenge}\r\n", ""
        elif target in self.pages:
            status, extra, body = "200 OK", "", json.dumps(self.pages[target])
        else:
            status, extra, body = "404 Not Found", "", ""
        stream.sendall(f"HTTP/1.1 {status}\r\n{extra}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        if self.context:
            stream.unwrap()

    def publish(self, **changed):
        """Authorization server metadata of its own, with these fields changed."""
        metadata = {
            "issuer": self.origin, "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token", "code_challenge_methods_supported": ["S256"],
        }
        self.pages["/.well-known/oauth-authorization-server"] = {**metadata, **changed}


def login(home, authority, server, *more):
    """Runs `login`; returns its exit code and all that it says, on one line."""
    arguments = ["login", "--no-browser", "--url", f"{server.origin}/mcp", "--client-id", "x", "--token-store", "file",
                 "--ca-file", str(authority.certificate), "--callback-port", str(parts.free_port()), *more]
    run = subprocess.run([parts.program("planhat-mcp"), *arguments], env=home.environment(), stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, timeout=60)
    return run.returncode, " ".join((run.stdout + run.stderr).split())


def refused(home, authority, server, host, address):
    """`login` is refused, and says why."""
    code, shown = login(home, authority, server)
    expect(code == 3 and "inward-address" in shown, f"{code}: {shown}")
    expect(f"{host} ({address})" in shown and f"--allow-private {host}" in shown, shown)


def inside():
    """All of it, within the namespace."""
    with Authority() as authority, Home() as home:
        context = authority.context("stage")
        with Server(PUBLIC, context) as server, Server("127.0.0.1", None) as trap, Server(INNER, context) as inner:
            server.challenge = f'Bearer resource_metadata="{trap.origin}/meta"'
            refused(home, authority, server, "127.0.0.1", "127.0.0.1")
            step("resource metadata on loopback is not asked for")
            server.challenge = "Bearer"
            for field in ("token_endpoint", "authorization_endpoint"):
                server.publish(**{field: f"{trap.origin}/x"})
                refused(home, authority, server, "127.0.0.1", "127.0.0.1")
            step("neither the token endpoint nor the page may be on loopback")
            server.publish(authorization_endpoint=f"https://{NAME}:{inner.port}/authorize")
            refused(home, authority, server, NAME, INNER)
            step("a page whose name leads inwards is not opened")
            resource = {"resource": f"{server.origin}/mcp", "authorization_servers": [f"https://{NAME}:{inner.port}"]}
            server.pages["/.well-known/oauth-protected-resource/mcp"] = resource
            refused(home, authority, server, NAME, INNER)
            step("an authorization server whose name leads inwards is not asked, and the setting is named")
            arguments = ["--url", f"{server.origin}/mcp", "--client-id", "x", "--token-store", "file",
                         "--ca-file", str(authority.certificate), "--callback-port", str(parts.free_port())]
            with Bridge(arguments, home.environment(BROWSER="/bin/true")) as bridge:
                bridge.open()
                answer = json.dumps(bridge.call("echo", {}))
                expect(f"--allow-private {NAME}" in answer, f"{answer}\n{bridge.log}")
            step("the sign-in that a bridge starts keeps to it, and the model is told")
            expect(trap.connections == inner.connections == 0, f"{trap.seen} {inner.seen}")
            step("nobody has connected inwards so far")
            inner.publish(issuer=f"https://{NAME}:{inner.port}", token_endpoint="javascript:x")
            code, shown = login(home, authority, server, "--allow-private", "*.corp.example")
            expect("unsafe-endpoint" in shown and inner.seen, f"{code}: {shown}")
            step("what --allow-private names is gone to")
            inner.pages.clear()
            inner.publish(issuer=f"https://{NAME}:{inner.port}", token_endpoint="javascript:x")
            inner.pages["/.well-known/oauth-protected-resource/mcp"] = {**resource, "resource": f"{inner.origin}/mcp"}
            code, shown = login(home, authority, inner)
            expect("unsafe-endpoint" in shown, f"{code}: {shown}")
            step("a server that is itself inside may name what lies inside")


def main():
    """Goes on within namespaces of its own, where the system has them."""
    if "--inside" in sys.argv:
        return inside()
    with tempfile.TemporaryDirectory() as folder:
        hosts = pathlib.Path(folder) / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{INNER} {NAME}\n")
        stage = (f"ip link set lo up && ip addr add {PUBLIC}/32 dev lo && ip addr add {INNER}/32 dev lo && "
                 f"mount --bind '{hosts}' /etc/hosts")
        enter = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c"]
        try:
            tried = subprocess.run([*enter, stage], capture_output=True, text=True)
        except FileNotFoundError as error:
            return step(f"left out: {error}")
        if tried.returncode != 0:
            return step(f"left out, because this system gives no namespaces: {tried.stderr.strip()}")
        again = f"{stage} && exec '{sys.executable}' '{os.path.abspath(__file__)}' --inside"
        done = subprocess.run([*enter, again])
        expect(done.returncode == 0, "within the namespace")
    return None


if __name__ == "__main__":
    parts.run([("in a network of its own" if "--inside" in sys.argv else "guard", main)])
