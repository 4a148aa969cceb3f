//! A client on the pipes of the bridge that answers what it is asked and writes down everything.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

/// Longer than any budget in these runs, and the machine is busy.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Client {
    child: Child,
    input: Arc<Mutex<Option<ChildStdin>>>,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// What came out of the bridge.
#[derive(Default)]
pub struct Heard {
    /// The answers, by their id ([`key`]); `null` for those to lines that have none.
    pub answers: HashMap<String, Vec<String>>,
    /// What must not be on stdout at all.
    pub wrong: Vec<String>,
    /// How many questions the server asked.
    pub questions: usize,
    ended: bool,
}

#[derive(Deserialize)]
struct Line<'a> {
    jsonrpc: String,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl Client {
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let input = Arc::new(Mutex::new(child.stdin.take()));
        let output = child.stdout.take().expect("piped");
        let mut errors = child.stderr.take().expect("piped");
        let heard: Arc<(Mutex<Heard>, Condvar)> = Arc::default();
        let log: Arc<Mutex<String>> = Arc::default();
        let (to, told, kept) = (Arc::clone(&input), Arc::clone(&heard), Arc::clone(&log));
        let readers = vec![
            std::thread::spawn(move || {
                for line in BufReader::new(output).split(b'\n') {
                    let Ok(line) = line else { break };
                    let mut heard = told.0.lock().expect("no panic while held");
                    if let Some(reply) = heard.take(line) {
                        drop(heard);
                        say(&to, &reply);
                    }
                    told.1.notify_all();
                }
                told.0.lock().expect("no panic while held").ended = true;
                told.1.notify_all();
            }),
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(n @ 1..) = errors.read(&mut piece) {
                    let mut log = kept.lock().expect("no panic while held");
                    log.push_str(&String::from_utf8_lossy(&piece[..n]));
                    if log.len() > 100_000 {
                        *log = log.chars().skip(50_000).collect();
                    }
                }
            }),
        ];
        Self { child, input, heard, log, readers }
    }

    pub fn say(&self, line: &str) {
        say(&self.input, line);
    }

    /// Waits until what was heard satisfies `enough`; panics with what is missing.
    pub fn wait<T>(&self, mut enough: impl FnMut(&Heard) -> Result<T, String>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = self.heard.0.lock().expect("no panic while held");
        loop {
            let missing = match enough(&heard) {
                Ok(found) => return found,
                Err(missing) => missing,
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if heard.ended || left.is_zero() {
                let ended = heard.ended;
                drop(heard);
                panic!("missing: {missing}; ended: {ended}; the log ends with {}", self.log_end());
            }
            heard = self.heard.1.wait_timeout(heard, left).expect("no panic while held").0;
        }
    }

    /// What was heard so far, which is then forgotten.
    pub fn take_heard(&self) -> Heard {
        let mut heard = self.heard.0.lock().expect("no panic while held");
        let ended = heard.ended;
        std::mem::replace(&mut *heard, Heard { ended, ..Heard::default() })
    }

    pub fn log_end(&self) -> String {
        let log = self.log.lock().expect("no panic while held");
        let from = log.char_indices().rev().nth(6_000).map_or(0, |(at, _)| at);
        log[from..].to_owned()
    }

    #[cfg(target_os = "linux")]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends stdin and waits for the end.
    pub fn end(&mut self) -> ExitStatus {
        self.input.lock().expect("no panic while held").take();
        let deadline = Instant::now() + PATIENCE;
        let mut heard = self.heard.0.lock().expect("no panic while held");
        while !heard.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(heard);
                panic!("it does not end; the log ends with {}", self.log_end());
            }
            heard = self.heard.1.wait_timeout(heard, left).expect("no panic while held").0;
        }
        drop(heard);
        let status = self.child.wait().expect("it was started here");
        for reader in self.readers.drain(..) {
            reader.join().expect("it does not panic");
        }
        status
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An id by what it means: a server may spell a string in another way.
pub fn key(id: &str) -> String {
    serde_json::from_str::<String>(id).map_or_else(|_| id.to_owned(), |text| format!("{text:?}"))
}

fn say(input: &Mutex<Option<ChildStdin>>, line: &str) {
    if let Some(input) = input.lock().expect("no panic while held").as_mut() {
        // A bridge that has ended is noticed by what is missing.
        let _ = input.write_all(format!("{line}\n").as_bytes());
    }
}

impl Heard {
    /// Writes a line down; the reply, when it is a question.
    fn take(&mut self, line: Vec<u8>) -> Option<String> {
        let text = match String::from_utf8(line) {
            Ok(text) => text,
            Err(error) => {
                self.wrong.push(format!("not UTF-8: {error}"));
                return None;
            }
        };
        let line: Line<'_> = match serde_json::from_str(&text) {
            Ok(line) => line,
            Err(error) => {
                self.wrong.push(format!("no message: {error}: {text}"));
                return None;
            }
        };
        let whole = line.jsonrpc == "2.0"
            && match line.method {
                Some(_) => line.result.is_none() && line.error.is_none(),
                None => line.result.is_some() != line.error.is_some(),
            };
        if !whole {
            self.wrong.push(format!("no JSON-RPC message: {text}"));
            return None;
        }
        match (line.method, line.id) {
            (None, id) => {
                let id = id.map_or_else(|| "null".to_owned(), |id| key(id.get()));
                self.answers.entry(id).or_default().push(text);
                None
            }
            (Some(_), None) => None,
            (Some(method), Some(id)) => {
                self.questions += 1;
                let outcome = match method.get() {
                    r#""elicitation/create""# => r#""result":{"action":"accept","content":{"name":"Ada"}}"#,
                    r#""roots/list""# => r#""result":{"roots":[]}"#,
                    _ => r#""error":{"code":-32601,"message":"no"}"#,
                };
                Some(format!(r#"{{"jsonrpc":"2.0","id":{},{outcome}}}"#, id.get()))
            }
        }
    }
}
