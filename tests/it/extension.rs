//! The bridge as a client's extension starts it: with a form for its settings, and a user who has no terminal.

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{CLIENT_ID, CLIENT_SECRET, Config, Fault};
use serde_json::Value;

use crate::support::{Bridge, Setup, bare};

/// Every field of the form, as the manifest hands it over; `filled` are those that the user filled in.
fn start(setup: &Setup, filled: &[(&str, &str)], secret: &str) -> Bridge {
    let mut command = bare(setup.home.path());
    command.arg("--from-extension=true");
    for field in ["--tenant", "--client-id", "--url", "--callback-port", "--proxy", "--ca-file"] {
        let value = filled.iter().find(|(name, _)| *name == field).map_or("", |(_, value)| value);
        command.arg(format!("{field}={value}"));
    }
    command.env("PLANHAT_MCP_CLIENT_SECRET", secret).env("PLANHAT_MCP_TOKEN_STORE", "file");
    // At Planhat it is the default.
    command.env("PLANHAT_MCP_SCOPE", "inclusive");
    command.env("BROWSER", setup.browser.as_ref().expect("it has one").command());
    Bridge::start(command)
}

fn tools(bridge: &Bridge) -> Vec<String> {
    let list: Value =
        serde_json::from_str(&bridge.ask(r#"{"jsonrpc":"2.0","id":"l","method":"tools/list"}"#)).expect("JSON");
    let tools = list["result"]["tools"].as_array().unwrap_or_else(|| panic!("{list}; {}", bridge.stderr()));
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn a_form_with_its_fields_left_empty_or_mixed_up_is_taken_as_meant() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let port = format!(" {} ", setup.callback_port);
    let url = format!(" {} ", setup.sandbox.mcp_url());
    let form = [("--tenant", "production"), ("--url", &*url), ("--callback-port", &*port)];
    // The id and the secret in each other's field.
    let filled = [&form[..], &[("--client-id", CLIENT_SECRET)]].concat();
    let bridge = start(&setup, &filled, CLIENT_ID);
    bridge.open();
    let tools = tools(&bridge);
    assert!(tools.iter().any(|name| name == "list_model_records"), "{tools:?}; {}", bridge.stderr());
    assert_eq!(tools.iter().filter(|name| *name == "planhat_check").count(), 1, "{tools:?}");
    let found = bridge.call(1, "planhat_check", "{}");
    assert!(text(&found).contains("tools listed") && found["result"]["isError"] != true, "{found}");
    assert!(!found.to_string().contains(CLIENT_SECRET), "{found}");
    assert_eq!(setup.sandbox.counters().tool("planhat_check"), 0, "it is no tool of the server");
}

#[test]
fn a_server_s_tool_of_the_check_s_name_is_left_out_and_the_last_page_alone_has_it() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let port = setup.callback_port.to_string();
    let url = setup.sandbox.mcp_url();
    let filled = [("--url", &*url), ("--callback-port", &*port), ("--client-id", CLIENT_ID)];
    let bridge = start(&setup, &filled, CLIENT_SECRET);
    bridge.open();
    assert!(tools(&bridge).contains(&"planhat_check".to_owned()));
    let page = |next: &str| {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"l","result":{{"tools":[{{"name":"planhat_check"}},{{"name":"a"}}]{next}}}}}"#
        );
        Fault::bytes("application/json", body).method("tools/list")
    };
    setup.sandbox.fault(page(r#","nextCursor":"2""#));
    assert_eq!(tools(&bridge), ["a"]);
    setup.sandbox.fault(page(""));
    assert_eq!(tools(&bridge), ["a", "planhat_check"]);
}

#[test]
fn what_an_extension_s_user_is_told_needs_no_terminal() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Deny);
    let port = setup.callback_port.to_string();
    let url = setup.sandbox.mcp_url();
    let filled = [("--url", &*url), ("--callback-port", &*port), ("--client-id", CLIENT_ID)];
    let bridge = start(&setup, &filled, CLIENT_SECRET);
    bridge.open();
    assert_eq!(tools(&bridge), ["planhat_sign_in", "planhat_check"]);
    for id in 1..3 {
        let refused = bridge.call(id, "list_model_records", "{}").to_string();
        assert!(refused.contains("planhat_sign_in") && !refused.contains("in a terminal"), "{refused}");
    }
    let found = bridge.call(3, "planhat_check", "{}");
    assert!(text(&found).contains("Sign me in") && !text(&found).contains("planhat-mcp login"), "{found}");
}

#[test]
fn without_an_extension_the_server_s_list_stays_as_it_is() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let bridge = setup.open();
    let tools = tools(&bridge);
    assert!(tools.len() > 1 && !tools.contains(&"planhat_check".to_owned()), "{tools:?}");
}

#[test]
fn an_option_that_does_not_exist_is_told_to_the_client_and_a_mistyped_command_ends() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut command = bare(setup.home.path());
    command.args(["--tennant", "demo"]);
    let bridge = Bridge::start(command);
    bridge.open();
    assert_eq!(tools(&bridge), ["planhat_check"]);
    let told = bridge.call(1, "planhat_check", "{}");
    assert!(text(&told).contains("--tennant"), "{told}");
    assert_eq!(bridge.finish().1.code(), Some(2));
    let mut command = bare(setup.home.path());
    command.arg("lgoin").stdin(std::process::Stdio::piped());
    let ended = command.output().expect("it starts");
    assert_eq!(ended.status.code(), Some(2));
}
