//! What goes in comes out: bytes are carried, never models of them.

use planhat_sandbox::{AnswerMode, Config, Gate, RawReply};
use serde_json::{Value, json};

use crate::support::{INITIALIZE, INITIALIZED, PATIENCE, Setup, call};

/// A message that any decoding into a model would change.
const ODD: &str = r#""params" : { "z":1,"a":2, "big":123456789012345678901234567890,"float":1.10,"exp":1E+400,"minus":-0.0,"esc":"\u00e9\/\ud83d\ude00","dup":{"k":1,"k":2},"null":null, "_meta":{"x/y":[ ]} } ,"unknown": [1,{}]"#;

fn sandbox() -> Setup {
    Setup::with_token(Config::default())
}

#[test]
fn a_request_arrives_byte_for_byte_and_so_does_its_answer() {
    let setup = sandbox();
    let odd_result = r#"{"jsonrpc":"2.0","extra":[1.0,1e400],"id":{id},"result":{"z":1,"a":123456789012345678901234567890,"s":"\u00e9\/"},"more":null}"#;
    setup.sandbox.on_method("vendor/odd", RawReply::json(odd_result));
    let bridge = setup.open();
    let request = format!(r#"{{"id":"q\u0031", "jsonrpc":"2.0","method":"vendor/odd",{ODD}}}"#);
    bridge.send(&request);
    let answer = bridge.answer_to(&json!("q1"));
    assert_eq!(answer, odd_result.replace("{id}", r#""q\u0031""#));
    let received = setup.sandbox.wait_request(|r| r.method().as_deref() == Some("vendor/odd"), PATIENCE).expect("sent");
    assert_eq!(received.text(), request);
}

#[test]
fn ids_of_every_kind_come_back_as_they_went() {
    let setup = sandbox();
    setup.sandbox.on_method("vendor/id", RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    let bridge = setup.open();
    for id in ["0", "-1", "123456789012345678901234567890", "1.0", "1e2", r#""""#, r#""\u0000""#, r#""å""#] {
        bridge.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/id"}}"#));
        assert_eq!(bridge.next_line(), format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
}

#[test]
fn error_objects_keep_their_extra_members_whatever_the_status() {
    let setup = sandbox();
    let error =
        r#"{"jsonrpc":"2.0","id":{id},"error":{"code":-32001,"message":"no","data":{"a":1.0},"hint":"x"},"trace":7}"#;
    let bridge = setup.open();
    for (n, status) in [200, 400, 403, 404, 422, 500, 503].into_iter().enumerate() {
        let reply = RawReply::status(status).header("content-type", "application/json").bytes(error);
        setup.sandbox.on_method("vendor/fail", reply.once());
        let answer = bridge.ask(&format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"vendor/fail"}}"#));
        assert_eq!(answer, error.replace("{id}", &n.to_string()), "status {status}");
    }
}

#[test]
fn an_answer_without_an_id_answers_the_request_that_was_posted() {
    let setup = sandbox();
    let bridge = setup.open();
    for (id, error) in [(1, r#""id":null,"#), (2, "")] {
        let body = format!(r#"{{"jsonrpc":"2.0",{error}"error":{{"code":-32600,"message":"no"}}}}"#);
        let reply = RawReply::status(400).header("content-type", "application/json").bytes(body);
        setup.sandbox.on_method("vendor/fail", reply.once());
        let answer: Value =
            serde_json::from_str(&bridge.ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/fail"}}"#)))
                .expect("JSON");
        assert_eq!(answer["error"], json!({"code": -32600, "message": "no"}));
    }
}

#[test]
fn a_pretty_printed_answer_becomes_one_line() {
    let setup = sandbox();
    let pretty = "{\r\n  \"jsonrpc\": \"2.0\",\n  \"id\": {id},\n  \"result\": { \"text\": \"a\\nb\" }\n}\n";
    setup.sandbox.on_method("vendor/pretty", RawReply::json(pretty));
    let sse = RawReply::sse().event("{\"jsonrpc\":\"2.0\",\n\"id\":{id},\n\"result\":{}}");
    setup.sandbox.on_method("vendor/sse", sse);
    let bridge = setup.open();
    let answer = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/pretty"}"#);
    assert_eq!(answer, r#"{    "jsonrpc": "2.0",   "id": 1,   "result": { "text": "a\nb" } }"#);
    let answer = bridge.ask(r#"{"jsonrpc":"2.0","id":2,"method":"vendor/sse"}"#);
    assert_eq!(answer, r#"{"jsonrpc":"2.0", "id":2, "result":{}}"#);
}

#[test]
fn progress_comes_before_its_result_and_in_order() {
    for mode in [AnswerMode::Sse, AnswerMode::Json] {
        let setup = Setup::with_token(Config { answers: mode, ..Config::default() });
        let bridge = setup.open();
        bridge.send(
            r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"STEPS":5},"_meta":{"progressToken":"p"}}}"#,
        );
        let mut seen = Vec::new();
        loop {
            let line: Value = serde_json::from_str(&bridge.next_line()).expect("JSON");
            if line["id"] == 5 {
                break;
            }
            if line["method"] == "notifications/progress" {
                assert_eq!(line["params"]["progressToken"], "p");
                seen.push(line["params"]["progress"].as_f64().expect("a number"));
            }
        }
        assert!(seen.len() >= 5, "{mode:?}: {seen:?}");
        assert!(seen.is_sorted(), "{mode:?}: {seen:?}");
    }
}

#[test]
fn requests_of_the_server_reach_the_client_and_its_answers_the_server() {
    let setup = sandbox();
    let bridge = setup.open();
    bridge.send(&call(9, "ask_user", r#"{"QUESTION":"Really?"}"#));
    let asked = bridge.wait_line("elicitation", |line| line.contains("elicitation/create"));
    let asked: Value = serde_json::from_str(&asked).expect("JSON");
    let answer =
        json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"answer": "yes"}}});
    bridge.send(&answer.to_string());
    let result = bridge.answer_to(&json!(9));
    assert!(result.contains("yes"), "{result}");
}

#[test]
fn unknown_requests_of_the_server_pass_as_they_are_on_every_stream() {
    let setup = sandbox();
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.streams_open >= 1, PATIENCE).expect("the standing stream opens");
    let odd =
        r#"{"jsonrpc":"2.0","id":"s\u0031","method":"vendor/ask","params":{"n":1.0,"big":12345678901234567890123}}"#;
    assert!(setup.sandbox.push(odd));
    assert_eq!(bridge.wait_line("the request", |line| line.contains("vendor/ask")), odd);
    let error = r#"{"jsonrpc":"2.0","id":"s1","error":{"code":-32601,"message":"what?","x":1e400}}"#;
    bridge.send(error);
    setup.sandbox.wait_request(|r| r.text() == error, PATIENCE).expect("the client's error reaches the server");

    let inline = RawReply::sse().event(odd).event(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#);
    setup.sandbox.on_method("vendor/inline", inline);
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/inline"}"#);
    assert_eq!(bridge.next_line(), odd);
    assert_eq!(bridge.next_line(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
}

#[test]
fn one_slow_call_holds_up_no_other() {
    let setup = sandbox();
    let gate = Gate::new();
    let slow = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/slow", slow.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    let bridge = setup.open();
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/slow"}"#);
    assert!(gate.wait_arrivals(1, PATIENCE));
    for id in 2..20 {
        let answer = bridge.call(id, "echo", r#"{"n":1}"#);
        assert!(answer["result"].is_object(), "{answer}");
    }
    gate.open();
    bridge.answer_to(&json!(1));
}

#[test]
fn a_cancellation_reaches_the_server_after_its_request_and_there_is_no_answer() {
    let setup = sandbox();
    let gate = Gate::new();
    let slow = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/slow", slow.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    let bridge = setup.open();
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/slow"}"#);
    assert!(gate.wait_arrivals(1, PATIENCE));
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"x"}}"#;
    bridge.send(cancel);
    setup.sandbox.wait_request(|r| r.text() == cancel, PATIENCE).expect("the server hears of it");
    gate.open();
    // The id is free again, and what comes back is the new request's answer.
    setup.sandbox.on_method("vendor/next", RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{"new":true}}"#));
    assert!(bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/next"}"#).contains("new"));
    let (rest, _) = bridge.finish();
    assert!(rest.iter().all(|line| !line.contains(r#""id":1"#)), "{rest:?}");
}

#[test]
fn a_request_and_the_end_of_input_at_once_are_still_answered() {
    let setup = sandbox();
    let bridge = setup.bridge();
    let all = [
        INITIALIZE,
        INITIALIZED,
        &call(1, "echo", r#"{"x":1}"#),
        &call(2, "list_model_records", r#"{"MODEL":"Company"}"#),
    ];
    // The last line has no end: shells write such.
    bridge.send_bytes(all.join("\n").as_bytes());
    let (lines, status) = bridge.finish();
    for id in 0..3 {
        let mut answers = lines.iter().filter(|l| serde_json::from_str::<Value>(l).expect("JSON")["id"] == id);
        assert!(answers.next().is_some(), "no answer to {id}: {lines:?}");
        assert!(answers.next().is_none(), "two answers to {id}: {lines:?}");
    }
    assert!(status.success());
    setup.sandbox.wait_until(|c| c.sessions_deleted == 1, PATIENCE).expect("the session is ended at the server");
}

#[test]
fn ten_megabytes_pass_both_ways() {
    let setup = Setup::with_token(Config { max_body: 64 << 20, ..Config::default() });
    let bridge = setup.open();
    let text = "å".repeat(5 << 20);
    let answer = bridge.call(1, "echo", &json!({ "text": text }).to_string());
    assert!(answer["result"]["content"][0]["text"].as_str().is_some_and(|echoed| echoed.contains(&text)));
}

#[test]
fn an_answer_of_the_server_for_another_request_finds_its_way() {
    let setup = sandbox();
    let gate = Gate::new();
    let held = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/held", held.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{"late":true}}"#));
    let both =
        RawReply::json(r#"[{"jsonrpc":"2.0","id":1,"result":{"early":true}},{"jsonrpc":"2.0","id":{id},"result":{}}]"#);
    setup.sandbox.on_method("vendor/both", both);
    let bridge = setup.open();
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/held"}"#);
    assert!(gate.wait_arrivals(1, PATIENCE));
    bridge.ask(r#"{"jsonrpc":"2.0","id":2,"method":"vendor/both"}"#);
    assert!(bridge.answer_to(&json!(1)).contains("early"));
    gate.open();
    let (rest, _) = bridge.finish();
    assert!(rest.iter().all(|line| !line.contains("late")), "{rest:?}");
}

#[test]
fn an_answer_under_the_wrong_name_or_without_its_end_is_delivered_and_sent_for_once() {
    let answer = r#"{"jsonrpc":"2.0","id":{id},"result":{"content":[],"n":1.50}}"#;
    let event = format!("event: message\ndata: {answer}\n\n");
    let note = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/odd\"}\n\n";
    let json = |body: String| RawReply::json(body);
    let stream = |body: String| RawReply::sse().bytes(body);
    let text = |body: String| RawReply::status(200).header("content-type", "text/plain").bytes(body);
    for reply in [
        json(event.clone()),
        json(format!("{note}{event}")),
        json(event.trim_end().to_owned()),
        text(event.clone()),
        stream(answer.to_owned()),
        stream(format!("\n{note}data: {answer}")),
        stream(format!("data: {answer}\n")),
        stream(format!("data: {answer}\r\n")).cut(),
    ] {
        let setup = sandbox();
        let bridge = setup.open();
        setup.sandbox.on_tool("echo", reply.clone());
        let line = bridge.ask(&call(1, "echo", "{}"));
        assert_eq!(line, answer.replace("{id}", "1"), "{reply:?}");
        let sent = setup.sandbox.requests().iter().filter(|r| r.text().contains(r#""name":"echo""#)).count();
        assert_eq!(sent, 1, "{reply:?}");
    }
}

#[test]
fn a_byte_that_is_no_utf8_in_a_result_costs_that_byte_alone() {
    let mut answer = br#"{"jsonrpc":"2.0","id":{id},"result":{"n":1.50,"text":"caf"#.to_vec();
    answer.push(0xe9);
    answer.extend_from_slice(br#" "}}"#);
    let expected = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"n\":1.50,\"text\":\"caf\u{fffd} \"}}";
    let event = [b"data: ", &answer[..], b"\n\n"].concat();
    let text = RawReply::status(200).header("content-type", "text/plain").bytes(answer.clone());
    for reply in [RawReply::json(answer), RawReply::sse().bytes(event), text] {
        let setup = sandbox();
        let bridge = setup.open();
        setup.sandbox.on_tool("echo", reply);
        assert_eq!(bridge.ask(&call(1, "echo", "{}")), expected);
    }
}
