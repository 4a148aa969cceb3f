//! Several sign-ins side by side, and how each of them ends.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Place};
use serde_json::Value;

use crate::support::{Bridge, Setup, bare, call, state_folder};

fn run(setup: &Setup, words: &[&str]) -> Output {
    let mut command = setup.command();
    command.args(words).stdin(Stdio::null()).output().expect("the binary starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn succeeds(setup: &Setup, words: &[&str]) -> String {
    let output = run(setup, words);
    assert!(output.status.success(), "{words:?}: {}", text(&output));
    text(&output)
}

fn status(setup: &Setup, profile: &str) -> Value {
    let output = run(setup, &["status", "--json", "--profile", profile]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)))
}

fn state_files(setup: &Setup) -> Vec<String> {
    let folder: PathBuf = state_folder(setup.home.path());
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn two_profiles_have_tokens_of_their_own_and_are_signed_out_one_by_one_or_together() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    succeeds(&setup, &["login", "--profile", "acme"]);
    assert_eq!(
        (&status(&setup, "acme")["signed_in"], &status(&setup, "zeta")["signed_in"]),
        (&true.into(), &false.into())
    );
    succeeds(&setup, &["login", "--profile", "zeta"]);
    assert_eq!(setup.sandbox.counters().consents_granted, 2);

    let all = run(&setup, &["status", "--all", "--json"]);
    let all: Value = serde_json::from_slice(&all.stdout).expect("JSON");
    let names: Vec<&str> = all.as_array().expect("a list").iter().filter_map(|one| one["profile"].as_str()).collect();
    assert_eq!(names, ["acme", "zeta"], "{all:#}");

    succeeds(&setup, &["logout", "--profile", "acme"]);
    assert_eq!(
        (&status(&setup, "acme")["signed_in"], &status(&setup, "zeta")["signed_in"]),
        (&false.into(), &true.into())
    );
    succeeds(&setup, &["login", "--profile", "acme"]);
    // Whatever else this run is set to: all means all.
    let output = bare(setup.home.path()).args(["logout", "--all"]).stdin(Stdio::null()).output().expect("starts");
    assert!(output.status.success(), "{}", text(&output));
    for profile in ["acme", "zeta"] {
        assert_eq!(status(&setup, profile)["signed_in"], false, "{profile}");
    }
    assert!(!state_files(&setup).contains(&"tokens.json".to_owned()), "the last one takes the file with it");
    assert!(succeeds(&setup, &["logout", "--all"]).contains("No profile"));
}

#[test]
fn signing_out_needs_no_server() {
    let metadata = serde_json::json!({ "revocation_endpoint": "{api}/oauth/revoke" });
    let setup = Setup::with_sign_in(Config { metadata_patch: Some(metadata), ..Config::default() }, Choice::Allow);
    succeeds(&setup, &["login"]);
    setup.sandbox.go_offline();
    let shown = succeeds(&setup, &["logout"]);
    assert!(shown.contains("could not be asked to revoke"), "{shown}");
    assert_eq!(run(&setup, &["status"]).status.code(), Some(3));
}

#[test]
fn a_reset_asks_first_and_then_leaves_nothing_of_this_profile_alone() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    succeeds(&setup, &["login", "--profile", "acme"]);
    succeeds(&setup, &["login", "--profile", "zeta"]);
    let output = run(&setup, &["reset", "--profile", "acme"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("acme.profile.json") && text(&output).contains("--yes"), "{}", text(&output));
    assert_eq!(status(&setup, "acme")["signed_in"], true, "nothing was removed");

    for profile in ["acme", "zeta"] {
        let mut command = setup.command();
        command.args(["--profile", profile]);
        let bridge = Bridge::start(command);
        bridge.open();
        setup.sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(60)).tool("echo"));
        bridge.send(&call(1, "echo", "{}"));
        bridge.wait_stderr("the server is throttling");
    }
    let gates = |files: &[String]| files.iter().filter(|name| name.ends_with(".gate")).count();
    assert_eq!(gates(&state_files(&setup)), 2, "a rate limit is shared through a file, for each sign-in");

    let shown = succeeds(&setup, &["reset", "--profile", "acme", "--yes"]);
    assert!(shown.contains("Removed: the sign-in"), "{shown}");
    let left = state_files(&setup);
    assert_eq!(gates(&left), 1, "{left:?}");
    // What counts tabs and token requests stays for as long as it counts: a program can run this, too.
    let is_left = |name: &&String| name.starts_with("acme.") && !name.starts_with("acme.brake.");
    assert!(!left.iter().any(|name| is_left(&name)), "{left:?}");
    assert!(left.iter().any(|name| name == "acme.brake.json"), "{left:?}");
    assert!(left.iter().any(|name| name.starts_with("zeta.")), "{left:?}");
    assert_eq!(
        (&status(&setup, "acme")["signed_in"], &status(&setup, "zeta")["signed_in"]),
        (&false.into(), &true.into())
    );
}

#[test]
fn a_damaged_record_is_in_the_way_of_no_reset() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    succeeds(&setup, &["login"]);
    let file = state_folder(setup.home.path()).join("tokens.json");
    let stored = std::fs::read_to_string(&file).expect("the token file");
    std::fs::write(&file, stored.replace("access_token", "xx")).expect("ours");
    assert_eq!(run(&setup, &["status"]).status.code(), Some(5));
    succeeds(&setup, &["reset", "--yes"]);
    assert_eq!(run(&setup, &["status"]).status.code(), Some(3));
    assert!(!file.exists());
}

#[test]
fn who_signed_in_is_shown_where_the_server_says_it() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    // {"alg":"none"} {"name":"Maja Lindqvist","email":"maja@example.com"}
    let id_token = "eyJhbGciOiJub25lIn0.eyJuYW1lIjoiTWFqYSBMaW5kcXZpc3QiLCJlbWFpbCI6Im1hamFAZXhhbXBsZS5jb20ifQ.";
    let answer = format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":60,"id_token":"{id_token}"}}"#);
    setup.sandbox.fault(Fault::bytes("application/json", answer).at(Place::Token));
    let shown = succeeds(&setup, &["login"]);
    assert!(shown.contains("Maja Lindqvist (maja@example.com), as reported"), "{shown}");
    assert!(succeeds(&setup, &["status"]).contains("Maja Lindqvist"));
}
