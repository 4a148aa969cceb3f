//! Waiting as the server asks: whom it holds back, what the client hears of it, and when it is not worth the wait.

use std::process::Command;
use std::time::{Duration, Instant};

use planhat_sandbox::{Config, Fault, Gate, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, STATIC_TOKEN, Setup};

const READ: &str = "list_model_records";
const DAY: Duration = Duration::from_secs(86_400);

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("every line of stdout is JSON")
}

fn open(mut command: Command, arguments: &[&str]) -> Bridge {
    command.args(arguments);
    let bridge = Bridge::start(command);
    bridge.open();
    bridge
}

#[test]
fn who_comes_while_the_server_wants_a_day_is_told_the_seconds_and_not_held() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    setup.sandbox.fault(Fault::status(429).retry_after(DAY).tool("echo"));
    for id in 1..3 {
        let start = Instant::now();
        let answer = bridge.call(id, "echo", "{}").to_string();
        assert!(answer.contains("86400") || answer.contains("86399"), "{answer}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
    assert_eq!(setup.sandbox.counters().mcp_status(429), 1, "the second one never left");
}

#[test]
fn a_429_holds_back_the_other_profiles_of_the_same_token_and_nobody_elses() {
    let other = "sa_another_token_1a2b3c";
    let setup = Setup::with_token(Config::default());
    setup.sandbox.configure(|config| config.private_app_tokens.push(other.to_owned()));
    let first = open(setup.command(), &["--profile", "a", "--idle-timeout", "5"]);
    setup.sandbox.fault(Fault::status(429).retry_after(DAY).tool("echo"));
    assert!(first.call(1, "echo", "{}").to_string().contains("86400"));

    let same = open(setup.command(), &["--profile", "b", "--idle-timeout", "5"]);
    let answer = parse(&same.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#));
    assert_eq!(answer["error"]["data"]["problem"], "rate-limited", "{answer}");
    assert!(
        answer["error"]["data"]["retry_after_seconds"].as_u64().is_some_and(|seconds| seconds > 80_000),
        "{answer}"
    );

    let mut command = setup.command();
    command.env("PLANHAT_MCP_TOKEN", other);
    assert_ne!(other, STATIC_TOKEN);
    let another = open(command, &["--profile", "a"]);
    assert!(another.call(1, "echo", "{}")["result"]["isError"] != true);
}

#[test]
fn a_503_that_names_a_time_is_told_to_the_progress_token_and_can_be_cancelled_meanwhile() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#);
    setup.sandbox.fault(Fault::status(503).retry_after(Duration::from_secs(60)).tool(READ));
    bridge.send(&format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{READ}","arguments":{{"MODEL":"Task"}},"_meta":{{"progressToken":"p"}}}}}}"#
    ));
    let progress = bridge.wait_line("the reason", |line| line.contains("notifications/progress"));
    assert!(progress.contains(r#""progressToken":"p""#) && progress.contains("again in"), "{progress}");
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#);
    // The server may still have the one that it failed on.
    setup
        .sandbox
        .wait_request(
            |r| r.text().contains("notifications/cancelled") && r.text().contains(r#""requestId":7"#),
            PATIENCE,
        )
        .expect("the server is told of the id that it knows");
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| parse(line)["id"] != 7), "{lines:?}");
    let posts = setup.sandbox.requests().iter().filter(|r| r.text().contains(READ)).count();
    assert_eq!((posts, setup.sandbox.counters().tool(READ)), (1, 0));
}

#[test]
fn a_503_whose_time_does_not_fit_is_told_at_once_with_the_seconds() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    setup.sandbox.fault(Fault::status(503).retry_after(DAY).method("tools/list"));
    let answer = parse(&bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#));
    assert_eq!(answer["error"]["data"]["retry_after_seconds"], 86_400, "{answer}");
    assert_eq!(setup.sandbox.counters().mcp_status(503), 1);
    // A model reads it in words.
    setup.sandbox.fault(Fault::status(503).retry_after(DAY).tool("create_model_record"));
    let answer = bridge.call(2, "create_model_record", r#"{"MODEL":"Task","PARAMETERS":{"mainTask":"x"}}"#);
    assert!(answer.to_string().contains("86400 s"), "{answer}");
}

#[test]
fn an_answer_that_comes_slowly_is_not_given_up_while_it_comes() {
    let setup = Setup::with_token(Config::default());
    let bridge = open(setup.command(), &["--idle-timeout", "2"]);
    let (first, second) = (Gate::new(), Gate::new());
    let slow = RawReply::status(200).header("content-type", "application/json").bytes(r#"{"jsonrpc":"2.0","#);
    let slow = slow.wait(&first).bytes(r#""id":{id},"#).wait(&second).bytes(r#""result":{"slow":true}}"#);
    setup.sandbox.on_method("vendor/slow", slow);
    // Requests of another bridge that are given up after a second show how the time passes.
    let clock = open(setup.command(), &["--idle-timeout", "1"]);
    let never = Gate::new();
    setup.sandbox.on_method("vendor/never", RawReply::status(200).wait(&never));
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/slow"}"#);
    for (id, gate) in [(1, &first), (2, &second)] {
        assert!(gate.wait_arrivals(1, PATIENCE));
        clock.ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/never"}}"#));
        gate.open();
    }
    let answer = bridge.answer_to(&json!(1));
    assert!(answer.contains("slow"), "{answer}");
    never.open();
}

#[test]
fn a_refusal_whose_body_never_ends_is_told_by_its_status() {
    let setup = Setup::with_token(Config::default());
    let bridge = open(setup.command(), &["--idle-timeout", "1"]);
    let gate = Gate::new();
    let reply = RawReply::status(403).header("content-type", "application/json").bytes("{\"message\":").wait(&gate);
    setup.sandbox.on_method("vendor/refused", reply);
    let answer = parse(&bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/refused"}"#));
    assert_eq!(answer["error"]["data"]["status"], 403, "{answer}");
    gate.open();
}
