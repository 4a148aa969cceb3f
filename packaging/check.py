"""What packaging/check.sh starts: each package in a place of its own, installed and used. Says what it saw, and fails at once."""

import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile

PACKAGING = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(PACKAGING.parent / "tests" / "interop"))

from parts import CLIENT_INFO, REVISION, Bridge, Failed, Home, Tenant, command, expect, run, step  # noqa: E402

DIST = pathlib.Path(sys.argv[1])
VERSION, MCP_NAME = os.environ["VERSION"], os.environ["MCP_NAME"]
TOOL, ARGUMENTS = "list_model_records", {"MODEL": "Company", "LIMIT": 2}
MACHINE = os.uname().machine
EMULATOR = shutil.which("qemu-aarch64-static")


def sh(*argv, **more):
    """Runs a command of the system and returns what it said."""
    done = subprocess.run([str(one) for one in argv], capture_output=True, text=True, timeout=300, **more)
    expect(done.returncode == 0, f"{argv} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return done.stdout + done.stderr


@contextlib.contextmanager
def place():
    """A folder that goes when it is done with."""
    with tempfile.TemporaryDirectory(prefix="package-", ignore_cleanup_errors=True) as folder:
        yield pathlib.Path(folder)


def start_with(folder, *argv):
    """A program `planhat-mcp` that is nothing but these words, and that the helpers start from now on."""
    folder.mkdir(exist_ok=True)
    wrapper = folder / "planhat-mcp"
    words = " ".join("'" + str(word).replace("'", "'\\''") + "'" for word in argv)
    wrapper.write_text(f"#!/bin/sh\nexec {words} \"$@\"\n")
    wrapper.chmod(0o755)
    os.environ["INTEROP_BIN"] = str(folder)


def use(folder, *argv, emulated=False):
    """The version, a sign-in against the sandbox, a call. An emulated program cannot start itself to sign in: it has a token."""
    with Home() as home, Tenant() as tenant:
        start_with(folder / "start", *argv)
        home.configure(**tenant.settings(token_store="file", client_secret_file=home.file("secret", tenant.client_secret)))
        said = command(home, "--version").stdout
        expect(said.split()[:2] == ["planhat-mcp", VERSION], f"the version: {said!r}")
        environment = home.environment(BROWSER=tenant.sandbox)
        if emulated:
            home.configure(url=tenant.url)
            environment["PLANHAT_MCP_TOKEN"] = tenant.private_app_token
        else:
            done = command(home, "login", environment=environment)
            expect(done.returncode == 0, f"login failed: {done.stdout}{done.stderr}")
        with Bridge([], environment) as bridge:
            bridge.open()
            tools = bridge.tools(60)
            expect(TOOL in tools, f"not listed: {sorted(tools)}")
            result = bridge.call(TOOL, ARGUMENTS, 60)
            expect(not result.get("isError"), f"the call failed: {result}")
        expect(tenant.counted(TOOL) == 1, "the tenant did not execute the call once")
        how = "with a token" if emulated else "signed in"
        step(f"{VERSION}, {how}, {len(tools)} tools, one call")


def runnable(machine):
    """How a Linux program of a machine is started here: the words before it, and whether it is emulated; None: not at all."""
    if machine == MACHINE:
        return [], False
    if machine == "aarch64" and EMULATOR:
        return [EMULATOR], True
    return None


def each(pattern):
    """The packages of this form; at least one."""
    found = sorted(DIST.glob(pattern))
    expect(found, f"no {pattern} in {DIST}")
    return found


def machine_of(path):
    """The machine that a file's name says."""
    return "aarch64" if any(word in path.name for word in ("aarch64", "arm64")) else "x86_64"


def started(path, folder, program):
    """Uses a Linux program out of a package, where this machine can."""
    words = runnable(machine_of(path))
    if words is None:
        step(f"{path.name}: not started, for want of an emulator")
        return
    use(folder, *words[0], program, emulated=words[1])


# --- What is written down ----------------------------------------------------------------------------------------------------


def sums():
    """Every file has its line, and the line is right."""
    lines = dict(reversed(line.split("  ")) for line in (DIST / "SHA256SUMS").read_text().splitlines())
    files = {path.name for path in DIST.iterdir() if path.is_file()} - {"SHA256SUMS"}
    expect(set(lines) == files, f"SHA256SUMS names other files: {sorted(set(lines) ^ files)}")
    for name, digest in lines.items():
        expect(hashlib.sha256((DIST / name).read_bytes()).hexdigest() == digest, f"the sum of {name} is another")
    step(f"{len(lines)} files")


def licences():
    """The licences of others are in every package."""
    for path in sorted(DIST.iterdir()):
        if path.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(path) as archive:
                names = archive.getnames()
        elif path.suffix in (".zip", ".whl", ".mcpb"):
            names = zipfile.ZipFile(path).namelist()
        elif path.suffix == ".deb":
            names = sh("dpkg-deb", "-c", path).split()
        elif path.suffix == ".rpm":
            names = sh("rpm", "-qlp", "--nosignature", path).split()
        else:
            continue
        for wanted in ("THIRD-PARTY-LICENSES.md", "copyright" if path.suffix == ".deb" else "LICENSE"):
            expect(any(name.endswith(f"/{wanted}") or name == wanted for name in names), f"{path.name} has no {wanted}")
    step("LICENSE and THIRD-PARTY-LICENSES.md in each")


def manifests():
    """server.json fits the registry's schema (SERVER_SCHEMA names the file), and each of its packages names this server."""
    server = json.loads((DIST / "manifests" / "server.json").read_text())
    expect(server["name"] == MCP_NAME and server["version"] == VERSION, "server.json is of another server")
    expect(len(server["description"]) <= 100, "the registry takes a description of 100 characters")
    kinds = [package["registryType"] for package in server["packages"]]
    expect(kinds == ["mcpb", "npm", "pypi", "cargo", "oci"], f"kinds of package: {kinds}")
    if schema := os.environ.get("SERVER_SCHEMA"):
        import jsonschema
        jsonschema.Draft7Validator(json.loads(pathlib.Path(schema).read_text())).validate(server)
        step("server.json fits the schema")
    for name in ("scoop/planhat-mcp.json",):
        json.loads((DIST / "manifests" / name).read_text())
    sh("bash", "-n", DIST / "manifests" / "aur" / "PKGBUILD")
    if shutil.which("ruby"):
        sh("ruby", "-c", DIST / "manifests" / "homebrew" / "planhat-mcp.rb")
    if shutil.which("yamllint"):
        rules = "{extends: relaxed, rules: {line-length: disable}}"
        sh("yamllint", "-s", "-d", rules, *sorted((DIST / "manifests" / "winget").iterdir()))
    step("server.json, Homebrew, Scoop, winget and AUR can be read")


def sbom():
    """The list names the dependencies, and no path of this machine."""
    path = DIST / f"planhat-mcp-{VERSION}.cdx.json"
    if not path.exists() and "RELEASE" not in os.environ:
        return step("not made: cargo-cyclonedx is not installed")
    text = path.read_text()
    names = {component["name"] for component in json.loads(text)["components"]}
    expect({"rustls", "tokio", "clap"} <= names, f"missing in the SBOM: {sorted(names)[:20]}")
    expect("/tmp/" not in text and "/home/" not in text, "the SBOM names a path of this machine")
    return step(f"{len(names)} components")


# --- Each package ------------------------------------------------------------------------------------------------------------


def archives():
    """Unpacked and started where it lies."""
    for path in each("*.tar.gz"):
        with place() as folder, tarfile.open(path) as archive:
            archive.extractall(folder, filter="tar")
            inside = folder / path.name.removesuffix(".tar.gz")
            for name in ("man/man1/planhat-mcp.1", "completions/_planhat-mcp", "completions/planhat-mcp.bash", "README.md"):
                expect((inside / name).stat().st_size > 0, f"{path.name} has no {name}")
            expect(stat.S_IMODE((inside / "planhat-mcp").stat().st_mode) == 0o755, "the program cannot be executed")
            if "linux" in path.name:
                started(path, folder, inside / "planhat-mcp")
            else:
                step(f"{path.name}: looked into")


def linked_to_nothing(root, path):
    """In a root that holds nothing else, the program starts all the same."""
    if runnable(machine_of(path)) == ([], False) and os.geteuid() == 0:
        expect(VERSION in sh("chroot", root, "/usr/bin/planhat-mcp", "--version"), "it does not start in an empty root")
        step("it starts in a root without any library")


def installed(root, zsh):
    """What a package lays down beside the program."""
    wanted = [
        "usr/share/bash-completion/completions/planhat-mcp", f"usr/share/zsh/{zsh}/_planhat-mcp",
        "usr/share/fish/vendor_completions.d/planhat-mcp.fish", "usr/share/man/man1/planhat-mcp.1.gz", "etc/planhat-mcp/README",
    ]
    for name in wanted:
        expect((root / name).stat().st_size > 0, f"not installed: {name}")


def debs():
    """lintian has nothing to say; installed into an empty root, used, and purged without a rest."""
    for path in each("*.deb"):
        said = sh("lintian", "--allow-root", "--fail-on", "error,warning", path)
        expect(not said.strip(), f"lintian: {said}")
        with place() as folder:
            root = folder / "root"
            (root / "var/lib/dpkg/updates").mkdir(parents=True)
            (root / "var/lib/dpkg/info").mkdir()
            (root / "var/lib/dpkg/status").touch()
            dpkg = ["dpkg", f"--root={root}", "--force-architecture,not-root,bad-path", f"--log={folder}/log"]
            sh(*dpkg, "-i", path)
            installed(root, "vendor-completions")
            linked_to_nothing(root, path)
            started(path, folder, root / "usr/bin/planhat-mcp")
            organisation = root / "etc/planhat-mcp/config.toml"
            organisation.write_text("# ours\n")
            sh(*dpkg, "-P", "planhat-mcp")
            rest = [str(one.relative_to(root)) for one in root.rglob("*planhat-mcp*") if one.is_file()]
            expect(not rest and organisation.exists(), f"left behind: {rest}; the organisation's file: {organisation.exists()}")
            step(f"{path.name}: lintian is content; removed without a rest, but for the organisation's file")


def rpms():
    """rpmlint has nothing to say; installed into an empty root, used, and erased."""
    for path in each("*.rpm"):
        said = sh("rpmlint", "--config", PACKAGING / "linux" / "rpmlint.toml", path)
        expect(" 0 errors, 0 warnings" in said, f"rpmlint: {said}")
        with place() as folder:
            root = folder / "root"
            rpm = ["rpm", "--root", root]
            sh(*rpm, "--initdb")
            # rpm asks on a Debian whether one means it.
            debian = ["--force-debian"] if pathlib.Path("/etc/debian_version").exists() else []
            sh(*rpm, "-i", *debian, "--nosignature", "--ignorearch", "--ignoreos", path)
            installed(root, "site-functions")
            linked_to_nothing(root, path)
            started(path, folder, root / "usr/bin/planhat-mcp")
            sh(*rpm, "-e", "planhat-mcp")
            expect(not (root / "usr/bin/planhat-mcp").exists(), "still there")
            step(f"{path.name}: rpmlint is content; erased")


class Registry(http.server.BaseHTTPRequestHandler):
    """As much of npm's registry as it takes to serve the packages of DIST."""

    def do_GET(self):
        name = self.path.strip("/")
        if (DIST / name).is_file() and name.endswith(".tgz"):
            return self.answer((DIST / name).read_bytes(), "application/octet-stream")
        if name != "planhat-mcp":
            return self.send_error(404)
        versions = {}
        for path in DIST.glob("planhat-mcp-*.tgz"):
            with tarfile.open(path) as archive:
                package = json.load(archive.extractfile("package/package.json"))
            address = f"http://127.0.0.1:{self.server.server_port}/{path.name}"
            versions[package["version"]] = {**package, "dist": {
                "tarball": address, "shasum": hashlib.sha1(path.read_bytes()).hexdigest(),
            }}
        document = {"name": name, "dist-tags": {"latest": VERSION}, "versions": versions}
        return self.answer(json.dumps(document).encode(), "application/json")

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def registry():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


def gone(pid, within=10):
    """Whether a process ends in time; one that nobody has collected yet counts."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def child_of(pid, within=10):
    """The one child of a process, once it has one."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, IndexError):
            return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        time.sleep(0.05)
    raise Failed(f"process {pid} started nothing")


def greet(process):
    """The first answer of a bridge: from then on it listens to everything."""
    hello = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": CLIENT_INFO}
    process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n")
    process.stdin.flush()
    expect('"result"' in process.stdout.readline(), "initialize was not answered")


def passes_on(argv):
    """A signal reaches the program and is how the launcher ends; when the parent is killed, both end, although stdin is open."""
    with Home() as home, Tenant() as tenant:
        home.configure(**tenant.settings())
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        pipes["env"] = home.environment()
        for number in (signal.SIGTERM, signal.SIGINT):
            launcher = subprocess.Popen(argv, **pipes)
            greet(launcher)
            program = child_of(launcher.pid)
            launcher.send_signal(number)
            code = launcher.wait(10)
            # A launcher that is killed itself has a negative one, and leaves the program to its watch of the parent.
            expect(code == 0 and gone(program, 0.5), f"{number.name} did not get through: {code}")
            launcher.stdin.close()
            step(f"{number.name}: the program ends, the launcher with {code}")
        between = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); p.wait()"
        parent = subprocess.Popen([sys.executable, "-c", between, *argv], **pipes)
        launcher = int(parent.stdout.readline())
        greet(parent)
        program = child_of(launcher)
        parent.kill()
        parent.wait()
        ended = gone(program) and gone(launcher)
        for pid in () if ended else (launcher, program):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        parent.stdin.close()
        expect(ended, "launcher and program outlived a parent that was killed")
        step("both end when the parent is killed, with stdin still open")


