//! A client and a server that both speak the stateless era (2026-07-28): passed through, with the headers that repeat the
//! body, and without a session.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use planhat_mcp::limits::MAX_SEARCHED_PAGES;
use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Gate, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, STATIC_TOKEN, Setup, bare};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("every line of stdout is JSON")
}

/// A request as a client of this era writes it; `members` are more members of its parameters.
fn request(id: u64, method: &str, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{META}{comma}{members}}}}}"#)
}

fn tool_call(id: u64, tool: &str, arguments: &str) -> String {
    request(id, "tools/call", &format!(r#""name":"{tool}","arguments":{arguments}"#))
}

/// A list with one tool whose argument is marked, beside one whose marks are invalid.
fn marked_list() -> RawReply {
    let good = r#"{"name":"deploy","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}}"#;
    let bad =
        r#"{"name":"sly","inputSchema":{"type":"object","properties":{"a":{"type":"object","x-mcp-header":"A"}}}}"#;
    RawReply::json(format!(
        r#"{{"jsonrpc":"2.0","id":{{id}},"result":{{"tools":[{bad},{good}],"ttlMs":0,"cacheScope":"private","resultType":"complete"}}}}"#
    ))
}

fn empty_result() -> RawReply {
    RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{"content":[],"resultType":"complete"}}"#)
}

fn error(status: u16, code: i64) -> RawReply {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{{id}},"error":{{"code":{code},"message":"m"}}}}"#);
    RawReply::status(status).header("content-type", "application/json").bytes(body)
}

