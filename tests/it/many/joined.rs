//! When a browser opens and when not, and what others do about a sign-in that is under way.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use planhat_sandbox::browser::{Choice, walk};
use planhat_sandbox::{Config, Consent, Desktop, Fault, Gate, Place};
use serde_json::{Value, json};

use super::{TOOL, desktop, is_error, tabs, wait_for};
use crate::support::{Bridge, PATIENCE, Setup, call};

#[test]
fn the_page_of_a_sign_in_is_opened_again_by_whichever_bridge_is_asked() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Leave);
    let (first, second, third) = (setup.open(), setup.open(), setup.open());
    first.send(&call(1, "echo", "{}"));
    desktop(&setup).wait_walked(1, PATIENCE);
    // The tab is closed, and the user asks for it.
    desktop(&setup).choose(Choice::Allow);
    second.send(&call(1, TOOL, "{}"));
    third.send(&call(1, TOOL, "{}"));
    for bridge in [&first, &second, &third] {
        let answer = bridge.answer_to(&json!(1));
        assert!(!is_error(&answer), "{answer}; {}", bridge.stderr());
    }
    let opened = desktop(&setup).opened();
    assert_eq!(opened.len(), 2, "one page for all who ask");
    assert_eq!(opened[0], opened[1], "the same sign-in");
    assert_eq!(setup.sandbox.counters().code_exchanges, 1);
}

#[test]
fn a_refused_sign_in_opens_no_tab_in_any_process_until_the_user_asks() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Deny);
    let bridges: Vec<Bridge> = (0..8).map(|_| setup.open()).collect();
    for bridge in &bridges {
        bridge.send(&call(1, "echo", "{}"));
    }
    for bridge in &bridges {
        assert!(is_error(&bridge.answer_to(&json!(1))));
    }
    for bridge in &bridges {
        bridge.send(&call(2, "echo", "{}"));
    }
    for bridge in &bridges {
        let answer = bridge.answer_to(&json!(2));
        assert!(is_error(&answer) && answer.contains(TOOL), "{answer}");
    }
    assert_eq!(tabs(&setup), 1, "eight bridges, not eight tabs in turn");
    // One that is started afterwards knows of it too, and its list starts nothing either.
    let late = setup.open();
    assert!(late.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).contains(TOOL));
    assert!(is_error(&late.call(2, "echo", "{}").to_string()));
    assert_eq!(tabs(&setup), 1);
    desktop(&setup).choose(Choice::Allow);
    assert!(!is_error(&late.call(3, TOOL, "{}").to_string()), "{}", late.stderr());
    assert_eq!(tabs(&setup), 2);
    for bridge in &bridges {
        let answer = bridge.call(3, "echo", "{}").to_string();
        assert!(!is_error(&answer), "{answer}");
    }
}

#[test]
fn with_a_manual_policy_a_browser_opens_only_when_the_user_asks() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut command = setup.command();
    command.args(["--sign-in", "manual"]);
    let bridge = Bridge::start(command);
    bridge.open();
    assert!(bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).contains(TOOL));
    let answer = bridge.call(2, "echo", "{}").to_string();
    assert!(is_error(&answer) && answer.contains(TOOL), "{answer}");
    assert_eq!(tabs(&setup), 0);
    assert!(!is_error(&bridge.call(3, TOOL, "{}").to_string()), "{}", bridge.stderr());
    assert!(!is_error(&bridge.call(4, "echo", "{}").to_string()));
    assert_eq!(tabs(&setup), 1);
}

#[test]
fn a_connection_that_is_made_anew_opens_no_tab() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let bridge = setup.open();
    bridge.call(1, "echo", "{}");
    setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the standing stream");
    desktop(&setup).choose(Choice::Leave);
    setup.sandbox.revoke_grants();
    let refused = setup.sandbox.counters().unauthorized;
    // The standing stream breaks, and is refused when it is taken up.
    setup.sandbox.lose_sessions();
    setup.sandbox.wait_until(|c| c.unauthorized > refused, PATIENCE).expect("it is taken up");
    assert!(bridge.ask(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).contains("result"));
    assert_eq!(tabs(&setup), 1);
}

