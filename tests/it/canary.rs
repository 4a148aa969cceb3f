//! No secret in a log, in argv or in a file other than the store: everything that the tenant ever gave out is looked for
//! everywhere.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Place};

use crate::support::{Bridge, INITIALIZE, STATIC_TOKEN, Setup, bare};

#[test]
fn no_secret_is_in_stderr_argv_or_any_file_but_the_store() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let log = setup.home.path().join("log.txt");
    let mut command = setup.command();
    command.args(["--log-level", "trace", "--log-file"]).arg(&log);
    let bridge = Bridge::start(command);
    bridge.open();
    bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    // Only Linux shows them here; they are the same everywhere.
    let arguments = std::fs::read(format!("/proc/{}/cmdline", bridge.pid())).unwrap_or_default();
    assert!(cfg!(not(target_os = "linux")) || !arguments.is_empty());
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

#[test]
fn no_secret_that_a_server_quotes_is_shown_logged_or_kept() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let home = setup.home.path();
    let log = home.join("log.txt");
    let command = || {
        let mut command = setup.command();
        command.args(["--log-level", "trace", "--log-file"]).arg(&log);
        command
    };
    let run = |words: &[&str]| {
        let output = command().args(words).stdin(Stdio::null()).output().expect("the binary starts");
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    };
    let quoting = |status: u16, body: &str| Fault::status(status).body(body).quoting();
    let no_token = r#"{"error":"invalid_request","error_description":"Sent: {sent}"}"#;
    let mut shown = String::new();

    // The code, the verifier and the client secret.
    setup.sandbox.fault(quoting(400, no_token).at(Place::Token));
    shown += &run(&["login"]);
    let record = files_below(home).into_iter().find(|file| file.to_string_lossy().ends_with(".sign-in.json"));
    let record = std::fs::read_to_string(record.expect("why it failed is told to others")).expect("readable");
    assert!(record.contains("Sent: ") && record.contains("[redacted]"), "{record}");
    assert!(shown.contains("[redacted]"), "{shown}");
    run(&["login"]);

    // The access token: in a body, in headers, in a challenge.
    let bridge = Bridge::start(command());
    bridge.open();
    let said = r#"{"message":"Invalid access token: {sent}"}"#;
    setup.sandbox.fault(quoting(500, said).tool("echo"));
    setup.sandbox.fault(quoting(400, "Sent: {sent}").header("content-type", "text/plain; sent={sent}").tool("echo"));
    setup.sandbox.fault(quoting(400, said).method("resources/list"));
    let challenge = "Bearer error=\"insufficient_scope\", scope=\"{sent}\", error_description=\"{sent}\"";
    setup.sandbox.fault(quoting(403, said).header("www-authenticate", challenge).tool("echo").skip(2));
    for id in 2..4 {
        let result = bridge.call(id, "echo", "{}").to_string();
        assert!(result.contains("[redacted]"), "{result}");
    }
    bridge.ask(r#"{"jsonrpc":"2.0","id":5,"method":"resources/list"}"#);
    bridge.call(6, "echo", "{}");

    // The refresh token; a refusal that is about it would begin another sign-in.
    let client = r#"{"error":"invalid_client","error_description":"Sent: {sent}"}"#;
    setup.sandbox.fault(quoting(401, client).at(Place::Token).always());
    setup.sandbox.expire_access_tokens();
    let result = bridge.ask(r#"{"jsonrpc":"2.0","id":7,"method":"resources/list"}"#).to_string();
    assert!(result.contains("[redacted]"), "{result}");
    shown += &bridge.stderr();
    shown += &bridge.finish().0.join("\n");

    // And all of it in the report.
    let answer = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"Invalid access token: {sent}"}}"#;
    let answer = Fault::bytes("application/json", answer).quoting();
    for (name, fault) in [("answer.txt", answer), ("refusal.txt", quoting(500, said).always())] {
        setup.sandbox.fault(fault);
        shown += &run(&["doctor", "--report", home.join(name).to_str().expect("UTF-8")]);
        let report = std::fs::read_to_string(home.join(name)).expect("the report is there");
        assert!(report.contains("Invalid access token: Bearer [redacted]"), "{report}");
    }

    let mut secrets = setup.sandbox.secrets();
    for request in setup.sandbox.requests().iter().filter(|request| request.place == Place::Token) {
        let fields = request.fields();
        for name in ["code", "code_verifier", "refresh_token", "client_secret"] {
            secrets.extend(fields.get(name).cloned());
        }
        secrets.extend(request.header("authorization").and_then(|value| value.split(' ').nth(1)).map(str::to_owned));
    }
    let found = |text: &str| secrets.iter().find(|secret| text.contains(secret.as_str())).cloned();
    assert_eq!(found(&shown), None, "{shown}");
    for file in files_below(home) {
        let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap_or_default()).into_owned();
        let is_store = file.file_name().is_some_and(|name| name == "tokens.json");
        if !is_store && !file.starts_with(home.join("browser")) {
            assert_eq!(found(&text), None, "{}: {text}", file.display());
        }
    }
}

