//! A whole exchange, broken at one byte after the other between the real program and the tenant: one answer to each
//! request, no write twice, and the next call works.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use planhat_sandbox::{AnswerMode, Config};
use serde_json::{Value, json};

use crate::proxy::{Break, Proxy, Way};
use crate::support::{Bridge, INITIALIZE, INITIALIZED, STATIC_TOKEN, Setup, bare, call};

const WRITE: &str = "create_model_record";
const READ: &str = "list_model_records";
/// Waiting for a stalled connection costs no time of the machine, so more run beside each other than it has cores.
const BESIDE: usize = if cfg!(windows) { 3 } else { 8 };
/// How long an answer is waited for, in seconds; programs take longer to start and to end on Windows.
const IDLE: &str = if cfg!(windows) { "5" } else { "1" };

#[derive(Debug, Clone, Copy)]
struct Case {
    answers: AnswerMode,
    armed: Option<(Way, u64, Break)>,
}

/// What became of a case: how many bytes went each way.
struct Outcome {
    out: u64,
    back: u64,
}

#[test]
fn a_break_at_any_byte_costs_no_answer_repeats_no_write_and_the_next_call_works() {
    // Every so many bytes, with each kind of break: thorough, and too long for every day.
    let every = std::env::var("FAULT_PROXY_EVERY").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut cases = Vec::new();
    for answers in [AnswerMode::Json, AnswerMode::Sse] {
        let whole = run(Case { answers, armed: None });
        for (way, length, stride) in [(Way::Out, whole.out, 149), (Way::Back, whole.back, 397)] {
            if every > 0 {
                let breaks = [Break::Cut, Break::Reset, Break::Stall];
                let at = (0..length).step_by(every);
                cases.extend(at.flat_map(|at| breaks.map(|what| Case { answers, armed: Some((way, at, what)) })));
                continue;
            }
            // Different offsets for each kind of break, so that together they are close.
            for (n, what) in [Break::Cut, Break::Reset, Break::Stall].into_iter().enumerate() {
                let stride = if what == Break::Stall { stride * 3 } else { stride };
                let at = (stride * n as u64 / 3..length).step_by(stride as usize);
                cases.extend(at.map(|at| Case { answers, armed: Some((way, at, what)) }));
            }
        }
    }
    assert!(cases.len() > 100, "{} cases", cases.len());
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..BESIDE {
            scope.spawn(|| {
                while let Some(&case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(reason) = catch_unwind(AssertUnwindSafe(|| run(case))) {
                        let reason = reason.downcast_ref::<String>().cloned().unwrap_or_default();
                        failed.lock().expect("no panic while held").push(format!("{case:?}: {reason}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic while held");
    assert!(failed.is_empty(), "{} of {} cases failed:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

/// One exchange through the proxy; panics where a rule is broken.
fn run(case: Case) -> Outcome {
    let config = Config { answers: case.answers, record: false, ..Config::default() };
    let setup = Setup::with_token(config);
    let url = setup.sandbox.mcp_url();
    let upstream: SocketAddr =
        url.trim_start_matches("http://").split('/').next().and_then(|text| text.parse().ok()).expect("an address");
    let proxy = Proxy::start(upstream, case.armed);
    let mut command = bare(setup.home.path());
    command.env("PLANHAT_MCP_TOKEN", STATIC_TOKEN);
    command.args(["--url", &url.replace(&upstream.to_string(), &proxy.address().to_string())]);
    command.args(["--idle-timeout", IDLE, "--connect-wait", "5", "--log-level", "debug"]);
    let bridge = Bridge::start(command);
    let parse = |line: String| -> Value { serde_json::from_str(&line).expect("every line is JSON") };

    let hello = parse(bridge.ask(INITIALIZE));
    assert!(hello["result"]["protocolVersion"].is_string(), "{hello}");
    bridge.send(INITIALIZED);
    let list = parse(bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#));
    let read = bridge.call(2, READ, r#"{"MODEL":"Company"}"#);
    let write = bridge.call(3, WRITE, r#"{"MODEL":"Task","PARAMETERS":{"mainTask":"Call Ada"}}"#);

    let fails = |answer: &Value| answer["error"].is_object() || answer["result"]["isError"] == true;
    for (what, answer) in [("list", &list), ("read", &read), ("write", &write)] {
        assert!(fails(answer) || answer["result"].is_object(), "{what}: {answer}");
    }
    // A connection that breaks loses no read: it is repeated. One that stands still is given up when its time is over.
    if !matches!(case.armed, Some((_, _, Break::Stall))) {
        assert!(!fails(&list), "list: {list}; {}", bridge.stderr());
        assert!(!fails(&read), "read: {read}; {}", bridge.stderr());
    }
    let whole = Outcome { out: proxy.passed(Way::Out), back: proxy.passed(Way::Back) };

    let mut good = bridge.call(4, "echo", "{}");
    if fails(&good) && proxy.has_struck() && case.armed.is_some() {
        // The break has met this very call at the earliest, or a connection that was idle until now.
        good = bridge.call(5, "echo", "{}");
    }
    assert!(!fails(&good), "the next call: {good}; {}", bridge.stderr());
    let executed = setup.sandbox.counters().tool(WRITE);
    let stderr = bridge.stderr();
    let (rest, status) = bridge.finish();
    assert!(status.success(), "{status}; {stderr}");
    for line in rest {
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}; {stderr}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        assert!(message["method"].is_string(), "a second answer: {line}; {stderr}");
    }
    assert!(executed <= 1, "the write was executed {executed} times; {stderr}");
    if !fails(&write) {
        assert_eq!(executed, 1, "{write}; {stderr}");
        assert_eq!(write["id"], json!(3));
    } else {
        let text = write.to_string();
        let honest = text.contains("check before") || executed == 0;
        assert!(honest, "executed and yet: {write}");
    }
    whole
}

/// The call that is used above is one that the tenant does count.
#[test]
fn the_write_of_the_exchange_is_counted() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.ask(&call(1, WRITE, r#"{"MODEL":"Task","PARAMETERS":{"mainTask":"Call Ada"}}"#));
    assert_eq!(setup.sandbox.counters().tool(WRITE), 1);
}
