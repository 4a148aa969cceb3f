//! Faults on demand, and that they are what they say.

use std::time::Duration;

use planhat_sandbox::wire::send;
use planhat_sandbox::{Fault, Gate};
use serde_json::json;

use crate::support::*;

#[test]
fn a_fault_fires_once_and_says_when_to_come_back() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(2)).tool("echo"));
    let throttled = session.call("echo", json!({}));
    assert_eq!((throttled.status, throttled.header("retry-after")), (429, Some("2")));
    assert_eq!(session.call("echo", json!({})).status, 200);
    let counters = sandbox.counters();
    assert_eq!((counters.tool("echo"), counters.faults_fired, counters.mcp_status(429)), (1, 1, 1));
}

#[test]
fn a_fault_after_executing_leaves_the_effect_behind() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    sandbox.fault(Fault::hang_up_after_executing().tool("create_model_record"));
    let create =
        json!({ "name": "create_model_record", "arguments": { "MODEL": "Task", "PARAMETERS": { "title": "Twice" } } });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": create });
    assert!(session.post(&message).is_err());
    let found = session.call("search_records", json!({ "QUERY": "twice" })).json().expect("an answer");
    assert_eq!(found["result"]["structuredContent"]["total"], 1);
}

#[test]
fn a_cut_stream_breaks_off_in_the_middle_and_a_held_request_waits() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    sandbox.fault(Fault::cut_after(1).tool("echo"));
    let message =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "echo", "arguments": {} } });
    assert!(session.post(&message).is_err());
    let gate = Gate::new();
    sandbox.fault(Fault::held(&gate).tool("blob"));
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| session.call("blob", json!({ "BYTES": 3 })));
        assert!(gate.wait_arrivals(1, SOON));
        assert_eq!(sandbox.counters().tool("blob"), 0);
        gate.open();
        assert_eq!(answer.join().expect("an answer").status, 200);
    });
}

#[test]
fn a_cut_answer_can_be_taken_up_again() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    sandbox.fault(Fault::end_after(1).tool("slow"));
    let begun = session.call("slow", json!({ "HOLD": true }));
    let event = begun.body.lines().find_map(|line| line.strip_prefix("id:")).expect("an event id").trim().to_owned();
    assert!(begun.json().is_none_or(|last| last.get("result").is_none()), "{}", begun.body);
    sandbox.release_slow();
    let headers = [("accept", "text/event-stream"), ("mcp-session-id", session.id.as_str()), ("last-event-id", &event)];
    let rest = send("GET", &sandbox.mcp_url(), &headers, None).expect("the rest");
    assert_eq!(rest.json().expect("an answer")["result"]["content"][0]["text"], "done after 0 steps", "{}", rest.body);
    let counters = sandbox.counters();
    assert_eq!((counters.tool("slow"), counters.streams_resumed), (1, 1));
}

#[test]
fn lost_sessions_are_not_found() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    sandbox.lose_sessions();
    assert_eq!(session.call("echo", json!({})).status, 404);
    assert_eq!(sandbox.counters().sessions_lost, 1);
}

#[test]
fn an_outage_refuses_connections_and_the_ports_come_back() {
    let sandbox = open_door();
    let address = sandbox.api_base().replace("http://", "");
    let mut open = std::net::TcpStream::connect(address).expect("a connection");
    sandbox.wait_until(|counters| counters.connections == 1, SOON).expect("accepted");
    sandbox.go_offline();
    assert_eq!(std::io::Read::read(&mut open, &mut [0]).expect("an end"), 0, "open connections end too");
    assert!(send("GET", &sandbox.api_base(), &[], None).is_err());
    sandbox.come_back().expect("the ports are free again");
    assert_eq!(send("GET", &sandbox.api_base(), &[], None).expect("an answer").status, 404);
}

#[test]
fn dropping_the_tenant_closes_its_ports() {
    let sandbox = open_door();
    let url = sandbox.api_base();
    drop(sandbox);
    assert!(send("GET", &url, &[], None).is_err());
}
