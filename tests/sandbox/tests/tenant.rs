//! The tenant as a client meets it: sign-in, tokens, calls, faults.

use std::time::Duration;

use planhat_sandbox::browser::{Choice, walk};
use planhat_sandbox::wire::{Page, send};
use planhat_sandbox::{
    AnswerMode, CLIENT_ID, CLIENT_SECRET, ClientSpec, Config, Fault, Gate, Permission, Place, RawReply, Rotation,
    Sandbox, UserSpec,
};
use serde_json::{Value, json};

const REDIRECT: &str = "http://127.0.0.1:9/callback";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-long";
/// S256 of `VERIFIER`, computed apart from the code under test.
const CHALLENGE: &str = "IVwqw-RbcfSCohPiwFj5_rcK5SITNl8PHeuEfqi9ouM";
const SOON: Duration = Duration::from_secs(10);

fn authorize_url(sandbox: &Sandbox, changes: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT),
        ("scope", "inclusive"),
        ("state", "st&te"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    for change in changes {
        fields.retain(|field| field.0 != change.0);
        fields.push(*change);
    }
    let base = format!("{}/oauth/authorize", sandbox.ws_base());
    url::Url::parse_with_params(&base, fields).expect("a URL").to_string()
}

/// Presses a button on the consent page and gives the query that the callback would get.
fn consent(sandbox: &Sandbox, choice: Choice) -> Vec<(String, String)> {
    let page = send("GET", &authorize_url(sandbox, &[]), &[], None).expect("a page");
    let ticket =
        page.body.split("name=\"ticket\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
    let form = format!("ticket={ticket}&choice={}", if choice == Choice::Allow { "allow" } else { "cancel" });
    let url = format!("{}/oauth/consent", sandbox.ws_base());
    callback(&send("POST", &url, &[], Some(form.as_bytes())).expect("a redirect"))
}

fn callback(redirect: &Page) -> Vec<(String, String)> {
    assert_eq!(redirect.status, 303, "{}", redirect.body);
    let location = url::Url::parse(redirect.header("location").expect("a location")).expect("a URL");
    assert!(location.as_str().starts_with(REDIRECT));
    location.query_pairs().into_owned().collect()
}

fn value<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn token(sandbox: &Sandbox, fields: &[(&str, &str)]) -> Page {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)]).extend_pairs(fields);
    send("POST", &format!("{}/oauth/token", sandbox.api_base()), &[], Some(form.finish().as_bytes()))
        .expect("an answer")
}

fn exchange(sandbox: &Sandbox, code: &str, verifier: &str) -> Page {
    let grant = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
    token(sandbox, &[grant.as_slice(), &[("code_verifier", verifier)]].concat())
}

fn refresh(sandbox: &Sandbox, refresh_token: &str) -> Page {
    token(sandbox, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
}

/// Signs in and gives the access and the refresh token.
fn sign_in(sandbox: &Sandbox) -> (String, String) {
    let query = consent(sandbox, Choice::Allow);
    let tokens = exchange(sandbox, value(&query, "code").expect("a code"), VERIFIER).json().expect("tokens");
    let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    (text("access_token"), text("refresh_token"))
}

/// A session at the MCP endpoint.
struct Session<'a> {
    sandbox: &'a Sandbox,
    token: String,
    id: String,
}

impl<'a> Session<'a> {
    fn open(sandbox: &'a Sandbox, token: String) -> Self {
        let mut session = Self { sandbox, token, id: String::new() };
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let answer = session.request("initialize", params);
        assert_eq!(answer.status, 200, "{}", answer.body);
        session.id = answer.header("mcp-session-id").unwrap_or_default().to_owned();
        session.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).expect("taken");
        session
    }

    fn post(&self, message: &Value) -> std::io::Result<Page> {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        if !self.id.is_empty() {
            headers.push(("mcp-session-id", &self.id));
        }
        send("POST", &self.sandbox.mcp_url(), &headers, Some(message.to_string().as_bytes()))
    }

    fn request(&self, method: &str, params: Value) -> Page {
        self.post(&json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })).expect("an answer")
    }

    fn call(&self, tool: &str, arguments: Value) -> Page {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }
}

