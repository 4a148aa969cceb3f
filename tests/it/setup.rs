//! `setup`: from nothing to a client that works, asked at a terminal or told by options.

use std::process::{Command, Output, Stdio};

use planhat_sandbox::Config;
use planhat_sandbox::browser::Choice;

use crate::support::Setup;

fn sandbox() -> Setup {
    Setup::with_sign_in(Config::default(), Choice::Allow)
}

/// `setup` for the sandbox, with Cursor and Claude Desktop on the machine.
fn command(setup: &Setup, words: &[&str]) -> Command {
    for folder in [".cursor", ".config/Claude"] {
        std::fs::create_dir_all(setup.home.path().join(folder)).expect("writable");
    }
    let mut command = setup.command();
    command.arg("setup").args(words);
    command
}

fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cursor(setup: &Setup) -> Option<String> {
    std::fs::read_to_string(setup.home.path().join(".cursor/mcp.json")).ok()
}

#[test]
fn one_line_signs_in_shows_that_it_works_and_sets_the_client_up_and_the_second_time_changes_nothing() {
    let setup = sandbox();
    let done = run(command(&setup, &["--into", "cursor"]));
    let shown = text(&done.stdout);
    assert!(done.status.success(), "{shown} {}", text(&done.stderr));
    assert!(shown.contains("It works: ") && shown.contains("tools listed"), "{shown}");
    let written = cursor(&setup).expect("it is set up");
    let entry: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    let (_, server) = entry["mcpServers"].as_object().and_then(|all| all.iter().next()).expect("an entry");
    assert!(std::path::Path::new(server["command"].as_str().expect("a program")).is_absolute(), "{written}");
    assert!(!written.contains(planhat_sandbox::CLIENT_SECRET), "{written}");
    assert!(!setup.home.path().join(".config/Claude/claude_desktop_config.json").exists(), "nobody named it");
    let again = run(command(&setup, &["--into", "cursor"]));
    assert!(again.status.success() && text(&again.stdout).contains("Signed in already"), "{}", text(&again.stdout));
    assert_eq!(cursor(&setup).as_deref(), Some(&*written));
    assert_eq!(setup.sandbox.counters().consents_granted, 1);
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_missing_option_is_named() {
    let setup = sandbox();
    let missing = run(command(&setup, &[]));
    let told = text(&missing.stderr);
    assert!(missing.status.code() == Some(2) && told.contains("--into"), "{told}");
    let mut planhat = crate::support::bare(setup.home.path());
    planhat.args(["setup", "--into", "none"]);
    let missing = run(planhat);
    let told = text(&missing.stderr);
    assert!(missing.status.code() == Some(2) && told.contains("--client-id"), "{told}");
    assert!(setup.sandbox.requests().is_empty() && cursor(&setup).is_none());
}

#[test]
fn a_client_that_the_server_does_not_know_is_told_before_a_browser_opens() {
    let setup = sandbox();
    let failed = run(command(&setup, &["--client-id", "pk_unknown", "--into", "cursor"]));
    let told = text(&failed.stderr);
    assert!(!failed.status.success() && told.contains("client id"), "{told}");
    assert!(setup.browser.as_ref().expect("it has one").opened().is_empty(), "{told}");
    assert_eq!(cursor(&setup), None, "nothing is set up that does not work");
}

#[cfg(unix)]
#[test]
fn a_person_chooses_clients_by_number_and_a_wrong_answer_is_asked_again() {
    let setup = sandbox();
    let done = crate::support::typed_in(command(&setup, &[]), "7\n2\n");
    let (shown, asked) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{shown} {asked}");
    assert!(asked.contains("1 Claude Desktop 2 Cursor") && asked.contains("\"7\" is none of them"), "{asked}");
    assert!(cursor(&setup).is_some() && shown.contains("It works"), "{shown}");
    assert!(!setup.home.path().join(".config/Claude/claude_desktop_config.json").exists());
}

#[cfg(unix)]
#[test]
fn a_person_says_where_they_open_planhat_and_each_answer_is_checked_at_once() {
    let setup = sandbox();
    let mut command = crate::support::bare(setup.home.path());
    // A proxy that refuses keeps this from Planhat itself.
    command.args(["setup", "--proxy", "http://127.0.0.1:9", "--token-store", "file", "--into", "none"]);
    let answers = "example.com\nws.planhatdemo.com\nsk_canary\npk_1\n\n";
    let done = crate::support::typed_in(command, answers);
    let asked = text(&done.stderr);
    assert!(asked.contains("That is no address of Planhat"), "{asked}");
    assert!(asked.contains("http://127.0.0.1:7526/callback"), "what the admin enters: {asked}");
    assert!(asked.contains("That is the client secret"), "{asked}");
    assert_eq!(done.status.code(), Some(4), "{asked}");
    assert!(asked.contains("proxy") && !asked.contains("canary"), "before any browser: {asked}");
}

#[test]
fn a_token_of_the_shell_and_a_sign_in_in_memory_are_refused_because_no_client_has_them() {
    let setup = sandbox();
    for (name, value, told) in
        [("PLANHAT_MCP_TOKEN", "canary", "token-from-stdin"), ("PLANHAT_MCP_TOKEN_STORE", "memory", "keychain or file")]
    {
        let mut refused = command(&setup, &["--into", "cursor"]);
        refused.env(name, value);
        let refused = run(refused);
        let shown = text(&refused.stderr);
        assert!(refused.status.code() == Some(2) && shown.contains(told) && !shown.contains("canary"), "{shown}");
    }
    assert!(setup.browser.as_ref().expect("it has one").opened().is_empty() && cursor(&setup).is_none());
}

#[test]
fn the_client_secret_is_read_once_from_a_pipe() {
    use std::io::Write;
    let setup = sandbox();
    let mut piped = command(&setup, &["--client-secret-file", "-", "--into", "none"]);
    piped.env_remove("PLANHAT_MCP_CLIENT_SECRET").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("it starts");
    let secret = format!("{}\n", planhat_sandbox::CLIENT_SECRET);
    child.stdin.take().expect("piped").write_all(secret.as_bytes()).expect("it reads");
    let done = child.wait_with_output().expect("it runs");
    assert!(done.status.success(), "{} {}", text(&done.stdout), text(&done.stderr));
}
