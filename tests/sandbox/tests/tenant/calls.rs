//! Calls: who may do what, how answers come, scripts and the standing stream.

use planhat_sandbox::wire::send;
use planhat_sandbox::{AnswerMode, Fault, Permission, RawReply, UserSpec};
use serde_json::json;

use crate::support::*;

#[test]
fn the_overlap_of_client_and_role_is_what_a_token_allows() {
    let user = UserSpec { permissions: Permission::views(), ..UserSpec::default() };
    let sandbox = open_tenant(|config| config.user = user);
    let (access, _) = sign_in(&sandbox);
    let session = Session::open(&sandbox, access);
    assert_eq!(session.call("get_model_record", json!({ "MODEL": "Task", "OBJECT_ID": "ta_1" })).status, 200);
    let refused = session.call("create_model_record", json!({ "MODEL": "Task", "PARAMETERS": { "title": "x" } }));
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert_eq!(sandbox.counters().tool("create_model_record"), 0);
}

#[test]
fn a_request_without_a_valid_token_is_challenged() {
    let sandbox = open_tenant(|_| {});
    let refused = send("POST", &sandbox.mcp_url(), &[], Some(b"{}")).expect("an answer");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    let (access, _) = sign_in(&sandbox);
    sandbox.expire_access_tokens();
    let refused = Session { sandbox: &sandbox, token: access, id: String::new() }.request("ping", json!({}));
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer error=\"invalid_token\"")));
    assert_eq!(sandbox.counters().unauthorized, 2);
}

#[test]
fn answers_come_as_the_configuration_says() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    let tool = || session.call("echo", json!({ "n": 1.50 }));
    assert_eq!(tool().header("content-type"), Some("text/event-stream"));
    sandbox.configure(|config| config.answers = AnswerMode::Json);
    let answer = tool();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json().expect("JSON")["result"]["content"][0]["text"], "{\"n\":1.5}");
}

#[test]
fn a_script_answers_to_the_byte_and_the_recorder_keeps_what_came() {
    let sandbox = open_door();
    sandbox.on_method("x/y", RawReply::json(r#"{"id":{id}, "jsonrpc":"2.0","result":1e400}"#).once());
    let body = r#"{"jsonrpc":"2.0","id":1.0,"method":"x/y","params":{"b":1,"a":12345678901234567890}}"#;
    let answer = send("POST", &sandbox.mcp_url(), &[("x-odd", "yes")], Some(body.as_bytes())).expect("an answer");
    assert_eq!(answer.body, r#"{"id":1.0, "jsonrpc":"2.0","result":1e400}"#);
    let recorded = sandbox.wait_request(|request| request.method().as_deref() == Some("x/y"), SOON).expect("recorded");
    assert_eq!((recorded.text().as_ref(), recorded.header("x-odd")), (body, Some("yes")));
}

#[test]
fn what_is_pushed_arrives_on_the_standing_stream_and_its_answer_is_taken() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    assert!(!sandbox.push("{}"), "nobody listens yet");
    let mut lines = standing_stream(&sandbox, &session.id);
    sandbox.wait_until(|counters| counters.streams_open == 1, SOON).expect("a stream");
    let message = r#"{"jsonrpc":"2.0","id":"odd-1","method":"x/ask","params":{"n":1E+2}}"#;
    assert!(sandbox.push(message));
    assert_eq!(lines.find(|line| line.contains("odd-1")).as_deref(), Some(format!("data: {message}").as_str()));
    let answer = session.post(&json!({ "jsonrpc": "2.0", "id": "odd-1", "result": {} })).expect("an answer");
    assert_eq!(answer.status, 202);
    drop(lines);
    sandbox.wait_until(|counters| counters.streams_open == 0, SOON).expect("the stream ends with its reader");
}

#[test]
fn the_user_is_asked_through_the_client_in_the_middle_of_a_call() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    sandbox.fault(Fault::end_after(2).tool("ask_user"));
    let asked = session.call("ask_user", json!({})).json().expect("a request");
    assert_eq!(asked["method"], "elicitation/create");
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "decline" } });
    assert_eq!(session.post(&answer).expect("taken").status, 202);
}
