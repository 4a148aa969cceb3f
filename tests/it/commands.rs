//! The commands as somebody types them: what goes to which stream, and the exit codes.

use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::support::bare;

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn run(home: &TempDir, words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = bare(home.path());
    command.args(words).envs(variables.iter().copied()).stdin(Stdio::null());
    command.output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

/// Runs what must be refused: nothing on stdout, exit code 2, and the explanation.
fn refusal(home: &TempDir, words: &[&str], variables: &[(&str, &str)]) -> String {
    let output = run(home, words, variables);
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{shown}");
    assert_eq!(text(&output.stdout), "", "stdout belongs to MCP messages");
    assert!(!shown.contains('\u{1b}'), "no colors where no terminal is: {shown:?}");
    shown
}

#[test]
fn help_and_version_go_to_stdout() {
    let home = home();
    let output = run(&home, &["--help"], &[]);
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(text(&output.stdout).contains("Where to start:"));
    let output = run(&home, &["-V"], &[]);
    assert_eq!(text(&output.stdout), concat!("planhat-mcp ", env!("CARGO_PKG_VERSION"), "\n"));
    let output = run(&home, &["--version"], &[]);
    let version = text(&output.stdout);
    assert!(version.starts_with(concat!("planhat-mcp ", env!("CARGO_PKG_VERSION"), " (")), "{version}");
    assert!(version.contains("commit") || version.contains("development build, "), "what it is built from: {version}");
}

#[test]
fn man_pages_and_completions_are_made_whatever_the_settings_are() {
    let home = home();
    std::fs::write(home.path().join("mine.toml"), "not a setting").expect("writable");
    for words in [["completions", "zsh"], ["completion", "powershell"], ["man", "--out=pages"]] {
        let output = run(&home, &[&words[..], &["--config", "mine.toml"]].concat(), &[]);
        assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {}", text(&output.stderr));
    }
    assert!(home.path().join("pages/planhat-mcp-login.1").exists());
    let shown = run(&home, &["man", "--out", "mine.toml/pages"], &[]);
    assert_eq!(shown.status.code(), Some(5), "{}", text(&shown.stderr));
    assert!(text(&shown.stderr).contains("mine.toml/pages"), "{}", text(&shown.stderr));
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_flags_and_their_values() {
    let home = home();
    let script = home.path().join("completions.bash");
    std::fs::write(&script, run(&home, &["completions", "bash"], &[]).stdout).expect("writable");
    let completed = |words: &[&str]| {
        let line = format!(
            "source '{}'; COMP_WORDS=(planhat-mcp {}); COMP_CWORD={}; _planhat__mcp planhat-mcp '{}'; echo \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.join(" "),
            words.len(),
            words.last().expect("a word")
        );
        let output = std::process::Command::new("bash").args(["--norc", "-c", &line]).output().expect("bash is there");
        text(&output.stdout).trim().to_owned()
    };
    assert_eq!(completed(&["logo"]), "logout");
    assert_eq!(completed(&["doctor", "--rep"]), "--report");
    assert_eq!(completed(&["completions", "el"]), "elvish");
    assert_eq!(completed(&["install", "curs"]), "cursor");
    assert_eq!(completed(&["--passw"]), "", "what is refused is not offered");
}

#[test]
fn an_unknown_flag_is_named_with_the_one_that_was_meant() {
    let shown = refusal(&home(), &["--tennant", "demo"], &[]);
    assert!(shown.contains("--tennant") && shown.contains("--tenant"), "{shown}");
}

#[test]
fn a_broken_configuration_file_is_named_with_line_and_expectation() {
    let home = home();
    let file = home.path().join("mine.toml");
    std::fs::write(&file, "tenant = \"demo\"\nclient_id pk_1\n").expect("writable");
    let shown = refusal(&home, &["--config", "mine.toml"], &[]);
    assert!(shown.contains("mine.toml, line 2, column 11") && shown.contains("expected: `=`"), "{shown}");
}

#[test]
fn plain_http_to_another_machine_is_refused() {
    let shown = refusal(&home(), &["--url", "http://mcp.example.com/mcp"], &[]);
    assert!(shown.contains("http://mcp.example.com/mcp") && shown.contains("https"), "{shown}");
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    for words in [["--client-secret", "canary-1"], ["--client-secret=canary-1", "login"], ["--token", "canary-1"]] {
        let shown = refusal(&home(), &words, &[]);
        assert!(!shown.contains("canary") && shown.contains("PLANHAT_MCP_CLIENT_SECRET"), "{shown}");
    }
}

#[test]
fn config_shows_values_and_origins_and_no_secret() {
    let home = home();
    let folder = home.path().join(if cfg!(windows) { ".planhat-mcp" } else { ".config/planhat-mcp" });
    std::fs::create_dir_all(&folder).expect("writable");
    std::fs::write(folder.join("config.toml"), "callback_port = 7527\n").expect("writable");
    let variables = [
        ("PLANHAT_MCP_CLIENT_ID", "pk_1"),
        ("PLANHAT_MCP_CLIENT_SECRET", "canary-1"),
        ("PLANHAT_MCP_TOKEN", "canary-2"),
    ];
    let output = run(&home, &["config", "--tenant", "demo"], &variables);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let shown = text(&output.stdout) + &text(&output.stderr);
    assert!(!shown.contains("canary"), "{shown}");
    let line = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("tenant").contains("demo") && line("tenant").ends_with("--tenant"), "{shown}");
    assert!(line("client_id").ends_with("PLANHAT_MCP_CLIENT_ID"), "{shown}");
    if cfg!(not(target_os = "macos")) {
        assert!(shown.contains("config.toml:1:17") && shown.contains("http://127.0.0.1:7527/callback"), "{shown}");
    }
}

#[cfg(not(target_os = "macos"))]
#[test]
fn a_damaged_token_file_is_mended_by_the_command_that_the_error_names() {
    let home = home();
    let url = ["--url", "http://127.0.0.1:9/mcp", "--token-store", "file"];
    let state = crate::support::state_folder(home.path());
    std::fs::create_dir_all(&state).expect("writable");
    std::fs::write(state.join("tokens.json"), "{broken").expect("writable");
    #[cfg(unix)]
    for (path, mode) in [(state.clone(), 0o700), (state.join("tokens.json"), 0o600)] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    }
    let output = run(&home, &[&["status"], &url[..]].concat(), &[]);
    let shown = text(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("planhat-mcp logout --url http://127.0.0.1:9/mcp --token-store file"), "{shown}");
    let output = run(&home, &[&["logout"], &url[..]].concat(), &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = run(&home, &[&["status"], &url[..]].concat(), &[]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
}

#[test]
fn status_names_the_store_and_who_chose_it() {
    let home = home();
    std::fs::write(home.path().join("c.toml"), "token_store = \"file\"\n").expect("writable");
    for (words, variables, place, why) in [
        (&["--token-store", "file"][..], &[][..], "tokens.json", ", set by --token-store"),
        (&[], &[("PLANHAT_MCP_TOKEN_STORE", "file")], "tokens.json", ", set by PLANHAT_MCP_TOKEN_STORE"),
        (&["--config", "c.toml"], &[], "tokens.json", "c.toml:1:15"),
        (&["--token-store", "memory"], &[], "in memory", ", set by --token-store"),
        (
            &["--client-credentials", "--client-id", "x"],
            &[("PLANHAT_MCP_CLIENT_SECRET", "s")],
            "in memory",
            ", the default with --client-credentials",
        ),
    ] {
        let output = run(&home, &[&["status", "--url", "http://127.0.0.1:9/mcp"], words].concat(), variables);
        let shown = text(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(place) && shown.contains(why), "{words:?} {variables:?}: {shown}");
    }
}

#[test]
fn the_name_of_a_tenant_counts_however_it_is_written() {
    let output = run(&home(), &["config"], &[("PLANHAT_MCP_TENANT", "Demo")]);
    assert!(output.status.success() && text(&output.stdout).contains("planhatdemo"), "{}", text(&output.stderr));
}

/// Clients are killed, and another process may hold the pipe: then stdin never ends.
#[cfg(unix)]
#[test]
fn the_bridge_ends_when_the_process_that_started_it_is_killed() {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::Command;
    use std::sync::mpsc::channel;

    use crate::support::PATIENCE;

    let home = home();
    let mut client = Command::new("sh");
    client.args(["-c", "exec 3<&0; \"$0\" --url http://127.0.0.1:9/mcp <&3 & wait"]);
    client.arg(env!("CARGO_BIN_EXE_planhat-mcp")).env("HOME", home.path());
    let mut client =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a shell is there");
    let mut input = client.stdin.take().expect("piped");
    let mut output = BufReader::new(client.stdout.take().expect("piped"));
    // Bad input is answered at once and by the bridge itself: it runs.
    input.write_all(b"not json\n").expect("the bridge reads");
    let mut line = String::new();
    output.read_line(&mut line).expect("the bridge answers");
    assert!(line.contains("-32700"), "{line}");

    client.kill().expect("still there");
    client.wait().expect("started here");
    let (ended, end) = channel();
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = output.read_to_end(&mut rest);
        let _ = ended.send(());
    });
    assert!(end.recv_timeout(PATIENCE).is_ok(), "the bridge is an orphan");
    drop(input);
}

#[test]
fn update_says_how_this_copy_was_installed_whatever_the_settings_are() {
    let home = home();
    let output = run(&home, &["upgrade", "--config", "absent.toml"], &[]);
    let shown = text(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
    assert!(shown.contains("built here") && shown.contains("\n  git pull && cargo build --release\n"), "{shown}");
}

#[test]
fn a_secret_in_a_wrong_place_of_the_command_line_is_not_repeated_to_the_log_of_a_client() {
    let home = home();
    for words in [&["sk_canary"][..], &["login", "sk_canary"], &["setup", "--into", "sk_canary"], &["--sk_canary"]] {
        let shown = refusal(&home, words, &[]);
        assert!(!shown.contains("canary") && shown.contains("sk_..."), "{words:?}: {shown}");
    }
}
