//! Nothing lost, nothing twice: one answer to each request whatever fails, and no write that is repeated.

use std::time::{Duration, Instant};

use planhat_sandbox::{AnswerMode, Config, Fault, Gate, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, Setup, call};

const WRITE: &str = r#"{"MODEL":"Task","PARAMETERS":{"title":"Call Ada"}}"#;
const READ: &str = r#"{"MODEL":"Company"}"#;

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("every line of stdout is JSON")
}

/// A bridge that has seen the list of tools, and so knows which of them only read.
fn with_tools(setup: &Setup) -> Bridge {
    let bridge = setup.open();
    assert!(bridge.ask(r#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#).contains("list_model_records"));
    bridge
}

#[test]
fn a_read_whose_fate_is_unknown_is_repeated_under_another_id_and_answered_under_its_own() {
    for fault in [
        Fault::hang_up_after_executing(),
        Fault::hang_up(),
        Fault::status_after_executing(503),
        Fault::status(502),
        Fault::status(500),
        Fault::status(524),
    ] {
        let setup = Setup::with_token(Config::default());
        let bridge = with_tools(&setup);
        setup.sandbox.fault(fault.tool("list_model_records"));
        let answer = bridge.call(7, "list_model_records", READ);
        assert!(answer["result"]["isError"] != true && answer["id"] == 7, "{answer}");
        let calls: Vec<_> = setup
            .sandbox
            .requests()
            .into_iter()
            .filter_map(|r| r.text().contains("list_model_records").then(|| r.id()))
            .collect();
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert_ne!(calls[0], calls[1]);
        assert!(calls[1].as_ref().is_some_and(|id| id.starts_with("\"planhat-mcp/")), "{calls:?}");
    }
}

#[test]
fn a_write_whose_fate_is_unknown_is_never_repeated_and_its_answer_says_so() {
    for (fault, executed) in [
        (Fault::hang_up_after_executing(), 1),
        (Fault::hang_up(), 0),
        (Fault::status_after_executing(503), 1),
        (Fault::status(500), 0),
        (Fault::status(504).retry_after(Duration::from_secs(1)), 0),
    ] {
        let setup = Setup::with_token(Config::default());
        let bridge = with_tools(&setup);
        setup.sandbox.fault(fault.tool("create_model_record"));
        let answer = bridge.call(7, "create_model_record", WRITE);
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains("may have") || text.contains("check"), "{text}");
        assert_eq!(setup.sandbox.counters().tool("create_model_record"), executed);
        assert_eq!(setup.sandbox.requests().iter().filter(|r| r.text().contains("create_model_record")).count(), 1);
    }
}

#[test]
fn a_tool_is_repeated_only_on_its_own_word() {
    let setup = Setup::with_token(Config::default());
    // Without the list nothing is known about this tool, whatever its name.
    let bridge = setup.open();
    setup.sandbox.fault(Fault::hang_up_after_executing().tool("list_model_records"));
    let answer = bridge.call(1, "list_model_records", READ);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(setup.sandbox.counters().tool("list_model_records"), 1);
}

#[test]
fn repeating_ends_and_the_last_reason_is_told() {
    let setup = Setup::with_token(Config::default());
    let bridge = with_tools(&setup);
    setup.sandbox.fault(Fault::status(503).tool("list_model_records").always());
    let answer = bridge.call(7, "list_model_records", READ);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(setup.sandbox.counters().mcp_status(503), 4, "once, and three repeats");
}

#[test]
fn a_503_that_names_a_time_is_waited_out_for_what_only_reads() {
    let setup = Setup::with_token(Config::default());
    let bridge = with_tools(&setup);
    setup.sandbox.fault(Fault::status(503).retry_after(Duration::from_secs(1)).tool("list_model_records"));
    let start = Instant::now();
    let answer = bridge.call(7, "list_model_records", READ);
    assert!(answer["result"]["isError"] != true, "{answer}");
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[test]
fn a_stream_that_is_cut_is_taken_up_where_it_broke_and_the_call_is_executed_once() {
    for fault in [Fault::cut_after(2), Fault::end_after(2)] {
        let config = Config { answers: AnswerMode::Sse, ..Config::default() };
        let setup = Setup::with_token(config);
        let bridge = with_tools(&setup);
        setup.sandbox.fault(fault.tool("slow"));
        bridge.send(
            r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"STEPS":6},"_meta":{"progressToken":"p"}}}"#,
        );
        let answer = parse(&bridge.answer_to(&json!(5)));
        assert!(answer["result"]["isError"] != true, "{answer}");
        let counters = setup.sandbox.counters();
        assert_eq!(counters.tool("slow"), 1);
        assert!(counters.streams_resumed >= 1, "{counters:?}");
        let resumed = setup
            .sandbox
            .requests()
            .into_iter()
            .find(|r| r.http_method == "GET" && r.header("last-event-id").is_some());
        assert!(resumed.is_some());
    }
}

