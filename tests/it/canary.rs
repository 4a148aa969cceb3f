//! No secret in a log, in argv or in a file other than the store: everything that the tenant ever gave out is looked for
//! everywhere.

use std::path::{Path, PathBuf};

use planhat_sandbox::Config;
use planhat_sandbox::browser::Choice;

use crate::support::{Bridge, Setup};

#[test]
fn no_secret_is_in_stderr_argv_or_any_file_but_the_store() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let log = setup.home.path().join("log.txt");
    let mut command = setup.command();
    command.args(["--log-level", "trace", "--log-file"]).arg(&log);
    let bridge = Bridge::start(command);
    bridge.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", bridge.pid())).expect("Linux");
    setup.sandbox.expire_access_tokens();
    assert!(bridge.call(2, "echo", "{}")["result"].is_object());
    setup.sandbox.fault(planhat_sandbox::Fault::status(500).tool("echo"));
    bridge.call(3, "echo", "{}");
    let stderr = bridge.stderr();
    let (lines, _) = bridge.finish();
    assert!(stderr.contains("tools/list"), "the log is at its most detailed: {stderr}");

    let secrets = setup.sandbox.secrets();
    assert!(secrets.len() >= 6, "client secret, code, verifier, two access and two refresh tokens: {}", secrets.len());
    let found = |text: &str| secrets.iter().filter(|secret| text.contains(secret.as_str())).count();
    assert_eq!(found(&stderr), 0, "{stderr}");
    assert_eq!(found(&lines.join("\n")), 0);
    assert_eq!(found(&String::from_utf8_lossy(&arguments)), 0);
    let mut stores = 0;
    for file in files_below(setup.home.path()) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap_or_default()).into_owned();
        if file.file_name().is_some_and(|name| name == "tokens.json") {
            stores += 1;
            assert!(found(&text) > 0, "the search finds what is there");
            continue;
        }
        // What the browser was told to open and showed is the browser's.
        if !file.starts_with(setup.home.path().join("browser")) {
            assert_eq!(found(&text), 0, "{}: {text}", file.display());
        }
    }
    assert_eq!(stores, 1);
}

/// Every regular file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(&path)),
            Ok(kind) if kind.is_file() => files.push(path),
            _ => {}
        }
    }
    files
}
