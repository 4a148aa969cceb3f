//! `install` and `uninstall` as somebody types them, under a home of their own. Only clients whose files lie in the home
//! itself: where a system has its folder of settings is tested with the table of clients.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::bare;

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, text).expect("writable");
    }

    fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path(name)).ok()
    }

    /// Without any program that this machine may have.
    fn command(&self, words: &[&str]) -> std::process::Command {
        let mut command = bare(self.0.path());
        command.args(words).env("PATH", self.path("bin")).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Run {
        Run::of(self.command(words).output().expect("the binary starts"))
    }

    /// Runs what must succeed.
    fn done(&self, words: &[&str]) -> String {
        let run = self.run(words);
        assert_eq!(run.code, Some(0), "{words:?}: {}{}", run.out, run.err);
        run.out
    }

    fn entry(&self, file: &str, list: &str, name: &str) -> Value {
        let text = self.text(file).unwrap_or_else(|| panic!("{file} is there"));
        let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        value[list][name].clone()
    }
}

struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("output is UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

const CURSOR: &str = ".cursor/mcp.json";
/// With a comment, a secret of somebody else, and letters that are no ASCII.
const OTHERS: &str = "{\n  // mine: ö\n  \"mcpServers\": {\n    \"github\": {\n      \"command\": \"npx\",\n      \"env\": { \"GITHUB_TOKEN\": \"canary-token\" }\n    }\n  }\n}\n";

#[test]
fn what_install_writes_starts_this_very_program_with_what_was_given() {
    let home = Home::new();
    let out = home.done(&["install", "cursor", "--tenant", "demo", "--client-id", "pk_1", "--yes"]);
    let entry = home.entry(CURSOR, "mcpServers", "planhat-demo");
    assert_eq!(entry["args"], json!(["--tenant", "demo", "--client-id", "pk_1"]));
    let command = PathBuf::from(entry["command"].as_str().expect("a text"));
    assert!(command.is_absolute());
    let version = std::process::Command::new(&command).arg("-V").output().expect("it starts");
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("planhat-mcp "));
    assert!(out.contains("+") && out.contains("Written.") && out.contains("Next:"), "{out}");
    home.done(&["install", "cursor", "--name", "mine", "--yes"]);
    assert_eq!(home.entry(CURSOR, "mcpServers", "mine"), json!({ "command": entry["command"] }), "nothing was given");
}

#[test]
fn nothing_is_written_without_consent_and_the_missing_option_is_named() {
    let home = Home::new();
    home.put(CURSOR, OTHERS);
    let run = home.run(&["install", "cursor"]);
    assert_eq!(run.code, Some(2), "{}", run.err);
    assert!(run.err.contains("--yes") && run.err.contains("install-not-confirmed"), "{}", run.err);
    home.done(&["install", "cursor", "--dry-run"]);
    home.done(&["install", "cursor", "--print"]);
    home.done(&["install", "cursor", "--link"]);
    assert_eq!(home.text(CURSOR).as_deref(), Some(OTHERS));
}

#[cfg(unix)]
#[test]
fn at_a_terminal_the_difference_is_shown_and_enter_means_yes() {
    for (typed, is_written) in [("\n", true), ("y\n", true), ("n\n", false)] {
        let home = Home::new();
        home.put(CURSOR, OTHERS);
        let run = Run::of(crate::support::typed_in(home.command(&["install", "cursor"]), typed));
        assert_eq!(home.text(CURSOR).as_deref() != Some(OTHERS), is_written, "{typed:?}: {}{}", run.out, run.err);
        assert!(
            run.out.contains("+     \"planhat\": {") && run.err.contains("Write this? [Y/n]"),
            "{}{}",
            run.out,
            run.err
        );
        assert_eq!(run.code, Some(if is_written { 0 } else { 2 }));
    }
}

#[cfg(unix)]
#[test]
fn at_a_terminal_mcp_remote_makes_room_when_somebody_says_so() {
    let remote =
        r#"{"mcpServers":{"remote":{"command":"npx","args":["mcp-remote","https://api.planhat.com/v1/mcp"]}}}"#;
    for (typed, is_replaced) in [("y\ny\n", true), ("\ny\n", false)] {
        let home = Home::new();
        home.put(CURSOR, remote);
        let run = Run::of(crate::support::typed_in(home.command(&["install", "cursor"]), typed));
        assert_eq!(run.code, Some(0), "{}{}", run.out, run.err);
        assert_eq!(home.entry(CURSOR, "mcpServers", "remote").is_null(), is_replaced, "{typed:?}");
        assert!(home.entry(CURSOR, "mcpServers", "planhat")["command"].is_string());
    }
}

