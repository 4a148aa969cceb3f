//! What a server makes the bridge send by itself, again and again. The lower bounds on time hold however slow the machine
//! is: without the pauses, each of these is over in an instant.

use std::time::{Duration, Instant};

use planhat_sandbox::browser::Choice;
use planhat_sandbox::{AnswerMode, Config, Fault, Place, RawReply};
use serde_json::{Value, json};

use crate::support::{Bridge, PATIENCE, Setup, call};

const LIST: &str = r#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#;

/// A stream that says nothing, asks to be opened again at once, and ends.
fn spent_stream() -> Fault {
    Fault::bytes("text/event-stream", "retry: 0\nid: e-1\ndata:\n\n").http("GET")
}

fn gets(setup: &Setup) -> usize {
    setup.sandbox.requests().iter().filter(|request| request.http_method == "GET").count()
}

fn is_served(bridge: &Bridge, id: u64) {
    let answer = bridge.call(id, "echo", "{}");
    assert!(answer["result"].is_object() && answer["result"]["isError"] != true, "{answer}");
}

#[test]
fn a_standing_stream_that_ends_at_once_is_asked_for_ever_less_often_and_holds_up_no_call() {
    let setup = Setup::with_token(Config::default());
    setup.sandbox.fault(spent_stream().always());
    let start = Instant::now();
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.faults_fired >= 3, PATIENCE).expect("it is opened again");
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}: a second, then two", start.elapsed());
    for id in 1..20 {
        is_served(&bridge, id);
    }
}

#[test]
fn a_standing_stream_that_is_refused_in_changing_ways_is_asked_for_ever_less_often() {
    let setup = Setup::with_token(Config { get_stream: true, ..Config::default() });
    for _ in 0..5 {
        setup.sandbox.fault(spent_stream());
        for status in [500, 403, 503, 429] {
            setup.sandbox.fault(Fault::status(status).http("GET"));
        }
    }
    let start = Instant::now();
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.faults_fired >= 3, PATIENCE).expect("it is asked for again");
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}: one second, two", start.elapsed());
    is_served(&bridge, 1);
}

#[test]
fn redirects_in_a_circle_to_the_standing_stream_are_followed_a_few_times_and_not_soon_again() {
    let setup = Setup::with_token(Config::default());
    let place = setup.sandbox.mcp_url();
    setup.sandbox.fault(Fault::status(307).header("location", &place).http("GET").always());
    let start = Instant::now();
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.faults_fired >= 9, PATIENCE).expect("it is asked for again");
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    is_served(&bridge, 1);
}

#[test]
fn a_call_s_stream_that_ends_at_once_with_another_event_each_time_is_resumed_ever_less_often() {
    let setup = Setup::with_token(Config { get_stream: false, ..Config::default() });
    setup.sandbox.on_tool("echo", RawReply::sse().bytes("retry: 0\nid: e-0\ndata:\n\n"));
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.mcp_status(405) == 1, PATIENCE).expect("there is no standing stream");
    setup.sandbox.fault(spent_stream().always());
    let start = Instant::now();
    bridge.send(&call(1, "echo", "{}"));
    setup.sandbox.wait_until(|c| c.faults_fired >= 2, PATIENCE).expect("it is resumed");
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}: a second, then two", start.elapsed());
    assert!(bridge.ask(LIST).contains("list_model_records"), "others are not held up");
    // The answer comes in the end, if the server gives one.
    setup.sandbox.clear_faults();
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    let last = format!("id: e-9\ndata: {answer}\n\n");
    setup.sandbox.fault(Fault::bytes("text/event-stream", last).http("GET"));
    assert_eq!(bridge.answer_to(&json!(1)), answer);
}

