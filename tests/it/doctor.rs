//! `doctor` against a tenant: what is well, what is wrong, what is left out; and that nothing secret is shown.

use std::process::{Command, Output, Stdio};

use planhat_sandbox::browser::Choice;
use planhat_sandbox::habit::Habit;
use planhat_sandbox::{AnswerMode, Config, Fault, Place, RawReply};
use serde_json::Value;

use crate::support::{STATIC_TOKEN, Setup, bare};

fn doctor(setup: &Setup, words: &[&str]) -> (Output, Value) {
    let mut command = setup.command();
    command.arg("doctor").arg("--json").args(words).stdin(Stdio::null());
    let output = command.output().expect("the binary starts");
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {} {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    });
    (output, value)
}

fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["checks"].as_array().expect("checks");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name} in {report:#}"))
}

fn state<'a>(report: &'a Value, name: &str) -> &'a str {
    row(report, name)["state"].as_str().expect("a state")
}

fn login(setup: &Setup) {
    let mut command = setup.command();
    let output = command.arg("login").stdin(Stdio::null()).output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn signed_in_everything_is_well_and_a_real_list_comes() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    login(&setup);
    let before = setup.sandbox.counters().consents_granted;
    let pages = setup.sandbox.requests_at(Place::Authorize).len();
    let (output, report) = doctor(&setup, &[]);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["ok"], true);
    for row in report["checks"].as_array().expect("checks") {
        // Some servers end the sign-in that there is when their page is asked for another.
        let expected = if row["name"] == "sign-in page" { "skip" } else { "ok" };
        assert_eq!(row["state"], expected, "{row:#}");
    }
    assert_eq!(setup.sandbox.requests_at(Place::Authorize).len(), pages, "the page is left alone");
    assert!(row(&report, "tools")["text"].as_str().is_some_and(|text| text.contains("tools listed")), "{report:#}");
    let places = row(&report, "discovery")["details"].as_array().expect("each place that was asked");
    assert!(places.len() >= 3 && places.iter().any(|place| place.as_str().is_some_and(|p| p.starts_with("found: "))));
    assert_eq!(setup.sandbox.counters().consents_granted, before, "no sign-in was started");
    assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1, "no browser but that of login");
}

#[test]
fn the_page_is_asked_again_without_the_scope_that_this_program_has_added() {
    let habit = Habit::find("offline-access-refused").expect("it is in the table");
    let setup = Setup::with_habit(habit);
    let (_, report) = doctor(&setup, &[]);
    assert_eq!(state(&report, "sign-in page"), "ok", "{report:#}");
    assert_eq!(setup.sandbox.requests_at(Place::Authorize).len(), 2);
}

#[test]
fn signed_out_is_a_failure_with_the_command_and_what_needs_a_token_is_skipped() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let (output, report) = doctor(&setup, &[]);
    assert_eq!(output.status.code(), Some(3), "{report:#}");
    assert_eq!((state(&report, "sign-in"), state(&report, "tools")), ("fail", "skip"));
    assert!(row(&report, "sign-in")["fix"].as_str().is_some_and(|fix| fix.contains("planhat-mcp login --url")));
    assert_eq!(state(&report, "sign-in page"), "ok");
    assert!(setup.browser.as_ref().expect("it has one").opened().is_empty());
    assert_eq!(setup.sandbox.counters().code_exchanges, 0);
}

#[test]
fn a_refusal_of_the_authorize_page_is_read_with_its_way_out() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    for (words, problem, fix) in [
        (["--client-id", "pk_unknown"], "wrong-environment", "--tenant demo"),
        (["--callback-host", "localhost"], "redirect-url-not-registered", "http://localhost:"),
    ] {
        let mut command = setup.command();
        command.env("PLANHAT_MCP_TOKEN_STORE", "memory").args(["doctor", "--json"]);
        // Clap takes an option once: the one of the set-up gives way.
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut changed = Command::new(command.get_program());
        changed.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let given = arguments.iter().position(|argument| argument == words[0]);
        let kept = arguments.iter().enumerate().filter(|(at, _)| given.is_none_or(|i| *at != i && *at != i + 1));
        changed.args(kept.map(|(_, argument)| argument)).args(words).current_dir(setup.home.path());
        let output = changed.stdin(Stdio::null()).output().expect("the binary starts");
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let page = row(&report, "sign-in page");
        assert_eq!((&page["state"], &page["problem"]), (&"fail".into(), &problem.into()), "{page:#}");
        assert!(page["fix"].as_str().is_some_and(|text| text.contains(fix)), "{page:#}");
    }
    let asked = setup.sandbox.requests_at(Place::Authorize);
    assert_eq!(asked.len(), 2, "once each");
}

#[test]
fn a_server_that_is_not_there_fails_the_connection_and_skips_what_follows() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    setup.sandbox.go_offline();
    let (output, report) = doctor(&setup, &[]);
    assert_eq!(output.status.code(), Some(4), "{report:#}");
    assert_eq!(row(&report, "connection")["problem"], "connect-failed", "{report:#}");
    for name in ["certificate", "answer", "clock", "discovery", "client", "redirect URL", "sign-in page", "tools"] {
        assert_eq!(state(&report, name), "skip", "{name}");
    }
    assert_eq!(state(&report, "token store"), "ok", "what needs no server is checked all the same");
}

#[test]
fn a_port_that_somebody_else_has_is_a_failure_only_while_nobody_is_signed_in() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let held = std::net::TcpListener::bind(("127.0.0.1", setup.callback_port)).expect("free");
    let (_, report) = doctor(&setup, &[]);
    assert_eq!(
        (state(&report, "redirect URL"), &row(&report, "redirect URL")["problem"]),
        ("fail", &"port-in-use".into())
    );
    drop(held);
    login(&setup);
    let _held = std::net::TcpListener::bind(("127.0.0.1", setup.callback_port)).expect("free again");
    let (output, report) = doctor(&setup, &[]);
    assert_eq!((state(&report, "redirect URL"), output.status.code()), ("warn", Some(0)), "{report:#}");
}

