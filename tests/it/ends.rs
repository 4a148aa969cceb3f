//! The several ways to end, and that nothing stays behind.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use planhat_sandbox::{Config, Gate, RawReply};

use crate::support::{Bridge, INITIALIZE, INITIALIZED, PATIENCE, Setup};

#[test]
#[cfg_attr(
    any(windows, target_os = "macos"),
    ignore = "the system tells nobody that the reader of a pipe has gone; the next write finds out"
)]
fn a_client_that_closes_stdout_ends_the_bridge_and_its_session() {
    let setup = Setup::with_token(Config::default());
    let mut child =
        setup.command().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    writeln!(input, "{INITIALIZE}").expect("it reads");
    output.read_line(&mut String::new()).expect("it answers");
    writeln!(input, "{INITIALIZED}").expect("it reads");
    setup.sandbox.wait_until(|c| c.streams_open == 1, PATIENCE).expect("the session is open");
    // Nothing is written any more, and stdin stays open.
    drop(output);
    let start = Instant::now();
    child.wait().expect("it ends");
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    setup.sandbox.wait_until(|c| c.sessions_deleted == 1, PATIENCE).expect("the session is ended");
}

// Windows has no signals; how the end of a console reaches the program is `tests/interop/windows.py`'s.
#[cfg(unix)]
#[test]
fn a_second_signal_ends_it_at_once_although_the_server_takes_its_time() {
    let setup = Setup::with_token(Config::default());
    let gate = Gate::new();
    let log = setup.home.path().join("log.txt");
    let mut command = setup.command();
    command.args(["--log-level", "debug", "--log-file"]).arg(&log);
    let mut bridge = Bridge::start(command);
    bridge.open();
    bridge.call(1, "echo", "{}");
    setup.sandbox.fault(planhat_sandbox::Fault::held(&gate).http("DELETE"));
    let pid = rustix::process::Pid::from_raw(bridge.pid() as i32).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    assert!(gate.wait_arrivals(1, PATIENCE), "it says goodbye");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    bridge.wait_end();
    let log = std::fs::read_to_string(log).expect("a log");
    assert!(log.contains("ending") && !log.contains("took too long"), "it has waited for the server: {log}");
    gate.open();
}

#[test]
fn a_server_that_takes_too_long_to_say_goodbye_is_not_waited_for() {
    let setup = Setup::with_token(Config::default());
    let gate = Gate::new();
    let bridge = setup.open();
    bridge.call(1, "echo", "{}");
    setup.sandbox.fault(planhat_sandbox::Fault::held(&gate).http("DELETE"));
    let start = Instant::now();
    let (_, status) = bridge.finish();
    assert!(status.success());
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    gate.open();
}

// On Windows no other process holds a client's pipe: handles are inherited one by one.
#[cfg(unix)]
#[test]
fn a_bridge_whose_parent_dies_while_the_pipe_is_held_does_not_stay() {
    use std::io::Read;
    use std::process::Command;

    let setup = Setup::with_token(Config::default());
    for keep in [false, true] {
        let ours = setup.command();
        let words: Vec<String> = std::iter::once(ours.get_program())
            .chain(ours.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        let keep_flag = if keep { "--keep-without-parent" } else { "" };
        // The shell starts the bridge as its child, tells its id, and waits; the test holds the pipes.
        let script = format!("exec 3<&0; {} {keep_flag} <&3 & echo $! >&2; wait", words.join(" "));
        let (reader, mut input) = std::io::pipe().expect("a pipe");
        let mut shell = Command::new("/bin/sh")
            .env_clear()
            .envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .args(["-c", &script])
            .stdin(reader)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sh is there");
        let mut errors = BufReader::new(shell.stderr.take().expect("piped"));
        let mut line = String::new();
        errors.read_line(&mut line).expect("the shell tells the id");
        let bridge = rustix::process::Pid::from_raw(line.trim().parse().expect("a number")).expect("a process id");
        let mut output = shell.stdout.take().expect("piped");
        writeln!(input, "{INITIALIZE}").expect("it reads");
        let mut first = [0; 16];
        output.read_exact(&mut first).expect("it answers");
        shell.kill().expect("it runs");
        shell.wait().expect("it ends");
        if keep {
            writeln!(input, r#"{{"jsonrpc":"2.0","id":1,"method":"ping"}}"#).expect("it still reads");
            let mut rest = BufReader::new(output);
            let mut answer = String::new();
            while !answer.contains(r#""id":1"#) {
                answer.clear();
                assert!(rest.read_line(&mut answer).expect("UTF-8") > 0, "(expired)");
            }
            rustix::process::kill_process(bridge, rustix::process::Signal::TERM).expect("it runs");
        } else {
            let start = Instant::now();
            // Its end closes the pipe.
            output.read_to_end(&mut Vec::new()).expect("readable");
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        }
    }
}

#[test]
fn a_sign_in_that_nobody_makes_does_not_hold_up_the_end_of_input() {
    let setup = Setup::with_sign_in(Config::default(), planhat_sandbox::browser::Choice::Leave);
    let mut command = setup.command();
    command.args(["--token-store", "memory"]).env_remove("PLANHAT_MCP_TOKEN_STORE");
    let bridge = Bridge::start(command);
    bridge.open();
    bridge.send(&crate::support::call(1, "echo", "{}"));
    setup.sandbox.wait_until(|c| c.authorize_hits == 1, PATIENCE).expect("the page is opened");
    let start = Instant::now();
    let (lines, status) = bridge.finish();
    assert!(status.success());
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(lines.iter().any(|line| line.contains(r#""id":1"#)), "{lines:?}");
}

#[test]
fn pending_calls_are_answered_after_the_end_of_input() {
    let setup = Setup::with_token(Config::default());
    let gate = Gate::new();
    let held = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/held", held.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{"late":true}}"#));
    let bridge = setup.open();
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/held"}"#);
    assert!(gate.wait_arrivals(1, PATIENCE));
    bridge.close();
    gate.open();
    let (lines, status) = bridge.finish();
    assert!(lines.iter().any(|line| line.contains("late")), "{lines:?}");
    assert!(status.success());
}
