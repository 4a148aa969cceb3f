//! What one process learns of a server and the next one uses: no question is asked twice, and a server that has changed back is
//! met without loss.

use std::process::{Command, Stdio};

use planhat_sandbox::{AnswerMode, Config, Fault, Gate, Place, RawReply, Recorded};
use serde_json::Value;

use crate::support::{Bridge, STATIC_TOKEN, Setup, bare};

/// A command at this path of the server.
fn command(setup: &Setup, path: &str) -> Command {
    let mut command = bare(setup.home.path());
    command.args(["--url", &format!("{}{path}", setup.sandbox.api_base()), "--token-store", "file"]);
    command.env("PLANHAT_MCP_TOKEN", STATIC_TOKEN);
    command
}

/// The messages and questions of one process that opens a session, calls a tool and ends.
fn run(setup: &Setup, path: &str) -> Vec<Recorded> {
    let before = setup.sandbox.requests().len();
    let bridge = Bridge::start(command(setup, path));
    bridge.open();
    let answer = bridge.call(1, "echo", r#"{"x":1}"#);
    assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer} {}", bridge.stderr());
    assert!(bridge.finish().1.success());
    setup.sandbox.requests().split_off(before)
}

fn remembered(setup: &Setup, path: &str) -> Vec<String> {
    let output = command(setup, path).args(["status", "--json"]).stdin(Stdio::null()).output().expect("it starts");
    let status: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let facts = status["remembered"].as_array().expect("a list");
    facts.iter().map(|fact| format!("{} {}", fact["what"], fact["value"]).replace('"', "")).collect()
}

fn revisions(requests: &[Recorded]) -> Vec<String> {
    let asked = requests.iter().filter(|request| request.method().as_deref() == Some("initialize"));
    let of = |request: &Recorded| {
        request.json().and_then(|json| json["params"]["protocolVersion"].as_str().map(str::to_owned))
    };
    asked.filter_map(of).collect()
}

fn refusal(listed: &str) -> RawReply {
    let words = format!("Bad Request: Unsupported protocol version (supported versions: {listed})");
    RawReply::status(400).header("content-type", "text/plain").bytes(words).once()
}

#[test]
fn the_revision_that_a_server_takes_is_asked_for_by_the_next_process_and_forgotten_when_it_is_refused() {
    let setup = Setup::with_token(Config::default());
    let path = "/v1/mcp";
    setup.sandbox.on_method("initialize", refusal("2025-06-18"));
    assert_eq!(revisions(&run(&setup, path)), ["2025-11-25", "2025-06-18"]);
    assert_eq!(remembered(&setup, path), ["revision 2025-06-18"]);
    assert_eq!(revisions(&run(&setup, path)), ["2025-06-18"]);
    // It has come to speak the newer one alone.
    setup.sandbox.on_method("initialize", refusal("2025-11-25"));
    assert_eq!(revisions(&run(&setup, path)), ["2025-06-18", "2025-11-25"]);
    assert_eq!(remembered(&setup, path), [""; 0]);
    assert_eq!(revisions(&run(&setup, path)), ["2025-11-25"]);
}

#[test]
fn where_a_permanent_redirect_led_is_asked_by_the_next_process_and_the_old_place_when_that_is_gone() {
    let setup = Setup::with_token(Config::default());
    let path = "/old/mcp";
    setup.sandbox.fault(Fault::status(308).header("location", "/v1/mcp").at(Place::Elsewhere).always());
    let at_old = |setup: &Setup| setup.sandbox.requests_at(Place::Elsewhere).len();
    run(&setup, path);
    assert_eq!(at_old(&setup), 1, "the first message alone");
    assert!(remembered(&setup, path)[0].ends_with("/v1/mcp"));
    run(&setup, path);
    assert_eq!(at_old(&setup), 1);
    // The place answers as if it were gone, and was only for a moment; or as gateways answer for any path.
    for (status, at_old_by_now) in [(404, 2), (401, 3)] {
        setup.sandbox.fault(Fault::status(status).method("initialize"));
        let requests = run(&setup, path);
        assert_eq!(revisions(&requests).len(), 2, "{status}: it goes to the old place, and from there again");
        assert_eq!(at_old(&setup), at_old_by_now, "{status}");
        assert!(remembered(&setup, path)[0].ends_with("/v1/mcp"), "{status}");
    }
    run(&setup, "/other/mcp");
    assert_eq!(at_old(&setup), 4, "what is known of one address says nothing of another");
}

