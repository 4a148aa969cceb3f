//! A 401 that is about one request: the sign-in stays, and no tab opens for it.

use std::time::Duration;

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, Fault, Gate, Place, Rotation};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, Setup, call};

const LIST: &str = r#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#;

fn setup() -> Setup {
    Setup::with_sign_in(Config::default(), Choice::Allow)
}

/// Refuses what it meets as if its token were not good, for ever.
fn refused() -> Fault {
    Fault::status(401).header("www-authenticate", r#"Bearer error="invalid_token""#).always()
}

/// Somebody has signed in, and the server has taken that.
fn signed_in(setup: &Setup) -> Bridge {
    let bridge = setup.open();
    assert!(bridge.ask(LIST).contains("list_model_records"), "{}", bridge.stderr());
    bridge
}

fn succeeds(answer: &Value) -> bool {
    answer["result"].is_object() && answer["result"]["isError"] != true
}

/// One sign-in, and at most one renewal beside it.
fn assert_quiet(setup: &Setup, bridge: &Bridge) {
    let tabs = setup.browser.as_ref().expect("it has one").opened().len();
    let tokens = setup.sandbox.requests_at(Place::Token).len();
    assert_eq!(tabs, 1, "{}", bridge.stderr());
    assert!(tokens <= 2, "{tokens} token requests; {}", bridge.stderr());
}

#[test]
fn a_gateway_that_refuses_get_alone_costs_one_renewal_and_no_tab() {
    let setup = setup();
    setup.sandbox.fault(refused().http("GET"));
    let bridge = signed_in(&setup);
    setup.sandbox.wait_until(|c| c.faults_fired >= 2, PATIENCE).expect("the stream is asked for with both tokens");
    for id in 1..41 {
        assert!(succeeds(&bridge.call(id, "echo", "{}")), "{}", bridge.stderr());
    }
    setup.sandbox.wait_until(|c| c.faults_fired >= 3, PATIENCE).expect("it is asked for again, later");
    assert!(succeeds(&bridge.call(99, "echo", "{}")));
    assert_quiet(&setup, &bridge);
}

#[test]
fn a_tool_that_is_refused_alone_is_explained_and_costs_one_renewal_and_no_tab() {
    let setup = setup();
    let bridge = signed_in(&setup);
    setup.sandbox.fault(refused().tool("echo"));
    for id in 1..11 {
        let answer = bridge.call(id, "echo", "{}");
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert!(answer.to_string().contains("for other requests, but not for this one"), "{answer}");
        assert!(succeeds(&bridge.call(100 + id, "list_model_records", r#"{"MODEL":"Task"}"#)));
    }
    assert_eq!(setup.sandbox.counters().method("ping"), 1, "the server is asked once what it takes");
    assert_quiet(&setup, &bridge);
    // It is asked each time, so that it works as soon as the server allows it.
    setup.sandbox.clear_faults();
    assert!(succeeds(&bridge.call(12, "echo", "{}")));
}

#[test]
fn a_notification_that_is_refused_alone_costs_one_renewal_and_no_tab() {
    let setup = setup();
    setup.sandbox.fault(refused().method("notifications/initialized"));
    setup.sandbox.fault(refused().method("notifications/roots/list_changed"));
    let bridge = signed_in(&setup);
    for id in 1..11 {
        bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#);
        assert!(succeeds(&bridge.call(id, "echo", "{}")), "{}", bridge.stderr());
    }
    bridge.wait_stderr("did not reach the server");
    assert!(succeeds(&bridge.call(99, "echo", "{}")), "{}", bridge.stderr());
    assert_quiet(&setup, &bridge);
}

#[test]
fn a_sign_in_that_the_server_takes_for_nothing_any_more_is_replaced_although_it_was_taken_before() {
    let setup = setup();
    let bridge = signed_in(&setup);
    assert!(succeeds(&bridge.call(1, "echo", "{}")));
    // The call with three tokens, and with two of them the ping and the list that are asked for beside it.
    setup.sandbox.fault(Fault::status(401).times(7));
    let answer = bridge.call(2, "list_model_records", r#"{"MODEL":"Task"}"#);
    assert!(succeeds(&answer), "{answer}; {}", bridge.stderr());
    assert_eq!(setup.sandbox.counters().consents_granted, 2);
}

#[test]
fn a_tool_that_is_refused_together_with_the_ping_costs_one_renewal_and_no_tab() {
    let setup = setup();
    let bridge = signed_in(&setup);
    setup.sandbox.fault(refused().tool("echo"));
    setup.sandbox.fault(refused().method("ping"));
    for id in 1..8 {
        let answer = bridge.call(id, "echo", "{}");
        assert!(answer.to_string().contains("for other requests, but not for this one"), "{answer}");
    }
    assert_quiet(&setup, &bridge);
    assert!(succeeds(&bridge.call(99, "list_model_records", r#"{"MODEL":"Task"}"#)), "{}", bridge.stderr());
}

#[test]
fn a_tool_that_is_refused_together_with_the_ping_and_the_list_opens_one_tab_and_not_one_for_each_call() {
    let setup = setup();
    let bridge = signed_in(&setup);
    setup.sandbox.fault(refused().tool("echo"));
    setup.sandbox.fault(refused().method("ping"));
    setup.sandbox.fault(refused().method("tools/list"));
    for id in 1..8 {
        let answer = bridge.call(id, "echo", "{}");
        assert_eq!(answer["result"]["isError"], true, "{answer}");
    }
    assert_eq!(setup.sandbox.counters().consents_granted, 2, "{}", bridge.stderr());
    assert!(succeeds(&bridge.call(99, "list_model_records", r#"{"MODEL":"Task"}"#)), "{}", bridge.stderr());
}

#[test]
fn one_tool_of_each_of_a_hundred_that_is_refused_alone_costs_one_renewal_in_all_and_no_tab() {
    let setup = setup();
    let bridge = signed_in(&setup);
    for n in 0..100 {
        setup.sandbox.fault(refused().tool(&format!("guarded-{n}")));
    }
    for round in 0..2 {
        for n in 0..100 {
            let answer = bridge.call(1_000 * (round + 1) + n, &format!("guarded-{n}"), "{}");
            assert_eq!(answer["result"]["isError"], true, "{answer}");
        }
        assert!(succeeds(&bridge.call(round, "echo", "{}")), "{}", bridge.stderr());
    }
    assert_quiet(&setup, &bridge);
}

#[test]
fn a_401_to_the_end_of_the_session_costs_nothing() {
    let setup = setup();
    setup.sandbox.fault(refused().http("DELETE"));
    let bridge = signed_in(&setup);
    let tokens = setup.sandbox.requests_at(Place::Token).len();
    let (_, status) = bridge.finish();
    assert!(status.success());
    assert_eq!(setup.sandbox.requests_at(Place::Token).len(), tokens);
}

#[test]
fn a_tool_that_is_refused_and_taken_by_turns_costs_one_renewal_and_no_tab() {
    let setup = setup();
    let bridge = signed_in(&setup);
    for id in 1..21 {
        let challenge = if id % 2 == 0 { r#"Bearer error="insufficient_scope", scope="a""# } else { "Bearer" };
        setup.sandbox.fault(Fault::status(401).header("www-authenticate", challenge).tool("echo"));
        bridge.call(id, "echo", "{}");
        assert!(succeeds(&bridge.call(100 + id, "echo", "{}")), "{}", bridge.stderr());
    }
    assert_quiet(&setup, &bridge);
}

#[test]
fn a_token_without_renewal_that_has_ended_asks_for_a_sign_in_whichever_request_meets_it_first() {
    let setup = setup();
    setup.sandbox.configure(|config| config.rotation = Rotation::Never);
    let bridge = signed_in(&setup);
    setup.sandbox.expire_access_tokens();
    assert!(succeeds(&bridge.call(1, "echo", "{}")), "{}", bridge.stderr());
    let counters = setup.sandbox.counters();
    assert_eq!((counters.consents_granted, counters.refreshes, counters.tool("echo")), (2, 0, 1));
}

#[test]
fn calls_that_are_refused_together_share_one_ping() {
    let setup = setup();
    setup.sandbox.configure(|config| config.rotation = Rotation::Never);
    let mut command = setup.command();
    command.args(["--log-level", "debug"]);
    let bridge = Bridge::start(command);
    bridge.open();
    assert!(bridge.ask(LIST).contains("list_model_records"), "{}", bridge.stderr());
    let gate = Gate::new();
    setup.sandbox.fault(Fault::status(500).method("ping").always().holding(&gate));
    for n in 0..4 {
        setup.sandbox.fault(refused().tool(&format!("guarded-{n}")));
        bridge.send(&call(n, &format!("guarded-{n}"), "{}"));
        bridge.wait_stderr(&format!(r#"refused with 401 kind="tools/call guarded-{n}""#));
    }
    gate.open();
    for n in 0..4 {
        let answer = bridge.answer_to(&json!(n));
        assert!(answer.contains("for other requests, but not for this one"), "{answer}");
    }
    let pings = setup.sandbox.requests().iter().filter(|request| request.text().contains("planhat-mcp/ping")).count();
    assert_eq!(pings, 1, "{}", bridge.stderr());
}

#[test]
fn a_sign_in_that_ended_while_the_server_did_not_say_what_it_takes_is_replaced_with_the_next_call() {
    let setup = setup();
    setup.sandbox.configure(|config| config.rotation = Rotation::Never);
    let bridge = signed_in(&setup);
    setup.sandbox.fault(Fault::status(503).method("ping").before_auth().always());
    setup.sandbox.expire_access_tokens();
    let answer = bridge.call(1, "echo", "{}");
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(setup.sandbox.counters().consents_granted, 1, "nothing shows that it has ended");
    setup.sandbox.clear_faults();
    assert!(succeeds(&bridge.call(2, "echo", "{}")), "{}", bridge.stderr());
    assert_eq!(setup.sandbox.counters().consents_granted, 2);
}

#[test]
fn a_sign_in_that_ends_right_after_a_tool_was_refused_alone_is_replaced() {
    let setup = setup();
    setup.sandbox.configure(|config| config.rotation = Rotation::Never);
    let bridge = signed_in(&setup);
    setup.sandbox.fault(refused().tool("guarded"));
    let answer = bridge.call(1, "guarded", "{}");
    assert!(answer.to_string().contains("for other requests, but not for this one"), "{answer}");
    setup.sandbox.expire_access_tokens();
    assert!(succeeds(&bridge.call(2, "echo", "{}")), "{}", bridge.stderr());
    assert_eq!(setup.sandbox.counters().consents_granted, 2);
}

#[test]
fn a_ping_that_is_throttled_holds_the_other_requests_back_too() {
    let setup = setup();
    let bridge = signed_in(&setup);
    setup.sandbox.fault(refused().tool("echo"));
    setup.sandbox.fault(Fault::status(429).retry_after(Duration::from_secs(3_600)).method("ping").always());
    bridge.call(1, "echo", "{}");
    let answer = bridge.call(2, "list_model_records", r#"{"MODEL":"Task"}"#);
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert_eq!(setup.sandbox.counters().tool("list_model_records"), 0, "{answer}");
}
