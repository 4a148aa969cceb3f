//! The client id that somebody named once, at `login`, is known to every later command.

use std::process::{Command, Output, Stdio};

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{CLIENT_ID, CLIENT_SECRET, Config};

use crate::support::{Bridge, Setup, bare};
#[cfg(unix)]
use crate::support::{typed, typed_in};

/// A command that names the server and no client.
fn plain(setup: &Setup, words: &[&str]) -> Command {
    let mut command = bare(setup.home.path());
    command.args(["--url", &setup.sandbox.mcp_url(), "--token-store", "file", "--scope", "inclusive"]);
    command.args(["--callback-port", &setup.callback_port.to_string()]).args(words);
    if let Some(browser) = &setup.browser {
        command.env("BROWSER", browser.command());
    }
    command
}

fn run(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().expect("it starts")
}

fn shown(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn signed_in() -> Setup {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut login = setup.command();
    login.arg("login");
    let output = run(login);
    assert!(output.status.success(), "{}", shown(&output));
    setup
}

#[test]
fn every_later_command_knows_the_client_id_that_login_was_told() {
    let setup = signed_in();
    let status = run(plain(&setup, &["status"]));
    assert!(status.status.success() && shown(&status).contains("signed in yes"), "{}", shown(&status));
    let config = shown(&run(plain(&setup, &["config"])));
    assert!(config.contains(&format!("client_id {CLIENT_ID}")) && config.contains("the last sign-in"), "{config}");
    let bridge = Bridge::start(plain(&setup, &[]));
    bridge.open();
    let answer = bridge.call(1, "echo", "{}");
    assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer} {}", bridge.stderr());
    assert!(bridge.finish().1.success());
    // The next sign-in needs it, too, after the user has signed out.
    assert!(run(plain(&setup, &["logout"])).status.success());
    let mut login = plain(&setup, &["login"]);
    login.env("PLANHAT_MCP_CLIENT_SECRET", CLIENT_SECRET);
    let output = run(login);
    assert!(output.status.success(), "{}", shown(&output));
    assert!(run(plain(&setup, &["reset", "--yes"])).status.success());
    let config = shown(&run(plain(&setup, &["config"])));
    assert!(!config.contains(CLIENT_ID), "nothing is left after reset: {config}");
}

#[test]
fn settings_that_name_a_client_win_and_status_tells_whose_the_sign_in_is() {
    let setup = signed_in();
    let output = run(plain(&setup, &["status", "--client-id", "pk_other"]));
    assert_eq!(output.status.code(), Some(3));
    let text = shown(&output);
    assert!(text.contains(&format!("no, not as pk_other; the stored sign-in is for {CLIENT_ID}")), "{text}");
    let json = shown(&run(plain(&setup, &["status", "--json", "--client-id", "pk_other"])));
    assert!(json.contains(&format!("\"signed_in_client_id\": \"{CLIENT_ID}\"")), "{json}");
}

#[test]
fn a_client_id_is_for_its_own_server_alone() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let other = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut login = setup.command();
    login.args(["login", "--profile", "work"]);
    let output = run(login);
    assert!(output.status.success(), "{}", shown(&output));
    let config_at = |url: &str| {
        let mut command = bare(setup.home.path());
        command.args(["--url", url, "--profile", "work", "config"]);
        shown(&run(command))
    };
    assert!(config_at(&setup.sandbox.mcp_url()).contains(CLIENT_ID));
    assert!(!config_at(&other.sandbox.mcp_url()).contains(CLIENT_ID), "the same profile for another server");
}

#[cfg(unix)]
#[test]
fn a_secret_that_a_sign_in_has_failed_for_is_asked_for_before_the_browser_opens() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let opened = || setup.browser.as_ref().map_or(0, |browser| browser.opened().len());
    let login = || plain(&setup, &["login", "--client-id", CLIENT_ID]);
    // Nothing tells before the first that the client has one.
    let first = typed(login());
    assert!(!first.status.success() && shown(&first).contains("client-secret-missing"), "{}", shown(&first));
    assert_eq!(opened(), 1);
    let config = shown(&run(plain(&setup, &["config"])));
    assert!(!config.contains(CLIENT_ID), "a client that has failed is not that of the last sign-in: {config}");
    // Nor does a program without a person try it in vain once more.
    let second = run(login());
    assert!(!second.status.success() && shown(&second).contains("client-secret-missing"), "{}", shown(&second));
    assert_eq!(opened(), 1, "no tab");
    // The client id in its place is asked about again, and what is typed is not shown.
    let third = typed_in(login(), &format!("{CLIENT_ID}\n{CLIENT_SECRET}\n"));
    let text = shown(&third);
    assert!(
        third.status.success() && text.contains("Client secret") && text.contains("That is the client id"),
        "{text}"
    );
    assert!(!text.contains(CLIENT_SECRET), "{text}");
    assert_eq!(opened(), 2);
    // It is stored, so nobody is asked again; signing out deletes it.
    let fourth = typed(plain(&setup, &["login"]));
    assert!(fourth.status.success() && !shown(&fourth).contains("Client secret"), "{}", shown(&fourth));
    assert!(run(plain(&setup, &["logout"])).status.success());
    let fifth = run(plain(&setup, &["login"]));
    assert!(!fifth.status.success() && shown(&fifth).contains("client-secret-missing"), "{}", shown(&fifth));
    assert_eq!(opened(), 3, "no tab");
}
