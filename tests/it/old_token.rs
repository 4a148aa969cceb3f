//! Tokens that have ended at servers that do not answer them with 401: from the call to what the client gets, and to what
//! the server was asked.

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{Config, ExpiresIn, Fault, Place};
use serde_json::Value;

use crate::support::{Bridge, Setup};

const LIST: &str = r#"{"jsonrpc":"2.0","id":90,"method":"tools/list"}"#;

/// A server that never tells when its tokens end, and answers those that have ended with this.
fn signed_in(status: u16, location: Option<&str>) -> (Setup, Bridge) {
    let bad_token_answer = Some((status, location.map(str::to_owned)));
    let config = Config { bad_token_answer, expires_in: ExpiresIn::Missing, test_tools: true, ..Config::default() };
    let setup = Setup::with_sign_in(config, Choice::Allow);
    let bridge = setup.open();
    assert!(bridge.call(1, "echo", "{}")["result"]["isError"] != true, "{}", bridge.stderr());
    (setup, bridge)
}

/// How often the server was sent this call.
fn sent(setup: &Setup, id: u64) -> usize {
    let id = id.to_string();
    setup.sandbox.requests().iter().filter(|request| request.id().as_deref() == Some(&*id)).count()
}

fn tabs(setup: &Setup) -> usize {
    setup.browser.as_ref().expect("it has one").opened().len()
}

fn words(answer: &Value) -> String {
    answer.to_string()
}

#[test]
fn a_failure_at_a_token_that_may_have_ended_renews_it_once_and_repeats_what_only_reads() {
    let (setup, bridge) = signed_in(500, None);
    setup.sandbox.expire_access_tokens();
    assert!(bridge.ask(LIST).contains(r#""result""#), "{}", bridge.stderr());
    assert_eq!(setup.sandbox.counters().refreshes, 1);
    assert_eq!(tabs(&setup), 1);
}

#[test]
fn a_call_that_may_have_been_carried_out_is_never_sent_again_and_the_next_goes_with_the_renewed_token() {
    let (setup, bridge) = signed_in(500, None);
    setup.sandbox.expire_access_tokens();
    let told = words(&bridge.call(2, "echo", "{}"));
    assert!(told.contains("may or may not have been carried out") && told.contains(r#""isError":true"#), "{told}");
    assert_eq!((sent(&setup, 2), setup.sandbox.counters().refreshes), (1, 1));
    assert!(bridge.call(3, "echo", "{}")["result"]["isError"] != true);
}

#[test]
fn a_redirect_to_a_page_for_signing_in_renews_the_token_and_sends_the_call_again() {
    for (status, location) in [
        (302, "/login?next=/v1/mcp"),
        (303, "/accounts/login"),
        (307, "https://idp.example/sso/start"),
        (307, "https://gone.example/elsewhere"),
    ] {
        let (setup, bridge) = signed_in(status, Some(location));
        setup.sandbox.expire_access_tokens();
        let answer = bridge.call(2, "echo", r#"{"x":1}"#);
        assert!(answer["result"]["isError"] != true && answer["result"].is_object(), "{location}: {answer}");
        assert_eq!((sent(&setup, 2), setup.sandbox.counters().refreshes), (2, 1), "{location}");
        assert!(setup.sandbox.requests_at(Place::Elsewhere).is_empty(), "{location}");
    }
}

#[test]
fn where_no_renewal_helps_the_words_name_the_failure_and_the_sign_in_and_no_tab_opens() {
    for (status, location, name) in [(500, None, "HTTP 500"), (307, Some("/login"), "sign-in page")] {
        let (setup, bridge) = signed_in(status, location);
        setup.sandbox.expire_access_tokens();
        setup.sandbox.revoke_refresh_tokens();
        let told = words(&bridge.call(2, "echo", "{}"));
        assert!(told.contains(name) && told.contains("planhat-mcp login"), "{told}");
        assert_eq!(tabs(&setup), 1);
    }
}

#[test]
fn a_storm_of_failures_costs_one_renewal_and_a_token_that_has_not_ended_none() {
    for (expires_in, renewals) in [(ExpiresIn::Missing, 1), (ExpiresIn::Integer, 0)] {
        let config = Config { expires_in, test_tools: true, ..Config::default() };
        let setup = Setup::with_sign_in(config, Choice::Allow);
        let bridge = setup.open();
        bridge.call(1, "echo", "{}");
        setup.sandbox.fault(Fault::status(500).always());
        for id in 2..22 {
            assert!(words(&bridge.call(id, "echo", "{}")).contains("carried out"));
        }
        assert_eq!(setup.sandbox.counters().refreshes, renewals);
        assert_eq!((2..22).map(|id| sent(&setup, id)).max(), Some(1));
    }
}