#[test]
fn a_secret_is_neither_written_nor_shown() {
    let home = Home::new();
    home.put(CURSOR, OTHERS);
    let mut command = home.command(&["install", "cursor", "--yes"]);
    command.env("PLANHAT_MCP_CLIENT_SECRET", "canary-secret").env("PLANHAT_MCP_CLIENT_ID", "pk_1");
    let run = Run::of(command.output().expect("it starts"));
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(!run.out.contains("canary") && !run.err.contains("canary"), "{}{}", run.out, run.err);
    let text = home.text(CURSOR).expect("a file");
    assert!(!text.contains("canary-secret") && text.contains("canary-token") && text.contains("\"pk_1\""), "{text}");
    let run = home.run(&["install", "cursor", "https://mcp.example.com/mcp?key=canary", "--yes"]);
    assert_eq!(run.code, Some(2));
    assert!(!run.err.contains("canary") && run.err.contains("secret-for-client-file"), "{}", run.err);
}

#[test]
fn a_second_install_changes_nothing_and_undo_brings_back_every_byte() {
    let home = Home::new();
    home.put(CURSOR, OTHERS);
    home.done(&["install", "cursor", "--yes"]);
    let text = home.text(CURSOR).expect("a file");
    assert!(text.starts_with("{\n  // mine: ö\n"), "{text}");
    let out = home.done(&["install", "cursor", "--yes"]);
    assert!(out.contains("already") && home.text(CURSOR) == Some(text), "{out}");
    home.done(&["install", "cursor", "--undo", "--yes"]);
    assert_eq!(home.text(CURSOR).as_deref(), Some(OTHERS));
    assert!(home.done(&["install", "cursor", "--undo", "--yes"]).contains("nothing to take back"));
    // The same after uninstall, and where somebody has changed the file since.
    home.put(CURSOR, r#"{"mcpServers":{"planhat":{"command":"planhat-mcp"}}}"#);
    home.done(&["uninstall", "cursor", "--yes"]);
    home.put(CURSOR, r#"{"mcpServers":{"b":{}}}"#);
    home.done(&["install", "--undo", "--yes"]);
    assert_eq!(home.entry(CURSOR, "mcpServers", "planhat"), json!({ "command": "planhat-mcp" }));
    assert_eq!(home.entry(CURSOR, "mcpServers", "b"), json!({}));
}

#[test]
fn uninstall_takes_out_what_starts_this_program_whoever_put_it_there() {
    let home = Home::new();
    home.put(
        CURSOR,
        &OTHERS.replace("\"mcpServers\": {\n", "\"mcpServers\": {\n    \"hat\": { \"command\": \"planhat-mcp\" },\n"),
    );
    let out = home.done(&["uninstall", "cursor", "--yes"]);
    assert_eq!(home.text(CURSOR).as_deref(), Some(OTHERS));
    assert!(out.contains("logout") && !out.contains("canary"), "{out}");
    assert!(home.done(&["uninstall", "cursor", "--yes"]).contains("does not start planhat-mcp"));
    // Two lists in one file.
    for whom in ["user", "local"] {
        home.done(&["install", "claude-code", "--for", whom, "--yes"]);
    }
    assert_eq!(home.text(".claude.json").expect("a file").matches("\"planhat\"").count(), 2);
    home.done(&["uninstall", "claude-code", "--yes"]);
    assert!(!home.text(".claude.json").expect("a file").contains("\"planhat\""));
}

#[test]
fn an_old_copy_is_replaced_and_mcp_remote_only_with_consent() {
    let home = Home::new();
    let remote = json!({ "command": "npx", "args": ["mcp-remote", "https://api.planhat.com/v1/mcp"] });
    let old = json!({ "command": "/gone/planhat-mcp", "args": ["--ipv4", "true"], "env": { "A": "b" } });
    home.put(CURSOR, &json!({ "mcpServers": { "planhat": old, "remote": remote } }).to_string());
    let out = home.done(&["install", "cursor", "--yes"]);
    assert!(out.contains("mcp-remote") && out.contains("--replace"), "{out}");
    let entry = home.entry(CURSOR, "mcpServers", "planhat");
    assert_ne!(entry["command"], "/gone/planhat-mcp");
    assert_eq!((&entry["args"], &entry["env"]), (&json!(["--ipv4", "true"]), &json!({ "A": "b" })));
    assert_eq!(home.entry(CURSOR, "mcpServers", "remote"), remote);
    home.done(&["install", "cursor", "--replace", "--yes"]);
    assert_eq!(home.entry(CURSOR, "mcpServers", "remote"), Value::Null);
}

#[test]
fn a_broken_file_is_left_as_it_is_and_named_with_the_place() {
    let home = Home::new();
    home.put(CURSOR, "{\n  \"mcpServers\": {\n    \"canary\" 1\n");
    let run = home.run(&["install", "cursor", "--yes"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("line 3") && run.err.contains("client-file-broken"), "{}", run.err);
    assert!(!run.err.contains("canary"), "{}", run.err);
    // The others are set up all the same.
    let run = home.run(&["install", "cursor", "windsurf", "--yes"]);
    assert_eq!(run.code, Some(2));
    assert!(run.out.contains("Cursor: left as it is") && run.out.contains("line 3"), "{}", run.out);
    assert!(home.entry(".codeium/windsurf/mcp_config.json", "mcpServers", "planhat")["command"].is_string());
}

#[test]
fn a_read_only_file_is_left_alone_with_the_reason() {
    let home = Home::new();
    home.put(CURSOR, "{}\n");
    let set = |is_read_only: bool| {
        let mut permissions = std::fs::metadata(home.path(CURSOR)).expect("there").permissions();
        permissions.set_readonly(is_read_only);
        std::fs::set_permissions(home.path(CURSOR), permissions).expect("ours");
    };
    set(true);
    let run = home.run(&["install", "cursor", "--yes"]);
    assert_eq!((run.code, home.text(CURSOR).as_deref()), (Some(5), Some("{}\n")));
    assert!(run.err.contains("is read-only"), "{}", run.err);
    set(false);
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_the_file_behind_it_is_written() {
    let home = Home::new();
    home.put("dotfiles/cursor.json", "{}\n");
    std::fs::create_dir_all(home.path(".cursor")).expect("writable");
    std::os::unix::fs::symlink("../dotfiles/cursor.json", home.path(CURSOR)).expect("a link");
    let out = home.done(&["install", "cursor", "--yes"]);
    assert!(out.contains("a link to") && out.contains("dotfiles/cursor.json"), "{out}");
    assert!(std::fs::symlink_metadata(home.path(CURSOR)).expect("there").file_type().is_symlink());
    assert!(home.text("dotfiles/cursor.json").is_some_and(|text| text.contains("planhat")));
}

#[test]
fn a_client_gets_its_own_form_and_place() {
    let home = Home::new();
    home.put("project/.git/HEAD", "");
    for (words, file, list) in [
        (&["install", "claude-code"][..], ".claude.json", "mcpServers"),
        (&["install", "vscode", "--for", "workspace"], ".vscode/mcp.json", "servers"),
        (&["install", "zed", "--for", "project"], ".zed/settings.json", "context_servers"),
        (&["install", "lm-studio"], ".lmstudio/mcp.json", "mcpServers"),
        (&["install", "copilot"], ".copilot/mcp-config.json", "mcpServers"),
        (&["install", "junie"], ".junie/mcp/mcp.json", "mcpServers"),
        (&["install", "opencode", "--for", "project"], "opencode.json", "mcp"),
    ] {
        home.done(&[words, &["--yes"]].concat());
        assert!(!home.entry(file, list, "planhat").is_null(), "{words:?}: {:?}", home.text(file));
    }
    home.done(&["install", "codex", "--yes"]);
    assert!(home.text(".codex/config.toml").is_some_and(|text| text.starts_with("[mcp_servers.planhat]\ncommand = ")));
    let run = home.run(&["install", "windsurf", "--for", "project", "--yes"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("--for") && run.err.contains("user"), "{}", run.err);
    let run = home.run(&["install", "curser"]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("'cursor'"), "{}", run.err);
}

#[test]
fn what_is_printed_and_linked_can_be_pasted() {
    let home = Home::new();
    let printed: Value = serde_json::from_str(&home.done(&["install", "--print"])).expect("JSON");
    assert!(printed["mcpServers"]["planhat"]["command"].is_string(), "{printed}");
    let printed = home.done(&["install", "goose", "--print", "--tenant", "demo"]);
    assert!(printed.starts_with("extensions:\n  planhat-demo:\n"), "{printed}");
    for (client, start) in [
        ("cursor", "cursor://anysphere.cursor-deeplink/"),
        ("vscode", "vscode:mcp/"),
        ("lmstudio", "lmstudio://add_mcp?"),
        ("goose", "goose://extension?"),
    ] {
        let link = home.done(&["install", client, "--link"]);
        assert!(link.starts_with(start) && link.trim_end().lines().count() == 1, "{link}");
    }
    let run = home.run(&["install", "zed", "--link"]);
    assert!(run.code == Some(2) && run.err.contains("client-takes-no-link"), "{}", run.err);
    assert!(home.done(&["install", "jetbrains"]).contains("Model Context Protocol"));
    assert!(!home.path(CURSOR).exists());
}

#[test]
fn without_a_client_the_list_says_what_is_here_and_what_to_type() {
    let home = Home::new();
    home.put(CURSOR, "{}");
    home.put(".codex/config.toml", "[mcp_servers.mine]\ncommand = \"planhat-mcp\"\n");
    home.put("mine.toml", "broken settings");
    let out = home.done(&["install", "--config", "mine.toml"]);
    assert!(out.contains("Cursor: not set up") && out.contains("Codex: set up as mine"), "{out}");
    assert!(out.contains("planhat-mcp install cursor"), "{out}");
    assert_eq!(home.text(CURSOR).as_deref(), Some("{}"));
}

#[cfg(unix)]
#[test]
fn every_client_on_this_machine_is_set_up_and_taken_back_at_once() {
    let home = Home::new();
    home.put(CURSOR, OTHERS);
    home.put(".gemini/settings.json", "{}");
    home.done(&["install", "--all", "--yes"]);
    assert!(home.entry(".gemini/settings.json", "mcpServers", "planhat")["command"].is_string());
    assert!(!home.path(".codex").exists(), "it is not on this machine");
    home.done(&["install", "--all", "--undo", "--yes"]);
    assert_eq!(
        (home.text(CURSOR).as_deref(), home.text(".gemini/settings.json").as_deref()),
        (Some(OTHERS), Some("{}"))
    );
    let nobody = Home::new();
    let run = nobody.run(&["install", "--all", "--yes"]);
    assert!(run.code == Some(2) && run.err.contains("no-client-here"), "{}", run.err);
}

/// A program of a client that writes its arguments down, and its file where it is given one.
#[cfg(unix)]
fn program(home: &Home, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    home.put(&format!("bin/{name}"), &format!("#!/bin/sh\necho \"$@\" >> \"$HOME/{name}.log\"\n{script}\n"));
    std::fs::set_permissions(home.path(&format!("bin/{name}")), std::fs::Permissions::from_mode(0o755)).expect("ours");
}

#[cfg(unix)]
#[test]
fn a_client_that_can_do_it_itself_is_asked_first_and_its_failure_is_no_obstacle() {
    let home = Home::new();
    program(&home, "codex", "exit 3");
    let run = home.run(&["install", "codex", "--yes"]);
    assert_eq!(run.code, Some(0), "{}", run.err);
    assert!(run.err.contains("did not do it"), "{}", run.err);
    assert!(home.text("codex.log").is_some_and(|line| line.starts_with("mcp add planhat -- /")));
    assert!(home.text(".codex/config.toml").is_some_and(|text| text.contains("[mcp_servers.planhat]")));
    // One that claims to have done it is not believed.
    program(&home, "claude", "exit 0");
    let run = home.run(&["install", "claude-code", "--yes"]);
    assert!(run.err.contains("not in its file"), "{}", run.err);
    assert!(home.entry(".claude.json", "mcpServers", "planhat")["command"].is_string());
    home.done(&["uninstall", "claude-code", "--yes"]);
    // It writes more than the entry, as the real one does.
    let wrapped = r#"printf '{"userID":"x","mcpServers":{"%s":%s}}' "$5" "$6" > "$HOME/.claude.json""#;
    program(&home, "claude", wrapped);
    let out = home.done(&["install", "claude-code", "--yes"]);
    assert!(out.contains("did it itself"), "{out}");
    assert!(home.entry(".claude.json", "mcpServers", "planhat")["command"].is_string());
    assert_eq!(home.text("claude.log").expect("a log").lines().count(), 2);
    home.done(&["install", "claude-code", "--yes"]);
    assert_eq!(home.text("claude.log").expect("a log").lines().count(), 2, "what is there already needs nobody");
}

#[test]
fn uninstall_works_whatever_the_settings_are() {
    let home = Home::new();
    home.put("mine.toml", "not a setting");
    home.put(CURSOR, r#"{"mcpServers":{"planhat":{"command":"planhat-mcp"}}}"#);
    home.done(&["uninstall", "--config", "mine.toml", "cursor", "--yes"]);
    assert_eq!(home.text(CURSOR).as_deref(), Some(r#"{"mcpServers":{}}"#));
    assert!(Path::new(&home.path(CURSOR)).exists());
}

#[test]
fn that_no_client_starts_the_program_is_said_only_where_all_files_could_be_read() {
    let home = Home::new();
    assert!(home.done(&["uninstall", "--all", "--yes"]).contains("No client starts planhat-mcp."));
    home.put(CURSOR, "{broken planhat-mcp");
    let run = home.run(&["uninstall", "--all", "--yes"]);
    assert!(run.code == Some(2) && !run.out.contains("No client starts"), "{}{}", run.out, run.err);
}
