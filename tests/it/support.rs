//! Starts the real binary, speaks to it line by line, and is the user's browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use planhat_sandbox::browser::{Choice, walk_by};
use planhat_sandbox::habit::{Access, Habit};
use planhat_sandbox::{ClientSpec, Config, Desktop, ReservedPort, Sandbox};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where the home of a test has the CA of its server, if that speaks https.
pub const CA_FILE: &str = "sandbox-ca.pem";

/// The token of a Private App, for tests that are not about signing in.
pub const STATIC_TOKEN: &str = "sa_canary_static_0f1e2d3c";

pub const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"sampling":{},"elicitation":{},"roots":{"listChanged":true}},"clientInfo":{"name":"it","version":"1"}}}"#;
pub const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// A tenant, a home of its own, and a browser.
pub struct Setup {
    pub sandbox: Sandbox,
    pub home: TempDir,
    pub callback_port: u16,
    /// Keeps other tests from the callback's port.
    _reserved: Option<ReservedPort>,
    pub browser: Option<Desktop>,
    /// What the server has of its own, and the secret of the client that it was given.
    habit: Option<(&'static Habit, String)>,
}

impl Setup {
    /// A tenant that takes the static token.
    pub fn with_token(config: Config) -> Self {
        let config = Config { private_app_tokens: vec![STATIC_TOKEN.to_owned()], test_tools: true, ..config };
        Self {
            sandbox: Sandbox::start(config),
            home: home(),
            callback_port: 0,
            _reserved: None,
            browser: None,
            habit: None,
        }
    }

    /// A tenant with an OAuth Client whose redirect URL is the bridge's, and a person who does this at its page.
    pub fn with_sign_in(config: Config, choice: Choice) -> Self {
        let reserved = ReservedPort::new();
        let callback_port = reserved.number();
        let client = ClientSpec::confidential().redirect(format!("http://127.0.0.1:{callback_port}/callback"));
        let config = Config { clients: vec![client], test_tools: true, ..config };
        let (sandbox, browser) = (Sandbox::start(config), Some(Desktop::start(choice)));
        Self { sandbox, home: home(), callback_port, _reserved: Some(reserved), browser, habit: None }
    }

    /// A tenant with a habit of real servers, and a person who allows everything at its page. The program is given no more
    /// than it needs to know: no scope, and a client only where it does not register itself.
    pub fn with_habit(habit: &'static Habit) -> Self {
        let reserved = ReservedPort::new();
        let callback_port = reserved.number();
        let config = habit.config(&format!("http://127.0.0.1:{callback_port}/callback"));
        let secret = config.clients[0].secret.clone().unwrap_or_default();
        let sandbox = habit.start(config).expect("no port of it is fixed");
        let (home, route) = (home(), sandbox.route().clone());
        if let Some(pem) = &route.ca_pem {
            std::fs::write(home.path().join(CA_FILE), pem).expect("writable");
        }
        let browser = Desktop::with_browser(Choice::Allow, move |link, choice| walk_by(&route, link, choice));
        let browser = Some(browser.expect("a directory with a named pipe can be made"));
        Self { sandbox, home, callback_port, _reserved: Some(reserved), browser, habit: Some((habit, secret)) }
    }

    /// The program, with nothing of this machine's environment but PATH.
    pub fn command(&self) -> Command {
        if let Some((habit, secret)) = &self.habit {
            return self.command_for(habit, secret);
        }
        let mut command = bare(self.home.path());
        command.args(["--url", &self.sandbox.mcp_url()]).env("PLANHAT_MCP_TOKEN_STORE", "file");
        if let Some(browser) = &self.browser {
            command.args(["--client-id", planhat_sandbox::CLIENT_ID, "--scope", "inclusive"]);
            command.args(["--callback-port", &self.callback_port.to_string()]);
            command.env("PLANHAT_MCP_CLIENT_SECRET", planhat_sandbox::CLIENT_SECRET);
            command.env("BROWSER", browser.command());
        } else {
            command.env("PLANHAT_MCP_TOKEN", STATIC_TOKEN);
        }
        command
    }

