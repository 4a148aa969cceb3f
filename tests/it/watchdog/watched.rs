//! A bridge on its pipes, watched from outside: how soon each call is answered, what it holds, what it writes.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::INITIALIZED;

/// The client declares nothing: whatever it is asked beyond a ping is asked wrongly.
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"open","method":"initialize","params":{"protocolVersion":"{revision}","capabilities":{},"clientInfo":{"name":"it","version":"1"}}}"#;
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

/// As much of what is logged as can be looked through; the rest is counted.
const KEPT_LOG_BYTES: usize = 4 << 20;
/// How a notification of the sandbox begins.
const NOTIFICATION: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/"#;
/// A message names itself within this many bytes at its begin.
const HEAD_BYTES: usize = 400;

pub struct Watched {
    child: Child,
    lines: Option<Sender<Vec<u8>>>,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    log: Arc<Mutex<Log>>,
    log_file: PathBuf,
    stateless: bool,
    /// How many lines were said.
    pub said: u64,
}

/// What came out of the bridge.
#[derive(Default)]
struct Heard {
    /// The answers, by their id.
    answers: HashMap<String, Answer>,
    /// The methods that the client was asked for without having offered them.
    uninvited: Vec<String>,
    /// Replies of the client to what it was asked.
    replies: u64,
    ended: bool,
    held: bool,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub at: Instant,
    /// Its begin.
    pub head: String,
}

