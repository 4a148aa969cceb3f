//! The session: its headers, its loss, its end.

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Gate, RawReply};
use serde_json::json;

use crate::support::{INITIALIZE, INITIALIZED, PATIENCE, Setup, call};

#[test]
fn every_request_after_initialize_carries_the_session_and_its_revision() {
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let setup = Setup::with_token(Config::default());
        let bridge = setup.bridge();
        let hello = bridge.ask(&INITIALIZE.replace("2025-11-25", revision));
        assert!(hello.contains(revision), "{hello}");
        bridge.send(INITIALIZED);
        bridge.call(1, "echo", "{}");
        bridge.finish();
        let requests = setup.sandbox.requests();
        let first = &requests[0];
        assert_eq!(first.header("mcp-session-id"), None);
        assert_eq!(first.header("accept"), Some("application/json, text/event-stream"));
        assert_eq!(first.header("content-type"), Some("application/json"));
        let session = requests[1].header("mcp-session-id").map(str::to_owned);
        assert!(session.is_some(), "{requests:#?}");
        for request in &requests[1..] {
            assert_eq!(request.header("mcp-session-id").map(str::to_owned), session, "{request:?}");
            assert_eq!(request.header("mcp-protocol-version"), Some(revision), "{request:?}");
            assert_eq!(request.headers.iter().filter(|(name, _)| name == "accept").count(), 1, "{request:?}");
        }
        assert_eq!(requests.iter().filter(|r| r.http_method == "DELETE").count(), 1);
    }
}

#[test]
fn what_follows_initialized_waits_until_the_server_has_taken_it() {
    let setup = Setup::with_token(Config::default());
    let gate = Gate::new();
    setup.sandbox.fault(planhat_sandbox::Fault::held(&gate).method("notifications/initialized"));
    let bridge = setup.open();
    bridge.send(&call(1, "echo", "{}"));
    assert!(gate.wait_arrivals(1, PATIENCE));
    assert_eq!(setup.sandbox.counters().tool("echo"), 0);
    assert_eq!(setup.sandbox.counters().method("tools/call"), 0);
    gate.open();
    bridge.answer_to(&json!(1));
}

#[test]
fn a_server_that_never_answers_initialized_delays_what_follows_by_seconds_only() {
    let setup = Setup::with_token(Config::default());
    let gate = Gate::new();
    setup.sandbox.fault(planhat_sandbox::Fault::held(&gate).method("notifications/initialized"));
    let bridge = setup.open();
    let start = std::time::Instant::now();
    let list = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert!(list.contains("list_model_records"), "{list}");
    assert!(start.elapsed() < std::time::Duration::from_secs(8), "{:?}", start.elapsed());
    // It is still on its way: a slow server gets it all the same.
    assert!(gate.wait_arrivals(1, PATIENCE));
    assert_eq!(setup.sandbox.counters().mcp_status(202), 0);
    gate.open();
    setup.sandbox.wait_until(|c| c.mcp_status(202) == 1, PATIENCE).expect("the server takes it after all");
}

#[test]
fn a_lost_session_is_opened_again_once_for_all_that_meet_it_and_nothing_is_executed_twice() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.call(1, "echo", "{}");
    setup.sandbox.wait_until(|c| c.streams_open >= 1, PATIENCE).expect("the standing stream opens");
    setup.sandbox.lose_sessions();
    for id in 10..20 {
        bridge.send(&call(id, "echo", "{}"));
    }
    for id in 10..20 {
        let answer = bridge.answer_to(&json!(id));
        assert!(answer.contains("result"), "{answer}");
    }
    let counters = setup.sandbox.counters();
    assert_eq!(counters.tool("echo"), 11);
    assert_eq!(counters.sessions_created, 2);
    // The private initialize carries the client's own parameters.
    let hellos: Vec<_> =
        setup.sandbox.requests().into_iter().filter(|r| r.method().as_deref() == Some("initialize")).collect();
    assert_eq!(hellos.len(), 2);
    assert_eq!(hellos[0].json().map(|j| j["params"].clone()), hellos[1].json().map(|j| j["params"].clone()));
    assert!(hellos[1].id().is_some_and(|id| id.starts_with("\"planhat-mcp/")), "{:?}", hellos[1].id());
    setup.sandbox.wait_until(|c| c.streams_opened >= 2, PATIENCE).expect("the standing stream is opened again");
}

