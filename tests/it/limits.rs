//! Rate limits, many and large messages, and a client that does not read.

use std::time::{Duration, Instant};

use planhat_mcp::limits::{MAX_ANSWER_STREAMS, MESSAGE_ACCEPTANCE_WAIT};
use planhat_sandbox::{Config, Fault, Gate, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, Setup, call};

#[test]
fn a_429_that_one_process_meets_holds_the_others_of_the_profile_back() {
    let setup = Setup::with_token(Config::default());
    let (first, second) = (setup.open(), setup.open());
    second.call(1, "echo", "{}");
    setup.sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(2)).tool("echo"));
    first.send(&call(1, "echo", "{}"));
    setup.sandbox.wait_until(|c| c.mcp_status(429) == 1, PATIENCE).expect("throttled");
    // The file is not looked at for every single call; one of the next is held back until the time is over.
    let held_back = (2..).take(1_000).any(|id| {
        let start = Instant::now();
        second.call(id, "echo", "{}");
        start.elapsed() >= Duration::from_millis(1_000)
    });
    assert!(held_back);
    first.answer_to(&json!(1));
    assert_eq!(setup.sandbox.counters().mcp_status(429), 1);
}

#[test]
fn a_wait_that_does_not_fit_is_answered_at_once_with_the_seconds() {
    let setup = Setup::with_token(Config::default());
    let mut command = setup.command();
    command.args(["--idle-timeout", "5"]);
    let bridge = Bridge::start(command);
    bridge.open();
    setup.sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(86_400)).method("vendor/x"));
    let answer: Value =
        serde_json::from_str(&bridge.ask(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/x"}"#)).expect("JSON");
    let seconds = answer["error"]["data"]["retry_after_seconds"].as_u64().expect("a number");
    assert_eq!(seconds, 86_400, "{answer}");
    // A day is no reason to keep the gate closed for a day; meanwhile a ping is answered here.
    assert!(bridge.ask(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).contains("result"));
}

#[test]
fn a_waiting_call_tells_its_progress_token_and_stays_below_the_servers_own() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    setup.sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(1)).tool("slow"));
    bridge.send(
        r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"slow","arguments":{"STEPS":3},"_meta":{"progressToken":"\u0070"}}}"#,
    );
    let mut seen = Vec::new();
    loop {
        let line: Value = serde_json::from_str(&bridge.next_line()).expect("JSON");
        if line["id"] == 5 {
            break;
        }
        if line["method"] == "notifications/progress" {
            assert_eq!(line["params"]["progressToken"], "p");
            seen.push(line["params"]["progress"].as_f64().expect("a number"));
        }
    }
    assert!(seen.len() >= 4 && seen[0] < 0.001, "ours first: {seen:?}");
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
}

