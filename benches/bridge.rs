//! The whole program against the sandbox, beside the same calls made directly over keep-alive HTTP in the same run. On a
//! machine that does other work too only the ratios mean something.
//!
//! `cargo bench --bench bridge` measures; `cargo test --bench bridge` makes a few calls of each kind.

#![allow(clippy::print_stdout, reason = "figures are what it is for")]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use planhat_sandbox::{Config, RawReply, Sandbox};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::task::JoinSet;

const TOKEN: &str = "sa_bench_token";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const IN_FLIGHT: usize = 64;
const LARGE: usize = 10_000_000;

/// How much is done.
#[derive(Debug, Clone, Copy)]
struct Effort {
    starts: usize,
    calls: usize,
    load: Duration,
    large: usize,
}

/// What was measured; `None` where there is nothing to compare.
#[derive(Debug, Default)]
struct Figures {
    start: Option<f64>,
    call: f64,
    per_second: f64,
    large: f64,
    memory: Vec<(&'static str, f64)>,
}

fn main() {
    // `cargo bench` says so; `cargo test` does not.
    let effort = if std::env::args().any(|argument| argument == "--bench") {
        Effort { starts: 15, calls: 3_000, load: Duration::from_secs(4), large: 7 }
    } else {
        Effort { starts: 1, calls: 20, load: Duration::from_millis(100), large: 1 }
    };
    for (name, as_events) in [("JSON", false), ("SSE", true)] {
        let sandbox = tenant(as_events);
        let direct = directly(&sandbox, effort);
        let bridge = through_the_bridge(&sandbox, effort);
        println!("\nanswers as {name:<20} {:>10} {:>10} {:>7}", "direct", "bridge", "ratio");
        row("one call, us (p50)", direct.call, bridge.call);
        row("64 in flight, calls a second", direct.per_second, bridge.per_second);
        row("a result of 10 MB, ms (p50)", direct.large, bridge.large);
        println!("{:<31} {:>10} {:>10.1}", "start to first answer, ms", "", bridge.start.unwrap_or_default());
        for (when, megabytes) in bridge.memory {
            println!("memory {when:<24} {:>10} {megabytes:>10.1}", "");
        }
    }
}

fn row(what: &str, direct: f64, bridge: f64) {
    println!("{what:<31} {direct:>10.1} {bridge:>10.1} {:>7.2}", bridge / direct);
}

/// A tenant whose answers cost it little, so that what is measured lies between.
fn tenant(as_events: bool) -> Sandbox {
    let sandbox = Sandbox::start(Config {
        private_app_tokens: vec![TOKEN.to_owned()],
        test_tools: true,
        record: false,
        get_stream: false,
        ..Config::default()
    });
    let answer = |text: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{{id}},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
    };
    let reply =
        |text: &str| if as_events { RawReply::sse().event(&answer(text)) } else { RawReply::json(answer(text)) };
    sandbox.on_tool("echo", reply("5f1a2b3c4d5e6f7a8b9c0d1e"));
    sandbox.on_tool("blob", reply(&"x".repeat(LARGE)));
    sandbox
}

fn call(id: usize, tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"n":{id}}}}}}}"#
    )
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn timed(times: usize, scale: f64, mut work: impl FnMut(usize)) -> f64 {
    let measure = |n| {
        let start = Instant::now();
        work(n);
        start.elapsed().as_secs_f64() * scale
    };
    median((0..times).map(measure).collect())
}

/// A client that speaks HTTP itself.
struct Direct {
    client: reqwest::Client,
    url: String,
    session: Option<String>,
}