#[test]
fn a_revoked_private_app_token_fails_where_it_is_met() {
    let setup = Setup::with_token(Config::default());
    let (output, report) = doctor(&setup, &[]);
    assert_eq!((output.status.code(), state(&report, "tools")), (Some(0), "ok"), "{report:#}");
    setup.sandbox.configure(|config| config.private_app_tokens.clear());
    let (output, report) = doctor(&setup, &[]);
    assert_eq!(output.status.code(), Some(3), "{report:#}");
    assert_eq!(row(&report, "tools")["problem"], "static-token-rejected", "{report:#}");
}

/// Some day before today.
const LONG_AGO: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

#[test]
fn a_wrong_clock_is_told_by_doctor_and_beside_a_refusal_that_it_may_explain() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    setup.sandbox.fault(Fault::status(401).http("GET").header("date", LONG_AGO).before_auth().always());
    let (_, report) = doctor(&setup, &[]);
    let clock = row(&report, "clock");
    assert_eq!((&clock["state"], &clock["problem"]), (&"warn".into(), &"clock-wrong".into()), "{clock:#}");
    assert!(clock["text"].as_str().is_some_and(|text| text.contains("days ahead of the server's")), "{clock:#}");
    setup.sandbox.clear_faults();
    let refused = Fault::status(400).header("date", LONG_AGO).body(r#"{"error":"invalid_grant"}"#);
    setup.sandbox.fault(refused.at(Place::Token));
    let shown = refused_login(&setup);
    assert!(shown.contains("code-rejected") && shown.contains("days ahead of the server's"), "{shown}");
}

#[test]
fn planhats_words_at_the_token_endpoint_are_explained_as_those_on_its_page() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let words = "You do not have any of the permissions this application requests.";
    let body = format!(r#"{{"error":"access_denied","error_description":"{words}"}}"#);
    setup.sandbox.fault(Fault::status(403).body(body).at(Place::Token).always());
    let shown = refused_login(&setup);
    assert!(shown.contains("no-permissions") && shown.contains("App Center"), "{shown}");
}

/// What a login says that fails.
fn refused_login(setup: &Setup) -> String {
    let mut command = setup.command();
    let output = command.arg("login").stdin(Stdio::null()).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(3));
    String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn settings_that_cannot_be_used_are_the_first_finding() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let output = bare(home.path())
        .args(["doctor", "--tenant", "staging"])
        .stdin(Stdio::null())
        .output()
        .expect("the binary starts");
    let shown = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert!(shown.contains("fail  configuration") && shown.contains("skip  tools"), "{shown}");
    assert!(shown.contains("Correct it in --tenant"), "{shown}");
}

#[test]
fn the_report_is_for_everybody_to_read() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let home = setup.home.path();
    login(&setup);
    let cursor = home.join(".cursor");
    std::fs::create_dir_all(&cursor).expect("writable");
    let entry = r#"{"mcpServers":{"p":{"command":"planhat-mcp","env":{"PLANHAT_MCP_CLIENT_SECRET":"canary-1"},"args":["--client-secret","canary-2"]}}}"#;
    std::fs::write(cursor.join("mcp.json"), entry).expect("writable");
    let log = home.join("log.txt");
    std::fs::write(&log, format!("DEBUG Authorization: Bearer canary-3\nDEBUG access_token={STATIC_TOKEN}\n"))
        .expect("writable");
    for words in [&["doctor", "--report"][..], &["doctor", "--report", "r.json", "--json"]] {
        let mut command = setup.command();
        command.args(["--proxy", "http://proxy.invalid:1", "--log-level", "trace", "--log-file"]).arg(&log);
        let output = command.args(words).stdin(Stdio::null()).output().expect("the binary starts");
        let file = home.join(words.get(2).copied().unwrap_or("planhat-mcp-report.txt"));
        let report = std::fs::read_to_string(&file).expect("the report is there");
        let shown = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        for text in [report.as_str(), &*shown] {
            assert!(!text.contains("canary"), "{text}");
            assert!(!text.contains(STATIC_TOKEN), "{text}");
            for secret in setup.sandbox.secrets() {
                assert!(!text.contains(&secret), "{secret} in {text}");
            }
        }
        assert!(!report.contains(home.to_str().expect("UTF-8")), "the home directory is nobody's business: {report}");
        for wanted in ["secret-in-client-file", "client_id", "tools"] {
            assert!(report.contains(wanted) || words.len() == 2 && wanted.contains('-'), "{wanted} in {report}");
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn what_the_bridge_copes_with_by_itself_is_well_and_named() {
    let old = Setup::with_token(Config { answers: AnswerMode::HttpSse, ..Config::default() });
    let (output, report) = doctor(&old, &[]);
    assert_eq!((output.status.code(), state(&report, "tools")), (Some(0), "ok"), "{report:#}");
    assert!(row(&report, "tools")["details"].to_string().contains("HTTP+SSE"), "{report:#}");
    let older = Setup::with_token(Config::default());
    let words = "Bad Request: Unsupported protocol version (supported versions: 2025-06-18)";
    let refusal = RawReply::status(400).header("content-type", "text/plain").bytes(words).once();
    older.sandbox.on_method("initialize", refusal);
    let (output, report) = doctor(&older, &[]);
    assert_eq!((output.status.code(), state(&report, "tools")), (Some(0), "ok"), "{report:#}");
    assert!(row(&report, "tools")["details"].to_string().contains("2025-06-18"), "{report:#}");
}
