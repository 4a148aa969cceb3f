//! What a server or a client can make the bridge hold in memory.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use planhat_sandbox::{Config, Gate, Gzip, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, INITIALIZE, INITIALIZED, PATIENCE, Setup};

/// A line of the process's status, in kB.
fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    line.expect("a number of kB")
}

/// The bridge with a client that reads only when it is told to.
struct Unread {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Unread {
    fn open(setup: &Setup, initialize: &str) -> Self {
        let mut command = setup.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut bridge = Self { child, input, output };
        bridge.send(initialize);
        assert!(bridge.read().expect("an answer").contains("result"));
        bridge.send(INITIALIZED);
        bridge
    }

    fn send(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("it reads");
    }

    /// The next line; `None` at the end.
    fn read(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.output.read_line(&mut line).expect("UTF-8") > 0).then_some(line)
    }

    /// Reads on until this many answers have come.
    fn read_answers(&mut self, count: usize) {
        let mut answers = 0;
        while answers < count {
            let line = self.read().expect("the bridge goes on");
            answers += usize::from(line.starts_with(r#"{"jsonrpc":"2.0","id":"#) && line.ends_with("}\n"));
        }
    }

    /// The most memory that it has taken so far, in kB.
    fn peak(&self) -> u64 {
        memory(self.child.id(), "VmHWM:")
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sixteen_answers_that_unpack_to_much_take_less_than_200_mib_of_memory_together() {
    let setup = Setup::with_token(Config::default());
    for n in 0..16 {
        // One of each kind as large as that; of the others the sum counts.
        let megabytes = if n < 5 { 60 } else { 20 };
        let packed = |media: &str, status: u16, head: &str, filler: &str, tail: &str| {
            let reply = RawReply::status(status).header("content-type", media).header("content-encoding", "gzip");
            reply.bytes(Gzip::new().text(head).repeated(filler, megabytes).text(tail).bytes())
        };
        let head = format!(r#"{{"jsonrpc":"2.0","id":1{n},"result":""#);
        let error = format!(r#"{{"jsonrpc":"2.0","id":1{n},"error":{{"code":1,"message":""#);
        setup.sandbox.on_method(
            &format!("vendor/{n}"),
            match n % 5 {
                0 => packed("application/json", 200, &head, "x", "\"}"),
                1 => packed("application/json", 200, &format!("{head}\"}}"), " ", ""),
                2 => packed("application/json", 200, &format!("{head}\""), " \n", "}"),
                3 => packed("text/event-stream", 200, &format!("data: {head}"), "x", "\"}\n\n"),
                _ => packed("application/json", 500, &error, "x", "\"}}"),
            },
        );
    }
    let mut bridge = Unread::open(&setup, INITIALIZE);
    for n in 0..16 {
        bridge.send(&format!(r#"{{"jsonrpc":"2.0","id":1{n},"method":"vendor/{n}"}}"#));
    }
    setup.sandbox.wait_until(|c| (0..16).all(|n| c.method(&format!("vendor/{n}")) > 0), PATIENCE).expect("all calls");
    // A small one passes all of them, and is not read either.
    let gate = Gate::new();
    let small = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/small", small.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    bridge.send(r#"{"jsonrpc":"2.0","id":"small","method":"vendor/small"}"#);
    assert!(gate.wait_arrivals(1, PATIENCE));
    gate.open();
    bridge.read_answers(17);
    let peak = bridge.peak();
    assert!(peak < 200_000, "{peak} kB");
}

#[test]
fn twenty_thousand_requests_and_ever_new_names_take_little_memory_and_most_of_it_is_given_back() {
    let setup = Setup::with_token(Config { record: false, ..Config::default() });
    let gate = Gate::new();
    let held = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/held", held.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    setup.sandbox.on_method("resources/subscribe", RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    let mut command = setup.command();
    command.args(["--max-in-flight", "50"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let at_first = memory(bridge.pid(), "VmRSS:");
    let filler = "x".repeat(3_000);
    let mut busy = 0;
    for first in (1..=20_000_u32).step_by(1_000) {
        let requests: String = (first..first + 1_000)
            .map(|id| {
                format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/held","params":{{"x":"{filler}"}}}}"#) + "\n"
            })
            .collect();
        bridge.send_bytes(requests.as_bytes());
        while first > 2_000 && busy < u64::from(first) + 999 - 2_000 {
            let answer: Value = serde_json::from_str(&bridge.next_line()).expect("JSON");
            assert_eq!(answer["error"]["data"]["problem"], "too-many-in-flight", "{answer}");
            busy += 1;
        }
    }
    let peak = memory(bridge.pid(), "VmHWM:");
    assert!(peak < at_first + 60_000, "{at_first} kB became {peak} kB");
    gate.open();
    for id in 1..=2_000 {
        bridge.answer_to(&json!(id));
    }
    for n in 0..3_000 {
        let uri = format!("file:///{n}/{filler}");
        bridge
            .ask(&format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"resources/subscribe","params":{{"uri":"{uri}"}}}}"#));
    }
    let at_last = memory(bridge.pid(), "VmRSS:");
    assert!(at_last < at_first + 30_000, "{at_first} kB became {peak} kB, then {at_last} kB");
}

#[test]
fn an_initialize_that_would_be_kept_whole_is_bounded() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.bridge();
    let long = INITIALIZE.replace(r#""name":"it""#, &format!(r#""name":"{}""#, "x".repeat(1024 * 1024)));
    let answer: Value = serde_json::from_str(&bridge.ask(&long)).expect("JSON");
    assert_eq!(answer["error"]["data"]["problem"], "message-too-large", "{answer}");
    assert!(bridge.open()["result"].is_object());
    bridge.call(1, "echo", "{}");
}