#[test]
fn a_404_that_answers_a_call_is_no_sign_that_its_place_is_gone() {
    let setup = Setup::with_token(Config::default());
    let path = "/old/mcp";
    setup.sandbox.fault(Fault::status(308).header("location", "/v1/mcp").at(Place::Elsewhere).always());
    run(&setup, path);
    let error = r#"{"jsonrpc":"2.0","id":{id},"error":{"code":-32602,"message":"not found"}}"#;
    let reply = RawReply::status(404).header("content-type", "application/json").bytes(error);
    setup.sandbox.on_method("tools/call", reply.once());
    let before = setup.sandbox.requests().len();
    let bridge = Bridge::start(command(&setup, path));
    bridge.open();
    assert_eq!(bridge.call(1, "echo", "{}")["error"]["message"], "not found");
    let requests = setup.sandbox.requests().split_off(before);
    let calls = requests.iter().filter(|request| request.method().as_deref() == Some("tools/call"));
    assert_eq!(calls.count(), 1);
    assert_eq!(setup.sandbox.requests_at(Place::Elsewhere).len(), 1);
    assert!(remembered(&setup, path)[0].ends_with("/v1/mcp"));
}

#[test]
fn a_temporary_redirect_is_followed_and_not_remembered() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.fault(Fault::status(307).header("location", "/v1/mcp").at(Place::Elsewhere).always());
    run(&setup, "/old/mcp");
    assert_eq!(remembered(&setup, "/old/mcp"), [""; 0]);
}

#[test]
fn the_old_transport_is_tried_first_by_the_next_process_and_the_new_one_when_the_server_speaks_that() {
    let setup = Setup::with_token(Config { answers: AnswerMode::HttpSse, ..Config::default() });
    let path = "/v1/mcp";
    let first = |requests: &[Recorded]| requests.first().map(|request| request.http_method.clone());
    assert_eq!(first(&run(&setup, path)).as_deref(), Some("POST"));
    assert_eq!(remembered(&setup, path), ["transport HTTP+SSE"]);
    assert_eq!(first(&run(&setup, path)).as_deref(), Some("GET"));
    assert_eq!(setup.sandbox.counters().mcp_status(404), 1);
    setup.sandbox.configure(|config| config.answers = AnswerMode::Sse);
    assert_eq!(first(&run(&setup, path)).as_deref(), Some("GET"));
    assert_eq!(remembered(&setup, path), [""; 0]);
    assert_eq!(first(&run(&setup, path)).as_deref(), Some("POST"));
}

#[test]
fn the_new_transport_is_also_tried_where_the_server_holds_what_asks_for_the_old_one() {
    let setup = Setup::with_token(Config { answers: AnswerMode::HttpSse, ..Config::default() });
    let path = "/v1/mcp";
    run(&setup, path);
    assert_eq!(remembered(&setup, path), ["transport HTTP+SSE"]);
    setup.sandbox.configure(|config| config.answers = AnswerMode::Sse);
    let never = Gate::new();
    setup.sandbox.fault(Fault::held(&never).http("GET").always());
    let requests = run(&setup, path);
    assert_eq!(requests.first().map(|request| request.http_method.as_str()), Some("GET"));
    assert_eq!(remembered(&setup, path), [""; 0]);
    never.open();
}

#[test]
fn the_new_transport_is_also_tried_where_what_asks_for_the_old_one_fails() {
    for status in [500, 502] {
        let setup = Setup::with_token(Config { answers: AnswerMode::HttpSse, ..Config::default() });
        let path = "/v1/mcp";
        run(&setup, path);
        assert_eq!(remembered(&setup, path), ["transport HTTP+SSE"]);
        setup.sandbox.configure(|config| config.answers = AnswerMode::Sse);
        setup.sandbox.fault(Fault::status(status).http("GET").always());
        let requests = run(&setup, path);
        assert_eq!(requests.first().map(|request| request.http_method.as_str()), Some("GET"), "{status}");
        assert_eq!(remembered(&setup, path), [""; 0], "{status}");
    }
}

#[test]
fn a_server_of_the_old_transport_that_was_away_is_met_by_it_again() {
    let setup = Setup::with_token(Config { answers: AnswerMode::HttpSse, ..Config::default() });
    let path = "/v1/mcp";
    run(&setup, path);
    setup.sandbox.fault(Fault::status(503).http("GET").times(1));
    run(&setup, path);
    assert_eq!(remembered(&setup, path), ["transport HTTP+SSE"]);
}

#[test]
fn signing_out_forgets_what_was_learnt_of_the_server() {
    let setup = Setup::with_token(Config::default());
    let path = "/v1/mcp";
    setup.sandbox.on_method("initialize", refusal("2025-06-18"));
    run(&setup, path);
    assert_eq!(remembered(&setup, path).len(), 1);
    assert!(command(&setup, path).arg("logout").output().expect("it starts").status.success());
    assert_eq!(remembered(&setup, path), [""; 0]);
}
