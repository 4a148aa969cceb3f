//! Signing in within the conversation: the client shows the link, a call that waits says so, and what a model is told.

use std::time::{Duration, Instant};

use planhat_sandbox::browser::{Choice, walk};
use planhat_sandbox::{Config, Fault, Gate, Place, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, INITIALIZE, INITIALIZED, PATIENCE, Setup, call};

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("every line of stdout is JSON")
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"))
}

/// A bridge whose client shows links.
fn shows_links(setup: &Setup) -> Bridge {
    let bridge = setup.bridge();
    bridge.ask(&INITIALIZE.replace(r#""elicitation":{}"#, r#""elicitation":{"form":{},"url":{}}"#));
    bridge.send(INITIALIZED);
    bridge
}

fn setup(choice: Choice) -> Setup {
    Setup::with_sign_in(Config::default(), choice)
}

fn asked(bridge: &Bridge) -> Value {
    parse(&bridge.wait_line("the client is asked", |line| line.contains(r#""elicitation/create""#)))
}

fn reply(bridge: &Bridge, question: &Value, result: &Value) {
    bridge.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}).to_string());
}

fn opened(setup: &Setup) -> usize {
    setup.browser.as_ref().expect("it has one").opened().len()
}

#[test]
fn a_client_that_shows_links_is_given_the_link_and_no_browser_opens() {
    let setup = setup(Choice::Leave);
    let bridge = shows_links(&setup);
    for id in 1..4 {
        bridge.send(&call(id, "echo", "{}"));
    }
    let question = asked(&bridge);
    let params = &question["params"];
    assert_eq!(params["mode"], "url", "{question}");
    let link = params["url"].as_str().expect("a link");
    assert!(link.starts_with(&setup.sandbox.ws_base()) && link.contains("code_challenge"), "{link}");
    let host = setup.sandbox.mcp_url().replace("http://", "").replace("/v1/mcp", "");
    assert!(params["message"].as_str().is_some_and(|message| message.contains(&host)), "{question}");
    reply(&bridge, &question, &json!({"action": "accept"}));
    walk(link, Choice::Allow).expect("the person signs in");
    for id in 1..4 {
        assert_eq!(text(&parse(&bridge.answer_to(&json!(id)))), "{}");
    }
    let complete = bridge.wait_line("that it is complete", |line| line.contains("notifications/elicitation/complete"));
    assert_eq!(parse(&complete)["params"]["elicitationId"], params["elicitationId"]);
    assert!(params["elicitationId"].as_str().is_some_and(|id| !id.is_empty()));
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| !line.contains("elicitation")), "one question for all calls: {lines:?}");
    assert_eq!((opened(&setup), setup.sandbox.counters().consents_granted), (0, 1));
    assert_eq!(setup.sandbox.counters().tool("echo"), 3);
}

#[test]
fn a_sign_in_that_the_user_declines_ends_the_call_and_is_not_proposed_again_by_itself() {
    for action in ["decline", "cancel"] {
        let setup = setup(Choice::Leave);
        let bridge = shows_links(&setup);
        bridge.send(&call(1, "echo", "{}"));
        let question = asked(&bridge);
        reply(&bridge, &question, &json!({"action": action}));
        let answer = parse(&bridge.answer_to(&json!(1)));
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert!(text(&answer).contains("declined") && text(&answer).contains("planhat_sign_in"), "{answer}");
        assert!(text(&bridge.call(2, "echo", "{}")).contains("declined"));
        // The tool is the user's own wish; it is the same sign-in still.
        bridge.send(&call(3, "planhat_sign_in", "{}"));
        let again = asked(&bridge);
        assert_eq!(again["params"]["url"], question["params"]["url"]);
        assert_ne!(again["params"]["elicitationId"], question["params"]["elicitationId"]);
        reply(&bridge, &again, &json!({"action": "accept"}));
        walk(again["params"]["url"].as_str().expect("a link"), Choice::Allow).expect("the person signs in");
        assert!(text(&parse(&bridge.answer_to(&json!(3)))).contains("Signed in to 127.0.0.1"));
        assert_eq!(opened(&setup), 0);
    }
}

