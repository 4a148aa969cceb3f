//! 429: waited out as the server asks, and executed once.

use std::time::{Duration, Instant};

use planhat_sandbox::{Config, Fault};

use crate::support::{Setup, call};

#[test]
fn retry_after_in_both_forms_is_waited_for_and_the_call_is_executed_once() {
    for fault in [
        Fault::status(429).retry_after(Duration::from_secs(1)),
        // A date has whole seconds: two of them are at least one.
        Fault::status(429).retry_after_date(Duration::from_secs(2)),
    ] {
        let setup = Setup::with_token(Config::default());
        let bridge = setup.open();
        setup.sandbox.fault(fault.tool("create_model_record"));
        let start = Instant::now();
        let answer = bridge.call(1, "create_model_record", r#"{"MODEL":"Task","PARAMETERS":{"mainTask":"Call Ada"}}"#);
        assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
        assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(setup.sandbox.counters().tool("create_model_record"), 1);
        assert_eq!(setup.sandbox.counters().mcp_status(429), 1);
    }
}

#[test]
fn a_429_holds_back_every_request_and_a_waiting_one_can_be_cancelled() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    setup.sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(60)).tool("echo"));
    // Only the progress says that the bridge has read the 429: the sandbox counts it before it is on the wire.
    bridge.send(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{},"_meta":{"progressToken":"p"}}}"#,
    );
    let progress = bridge.wait_line("the wait", |line| line.contains("notifications/progress"));
    assert!(progress.contains("waiting"), "{progress}");
    bridge.send(&call(2, "echo", "{}"));
    for id in [1, 2] {
        bridge
            .send(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#));
    }
    let (lines, status) = bridge.finish();
    assert!(lines.is_empty(), "{lines:?}");
    assert!(status.success());
    assert_eq!((setup.sandbox.counters().mcp_status(429), setup.sandbox.counters().tool("echo")), (1, 0));
}

#[test]
fn a_throttled_initialize_is_waited_out() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(1)).method("initialize"));
    let bridge = setup.bridge();
    let hello = bridge.open();
    assert!(hello["result"]["serverInfo"]["name"] != "planhat-mcp", "{hello}");
    assert!(bridge.call(1, "echo", "{}")["result"].is_object());
}