fn open_tenant(change: impl FnOnce(&mut Config)) -> Sandbox {
    let mut config = Config::with_redirect(REDIRECT);
    change(&mut config);
    Sandbox::start(config)
}

#[test]
fn the_metadata_has_exactly_the_members_of_planhats_document() {
    let sandbox = open_tenant(|_| {});
    let url = format!("{}/.well-known/oauth-authorization-server", sandbox.api_base());
    let document = send("GET", &url, &[], None).expect("a document").json().expect("JSON");
    assert_eq!(
        document,
        json!({
            "issuer": sandbox.api_base(),
            "authorization_endpoint": format!("{}/oauth/authorize", sandbox.ws_base()),
            "token_endpoint": format!("{}/oauth/token", sandbox.api_base()),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["inclusive"],
        })
    );
    assert_ne!(sandbox.api_base(), sandbox.ws_base());
}

#[test]
fn every_other_well_known_place_answers_401() {
    let sandbox = open_tenant(|_| {});
    for place in ["openid-configuration", "oauth-protected-resource", "oauth-protected-resource/v1/mcp", "x"] {
        let url = format!("{}/.well-known/{place}", sandbox.api_base());
        assert_eq!(send("GET", &url, &[], None).expect("an answer").status, 401, "{place}");
    }
}

#[test]
fn a_sign_in_gives_a_token_that_opens_the_mcp_endpoint() {
    let sandbox = open_tenant(|_| {});
    let (access, _) = sign_in(&sandbox);
    let session = Session::open(&sandbox, access);
    let listed = session.call("list_model_records", json!({ "MODEL": "Company", "LIMIT": 1 }));
    let result = &listed.json().expect("an answer")["result"];
    assert_eq!(result["structuredContent"]["records"][0]["name"], "Aurora Freight", "{}", listed.body);
    let counters = sandbox.counters();
    assert_eq!((counters.code_exchanges, counters.consents_granted, counters.sessions_created), (1, 1, 1));
    assert_eq!(counters.tool("list_model_records"), 1);
}

#[test]
fn the_state_comes_back_as_it_was_and_cancel_denies() {
    let sandbox = open_tenant(|_| {});
    let query = consent(&sandbox, Choice::Deny);
    assert_eq!(value(&query, "error"), Some("access_denied"));
    assert_eq!(value(&query, "state"), Some("st&te"));
    assert_eq!(value(&query, "code"), None);
    assert_eq!(sandbox.counters().consents_denied, 1);
}

#[test]
fn a_wrong_verifier_is_refused() {
    let sandbox = open_tenant(|_| {});
    let query = consent(&sandbox, Choice::Allow);
    let refused =
        exchange(&sandbox, value(&query, "code").expect("a code"), "another-verifier-of-at-least-forty-three-chars");
    assert_eq!((refused.status, refused.json().expect("JSON")["error"].clone()), (400, json!("invalid_grant")));
}

#[test]
fn a_code_used_twice_is_refused_and_takes_its_tokens_along() {
    let sandbox = open_tenant(|_| {});
    let query = consent(&sandbox, Choice::Allow);
    let code = value(&query, "code").expect("a code");
    let tokens = exchange(&sandbox, code, VERIFIER).json().expect("tokens");
    assert_eq!(exchange(&sandbox, code, VERIFIER).status, 400);
    assert_eq!(refresh(&sandbox, tokens["refresh_token"].as_str().expect("a token")).status, 400);
}

#[test]
fn a_refresh_token_used_twice_revokes_the_grant() {
    let sandbox = open_tenant(|_| {});
    let (_, first) = sign_in(&sandbox);
    let second = refresh(&sandbox, &first).json().expect("tokens");
    assert_eq!(refresh(&sandbox, &first).status, 400);
    assert_eq!(refresh(&sandbox, second["refresh_token"].as_str().expect("a token")).status, 400);
    let counters = sandbox.counters();
    assert_eq!((counters.refreshes, counters.refresh_refusals, counters.refresh_reuse), (1, 2, 1));
}

