//! Bad input gets a precise error and loses nothing: the next good message works.

use planhat_sandbox::{Config, Fault, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, INITIALIZE, INITIALIZED, PATIENCE, STATIC_TOKEN, Setup, bare, call};

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("every line of stdout is JSON")
}

#[test]
fn each_kind_of_bad_line_gets_its_error_and_the_next_good_line_works() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    let cases: [(&[u8], i64, Value, &str); 12] = [
        (b"not json", -32700, Value::Null, "not-json"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,", -32700, Value::Null, "not-json"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\xff\"}", -32700, Value::Null, "not-json"),
        (b"[]", -32600, Value::Null, "empty-batch"),
        (b"[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", -32600, Value::Null, "batch-not-allowed"), // no batches in 2025-11-25
        (b"42", -32600, Value::Null, "not-json-rpc"),
        (b"{\"id\":7,\"method\":\"ping\"}", -32600, json!(7), "not-json-rpc"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}", -32600, Value::Null, "not-json-rpc"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"ping\"}", -32600, Value::Null, "not-json-rpc"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":\"a\",\"method\":\"b\"}", -32600, json!(8), "duplicate-member"),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"name\":\"b\"}}",
            -32600,
            json!(9),
            "duplicate-member",
        ),
        (b"{\"jsonrpc\":\"2.0\",\"id\":10}", -32600, json!(10), "not-json-rpc"),
    ];
    for (n, (line, code, id, problem)) in cases.into_iter().enumerate() {
        bridge.send_bytes(line);
        bridge.send_bytes(b"\n");
        let answer = parse(&bridge.next_line());
        let shown = String::from_utf8_lossy(line);
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
        assert_eq!(answer["id"], id, "{shown}: {answer}");
        assert_eq!(answer["error"]["data"]["problem"], problem, "{shown}: {answer}");
        let good = bridge.call(100 + n as u64, "echo", r#"{"still":"works"}"#);
        assert!(good["result"].is_object(), "after {shown}: {good}");
    }
}

#[test]
fn an_initialized_without_an_initialize_holds_up_nothing() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.bridge();
    bridge.send(INITIALIZED);
    let answer = parse(&bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#));
    assert!(answer["error"].is_object(), "the server wants a session: {answer}");
    bridge.open();
    assert!(bridge.call(2, "echo", "{}")["result"].is_object());
    assert!(bridge.finish().1.success());
}

#[test]
fn an_initialize_that_overtakes_another_gets_the_servers_answer() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.bridge();
    let second = INITIALIZE.replacen("\"id\":0", "\"id\":1", 1);
    bridge.send_bytes(format!("{INITIALIZE}\n{second}\n{INITIALIZED}\n").as_bytes());
    assert!(parse(&bridge.answer_to(&json!(0)))["result"]["protocolVersion"].is_string());
    let answer = parse(&bridge.answer_to(&json!(1)));
    assert_eq!(answer["result"]["serverInfo"]["name"], "planhat-sandbox", "{answer}");
    assert!(bridge.call(2, "echo", "{}")["result"].is_object());
}

#[test]
fn blank_lines_and_crlf_are_no_messages() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    bridge.send_bytes(b"\r\n\n   \r\n");
    bridge.send_bytes(format!("{}\r\n", call(1, "echo", "{}")).as_bytes());
    assert_eq!(parse(&bridge.next_line())["id"], 1);
}