#[test]
fn a_client_that_cannot_show_the_link_after_all_gets_a_browser() {
    let setup = setup(Choice::Allow);
    let bridge = shows_links(&setup);
    for id in 1..4 {
        bridge.send(&call(id, "echo", "{}"));
    }
    let question = asked(&bridge);
    let error = json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -32602, "message": "no"}});
    bridge.send(&error.to_string());
    for id in 1..4 {
        assert_eq!(text(&parse(&bridge.answer_to(&json!(id)))), "{}");
    }
    assert_eq!(opened(&setup), 1, "one for all calls");
}

#[test]
fn a_user_who_is_on_the_way_to_the_page_is_not_asked_again() {
    let setup = setup(Choice::Leave);
    let bridge = shows_links(&setup);
    bridge.send(&call(1, "echo", "{}"));
    let question = asked(&bridge);
    reply(&bridge, &question, &json!({"action": "accept"}));
    bridge.send(&call(2, "echo", "{}").replace(r#""arguments""#, r#""_meta":{"progressToken":2},"arguments""#));
    let waits = |line: &str| line.contains("Waiting for the sign-in") || line.contains("elicitation/create");
    let line = bridge.wait_line("what the second call waits for", waits);
    assert!(line.contains("progress"), "{line}");
    walk(question["params"]["url"].as_str().expect("a link"), Choice::Allow).expect("the person signs in");
    for id in 1..3 {
        assert_eq!(text(&parse(&bridge.answer_to(&json!(id)))), "{}");
    }
}

#[test]
fn a_sign_in_by_link_opens_a_browser_for_another_client_that_shows_none() {
    let setup = setup(Choice::Allow);
    let first = shows_links(&setup);
    first.send(&call(1, "echo", "{}"));
    let question = asked(&first);
    let second = setup.open();
    assert_eq!(text(&second.call(1, "echo", "{}")), "{}");
    assert_eq!(text(&parse(&first.answer_to(&json!(1)))), "{}");
    let link = question["params"]["url"].as_str().expect("a link");
    assert_eq!(setup.browser.as_ref().expect("it has one").opened(), [link]);
}

#[test]
fn a_question_that_nobody_needs_answered_any_more_is_taken_back() {
    let taken_back = |bridge: &Bridge, question: &Value| {
        let line = bridge.wait_line("it is taken back", |line| line.contains("notifications/cancelled"));
        assert_eq!(parse(&line)["params"]["requestId"], question["id"]);
    };
    // The client cancels the call.
    let tenant = setup(Choice::Leave);
    let bridge = shows_links(&tenant);
    bridge.send(&call(1, "echo", "{}"));
    let question = asked(&bridge);
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    taken_back(&bridge, &question);
    // A late answer is nobody's; above all not the server's.
    reply(&bridge, &question, &json!({"action": "accept"}));
    // The person signs in before the client says anything.
    bridge.send(&call(2, "echo", "{}"));
    let question = asked(&bridge);
    walk(question["params"]["url"].as_str().expect("a link"), Choice::Allow).expect("the person signs in");
    taken_back(&bridge, &question);
    assert_eq!(text(&parse(&bridge.answer_to(&json!(2)))), "{}");
    bridge.wait_line("that it is complete", |line| line.contains("notifications/elicitation/complete"));
    bridge.finish();
    let leaked = tenant.sandbox.requests().into_iter().any(|request| request.text().contains("accept\""));
    assert!(!leaked, "the server sees what it did not ask");
}

#[test]
fn a_question_that_stays_open_holds_the_call_no_longer_than_a_call_may_wait() {
    let setup = setup(Choice::Leave);
    let mut command = setup.command();
    command.args(["--sign-in-wait", "1"]);
    let bridge = Bridge::start(command);
    bridge.ask(&INITIALIZE.replace(r#""elicitation":{}"#, r#""elicitation":{"url":{}}"#));
    bridge.send(INITIALIZED);
    bridge.send(&call(1, "echo", "{}"));
    let question = asked(&bridge);
    let answer = parse(&bridge.answer_to(&json!(1)));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let link = question["params"]["url"].as_str().expect("a link");
    assert!(text(&answer).contains(link) && text(&answer).contains("call again"), "{answer}");
    let line = bridge.wait_line("it is taken back", |line| line.contains("notifications/cancelled"));
    assert_eq!(parse(&line)["params"]["requestId"], question["id"]);
    // The link is still good.
    walk(link, Choice::Allow).expect("the person signs in");
    assert_eq!(text(&bridge.call(2, "echo", "{}")), "{}");
    assert_eq!(opened(&setup), 0);
}

#[test]
fn a_revision_without_links_gets_a_browser_whatever_the_client_says() {
    let setup = setup(Choice::Allow);
    let bridge = setup.bridge();
    let hello = INITIALIZE.replace(r#""elicitation":{}"#, r#""elicitation":{"url":{}}"#);
    bridge.ask(&hello.replace("2025-11-25", "2025-06-18"));
    bridge.send(INITIALIZED);
    assert_eq!(text(&bridge.call(1, "echo", "{}")), "{}");
    assert_eq!(opened(&setup), 1);
}

/// A call of the stateless era, by a client that shows links.
fn stateless(id: u64, more: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"it","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{"elicitation":{{"url":{{}}}}}}}},"name":"echo","arguments":{{"n":1.50}}{more}}}}}"#
    )
}

#[test]
fn in_the_stateless_era_a_call_says_what_it_needs_and_goes_on_when_it_comes_again() {
    let setup = setup(Choice::Leave);
    let bridge = setup.bridge();
    let answer = parse(&bridge.ask(&stateless(1, r#","requestState":"theirs","inputResponses":{"q":{"x":1.0}}"#)));
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    let request = &result["inputRequests"]["planhat_sign_in"];
    assert_eq!((&request["method"], &request["params"]["mode"]), (&json!("elicitation/create"), &json!("url")));
    let state = result["requestState"].as_str().expect("a state");
    walk(request["params"]["url"].as_str().expect("a link"), Choice::Allow).expect("the person signs in");
    let again = format!(r#","requestState":"{state}","inputResponses":{{"planhat_sign_in":{{"action":"accept"}}}}"#);
    let answer = parse(&bridge.ask(&stateless(2, &again)));
    assert_eq!(text(&answer), r#"{"n":1.50}"#, "{answer}");
    // The server sees what was meant for it.
    let seen = setup.sandbox.requests().pop().expect("the call");
    assert_eq!(seen.json().expect("JSON")["params"]["requestState"], "theirs");
    assert!(seen.text().contains(r#""inputResponses":{"q":{"x":1.0}}"#), "{}", seen.text());
    assert!(setup.sandbox.requests().iter().all(|request| !request.text().contains("planhat-mcp/")));
    assert_eq!((opened(&setup), setup.sandbox.counters().tool("echo")), (0, 1));
}

#[test]
fn in_the_stateless_era_the_sign_in_tool_goes_the_same_way() {
    let setup = setup(Choice::Leave);
    let bridge = setup.bridge();
    let tool = |id, more: &str| parse(&bridge.ask(&stateless(id, more).replace("echo", "planhat_sign_in")));
    let answer = tool(1, "");
    let result = &answer["result"];
    assert_eq!(result["resultType"], "input_required", "{answer}");
    let link = result["inputRequests"]["planhat_sign_in"]["params"]["url"].as_str().expect("a link");
    walk(link, Choice::Allow).expect("the person signs in");
    let state = result["requestState"].as_str().expect("a state");
    let again = format!(r#","requestState":"{state}","inputResponses":{{"planhat_sign_in":{{"action":"accept"}}}}"#);
    let answer = tool(2, &again);
    assert!(text(&answer).contains("igned in to 127.0.0.1"), "{answer}");
    assert_eq!(setup.sandbox.counters().method("tools/call"), 0, "the tool is never forwarded");
}

#[test]
fn in_the_stateless_era_a_declined_sign_in_ends_the_call() {
    let setup = setup(Choice::Leave);
    let bridge = setup.bridge();
    let answer = parse(&bridge.ask(&stateless(1, "")));
    let state = answer["result"]["requestState"].as_str().expect("a state");
    let again = format!(r#","requestState":"{state}","inputResponses":{{"planhat_sign_in":{{"action":"decline"}}}}"#);
    let answer = parse(&bridge.ask(&stateless(2, &again)));
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete");
    assert!(text(&answer).contains("declined"));
}

#[test]
fn a_call_that_waits_for_the_browser_says_so_and_ends_with_words_that_a_model_can_relay() {
    let setup = setup(Choice::Leave);
    let mut command = setup.command();
    command.args(["--sign-in-wait", "1"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let line = call(1, "echo", "{}").replace(r#""arguments""#, r#""_meta":{"progressToken":"\u0070"},"arguments""#);
    let start = Instant::now();
    bridge.send(&line);
    let progress = parse(&bridge.wait_line("progress", |line| line.contains("notifications/progress")));
    assert_eq!(progress["params"]["progressToken"], "p");
    assert_eq!(progress["params"]["message"], "Waiting for the sign-in in the browser.");
    assert!(progress["params"]["progress"].as_f64().is_some_and(|n| n > 0.0 && n < 1e-3), "{progress}");
    let answer = parse(&bridge.answer_to(&json!(1)));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(answer["result"]["isError"], true);
    let link = setup.browser.as_ref().expect("it has one").wait_opened(1, PATIENCE).remove(0);
    assert!(text(&answer).contains(&link) && text(&answer).contains("call again"), "{answer}");
    // The next one waits for the same sign-in.
    bridge.call(2, "planhat_sign_in", "{}");
    assert_eq!(opened(&setup), 1);
}

#[test]
#[cfg_attr(any(windows, target_os = "macos"), ignore = "the system has a display always")]
fn without_a_display_the_link_is_said_in_words_and_signing_in_by_it_is_noticed() {
    let setup = setup(Choice::Leave);
    let mut command = setup.command();
    command.env_remove("BROWSER");
    let bridge = Bridge::start(command);
    bridge.open();
    // A list cannot pass a link on.
    assert!(bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).contains("planhat_sign_in"));
    assert_eq!(setup.sandbox.counters().authorize_hits, 0);
    let start = Instant::now();
    let answer = bridge.call(2, "planhat_sign_in", "{}");
    assert!(start.elapsed() < Duration::from_secs(10), "it waits for nobody: {:?}", start.elapsed());
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(text(&answer).contains("login --no-browser"), "{answer}");
    let link = text(&answer).split_whitespace().find(|word| word.starts_with("http")).expect("a link").to_owned();
    assert_eq!(text(&bridge.call(3, "echo", "{}")), text(&answer), "the same link");
    walk(&link, Choice::Allow).expect("the person signs in");
    bridge.wait_line("the real tools", |line| line.contains("notifications/tools/list_changed"));
    assert_eq!(text(&bridge.call(4, "echo", "{}")), "{}");
    assert_eq!(setup.sandbox.counters().consents_granted, 1);
}

#[test]
fn a_page_that_has_opened_by_itself_is_not_shown_a_second_time() {
    let setup = setup(Choice::Allow);
    let gate = Gate::new();
    setup.sandbox.fault(Fault::held(&gate).at(Place::Authorize).always());
    let bridge = shows_links(&setup);
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    setup.browser.as_ref().expect("it has one").wait_opened(1, PATIENCE);
    bridge.send(&call(2, "echo", "{}"));
    bridge.send(r#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#);
    bridge.answer_to(&json!(3));
    gate.open();
    assert_eq!(text(&parse(&bridge.answer_to(&json!(2)))), "{}");
    bridge.answer_to(&json!(1));
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| !line.contains("elicitation")), "{lines:?}");
    assert_eq!(opened(&setup), 1);
}

#[test]
fn a_server_that_asks_for_what_the_client_has_not_declared_is_refused_here_and_all_else_reaches_the_client() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.bridge();
    bridge.ask(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"it","version":"1"}}}"#);
    bridge.send(INITIALIZED);
    let ask = |id: &str, method: &str| format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"{method}"}}"#);
    let stream = RawReply::sse()
        .event(&ask("s1", "sampling/createMessage"))
        .event(&ask("s2", "elicitation/create"))
        .event(&ask("s3", "tasks/list"))
        .event(&ask("s4", "roots/list"))
        .event(&ask("s5", "vendor/ask"))
        .event(&ask("s6", "ping"))
        .event(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#);
    setup.sandbox.on_method("vendor/x", stream);
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/x"}"#);
    for (id, method) in [("s4", "roots/list"), ("s5", "vendor/ask"), ("s6", "ping")] {
        assert_eq!(bridge.next_line(), ask(id, method));
    }
    assert!(bridge.next_line().contains(r#""id":1"#));
    for (id, method) in [("s1", "sampling/createMessage"), ("s2", "elicitation/create"), ("s3", "tasks/list")] {
        let is_refusal = |request: &planhat_sandbox::Recorded| {
            request.json().is_some_and(|answer| {
                answer["id"] == id
                    && answer["error"]["code"] == -32601
                    && answer["error"]["data"]["problem"] == "not-declared"
                    && answer["error"]["message"].as_str().is_some_and(|message| message.contains(method))
            })
        };
        setup.sandbox.wait_request(is_refusal, PATIENCE).expect("the server reads it");
    }
}
