//! From "nobody is signed in" to a real call, and staying signed in.

use std::time::Duration;

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{AnswerMode, Config, ExpiresIn, Fault, Place, ProtectedResource, TokenAuth};
use serde_json::{Value, json};

use crate::support::{Bridge, INITIALIZED, PATIENCE, Setup, bare, call};

#[test]
fn the_first_list_signs_in_and_brings_the_real_tools() {
    for (answers, resource) in
        [(AnswerMode::Json, ProtectedResource::Absent), (AnswerMode::Sse, ProtectedResource::AtPath)]
    {
        let setup =
            Setup::with_sign_in(Config { answers, protected_resource: resource, ..Config::default() }, Choice::Allow);
        let bridge = setup.open();
        let list = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        assert!(list.contains("list_model_records"), "{list}; {}", bridge.stderr());
        assert!(bridge.call(2, "echo", r#"{"x":1}"#)["result"].is_object());
        let counters = setup.sandbox.counters();
        assert_eq!((counters.consents_granted, counters.code_exchanges), (1, 1));
        assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1);
        // The authorize request is what RFC 7636 and 8707 ask for.
        let authorize = setup.sandbox.requests_at(Place::Authorize);
        let fields = authorize[0].fields();
        assert_eq!(fields["code_challenge_method"], "S256");
        assert_eq!(fields["resource"], setup.sandbox.mcp_url());
        assert_eq!(fields["redirect_uri"], format!("http://127.0.0.1:{}/callback", setup.callback_port));
        let exchange = &setup.sandbox.requests_at(Place::Token)[0];
        assert_eq!(exchange.fields()["resource"], setup.sandbox.mcp_url());
        assert!(exchange.fields()["code_verifier"].len() >= 43);
    }
}

#[test]
fn initialize_is_answered_at_once_while_nobody_is_signed_in() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Leave);
    let bridge = setup.bridge();
    let start = std::time::Instant::now();
    let hello = bridge.open();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(hello["result"]["serverInfo"]["name"], "planhat-mcp");
    assert_eq!(hello["result"]["capabilities"]["tools"]["listChanged"], true);
    bridge.finish();
    assert!(setup.browser.as_ref().expect("it has one").opened().is_empty(), "nothing opens before somebody needs it");
}

#[test]
fn a_call_signs_in_waits_and_is_executed_once() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let bridge = setup.open();
    let answer = bridge.call(1, "create_model_record", r#"{"MODEL":"Task","PARAMETERS":{"mainTask":"Call Ada"}}"#);
    assert!(answer["result"]["isError"] != true, "{answer}");
    assert_eq!(setup.sandbox.counters().tool("create_model_record"), 1);
}

#[test]
fn a_sign_in_survives_the_bridge_and_serves_the_next_one() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let first = setup.open();
    first.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let (_, status) = first.finish();
    assert!(status.success());
    let second = setup.bridge();
    let hello = second.open();
    assert_ne!(hello["result"]["serverInfo"]["name"], "planhat-mcp", "the server itself answers: {hello}");
    assert!(second.call(2, "echo", "{}")["result"].is_object());
    assert_eq!(setup.sandbox.counters().consents_granted, 1);
}

#[test]
fn a_refused_sign_in_is_told_and_opens_no_second_tab_by_itself() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Deny);
    let bridge = setup.open();
    let answer = bridge.call(1, "echo", "{}");
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let list: Value =
        serde_json::from_str(&bridge.ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#)).expect("JSON");
    assert_eq!(list["result"]["tools"][0]["name"], "planhat_sign_in", "{list}");
    bridge.call(3, "echo", "{}");
    assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1);
}

#[test]
fn the_sign_in_tool_signs_in_and_the_client_is_told_that_the_list_has_changed() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Deny);
    let bridge = setup.open();
    let list = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert!(list.contains("planhat_sign_in"), "{list}");
    // This time the person allows it.
    setup.browser.as_ref().expect("it has one").choose(Choice::Allow);
    let answer = bridge.call(2, "planhat_sign_in", "{}");
    assert!(answer["result"]["isError"] != true, "{answer}");
    bridge.wait_line("list_changed", |line| line.contains("notifications/tools/list_changed"));
    let list = bridge.ask(r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#);
    assert!(list.contains("list_model_records") && !list.contains("planhat_sign_in"), "{list}");
    assert!(setup.sandbox.requests().iter().all(|r| !r.text().contains("planhat_sign_in")), "never forwarded");
}

