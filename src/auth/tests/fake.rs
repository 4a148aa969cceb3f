//! For tests alone: an authorization server and MCP endpoint in one, on loopback, that does as it is told and counts.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::form_urlencoded;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Seen {
    pub fn form(&self) -> HashMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

impl Seen {
    /// The credentials and the form, as they came and decoded and encoded, for the inside of a JSON string.
    fn quoted(&self) -> String {
        let credentials = self.headers.get("authorization").map_or("", String::as_str);
        let basic = STANDARD.decode(credentials.trim_start_matches("Basic ")).unwrap_or_default();
        let mut all = vec![credentials.to_owned(), String::from_utf8_lossy(&basic).into_owned(), self.body.clone()];
        for (name, value) in self.form() {
            all.push(format!("{name} {value} {}", STANDARD.encode(&value)));
        }
        let text = serde_json::Value::from(all.join(" | ")).to_string();
        text[1..text.len() - 1].to_owned()
    }
}

/// What the server does and has seen.
#[derive(Debug, Default)]
pub struct Script {
    /// Answers by target; what is not here is 404.
    pub pages: HashMap<String, (u16, String)>,
    /// Redirects by target, whatever the method.
    pub redirects: HashMap<String, (u16, String)>,
    /// More headers of the answers at a target, or another `Content-Type`.
    pub heads: HashMap<String, String>,
    /// Headers of the MCP endpoint's 401.
    pub challenge: Option<String>,
    /// Answers of the MCP endpoint by method, in place of its 401.
    pub mcp: HashMap<String, (u16, String)>,
    /// Answers of the token endpoint that come before its own.
    pub token_faults: VecDeque<(u16, String)>,
    /// Answers of the registration endpoint that come before its page.
    pub registrations: VecDeque<(u16, String)>,
    /// Holds what the token endpoint was sent until there is a permit for it.
    pub held: Option<Arc<tokio::sync::Semaphore>>,
    /// How many requests to the token endpoint end without an answer.
    pub hang_ups: u32,
    /// How a client has to prove itself: `basic`, `post` or nothing.
    pub require: Option<&'static str>,
    /// The one Basic pair that is good, compared as it comes.
    pub basic_pair: Option<&'static str>,
    /// Whether the form has to name the client however it proves itself, as the Python SDK and FastMCP want it.
    pub wants_client_id: bool,
    /// The life of an access token in seconds, when it is told.
    pub life: Option<i64>,
    /// Whether refresh tokens rotate.
    pub rotates: bool,
    /// The one refresh token that is good now.
    pub refresh_token: String,
    pub issued: u32,
    pub refreshes: u32,
    /// Spent refresh tokens that were presented.
    pub reused: u32,
    pub seen: Vec<Seen>,
}

/// The server; ends with the test's runtime.
#[derive(Debug, Clone)]
pub struct Fake {
    pub origin: String,
    script: Arc<Mutex<Script>>,
}