#[test]
fn no_more_calls_are_at_the_server_than_it_takes_and_the_others_go_in_order() {
    let setup = Setup::with_token(Config::default());
    let gate = Gate::new();
    let held = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/held", held.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    let mut command = setup.command();
    command.args(["--max-in-flight", "1"]);
    let bridge = Bridge::start(command);
    bridge.open();
    for id in 1..=6 {
        bridge.send(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/held"}}"#));
    }
    assert!(gate.wait_arrivals(1, PATIENCE));
    // A notification that was written after them shows that the others had their chance.
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/vendor"}"#);
    setup
        .sandbox
        .wait_request(|r| r.method().as_deref() == Some("notifications/vendor"), PATIENCE)
        .expect("notifications pass");
    assert_eq!(setup.sandbox.counters().method("vendor/held"), 1);
    gate.open();
    for id in 1..=6 {
        bridge.answer_to(&json!(id));
    }
    let ids: Vec<_> = setup
        .sandbox
        .requests()
        .iter()
        .filter(|r| r.method().as_deref() == Some("vendor/held"))
        .filter_map(|r| r.id())
        .collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_call_that_waits_for_its_turn_tells_its_progress_token() {
    let setup = Setup::with_token(Config::default());
    let gate = Gate::new();
    let held = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/held", held.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    let mut command = setup.command();
    command.args(["--max-in-flight", "1"]);
    let bridge = Bridge::start(command);
    bridge.open();
    bridge.send(r#"{"jsonrpc":"2.0","id":1,"method":"vendor/held"}"#);
    assert!(gate.wait_arrivals(1, PATIENCE));
    bridge.send(r#"{"jsonrpc":"2.0","id":2,"method":"vendor/held","params":{"_meta":{"progressToken":"t"}}}"#);
    let told = bridge.wait_line("its progress", |line| line.contains("notifications/progress"));
    assert!(told.contains(r#""progressToken":"t""#) && told.contains("Waiting: "), "{told}");
    gate.open();
    for id in 1..=2 {
        bridge.answer_to(&json!(id));
    }
}

#[test]
fn a_thousand_calls_in_flight_get_a_thousand_answers() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    let all: String = (1..=1_000).map(|id| call(id, "echo", &format!(r#"{{"n":{id}}}"#)) + "\n").collect();
    bridge.send_bytes(all.as_bytes());
    let mut left: std::collections::HashSet<u64> = (1..=1_000).collect();
    while !left.is_empty() {
        let line: Value = serde_json::from_str(&bridge.next_line()).expect("JSON");
        if let Some(id) = line["id"].as_u64() {
            assert!(left.remove(&id), "a second answer to {id}");
            assert!(
                line["result"].to_string().contains(&format!(r#"\"n\":{id}"#)) || line["result"].is_object(),
                "{line}"
            );
        }
    }
    assert_eq!(setup.sandbox.counters().tool("echo"), 1_000);
}

#[test]
fn a_client_that_floods_a_slow_server_with_requests_reads_that_the_bridge_is_busy() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    let gate = Gate::new();
    setup.sandbox.fault(Fault::held(&gate).method("vendor/held").always());
    let request = |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/held"}}"#) + "\n";
    bridge.send_bytes((1..=2_003).map(request).collect::<String>().as_bytes());
    for id in 2_001..=2_003 {
        let answer: Value = serde_json::from_str(&bridge.next_line()).expect("JSON");
        assert_eq!((&answer["id"], &answer["error"]["data"]["problem"]), (&json!(id), &json!("too-many-in-flight")));
    }
    // The end of an earlier request makes room.
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2000}}"#);
    bridge.send_bytes((2_004..=2_005).map(request).collect::<String>().as_bytes());
    let answer: Value = serde_json::from_str(&bridge.next_line()).expect("JSON");
    assert_eq!(answer["id"], 2_005, "{answer}");
}

#[test]
fn a_server_that_answers_a_notification_with_a_stream_that_stays_open_holds_nothing_up() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    let (method, gate) = ("notifications/roots/list_changed", Gate::new());
    let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}"#;
    setup.sandbox.on_method(method, RawReply::sse().event(note).wait(&gate));
    bridge.send(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#));
    assert_eq!(bridge.next_line(), note);
    bridge.send(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#));
    // Half the time for which such a stream is read.
    let soon = Duration::from_secs(15);
    setup.sandbox.wait_until(|c| c.method(method) == 2, soon).expect("the next notification does not wait");
    gate.open();
}

#[test]
fn a_notification_that_the_server_does_not_take_does_not_hold_up_the_end() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    let (method, gate) = ("notifications/roots/list_changed", Gate::new());
    setup.sandbox.fault(Fault::held(&gate).method(method));
    // The second waits for the first to be taken.
    for _ in 0..2 {
        bridge.send(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#));
    }
    assert!(gate.wait_arrivals(1, PATIENCE));
    let start = Instant::now();
    assert!(bridge.finish().1.success());
    assert!(start.elapsed() < MESSAGE_ACCEPTANCE_WAIT / 2, "{:?}", start.elapsed());
    gate.open();
}

#[test]
fn ever_more_streams_in_answer_to_notifications_are_read_up_to_a_bound() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    let (method, gates) = ("notifications/roots/list_changed", [Gate::new(), Gate::new()]);
    let note = |data: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{data}"}}}}"#)
    };
    let stream = |gate: &Gate, data: &str| RawReply::sse().event(&note("open")).wait(gate).event(&note(data));
    setup.sandbox.on_method(method, stream(&gates[1], "later"));
    setup.sandbox.on_method(method, stream(&gates[0], "oldest").once());
    // One more than are read at once, and one more after which that one has been seen to.
    for _ in 0..MAX_ANSWER_STREAMS + 2 {
        bridge.send(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#));
        assert_eq!(bridge.next_line(), note("open"));
    }
    gates.iter().for_each(Gate::open);
    for _ in 0..MAX_ANSWER_STREAMS - 1 {
        assert_eq!(bridge.next_line(), note("later"));
    }
    let rest = bridge.finish();
    assert!(!format!("{rest:?}").contains("oldest"), "{rest:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_does_not_read_costs_bounded_memory_and_its_cancellations_are_heard() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;

    use crate::support::{INITIALIZE, INITIALIZED};

    let setup = Setup::with_token(Config::default());
    let mut child = setup
        .command()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut input = child.stdin.take().expect("piped");
    let mut output = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    writeln!(input, "{INITIALIZE}").expect("it reads");
    output.read_line(&mut line).expect("it answers");
    writeln!(input, "{INITIALIZED}").expect("it reads");
    // A hundred results of a megabyte each, and nobody reads.
    for id in 1..=100 {
        writeln!(input, "{}", call(id, "blob", r#"{"BYTES":1000000}"#)).expect("it reads on");
    }
    setup.sandbox.wait_until(|c| c.tool("blob") >= 12, PATIENCE).expect("calls are carried");
    let gate = Gate::new();
    setup.sandbox.on_method("vendor/held", RawReply::status(200).wait(&gate));
    writeln!(input, r#"{{"jsonrpc":"2.0","id":"h","method":"vendor/held"}}"#).expect("it reads on");
    assert!(gate.wait_arrivals(1, PATIENCE), "a new call still goes out");
    writeln!(input, r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":"h"}}}}"#)
        .expect("it reads on");
    setup
        .sandbox
        .wait_request(|r| r.method().as_deref() == Some("notifications/cancelled"), PATIENCE)
        .expect("the cancellation is heard");
    gate.open();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("Linux");
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    let peak = peak.expect("a number of kB");
    assert!(peak < 300_000, "{peak} kB");
    // Then it reads, and everything is there.
    drop(input);
    let mut answers = 0;
    loop {
        line.clear();
        if output.read_line(&mut line).expect("UTF-8") == 0 {
            break;
        }
        let message: Value = serde_json::from_str(&line).expect("whole lines alone");
        answers += usize::from(message["id"].is_u64() && message["id"] != 0);
    }
    assert_eq!(answers, 100);
    assert!(child.wait().expect("it ends").success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_message_costs_less_than_two_and_a_half_times_its_size() {
    let setup = Setup::with_token(Config { max_body: 128 << 20, ..Config::default() });
    setup.sandbox.on_method("vendor/large", RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    let bridge = setup.open();
    let size = 24 << 20;
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.pid())).expect("Linux");
        let kb =
            status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<usize>().ok());
        kb.expect("a number of kB") * 1024
    };
    let before = peak();
    bridge.send_bytes(
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"vendor/large","params":"{}"}}"#, "x".repeat(size)).as_bytes(),
    );
    bridge.send_bytes(b"\n");
    bridge.answer_to(&json!(1));
    let used = peak() - before;
    assert!(used < size * 5 / 2, "{used} bytes for {size} on the way out");
    let body = format!(r#"{{"jsonrpc":"2.0","id":{{id}},"result":"{}"}}"#, "x".repeat(size));
    setup.sandbox.on_method("vendor/back", RawReply::json(body));
    let peak = |bridge: &Bridge| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", bridge.pid())).expect("Linux");
        let kb =
            status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<usize>().ok());
        kb.expect("a number of kB") * 1024
    };
    let event = format!(r#"{{"jsonrpc":"2.0","id":{{id}},"result":"{}"}}"#, "x".repeat(size));
    setup.sandbox.on_method("vendor/stream", RawReply::sse().event(&event));
    for method in ["vendor/back", "vendor/stream"] {
        let other = setup.open();
        let before = peak(&other);
        assert_eq!(other.ask(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#)).len(), size + 36);
        let used = peak(&other) - before;
        assert!(used < size * 5 / 2, "{used} bytes for {size} on the way back, {method}");
    }
}

/// Beyond what some systems let a program open at first.
#[cfg(unix)]
#[test]
fn a_thousand_calls_are_at_the_server_at_once_although_the_bridge_was_started_with_few_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let own = getrlimit(Resource::Nofile);
    // The other ends of the connections are in this process.
    setrlimit(Resource::Nofile, Rlimit { current: own.maximum, maximum: own.maximum }).expect("up to the maximum");
    let setup = Setup::with_token(Config { record: false, ..Config::default() });
    let gate = Gate::new();
    let held = RawReply::status(200).header("content-type", "application/json").wait(&gate);
    setup.sandbox.on_method("vendor/held", held.bytes(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#));
    let bridge = setup.command();
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", "ulimit -Sn 256; exec \"$0\" \"$@\""]).arg(bridge.get_program()).args(bridge.get_args());
    command.env_clear().envs(bridge.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let bridge = Bridge::start(command);
    bridge.open();
    let all: String =
        (1..=1_000).map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"vendor/held"}}"#) + "\n").collect();
    bridge.send_bytes(all.as_bytes());
    assert!(gate.wait_arrivals(1_000, PATIENCE), "{} of them: {}", gate.arrivals(), bridge.stderr());
    gate.open();
    for id in 1..=1_000 {
        bridge.answer_to(&json!(id));
    }
}