#[test]
fn a_session_that_is_lost_as_soon_as_it_is_open_is_opened_again_ever_less_often() {
    let setup = Setup::with_token(Config::default());
    for _ in 0..20 {
        setup.sandbox.fault(spent_stream());
        setup.sandbox.fault(Fault::status(404).http("GET"));
    }
    let start = Instant::now();
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.sessions_created >= 3, PATIENCE).expect("it is opened again");
    // Each stream is a second old before it is looked for again, and then the session waits: one second, then two.
    assert!(start.elapsed() >= Duration::from_secs(5), "{:?}", start.elapsed());
    is_served(&bridge, 1);
    bridge.finish();
    let created = setup.sandbox.counters().sessions_created;
    assert!(gets(&setup) as u64 <= 2 * created, "{created}");
}

#[test]
fn the_questions_of_a_server_to_a_client_that_is_gone_are_refused_up_to_the_allowance() {
    let setup = Setup::with_token(Config::default());
    let bridge = setup.open();
    setup.sandbox.wait_until(|c| c.streams_open >= 1, PATIENCE).expect("the standing stream opens");
    for n in 0..300 {
        assert!(setup.sandbox.push(&format!(r#"{{"jsonrpc":"2.0","id":"q-{n}","method":"roots/list"}}"#)));
    }
    bridge.wait_line("the last question", |line| line.contains("q-299"));
    let (_, status) = bridge.finish();
    assert!(status.success());
    let refusals = setup.sandbox.requests().iter().filter(|request| request.text().contains("shutting-down")).count();
    assert!((1..100).contains(&refusals), "{refusals}");
}

#[test]
fn a_server_that_sets_ever_new_cookies_gets_few_of_them_back_and_no_other_endpoint_gets_any() {
    let setup = Setup::with_sign_in(Config { answers: AnswerMode::Json, ..Config::default() }, Choice::Allow);
    let bridge = setup.open();
    assert!(bridge.ask(LIST).contains("list_model_records"));
    for round in 0..5 {
        let reply = RawReply::json(r#"{"jsonrpc":"2.0","id":{id},"result":{}}"#);
        let reply = (0..80).fold(reply, |reply, n| {
            reply.header("set-cookie", &format!("c{round}-{n}={}; Path=/; Domain=127.0.0.1", "x".repeat(100)))
        });
        setup.sandbox.on_method("vendor/cookies", reply.header("set-cookie", "node=b7; Path=/").once());
        bridge.ask(&format!(r#"{{"jsonrpc":"2.0","id":{round},"method":"vendor/cookies"}}"#));
    }
    setup.sandbox.expire_access_tokens();
    is_served(&bridge, 99);
    let requests = setup.sandbox.requests();
    let last = requests.iter().rfind(|request| request.text().contains("echo")).expect("sent");
    let cookies = last.header("cookie").expect("there are some");
    assert!(cookies.len() < 9 * 1024 && cookies.split("; ").count() <= 50, "{cookies}");
    assert!(cookies.contains("node=b7") && cookies.contains("c4-79=") && !cookies.contains("c3-"), "{cookies}");
    let tokens = setup.sandbox.requests_at(Place::Token);
    assert!(tokens.len() >= 2 && tokens.iter().all(|request| request.header("cookie").is_none()));
}

#[test]
fn a_renewal_whose_outcome_stays_unknown_is_repeated_once_and_not_by_each_call() {
    let setup = Setup::with_sign_in(Config::default(), Choice::Allow);
    let bridge = setup.open();
    assert!(bridge.ask(LIST).contains("list_model_records"));
    setup.sandbox.expire_access_tokens();
    setup.sandbox.fault(Fault::status_after_executing(500).at(Place::Token).always());
    let before = setup.sandbox.requests_at(Place::Token).len();
    for id in 1..6 {
        let answer: Value = bridge.call(id, "echo", "{}");
        assert_eq!(answer["result"]["isError"], true, "{answer}");
        assert!(answer.to_string().contains("no new sign-in is needed"), "{answer}");
    }
    assert_eq!(setup.sandbox.requests_at(Place::Token).len() - before, 2);
    assert_eq!(setup.sandbox.counters().consents_granted, 1);
}
