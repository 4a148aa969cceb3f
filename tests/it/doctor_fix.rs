//! `doctor --fix`: what it finds, says, asks and does, and what it leaves alone.

use std::fs;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use planhat_sandbox::Config;
use planhat_sandbox::browser::Choice;
use serde_json::Value;

use crate::support::{Setup, bare};

fn run(setup: &Setup, words: &[&str]) -> Output {
    let mut command = setup.command();
    command.args(words).stdin(Stdio::null());
    command.output().expect("the binary starts")
}

fn signed_in() -> Setup {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let output = run(&setup, &["login"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    setup
}

fn fix(setup: &Setup, words: &[&str]) -> (Output, Value) {
    let output = run(setup, &[&["doctor", "--fix", "--json"], words].concat());
    let shown = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {shown} {}", stderr(&output)));
    (output, value)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The state folder.
fn state(setup: &Setup) -> PathBuf {
    let mut left = vec![setup.home.path().to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).expect("readable").flatten() {
            if entry.file_name() == "tokens.json" {
                return folder;
            }
            if entry.path().is_dir() {
                left.push(entry.path());
            }
        }
    }
    panic!("there is a token file after a sign-in");
}

fn states(report: &Value) -> Vec<&str> {
    report["fixes"].as_array().expect("a list").iter().filter_map(|fix| fix["state"].as_str()).collect()
}

fn has_row(report: &Value, name: &str) -> bool {
    report["checks"].as_array().expect("checks").iter().any(|row| row["name"] == name)
}

#[test]
fn a_setup_that_works_has_nothing_to_mend_and_keeps_its_sign_in() {
    let setup = signed_in();
    let before = fs::read(state(&setup).join("tokens.json")).expect("readable");
    let (output, report) = fix(&setup, &["--yes"]);
    assert_eq!((output.status.code(), states(&report)), (Some(0), vec![]), "{report:#}");
    assert!(!has_row(&report, "to repair"));
    assert_eq!(fs::read(state(&setup).join("tokens.json")).expect("readable"), before);
}

#[cfg(unix)]
#[test]
fn without_a_terminal_the_plan_is_shown_and_only_yes_does_it() {
    use std::os::unix::fs::PermissionsExt;
    let setup = signed_in();
    let folder = state(&setup);
    let mode = |path: &PathBuf| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let tokens = folder.join("tokens.json");
    fs::set_permissions(&tokens, fs::Permissions::from_mode(0o644)).expect("ours");
    let note = fs::read_dir(&folder).expect("readable").flatten().map(|entry| entry.path());
    let note = note.into_iter().find(|path| path.to_string_lossy().ends_with(".profile.json")).expect("a note");
    fs::write(&note, "{cut off").expect("writable");

    let plain = run(&setup, &["doctor"]);
    let shown = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert!(shown.contains("to repair") && shown.contains("doctor --fix"), "{shown}");
    let (output, report) = fix(&setup, &[]);
    assert_eq!((output.status.code(), states(&report)), (Some(2), vec!["planned", "planned"]), "{report:#}");
    assert!(stderr(&output).contains("--yes"), "{}", stderr(&output));
    assert!(report["fixes"][0]["action"].as_str().is_some_and(|action| action.contains("chmod")), "{report:#}");
    assert!(report["fixes"][0]["loss"].is_string());
    assert_eq!(mode(&tokens), 0o644, "nothing was done");

    let (output, report) = fix(&setup, &["--yes"]);
    assert_eq!((output.status.code(), states(&report)), (Some(0), vec!["mended", "mended"]), "{report:#}");
    assert!(!has_row(&report, "to repair"), "the rows are those after it: {report:#}");
    assert_eq!((mode(&tokens), note.exists()), (0o600, false));
    assert!(run(&setup, &["status"]).status.success(), "the sign-in is kept");
}

#[test]
fn a_token_file_that_cannot_be_read_is_set_aside_and_one_of_a_newer_version_is_not() {
    let setup = signed_in();
    let tokens = state(&setup).join("tokens.json");
    fs::write(&tokens, r#"{"version":99,"records":{}}"#).expect("writable");
    assert_eq!(states(&fix(&setup, &["--yes"]).1), [""; 0]);
    fs::write(&tokens, r#"{"version":1,"rec"#).expect("writable");
    let (output, report) = fix(&setup, &["--yes"]);
    assert_eq!(states(&report), ["mended"], "{report:#}");
    assert_eq!(output.status.code(), Some(3), "what is left is to sign in");
    assert!(!tokens.exists() && tokens.with_extension("json.damaged").exists());
}

#[test]
fn a_sign_in_that_was_killed_is_noted_as_ended() {
    let setup = signed_in();
    let folder = state(&setup);
    let record = fs::read_dir(&folder).expect("readable").flatten().map(|entry| entry.path());
    let record = record.into_iter().find(|path| path.to_string_lossy().ends_with(".sign-in.json")).expect("a record");
    let mut attempt: Value = serde_json::from_slice(&fs::read(&record).expect("readable")).expect("JSON");
    attempt["ended"] = Value::Null;
    attempt["link"] = "https://as.example/x".into();
    fs::write(&record, attempt.to_string()).expect("writable");
    let (output, report) = fix(&setup, &["--yes"]);
    assert_eq!((output.status.code(), states(&report)), (Some(0), vec!["mended"]), "{report:#}");
    let after: Value = serde_json::from_slice(&fs::read(&record).expect("readable")).expect("JSON");
    assert!(after["ended"].is_u64() && after["link"].is_null() && after["number"] == attempt["number"], "{after}");
}

#[test]
fn a_registration_that_the_server_has_forgotten_is_deleted_and_the_next_sign_in_registers_anew() {
    const ID: &str = "pk_registered";
    let config = Config { registered_client_id: Some(ID.to_owned()), ..Config::default() };
    let setup = Setup::with_sign_in(config, Choice::Deny);
    let run = |words: &[&str]| {
        let mut command = bare(setup.home.path());
        command.args(["--url", &setup.sandbox.mcp_url(), "--token-store", "file", "--scope", "inclusive"]);
        command.args(["--callback-port", &setup.callback_port.to_string()]);
        command.env("BROWSER", setup.browser.as_ref().expect("it has one").command());
        command.args(words).stdin(Stdio::null()).output().expect("it starts")
    };
    let report = |words: &[&str]| -> Value {
        serde_json::from_slice(&run(&[&["doctor", "--fix", "--json"], words].concat()).stdout).expect("JSON")
    };
    assert_eq!(run(&["login"]).status.code(), Some(3), "the person says no, and the client is registered");
    assert_eq!(states(&report(&["--yes"])), [""; 0], "it is known");
    setup.sandbox.configure(|config| config.clients.retain(|client| client.id != ID));
    let planned = report(&[]);
    assert!(planned["fixes"][0]["what"].as_str().is_some_and(|what| what.contains(ID)), "{planned:#}");
    let mended = report(&["--yes"]);
    assert_eq!(states(&mended), ["mended"], "{mended:#}");
    let client = mended["checks"].as_array().expect("checks").iter().find(|row| row["name"] == "client");
    assert!(
        client.is_some_and(|row| row["text"].as_str().is_some_and(|text| text.contains("registers one"))),
        "{mended:#}"
    );
}
