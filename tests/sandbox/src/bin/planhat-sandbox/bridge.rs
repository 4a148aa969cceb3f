//! The real bridge as a child process, and an MCP client on its pipes.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::stage::Stage;

/// How many lines of the bridge's log are kept for the case that something goes wrong.
const LOG_LINES: usize = 30;

/// Builds the bridge when `cargo` runs this program, and says where it is.
pub(crate) fn build(stage: &Stage) -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().ok_or_else(|| io::Error::other("this program has no folder"))?;
    let beside = folder.join(format!("planhat-mcp{}", std::env::consts::EXE_SUFFIX));
    let Some(cargo) = std::env::var_os("CARGO") else {
        if beside.is_file() {
            return Ok(beside);
        }
        let place = beside.display();
        return Err(io::Error::other(format!(
            "the bridge is not at {place}; run this with cargo, or name it with --bridge"
        )));
    };
    if !beside.is_file() {
        stage.line("Building the bridge first; that takes a minute or two.");
    }
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "planhat-mcp", "--bin", "planhat-mcp"]);
    command.arg("--message-format=json-render-diagnostics").current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        command.arg("--release");
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other("the bridge could not be built"));
    }
    // Cargo alone knows where the user's settings put it.
    let built = output.stdout.split(|byte| *byte == b'\n').find_map(|line| {
        let message: Value = serde_json::from_slice(line).ok()?;
        let is_it = message["target"]["name"] == "planhat-mcp" && message["target"]["kind"][0] == "bin";
        is_it.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    built.ok_or_else(|| io::Error::other("cargo does not say where it put the bridge"))
}

/// A home directory of its own, so that nothing of the user's is read or changed; removed in the end.
pub(crate) struct Home {
    path: PathBuf,
}

impl Home {
    pub(crate) fn new() -> io::Result<Self> {
        let mut bytes = [0u8; 8];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let path = std::env::temp_dir().join(format!("planhat-tour-{:016x}", u64::from_le_bytes(bytes)));
        let home = Self { path };
        home.create(&home.path)?;
        for folder in ["config", "data", "state", "cache", "run"] {
            home.create(&home.path.join(folder))?;
        }
        Ok(home)
    }

    #[cfg(unix)]
    fn create(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    #[cfg(not(unix))]
    fn create(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// How the bridge is started, whatever it is to do.
pub(crate) struct Recipe {
    pub(crate) program: PathBuf,
    pub(crate) flags: Vec<String>,
    pub(crate) secret: String,
    pub(crate) browser: OsString,
}

impl Recipe {
    fn command(&self, home: &Home, subcommand: Option<&str>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(subcommand).args(&self.flags);
        let ours = |name: &OsString| name.to_string_lossy().starts_with("PLANHAT_MCP_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        command.env("HOME", &home.path).env("USERPROFILE", &home.path);
        for (name, folder) in [
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
        ] {
            command.env(name, home.path.join(folder));
        }
        command.env("PLANHAT_MCP_CLIENT_SECRET", &self.secret);
        // The tenant is on this machine, whatever proxy leads elsewhere.
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command.env("BROWSER", &self.browser);
        command
    }

    /// Runs a command of the bridge to its end.
    pub(crate) fn run(&self, home: &Home, subcommand: &str) -> io::Result<Output> {
        self.command(home, Some(subcommand)).stdin(Stdio::null()).output()
    }

    /// Starts it as an MCP client does.
    pub(crate) fn start(&self, home: &Home) -> io::Result<Bridge> {
        let mut command = self.command(home, None);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (sender, messages) = channel();
        let log = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        if let Some(stderr) = child.stderr.take() {
            let log = log.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    if log.len() == LOG_LINES {
                        log.pop_front();
                    }
                    log.push_back(line);
                }
            });
        }
        let stdin = child.stdin.take();
        Ok(Bridge { child, stdin, messages, log, last_id: 0 })
    }
}

/// The bridge, running.
pub(crate) struct Bridge {
    child: Child,
    stdin: Option<ChildStdin>,
    messages: Receiver<String>,
    log: Arc<Mutex<VecDeque<String>>>,
    last_id: u64,
}

impl Bridge {
    /// Sends a request and waits for its answer; what else the bridge says meanwhile goes to `meanwhile`.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        params: Value,
        within: Duration,
        mut meanwhile: impl FnMut(&Value),
    ) -> io::Result<Value> {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))?;
        let deadline = Instant::now() + within;
        loop {
            let message = self.receive(deadline)?;
            if message.get("id") == Some(&id) && message.get("method").is_none() {
                return Ok(message);
            }
            meanwhile(&message);
        }
    }

    /// Sends a notification.
    pub(crate) fn tell(&mut self, method: &str) -> io::Result<()> {
        self.send(&json!({ "jsonrpc": "2.0", "method": method }))
    }

    /// Waits for a notification.
    pub(crate) fn wait_for(&mut self, method: &str, within: Duration) -> io::Result<()> {
        let deadline = Instant::now() + within;
        while self.receive(deadline)?["method"] != method {}
        Ok(())
    }

    /// Closes its standard input, as clients do that are done, and waits for its end.
    pub(crate) fn close(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        // Its standard output ends with it.
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match self.receive(deadline) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return self.child.wait(),
                Err(error) => return Err(error),
            }
        }
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn send(&mut self, message: &Value) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or_else(|| io::Error::other("its standard input is closed"))?;
        writeln!(stdin, "{message}")?;
        stdin.flush()
    }

    fn receive(&mut self, deadline: Instant) -> io::Result<Value> {
        match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => serde_json::from_str(&line).map_err(|error| io::Error::other(format!("{error} in: {line}"))),
            Err(RecvTimeoutError::Timeout) => Err(io::Error::new(io::ErrorKind::TimedOut, "the bridge did not answer")),
            Err(RecvTimeoutError::Disconnected) => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the bridge has ended"))
            }
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // After `close` this does nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
