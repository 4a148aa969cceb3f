//! A 403 that wants a wider scope: the user is asked, and the request goes through.

use std::path::{Path, PathBuf};

use planhat_mcp::store::ProcessLock;
use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Permission};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, Setup, bare, call};

/// Refuses the next call of `echo` for want of a scope.
fn too_narrow() -> Fault {
    let challenge = r#"Bearer error="insufficient_scope", scope="inclusive""#;
    Fault::status(403).header("www-authenticate", challenge).tool("echo")
}

/// A bridge that has signed in for what the server asks by itself: with no scope configured, another one can be added.
fn signed_in(setup: &Setup) -> Bridge {
    let mut command = bare(setup.home.path());
    command.args(["--url", &setup.sandbox.mcp_url(), "--client-id", planhat_sandbox::CLIENT_ID]);
    command.args([
        "--callback-port",
        &setup.callback_port.to_string(),
        "--token-store",
        "file",
        "--log-level",
        "debug",
    ]);
    command.env("PLANHAT_MCP_CLIENT_SECRET", planhat_sandbox::CLIENT_SECRET);
    command.env("BROWSER", setup.browser.as_ref().expect("it has one").command());
    let bridge = Bridge::start(command);
    bridge.open();
    assert!(bridge.call(1, "echo", "{}")["result"].is_object(), "{}", bridge.stderr());
    bridge
}

fn setup() -> Setup {
    let mut config = Config::default();
    config.user.permissions = Permission::all();
    Setup::with_sign_in(config, Choice::Allow)
}

#[test]
fn a_wider_scope_is_asked_for_once_and_the_call_goes_through() {
    let setup = setup();
    let bridge = signed_in(&setup);
    setup.sandbox.fault(too_narrow());
    let answer = bridge.call(2, "echo", r#"{"x":1}"#);
    assert!(answer["result"]["isError"] != true && answer["result"].is_object(), "{answer}");
    assert_eq!(setup.sandbox.counters().consents_granted, 2);
}

/// The process of the sign-in before holds its lock until the browser has its last page.
#[test]
fn a_wider_scope_is_asked_for_also_while_the_last_sign_in_is_on_its_way_out() {
    let setup = setup();
    let bridge = signed_in(&setup);
    let lock = ended_sign_in(&setup);
    setup.sandbox.fault(too_narrow());
    bridge.send(&call(2, "echo", r#"{"x":1}"#));
    bridge.wait_stderr("a sign-in is under way already");
    drop(lock);
    let answer: Value = serde_json::from_str(&bridge.answer_to(&json!(2))).expect("JSON");
    assert!(answer["result"]["isError"] != true && answer["result"].is_object(), "{answer}");
    assert_eq!(setup.sandbox.counters().consents_granted, 2);
}

/// The lock of the sign-in that brought the token, held as its process does until it has ended.
fn ended_sign_in(setup: &Setup) -> ProcessLock {
    let found = find(setup.home.path(), ".login.lock").expect("somebody has signed in");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(ProcessLock::acquire(&found, "a test", PATIENCE)).expect("its process ends")
}

fn find(folder: &Path, end: &str) -> Option<PathBuf> {
    std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find_map(|path| match path.is_dir() {
        true => find(&path, end),
        false => path.to_string_lossy().ends_with(end).then_some(path),
    })
}