#[test]
fn a_model_that_is_told_of_the_sign_in_tool_finds_it_also_when_the_sign_in_ends_in_the_middle() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut command = setup.command();
    assert!(command.arg("login").stdin(std::process::Stdio::null()).output().expect("it starts").status.success());
    let mut command = setup.command();
    command.args(["--sign-in", "manual"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let list = || bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert!(!list().contains("planhat_sign_in"), "somebody is signed in");
    setup.sandbox.revoke_grants();
    let answer = bridge.call(2, "echo", "{}");
    assert!(answer.to_string().contains("the tool planhat_sign_in starts it"), "{answer}");
    let told = "notifications/tools/list_changed";
    bridge.wait_line("list_changed", |line| line.contains(told));
    assert!(list().contains("planhat_sign_in") && list().contains("list_model_records"), "the real ones stay");
    bridge.call(3, "echo", "{}");
    let (rest, _) = bridge.finish();
    assert!(!rest.iter().any(|line| line.contains(told)), "told once: {rest:?}");
    assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1, "that of the login");
}

#[test]
fn an_expired_token_is_renewed_once_for_all_that_meet_it() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let bridge = setup.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    setup.sandbox.expire_access_tokens();
    for id in 10..26 {
        bridge.send(&call(id, "echo", "{}"));
    }
    for id in 10..26 {
        assert!(bridge.answer_to(&json!(id)).contains("result"));
    }
    let counters = setup.sandbox.counters();
    assert_eq!((counters.refreshes, counters.refresh_reuse, counters.consents_granted), (1, 0, 1));
    assert_eq!(counters.tool("echo"), 16);
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let config = Config { access_token_lifetime: Duration::from_secs(3), ..Config::default() };
    let setup = Setup::with_sign_in(config, Choice::Allow);
    let bridge = setup.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let mut id = 2;
    // Calls go on until a renewal has happened; none of them may have met a 401 after the first sign-in.
    let before = setup.sandbox.counters().unauthorized;
    let start = std::time::Instant::now();
    while setup.sandbox.counters().refreshes == 0 {
        assert!(bridge.call(id, "echo", "{}")["result"].is_object());
        assert!(start.elapsed() < PATIENCE, "no renewal in all this time");
        id += 1;
    }
    assert!(bridge.call(id, "echo", "{}")["result"].is_object());
    assert_eq!(setup.sandbox.counters().unauthorized, before);
}

#[test]
fn a_renewal_that_fails_for_a_passing_reason_is_tried_once_more_and_the_sign_in_kept() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let bridge = setup.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    setup.sandbox.expire_access_tokens();
    setup.sandbox.fault(Fault::status(503).at(Place::Token));
    let answer = bridge.call(2, "echo", "{}");
    assert!(answer["result"]["isError"] != true, "{answer}");
    assert_eq!(setup.sandbox.counters().consents_granted, 1, "no second sign-in");
}

#[test]
fn a_revoked_sign_in_asks_again_and_starts_a_new_session() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let bridge = setup.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    setup.sandbox.revoke_grants();
    let answer = bridge.call(2, "echo", "{}");
    assert!(answer["result"]["isError"] != true, "{answer}");
    let counters = setup.sandbox.counters();
    assert_eq!(counters.consents_granted, 2);
    assert_eq!(counters.sessions_created, 2, "perhaps another user: another session");
}

#[test]
fn client_authentication_follows_the_server() {
    for (basic, post) in [(true, false), (false, true)] {
        let config = Config { token_auth: TokenAuth { basic, post, none: false }, ..Config::default() };
        let setup = Setup::with_sign_in(config, Choice::Allow);
        let bridge = setup.open();
        let list = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        assert!(list.contains("list_model_records"), "basic {basic}, post {post}: {list}");
    }
}