    fn command_for(&self, habit: &Habit, secret: &str) -> Command {
        let mut command = bare(self.home.path());
        command.args(["--url", &habit.url(&self.sandbox)]).args(["--callback-port", &self.callback_port.to_string()]);
        command.env("PLANHAT_MCP_TOKEN_STORE", "file");
        command.env("BROWSER", self.browser.as_ref().expect("a habit has one").command());
        if habit.access == Access::Client {
            command.args(["--client-id", planhat_sandbox::CLIENT_ID]).env("PLANHAT_MCP_CLIENT_SECRET", secret);
        }
        let route = self.sandbox.route();
        if route.ca_pem.is_some() && !habit.consents.contains(&"--ca-file") {
            command.arg("--ca-file").arg(self.home.path().join(CA_FILE));
        }
        if let Some(proxy) = route.proxy {
            command.args(["--proxy", &format!("http://{proxy}")]);
        }
        command
    }

    /// The bridge, started.
    pub fn bridge(&self) -> Bridge {
        Bridge::start(self.command())
    }

    /// The bridge after `initialize` and `notifications/initialized`.
    pub fn open(&self) -> Bridge {
        let bridge = self.bridge();
        bridge.open();
        bridge
    }
}

/// Runs the command at a terminal, as a person does who types it.
#[cfg(unix)]
pub fn typed(mut command: Command) -> std::process::Output {
    let (_person, terminal) = pty();
    command.stdin(terminal).output().expect("it starts")
}

/// The same, with what the person types; a terminal keeps it until the program reads.
#[cfg(unix)]
pub fn typed_in(mut command: Command, input: &str) -> std::process::Output {
    use std::io::Write;
    let (person, terminal) = pty();
    std::fs::File::from(person.try_clone().expect("a descriptor")).write_all(input.as_bytes()).expect("it is kept");
    let output = command.stdin(terminal).output().expect("it starts");
    drop(person);
    output
}

/// The same at the end of a pipe, as in `pass show x | planhat-mcp login`: the terminal is its stderr alone.
#[cfg(unix)]
pub fn typed_after_a_pipe(mut command: Command, input: &str) -> std::process::Output {
    use std::io::Write;
    let (_person, terminal) = pty();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(terminal).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it runs")
}

/// Both ends of a terminal: the person's, which has to outlive the program, and the program's.
#[cfg(unix)]
fn pty() -> (rustix::fd::OwnedFd, std::fs::File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&person).and_then(|()| unlockpt(&person)).expect("it is ours");
    let name = ptsname(&person, Vec::new()).expect("it has a name").into_string().expect("ASCII");
    let terminal = std::fs::OpenOptions::new().read(true).write(true).open(name).expect("it is there");
    (person, terminal)
}

/// The program that a desktop names on Windows: this one, started once more.
#[cfg(not(unix))]
#[test]
fn hands_a_link_on() {
    planhat_sandbox::hand_on(std::env::args()).expect("a desktop waits for it");
}

fn home() -> TempDir {
    tempfile::Builder::new().prefix("planhat-mcp-it-").tempdir().expect("a temporary directory")
}

/// Where the program keeps its state in this home.
pub fn state_folder(home: &Path) -> PathBuf {
    home.join(if cfg!(windows) { ".planhat-mcp/state" } else { ".local/state/planhat-mcp" })
}

/// The program in an environment as stripped as some clients make it.
pub fn bare(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_planhat-mcp"));
    command.env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("XDG_RUNTIME_DIR", home);
    if cfg!(windows) {
        command.env("USERPROFILE", home);
        // Without these, Windows finds no network and no folder for temporary files.
        for name in ["SystemRoot", "TEMP", "TMP"] {
            command.env(name, std::env::var_os(name).unwrap_or_default());
        }
    }
    command.current_dir(home);
    command
}

/// The running bridge, with both pipes.
pub struct Bridge {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
    lines: Receiver<String>,
    /// Lines that came while another one was waited for.
    passed: Mutex<Vec<String>>,
    errors: Arc<(Mutex<String>, Condvar)>,
}

