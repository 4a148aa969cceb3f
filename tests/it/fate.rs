//! What is known of a request's fate: what surely was not executed may go again, what may have been may not, and what was
//! withdrawn never does.

use std::time::{Duration, Instant};

use planhat_sandbox::{Config, Fault, Gate, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, Setup, call};

const WRITE: &str = "create_model_record";
const TASK: &str = r#"{"MODEL":"Task","PARAMETERS":{"mainTask":"Call Ada"}}"#;

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("every line of stdout is JSON")
}

/// How often calls of the tool reached the server, executed or not.
fn posts(setup: &Setup, tool: &str) -> usize {
    let name = format!(r#""name":"{tool}""#);
    setup.sandbox.requests().iter().filter(|r| r.text().contains(&name)).count()
}

#[test]
fn a_write_whose_stream_broke_is_not_sent_again_because_the_session_or_the_token_is_lost_too() {
    for meanwhile in [Fault::lose_sessions(), Fault::status(401).always(), Fault::status(403)] {
        let setup = Setup::with_token(Config::default());
        let bridge = setup.open();
        setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the standing stream is open");
        setup.sandbox.fault(Fault::cut_after(1).tool(WRITE));
        setup.sandbox.fault(meanwhile.http("GET"));
        let answer = bridge.call(1, WRITE, TASK);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert!(answer.to_string().contains("check before"), "{answer}");
        assert_eq!((setup.sandbox.counters().tool(WRITE), posts(&setup, WRITE)), (1, 1));
        assert!(bridge.call(2, "echo", "{}")["result"]["isError"] != true);
    }
}

#[test]
fn a_server_that_has_forgotten_a_stream_is_asked_for_it_once_and_what_only_reads_is_repeated() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":0,"method":"tools/list"}"#);
    setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the standing stream is open");
    setup.sandbox.fault(Fault::bytes("text/event-stream", "").http("GET").always());
    for (id, tool, arguments, fails) in
        [(1, WRITE, TASK, true), (2, "list_model_records", r#"{"MODEL":"Task"}"#, false)]
    {
        setup.sandbox.fault(Fault::cut_after(1).tool(tool));
        let answer = bridge.call(id, tool, arguments);
        assert_eq!(answer["result"]["isError"] == true, fails, "{answer}");
    }
    assert_eq!(setup.sandbox.counters().tool(WRITE), 1);
    let resumed = setup.sandbox.requests().iter().filter(|r| r.header("last-event-id").is_some()).count();
    assert_eq!(resumed, 2, "once for each");
}

#[test]
fn a_stream_is_taken_up_although_the_server_is_not_back_yet() {
    for passing in [Fault::hang_up(), Fault::status(503)] {
        let setup = Setup::with_token(Config::default());
        let bridge = setup.open();
        setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the standing stream is open");
        setup.sandbox.fault(Fault::cut_after(1).tool(WRITE));
        setup.sandbox.fault(passing.http("GET"));
        let answer = bridge.call(1, WRITE, TASK);
        assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
        assert_eq!(setup.sandbox.counters().tool(WRITE), 1);
    }
}

#[test]
fn a_call_that_found_no_connection_and_is_cancelled_is_dropped_with_its_cancellation() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.call(1, "echo", "{}");
    setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the standing stream is open");
    setup.sandbox.go_offline();
    bridge.send(&call(2, WRITE, TASK));
    bridge.wait_stderr("the server cannot be reached; trying again");
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#);
    setup.sandbox.come_back().expect("the ports are still free");
    bridge.call(3, "echo", "{}");
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| !line.contains(r#""id":2"#)), "{lines:?}");
    assert_eq!(posts(&setup, WRITE), 0);
    assert_eq!(setup.sandbox.counters().method("notifications/cancelled"), 0);
}

#[test]
fn a_call_that_was_cancelled_at_the_server_is_not_sent_again_when_a_429_brings_it_back() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    let (throttled, cancelled) = (Gate::new(), Gate::new());
    setup.sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(1)).tool(WRITE).holding(&throttled));
    setup.sandbox.fault(Fault::held(&cancelled).method("notifications/cancelled"));
    bridge.send(&call(1, WRITE, TASK));
    assert!(throttled.wait_arrivals(1, PATIENCE));
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    assert!(cancelled.wait_arrivals(1, PATIENCE), "the server is told");
    throttled.open();
    bridge.wait_stderr("the server is throttling");
    // This one waits at the same gate, behind it.
    bridge.call(2, "echo", "{}");
    assert_eq!(posts(&setup, WRITE), 1);
    cancelled.open();
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| !line.contains(r#""id":1"#)), "{lines:?}");
    assert_eq!((setup.sandbox.counters().tool(WRITE), posts(&setup, WRITE)), (0, 1));
}