#[test]
fn what_a_lost_session_had_asked_is_cancelled_at_the_client_and_late_answers_go_nowhere() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.streams_open >= 1, PATIENCE).expect("the standing stream opens");
    assert!(setup.sandbox.push(r#"{"jsonrpc":"2.0","id":"q-1","method":"roots/list"}"#));
    bridge.wait_line("the question", |line| line.contains("roots/list"));
    setup.sandbox.lose_sessions();
    bridge.call(1, "echo", "{}");
    let cancelled = bridge.wait_line("its cancellation", |line| line.contains("notifications/cancelled"));
    assert!(cancelled.contains(r#""requestId":"q-1""#), "{cancelled}");
    bridge.send(r#"{"jsonrpc":"2.0","id":"q-1","result":{"roots":[]}}"#);
    bridge.call(2, "echo", "{}");
    bridge.finish();
    assert!(setup.sandbox.requests().iter().all(|r| !r.text().contains("\"roots\":[]")));
}

#[test]
fn a_server_without_a_standing_stream_is_not_asked_again() {
    let setup = Setup::with_token(Config { get_stream: false, ..Config::default() });
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.mcp_status(405) == 1, PATIENCE).expect("it is asked once");
    for id in 1..5 {
        bridge.call(id, "echo", "{}");
    }
    bridge.finish();
    assert_eq!(setup.sandbox.requests().iter().filter(|r| r.http_method == "GET").count(), 1);
}

#[test]
fn the_standing_stream_brings_messages_and_is_opened_again_where_it_broke() {
    let setup = Setup::with_token(Config { sse_retry: None, ..Config::default() });
    let hello = r#"{"jsonrpc":"2.0","id":{id},"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
    setup.sandbox.on_method("initialize", RawReply::json(hello).header("mcp-session-id", "s1"));
    setup.sandbox.on_method("notifications/initialized", RawReply::accepted());
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.streams_open >= 1, PATIENCE).expect("the standing stream opens");
    assert!(
        setup.sandbox.push_bytes("retry: 1\nid: e-7\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/a\"}\n\n")
    );
    assert!(bridge.next_line().contains("notifications/a"));
    setup.sandbox.go_offline();
    setup.sandbox.come_back().expect("the ports are still free");
    let again = setup
        .sandbox
        .wait_request(|r| r.http_method == "GET" && r.header("last-event-id").is_some(), PATIENCE)
        .expect("it is taken up again");
    assert_eq!(again.header("last-event-id"), Some("e-7"));
}

#[test]
fn an_empty_input_ends_at_once_with_success_and_asks_nobody_anything() {
    let setup = Setup::with_token(Config::default());
    let (lines, status) = setup.bridge().finish();
    assert!(lines.is_empty() && status.success());
    assert!(setup.sandbox.requests().is_empty());
}

// Windows has no signals.
#[cfg(unix)]
#[test]
fn a_signal_ends_the_bridge_and_its_session_although_a_call_is_pending() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT, rustix::process::Signal::HUP] {
        let setup = Setup::with_token(Config::default());
        let gate = Gate::new();
        setup.sandbox.on_method("vendor/held", RawReply::status(200).wait(&gate));
        let mut bridge = setup.open();
        bridge.call(1, "echo", "{}");
        bridge.send(r#"{"jsonrpc":"2.0","id":2,"method":"vendor/held"}"#);
        assert!(gate.wait_arrivals(1, PATIENCE));
        let pid = rustix::process::Pid::from_raw(bridge.pid() as i32).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("it still runs");
        bridge.wait_end();
        setup.sandbox.wait_until(|c| c.sessions_deleted == 1, PATIENCE).expect("the session is ended");
        gate.open();
    }
}

#[test]
fn a_server_that_answers_404_to_get_has_no_standing_stream_and_keeps_its_session() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.fault(planhat_sandbox::Fault::status(404).http("GET").always());
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.mcp_status(404) == 1, PATIENCE).expect("it is asked once");
    for id in 1..5 {
        bridge.call(id, "echo", "{}");
    }
    bridge.finish();
    let counters = setup.sandbox.counters();
    assert_eq!((counters.mcp_status(404), counters.sessions_created), (1, 1));
}