#[test]
fn login_joins_the_sign_in_of_a_bridge_and_opens_its_page_again() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Leave);
    let bridge = setup.open();
    bridge.send(&call(1, "echo", "{}"));
    desktop(&setup).wait_walked(1, PATIENCE);
    desktop(&setup).choose(Choice::Allow);
    let output = setup.command().arg("login").stdin(Stdio::null()).output().expect("it starts");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}");
    let opened = desktop(&setup).opened();
    assert!(shown.contains("already in progress") && shown.contains(&opened[0]), "{shown}");
    assert!(shown.contains("Signed in to"), "{shown}");
    assert_eq!(opened.len(), 2);
    assert_eq!(opened[0], opened[1]);
    assert!(!is_error(&bridge.answer_to(&json!(1))));
    assert_eq!(setup.sandbox.counters().code_exchanges, 1);
}

#[test]
fn login_that_has_joined_reports_the_failure_as_its_own() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Leave);
    let bridge = setup.open();
    bridge.send(&call(1, "echo", "{}"));
    desktop(&setup).wait_walked(1, PATIENCE);
    let mut login = Login::start(&setup);
    login.wait("already in progress");
    walk(&desktop(&setup).opened()[0], Choice::Deny).expect("the sign-in is there");
    let (code, shown) = login.end();
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.contains("Access was not granted"), "{shown}");
    assert_eq!(tabs(&setup), 1);
}

#[test]
fn a_pasted_address_reaches_the_process_that_waits_for_it() {
    let mut setup = Setup::with_sign_in(Config { consent: Consent::Automatic, ..Config::default() }, Choice::Leave);
    // A browser on another device: it cannot come back.
    let elsewhere = |_: &str, _| Err(std::io::Error::other("no such page"));
    setup.browser = Some(Desktop::with_browser(Choice::Leave, elsewhere).expect("a desktop"));
    let bridge = setup.open();
    bridge.send(&call(1, "echo", "{}"));
    desktop(&setup).wait_opened(1, PATIENCE);
    let mut login = Login::start(&setup);
    login.wait("already in progress");
    let link = desktop(&setup).opened()[0].clone();
    for (line, said) in [("hello", "no sign-in result"), (link.as_str(), "the link to open")] {
        login.say(line);
        login.wait(said);
    }
    let other = format!("http://127.0.0.1:{}/callback?code=x&state=wrong", setup.callback_port);
    login.say(&other);
    login.wait("different sign-in");
    login.say(&location(&link));
    let (code, shown) = login.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(!is_error(&bridge.answer_to(&json!(1))));
    assert_eq!(tabs(&setup), 1);
}

#[test]
fn login_starts_over_when_it_is_told_to_and_a_logout_ends_what_is_under_way() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Leave);
    let bridge = setup.open();
    bridge.send(&call(1, "echo", "{}"));
    desktop(&setup).wait_walked(1, PATIENCE);
    let first = setup.record().expect("it is under way");
    let mut command = setup.command();
    let mut login = Login::of(command.args(["login", "--no-browser", "--restart"]));
    login.wait("Waiting up to");
    let second = setup.record().expect("it is under way");
    assert_ne!(first["link"], second["link"]);
    let logout = setup.command().arg("logout").output().expect("it starts");
    assert!(logout.status.success());
    let (code, shown) = login.end();
    assert_eq!(code, Some(3), "{shown}");
    assert!(shown.contains("was cancelled"), "{shown}");
    assert!(is_error(&bridge.answer_to(&json!(1))));
}

