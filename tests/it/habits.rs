//! Servers whose habits are others than the standard's, from the command or the call to what the person gets.

use std::process::{Command, Output, Stdio};

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Challenge, Config, Fault, Place};
use serde_json::json;

use crate::support::{Bridge, Setup, bare};

/// A `login` without a configured scope: the program chooses.
fn login(setup: &Setup) -> Output {
    let mut command = unscoped(setup);
    command.arg("login").stdin(Stdio::null());
    command.output().expect("it starts")
}

fn unscoped(setup: &Setup) -> Command {
    let mut command = bare(setup.home.path());
    command.args(["--url", &setup.sandbox.mcp_url(), "--client-id", planhat_sandbox::CLIENT_ID]);
    command.args(["--callback-port", &setup.callback_port.to_string(), "--token-store", "file"]);
    command.env("PLANHAT_MCP_CLIENT_SECRET", planhat_sandbox::CLIENT_SECRET);
    command.env("BROWSER", setup.browser.as_ref().expect("it has one").command());
    command
}

fn shown(output: &Output) -> String {
    let all = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&all).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_call_is_made_with_a_token_whose_type_names_its_owner() {
    const TOKEN: &str = "canary-user-token";
    let config = Config { private_app_tokens: vec![TOKEN.to_owned()], ..Config::default() };
    let setup = Setup::with_sign_in(config, Choice::Allow);
    let answer = json!({ "ok": true, "access_token": TOKEN, "token_type": "user" }).to_string();
    setup.sandbox.fault(Fault::bytes("application/json", answer).at(Place::Token));
    let bridge = setup.open();
    assert!(bridge.call(1, "echo", r#"{"x":1}"#)["result"].is_object(), "{}", bridge.stderr());
}

#[test]
fn a_scope_that_a_server_lists_and_refuses_costs_no_second_tab() {
    let challenge = Challenge { scope: Some("inclusive".to_owned()), ..Challenge::default() };
    let metadata_patch = Some(json!({ "scopes_supported": ["inclusive", "offline_access"] }));
    let setup = Setup::with_sign_in(Config { challenge, metadata_patch, ..Config::default() }, Choice::Allow);
    let output = login(&setup);
    assert!(output.status.success(), "{}", shown(&output));
    let asked = setup.sandbox.requests_at(Place::Authorize);
    let scopes: Vec<String> = asked.iter().filter_map(|request| request.fields().get("scope").cloned()).collect();
    assert_eq!(scopes.first().map(String::as_str), Some("inclusive offline_access"));
    assert_eq!(scopes.last().map(String::as_str), Some("inclusive"));
    assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1);
}

#[test]
fn login_says_that_a_server_needs_no_sign_in() {
    let config = Config { auth_required: false, get_stream: false, ..Config::default() };
    let setup = Setup::with_sign_in(config, Choice::Allow);
    setup.sandbox.fault(Fault::status(404).at(Place::Metadata).always());
    let output = login(&setup);
    assert!(output.status.success() && shown(&output).contains("needs no sign-in"), "{}", shown(&output));
    assert!(setup.browser.as_ref().expect("it has one").opened().is_empty());
}

#[test]
fn a_server_that_needs_no_sign_in_is_used_where_there_is_no_keychain() {
    let config = Config { auth_required: false, test_tools: true, ..Config::default() };
    let setup = Setup::with_token(config);
    let mut command = bare(setup.home.path());
    command.args(["--url", &setup.sandbox.mcp_url()]);
    let bridge = Bridge::start(command);
    bridge.open();
    let answer = bridge.call(1, "echo", r#"{"x":1}"#);
    assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer} {}", bridge.stderr());
}