#[test]
fn a_call_that_is_cancelled_while_its_lost_session_is_opened_again_is_never_sent() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.call(1, "echo", "{}");
    setup.sandbox.lose_sessions();
    let gate = Gate::new();
    setup.sandbox.fault(planhat_sandbox::Fault::held(&gate).method("initialize"));
    bridge.send(&call(2, "echo", "{}"));
    assert!(gate.wait_arrivals(1, PATIENCE));
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#);
    gate.open();
    bridge.call(3, "echo", "{}");
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| !line.contains(r#""id":2"#)), "{lines:?}");
    assert_eq!(setup.sandbox.counters().tool("echo"), 2);
}

#[test]
fn a_batch_right_behind_initialize_is_understood() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.bridge();
    let all = [
        INITIALIZE.replace("2025-11-25", "2025-03-26"),
        INITIALIZED.to_owned(),
        format!("[{}]", call(1, "echo", "{}")),
    ];
    bridge.send_bytes((all.join("\n") + "\n").as_bytes());
    let batch = bridge.wait_line("the batch", |line| line.starts_with('['));
    assert!(batch.contains(r#""id":1"#) && batch.contains("result"), "{batch}");
}

#[test]
fn a_second_initialize_starts_anew_and_leaves_no_second_stream() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.bridge();
    bridge.ask(INITIALIZE);
    bridge.ask(&INITIALIZE.replace(r#""id":0"#, r#""id":"again""#));
    bridge.send(INITIALIZED);
    bridge.call(1, "echo", "{}");
    setup.sandbox.wait_until(|c| c.streams_open >= 1, PATIENCE).expect("a standing stream");
    let (_, status) = bridge.finish();
    assert!(status.success());
    let requests = setup.sandbox.requests();
    let count = |method: &str| requests.iter().filter(|r| r.method().as_deref() == Some(method)).count();
    assert_eq!((count("initialize"), count("notifications/initialized")), (2, 1));
    assert_eq!(requests.iter().filter(|r| r.http_method == "GET").count(), 1);
}

const NO_SESSION: &str =
    r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: No valid session ID provided"},"id":null}"#;

#[test]
fn a_session_that_is_lost_in_other_words_than_404_is_opened_again_without_a_browser() {
    for (status, kind, body) in [
        (400, "application/json", NO_SESSION),
        (400, "text/plain", "Invalid or missing session ID"),
        (401, "application/json", r#"{"error":"Session not found"}"#),
        (200, "application/json", r#"{"error":"Session not found"}"#),
        (200, "text/plain", "Session not found"),
        (200, "text/event-stream", "data: {\"error\":\"Session not found\"}\n\n"),
        (200, "text/event-stream", "event: error\ndata: {\"error\":\"Session not found\"}\n\n"),
    ] {
        let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
        let bridge = setup.open();
        bridge.call(1, "echo", "{}");
        let refused = Fault::status(status).header("content-type", kind).body(body);
        setup.sandbox.fault(refused.tool("echo"));
        let answer = bridge.call(2, "echo", "{}");
        assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{status}: {answer}");
        let counters = setup.sandbox.counters();
        assert_eq!((counters.sessions_created, counters.tool("echo"), counters.refreshes), (2, 2, 0), "{status}");
        assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1);
    }
}

#[test]
fn a_lost_session_is_recognised_in_an_error_that_names_the_request_or_none() {
    let error =
        |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32001,"message":"Session not found"}}}}"#);
    for refused in [
        RawReply::status(404).header("content-type", "application/json").bytes(error("{id}")),
        RawReply::status(400).header("content-type", "application/json").bytes(error("{id}")),
        RawReply::json(error("null")),
        RawReply::sse().event(&error("null")),
    ] {
        let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
        let bridge = setup.open();
        bridge.call(1, "echo", "{}");
        setup.sandbox.on_tool("echo", refused.clone().once());
        let answer = bridge.call(2, "echo", "{}");
        assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{refused:?}: {answer}");
        let counters = setup.sandbox.counters();
        assert_eq!((counters.sessions_created, counters.tool("echo"), counters.refreshes), (2, 2, 0), "{refused:?}");
        assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1);
    }
}

