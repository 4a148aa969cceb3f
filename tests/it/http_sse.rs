//! HTTP+SSE, the transport of revision 2024-11-05: recognised, and served with the same guarantees.

use std::process::Stdio;
use std::time::Duration;

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{AnswerMode, Config, Fault, Gate, RawReply, Rotation};
use serde_json::{Value, json};

use crate::support::{Bridge, INITIALIZE, PATIENCE, Setup, call};

const WRITE: &str = "create_model_record";
const TASK: &str = r#"{"MODEL":"Task","PARAMETERS":{"mainTask":"Call Ada"}}"#;
const LIST: &str = r#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#;

fn old() -> Config {
    Config { answers: AnswerMode::HttpSse, ..Config::default() }
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("every line is JSON")
}

fn open(setup: &Setup, arguments: &[&str]) -> Bridge {
    let mut command = setup.command();
    command.args(arguments);
    let bridge = Bridge::start(command);
    bridge.open();
    bridge
}

#[test]
fn a_server_of_the_old_transport_is_recognised_and_served() {
    let setup = Setup::with_token(old());
    let bridge = setup.open();
    assert!(bridge.ask(LIST).contains("list_model_records"));
    assert!(bridge.call(1, "echo", r#"{"x":1.50}"#).to_string().contains("1.50"));
    // A hundred at once, each with its own answer.
    for id in 100..200 {
        bridge.send(&call(id, "echo", &format!(r#"{{"n":{id}}}"#)));
    }
    for id in 100..200 {
        assert!(bridge.answer_to(&json!(id)).contains(&format!(r#"\"n\":{id}"#)), "{id}");
    }
    // The server asks, and says something of its own.
    bridge.send(&call(2, "ask_user", r#"{"QUERY":"Really?"}"#));
    let question = parse(&bridge.wait_line("the question", |line| line.contains("elicitation/create")));
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "decline" } });
    bridge.send(&answer.to_string());
    assert!(parse(&bridge.answer_to(&json!(2)))["result"].is_object());
    let counters = setup.sandbox.counters();
    assert_eq!((counters.streams_opened, counters.mcp_status(404), counters.sessions_created), (1, 1, 1));
    assert!(bridge.finish().1.success());
}

#[test]
fn the_user_signs_in_and_the_token_is_renewed_at_a_server_of_the_old_transport() {
    for arguments in [&[][..], &["--transport", "sse"]] {
        let setup = Setup::with_sign_in(old(), Choice::Allow);
        let bridge = open(&setup, arguments);
        assert!(bridge.call(1, "echo", r#"{"x":1}"#)["result"]["isError"] != true);
        setup.sandbox.expire_access_tokens();
        assert!(bridge.call(2, "echo", r#"{"x":2}"#)["result"]["isError"] != true);
        assert_eq!((setup.sandbox.counters().refreshes, setup.sandbox.counters().tool("echo")), (1, 2));
        assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1);
    }
}

#[test]
fn a_sign_in_that_has_ended_is_made_anew_at_a_server_of_the_old_transport() {
    let setup = Setup::with_sign_in(Config { rotation: Rotation::Never, ..old() }, Choice::Allow);
    let bridge = setup.open();
    assert!(bridge.call(1, "echo", "{}")["result"]["isError"] != true);
    // It cannot be renewed, and whether it is good elsewhere is asked where messages go: a POST to the stream's address is
    // refused by any token.
    setup.sandbox.expire_access_tokens();
    let answer = bridge.call(2, "echo", "{}");
    assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
    assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 2);
}

#[test]
fn a_one_stream_that_breaks_costs_no_answer_repeats_no_write_and_the_next_call_works() {
    let setup = Setup::with_token(old());
    let bridge = setup.open();
    // While nothing is in flight.
    setup.sandbox.lose_sessions();
    assert!(bridge.call(1, "echo", "{}")["result"]["isError"] != true);
    assert_eq!(setup.sandbox.counters().tool("echo"), 1);

    // Before the server has looked at it: it is sent again in the next session.
    let gate = Gate::new();
    setup.sandbox.fault(Fault::held(&gate).tool(WRITE));
    bridge.send(&call(2, WRITE, TASK));
    assert!(gate.wait_arrivals(1, PATIENCE));
    setup.sandbox.lose_sessions();
    gate.open();
    let answer = parse(&bridge.answer_to(&json!(2)));
    assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
    assert_eq!(setup.sandbox.counters().tool(WRITE), 1);
    // While it runs: nobody knows how far it got, and nothing says yet that it only reads.
    bridge.send(&call(3, "slow", r#"{"STEPS":1,"HOLD":true}"#));
    setup.sandbox.wait_until(|c| c.tool("slow") == 1, PATIENCE).expect("it runs");
    setup.sandbox.lose_sessions();
    let answer = bridge.answer_to(&json!(3));
    assert!(answer.contains("check before"), "{answer}");
    assert_eq!(setup.sandbox.counters().tool("slow"), 1);
    // What only reads is repeated.
    bridge.ask(LIST);
    bridge.send(&call(5, "slow", r#"{"STEPS":1,"HOLD":true}"#));
    setup.sandbox.wait_until(|c| c.tool("slow") == 2, PATIENCE).expect("it runs");
    setup.sandbox.lose_sessions();
    setup.sandbox.wait_until(|c| c.tool("slow") == 3, PATIENCE).expect("it is repeated");
    setup.sandbox.release_slow();
    let answer = parse(&bridge.answer_to(&json!(5)));
    assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
    assert!(bridge.call(4, "echo", "{}")["result"]["isError"] != true);
    assert!(bridge.finish().1.success());
}

#[test]
fn a_stream_that_has_brought_nothing_for_too_long_is_replaced_for_the_next_message() {
    let setup = Setup::with_token(old());
    let bridge = open(&setup, &["--idle-timeout", "1"]);
    bridge.send(&call(1, "slow", r#"{"STEPS":1,"HOLD":true}"#));
    let answer = parse(&bridge.answer_to(&json!(1)));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(bridge.call(2, "echo", "{}")["result"]["isError"] != true);
    assert_eq!(setup.sandbox.counters().streams_opened, 2);
}

#[test]
fn an_answer_that_nobody_waits_for_any_longer_is_dropped_and_the_stream_goes_on() {
    let setup = Setup::with_token(old());
    let bridge = setup.open();
    bridge.send(&call(1, "slow", r#"{"STEPS":1,"HOLD":true}"#));
    setup.sandbox.wait_until(|c| c.tool("slow") == 1, PATIENCE).expect("it runs");
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    setup.sandbox.wait_until(|c| c.method("notifications/cancelled") == 1, PATIENCE).expect("the server is told");
    setup.sandbox.release_slow();
    assert!(bridge.call(2, "echo", "{}")["result"]["isError"] != true);
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| !line.contains(r#""id":1,"#)), "{lines:?}");
}

#[test]
fn the_transport_is_the_user_s_choice_and_the_refusal_names_it() {
    let setup = Setup::with_token(old());
    let bridge = open(&setup, &["--transport", "http"]);
    let answer = parse(&bridge.ask(LIST));
    assert_eq!(answer["error"]["data"]["problem"], "old-transport", "{answer}");
    drop(bridge);

    let setup = Setup::with_token(Config::default());
    let bridge = open(&setup, &["--transport", "sse"]);
    let answer = parse(&bridge.ask(LIST));
    assert_eq!(answer["error"]["data"]["problem"], "not-http-sse", "{answer}");
}

#[test]
fn messages_never_go_to_an_endpoint_of_another_origin() {
    for endpoint in ["http://127.0.0.1:9/messages", "//127.0.0.1:9/x", "https://elsewhere.example/x", "http://:x"] {
        let setup = Setup::with_token(Config::default());
        setup.sandbox.fault(Fault::status(405).method("initialize").always());
        let events = format!("event: endpoint\ndata: {endpoint}\n\n");
        setup.sandbox.fault(Fault::bytes("text/event-stream", events).http("GET").always());
        let bridge = open(&setup, &["--transport", "sse"]);
        let answer = parse(&bridge.ask(LIST));
        assert_eq!(answer["error"]["data"]["problem"], "endpoint-elsewhere", "{answer}");
    }
}

#[test]
fn a_server_that_opens_a_stream_and_names_no_endpoint_does_not_hold_up_the_start_for_long() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.fault(Fault::status(405).method("initialize").always());
    let never = Gate::new();
    setup.sandbox.on_stream(RawReply::sse().bytes(": hello\n\n").wait(&never));
    let start = std::time::Instant::now();
    let bridge = setup.open();
    let answer = parse(&bridge.ask(LIST));
    assert_eq!(answer["error"]["data"]["problem"], "method-not-allowed", "the first refusal counts: {answer}");
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[test]
fn what_a_server_says_before_anybody_listens_holds_up_no_answer() {
    let setup = Setup::with_token(old());
    let gate = Gate::new();
    setup.sandbox.fault(Fault::held(&gate).method("initialize"));
    let mut command = setup.command();
    command.args(["--transport", "sse"]);
    let bridge = Bridge::start(command);
    bridge.send(INITIALIZE);
    assert!(gate.wait_arrivals(1, PATIENCE));
    let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
    for _ in 0..1_000 {
        assert!(setup.sandbox.push(note));
    }
    gate.open();
    let answer = parse(&bridge.answer_to(&json!(0)));
    let name = &answer["result"]["serverInfo"]["name"];
    assert!(name.is_string() && name != "planhat-mcp", "the server's own answer: {answer}");
}

#[test]
fn doctor_lists_the_tools_of_a_server_of_the_old_transport() {
    let setup = Setup::with_token(old());
    let output = setup.command().arg("doctor").stdin(Stdio::null()).output().expect("the binary starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.lines().any(|line| line.contains("tools") && line.contains("listed within")), "{text}");
}
