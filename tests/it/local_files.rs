//! What other users and full disks may do with this program's files: nothing hangs, nothing is written through a link, and
//! every failure is told.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;

use planhat_sandbox::Config;
use planhat_sandbox::browser::Choice;

use crate::support::{Bridge, PATIENCE, STATIC_TOKEN, Setup, bare};

/// What a command says; fails the test when the command does not end.
fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary starts");
    let (sender, ended) = channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    ended.recv_timeout(PATIENCE).expect("it waits for no file").expect("it was started here")
}

fn words(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo starts").success());
}

fn signed_in() -> Setup {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let mut command = setup.command();
    command.arg("login");
    let output = output(command);
    assert!(output.status.success(), "{}", words(&output));
    setup
}

#[cfg(target_os = "linux")]
fn state_files(setup: &Setup) -> Vec<std::path::PathBuf> {
    let folder = crate::support::state_folder(setup.home.path());
    let found = fs::read_dir(&folder).expect("the state folder").map(|entry| entry.expect("readable").path());
    let found: Vec<_> = found.filter(|path| path.is_file()).collect();
    assert!(found.len() > 5, "{found:?}");
    found
}

#[cfg(target_os = "linux")]
#[test]
fn no_state_file_that_is_a_pipe_or_a_link_hangs_a_command_or_is_written_through() {
    let setup = signed_in();
    let victim = setup.home.path().join("victim");
    for file in state_files(&setup) {
        let kept = fs::read(&file).expect("our own file");
        for plant in
            [make_pipe as fn(&Path), |path| symlink(path.with_file_name("../../../victim"), path).expect("a link")]
        {
            fs::remove_file(&file).expect("our own file");
            plant(&file);
            for word in ["status", "doctor"] {
                let mut command = setup.command();
                command.arg(word);
                assert_ne!(words(&output(command)), "", "{word} with {}", file.display());
            }
            let bridge = setup.bridge();
            assert!(bridge.ask(crate::support::INITIALIZE).contains("serverInfo"), "{}", file.display());
            bridge.finish();
            assert!(!victim.exists(), "{} leads elsewhere, and that was created", file.display());
            fs::remove_file(&file).expect("our own file");
            fs::write(&file, &kept).expect("our own file");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("our own file");
        }
    }
}

#[test]
fn a_file_that_the_settings_name_and_that_is_a_pipe_is_told_and_not_waited_for() {
    let setup = Setup::with_token(Config::default());
    let (pipe, link) = (setup.home.path().join("pipe"), setup.home.path().join("link"));
    make_pipe(&pipe);
    symlink("nowhere", &link).expect("a link");
    for (flag, file, command, said) in [
        ("--config", &pipe, "config", "a pipe"),
        ("--log-file", &pipe, "status", "a pipe"),
        ("--log-file", &link, "status", "a link"),
        ("--client-secret-file", &pipe, "status", "a pipe"),
    ] {
        let mut run = bare(setup.home.path());
        run.args(["--url", "https://mcp.example.com/mcp", "--client-id", "pk_1", flag]).arg(file).arg(command);
        let output = output(run);
        assert_eq!(output.status.code(), Some(2), "{flag}: {}", words(&output));
        assert!(words(&output).contains(said), "{flag}: {}", words(&output));
    }
    assert!(!setup.home.path().join("nowhere").exists(), "nothing is created through a link");
}

#[test]
fn a_secret_s_file_that_others_can_read_is_told_by_a_warning_and_by_doctor() {
    let setup = Setup::with_token(Config::default());
    let file = setup.home.path().join("secret");
    fs::write(&file, "s3cr3t-canary").expect("writable");
    for (mode, is_told) in [(0o666, true), (0o600, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("ours");
        for word in ["status", "doctor"] {
            let mut command = setup.command();
            command.args(["--client-id", "pk_1", "--client-secret-file"]).arg(&file).arg(word);
            let shown = words(&output(command));
            assert_eq!(shown.contains("(its mode is 0666)"), is_told, "{word} {mode:o}: {shown}");
            assert_eq!(shown.contains("chmod 600"), is_told, "{word} {mode:o}: {shown}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_of_the_bridge_leaves_no_core_anywhere() {
    let setup = Setup::with_token(Config::default());
    let bridge = Bridge::start(in_shell("ulimit -S -c \"$(ulimit -H -c)\"", &setup.command()));
    bridge.open();
    let limits = fs::read_to_string(format!("/proc/{}/limits", bridge.pid())).expect("Linux");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit of Linux");
    let soft = core.split_whitespace().nth(4).and_then(|soft| soft.parse::<u64>().ok());
    // 1 also stops a core that is piped to a collector; where the system permits none at all, it stays at 0.
    assert!(soft.is_some_and(|soft| soft <= 1), "{core}");
}

/// The same command, whose files may not grow.
fn without_room(command: &Command) -> Command {
    in_shell("ulimit -f 0", command)
}

/// The same command after `before` in a shell.
fn in_shell(before: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]).arg(command.get_program()).args(command.get_args());
    shell.env_clear().current_dir(command.get_current_dir().expect("set"));
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

#[test]
fn a_token_that_finds_no_room_on_the_disk_is_an_error_with_the_system_s_words() {
    let setup = Setup::with_token(Config::default());
    let mut command = bare(setup.home.path());
    command.args(["--url", &setup.sandbox.mcp_url(), "--token-store", "file", "login", "--token-from-stdin"]);
    let mut command = without_room(&command);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    child.stdin.take().expect("piped").write_all(STATIC_TOKEN.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(5), "{}", words(&output));
    assert!(words(&output).contains("File too large"), "{}", words(&output));
}

#[test]
fn a_renewed_token_that_finds_no_room_on_the_disk_is_used_from_memory_and_a_log_without_room_is_told() {
    let setup = signed_in();
    let mut command = setup.command();
    command.args(["--log-file", "log.txt"]);
    let bridge = Bridge::start(without_room(&command));
    bridge.open();
    bridge.wait_stderr("the log file cannot be written: File too large");
    setup.sandbox.expire_access_tokens();
    for id in 1..=3 {
        assert!(bridge.call(id, "echo", "{}")["result"]["isError"] != true, "{}", bridge.stderr());
    }
    bridge.wait_stderr("a renewed token could not be saved yet");
    assert_eq!(setup.sandbox.counters().refreshes, 1, "the token in memory is not lost");
    let (_, status) = bridge.finish();
    assert!(status.success(), "{status}");
}