#[test]
fn without_rotation_the_refresh_token_stays_and_the_answer_may_leave_it_out() {
    let sandbox = open_tenant(|config| config.rotation = Rotation::Omit);
    let (_, first) = sign_in(&sandbox);
    for _ in 0..2 {
        let tokens = refresh(&sandbox, &first).json().expect("tokens");
        assert!(tokens["access_token"].is_string() && tokens.get("refresh_token").is_none(), "{tokens}");
    }
}

#[test]
fn the_error_pages_speak_planhats_words_and_do_not_lead_back() {
    let sandbox = open_tenant(|config| config.user.permissions = Permission::views());
    let says = |changes: &[(&str, &str)], words: &str| {
        let page = send("GET", &authorize_url(&sandbox, changes), &[], None).expect("a page");
        assert!(page.status >= 400 && page.header("location").is_none());
        assert!(page.body.contains(words), "{}", page.body);
    };
    says(&[("client_id", "pk_other")], "Invalid client_id: OAuth client not found.");
    let redirect = "http://127.0.0.1:9/callback/";
    says(&[("redirect_uri", redirect)], "Invalid redirect_uri: not registered for this client.");
    says(&[("scope", "default")], "OAuth permission check failed: missing permissions");
    sandbox.configure(|config| config.clients = vec![ClientSpec::confidential().redirect(REDIRECT).permissions([])]);
    says(&[], "You do not have any of the permissions this application requests.");
    assert_eq!(sandbox.counters().authorize_refused, 4);
}

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

/// A tenant that needs no token, with the tools for tests.
fn open_door() -> Sandbox {
    open_tenant(|config| {
        config.auth_required = false;
        config.test_tools = true;
    })
}

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

#[test]
fn a_browser_allows_denies_or_leaves() {
    let callback = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let redirect = format!("http://{}/callback", callback.local_addr().expect("an address"));
    let sandbox = Sandbox::start(Config::with_redirect(&redirect));
    let listener = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = callback.accept().expect("a browser");
            let mut head = [0; 2048];
            let _ = std::io::Read::read(&mut stream, &mut head);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";
            std::io::Write::write_all(&mut stream, answer).expect("written");
        }
    });
    let url = authorize_url(&sandbox, &[("redirect_uri", &redirect)]);
    let left = walk(&url, Choice::Leave).expect("a walk");
    assert_eq!((left.pages.len(), left.last().status), (1, 200));
    for (choice, expected) in [(Choice::Allow, "?code="), (Choice::Deny, "?error=access_denied")] {
        let walked = walk(&url, choice).expect("a walk");
        let methods: Vec<&str> = walked.pages.iter().map(|page| page.method.as_str()).collect();
        assert_eq!(methods, ["GET", "POST", "GET"]);
        assert!(walked.last().url.contains(expected), "{}", walked.last().url);
        assert_eq!(walked.last().body, "done");
    }
    listener.join().expect("served");
    assert_eq!(sandbox.requests_at(Place::Authorize).len(), 5);
}

/// Reads an event stream by the line, on a connection of its own.
fn standing_stream(sandbox: &Sandbox, session: &str) -> impl Iterator<Item = String> {
    let address = sandbox.api_base().replace("http://", "");
    let mut stream = std::net::TcpStream::connect(&address).expect("a connection");
    let request = format!(
        "GET /v1/mcp HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\r\n"
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("written");
    std::io::BufRead::lines(std::io::BufReader::new(stream)).map_while(Result::ok)
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
fn the_user_is_asked_through_the_client_in_the_middle_of_a_call() {
    let sandbox = open_door();
    let session = Session::open(&sandbox, String::new());
    sandbox.fault(Fault::end_after(2).tool("ask_user"));
    let asked = session.call("ask_user", json!({})).json().expect("a request");
    assert_eq!(asked["method"], "elicitation/create");
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "decline" } });
    assert_eq!(session.post(&answer).expect("taken").status, 202);
}
