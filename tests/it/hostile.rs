//! What a hostile MCP server may try with the bearer, with memory, and with the terminal of whoever reads along.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Stdio;
use std::sync::mpsc::channel;

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Place, RawReply, gzip_bomb};
use serde_json::Value;

use crate::support::{Bridge, Setup};

#[test]
fn the_bearer_is_not_carried_to_where_a_server_redirects() {
    let setup = Setup::with_token(Config::default());
    let elsewhere = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let place = format!("http://{}/v1/mcp", elsewhere.local_addr().expect("bound"));
    let bridge = setup.open();
    for (id, status) in [301, 302, 303, 307, 308].into_iter().enumerate() {
        setup.sandbox.fault(Fault::status(status).header("location", &place).method("vendor/x"));
        let answer = bridge.ask(&format!(r#"{{"jsonrpc":"2.0","id":{},"method":"vendor/x"}}"#, id + 1));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let problem = answer["error"]["data"]["problem"].as_str().expect("a name");
        // 303 asks to GET something else, which is no way to an answer at all.
        assert_eq!(problem, if status == 303 { "http-status" } else { "redirect-elsewhere" }, "{answer}");
    }
    // Nobody has ever connected there.
    elsewhere.set_nonblocking(true).expect("a socket");
    assert!(elsewhere.accept().is_err());
}

#[test]
fn an_answer_that_unpacks_to_a_hundred_megabytes_is_refused_at_the_bound_of_a_message() {
    let setup = Setup::with_token(Config::default());
    let json = gzip_bomb(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, 100);
    let events = gzip_bomb(": a comment without end", 100);
    let reply = |status, media, body: &[u8]| {
        RawReply::status(status).header("content-type", media).header("content-encoding", "gzip").bytes(body)
    };
    for (name, reply) in [
        ("vendor/json", reply(200, "application/json", &json)),
        ("vendor/events", reply(200, "text/event-stream", &events)),
        ("vendor/refusal", reply(500, "application/json", &json)),
        ("vendor/page", reply(400, "text/html", &json)),
    ] {
        setup.sandbox.on_method(name, reply);
        let mut command = setup.command();
        command.args(["--max-message-bytes", "1000000"]);
        let bridge = Bridge::start(command);
        bridge.open();
        let answer = bridge.ask(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{name}"}}"#));
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer["error"].is_object(), "{name}: {answer}");
        if name != "vendor/refusal" && name != "vendor/page" {
            assert_eq!(answer["error"]["data"]["problem"], "answer-too-large", "{name}: {answer}");
        }
        if cfg!(target_os = "linux") {
            let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.pid())).expect("Linux");
            let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
            let peak: u64 = peak.expect("a number of kB");
            assert!(peak < 80_000, "{name}: {peak} kB");
        }
    }
}

#[test]
fn what_a_server_says_cannot_drive_a_terminal() {
    // Clears the screen, sets the title, reverses the direction of text, rings.
    let escapes = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}txt\u{9b}31m";
    let said = serde_json::json!({ "error": escapes, "error_description": escapes });
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    setup.sandbox.fault(Fault::bytes("application/json", said.to_string()).at(Place::Token).always());
    let mut command = setup.command();
    command.args(["login", "--log-level", "trace"]).stdin(Stdio::null());
    let output = command.output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(3));
    for bytes in [&output.stdout, &output.stderr] {
        let shown = String::from_utf8(bytes.clone()).expect("output is UTF-8");
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n' || c == '\u{202e}'), "{shown:?}");
    }
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(shown.contains("owned"), "the words themselves are told: {shown}");

    // The same in what the bridge logs and answers.
    let setup = Setup::with_token(Config::default());
    let body = serde_json::json!({ "message": escapes }).to_string();
    setup.sandbox.fault(Fault::status(400).body(body).method("vendor/x"));
    let mut command = setup.command();
    command.args(["--log-level", "trace"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let answer = bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/x"}"#);
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    let told = answer["error"]["message"].as_str().expect("a text");
    assert!(told.contains("owned") && !told.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{told:?}");
    assert!(!bridge.stderr().contains(['\u{1b}', '\u{202e}', '\u{7}']), "{:?}", bridge.stderr());
}

#[test]
#[cfg_attr(any(windows, target_os = "macos"), ignore = "the system has its keychain always")]
fn a_keychain_that_is_missing_is_never_replaced_by_a_file() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut command = setup.command();
    command.args(["login", "--token-store", "keychain"]).stdin(Stdio::null());
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/no-bus", setup.home.path().display()));
    let output = command.output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    let files = crate::canary::files_below(setup.home.path());
    assert!(files.iter().all(|file| !file.ends_with("tokens.json")), "{files:?}");
    assert!(setup.browser.as_ref().expect("it has one").opened().is_empty());
}

#[test]
fn whoever_holds_the_callback_port_is_named() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, setup.callback_port)).expect("it was free a moment ago");
    let mut command = setup.command();
    command.arg("login").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let (sender, text) = channel();
    let mut errors = child.stderr.take().expect("piped");
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = errors.read_to_string(&mut text);
        let _ = sender.send(text);
    });
    let shown = text.recv_timeout(crate::support::PATIENCE).expect("it ends");
    child.wait().expect("it was started here");
    drop(holder);
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains(&format!("The port for the sign-in, {},", setup.callback_port)), "{shown}");
    if cfg!(target_os = "linux") {
        assert!(shown.contains(&format!("(process {})", std::process::id())), "{shown}");
    }
}