#[derive(Default)]
struct Log {
    text: String,
    bytes: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watched {
    /// Starts it; `command` names the program and its settings.
    pub fn start(mut command: Command, home: &std::path::Path, stateless: bool) -> Self {
        let log_file = home.join("bridge.log");
        command.arg("--log-file").arg(&log_file);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let input = child.stdin.take().expect("piped");
        let output = child.stdout.take().expect("piped");
        let errors = child.stderr.take().expect("piped");
        let heard: Arc<(Mutex<Heard>, Condvar)> = Arc::default();
        let log: Arc<Mutex<Log>> = Arc::default();
        let (lines, to_write) = channel::<Vec<u8>>();
        std::thread::spawn(move || write(input, &to_write));
        let (told, replies) = (Arc::clone(&heard), lines.clone());
        std::thread::spawn(move || read(output, &told, &replies));
        let kept = Arc::clone(&log);
        std::thread::spawn(move || keep(errors, &kept));
        Self { child, lines: Some(lines), heard, log, log_file, stateless, said: 0 }
    }

    /// The handshake, in the era that has one.
    pub fn open(&mut self, revision: &str, within: Duration) {
        if !self.stateless {
            self.say(INITIALIZE.replace("{revision}", revision).as_bytes());
            assert!(self.wait_answers(&["open".to_owned()], within), "no session: {}", self.log());
            self.say(INITIALIZED.as_bytes());
        }
    }

    /// Writes a line, whenever the bridge takes it.
    pub fn say(&mut self, line: &[u8]) {
        self.said += 1;
        let mut line = line.to_vec();
        line.push(b'\n');
        self.say_bytes(line);
    }

    pub fn say_bytes(&mut self, bytes: Vec<u8>) {
        // A bridge that has ended is noticed by what is missing.
        let _ = self.lines.as_ref().map(|lines| lines.send(bytes));
    }

    /// Sends a request; `members` are its parameters.
    pub fn ask(&mut self, id: &str, method: &str, members: &str) {
        let comma = if members.is_empty() { "" } else { "," };
        let params = if self.stateless { format!("{META}{comma}{members}") } else { members.to_owned() };
        self.say(format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}","params":{{{params}}}}}"#).as_bytes());
    }

    pub fn call(&mut self, id: &str, tool: &str, arguments: &str) {
        self.ask(id, "tools/call", &format!(r#""name":"{tool}","arguments":{arguments}"#));
    }

    pub fn notify(&mut self, method: &str, members: &str) {
        self.say(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{{members}}}}}"#).as_bytes());
    }

    /// Reads no further until [`Self::read_on`].
    pub fn stop_reading(&self) {
        lock(&self.heard.0).held = true;
    }

    pub fn read_on(&self) {
        lock(&self.heard.0).held = false;
        self.heard.1.notify_all();
    }

    pub fn answer(&self, id: &str) -> Option<Answer> {
        lock(&self.heard.0).answers.get(id).cloned()
    }

    /// Whether all of these are answered within that time.
    pub fn wait_answers(&self, ids: &[String], within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut heard = lock(&self.heard.0);
        loop {
            if ids.iter().all(|id| heard.answers.contains_key(id)) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || heard.ended {
                return false;
            }
            heard = self.heard.1.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn uninvited(&self) -> Vec<String> {
        lock(&self.heard.0).uninvited.clone()
    }

    /// Lines of the client, its replies to the server among them.
    pub fn lines_said(&self) -> u64 {
        self.said + lock(&self.heard.0).replies
    }

    /// The most that it has held, in kB.
    pub fn peak_kilobytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
        peak.unwrap_or_else(|| panic!("it has ended: {}", self.log()))
    }

    /// What it has logged so far, in bytes: to standard error and to its file.
    pub fn logged_bytes(&self) -> (u64, u64) {
        let file = std::fs::metadata(&self.log_file).map_or(0, |file| file.len());
        (lock(&self.log).bytes as u64, file)
    }

    /// The begin of the log, and of its file, in which the process of a sign-in writes as well.
    pub fn whole_log(&self) -> String {
        let mut file = Vec::new();
        if let Ok(opened) = std::fs::File::open(&self.log_file) {
            let _ = opened.take(KEPT_LOG_BYTES as u64).read_to_end(&mut file);
        }
        format!("{}\n{}", lock(&self.log).text, String::from_utf8_lossy(&file))
    }

    /// The end of what was kept of the log.
    pub fn log(&self) -> String {
        let log = lock(&self.log);
        let from = log.text.char_indices().rev().nth(2_000).map_or(0, |(at, _)| at);
        log.text[from..].to_owned()
    }

    /// Sends SIGTERM, and tells how long the end took; `None` when it did not come within that time.
    pub fn terminate(&mut self, within: Duration) -> Option<(Duration, ExitStatus)> {
        let start = Instant::now();
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::TERM).expect("it runs");
        while start.elapsed() < within {
            if let Some(status) = self.child.try_wait().expect("it was started here") {
                return Some((start.elapsed(), status));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.lines.take();
        self.read_on();
    }
}

fn write(mut input: ChildStdin, lines: &std::sync::mpsc::Receiver<Vec<u8>>) {
    for line in lines {
        if input.write_all(&line).is_err() {
            return;
        }
    }
}

fn keep(mut errors: impl Read, log: &Mutex<Log>) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = errors.read(&mut piece) {
        let mut log = lock(log);
        log.bytes += read;
        if log.text.len() < KEPT_LOG_BYTES {
            log.text.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
    }
}

/// Reads until the end. Long lines are not looked through: a reader that takes its time would be measured with the bridge.
fn read(output: impl Read, heard: &(Mutex<Heard>, Condvar), replies: &Sender<Vec<u8>>) {
    let mut output = BufReader::with_capacity(1 << 20, output);
    let mut line = Vec::new();
    loop {
        let mut state = lock(&heard.0);
        while state.held {
            state = heard.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        line.clear();
        if !matches!(output.read_until(b'\n', &mut line), Ok(1..)) {
            break;
        }
        let arrived = Instant::now();
        if line.starts_with(NOTIFICATION) {
            continue;
        }
        let head = String::from_utf8_lossy(&line[..line.len().min(HEAD_BYTES)]);
        let id = text_after(&head, r#""id":""#);
        let method = text_after(&head, r#""method":""#);
        let mut state = lock(&heard.0);
        match (method, id) {
            (Some(method), Some(id)) => {
                if method != "ping" {
                    state.uninvited.push(method);
                }
                state.replies += 1;
                let _ = replies.send(format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{id}\",\"result\":{{}}}}\n").into_bytes());
            }
            (None, Some(id)) => {
                state.answers.insert(id, Answer { at: arrived, head: head.into_owned() });
            }
            (_, None) => {}
        }
        drop(state);
        heard.1.notify_all();
    }
    lock(&heard.0).ended = true;
    heard.1.notify_all();
}

/// The string that begins after `name`; no id or method of these tests has an escape in it.
fn text_after(head: &str, name: &str) -> Option<String> {
    let rest = &head[head.find(name)? + name.len()..];
    rest.split('"').next().map(str::to_owned)
}