#[test]
fn a_message_over_the_bound_is_refused_by_name_and_id_and_the_next_one_works() {
    let setup = Setup::with_token(Config::default());
    let mut command = setup.command();
    command.args(["--max-message-bytes", "100000"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let large = call(1, "echo", &json!({ "x": "y".repeat(200_000) }).to_string());
    let answer = parse(&bridge.ask(&large));
    assert_eq!(answer["error"]["code"], -32600, "{answer}");
    assert!(
        answer["error"]["message"].as_str().is_some_and(|m| m.contains("100000") || m.contains("100,000")),
        "{answer}"
    );
    // The same the other way: the tool was executed, its result is too large to be passed on.
    let answer = bridge.call(2, "blob", r#"{"BYTES":200000}"#);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(bridge.call(3, "echo", "{}")["result"].is_object());
    assert_eq!(setup.sandbox.counters().tool("blob"), 1);
}

#[test]
fn nothing_is_read_out_of_a_stream_after_an_event_over_the_bound() {
    let setup = Setup::with_token(Config::default());
    let mut command = setup.command();
    command.args(["--max-message-bytes", "4096"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let large = "y".repeat(5_000);
    let first = r#"data: {"jsonrpc":"2.0","method":"notifications/odd"}"#;
    let reply = RawReply::sse()
        .bytes(format!("{first}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{{id}},\"result\":\"{large}"))
        .bytes("\ndata: {\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"what is left of it\"}\n\n");
    setup.sandbox.on_method("vendor/large", reply);
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/large"}"#);
    assert_eq!(parse(&bridge.next_line())["method"], "notifications/odd");
    let answer = parse(&bridge.answer_to(&json!(1)));
    assert_eq!(answer["error"]["data"]["problem"], "answer-too-large", "{answer}");

    // A body without a length, that comes in one piece.
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{{id}},\"result\":\"{large}\"}}");
    setup.sandbox.on_method("vendor/body", RawReply::json(body).bytes(" "));
    let answer = parse(&bridge.ask(r#"{"jsonrpc":"2.0","id":2,"method":"vendor/body"}"#));
    assert_eq!(answer["error"]["data"]["problem"], "answer-too-large", "{answer}");
}

#[test]
fn an_id_that_is_in_flight_cannot_be_used_again_until_it_is_answered() {
    let setup = Setup::with_token(Config::default());
    let gate = planhat_sandbox::Gate::new();
    let held = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/held", held.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    let bridge = setup.open();
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/held"}"#);
    assert!(gate.wait_arrivals(1, PATIENCE));
    assert_eq!(parse(&bridge.ask(&call(1, "echo", "{}")))["error"]["code"], -32600);
    gate.open();
    assert!(parse(&bridge.answer_to(&json!(1)))["result"].is_object());
    assert!(bridge.call(1, "echo", "{}")["result"].is_object());
}

#[test]
fn batches_of_the_revision_that_has_them_are_answered_with_one_array() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.bridge();
    bridge.ask(&INITIALIZE.replace("2025-11-25", "2025-03-26"));
    bridge.send(crate::support::INITIALIZED);
    let batch = format!(
        r#"[{}, {{"jsonrpc":"2.0","method":"notifications/vendor"}}, {{"nonsense":1}}, {}]"#,
        call(1, "echo", r#"{"n":1}"#),
        call(2, "echo", r#"{"n":2}"#)
    );
    bridge.send(&batch);
    let answers = parse(&bridge.next_line());
    let answers = answers.as_array().expect("one array");
    assert_eq!(answers.len(), 3, "{answers:?}");
    for id in [1, 2] {
        assert!(answers.iter().any(|a| a["id"] == id && a["result"].is_object()), "{answers:?}");
    }
    assert!(answers.iter().any(|a| a["error"]["code"] == -32600), "{answers:?}");
    bridge.send(r#"[{"jsonrpc":"2.0","method":"notifications/vendor"}]"#);
    assert!(bridge.call(3, "echo", "{}")["result"].is_object(), "notifications alone are answered with nothing");
}

#[test]
fn answers_that_are_no_answers_are_explained_and_the_next_call_works() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    let html = "<!doctype html><title>Sign in to Wi-Fi</title>";
    let json = |body: &str| RawReply::json(body.to_owned());
    let cases = [
        (json("{\"jsonrpc\":\"2.0\",\"id\":"), "invalid-answer"),
        (json(r#"{"jsonrpc":"2.0","id":{id}}"#), "invalid-answer"),
        (json(r#"{"jsonrpc":"2.0","id":"other","result":{}}"#), "wrong-answer-id"),
        (RawReply::status(200).header("content-type", "text/html").bytes(html), "not-mcp"),
        (RawReply::accepted(), "no-answer"),
        (RawReply::sse(), "no-answer"),
        (RawReply::sse().event(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#), "stream-cut"),
        (RawReply::sse().bytes("data: {\"jsonrpc\"").cut(), "stream-cut"),
        (RawReply::status(404).header("content-type", "text/html").bytes(html), "not-found"),
        (RawReply::status(418).bytes("short and stout"), "http-status"),
    ];
    for (n, (reply, problem)) in cases.into_iter().enumerate() {
        setup.sandbox.clear_script();
        setup.sandbox.on_method("vendor/bad", reply);
        let answer = parse(&bridge.ask(&format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"vendor/bad"}}"#)));
        assert_eq!(answer["error"]["data"]["problem"], problem, "{answer}");
        assert!(answer["error"]["data"]["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{answer}");
        setup.sandbox.clear_script();
        assert!(bridge.call(1000 + n as u64, "echo", "{}")["result"].is_object(), "after {problem}");
    }
}

#[test]
fn a_refused_tool_call_is_a_result_that_a_model_can_act_on() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    for (n, status) in [400, 403, 404, 500].into_iter().enumerate() {
        if status != 404 {
            let fault =
                Fault::status(status).body(r#"{"message":"MODEL is unknown"}"#).header("x-request-id", "req-77");
            setup.sandbox.fault(fault.tool("echo"));
            let answer = bridge.call(n as u64 + 1, "echo", "{}");
            assert_eq!(answer["result"]["isError"], true, "{answer}");
            let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
            assert!(text.len() > 40 && text.contains("req-77"), "{text}");
            assert!(text.contains("MODEL is unknown"), "the server's own words: {text}");
        }
    }
}

#[test]
fn a_server_out_of_reach_holds_up_no_initialize_and_is_named_in_the_error() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let reserved = planhat_sandbox::ReservedPort::new();
    let port = reserved.number();
    let mut command = bare(home.path());
    command.args(["--url", &format!("http://127.0.0.1:{port}/mcp"), "--connect-wait", "0"]);
    command.env("PLANHAT_MCP_TOKEN", STATIC_TOKEN);
    let bridge = Bridge::start(command);
    let hello = bridge.open();
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25", "{hello}");
    let answer = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert!(answer.contains(&format!("127.0.0.1:{port}")) && answer.contains("connect-failed"), "{answer}");
    assert_eq!(parse(&bridge.ask(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#))["result"], json!({}));
    let (_, status) = bridge.finish();
    assert!(status.success());
}

#[test]
fn a_tls_failure_is_named_as_one() {
    // A server that speaks plain HTTP where TLS is expected.
    let setup = Setup::with_token(Config::default());
    let mut command = bare(setup.home.path());
    let url = setup.sandbox.mcp_url().replace("http://", "https://");
    command.args(["--url", &url, "--connect-wait", "0"]).env("PLANHAT_MCP_TOKEN", STATIC_TOKEN);
    let bridge = Bridge::start(command);
    bridge.open();
    let answer = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert!(answer.contains("tls-failed") || answer.contains("no-trust-roots"), "{answer}");
}

#[test]
fn an_address_without_an_mcp_server_is_told_at_once() {
    let setup = Setup::with_token(Config::default());
    let mut command = bare(setup.home.path());
    command.args(["--url", &format!("{}/nothing/here", setup.sandbox.api_base())]);
    command.env("PLANHAT_MCP_TOKEN", STATIC_TOKEN);
    let bridge = Bridge::start(command);
    let answer = parse(&bridge.ask(INITIALIZE));
    assert!(answer["error"]["message"].is_string(), "{answer}");
    assert!(answer["error"]["data"]["status"].is_number(), "{answer}");
}