def npm():
    """Installed from a registry into an empty prefix, and used through the launcher."""
    with place() as folder, registry() as address:
        options = ["--registry", address, "--prefix", folder / "prefix", "--cache", folder / "cache", "--no-audit", "--no-fund"]
        sh("npm", "install", "-g", "--ignore-scripts", *options, "planhat-mcp", cwd=folder)
        program = folder / "prefix" / "bin" / "planhat-mcp"
        inside = folder / "prefix/lib/node_modules/planhat-mcp/node_modules"
        expect(len(list(inside.iterdir())) == len(list(inside.glob("planhat-mcp-*"))) >= 1, "other packages came along")
        use(folder, program)
        passes_on([str(program)])
        for name in inside.glob("planhat-mcp-*"):
            shutil.rmtree(name)
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30)
        expect(done.returncode == 1 and "is not installed" in done.stderr, f"without the program: {done}")
        step("without its platform's part it says so")
        ran = sh("npx", "--yes", *options[:2], "--cache", folder / "cache", "planhat-mcp", "--version", cwd=folder)
        expect(VERSION in ran, f"npx: {ran}")
        step("npx planhat-mcp --version")


def wheels():
    """Installed into a fresh environment; the script is the program itself."""
    for path in each("*.whl"):
        with zipfile.ZipFile(path) as wheel:
            expect(wheel.testzip() is None, f"{path.name} is damaged")
    with place() as folder:
        sh(sys.executable, "-m", "venv", folder / "environment")
        pip = folder / "environment" / "bin" / "pip"
        sh(pip, "install", "--quiet", "--no-index", "--find-links", DIST, "planhat-mcp")
        program = folder / "environment" / "bin" / "planhat-mcp"
        expect(program.read_bytes()[:4] == b"\x7fELF", "the script is not the program")
        use(folder, program)
        sh(pip, "uninstall", "--quiet", "--yes", "planhat-mcp")
        expect(not program.exists(), "still there")
        if uvx := shutil.which("uvx"):
            ran = sh(uvx, "--no-index", "--find-links", DIST, "planhat-mcp", "--version")
            expect(VERSION in ran, f"uvx: {ran}")
            step("uvx planhat-mcp --version")