#[test]
fn a_cancellation_of_a_repeated_request_names_the_id_that_the_server_knows() {
    let setup = Setup::with_token(Config::default());
    let bridge = with_tools(&setup);
    let gate = Gate::new();
    setup.sandbox.fault(Fault::hang_up().tool("list_model_records"));
    setup.sandbox.fault(Fault::held(&gate).tool("list_model_records"));
    bridge.send(&call(7, "list_model_records", READ));
    assert!(gate.wait_arrivals(1, PATIENCE));
    let second = setup
        .sandbox
        .requests()
        .into_iter()
        .filter(|r| r.text().contains("list_model_records"))
        .nth(1)
        .expect("repeated");
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"x","requestId":7}}"#);
    let cancelled = setup
        .sandbox
        .wait_request(|r| r.method().as_deref() == Some("notifications/cancelled"), PATIENCE)
        .expect("the server hears of it");
    let id = second.id().expect("a request");
    assert_eq!(
        cancelled.text(),
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"reason":"x","requestId":{id}}}}}"#)
    );
    gate.open();
}

#[test]
fn a_server_that_is_down_at_the_start_and_then_up_serves_the_same_client() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.go_offline();
    let bridge = setup.bridge();
    let hello = bridge.open();
    assert_eq!(hello["result"]["serverInfo"]["name"], "planhat-mcp", "{hello}");
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    setup.sandbox.come_back().expect("the ports are still free");
    let list = bridge.answer_to(&json!(1));
    assert!(list.contains("list_model_records"), "{list}");
    assert!(bridge.call(2, "echo", "{}")["result"].is_object());
}

#[test]
fn a_server_that_goes_and_comes_back_loses_no_call_that_was_not_sent() {
    let setup = Setup::with_token(Config::default());
    let bridge = with_tools(&setup);
    setup.sandbox.go_offline();
    bridge.send(&call(1, "create_model_record", WRITE));
    setup.sandbox.come_back().expect("the ports are still free");
    let answer = parse(&bridge.answer_to(&json!(1)));
    // Either the connection was never made, and the call is executed once; or it broke, and the answer says so.
    let executed = setup.sandbox.counters().tool("create_model_record");
    if answer["result"]["isError"] == true {
        assert!(answer["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("check")), "{answer}");
    } else {
        assert_eq!(executed, 1);
    }
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time_and_told_so() {
    let setup = Setup::with_token(Config::default());
    let mut command = setup.command();
    command.args(["--idle-timeout", "1"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let gate = Gate::new();
    setup.sandbox.on_method("vendor/held", RawReply::status(200).wait(&gate));
    let answer = parse(&bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/held"}"#));
    assert_eq!(answer["error"]["data"]["problem"], "answer-timed-out", "{answer}");
    let cancelled = setup
        .sandbox
        .wait_request(|r| r.method().as_deref() == Some("notifications/cancelled"), PATIENCE)
        .expect("the server is told");
    assert_eq!(cancelled.json().map(|j| j["params"]["requestId"].clone()), Some(json!(1)));
    gate.open();
}

#[test]
fn silence_does_not_count_while_the_client_owes_the_server_an_answer() {
    let setup = Setup::with_token(Config::default());
    let mut command = setup.command();
    command.args(["--idle-timeout", "1"]);
    let bridge = Bridge::start(command);
    bridge.open();
    bridge.send(&call(1, "ask_user", r#"{"QUESTION":"Really?"}"#));
    let asked = parse(&bridge.wait_line("the question", |line| line.contains("elicitation/create")));
    // A request that times out meanwhile shows that the time has passed.
    let gate = Gate::new();
    setup.sandbox.on_method("vendor/held", RawReply::status(200).wait(&gate));
    let other = Bridge::start({
        let mut command = setup.command();
        command.args(["--idle-timeout", "2"]);
        command
    });
    other.open();
    other.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/held"}"#);
    gate.open();
    let answer =
        json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"answer": "yes"}}});
    bridge.send(&answer.to_string());
    let answer = parse(&bridge.answer_to(&json!(1)));
    assert!(answer["result"]["isError"] != true && answer["result"].is_object(), "{answer}");
}

#[test]
fn cookies_go_back_to_the_server_that_set_them() {
    let setup = Setup::with_token(Config::default());
    let reply =
        RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#).header("set-cookie", "node=b7; Path=/; HttpOnly");
    setup.sandbox.on_method("vendor/sticky", reply.once());
    let bridge = setup.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/sticky"}"#);
    bridge.call(2, "echo", "{}");
    let requests = setup.sandbox.requests();
    let last = requests.iter().rfind(|r| r.text().contains("echo")).expect("sent");
    assert_eq!(last.header("cookie"), Some("node=b7"));
}

#[test]
fn a_captive_portal_is_recognised_and_the_session_survives_it() {
    let setup = Setup::with_token(Config::default());
    let bridge = with_tools(&setup);
    setup.sandbox.fault(Fault::bytes("text/html", "<html>Welcome to the hotel</html>").tool("echo"));
    let answer = bridge.call(1, "echo", "{}");
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(bridge.call(2, "echo", "{}")["result"]["isError"] != true);
}