impl Bridge {
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let input = child.stdin.take().expect("piped");
        let output = child.stdout.take().expect("piped");
        let mut error = child.stderr.take().expect("piped");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n') {
                let Ok(line) = line else { return };
                let line = String::from_utf8(line).expect("stdout is UTF-8");
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let errors = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let sink = Arc::clone(&errors);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = error.read(&mut piece) {
                sink.0.lock().expect("no panic while held").push_str(&String::from_utf8_lossy(&piece[..n]));
                sink.1.notify_all();
            }
        });
        Self { child, input: Mutex::new(Some(input)), lines, passed: Mutex::default(), errors }
    }

    /// Says `initialize` and `notifications/initialized`, and returns the answer.
    pub fn open(&self) -> Value {
        let answer = self.ask(INITIALIZE);
        self.send(INITIALIZED);
        serde_json::from_str(&answer).expect("an answer is JSON")
    }

    pub fn send(&self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    pub fn send_bytes(&self, bytes: &[u8]) {
        let mut input = self.input.lock().expect("no panic while held");
        let input = input.as_mut().expect("stdin is still open");
        input.write_all(bytes).and_then(|()| input.flush()).expect("the bridge reads its stdin");
    }

    /// Sends a request and returns the raw line that answers it.
    pub fn ask(&self, line: &str) -> String {
        let id = serde_json::from_str::<Look>(line).expect("test input is JSON").id.expect("a request");
        self.send(line);
        self.answer_to(&id)
    }

    /// The raw line that answers the request with this id.
    pub fn answer_to(&self, id: &Value) -> String {
        self.wait_line(&format!("the answer to {id}"), |line| {
            let look: Look = serde_json::from_str(line).expect("every line is JSON");
            look.method.is_none() && look.id.as_ref() == Some(id)
        })
    }

    /// Calls a tool and returns the whole answer.
    pub fn call(&self, id: u64, tool: &str, arguments: &str) -> Value {
        let answer = self.ask(&call(id, tool, arguments));
        serde_json::from_str(&answer).expect("an answer is JSON")
    }

    /// The next line that nobody has taken yet.
    pub fn next_line(&self) -> String {
        self.wait_line("any line", |_| true)
    }

    /// The first line, in order, that fits; the others stay for later.
    pub fn wait_line(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let mut passed = self.passed.lock().expect("no panic while held");
        if let Some(at) = passed.iter().position(|line| fits(line)) {
            return passed.remove(at);
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if fits(&line) => return line,
                Ok(line) => passed.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("{what}: not within {PATIENCE:?}; stderr: {}", self.stderr()),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{what}: stdout ended; other lines {passed:?}; stderr: {}", self.stderr())
                }
            }
        }
    }

    /// Ends stdin.
    pub fn close(&self) {
        self.input.lock().expect("no panic while held").take();
    }

    /// Ends stdin, and returns what was still written, and the exit status.
    pub fn finish(mut self) -> (Vec<String>, ExitStatus) {
        self.close();
        let mut rest = std::mem::take(&mut *self.passed.lock().expect("no panic while held"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => rest.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the bridge did not end; stderr: {}", self.stderr()),
            }
        }
        let status = self.child.wait().expect("the bridge was started here");
        (rest, status)
    }

    pub fn stderr(&self) -> String {
        self.errors.0.lock().expect("no panic while held").clone()
    }

    /// Blocks until the log says this.
    pub fn wait_stderr(&self, text: &str) {
        let seen = self.errors.0.lock().expect("no panic while held");
        let waited = self.errors.1.wait_timeout_while(seen, PATIENCE, |seen| !seen.contains(text));
        let (seen, waited) = waited.expect("no panic while held");
        assert!(!waited.timed_out(), "{text:?} is not in the log: {seen}");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, as clients do without a word, and waits for its end.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.wait_end();
    }

    /// Waits for the end that something else caused.
    pub fn wait_end(&mut self) -> ExitStatus {
        self.child.wait().expect("the bridge was started here")
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What tells an answer; everything else may be beyond what a model can hold.
#[derive(serde::Deserialize)]
struct Look {
    id: Option<Value>,
    method: Option<serde::de::IgnoredAny>,
}

/// A `tools/call`.
pub fn call(id: u64, tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments}}}}}"#
    )
}
