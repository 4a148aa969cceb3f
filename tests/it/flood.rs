//! A server that sends far more than anybody asked for: what it costs stays bounded, and the bridge goes on.

use planhat_sandbox::{Config, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, INITIALIZE, INITIALIZED, PATIENCE, Setup, call};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

/// A request of the stateless era.
fn stateless(id: u64, method: &str, members: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{META}{members}}}}}"#)
}

/// An array of so many members.
fn array(member: &str, count: usize) -> String {
    format!("[{}{member}]", format!("{member},").repeat(count - 1))
}

/// The most memory that the bridge has had, in kB; `None` where the system does not tell.
fn peak(bridge: &Bridge) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.pid())).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
}

#[test]
fn a_batch_without_end_costs_its_bytes_and_one_line_of_the_log() {
    let setup = Setup::with_token(Config::default());
    let (stray, ask) = (r#"{"jsonrpc":"2.0","id":99,"result":{}}"#, r#"{"jsonrpc":"2.0","id":"s","method":"ping"}"#);
    let batches = [array("1", 6_000_000), array("{}", 200_000), array("[[1]]", 200_000), array(stray, 20_000)];
    for (n, batch) in batches.iter().enumerate() {
        setup.sandbox.on_method(&format!("vendor/json{n}"), RawReply::json(batch.clone()));
        setup.sandbox.on_method(&format!("vendor/event{n}"), RawReply::sse().event(batch));
    }
    let many = format!("data: {}\n\n", array(stray, 10)).repeat(500);
    setup.sandbox.on_method("vendor/many", RawReply::sse().bytes(many));
    setup.sandbox.on_method("vendor/asks", RawReply::sse().event(&array(ask, 5_000)));
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the session is open");
    assert!(setup.sandbox.push_bytes(format!("data: {}\n\n", array("1", 1_000_000))));
    let methods = (0..batches.len()).flat_map(|n| [format!("vendor/json{n}"), format!("vendor/event{n}")]);
    let methods: Vec<_> = methods.chain(["vendor/many".to_owned()]).collect();
    for (id, method) in (1..).step_by(2).zip(&methods) {
        for request in [format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#), stateless(id + 1, method, "")]
        {
            let answer: Value = serde_json::from_str(&bridge.ask(&request)).expect("JSON");
            assert!(answer["error"].is_object(), "there is no answer to {method} in it: {answer}");
        }
    }
    if let Some(peak) = peak(&bridge) {
        assert!(peak < 100_000, "{peak} kB for batches of 12 MB");
    }
    bridge.send(r#"{"jsonrpc":"2.0","id":100,"method":"vendor/asks"}"#);
    let asked = (0..).take_while(|_| bridge.next_line().contains("ping")).take(6_000).count();
    assert_eq!(asked, 1_000, "the others are beyond the bound of a batch");
    assert!(bridge.call(101, "echo", "{}")["result"].is_object());
    let log = bridge.stderr();
    assert!(log.contains("members of a server's batch were dropped") && log.len() < 64 * 1024, "{} bytes", log.len());
}

#[test]
fn a_refusal_of_a_great_body_costs_neither_its_memory_nor_time() {
    let setup = Setup::with_token(Config::default());
    let json = |body: String| RawReply::status(400).header("content-type", "application/json").bytes(body);
    setup.sandbox.on_method("vendor/great", json(array("1", 8_000_000)));
    setup.sandbox.on_method("vendor/long", json(format!(r#"{{"message":"said","x":{}}}"#, array("1", 3_000_000))));
    setup.sandbox.on_method("vendor/short", json(r#"{"message":"said"}"#.to_owned()));
    let bridge = setup.open();
    for (id, name, is_quoted) in [(1, "great", false), (2, "long", false), (3, "short", true)] {
        let answer = bridge.ask(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/{name}"}}"#));
        assert_eq!((answer.contains("error"), answer.contains("said")), (true, is_quoted), "{answer}");
    }
    if let Some(peak) = peak(&bridge) {
        assert!(peak < 70_000, "{peak} kB");
    }
}

#[test]
fn an_answer_to_the_bridge_itself_has_a_bound_of_its_own() {
    let setup = Setup::with_token(Config::default());
    let padding = "x".repeat(9 * 1024 * 1024);
    let result = format!(
        r#"{{"jsonrpc":"2.0","id":{{id}},"result":{{"protocolVersion":"2025-11-25","capabilities":{{}},"serverInfo":{{"name":"{padding}","version":"1"}}}}}}"#
    );
    setup.sandbox.on_method("initialize", RawReply::json(result));
    let bridge = setup.bridge();
    bridge.send(INITIALIZE);
    bridge.send(INITIALIZED);
    bridge.send(&call(1, "echo", "{}"));
    let answer = bridge.answer_to(&json!(1));
    let answer = answer.to_string();
    // Not that the call may have been carried out.
    assert!(answer.contains("Nothing was sent"), "{answer}");
}

#[test]
fn thousands_of_marked_arguments_end_their_tool_and_not_the_bridge() {
    let setup = Setup::with_token(Config::default());
    let marked = |n| format!(r#""a{n}":{{"type":"string","x-mcp-header":"A{n}"}}"#);
    let properties = (0..60_000).map(marked).collect::<Vec<_>>().join(",");
    let tool = format!(r#"{{"name":"echo","inputSchema":{{"properties":{{{properties}}}}}}}"#);
    let list = format!(
        r#"{{"jsonrpc":"2.0","id":{{id}},"result":{{"tools":[{tool},{{"name":"good","inputSchema":{{}}}}],"resultType":"complete"}}}}"#
    );
    setup.sandbox.on_method("tools/list", RawReply::json(list));
    let bridge = setup.bridge();
    let listed: Value = serde_json::from_str(&bridge.ask(&stateless(1, "tools/list", ""))).expect("JSON");
    assert_eq!(listed["result"]["tools"], json!([{"name": "good", "inputSchema": {}}]));
    let arguments = (0..33_000).map(|n| format!(r#""a{n}":"x""#)).collect::<Vec<_>>().join(",");
    let members = format!(r#","name":"echo","arguments":{{{arguments}}}"#);
    let answer: Value = serde_json::from_str(&bridge.ask(&stateless(2, "tools/call", &members))).expect("JSON");
    assert!(answer["result"].is_object(), "{answer}");
    let log = bridge.stderr();
    assert!(
        log.contains("x-mcp-header stands in a schema of more than 131072 bytes") && !log.contains("internal fault"),
        "{log}"
    );
    assert!(bridge.finish().1.success());
}

#[test]
fn the_log_of_a_flood_stays_small_whatever_a_server_or_a_client_sends() {
    let setup = Setup::with_token(Config::default());
    let flood: String = [
        r#"{"jsonrpc":"2.0","id":77,"result":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/unheard_of"}"#,
        "garbage",
        "[1,2]",
    ]
    .map(|data| format!("data: {data}\n\n").repeat(4_000))
    .concat();
    setup.sandbox.on_method("vendor/flood", RawReply::sse().bytes(flood.clone()));
    for (level, most) in [("info", 256 * 1024), ("trace", 2 * 2 * 1024 * 1024 + 512 * 1024)] {
        let log = setup.home.path().join(level);
        let mut command = setup.command();
        command.args(["--log-level", level, "--log-file"]).arg(&log);
        let bridge = Bridge::start(command);
        bridge.open();
        setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the session is open");
        assert!(setup.sandbox.push_bytes(flood.clone()));
        bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/flood"}"#);
        let note = format!(r#"{{"jsonrpc":"2.0","method":"notifications/{}"}}"#, "x".repeat(3_900));
        for n in 0..1_000 {
            bridge.send("garbage");
            bridge.send(&note);
            bridge.send(&format!(r#"{{"jsonrpc":"2.0","id":{},"method":"vendor/none"}}"#, 2 + n));
        }
        bridge.wait_line("the last answer", |line| line.contains(r#""id":1001,"#));
        let (_, status) = bridge.finish();
        assert!(status.success());
        let text = std::fs::read_to_string(&log).expect("a log");
        assert!(text.len() < most, "{level}: {} bytes", text.len());
        assert!(text.contains("not in flight; dropped [and "), "what is left out is summed up: {level}");
        assert!(text.contains("more lines of this kind within a minute]"), "{level}");
        let _ = std::fs::remove_file(log);
    }
}
