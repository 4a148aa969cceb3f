//! The start, which waits for nobody: signed out, with the server away or slow, and from memory.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Gate, Place, RawReply};
use serde_json::Value;

use crate::canary::files_below;
use crate::support::{Bridge, INITIALIZE, INITIALIZED, PATIENCE, Setup, bare};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
/// The bridge waits 5 s for the server to answer `initialize`; an answer within this time, also on a busy machine, did not
/// wait for it.
const WITHOUT_WAIT: Duration = Duration::from_secs(4);
/// An answer within this time waited for the server once.
const AFTER_WAIT: Duration = Duration::from_secs(9);
/// Members of a list that no encoder would write like this.
const TOOLS: &str = r#" {"name":"echo","n":1.50,"inputSchema":{"type":"object"}} ,{"name":"odd","big":12345678901234567890123,"\u0069nputSchema":{ }}"#;
const CHANGED: &str = "notifications/tools/list_changed";

fn parse(line: &str) -> Value {
    serde_json::from_str(line).expect("every line of stdout is JSON")
}

fn list(tools: &str, more: &str) -> RawReply {
    RawReply::json(format!(r#"{{"jsonrpc":"2.0","id":{{id}},"result":{{"tools":[{tools}]{more}}}}}"#))
}

/// A tenant with the odd list, at which somebody has signed in and listed the tools.
fn known(tools: &str) -> Setup {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    setup.sandbox.on_method("tools/list", list(tools, ""));
    let bridge = setup.open();
    assert!(bridge.ask(LIST).contains("odd"), "{}", bridge.stderr());
    bridge.finish();
    setup
}

fn tokens(home: &Path) -> std::path::PathBuf {
    files_below(home).into_iter().find(|file| file.ends_with("tokens.json")).expect("somebody is signed in")
}

/// How long this takes, without the start of the process.
fn timed(bridge: &Bridge, line: &str) -> (Value, Duration) {
    bridge.ask(r#"{"jsonrpc":"2.0","id":"alive","method":"ping"}"#);
    let start = Instant::now();
    (parse(&bridge.ask(line)), start.elapsed())
}

/// Planhat, behind a proxy that takes connections and says nothing.
fn silent_planhat(home: &Path) -> (TcpListener, Command) {
    let proxy = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let mut command = bare(home);
    command.args(["--client-id", "pk_1", "--token-store", "file", "--proxy"]);
    command.arg(format!("http://{}", proxy.local_addr().expect("bound")));
    (proxy, command)
}

#[test]
#[cfg_attr(any(windows, target_os = "macos"), ignore = "the system has a display always")]
fn where_a_sign_in_is_known_to_be_due_nothing_waits_for_a_server_that_is_silent() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (_proxy, command) = silent_planhat(home.path());
    let bridge = Bridge::start(command);
    let (hello, took) = timed(&bridge, INITIALIZE);
    assert!(took < WITHOUT_WAIT, "{took:?}");
    assert_eq!(hello["result"]["serverInfo"]["name"], "planhat-mcp");
    bridge.send(INITIALIZED);
    let start = Instant::now();
    let tools = bridge.ask(LIST);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(tools.contains("planhat_sign_in") && tools.contains("Sign in to Planhat"), "{tools}");
}

#[test]
fn a_profile_that_was_signed_in_is_not_kept_waiting_either_and_has_its_memory() {
    let setup = known(TOOLS);
    std::fs::remove_file(tokens(setup.home.path())).expect("removable");
    let gate = Gate::new();
    setup.sandbox.fault(Fault::held(&gate).before_auth().always());
    let bridge = setup.bridge();
    let (hello, took) = timed(&bridge, INITIALIZE);
    assert!(took < WITHOUT_WAIT, "{took:?}");
    assert_eq!(hello["result"]["serverInfo"]["name"], "planhat-sandbox", "{hello}");
    bridge.send(INITIALIZED);
    let start = Instant::now();
    assert!(bridge.ask(LIST).contains(TOOLS));
    assert!(start.elapsed() < WITHOUT_WAIT, "{:?}", start.elapsed());
    gate.open();
}

#[test]
fn while_signed_out_the_remembered_tools_are_listed_to_the_byte_and_their_calls_sign_in() {
    let setup = known(TOOLS);
    setup.sandbox.revoke_grants();
    let bridge = setup.bridge();
    let hello = bridge.open();
    assert_eq!(hello["result"]["serverInfo"]["name"], "planhat-sandbox", "{hello}");
    let browser = setup.browser.as_ref().expect("it has one");
    let tools = bridge.ask(LIST);
    let start = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{TOOLS},{{"#);
    assert!(tools.starts_with(&start) && tools.contains("planhat_sign_in"), "{tools}");
    assert_eq!(browser.opened().len(), 1, "a list that is remembered is no reason to sign in");
    assert_eq!(bridge.call(2, "echo", r#"{"a":1}"#)["result"]["content"][0]["text"], r#"{"a":1}"#);
    assert_eq!(browser.opened().len(), 2);
    bridge.wait_line("the sign-in tool is gone", |line| line.contains(CHANGED));
    let (_, status) = bridge.finish();
    assert!(status.success());
}

#[test]
fn a_sign_in_in_the_middle_of_a_session_announces_the_real_tools_unasked() {
    let setup = known(TOOLS);
    let bridge = setup.open();
    assert!(!bridge.ask(LIST).contains("planhat_sign_in"));
    setup.sandbox.revoke_grants();
    assert!(bridge.ask(&LIST.replace(":1,", ":2,")).contains("planhat_sign_in"));
    assert!(bridge.call(3, "planhat_sign_in", "{}")["result"]["isError"] != true);
    bridge.wait_line("the sign-in tool is gone", |line| line.contains(CHANGED));
}

#[test]
fn another_revision_of_the_same_era_has_the_list_but_not_the_greeting() {
    let setup = known(TOOLS);
    setup.sandbox.revoke_grants();
    let bridge = setup.bridge();
    let hello = parse(&bridge.ask(&INITIALIZE.replace("2025-11-25", "2025-06-18")));
    assert_eq!(hello["result"]["serverInfo"]["name"], "planhat-mcp", "{hello}");
    assert_eq!(hello["result"]["protocolVersion"], "2025-06-18");
    bridge.send(INITIALIZED);
    assert!(bridge.ask(LIST).contains(TOOLS));
}

#[test]
fn with_the_server_away_everything_comes_from_memory_and_a_list_that_is_still_true_is_not_announced() {
    let setup = known(TOOLS);
    setup.sandbox.go_offline();
    let bridge = setup.bridge();
    let (hello, took) = timed(&bridge, INITIALIZE);
    assert!(took < AFTER_WAIT, "{took:?}");
    assert_eq!(hello["result"]["serverInfo"]["name"], "planhat-sandbox", "{hello}");
    bridge.send(INITIALIZED);
    let start = Instant::now();
    let tools = bridge.ask(LIST);
    assert!(start.elapsed() < AFTER_WAIT, "{:?}", start.elapsed());
    assert_eq!(tools, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{TOOLS}]}}}}"#));
    setup.sandbox.come_back().expect("its ports are free");
    let listed = setup.sandbox.counters().method("tools/list");
    assert!(bridge.call(2, "echo", "{}")["result"].is_object());
    // It is looked at once more, privately, and found to be the same.
    setup.sandbox.wait_until(|c| c.method("tools/list") == listed + 1, PATIENCE).expect("the list is compared");
    assert!(bridge.call(3, "echo", "{}")["result"].is_object());
    let (lines, _) = bridge.finish();
    assert!(lines.iter().all(|line| !line.contains("list_changed")), "{lines:?}");
    assert_eq!(setup.sandbox.counters().method("tools/list"), listed + 1);
}

#[test]
fn a_list_from_memory_that_is_no_longer_true_is_announced_once_the_server_is_back() {
    let setup = known(TOOLS);
    setup.sandbox.go_offline();
    let bridge = setup.open();
    assert!(bridge.ask(LIST).contains("odd"));
    setup.sandbox.come_back().expect("its ports are free");
    setup.sandbox.on_method("tools/list", list(r#"{"name":"new","inputSchema":{}}"#, ""));
    assert!(bridge.call(2, "echo", "{}")["result"].is_object());
    bridge.wait_line("it has changed", |line| line.contains(CHANGED));
    let tools = bridge.ask(&LIST.replace(":1,", ":3,"));
    assert!(tools.contains("new") && !tools.contains("odd"), "{tools}");
}

#[test]
fn a_server_that_stalls_delays_a_start_by_five_seconds_at_most() {
    let setup = known(TOOLS);
    let gate = Gate::new();
    setup.sandbox.fault(Fault::held(&gate).before_auth().always());
    let bridge = setup.bridge();
    let (hello, took) = timed(&bridge, INITIALIZE);
    assert!(took < AFTER_WAIT, "{took:?}");
    assert_eq!(hello["result"]["serverInfo"]["name"], "planhat-sandbox", "{hello}");
    bridge.send(INITIALIZED);
    let start = Instant::now();
    assert!(bridge.ask(LIST).contains("odd"));
    assert!(start.elapsed() < WITHOUT_WAIT, "{:?}", start.elapsed());
    gate.open();
}

#[test]
fn the_pages_of_a_list_are_remembered_as_one() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    setup.sandbox.on_method("tools/list", list(r#"{"name":"second","n":2.50}"#, ""));
    setup.sandbox.on_method("tools/list", list(r#"{"name":"first","n":1.0}"#, r#","nextCursor":"two""#).once());
    let bridge = setup.open();
    assert!(bridge.ask(LIST).contains(r#""nextCursor":"two""#), "{}", bridge.stderr());
    bridge.ask(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"cursor":"two"}}"#);
    bridge.finish();
    setup.sandbox.go_offline();
    let tools = setup.open().ask(LIST);
    let whole = r#"{"tools":[{"name":"first","n":1.0},{"name":"second","n":2.50}]}"#;
    assert_eq!(tools, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{whole}}}"#));
}

#[test]
fn signing_out_forgets_what_the_server_said() {
    let setup = known(TOOLS);
    assert!(said_something(&setup));
    let status = setup.command().arg("logout").output().expect("it runs").status;
    assert!(status.success());
    assert!(!said_something(&setup));
    let mut command = setup.command();
    command.env_remove("BROWSER");
    let bridge = Bridge::start(command);
    assert_eq!(bridge.open()["result"]["serverInfo"]["name"], "planhat-mcp");
    let tools = bridge.ask(LIST);
    assert!(tools.contains("planhat_sign_in") && !tools.contains("odd"), "{tools}");
}

#[test]
fn a_new_sign_in_forgets_what_the_server_said_to_whoever_was_signed_in_before() {
    let setup = known(TOOLS);
    setup.sandbox.revoke_grants();
    let bridge = setup.open();
    assert!(bridge.call(2, "planhat_sign_in", "{}")["result"]["isError"] != true);
    bridge.finish();
    assert!(!said_something(&setup));
    setup.sandbox.go_offline();
    let mut command = setup.command();
    command.args(["--connect-wait", "0"]);
    let bridge = Bridge::start(command);
    bridge.open();
    let tools = bridge.ask(LIST);
    assert!(!tools.contains("odd"), "{tools}");
}

/// Whether any file of the state directory holds the list, and that those which do are the user's own.
fn said_something(setup: &Setup) -> bool {
    let files = files_below(setup.home.path());
    let holds = |file: &&std::path::PathBuf| std::fs::read_to_string(file).is_ok_and(|text| text.contains("odd"));
    let holding: Vec<_> = files.iter().filter(holds).collect();
    #[cfg(unix)]
    for file in &holding {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.display());
    }
    !holding.is_empty()
}

#[test]
fn nothing_is_remembered_of_a_token_from_the_environment() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.on_method("tools/list", list(TOOLS, ""));
    let bridge = setup.open();
    assert!(bridge.ask(LIST).contains("odd"));
    bridge.finish();
    assert!(!said_something(&setup));
}

#[test]
fn in_the_stateless_era_remembered_tools_with_invalid_marks_stay_withheld_and_age_at_once() {
    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    let ask = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{{META}}}}}"#);
    let tools = r#"{"name":"sly","inputSchema":{"type":"object","properties":{"a":{"type":"object","x-mcp-header":"A"}}}},{"name":"odd","n":1.50,"inputSchema":{"type":"object"}}"#;
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    setup
        .sandbox
        .on_method("tools/list", list(tools, r#","ttlMs":3600000,"cacheScope":"private","resultType":"complete""#));
    let bridge = setup.bridge();
    assert!(bridge.ask(&ask).contains("odd"), "{}", bridge.stderr());
    bridge.finish();
    setup.sandbox.go_offline();
    let answer = setup.bridge().ask(&ask);
    let rest = r#""ttlMs":0,"cacheScope":"private","resultType":"complete""#;
    let odd = r#"{"name":"odd","n":1.50,"inputSchema":{"type":"object"}}"#;
    assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{odd}],{rest}}}}}"#));
}

