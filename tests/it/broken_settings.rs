//! Settings that cannot be used are told to a client as an answer: of a program that ends at once, its user would learn only
//! that it is disconnected.

use serde_json::Value;

use crate::support::{Bridge, STATIC_TOKEN, Setup, bare};

fn start(setup: &Setup, words: &[&str]) -> Bridge {
    let mut command = bare(setup.home.path());
    command.args(["--url", &setup.sandbox.mcp_url()]).args(words).env("PLANHAT_MCP_TOKEN", STATIC_TOKEN);
    Bridge::start(command)
}

fn asked(bridge: &Bridge, id: u64, method: &str) -> Value {
    let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#);
    serde_json::from_str(&bridge.ask(&line)).expect("JSON")
}

#[test]
fn broken_settings_of_every_kind_become_one_tool_that_says_what_to_do() {
    let setup = Setup::with_token(planhat_sandbox::Config::default());
    std::fs::write(setup.home.path().join("broken.toml"), "tenant = \n").expect("writable");
    std::fs::write(setup.home.path().join("unknown.toml"), "tennant = \"demo\"\n").expect("writable");
    for (words, named, code) in [
        (&["--callback-port", "many"][..], "--callback-port", 2),
        (&["--config", "broken.toml"], "broken.toml", 2),
        (&["--config", "unknown.toml"], "tennant", 2),
        (&["--config", "absent.toml"], "absent.toml", 2),
        (&["--token", "pat_canary"], "PLANHAT_MCP_TOKEN", 2),
    ] {
        let bridge = start(&setup, words);
        let opened = bridge.open();
        assert_eq!(opened["result"]["serverInfo"]["name"], "planhat-mcp", "{words:?}: {opened}");
        let list = asked(&bridge, 1, "tools/list");
        let tools = list["result"]["tools"].as_array().expect("a list");
        assert_eq!(tools.len(), 1, "{words:?}: {list}");
        assert_eq!((&tools[0]["name"], &tools[0]["inputSchema"]["type"]), (&"planhat_check".into(), &"object".into()));
        let told = bridge.call(2, "planhat_check", "{}");
        let text = told["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(told["result"]["isError"] == true && text.contains(named), "{words:?}: {text}");
        assert!(!told.to_string().contains("canary"));
        // It says the same to a call of any other tool, and to a stateless client, which then opens with the handshake.
        assert_eq!(bridge.call(3, "list_model_records", "{}")["result"], told["result"]);
        let refused = asked(&bridge, 4, "server/discover");
        assert!(
            refused["error"]["message"].is_string() && refused["error"]["data"]["problem"].is_string(),
            "{refused}"
        );
        assert_eq!(asked(&bridge, 5, "ping")["result"], serde_json::json!({}));
        assert!(bridge.stderr().contains("fix:"), "{words:?}");
        assert_eq!(bridge.finish().1.code(), Some(code), "{words:?}");
    }
    assert!(setup.sandbox.requests().is_empty(), "no server is asked");
}

#[test]
fn bad_input_is_refused_beside_broken_settings_too_and_the_next_message_works() {
    let setup = Setup::with_token(planhat_sandbox::Config::default());
    let bridge = start(&setup, &["--callback-port", "many"]);
    bridge.open();
    bridge.send("{not JSON");
    let refused: Value = serde_json::from_str(&bridge.next_line()).expect("JSON");
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&Value::Null, &(-32700).into()), "{refused}");
    bridge.send(
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"x"},{"id":2},{"jsonrpc":"2.0","id":3,"method":"x"}]"#,
    );
    let answers: Value = serde_json::from_str(&bridge.next_line()).expect("JSON");
    assert_eq!(answers[0], serde_json::json!({ "jsonrpc": "2.0", "id": 1, "result": {} }), "{answers}");
    assert!(answers[1]["error"]["code"] == -32600 && answers[1]["id"] == 2, "{answers}");
    assert!(answers[2]["id"] == 3 && answers[2]["error"]["data"]["problem"] == "bad-value", "{answers}");
    assert_eq!(answers.as_array().map(Vec::len), Some(3), "{answers}");
    bridge.send(&"x".repeat(2_000_000));
    assert!(bridge.next_line().contains("error"));
    assert_eq!(asked(&bridge, 9, "resources/list")["result"], serde_json::json!({ "resources": [] }));
    let (rest, _) = bridge.finish();
    assert!(rest.is_empty(), "notifications have no answer: {rest:?}");
}

#[test]
fn a_secret_that_stands_in_another_settings_place_is_shown_to_nobody() {
    let setup = Setup::with_token(planhat_sandbox::Config::default());
    for (variable, value) in [
        ("PLANHAT_MCP_TENANT", "sk_canary"),
        ("PLANHAT_MCP_CALLBACK_PORT", "sk_canary"),
        ("PLANHAT_MCP_CLIENT_ID", "sk_canary"),
        ("PLANHAT_MCP_URL", "sk_canary.example.com"),
    ] {
        let mut command = bare(setup.home.path());
        command.env(variable, value);
        let bridge = Bridge::start(command);
        let said = [bridge.open(), asked(&bridge, 1, "tools/list"), bridge.call(2, "x", "{}"), asked(&bridge, 3, "x")];
        let said = format!("{said:?} {}", bridge.stderr());
        assert!(!said.contains("canary") && said.contains("planhat_check"), "{variable}: {said}");
        assert_eq!(bridge.finish().1.code(), Some(2), "{variable}");
    }
}

#[test]
fn a_log_file_that_cannot_be_opened_is_told_in_the_same_way() {
    let setup = Setup::with_token(planhat_sandbox::Config::default());
    let bridge = start(&setup, &["--log-file", "absent/folder/log.txt"]);
    bridge.open();
    let told = bridge.call(1, "planhat_check", "{}");
    assert!(told["result"]["isError"] == true && told.to_string().contains("log.txt"), "{told}");
    bridge.finish();
}
