//! A refusal by status is explained where it is met: to a model as the result of its call, to a client as an error with
//! data; what the server says inside a result is the server's own.

use planhat_sandbox::{Config, Fault};
use serde_json::Value;

use crate::support::{Setup, call};

const STATUSES: [(u16, &str, &str); 6] = [
    (400, "bad-request", "input schema"),
    (403, "forbidden", "administrator"),
    (404, "not-found", "URL"),
    (413, "request-too-large", "smaller"),
    (422, "http-status", "refused"),
    (501, "server-error", "check before repeating"),
];

fn refusal(status: u16) -> Fault {
    Fault::status(status).header("x-request-id", "req-77").body(r#"{"message":"said by the server"}"#)
}

#[test]
fn a_refused_call_is_a_result_that_a_model_can_act_on() {
    let setup = Setup::with_token(Config { sessions: false, ..Config::default() });
    let bridge = setup.open();
    for (id, (status, _, words)) in STATUSES.iter().enumerate() {
        setup.sandbox.fault(refusal(*status).tool("echo"));
        let answer = bridge.call(id as u64 + 1, "echo", "{}");
        let result = &answer["result"];
        assert_eq!(result["isError"], true, "{status}: {answer}");
        let text = result["content"][0]["text"].as_str().expect("a text");
        for part in [words, "said by the server", "req-77"] {
            assert!(text.contains(part), "{status}: {part} in {text}");
        }
    }
}

#[test]
fn another_refused_method_is_an_error_with_status_request_id_and_problem() {
    let setup = Setup::with_token(Config { sessions: false, ..Config::default() });
    let bridge = setup.open();
    for (id, (status, problem, _)) in STATUSES.iter().enumerate() {
        setup.sandbox.fault(refusal(*status).method("tools/list").always());
        let line = bridge.ask(&format!(r#"{{"jsonrpc":"2.0","id":{},"method":"tools/list"}}"#, id + 1));
        setup.sandbox.clear_faults();
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        let data = &answer["error"]["data"];
        assert_eq!(data["status"], *status, "{answer}");
        assert_eq!((&data["server_request_id"], &data["problem"]), (&"req-77".into(), &(*problem).into()), "{answer}");
        assert!(data["fix"].is_string() && data["cause"].is_string(), "{answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("said by the server")));
    }
}

#[test]
fn what_the_server_says_inside_a_result_passes_unchanged() {
    let refusals = planhat_sandbox::Refusals::ToolResult;
    let setup = Setup::with_token(Config { refusals, ..Config::default() });
    let bridge = setup.open();
    let line = bridge.ask(&call(1, "get_model_record", r#"{"MODEL":"Nothing","OBJECT_ID":"1"}"#));
    assert!(line.contains("\"isError\":true"), "{line}");
    assert!(!line.contains("planhat-mcp") && !line.contains("It said"), "{line}");
}