#[test]
fn two_profiles_that_share_a_port_sign_in_one_after_the_other() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let profile = |name: &str| {
        let mut command = setup.command();
        command.args(["--profile", name]);
        let bridge = Bridge::start(command);
        bridge.open();
        bridge
    };
    let (first, second) = (profile("one"), profile("two"));
    let gate = Gate::new();
    setup.sandbox.fault(Fault::held(&gate).at(Place::Token));
    first.send(&call(1, "echo", "{}"));
    assert!(gate.wait_arrivals(1, PATIENCE), "the first is in the middle of it");
    let asked = setup.sandbox.counters().statuses["metadata 200"];
    second.send(&call(1, "echo", "{}"));
    setup.sandbox.wait_until(|c| c.statuses["metadata 200"] > asked, PATIENCE).expect("the second has begun");
    assert_eq!(tabs(&setup), 1);
    gate.open();
    for bridge in [&first, &second] {
        let answer = bridge.answer_to(&json!(1));
        assert!(!is_error(&answer), "{answer}; {}", bridge.stderr());
    }
    assert_eq!((tabs(&setup), setup.sandbox.counters().code_exchanges), (2, 2));
}

#[test]
fn what_waited_while_somebody_signed_in_anew_is_not_sent_in_another_name() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut command = setup.command();
    command.args(["--max-in-flight", "1"]);
    let bridge = Bridge::start(command);
    bridge.open();
    bridge.call(1, "echo", "{}");
    bridge.send(&call(2, "slow", r#"{"HOLD":true}"#));
    setup.sandbox.wait_until(|c| c.method("tools/call") == 2, PATIENCE).expect("it is at the server");
    bridge.send(&call(3, "echo", "{}"));
    // Times are told in seconds.
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let came = now();
    wait_for("a later second", || (now() > came).then_some(()));
    let output = setup.command().arg("login").stdin(Stdio::null()).output().expect("it starts");
    assert!(output.status.success());
    // What needs no place at the server makes the bridge look into the store, at most once a second.
    let noticed = || bridge.stderr().matches(": signed in").count() == 2;
    wait_for("the new sign-in is noticed", || {
        bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
        setup.sandbox.wait_until(|_| noticed(), Duration::from_millis(200)).ok()
    });
    setup.sandbox.release_slow();
    let answer: Value = serde_json::from_str(&bridge.answer_to(&json!(3))).expect("JSON");
    assert!(answer.to_string().contains("signed in again"), "{answer}");
    assert_eq!(setup.sandbox.counters().tool("echo"), 1);
    assert!(!is_error(&bridge.call(4, "echo", "{}").to_string()));
    let counters = setup.sandbox.counters();
    assert_eq!((counters.sessions_created, counters.consents_granted), (2, 2));
}

/// Where an authorization server that asks nobody sends the browser.
fn location(link: &str) -> String {
    let link = url::Url::parse(link).expect("a link");
    let (host, port) = (link.host_str().expect("a host"), link.port().expect("a port"));
    let mut stream = std::net::TcpStream::connect((host, port)).expect("it listens");
    let (path, query) = (link.path(), link.query().unwrap_or_default());
    write!(stream, "GET {path}?{query} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let line = answer.lines().find_map(|line| line.strip_prefix("location: ")).expect("a redirect");
    line.to_owned()
}

/// `planhat-mcp login --no-browser`, with somebody at it who types.
struct Login {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    shown: String,
}

impl Login {
    fn start(setup: &Setup) -> Self {
        Self::of(setup.command().args(["login", "--no-browser"]))
    }

    fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, output, shown: String::new() }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{line}").expect("it reads");
    }

    /// Reads on until it has shown this.
    fn wait(&mut self, text: &str) {
        while !self.shown.split_whitespace().collect::<Vec<_>>().join(" ").contains(text) {
            let read = self.output.read_line(&mut self.shown).expect("UTF-8");
            assert!(read > 0, "{text:?} is not in {}", self.shown);
        }
    }

    /// Its exit code, and all that it has shown.
    fn end(mut self) -> (Option<i32>, String) {
        drop(self.child.stdin.take());
        self.output.read_to_string(&mut self.shown).expect("UTF-8");
        let mut errors = self.child.stderr.take().expect("piped");
        errors.read_to_string(&mut self.shown).expect("UTF-8");
        (self.child.wait().expect("it ends").code(), self.shown)
    }
}
