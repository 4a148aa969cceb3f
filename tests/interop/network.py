#!/usr/bin/env python3
"""The network as companies have it: a private certificate authority, interception, proxies with passwords.

Needs the program openssl. The tenant speaks plain HTTP, so a TLS front of Python's own stands before it.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading

import parts
from parts import Bridge, Home, Tenant, expect, step

TOOL, ARGUMENTS = "list_model_records", {"MODEL": "Company", "LIMIT": 1}
USER, PASSWORD = "proxy-user", "canary-proxy-password"


class Authority:
    """A certificate authority that no system trusts, and server certificates of its."""

    names = "IP:127.0.0.1,DNS:localhost"

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="interop-ca-"))
        self.certificate = self.folder / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Interop CA",
                      "-keyout", "ca.key", "-out", "ca.pem")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def _openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def context(self, name, *validity):
        """A TLS server's context for those names."""
        (self.folder / "names").write_text(f"subjectAltName={self.names}\n")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                      "-extfile", "names", "-out", f"{name}.pem", *(validity or ("-days", "2")))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        return context


class Listener:
    """Accepts connections on loopback and serves each on a thread, until it is left."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self._guarded, args=(connection,), daemon=True).start()

    def _guarded(self, connection):
        with contextlib.suppress(OSError), connection:
            self.serve(connection)

    @staticmethod
    def join(one, other):
        """Copies both ways until both sides are done."""
        def copy(source, target):
            with contextlib.suppress(OSError):
                while piece := source.recv(65536):
                    target.sendall(piece)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)
        back = threading.Thread(target=copy, args=(other, one), daemon=True)
        back.start()
        copy(one, other)
        back.join()


class V6Only(Listener):
    """The tenant on the IPv6 loopback address alone."""

    def __init__(self, tenant_url):
        self.tenant_port = int(tenant_url.split(":")[2].split("/")[0])
        self.socket = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def serve(self, connection):
        with socket.create_connection(("127.0.0.1", self.tenant_port)) as inside:
            self.join(connection, inside)


class TlsFront(Listener):
    """TLS in front of the tenant."""

    def __init__(self, context, tenant_url):
        self.context = context
        self.tenant_port = int(tenant_url.split(":")[2].split("/")[0])
        super().__init__()

    def url(self):
        """The MCP endpoint behind it."""
        return f"https://127.0.0.1:{self.port}/v1/mcp"

    def serve(self, connection):
        secure = self.context.wrap_socket(connection, server_side=True)
        with secure, socket.create_connection(("127.0.0.1", self.tenant_port)) as inside:
            self.join(secure, inside)


class Proxy(Listener):
    """An HTTP proxy that wants a name and a password, and remembers where it was asked to go."""

    def __init__(self):
        self.asked, self.refused, self.seen = [], 0, b""
        super().__init__()

    def serve(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (piece := connection.recv(4096)):
                return
            head += piece
        self.seen += head
        wanted = b"proxy-authorization: basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).lower()
        if wanted not in head.lower():
            self.refused += 1
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
            return
        target = head.split(b" ")[1].decode()
        self.asked.append(target)
        host, port = target.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as outside:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            self.join(connection, outside)


def works(home, arguments, **environment):
    """The bridge carries a call."""
    with Bridge(arguments, home.environment(**environment)) as bridge:
        bridge.open()
        answer = bridge.call(TOOL, ARGUMENTS)
        expect(not answer.get("isError"), f"{answer}\n{bridge.log}")
        return "".join(bridge.log)


def fails(home, problem, arguments, **environment):
    """The bridge explains why it cannot; returns the error."""
    with Bridge([*arguments, "--connect-wait", "0"], home.environment(**environment)) as bridge:
        hello = {"protocolVersion": parts.REVISION, "capabilities": {}, "clientInfo": parts.CLIENT_INFO}
        # What no waiting will mend is said at once, everything else with the first thing that is asked for.
        error = bridge.ask("initialize", hello).get("error")
        if not error:
            bridge.tell("notifications/initialized")
            error = bridge.ask("tools/list").get("error", {})
        expect(error.get("data", {}).get("problem") == problem, f"{problem} was expected: {error}")
        return error


def checked(home, arguments, **environment):
    """What `doctor` finds, by the names of its rows."""
    done = parts.command(home, "doctor", "--json", *arguments, environment=home.environment(**environment))
    expect(PASSWORD not in done.stdout + done.stderr, "doctor shows the proxy's password")
    return {row["name"]: row for row in json.loads(done.stdout)["checks"]}


def main():
    """Walks through all of it."""
    with Authority() as authority, Tenant() as tenant, Home() as home, Proxy() as proxy:
        token = {"PLANHAT_MCP_TOKEN": tenant.private_app_token}
        with TlsFront(authority.context("good"), tenant.url) as front:
            to = ["--url", front.url(), "--token-store", "file"]
            trusting = [*to, "--ca-file", str(authority.certificate)]
            works(home, trusting, **token)
            step("a private certificate authority is trusted through --ca-file")
            home.configure(ca_file=str(authority.certificate))
            works(home, to, **token)
            step("and through the configuration file, for clients that pass no environment on")
            home.config.unlink()
            error = fails(home, "tls-untrusted", to, **token)
            expect("--ca-file" in str(error), f"the setting that helps is named: {error}")
            step("without it the certificate is called untrusted, and the setting that helps is named")
            works(home, [*trusting, "--ipv4"], **token)
            step("--ipv4 works")
            rows = checked(home, to, **token)
            expect(rows["certificate"].get("problem") == "tls-untrusted", f"{rows['certificate']}")
            expect("Interop CA" in str(rows["certificate"]["details"]), f"who issued it is not said: {rows['certificate']}")
            expect(rows["tools"]["state"] == "skip", f"{rows['tools']}")
            rows = checked(home, trusting, **token)
            expect(rows["certificate"].get("problem") == "certificate-ends-soon", f"{rows['certificate']}")
            expect(rows["tools"]["state"] == "ok", f"{rows['tools']}")
            step("doctor names who issued a certificate that is not trusted, and one that ends soon")
            error = fails(home, "dns-failed", ["--url", "https://no-such-host.invalid/mcp"], **token)
            expect("no-such-host.invalid" in str(error), f"the host is named: {error}")
            step("a name that does not exist is named")

            through = f"http://{USER}:{PASSWORD}@127.0.0.1:{proxy.port}"
            log = works(home, [*trusting, "--log-level", "trace"], **token, HTTPS_PROXY=through)
            expect(set(proxy.asked) == {f"127.0.0.1:{front.port}"}, f"the proxy was asked: {proxy.asked}")
            expect(tenant.private_app_token.encode() not in proxy.seen, "the proxy sees no token")
            expect(PASSWORD not in log, "the password is in no log")
            step("a proxy with a password is taken from the environment, and sees no token")
            rows = checked(home, trusting, **token, HTTPS_PROXY=through)
            expect(f"127.0.0.1:{proxy.port}" in rows["proxy"]["text"], f"{rows['proxy']}")
            expect(rows["tools"]["state"] == "ok", f"{rows['tools']}")
            step("doctor goes through it, and names it without the password")
            home.configure(proxy=through, ca_file=str(authority.certificate))
            proxy.asked.clear()
            works(home, to, **token)
            expect(set(proxy.asked) == {f"127.0.0.1:{front.port}"}, f"the proxy was asked: {proxy.asked}")
            step("and from the configuration file")
            home.config.unlink()
            proxy.asked.clear()
            works(home, trusting, **token, HTTPS_PROXY=through, NO_PROXY="127.0.0.1")
            expect(not proxy.asked, "NO_PROXY is honoured")
            step("NO_PROXY is honoured")
            error = fails(home, "proxy-failed", trusting, **token, HTTPS_PROXY=f"http://{USER}:wrong@127.0.0.1:{proxy.port}")
            expect("wrong" not in str(error) and PASSWORD not in str(error), f"no password in the error: {error}")
            expect(proxy.refused > 0, "the proxy refused")
            step("a proxy that refuses is named, without the password")
            fails(home, "proxy-failed", trusting, **token, HTTPS_PROXY=f"http://127.0.0.1:{parts.free_port()}")
            step("a proxy that is not there is named")
            rows = checked(home, trusting, **token, HTTPS_PROXY=f"http://127.0.0.1:{parts.free_port()}")
            expect(rows["connection"].get("problem") == "proxy-failed", f"{rows['connection']}")
            step("doctor says that it is the proxy")
            works(home, ["--url", tenant.url, "--token-store", "file"], **token, HTTP_PROXY=through, ALL_PROXY=through)
            expect(not proxy.asked, "plain http stays on this machine")
            step("plain http to this machine goes through no proxy")
        with TlsFront(authority.context("old", "-days", "-1"), tenant.url) as front:
            to = ["--url", front.url(), "--token-store", "file", "--ca-file", str(authority.certificate)]
            fails(home, "tls-expired", to, **token)
            rows = checked(home, to, **token)
            expect(rows["certificate"].get("problem") == "tls-expired", f"{rows['certificate']}")
            step("an expired certificate is called expired")
        six = None
        with contextlib.suppress(OSError):
            six = V6Only(tenant.url)
        if six is None:
            print("  -     this machine has no IPv6")
        else:
            with six:
                to = ["--url", f"http://[::1]:{six.port}/v1/mcp", "--token-store", "file"]
                works(home, to, **token)
                error = fails(home, "connect-failed", [*to, "--ipv4"], **token)
                expect(f"[::1]:{six.port}" in str(error), f"the host is named: {error}")
            step("a server on IPv6 alone is reached, and with --ipv4 it is not, which is said")
        fails(home, "ca-file-unusable", ["--url", "https://127.0.0.1:1/mcp", "--ca-file", os.devnull], **token)
        step("a CA file without a certificate is named")


if __name__ == "__main__":
    parts.run([("network", main)])