#[test]
fn a_server_that_disowns_each_fresh_session_is_asked_a_few_times_and_not_for_ever() {
    for method in ["notifications/initialized", "tools/call"] {
        for status in [400, 401, 404] {
            let setup = Setup::with_token(Config::default());
            let bridge = setup.bridge();
            let refused = Fault::status(status).header("content-type", "application/json").body(NO_SESSION);
            setup.sandbox.fault(refused.method(method).always());
            bridge.open();
            let answer = bridge.call(1, "echo", "{}");
            assert!(answer["error"].is_object() || answer["result"]["isError"] == true, "{answer}");
            let opened = setup.sandbox.counters().method("initialize");
            assert!((2..=4).contains(&opened), "{method} {status}: {opened}");
            bridge.finish();
        }
    }
}

#[test]
fn a_refusal_that_speaks_of_a_session_and_stays_is_passed_on_after_one_new_session() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.call(1, "echo", "{}");
    let refused = Fault::status(400).header("content-type", "application/json").body(NO_SESSION);
    setup.sandbox.fault(refused.tool("echo").always());
    for id in 2..6 {
        let answer = bridge.call(id, "echo", "{}");
        assert!(answer.to_string().contains("No valid session ID"), "{answer}");
    }
    assert_eq!(setup.sandbox.counters().sessions_created, 2, "what did not help is not done again at once");
    assert_eq!(setup.sandbox.requests().iter().filter(|r| r.text().contains(r#""name":"echo""#)).count(), 6);
}

#[test]
fn a_stream_that_speaks_of_a_session_instead_of_answering_costs_one_new_session() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.call(1, "echo", "{}");
    let body = "data: {\"error\":\"Session not found\"}\n\n";
    let refused = Fault::status(200).header("content-type", "text/event-stream").body(body);
    setup.sandbox.fault(refused.tool("echo").always());
    for id in 2..6 {
        let answer = bridge.call(id, "echo", "{}");
        assert_eq!(answer["result"]["isError"], true, "{answer}");
    }
    assert_eq!(setup.sandbox.counters().sessions_created, 2, "what did not help is not done again at once");
    assert_eq!(setup.sandbox.requests().iter().filter(|r| r.text().contains(r#""name":"echo""#)).count(), 6);
}

#[test]
fn a_standing_stream_that_was_open_is_asked_for_again_however_it_is_refused_meanwhile() {
    for status in [400, 404, 405, 501] {
        let setup = Setup::with_token(Config { sse_retry: None, ..Config::default() });
        let hello = r#"{"jsonrpc":"2.0","id":{id},"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
        // Without a session, in which a 404 would mean its loss.
        setup.sandbox.on_method("initialize", RawReply::json(hello));
        setup.sandbox.on_method("notifications/initialized", RawReply::accepted());
        let note = |name: &str| format!(r#"{{"jsonrpc":"2.0","method":"notifications/{name}"}}"#);
        let held = Gate::new();
        setup.sandbox.on_stream(RawReply::sse().event(&note("second")).wait(&held));
        setup.sandbox.on_stream(RawReply::status(status).times(2));
        setup.sandbox.on_stream(RawReply::sse().event(&note("first")).cut().once());
        let bridge = setup.open();
        bridge.wait_line("the first stream", |line| line.contains("notifications/first"));
        bridge.wait_line("the stream after its refusals", |line| line.contains("notifications/second"));
        assert_eq!(setup.sandbox.requests().iter().filter(|r| r.http_method == "GET").count(), 4, "{status}");
    }
}