#[test]
fn a_client_that_starts_two_and_kills_the_first_notices_nothing() {
    // At the very start, after the greeting, and while the first one's sign-in is under way.
    for lines in [vec![], vec![INITIALIZE], vec![INITIALIZE, INITIALIZED, LIST]] {
        let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
        let (gate, browser) = (Gate::new(), setup.browser.as_ref().expect("it has one"));
        setup.sandbox.fault(Fault::held(&gate).at(Place::Authorize).always());
        let (mut first, second) = (setup.bridge(), setup.bridge());
        lines.iter().for_each(|line| first.send(line));
        if lines.len() == 3 {
            browser.wait_opened(1, PATIENCE);
        }
        first.kill();
        second.open();
        second.send(LIST);
        browser.wait_opened(1, PATIENCE);
        gate.open();
        let tools = second.answer_to(&1.into());
        assert!(tools.contains("list_model_records"), "{tools}; {}", second.stderr());
        assert_eq!(browser.opened().len(), 1, "after {lines:?}");
        assert_eq!(setup.sandbox.counters().consents_granted, 1);
    }
}

#[test]
fn a_first_list_is_held_as_long_as_its_client_is_known_to_wait() {
    let setups = [("it", 8), ("claude-ai", 10)].map(|(name, seconds)| {
        let setup = Setup::with_sign_in(Config::default(), Choice::Leave);
        let mut command = setup.command();
        command.args(["--sign-in-wait", "10"]);
        let bridge = Bridge::start(command);
        bridge.ask(&INITIALIZE.replace(r#""name":"it""#, &format!(r#""name":"{name}""#)));
        bridge.send(INITIALIZED);
        bridge.send(LIST);
        (setup, bridge, Instant::now(), Duration::from_secs(seconds))
    });
    for (setup, bridge, start, held) in &setups {
        assert!(bridge.answer_to(&1.into()).contains("planhat_sign_in"));
        let took = start.elapsed();
        assert!(took >= *held && took < *held + Duration::from_millis(1_900), "{took:?} instead of {held:?}");
        // A client that lists again does not stall again.
        let start = Instant::now();
        assert!(bridge.ask(&LIST.replace(":1,", ":2,")).contains("planhat_sign_in"));
        assert!(start.elapsed() < WITHOUT_WAIT, "{:?}", start.elapsed());
        assert_eq!(setup.browser.as_ref().expect("it has one").opened().len(), 1);
    }
}

#[test]
fn a_first_list_at_a_server_that_is_away_says_why_within_seconds_and_is_announced_later() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.go_offline();
    let bridge = setup.bridge();
    let start = Instant::now();
    assert_eq!(parse(&bridge.ask(INITIALIZE))["result"]["serverInfo"]["name"], "planhat-mcp");
    bridge.send(INITIALIZED);
    let refused = parse(&bridge.ask(LIST));
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(refused["error"]["data"]["problem"], "server-offline", "{refused}");
    assert!(refused.to_string().contains("No connection to"), "{refused}");
    setup.sandbox.come_back().expect("the ports are still free");
    bridge.wait_line("the news", |line| line.contains(CHANGED));
    assert!(bridge.ask(&LIST.replace(":1,", ":2,")).contains("list_model_records"));
}

/// What servers say to a revision that they do not know.
#[test]
fn a_server_that_refuses_the_revision_is_asked_for_older_ones_and_the_client_reads_an_ordinary_answer() {
    let listed = "Bad Request: Unsupported protocol version (supported versions: 2025-03-26, 2024-11-05)";
    let error = |id: &str| format!(r#"{{"jsonrpc":"2.0","error":{{"code":-32000,"message":"{listed}"}},"id":{id}}}"#);
    let answer = RawReply::json(
        r#"{"jsonrpc":"2.0","id":{id},"result":{"protocolVersion":"2025-03-26","capabilities":{"tools":{}},"serverInfo":{"name":"old","version":"1"}}}"#,
    );
    let refusal = |kind: &str, body: &str| RawReply::status(400).header("content-type", kind).bytes(body);
    for (refused, asked) in [
        (refusal("application/json", &error("null")), vec!["2025-11-25", "2025-03-26"]),
        (refusal("application/json", &error("{id}")), vec!["2025-11-25", "2025-03-26"]),
        (refusal("text/plain", listed), vec!["2025-11-25", "2025-03-26"]),
        (RawReply::json(error("{id}")), vec!["2025-11-25", "2025-03-26"]),
        (refusal("text/plain", "Unsupported protocol version"), vec!["2025-11-25", "2025-06-18"]),
    ] {
        let setup = Setup::with_token(Config::default());
        setup.sandbox.on_method("initialize", answer.clone());
        setup.sandbox.on_method("initialize", refused.clone().once());
        setup.sandbox.on_method("notifications/initialized", RawReply::accepted());
        setup.sandbox.on_method("tools/list", list(TOOLS, ""));
        let bridge = setup.bridge();
        let hello = parse(&bridge.ask(INITIALIZE));
        assert_eq!(hello["result"]["protocolVersion"], "2025-03-26", "{refused:?}: {hello}");
        assert_eq!((&hello["id"], &hello["result"]["serverInfo"]["name"]), (&0.into(), &"old".into()), "{hello}");
        bridge.send(INITIALIZED);
        assert!(bridge.ask(LIST).contains("odd"));
        let requests = setup.sandbox.requests();
        let versions: Vec<_> = requests
            .iter()
            .filter(|request| request.method().as_deref() == Some("initialize"))
            .filter_map(|request| request.json()?["params"]["protocolVersion"].as_str().map(str::to_owned))
            .collect();
        assert_eq!(versions, asked, "{refused:?}");
        let later = requests.iter().filter(|request| request.method().as_deref() == Some("tools/list"));
        assert!(later.clone().count() == 1, "{requests:#?}");
        assert!(later.clone().all(|request| request.header("mcp-protocol-version") == Some("2025-03-26")));
    }
}

#[test]
fn a_server_that_refuses_every_revision_is_asked_for_each_once_and_the_words_blame_nobody_wrongly() {
    let setup = Setup::with_token(Config::default());
    let refused = RawReply::status(400).header("content-type", "text/plain").bytes("Unsupported protocol version");
    setup.sandbox.on_method("initialize", refused);
    let bridge = setup.bridge();
    let hello = parse(&bridge.ask(INITIALIZE));
    assert_eq!(hello["error"]["data"]["problem"], "revision-refused", "{hello}");
    assert!(!hello.to_string().contains("arguments"), "{hello}");
    assert_eq!(setup.sandbox.counters().method("initialize"), 4);
}

#[test]
fn a_server_of_the_old_transport_is_named_as_one_where_the_user_has_excluded_that() {
    let endpoint = "event: endpoint\ndata: /messages?sessionId=1\n\n";
    let refusal = |status: u16| RawReply::status(status).header("content-type", "text/plain").bytes("no");
    for (post, get) in [(refusal(404), true), (refusal(405), true), (RawReply::sse().bytes(endpoint), false)] {
        let setup = Setup::with_token(Config::default());
        let held = Gate::new();
        if get {
            setup.sandbox.on_stream(RawReply::sse().bytes(endpoint).wait(&held));
        }
        let post = if get { post } else { post.wait(&held) };
        setup.sandbox.on_method("initialize", post.clone());
        let mut command = setup.command();
        command.args(["--transport", "http"]);
        let bridge = Bridge::start(command);
        let (hello, took) = timed(&bridge, INITIALIZE);
        assert_eq!(hello["error"]["data"]["problem"], "old-transport", "{post:?}: {hello}");
        assert!(took < WITHOUT_WAIT, "{took:?}");
    }
}