impl Fake {
    /// Starts one that publishes Planhat-like metadata: only RFC 8414, 401 elsewhere.
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }

    pub async fn start_at(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { origin: origin.clone(), script: Arc::default() };
        {
            let mut script = fake.script();
            script.rotates = true;
            script.life = Some(3600);
            script.pages.insert("/.well-known/oauth-authorization-server".into(), (200, fake.metadata()));
            for place in [
                "/.well-known/openid-configuration",
                "/.well-known/oauth-protected-resource",
                "/.well-known/oauth-protected-resource/mcp",
            ] {
                script.pages.insert(place.into(), (401, "{\"message\":\"Unauthorized\"}".into()));
            }
        }
        let served = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = served.clone();
                tokio::spawn(async move {
                    let _ = served.serve(stream).await;
                });
            }
        });
        fake
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub fn metadata(&self) -> String {
        let origin = &self.origin;
        serde_json::json!({
            "issuer": origin, "authorization_endpoint": format!("{origin}/authorize"),
            "token_endpoint": format!("{origin}/token"), "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"], "scopes_supported": ["inclusive"],
        })
        .to_string()
    }

    pub fn page(&self, target: &str, status: u16, body: impl Into<String>) {
        self.script().pages.insert(target.into(), (status, body.into()));
    }

    pub fn redirect(&self, target: &str, status: u16, location: &str) {
        self.script().redirects.insert(target.into(), (status, location.into()));
    }

    /// Refreshes, and spent refresh tokens that were presented.
    pub fn counts(&self) -> (u32, u32) {
        let script = self.script();
        (script.refreshes, script.reused)
    }

    pub fn token_requests(&self) -> Vec<Seen> {
        self.script().seen.iter().filter(|seen| seen.target == "/token").cloned().collect()
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            let mut chunk = [0; 4096];
            let n = stream.read(&mut chunk).await?;
            if n == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(&chunk[..n]);
        };
        let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
        let mut lines = text.lines();
        let mut first = lines.next().unwrap_or_default().split(' ');
        let mut seen = Seen {
            method: first.next().unwrap_or_default().into(),
            target: first.next().unwrap_or_default().into(),
            headers: lines
                .filter_map(|l| l.split_once(": "))
                .map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()))
                .collect(),
            body: String::new(),
        };
        let length = seen.headers.get("content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
        while bytes.len() < head + 4 + length {
            let mut chunk = [0; 4096];
            let n = stream.read(&mut chunk).await?;
            if n == 0 {
                return Ok(());
            }
            bytes.extend_from_slice(&chunk[..n]);
        }
        seen.body = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
        if seen.target == "/token" && self.script().hangs_up() {
            self.script().seen.push(seen);
            return Ok(());
        }
        let held = self.script().held.clone().filter(|_| seen.target == "/token");
        if let Some(held) = held {
            held.acquire().await.expect("never closed").forget();
        }
        let (status, headers, body) = self.answer(&seen);
        let kind =
            if headers.contains("Content-Type") { "" } else { "Content-Type: application/json;charset=UTF-8\r\n" };
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{kind}Connection: close\r\n{headers}\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await
    }

    fn answer(&self, seen: &Seen) -> (u16, String, String) {
        let mut script = self.script();
        script.seen.push(seen.clone());
        if let Some((status, location)) = script.redirects.get(&seen.target) {
            return (*status, format!("Location: {location}\r\n"), String::new());
        }
        match (seen.method.as_str(), seen.target.as_str()) {
            ("POST", "/token") => {
                let (status, body) = match script.token_faults.pop_front() {
                    Some(fault) => fault,
                    None => script.token(seen),
                };
                (status, String::new(), body.replace("{sent}", &seen.quoted()))
            }
            ("POST", "/register") if !script.registrations.is_empty() => {
                let (status, body) = script.registrations.pop_front().unwrap();
                (status, String::new(), body)
            }
            (method, "/mcp") if script.mcp.contains_key(method) => {
                let (status, body) = script.mcp[method].clone();
                (status, "Mcp-Session-Id: s1\r\n".into(), body)
            }
            (_, "/mcp") => {
                let challenge = script.challenge.clone().unwrap_or_else(|| "Bearer".into());
                (401, format!("WWW-Authenticate: {challenge}\r\n"), String::new())
            }
            (_, target) => {
                // A page that is asked with a query, too.
                let page = script.pages.get(target).or_else(|| script.pages.get(target.split('?').next()?));
                let (status, body) = page.cloned().unwrap_or((404, "not here".into()));
                (status, script.heads.get(target).cloned().unwrap_or_default(), body)
            }
        }
    }
}

impl Script {
    fn hangs_up(&mut self) -> bool {
        let hangs_up = self.hang_ups > 0;
        self.hang_ups -= u32::from(hangs_up);
        hangs_up
    }

    fn token(&mut self, seen: &Seen) -> (u16, String) {
        let form = seen.form();
        let shown = match (seen.headers.contains_key("authorization"), form.contains_key("client_secret")) {
            (true, _) => Some("basic"),
            (_, true) => Some("post"),
            _ => None,
        };
        if self.require.is_some() && shown != self.require {
            return (401, r#"{"error":"invalid_client","error_description":"not like this"}"#.into());
        }
        let pair = seen.headers.get("authorization").and_then(|value| value.strip_prefix("Basic "));
        let pair = pair.and_then(|pair| STANDARD.decode(pair).ok()).unwrap_or_default();
        if self.basic_pair.is_some_and(|good| good.as_bytes() != pair) {
            return (401, r#"{"error":"invalid_client"}"#.into());
        }
        if self.wants_client_id && !form.contains_key("client_id") {
            return (401, r#"{"error":"unauthorized_client","error_description":"Missing client_id"}"#.into());
        }
        if form.get("grant_type").map(String::as_str) == Some("refresh_token") {
            if form["refresh_token"] != self.refresh_token {
                self.reused += 1;
                return (400, r#"{"error":"invalid_grant","error_description":"unknown refresh token"}"#.into());
            }
            self.refreshes += 1;
        }
        self.issued += 1;
        if self.rotates || self.refresh_token.is_empty() {
            self.refresh_token = format!("canary-refresh-{}", self.issued);
        }
        let mut answer = serde_json::json!({
            "access_token": format!("canary-access-{}", self.issued), "token_type": "BEARER", "scope": "inclusive",
        });
        if self.rotates || self.issued == 1 {
            answer["refresh_token"] = self.refresh_token.clone().into();
        }
        if let Some(life) = self.life {
            answer["expires_in"] = life.to_string().into();
        }
        (200, answer.to_string())
    }
}
