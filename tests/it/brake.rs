//! The brake: what a profile may open and request, told and lifted.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Place};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, Setup, state_folder};

/// The tabs that a profile may have opened for it in ten minutes.
const TAB_BUDGET: usize = 3;
/// How often it is looked whether something has happened in another process.
const POLL: std::time::Duration = std::time::Duration::from_millis(50);

fn setup(choice: Choice) -> Setup {
    Setup::with_sign_in(Config::default(), choice)
}

/// The command with these arguments.
fn command(setup: &Setup, arguments: &[&str]) -> Command {
    let mut command = setup.command();
    command.args(["--profile", "acme"]).args(arguments).stdin(Stdio::null());
    command
}

fn run(setup: &Setup, arguments: &[&str]) -> Output {
    command(setup, arguments).output().expect("it starts")
}

fn bridge(setup: &Setup) -> Bridge {
    let bridge = Bridge::start(command(setup, &["--sign-in-wait", "0"]));
    bridge.open();
    bridge
}

fn opened(setup: &Setup) -> usize {
    setup.browser.as_ref().expect("it has one").opened().len()
}

/// What `status --json` says.
fn status(setup: &Setup) -> Value {
    serde_json::from_slice(&run(setup, &["status", "--json"]).stdout).expect("JSON")
}

/// Waits until what `status --json` says is like this.
fn wait_for_status(setup: &Setup, is_so: impl Fn(&Value) -> bool) {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let status = status(setup);
        if is_so(&status) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{status}");
        std::thread::sleep(POLL);
    }
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().expect("a text")
}

/// As if so many tabs had opened and token requests had been sent just now.
fn spend(setup: &Setup, tabs: usize, token_requests: usize) {
    write_record(setup, vec![now(); tabs], vec![now(); token_requests]);
}

/// This moment, in milliseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64
}

/// Tabs and token requests of these times.
fn write_record(setup: &Setup, tabs: Vec<u64>, token_requests: Vec<u64>) {
    let folder = state_folder(setup.home.path());
    std::fs::create_dir_all(&folder).expect("ours");
    let record = json!({ "tabs": tabs, "token_requests": token_requests });
    std::fs::write(record_file(setup), record.to_string()).expect("ours");
}

fn record_file(setup: &Setup) -> PathBuf {
    state_folder(setup.home.path()).join("acme.brake.json")
}

#[test]
fn a_model_that_asks_for_a_sign_in_again_and_again_gets_three_tabs_however_many_processes_it_has() {
    let setup = setup(Choice::Allow);
    // The consent is automatic, and no token is accepted.
    setup.sandbox.fault(Fault::status(401).at(Place::Mcp).always());
    for _ in 0..2 {
        // A restart clears nothing.
        let bridges = [(); 2].map(|()| {
            let bridge = Bridge::start(command(&setup, &[]));
            bridge.open();
            bridge
        });
        for id in 0..3 {
            for bridge in &bridges {
                bridge.call(2 * id + 1, "planhat_sign_in", "{}");
                bridge.call(2 * id + 2, "echo", "{}");
            }
        }
        for bridge in bridges {
            bridge.finish();
        }
    }
    // A sign-in that is under way may still be about to open its tab.
    wait_for_status(&setup, |status| status["signing_in"] != true);
    assert_eq!(opened(&setup), TAB_BUDGET);
    assert!(status(&setup)["tabs"]["shut_until"].is_u64(), "{}", status(&setup));
}

#[test]
fn beyond_the_budget_the_sign_in_tool_answers_with_the_link_alone_from_one_sign_in() {
    let setup = setup(Choice::Leave);
    spend(&setup, TAB_BUDGET, 0);
    let bridges = [bridge(&setup), bridge(&setup)];
    let mut links = Vec::new();
    for id in 1..9 {
        let answer = bridges[id as usize % 2].call(id, "planhat_sign_in", "{}");
        let words = text(&answer).to_owned();
        assert!(words.contains("too many have opened") && words.contains("planhat-mcp login"), "{words}");
        let link = words.split_whitespace().find(|word| word.contains("/authorize?"));
        links.push(link.unwrap_or_else(|| panic!("no link in {words}")).to_owned());
    }
    // A call is answered with it, too.
    assert!(text(&bridges[0].call(20, "echo", "{}")).contains(&links[0]));
    links.dedup();
    assert_eq!((links.len(), opened(&setup)), (1, 0), "one sign-in, and no tab");
    let shown = String::from_utf8(run(&setup, &["status"]).stdout).expect("UTF-8");
    assert!(shown.contains("3 of 3 within 10 minutes: no more before"), "{shown}");
    let doctor = String::from_utf8(run(&setup, &["doctor"]).stdout).expect("UTF-8");
    assert!(doctor.contains("brake") && doctor.contains("No browser tab opens"), "{doctor}");
    // The link is as good as any.
    setup.browser.as_ref().expect("it has one").choose(Choice::Allow);
    planhat_sandbox::browser::walk(links[0].trim_end_matches(','), Choice::Allow).expect("it leads there");
    wait_for_status(&setup, |status| status["signed_in"] == true);
    assert!(status(&setup)["tabs"]["shut_until"].is_u64(), "a sign-in by the link lifts nothing");
}