def bundle():
    """Unpacked without modes, as some clients do, and started as its manifest says; also where it cannot be written to."""
    (path,) = each("*.mcpb")
    with place() as folder, Home() as home:
        inside = folder / "bundle"
        # This keeps no modes.
        zipfile.ZipFile(path).extractall(inside)
        manifest = json.loads((inside / "manifest.json").read_text())
        expect(manifest["version"] == VERSION, "the bundle is of another version")
        for name in (manifest["icon"], manifest["server"]["entry_point"]):
            expect((inside / name).is_file(), f"the bundle has no {name}")
        start = manifest["server"]["mcp_config"]
        # What nobody filled in is the field's default.
        filled = {name: field["default"] for name, field in manifest["user_config"].items()}
        filled |= {"tenant": "demo", "client_id": "pk_given", "client_secret": "sk_given"}

        def fill(text):
            text = text.replace("${__dirname}", str(inside))
            for name, value in filled.items():
                text = text.replace("${user_config.%s}" % name, value)
            expect("${" not in text, f"not filled in: {text}")
            return text

        words = [start["command"], *map(fill, start["args"])]
        given = {name: fill(value) for name, value in start["env"].items()}
        bits = [one for one in (inside / "server").rglob("*") if one.is_file() and one.stat().st_mode & 0o111]
        expect(not bits, f"unpacked with modes: {bits}")
        expect("sk_given" not in " ".join(words), "the secret stands in the command line")
        shown = sh(*words, "config", env=home.environment(**given))
        expect("pk_given" in shown and "demo" in shown and "sk_given" not in shown, f"the settings do not arrive: {shown}")
        step(f"started without execute bits; {len(manifest['compatibility']['platforms'])} platforms; the settings arrive")
        use(folder, *(word for word in words if "--tenant" not in word and "--client-id" not in word))

        # A folder that cannot be written to: no bit can be set there.
        for one in (inside / "server").rglob("planhat-mcp"):
            one.chmod(0o644)
        tools = folder / "tools"
        tools.mkdir()
        (tools / "chmod").write_text('#!/bin/sh\n[ "$1" = +x ] && exit 1\nexec /bin/chmod "$@"\n')
        (tools / "chmod").chmod(0o755)
        environment = home.environment(**given, PATH=f"{tools}:{os.environ['PATH']}")
        for _ in range(2):
            expect("pk_given" in sh(*words, "config", env=environment), "not started from a copy")
        copies = list((home.path / ".cache" / "planhat-mcp").iterdir())
        expect(len(copies) == 1, f"copies: {copies}")
        step("started from a copy where the folder cannot be written to")


CASES = [
    ("sums", sums), ("licences", licences), ("manifests", manifests), ("sbom", sbom), ("archives", archives), ("debs", debs),
    ("rpms", rpms), ("npm", npm), ("wheels", wheels), ("bundle", bundle),
]

if __name__ == "__main__":
    only = os.environ.get("PARTS", "").split()
    run([case for case in CASES if not only or case[0] in [*only, "licences"]])
    print("The packages hold.")