#[test]
fn every_way_to_state_a_lifetime_is_understood() {
    for expires_in in [ExpiresIn::Integer, ExpiresIn::Text, ExpiresIn::Float, ExpiresIn::Missing] {
        let setup = Setup::with_sign_in(Config { expires_in, ..Config::default() }, Choice::Allow);
        let bridge = setup.open();
        let list = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        assert!(list.contains("list_model_records"), "{expires_in:?}: {list}");
    }
}

#[test]
fn a_callback_port_in_use_is_named_and_no_other_is_taken() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let _holder = std::net::TcpListener::bind(("127.0.0.1", setup.callback_port)).expect("it was free a moment ago");
    let bridge = setup.open();
    let answer = bridge.call(1, "echo", "{}");
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains(&setup.callback_port.to_string()) && text.contains("--callback-port"), "{text}");
    assert!(setup.browser.as_ref().expect("it has one").opened().is_empty(), "no tab that cannot come back");
}

#[test]
#[cfg_attr(any(windows, target_os = "macos"), ignore = "the system has a display always")]
fn without_a_desktop_no_browser_opens_and_the_way_out_is_said() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut command = setup.command();
    command.env_remove("BROWSER");
    let bridge = crate::support::Bridge::start(command);
    bridge.open();
    let answer = bridge.call(1, "echo", "{}");
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("login --no-browser"), "{text}");
}

#[test]
fn the_memory_store_signs_in_within_the_bridge() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut command = setup.command();
    command.args(["--token-store", "memory"]);
    let bridge = crate::support::Bridge::start(command);
    bridge.open();
    let list = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert!(list.contains("list_model_records"), "{list}; {}", bridge.stderr());
    bridge.finish();
    let files = crate::canary::files_below(setup.home.path());
    assert!(files.iter().all(|file| !file.ends_with("tokens.json")), "{files:?}");
}

#[test]
#[cfg_attr(any(windows, target_os = "macos"), ignore = "the system has its keychain always")]
fn a_missing_keychain_is_an_error_that_names_the_way_out() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut command = bare(setup.home.path());
    command.args(["--url", &setup.sandbox.mcp_url(), "--client-id", planhat_sandbox::CLIENT_ID]);
    command.args(["--callback-port", &setup.callback_port.to_string()]);
    // An address at which no bus answers.
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/no-bus", setup.home.path().display()));
    command.env("BROWSER", "/bin/true").env("PLANHAT_MCP_CLIENT_SECRET", planhat_sandbox::CLIENT_SECRET);
    let bridge = crate::support::Bridge::start(command);
    bridge.ask(crate::support::INITIALIZE);
    bridge.send(INITIALIZED);
    let answer = bridge.call(1, "echo", "{}");
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains("--token-store file"), "{text}");
}

#[test]
fn a_server_that_refuses_every_token_opens_one_tab_and_says_why() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    setup.sandbox.fault(Fault::status(401).at(Place::Mcp).always());
    let bridge = setup.open();
    for id in 1..6 {
        let answer = bridge.call(id, "echo", "{}");
        let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains("had just been issued"), "{id}: {text}");
    }
    assert_eq!(setup.sandbox.counters().consents_granted, 1);
    assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1);
}

#[test]
fn profiles_that_share_a_token_file_renew_at_the_same_time_without_losing_a_token() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let profiles: Vec<_> = (0..4)
        .map(|n| {
            let mut command = setup.command();
            command.args(["--profile", &format!("p{n}")]);
            let bridge = crate::support::Bridge::start(command);
            bridge.open();
            assert!(bridge.call(0, "echo", "{}")["result"]["isError"] != true, "{}", bridge.stderr());
            bridge
        })
        .collect();
    for round in 1..5 {
        setup.sandbox.expire_access_tokens();
        for bridge in &profiles {
            bridge.send(&call(round, "echo", "{}"));
        }
        for bridge in &profiles {
            assert!(!bridge.answer_to(&json!(round)).contains("isError\":true"));
        }
    }
    let counters = setup.sandbox.counters();
    assert_eq!((counters.consents_granted, counters.refresh_reuse), (4, 0));
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
