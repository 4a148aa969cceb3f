//! What every test needs: a tenant, a person who signs in, a session at the MCP endpoint.

use std::time::Duration;

use planhat_sandbox::browser::Choice;
use planhat_sandbox::wire::{Page, send};
use planhat_sandbox::{CLIENT_ID, CLIENT_SECRET, Config, Sandbox};
use serde_json::{Value, json};

pub const REDIRECT: &str = "http://127.0.0.1:9/callback";
pub const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-long";
/// S256 of `VERIFIER`, computed apart from the code under test.
pub const CHALLENGE: &str = "IVwqw-RbcfSCohPiwFj5_rcK5SITNl8PHeuEfqi9ouM";
pub const SOON: Duration = Duration::from_secs(10);

pub fn authorize_url(sandbox: &Sandbox, changes: &[(&str, &str)]) -> String {
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
pub fn consent(sandbox: &Sandbox, choice: Choice) -> Vec<(String, String)> {
    let page = send("GET", &authorize_url(sandbox, &[]), &[], None).expect("a page");
    let ticket =
        page.body.split("name=\"ticket\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
    let form = format!("ticket={ticket}&choice={}", if choice == Choice::Allow { "allow" } else { "cancel" });
    let url = format!("{}/oauth/consent", sandbox.ws_base());
    callback(&send("POST", &url, &[], Some(form.as_bytes())).expect("a redirect"))
}

pub fn callback(redirect: &Page) -> Vec<(String, String)> {
    assert_eq!(redirect.status, 303, "{}", redirect.body);
    let location = url::Url::parse(redirect.header("location").expect("a location")).expect("a URL");
    assert!(location.as_str().starts_with(REDIRECT));
    location.query_pairs().into_owned().collect()
}

pub fn value<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

pub fn token(sandbox: &Sandbox, fields: &[(&str, &str)]) -> Page {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([("client_id", CLIENT_ID), ("client_secret", CLIENT_SECRET)]).extend_pairs(fields);
    send("POST", &format!("{}/oauth/token", sandbox.api_base()), &[], Some(form.finish().as_bytes()))
        .expect("an answer")
}

pub fn exchange(sandbox: &Sandbox, code: &str, verifier: &str) -> Page {
    let grant = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
    token(sandbox, &[grant.as_slice(), &[("code_verifier", verifier)]].concat())
}

pub fn refresh(sandbox: &Sandbox, refresh_token: &str) -> Page {
    token(sandbox, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
}

/// Signs in and gives the access and the refresh token.
pub fn sign_in(sandbox: &Sandbox) -> (String, String) {
    let query = consent(sandbox, Choice::Allow);
    let tokens = exchange(sandbox, value(&query, "code").expect("a code"), VERIFIER).json().expect("tokens");
    let text = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    (text("access_token"), text("refresh_token"))
}

/// A session at the MCP endpoint.
pub struct Session<'a> {
    pub sandbox: &'a Sandbox,
    pub token: String,
    pub id: String,
}

impl<'a> Session<'a> {
    pub fn open(sandbox: &'a Sandbox, token: String) -> Self {
        let mut session = Self { sandbox, token, id: String::new() };
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let answer = session.request("initialize", params);
        assert_eq!(answer.status, 200, "{}", answer.body);
        session.id = answer.header("mcp-session-id").unwrap_or_default().to_owned();
        session.post(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).expect("taken");
        session
    }

    pub fn post(&self, message: &Value) -> std::io::Result<Page> {
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

    pub fn request(&self, method: &str, params: Value) -> Page {
        self.post(&json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })).expect("an answer")
    }

    pub fn call(&self, tool: &str, arguments: Value) -> Page {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }
}

pub fn open_tenant(change: impl FnOnce(&mut Config)) -> Sandbox {
    let mut config = Config::with_redirect(REDIRECT);
    change(&mut config);
    Sandbox::start(config)
}

/// A tenant that needs no token, with the tools for tests.
pub fn open_door() -> Sandbox {
    open_tenant(|config| {
        config.auth_required = false;
        config.test_tools = true;
    })
}

/// Reads an event stream by the line, on a connection of its own.
pub fn standing_stream(sandbox: &Sandbox, session: &str) -> impl Iterator<Item = String> {
    let address = sandbox.api_base().replace("http://", "");
    let mut stream = std::net::TcpStream::connect(&address).expect("a connection");
    let request = format!(
        "GET /v1/mcp HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\nmcp-session-id: {session}\r\n\r\n"
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("written");
    std::io::BufRead::lines(std::io::BufReader::new(stream)).map_while(Result::ok)
}
