//! The attacks are what they say: whoever meets one gets it, and everybody else an answer.

use std::io::{Read, Write};
use std::net::TcpStream;

use planhat_sandbox::Sandbox;
use planhat_sandbox::attack::{ATTACKS, Attack, Meets, Strength};
use serde_json::json;

use crate::support::*;

/// Asks in a session, and reads no further than the head of what is said.
fn head_of(sandbox: &Sandbox, http: &str, session: &str, body: &str) -> String {
    let address = sandbox.api_base().replace("http://", "");
    let mut stream = TcpStream::connect(&address).expect("a connection");
    let head = format!(
        "{http} /v1/mcp HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nmcp-session-id: {session}\r\n\
         accept: application/json, text/event-stream\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("written");
    let (mut read, mut piece) = (Vec::new(), [0; 4096]);
    while !read.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut piece).expect("readable");
        assert!(count > 0, "no head: {}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&piece[..count]);
    }
    String::from_utf8_lossy(&read).into_owned()
}

fn meet(sandbox: &Sandbox, session: &Session<'_>, attack: &Attack) -> String {
    let request =
        |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
    let (http, body) = match attack.meets {
        Meets::Stream => ("GET", String::new()),
        Meets::List => ("POST", request("tools/list", "{}")),
        Meets::Notification => ("POST", r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#.to_owned()),
        Meets::Call => {
            let arguments = (attack.arguments)();
            ("POST", request("tools/call", &format!(r#"{{"name":"{}","arguments":{arguments}}}"#, attack.name)))
        }
    };
    head_of(sandbox, http, &session.id, &body)
}

#[test]
fn whoever_meets_an_attack_gets_it_and_other_calls_are_answered() {
    for attack in ATTACKS {
        let sandbox = open_door();
        let session = Session::open(&sandbox, String::new());
        sandbox.play(attack, Strength::Short);
        let head = meet(&sandbox, &session, attack);
        let counters = sandbox.counters();
        let met = counters.raw_replies + counters.faults_fired + counters.unauthorized;
        assert!(met > 0, "{}: {head}", attack.name);
        let innocent = session.call("echo", json!({ "n": 1 }));
        assert_eq!(innocent.status, 200, "{}: {}", attack.name, innocent.body);
        sandbox.stop_attacks();
        let listed = session.request("tools/list", json!({})).body;
        assert!(listed.contains("list_model_records") && !listed.contains("Hostile"), "{}: {listed}", attack.name);
    }
}

#[test]
fn several_attacks_go_beside_each_other() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    let names = ["redirect-circle", "own-tool-name", "get-401"];
    for name in names {
        sandbox.play(Attack::find(name).expect("it is in the table"), Strength::Short);
    }
    let heads = names.map(|name| meet(&sandbox, &session, Attack::find(name).expect("it is in the table")));
    let statuses = heads.each_ref().map(|head| head.split(' ').nth(1).unwrap_or_default());
    assert_eq!(statuses, ["307", "200", "401"]);
}

#[test]
fn a_cookie_flood_sets_other_cookies_each_time() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    let flood = Attack::find("cookie-flood").expect("it is in the table");
    sandbox.play(flood, Strength::Short);
    let names = |head: &str| -> Vec<String> {
        head.split("set-cookie: ").skip(1).filter_map(|cookie| cookie.split('=').next()).map(str::to_owned).collect()
    };
    let (first, second) = (names(&meet(&sandbox, &session, flood)), names(&meet(&sandbox, &session, flood)));
    assert_eq!((first.len(), second.len()), (80, 80));
    assert!(first.iter().all(|name| !second.contains(name)));
}

#[test]
fn everybody_is_registered_as_the_same_client_and_may_be_sent_back_to_where_he_says() {
    let sandbox = open_tenant(|config| config.registered_client_id = Some("r\u{1b}".to_owned()));
    let url = format!("{}/oauth/register", sandbox.api_base());
    let body = json!({ "redirect_uris": ["http://127.0.0.1:1/back"] }).to_string();
    let answer = planhat_sandbox::wire::send("POST", &url, &[], Some(body.as_bytes())).expect("an answer");
    assert_eq!((answer.status, &answer.json().expect("JSON")["client_id"]), (201, &json!("r\u{1b}")));
    let changes = [("client_id", "r\u{1b}"), ("redirect_uri", "http://127.0.0.1:1/back")];
    let page = planhat_sandbox::wire::send("GET", &authorize_url(&sandbox, &changes), &[], None).expect("a page");
    assert_eq!(page.status, 200, "{}", page.body);
}