#[test]
fn a_refused_initialize_that_quotes_the_token_tells_nobody() {
    let setup = Setup::with_token(Config::default());
    let log = setup.home.path().join("log.txt");
    let mut command = setup.command();
    command.args(["--log-level", "debug", "--log-file"]).arg(&log);
    let bridge = Bridge::start(command);
    bridge.open();
    let refusal = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"Rejected: {sent}"}}"#;
    setup.sandbox.fault(Fault::bytes("application/json", refusal).quoting().method("initialize").always());
    setup.sandbox.lose_sessions();
    let answer = bridge.ask(r#"{"jsonrpc":"2.0","id":2,"method":"prompts/get","params":{"name":"x"}}"#);
    assert!(answer.contains("revision-refused") && answer.contains("Rejected: Bearer [redacted]"), "{answer}");
    let shown = bridge.stderr() + &bridge.finish().0.join("\n") + &std::fs::read_to_string(&log).expect("readable");
    assert!(!shown.contains(STATIC_TOKEN), "{shown}");
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

/// Services document addresses with a key in them.
#[test]
fn a_key_in_the_configured_address_goes_to_the_server_and_is_shown_by_nothing() {
    let setup = Setup::with_token(Config::default());
    let url = format!("{}?exaApiKey=canary-key-123456&canary-key-7890", setup.sandbox.mcp_url());
    let command = |words: &[&str]| {
        let mut command = bare(setup.home.path());
        command.args(["--url", &url]).args(words).env("PLANHAT_MCP_TOKEN_STORE", "file");
        command.env("PLANHAT_MCP_TOKEN", STATIC_TOKEN).env("PLANHAT_MCP_LOG_LEVEL", "trace");
        command
    };
    let run = |words: &[&str]| {
        let output = command(words).stdin(Stdio::null()).output().expect("the binary starts");
        for bytes in [&output.stdout, &output.stderr] {
            let shown = String::from_utf8_lossy(bytes);
            assert!(!shown.contains("canary-key"), "{words:?}: {shown}");
        }
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for words in [
        &["status"][..],
        &["status", "--json"],
        &["config"],
        &["doctor"],
        &["doctor", "--json"],
        &["doctor", "--report", "-"],
        &["login"],
        &["logout"],
    ] {
        run(words);
    }
    assert!(run(&["config"]).contains("exaApiKey=[redacted]"));
    let sent = setup.sandbox.requests();
    assert!(sent.iter().any(|request| request.target.contains("canary-key-123456")), "{sent:#?}");
    setup.sandbox.fault(Fault::status(404).body(format!("nothing at {url}")).always());
    let bridge = Bridge::start(command(&[]));
    let answer = bridge.ask(INITIALIZE);
    assert!(answer.contains("[redacted]") && !answer.contains("canary-key"), "{answer}");
    assert!(!bridge.stderr().contains("canary-key"), "{}", bridge.stderr());
}
