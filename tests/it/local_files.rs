//! What other users and full disks may do with this program's files: nothing hangs, nothing is written through a link, and
//! every failure is told.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;

use planhat_sandbox::Config;
use planhat_sandbox::browser::Choice;

use crate::support::{INITIALIZE, PATIENCE, Setup, bare};

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

fn state_files(setup: &Setup) -> Vec<PathBuf> {
    let folder = setup.home.path().join(".local/state/planhat-mcp");
    let found = fs::read_dir(&folder).expect("the state folder").map(|entry| entry.expect("readable").path());
    let found: Vec<PathBuf> = found.filter(|path| path.is_file()).collect();
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
            assert!(bridge.ask(INITIALIZE).contains("serverInfo"), "{}", file.display());
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
