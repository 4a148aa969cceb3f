//! What the client does not have to say or ask again, because the bridge does when a connection or a session is lost; and
//! what the server need not wait for when the client is gone.

use std::time::{Duration, Instant};

use planhat_sandbox::{Config, Fault, RawReply};

use crate::support::{PATIENCE, Setup, call};

#[test]
fn subscriptions_and_the_log_level_are_restored_in_the_next_session() {
    let setup = Setup::with_token(Config::default());
    for method in ["resources/subscribe", "resources/unsubscribe", "logging/setLevel"] {
        setup.sandbox.on_method(method, RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    }
    let bridge = setup.open();
    let ask = |id: u32, method: &str, params: &str| {
        bridge.ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#))
    };
    ask(1, "resources/subscribe", r#"{"uri":"file:///a","x":1.0}"#);
    ask(2, "resources/subscribe", r#"{"uri":"file:///b"}"#);
    ask(3, "logging/setLevel", r#"{"level":"debug"}"#);
    ask(4, "resources/unsubscribe", r#"{"uri":"file:///b"}"#);
    setup.sandbox.on_method(
        "resources/subscribe",
        RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"error":{"code":-32602,"message":"no"}}"#).once(),
    );
    ask(5, "resources/subscribe", r#"{"uri":"file:///c"}"#);
    let before = setup.sandbox.requests().len();

    setup.sandbox.lose_sessions();
    bridge.call(6, "echo", "{}");
    let level = setup
        .sandbox
        .wait_request(
            |r| {
                r.method().as_deref() == Some("logging/setLevel")
                    && r.id().is_some_and(|id| id.contains("planhat-mcp/"))
            },
            PATIENCE,
        )
        .expect("the level is restored");
    let again: Vec<_> = setup.sandbox.requests().split_off(before);
    let again: Vec<_> = again.iter().filter(|r| r.text().contains("resources/subscribe")).collect();
    assert_eq!(again.len(), 1, "{again:#?}");
    assert!(again[0].text().contains(r#""params":{"uri":"file:///a","x":1.0}"#), "{}", again[0].text());
    assert_eq!(again[0].header("mcp-session-id"), level.header("mcp-session-id"));
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| !line.contains("planhat-mcp/")), "the client hears nothing of it: {lines:?}");
}

#[test]
fn what_the_client_ends_is_not_restored_although_the_session_was_lost_before_the_server_heard_of_it() {
    let setup = Setup::with_token(Config { get_stream: false, ..Config::default() });
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        setup.sandbox.on_method(method, RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    }
    let bridge = setup.open();
    let ask = |id: u32, method: &str, uri: &str| {
        bridge
            .ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"resources/{method}","params":{{"uri":"{uri}"}}}}"#))
    };
    ask(1, "subscribe", "file:///a");
    ask(2, "subscribe", "file:///b");
    setup.sandbox.fault(Fault::status(404).method("resources/unsubscribe"));
    ask(3, "unsubscribe", "file:///a");
    let restored = |uri: &'static str| {
        move |r: &planhat_sandbox::Recorded| {
            r.method().as_deref() == Some("resources/subscribe")
                && r.text().contains(uri)
                && r.id().is_some_and(|id| id.contains("planhat-mcp/"))
        }
    };
    setup.sandbox.wait_request(restored("file:///b"), PATIENCE).expect("the other one is restored");
    assert!(!setup.sandbox.requests().iter().any(restored("file:///a")));
}

#[test]
fn a_notification_that_meets_a_lost_session_is_said_again_in_the_next() {
    let setup = Setup::with_token(Config { get_stream: false, ..Config::default() });
    let bridge = setup.open();
    bridge.call(1, "echo", "{}");
    setup.sandbox.lose_sessions();
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
    let is_it = |r: &planhat_sandbox::Recorded| r.text().contains("roots/list_changed");
    let session = |r: &planhat_sandbox::Recorded| r.header("mcp-session-id").map(str::to_owned);
    // Before a call finds out that the session is lost.
    let lost = setup.sandbox.wait_request(is_it, PATIENCE).expect("it is sent");
    bridge.call(2, "echo", "{}");
    // Before the end, which waits for what is on its way for a moment only.
    setup
        .sandbox
        .wait_request(|r| is_it(r) && session(r) != session(&lost), PATIENCE)
        .expect("and again in the next session");
    bridge.finish();
    assert_eq!(setup.sandbox.requests().iter().filter(|r| is_it(r)).count(), 2);
}

#[test]
fn an_answer_that_finds_no_connection_is_sent_when_there_is_one() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the standing stream opens");
    assert!(setup.sandbox.push(r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#));
    bridge.wait_line("the question", |line| line.contains("roots/list"));
    setup.sandbox.go_offline();
    let answer = r#"{"jsonrpc":"2.0","id":"q","result":{"roots":[]}}"#;
    bridge.send(answer);
    bridge.wait_stderr("waits for a connection");
    setup.sandbox.come_back().expect("the ports are still free");
    setup.sandbox.wait_request(|r| r.text() == answer, PATIENCE).expect("it arrives");
}

#[test]
fn a_question_that_nobody_can_answer_any_more_does_not_hold_up_the_end() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.send(&call(1, "ask_user", r#"{"QUERY":"Really?"}"#));
    bridge.wait_line("the question", |line| line.contains("elicitation/create"));
    let start = Instant::now();
    let (lines, status) = bridge.finish();
    assert!(status.success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let answers = lines.iter().filter(|line| line.contains(r#""id":1,"#)).count();
    assert_eq!(answers, 1, "{lines:?}");
}

#[test]
fn cookies_outlive_the_connections_but_not_the_process() {
    let setup = Setup::with_token(Config::default());
    let reply = RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#).header("set-cookie", "node=b7; Path=/");
    setup.sandbox.on_method("vendor/sticky", reply.once());
    let bridge = setup.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/sticky"}"#);
    setup.sandbox.go_offline();
    setup.sandbox.come_back().expect("the ports are still free");
    bridge.ask(r#"{"jsonrpc":"2.0","id":"again","method":"tools/list"}"#);
    bridge.finish();
    let cookie = |requests: Vec<planhat_sandbox::Recorded>| {
        requests.iter().rfind(|r| r.text().contains("tools/list")).and_then(|r| r.header("cookie").map(str::to_owned))
    };
    assert_eq!(cookie(setup.sandbox.requests()).as_deref(), Some("node=b7"));
    let next = setup.open();
    next.ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    assert_eq!(cookie(setup.sandbox.requests()), None);
}