#[test]
fn a_call_waits_for_a_session_that_is_hard_to_open_and_nothing_is_said_of_its_having_been_sent() {
    let setup = Setup::with_token(Config::default());
    let mut command = setup.command();
    command.args(["--connect-wait", "3"]);
    let bridge = Bridge::start(command);
    bridge.open();
    bridge.call(1, "echo", "{}");
    setup.sandbox.lose_sessions();
    setup.sandbox.fault(Fault::hang_up().method("initialize"));
    setup.sandbox.fault(Fault::status(503).method("initialize"));
    let answer = bridge.call(2, WRITE, TASK);
    assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
    assert_eq!(setup.sandbox.counters().tool(WRITE), 1);

    setup.sandbox.lose_sessions();
    setup.sandbox.fault(Fault::hang_up().method("initialize").always());
    let answer = bridge.call(3, WRITE, TASK);
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("Nothing was sent") && !text.contains("may have been"), "{text}");
    assert_eq!(setup.sandbox.counters().tool(WRITE), 1);
}

#[test]
fn a_question_that_the_server_takes_back_is_owed_no_answer_and_time_runs_again() {
    let setup = Setup::with_token(Config::default());
    let mut command = setup.command();
    command.args(["--idle-timeout", "1"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let gate = Gate::new();
    let reply = RawReply::sse()
        .event(r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#)
        .event(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"q"}}"#)
        .wait(&gate);
    setup.sandbox.on_method("vendor/asks", reply);
    let answer = parse(&bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/asks"}"#));
    assert_eq!(answer["error"]["data"]["problem"], "answer-timed-out", "{answer}");
    gate.open();
}

#[test]
fn an_answered_call_holds_no_place_although_its_stream_stays_open() {
    let setup = Setup::with_token(Config::default());
    let gate = Gate::new();
    let reply = RawReply::sse().event(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#).wait(&gate);
    setup.sandbox.on_method("vendor/lingers", reply);
    let mut command = setup.command();
    command.args(["--max-in-flight", "1"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let start = Instant::now();
    for id in 1..=8 {
        bridge.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/lingers"}}"#));
    }
    for id in 1..=8 {
        bridge.answer_to(&json!(id));
    }
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    gate.open();
}

#[test]
fn calls_that_wait_while_their_session_is_replaced_are_sent_in_the_next_one() {
    const WAITING: u64 = 20;
    let setup = Setup::with_token(Config { get_stream: false, ..Config::default() });
    let bridge = setup.open();
    let losing = Gate::new();
    setup.sandbox.fault(Fault::lose_sessions().holding(&losing).tool("list_model_records"));
    setup.sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(1)).tool(WRITE));
    bridge.send(&call(0, "list_model_records", r#"{"MODEL":"Task"}"#));
    assert!(losing.wait_arrivals(1, PATIENCE));
    bridge.send(&call(1, WRITE, TASK));
    setup.sandbox.wait_until(|c| c.mcp_status(429) == 1, PATIENCE).expect("the gate is closed");
    bridge.wait_stderr("waiting as it asks");
    for id in 2..=WAITING {
        bridge.send(&call(id, WRITE, TASK));
    }
    // The private `initialize` has to wait with them, and some go before it.
    losing.open();
    for id in 0..=WAITING {
        let answer = parse(&bridge.answer_to(&json!(id)));
        assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
    }
    assert_eq!(setup.sandbox.counters().tool(WRITE), WAITING);
    let requests = setup.sandbox.requests();
    let homeless = requests.iter().filter(|r| r.http_method == "POST" && r.header("mcp-session-id").is_none());
    assert_eq!(homeless.count(), 2, "only `initialize` goes without a session");
}

#[test]
fn a_stream_of_a_lost_session_is_not_taken_up_in_the_next_one() {
    let setup = Setup::with_token(Config { sse_retry: Some(Duration::from_secs(1)), ..Config::default() });
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the standing stream is open");
    setup.sandbox.fault(Fault::cut_after(1).tool(WRITE));
    bridge.send(&call(1, WRITE, TASK));
    setup.sandbox.wait_until(|c| c.tool(WRITE) == 1, PATIENCE).expect("it is executed");
    setup.sandbox.lose_sessions();
    bridge.call(2, "echo", "{}");
    let answer = parse(&bridge.answer_to(&json!(1)));
    assert!(answer.to_string().contains("check before"), "{answer}");
    assert_eq!(posts(&setup, WRITE), 1);
    let resumed = setup.sandbox.requests().iter().filter(|r| r.header("last-event-id").is_some()).count();
    assert_eq!(resumed, 0, "another session has no such stream");
}