#[cfg(unix)]
#[test]
fn nothing_but_a_login_that_a_person_types_lifts_the_brake() {
    let setup = setup(Choice::Allow);
    spend(&setup, TAB_BUDGET, 30);
    let is_shut = || {
        let status = status(&setup);
        status["tabs"]["shut_until"].is_u64() && status["token_requests"]["shut_until"].is_u64()
    };
    run(&setup, &["logout"]);
    run(&setup, &["reset", "--yes"]);
    assert!(is_shut() && record_file(&setup).exists(), "both can be run by a program");
    // So can a login without a terminal: it shows its link and opens nothing.
    let mut login =
        command(&setup, &["login"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let out = std::io::BufReader::new(login.stdout.take().expect("piped"));
    let mut lines = std::io::BufRead::lines(out).map_while(Result::ok);
    assert!(lines.any(|line| line.contains("No browser tab opens")), "it does not say why");
    login.kill().and_then(|()| login.wait()).expect("it runs");
    assert_eq!(opened(&setup), 0);
    let output = crate::support::typed(command(&setup, &["login", "--restart"]));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(opened(&setup), 1);
    let status = status(&setup);
    assert_eq!((&status["tabs"]["within"][0]["count"], &status["tabs"]["shut_until"]), (&json!(0), &Value::Null));
    assert_eq!(status["token_requests"]["shut_until"], Value::Null);
}

#[cfg(unix)]
#[test]
fn a_login_that_is_typed_at_the_end_of_a_pipe_is_a_person_s_too() {
    let setup = setup(Choice::Allow);
    spend(&setup, TAB_BUDGET, 30);
    let mut login = command(&setup, &["login", "--client-secret-file", "-"]);
    login.env_remove("PLANHAT_MCP_CLIENT_SECRET");
    let output = crate::support::typed_after_a_pipe(login, planhat_sandbox::CLIENT_SECRET);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(opened(&setup), 1);
    assert_eq!(status(&setup)["tabs"]["shut_until"], Value::Null, "it lifts the brake");
}

#[test]
fn a_login_without_a_terminal_confirms_no_token_endpoint_that_the_settings_name() {
    let setup = setup(Choice::Allow);
    let other = planhat_sandbox::Sandbox::start(Config::default());
    let endpoint = url::Url::parse(&other.mcp_url()).expect("ours").join("/oauth/token").expect("a path");
    let mut login = command(&setup, &["login", "--token-endpoint", endpoint.as_str()]);
    let output = login.stdin(Stdio::piped()).output().expect("it starts");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(!output.status.success() && said.contains("token-endpoint-unconfirmed"), "{said}");
    assert_eq!((opened(&setup), other.counters().connections), (0, 0));
}

#[test]
fn a_model_that_asks_again_while_the_authorization_server_is_down_hears_of_that_and_not_of_tabs() {
    let setup = setup(Choice::Allow);
    setup.sandbox.fault(Fault::status(503).at(Place::Metadata).always());
    let bridge = Bridge::start(command(&setup, &[]));
    bridge.open();
    for id in 1..12 {
        let answer = bridge.call(id, "planhat_sign_in", "{}");
        let words = text(&answer);
        assert!(!words.contains("tab"), "none has opened: {words}");
        let expected = if id < 11 { "do not call again at once" } else { "because too many have started" };
        assert!(words.contains(expected) && words.contains("cannot answer at the moment"), "{id}: {words}");
    }
    assert_eq!(opened(&setup), 0);
}

#[test]
fn a_storm_of_token_requests_ends_with_a_time_to_come_back_at_for_all_processes() {
    let setup = setup(Choice::Allow);
    run(&setup, &["login"]);
    // The 239 of the last five minutes, outside the minute's budget: the test may take ten minutes.
    write_record(&setup, Vec::new(), vec![now() - 5 * 60_000; 239]);
    let bridges = [bridge(&setup), bridge(&setup)];
    setup.sandbox.expire_access_tokens();
    let answer = bridges[0].call(1, "echo", "{}");
    assert!(answer["result"]["isError"] != true, "the last one: {answer}");
    for bridge in &bridges {
        setup.sandbox.expire_access_tokens();
        let answer = bridge.call(2, "echo", "{}");
        assert!(text(&answer).contains("too many token requests"), "{answer}");
    }
    assert_eq!(setup.sandbox.counters().refreshes, 1);
    assert_eq!(opened(&setup), 1, "it is no reason to sign in: that was the login's");
    assert!(status(&setup)["signed_in"] == true);
}

#[test]
fn the_links_that_a_client_is_asked_to_show_count_as_tabs() {
    let setup = setup(Choice::Leave);
    let bridge = Bridge::start(command(&setup, &[]));
    bridge.ask(
        r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{"url":{}}},"clientInfo":{"name":"it","version":"1"}}}"#,
    );
    bridge.send(crate::support::INITIALIZED);
    let mut asked = 0;
    for id in 1..8 {
        bridge.send(&crate::support::call(id, "planhat_sign_in", "{}"));
        let line = bridge.wait_line("a question or an answer", |line| {
            line.contains("elicitation/create") || line.contains(&format!(r#""id":{id},"#))
        });
        let line: Value = serde_json::from_str(&line).expect("JSON");
        if line["method"] == "elicitation/create" {
            asked += 1;
            let decline = json!({ "jsonrpc": "2.0", "id": line["id"], "result": { "action": "decline" } });
            bridge.send(&decline.to_string());
            bridge.answer_to(&json!(id));
        } else {
            assert!(text(&line).contains("too many have opened"), "{line}");
        }
    }
    assert_eq!((asked, opened(&setup)), (TAB_BUDGET, 0));
    assert_eq!(status(&setup)["tabs"]["within"][0]["count"], TAB_BUDGET);
}