#[test]
fn requests_reach_a_server_of_this_era_with_their_headers_and_without_a_session() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.bridge();
    let found = parse(&bridge.ask(&request(0, "server/discover", "")));
    assert!(found["result"]["supportedVersions"].to_string().contains("2026-07-28"), "{found}");
    let list = parse(&bridge.ask(&request(1, "tools/list", "")));
    assert!(list["result"]["tools"].as_array().is_some_and(|tools| tools.len() > 5), "{list}");
    let echo = parse(&bridge.ask(&tool_call(2, "echo", r#"{"n":1.50}"#)));
    assert_eq!(echo["result"]["content"][0]["text"], r#"{"n":1.50}"#, "{echo}");
    assert_eq!(echo["result"]["resultType"], "complete");
    let (_, status) = bridge.finish();
    assert!(status.success());
    let requests = setup.sandbox.requests();
    assert_eq!(requests.len(), 3, "nothing of the bridge's own: {requests:#?}");
    for (seen, (method, name)) in
        requests.iter().zip([("server/discover", None), ("tools/list", None), ("tools/call", Some("echo"))])
    {
        assert_eq!(seen.header("mcp-protocol-version"), Some("2026-07-28"));
        assert_eq!(seen.header("mcp-method"), Some(method));
        assert_eq!(seen.header("mcp-name"), name);
        assert_eq!(seen.header("mcp-session-id"), None);
    }
}

#[test]
fn marked_arguments_become_headers_and_tools_with_invalid_marks_are_withheld_with_a_warning() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.on_method("tools/list", marked_list());
    setup.sandbox.on_tool("deploy", empty_result());
    let bridge = setup.bridge();
    let list = bridge.ask(&request(1, "tools/list", ""));
    assert!(list.contains("deploy") && !list.contains("sly"), "{list}");
    bridge.wait_stderr("\"sly\" is withheld");
    for (id, region, header) in
        [(2, "eu-1", Some("eu-1")), (3, "Malmö", Some("=?base64?TWFsbcO2?=")), (4, "", Some(""))]
    {
        bridge.ask(&tool_call(id, "deploy", &format!(r#"{{"region":"{region}"}}"#)));
        let requests = setup.sandbox.requests();
        assert_eq!(requests.last().and_then(|r| r.header("mcp-param-region")), header, "{region}");
    }
    bridge.ask(&tool_call(5, "deploy", "{}"));
    assert_eq!(setup.sandbox.requests().last().and_then(|r| r.header("mcp-param-region").map(str::to_owned)), None);
}

#[test]
fn a_header_mismatch_is_mended_by_one_look_at_the_tools_and_one_repetition() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.on_method("tools/list", marked_list());
    setup.sandbox.on_tool("deploy", empty_result());
    setup.sandbox.on_tool("deploy", error(400, -32020).once());
    let bridge = setup.bridge();
    let answer = parse(&bridge.ask(&tool_call(1, "deploy", r#"{"region":"eu-1"}"#)));
    assert!(answer["result"].is_object(), "{answer}");
    let methods: Vec<_> = setup.sandbox.requests().iter().filter_map(|r| r.method()).collect();
    assert_eq!(methods, ["tools/call", "tools/list", "tools/call"]);
    let requests = setup.sandbox.requests();
    assert_eq!(requests[0].header("mcp-param-region"), None);
    assert_eq!(requests[2].header("mcp-param-region"), Some("eu-1"));
    // A server that goes on complaining is believed.
    setup.sandbox.on_tool("deploy", error(400, -32020));
    let answer = parse(&bridge.ask(&tool_call(2, "deploy", r#"{"region":"eu-1"}"#)));
    assert_eq!(answer["error"]["code"], -32020, "{answer}");
    assert_eq!(setup.sandbox.counters().method("tools/call"), 3);
}

#[test]
fn the_look_at_the_tools_goes_on_to_the_page_that_has_the_one_that_is_called() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.on_method("tools/list", marked_list());
    let first = r#"{"jsonrpc":"2.0","id":{id},"result":{"tools":[],"nextCursor":"p\u0032","ttlMs":0,"cacheScope":"private","resultType":"complete"}}"#;
    setup.sandbox.on_method("tools/list", RawReply::json(first).once());
    setup.sandbox.on_tool("deploy", empty_result());
    setup.sandbox.on_tool("deploy", error(400, -32020).once());
    let bridge = setup.bridge();
    let answer = parse(&bridge.ask(&tool_call(1, "deploy", r#"{"region":"eu-1"}"#)));
    assert!(answer["result"].is_object(), "{answer}");
    let requests = setup.sandbox.requests();
    let methods: Vec<_> = requests.iter().filter_map(|r| r.method()).collect();
    assert_eq!(methods, ["tools/call", "tools/list", "tools/list", "tools/call"]);
    assert!(requests[2].text().contains(r#""cursor":"p\u0032""#), "{}", requests[2].text());
    assert_eq!(requests[3].header("mcp-param-region"), Some("eu-1"));
}

#[test]
fn a_tool_is_searched_for_on_a_bounded_number_of_pages() {
    let setup = Setup::with_token(Config::default());
    let page = r#"{"jsonrpc":"2.0","id":{id},"result":{"tools":[],"nextCursor":"p{n}","ttlMs":0,"cacheScope":"private","resultType":"complete"}}"#;
    setup.sandbox.on_method("tools/list", RawReply::json(page));
    setup.sandbox.on_tool("deploy", error(400, -32020));
    let bridge = setup.bridge();
    let answer = parse(&bridge.ask(&tool_call(1, "deploy", r#"{"region":"eu-1"}"#)));
    assert_eq!(answer["error"]["code"], -32020, "{answer}");
    assert_eq!(setup.sandbox.counters().method("tools/list"), MAX_SEARCHED_PAGES as u64);
}

#[test]
fn a_stream_that_goes_on_after_its_answer_is_closed() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = bare(home.path());
    command.env("PLANHAT_MCP_TOKEN", STATIC_TOKEN);
    command.args(["--url", &format!("http://{}/mcp", server.local_addr().expect("bound"))]);
    let bridge = Bridge::start(command);
    bridge.send(&tool_call(1, "any", "{}"));
    let (mut stream, _) = server.accept().expect("it connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    read_request(&stream);
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
        data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\"}}\n\n";
    stream.write_all(answer.as_bytes()).expect("open");
    bridge.answer_to(&json!(1));
    match stream.read(&mut [0; 1]) {
        Ok(count) => assert_eq!(count, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it stays open"),
    }
}

#[test]
fn a_cancellation_closes_the_stream_of_its_request_and_is_not_posted() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = bare(home.path());
    command.env("PLANHAT_MCP_TOKEN", STATIC_TOKEN);
    command.args(["--url", &format!("http://{}/mcp", server.local_addr().expect("bound"))]);
    let bridge = Bridge::start(command);
    let take = |id: u64| {
        bridge.send(&tool_call(id, "any", "{}"));
        let (stream, _) = server.accept().expect("it connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        assert!(read_request(&stream).contains(&format!(r#""id":{id}"#)));
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: open\n\n";
        (&stream).write_all(head.as_bytes()).expect("open");
        stream
    };
    let (first, second) = (take(1), take(2));
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    // One that was answered long ago, or never was, is nobody's business either.
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":77}}"#);
    let mut rest = [0; 1];
    assert!(matches!((&first).read(&mut rest), Ok(0) | Err(_)), "closed");
    let answer = "data: {\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"resultType\":\"complete\"}}\n\n";
    (&second).write_all(answer.as_bytes()).expect("still open");
    bridge.answer_to(&json!(2));
    let third = take(3);
    drop(third);
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| !line.contains(r#""id":1,"#)), "{lines:?}");
}

/// Reads one request and returns its body.
fn read_request(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).expect("a head") > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    String::from_utf8(body).expect("UTF-8")
}

#[test]
fn a_listening_stream_stays_beyond_the_idle_time_and_is_issued_again_when_it_breaks() {
    let setup = Setup::with_token(Config::default());
    let mut command = setup.command();
    command.args(["--idle-timeout", "1"]);
    let bridge = Bridge::start(command);
    let acknowledged = r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"n":1}}"#;
    let changed = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"n":2}}"#;
    let (silence, end) = (Gate::new(), Gate::new());
    setup.sandbox.on_method("subscriptions/listen", RawReply::sse().event(acknowledged).event(changed).wait(&end));
    let first = RawReply::sse().event(acknowledged).wait(&silence).event(changed).cut();
    setup.sandbox.on_method("subscriptions/listen", first.once());
    bridge.send(&request(1, "subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#));
    assert_eq!(bridge.next_line(), acknowledged);
    // A request that is given up meanwhile shows that the time has passed.
    let held = Gate::new();
    setup.sandbox.on_method("vendor/held", RawReply::status(200).wait(&held));
    let answer = parse(&bridge.ask(&request(2, "vendor/held", "")));
    assert_eq!(answer["error"]["data"]["problem"], "answer-timed-out", "{answer}");
    held.open();
    silence.open();
    assert_eq!(bridge.next_line(), changed);
    // The stream broke there; the next one brings the next change, and no second acknowledgement.
    assert_eq!(bridge.next_line(), changed);
    let listening: Vec<_> = setup
        .sandbox
        .requests()
        .into_iter()
        .filter(|r| r.method().as_deref() == Some("subscriptions/listen"))
        .collect();
    assert_eq!(listening.len(), 2);
    assert_eq!(listening[0].body, listening[1].body);
    let (lines, status) = bridge.finish();
    end.open();
    assert!(status.success());
    assert_eq!(lines.len(), 1, "its one answer, now that nobody listens any more: {lines:?}");
    assert_eq!(parse(&lines[0])["id"], 1);
}

#[test]
fn a_client_that_opens_ever_more_listening_streams_reads_that_the_bridge_is_busy() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.bridge();
    let end = Gate::new();
    setup.sandbox.on_method("subscriptions/listen", RawReply::sse().wait(&end));
    for id in 1..=33 {
        bridge.send(&request(id, "subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#));
    }
    let answer = parse(&bridge.next_line());
    assert_eq!(answer["error"]["data"]["problem"], "too-many-in-flight", "{answer}");
    assert!(end.wait_arrivals(32, crate::support::PATIENCE));
    // The others go on; the end of one makes place.
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
    bridge.send(&request(34, "subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#));
    assert!(end.wait_arrivals(33, crate::support::PATIENCE));
    end.open();
}

#[test]
fn a_404_is_about_the_method_or_the_address_and_no_session_is_assumed() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.on_method("vendor/unknown", error(404, -32601));
    setup.sandbox.on_method("vendor/lost", RawReply::status(404).bytes("not here"));
    let bridge = setup.bridge();
    let answer = bridge.ask(&request(1, "vendor/unknown", ""));
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"m"}}"#);
    let answer = parse(&bridge.ask(&request(2, "vendor/lost", "")));
    assert_eq!(answer["error"]["data"]["status"], json!(404), "{answer}");
    let counters = setup.sandbox.counters();
    assert_eq!((counters.method("initialize"), counters.method("vendor/lost")), (0, 1));
}

#[test]
fn a_broken_stream_is_issued_again_under_a_fresh_id_when_it_only_reads_and_never_when_it_writes() {
    for fault in [Fault::cut_after(0), Fault::end_after(0), Fault::hang_up_after_executing()] {
        let setup = Setup::with_token(Config::default());
        let bridge = setup.bridge();
        bridge.ask(&request(0, "tools/list", ""));
        let write = "create_model_record";
        setup.sandbox.fault(fault.clone().tool(write));
        let arguments = r#"{"MODEL":"Task","PARAMETERS":{"mainTask":"Call Ada"}}"#;
        let answer = parse(&bridge.ask(&tool_call(1, write, arguments)));
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
        assert!(answer.to_string().contains("check before"), "{answer}");
        let read = "list_model_records";
        setup.sandbox.fault(fault.tool(read));
        let answer = parse(&bridge.ask(&tool_call(2, read, r#"{"MODEL":"Task"}"#)));
        assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
        assert_eq!(answer["id"], 2);
        bridge.finish();
        let requests = setup.sandbox.requests();
        let ids = |tool: &str| -> Vec<_> {
            requests.iter().filter(|r| r.header("mcp-name") == Some(tool)).map(|r| r.id()).collect()
        };
        assert_eq!((ids(write).len(), setup.sandbox.counters().tool(write)), (1, 1));
        assert_eq!(ids(read).len(), 2);
        assert_ne!(ids(read)[0], ids(read)[1]);
        assert!(requests.iter().all(|r| r.http_method == "POST"), "there is nothing to take up in this era");
    }
}

#[test]
fn a_server_that_does_not_know_the_probe_and_one_that_cannot_be_asked_say_so_quickly() {
    let not_found = |bridge: &Bridge| {
        let start = Instant::now();
        let answer = parse(&bridge.ask(&request(1, "server/discover", "")));
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    };
    for reply in [
        RawReply::status(404).bytes("Not Found"),
        RawReply::status(400).header("content-type", "text/plain").bytes("Bad Request: no valid session ID provided"),
        RawReply::status(200).header("content-type", "text/html").bytes("<html>"),
    ] {
        let setup = Setup::with_token(Config::default());
        setup.sandbox.on_method("server/discover", reply);
        let bridge = setup.bridge();
        not_found(&bridge);
        // Such a client falls back.
        assert!(bridge.open()["result"].is_object());
    }
    let setup = Setup::with_token(Config::default());
    setup.sandbox.go_offline();
    not_found(&setup.bridge());
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    not_found(&setup.bridge());
    assert_eq!(setup.sandbox.counters().authorize_hits, 0, "a probe is no reason to sign in");
}

#[test]
fn a_probe_that_the_server_does_not_answer_is_answered_here() {
    let setup = Setup::with_token(Config::default());
    let gate = Gate::new();
    setup.sandbox.on_method("server/discover", RawReply::status(200).wait(&gate));
    let answer = parse(&setup.bridge().ask(&request(1, "server/discover", "")));
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    gate.open();
}