impl Direct {
    async fn post(&self, body: String) -> (Option<String>, usize) {
        let mut request = self.client.post(&self.url).bearer_auth(TOKEN).body(body);
        for (name, value) in [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2025-11-25"),
        ] {
            request = request.header(name, value);
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        let response = request.send().await.expect("the sandbox answers");
        assert!(response.status().is_success(), "{}", response.status());
        let session = response.headers().get("mcp-session-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        (session, response.bytes().await.expect("the answer is whole").len())
    }
}

fn directly(sandbox: &Sandbox, effort: Effort) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    rustls::crypto::ring::default_provider().install_default().ok();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    let mut direct = Direct { client, url: sandbox.mcp_url(), session: None };
    direct.session = runtime.block_on(direct.post(INITIALIZE.to_owned())).0;
    runtime.block_on(direct.post(INITIALIZED.to_owned()));
    let one = timed(effort.calls, 1e6, |n| drop(runtime.block_on(direct.post(call(n, "echo")))));
    let direct = Arc::new(direct);
    let began = Instant::now();
    let done: u32 = runtime.block_on(async {
        let mut workers = JoinSet::new();
        for k in 1..=IN_FLIGHT {
            let direct = Arc::clone(&direct);
            workers.spawn(async move {
                let mut done = 0;
                while began.elapsed() < effort.load {
                    direct.post(call(1_000_000 * k, "echo")).await;
                    done += 1;
                }
                done
            });
        }
        workers.join_all().await.into_iter().sum()
    });
    let per_second = f64::from(done) / began.elapsed().as_secs_f64();
    let large = timed(effort.large, 1e3, |n| assert!(runtime.block_on(direct.post(call(n, "blob"))).1 > LARGE));
    Figures { call: one, per_second, large, ..Figures::default() }
}

/// The running program.
struct Bridge {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    line: Vec<u8>,
    _home: TempDir,
}

#[derive(Deserialize)]
struct Look {
    id: Option<usize>,
}

impl Bridge {
    fn start(sandbox: &Sandbox) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_planhat-mcp"));
        command.env_clear().env("HOME", home.path()).env("PLANHAT_MCP_TOKEN", TOKEN);
        command.args(["--url", &sandbox.mcp_url(), "--log-level", "error"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::with_capacity(1 << 18, child.stdout.take().expect("piped"));
        let mut bridge = Self { child, input, output, line: Vec::new(), _home: home };
        bridge.ask(0, INITIALIZE);
        bridge
    }

    fn send(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).expect("the program reads");
    }

    /// The id of the next answer.
    fn next(&mut self) -> usize {
        loop {
            self.line.clear();
            assert!(self.output.read_until(b'\n', &mut self.line).expect("readable") > 0, "the program has ended");
            if let Some(id) = serde_json::from_slice::<Look>(&self.line).expect("JSON").id {
                return id;
            }
        }
    }

    fn ask(&mut self, id: usize, line: &str) {
        self.send(line);
        while self.next() != id {}
    }

    /// Resident memory in MB; 0 where the system does not tell in this way.
    fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kilobytes.unwrap_or_default() / 1024.0
    }

    fn end(self) {
        let Self { mut child, input, output, .. } = self;
        drop(input);
        assert!(child.wait().expect("it ends").success());
        drop(output);
    }
}

fn through_the_bridge(sandbox: &Sandbox, effort: Effort) -> Figures {
    let start = timed(effort.starts, 1e3, |_| Bridge::start(sandbox).end());
    let mut bridge = Bridge::start(sandbox);
    bridge.send(INITIALIZED);
    bridge.ask(1, &call(1, "echo"));
    let mut memory = vec![("after the first call, MB", bridge.memory())];
    let one = timed(effort.calls, 1e6, |n| bridge.ask(n, &call(n, "echo")));

    let began = Instant::now();
    let mut open = HashSet::new();
    let mut next = effort.calls;
    let mut done = 0;
    while began.elapsed() < effort.load || !open.is_empty() {
        while open.len() < IN_FLIGHT && began.elapsed() < effort.load {
            next += 1;
            open.insert(next);
            bridge.send(&call(next, "echo"));
        }
        if !open.is_empty() {
            let id = bridge.next();
            assert!(open.remove(&id), "an answer that nobody waits for");
            done += 1;
        }
    }
    let per_second = f64::from(done) / began.elapsed().as_secs_f64();
    memory.push(("after load, MB", bridge.memory()));
    let large = timed(effort.large, 1e3, |n| {
        bridge.ask(n, &call(n, "blob"));
        assert!(bridge.line.len() > LARGE);
    });
    memory.push(("after results of 10 MB, MB", bridge.memory()));
    bridge.end();
    Figures { start: Some(start), call: one, per_second, large, memory }
}
