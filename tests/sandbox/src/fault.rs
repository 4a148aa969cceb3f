//! Faults on demand: which request they meet, how often, and what they do.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use url::form_urlencoded;

use crate::body::{Answer, answer, set_header};
use crate::gate::Gate;
use crate::lock;

/// The parts of the tenant that requests go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The MCP endpoint.
    Mcp,
    /// The token endpoint.
    Token,
    /// The authorize endpoint and its consent page.
    Authorize,
    /// The registration endpoint.
    Registration,
    /// The well-known places.
    Metadata,
    /// Anything else.
    Elsewhere,
}

impl Place {
    /// As it stands in the counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Place::Mcp => "mcp",
            Place::Token => "token",
            Place::Authorize => "authorize",
            Place::Registration => "registration",
            Place::Metadata => "metadata",
            Place::Elsewhere => "elsewhere",
        }
    }
}

/// Something that goes wrong: an effect, the request that it meets, and how often.
///
/// ```
/// use std::time::Duration;
/// use planhat_sandbox::{Fault, Place};
///
/// let throttled = Fault::status(429).retry_after(Duration::from_secs(2)).tool("list_model_records");
/// let flaky_tokens = Fault::status(503).at(Place::Token).times(2);
/// ```
#[derive(Debug, Clone)]
pub struct Fault {
    place: Place,
    http: Option<String>,
    method: Option<String>,
    tool: Option<String>,
    skip: u64,
    left: Option<u64>,
    before_auth: bool,
    gate: Option<Gate>,
    change: Option<Change>,
    executed: bool,
    quotes: bool,
    attack: bool,
    effect: Effect,
}

/// What [`Fault::quoting`] replaces.
const SENT: &str = "{sent}";

/// What a fault does to the tenant's memory before it does anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    LoseSessions,
    ExpireAccessTokens,
    RevokeRefreshTokens,
    RevokeGrants,
}

/// What a fault does to the request.
#[derive(Debug, Clone)]
pub(crate) enum Effect {
    Nothing,
    Answer { status: u16, headers: Vec<(String, String)>, retry_after: Option<RetryAfter>, body: Option<Vec<u8>> },
    HangUp,
    Cut { events: usize, clean: bool },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum RetryAfter {
    Seconds(Duration),
    Date(Duration),
}

impl Fault {
    fn new(effect: Effect) -> Self {
        Self {
            place: Place::Mcp,
            http: None,
            method: None,
            tool: None,
            skip: 0,
            left: Some(1),
            before_auth: false,
            gate: None,
            change: None,
            executed: false,
            quotes: false,
            attack: false,
            effect,
        }
    }

    /// Answers with this status, without doing what was asked.
    pub fn status(status: u16) -> Self {
        Self::new(Effect::Answer { status, headers: Vec::new(), retry_after: None, body: None })
    }

    /// Does what was asked, and then answers with this status all the same.
    pub fn status_after_executing(status: u16) -> Self {
        Self { executed: true, ..Self::status(status) }
    }

    /// Answers 200 with exactly these bytes: broken JSON, another id, a page of HTML.
    pub fn bytes(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).header("content-type", content_type).body(body)
    }

    /// Closes the connection without doing what was asked.
    pub fn hang_up() -> Self {
        Self::new(Effect::HangUp)
    }

    /// Does what was asked, and then closes the connection without an answer.
    pub fn hang_up_after_executing() -> Self {
        Self { executed: true, ..Self::hang_up() }
    }

    /// Breaks an SSE answer off after this many events, or any other answer in the middle of its body.
    pub fn cut_after(events: usize) -> Self {
        Self::new(Effect::Cut { events, clean: false })
    }

    /// Ends an SSE answer properly after this many events, although the answer proper is still to come.
    pub fn end_after(events: usize) -> Self {
        Self::new(Effect::Cut { events, clean: true })
    }

    /// Holds the request until the gate opens, and then does what was asked.
    pub fn held(gate: &Gate) -> Self {
        Self::new(Effect::Nothing).holding(gate)
    }

    /// Loses all sessions the moment that the request arrives.
    pub fn lose_sessions() -> Self {
        Self { change: Some(Change::LoseSessions), before_auth: true, ..Self::new(Effect::Nothing) }
    }

    /// Expires all access tokens the moment that the request arrives.
    pub fn expire_access_tokens() -> Self {
        Self { change: Some(Change::ExpireAccessTokens), before_auth: true, ..Self::new(Effect::Nothing) }
    }

    /// Revokes all refresh tokens the moment that the request arrives; access tokens stay valid.
    pub fn revoke_refresh_tokens() -> Self {
        Self { change: Some(Change::RevokeRefreshTokens), before_auth: true, ..Self::new(Effect::Nothing) }
    }

    /// Revokes all grants the moment that the request arrives.
    pub fn revoke_grants() -> Self {
        Self { change: Some(Change::RevokeGrants), before_auth: true, ..Self::new(Effect::Nothing) }
    }

    /// Adds a header to the answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Effect::Answer { headers, .. } = &mut self.effect {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// Adds `Retry-After` in seconds.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        if let Effect::Answer { retry_after, .. } = &mut self.effect {
            *retry_after = Some(RetryAfter::Seconds(wait));
        }
        self
    }

    /// Adds `Retry-After` as an HTTP-date, that long after the answer.
    pub fn retry_after_date(mut self, wait: Duration) -> Self {
        if let Effect::Answer { retry_after, .. } = &mut self.effect {
            *retry_after = Some(RetryAfter::Date(wait));
        }
        self
    }

    /// Replaces the answer's body.
    pub fn body(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        if let Effect::Answer { body, .. } = &mut self.effect {
            *body = Some(bytes.into());
        }
        self
    }

    /// Puts what was sent (credentials and body, as they are and decoded) in place of `{sent}` in the headers and in the
    /// JSON strings of the body.
    pub fn quoting(mut self) -> Self {
        self.quotes = true;
        self
    }

    /// The same fault, after it has quoted this request if it does so.
    pub(crate) fn meeting(mut self, headers: &HeaderMap, sent: &[u8]) -> Self {
        if let (true, Effect::Answer { headers: own, body, .. }) = (self.quotes, &mut self.effect) {
            let sent = quotable(headers, sent);
            let in_json = serde_json::Value::from(sent.as_str()).to_string();
            let in_header: String =
                sent.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
            for (_, value) in own {
                *value = value.replace(SENT, &in_header);
            }
            if let Some(body) = body {
                let text = String::from_utf8_lossy(body).replace(SENT, &in_json[1..in_json.len() - 1]);
                *body = text.into_bytes();
            }
        }
        self
    }

    /// Meets requests to this place; the MCP endpoint unless said.
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Meets this HTTP method only. At the MCP endpoint it is POST unless said.
    pub fn http(mut self, method: &str) -> Self {
        self.http = Some(method.to_ascii_uppercase());
        self
    }

    /// Meets this JSON-RPC method only.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Meets calls of this tool only.
    pub fn tool(mut self, name: &str) -> Self {
        self.method = Some("tools/call".into());
        self.tool = Some(name.into());
        self
    }

    /// Makes it a part of an attack, which can be stopped.
    pub(crate) fn of_attack(mut self) -> Self {
        self.attack = true;
        self
    }

    /// Lets this many matching requests through first.
    pub fn skip(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Meets this many requests; one unless said.
    pub fn times(mut self, requests: u64) -> Self {
        self.left = Some(requests);
        self
    }

    /// Meets every matching request from now on.
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    /// Takes effect before the token is looked at; otherwise a request that lacks a valid one is not met.
    pub fn before_auth(mut self) -> Self {
        self.before_auth = true;
        self
    }

    /// Holds the request at the gate before the fault takes effect.
    pub fn holding(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    fn meets(&self, seen: &Seen<'_>) -> bool {
        let http = self.http.as_deref().or(if self.place == Place::Mcp { Some("POST") } else { None });
        self.left != Some(0)
            && self.place == seen.place
            && self.before_auth == seen.before_auth
            && http.is_none_or(|http| http == seen.http)
            && self.method.as_deref().is_none_or(|method| Some(method) == seen.method)
            && self.tool.as_deref().is_none_or(|tool| Some(tool) == seen.tool)
    }

    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    pub(crate) fn change(&self) -> Option<Change> {
        self.change
    }

    pub(crate) fn executed(&self) -> bool {
        self.executed
    }

    pub(crate) fn effect(&self) -> &Effect {
        &self.effect
    }
}

/// What a request looks like to a fault.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) place: Place,
    pub(crate) http: &'a str,
    pub(crate) method: Option<&'a str>,
    pub(crate) tool: Option<&'a str>,
    pub(crate) before_auth: bool,
}

/// The faults that wait for their request, first come, first served.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Mutex<Vec<Fault>>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        lock(&self.waiting).push(fault);
    }

    pub(crate) fn clear(&self) {
        lock(&self.waiting).clear();
    }

    pub(crate) fn stop_attacks(&self) {
        lock(&self.waiting).retain(|fault| !fault.attack);
    }

    pub(crate) fn take(&self, seen: &Seen<'_>) -> Option<Fault> {
        let mut waiting = lock(&self.waiting);
        let index = waiting.iter_mut().position(|fault| {
            let meets = fault.meets(seen);
            let skipped = meets && fault.skip > 0;
            fault.skip -= u64::from(skipped);
            meets && !skipped
        })?;
        let fault = waiting[index].clone();
        match &mut waiting[index].left {
            Some(1) => drop(waiting.remove(index)),
            Some(left) => *left -= 1,
            None => {}
        }
        Some(fault)
    }
}

/// The answer that a fault gives instead of the true one.
pub(crate) fn fault_answer(
    status: u16,
    headers: &[(String, String)],
    retry_after: Option<RetryAfter>,
    body: Option<&[u8]>,
) -> Answer {
    let own_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let body = match body {
        Some(body) => body.to_vec(),
        None => serde_json::json!({ "statusCode": status, "message": reason(status) }).to_string().into_bytes(),
    };
    let mut answer = answer(status, if own_type { "" } else { "application/json; charset=utf-8" }, body);
    for (name, value) in headers {
        set_header(&mut answer, name, value);
    }
    match retry_after {
        Some(RetryAfter::Seconds(wait)) => set_header(&mut answer, "retry-after", &wait.as_secs().to_string()),
        Some(RetryAfter::Date(wait)) => {
            set_header(&mut answer, "retry-after", &httpdate::fmt_http_date(SystemTime::now() + wait));
        }
        None => {}
    }
    answer
}

/// The credentials and the body of a request, as they came and decoded.
fn quotable(headers: &HeaderMap, body: &[u8]) -> String {
    let credentials = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let basic = credentials.split_once(' ').and_then(|(_, text)| STANDARD.decode(text).ok()).unwrap_or_default();
    let body = String::from_utf8_lossy(body);
    let fields: Vec<String> =
        form_urlencoded::parse(body.as_bytes()).map(|(name, value)| format!("{name} {value}")).collect();
    format!("{credentials} | {} | {body} | {}", String::from_utf8_lossy(&basic), fields.join(" | "))
}

fn reason(status: u16) -> &'static str {
    hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tool: &str) -> Seen<'_> {
        Seen { place: Place::Mcp, http: "POST", method: Some("tools/call"), tool: Some(tool), before_auth: false }
    }

    #[test]
    fn a_fault_skips_then_fires_its_number_of_times() {
        let faults = Faults::default();
        faults.add(Fault::status(500).tool("echo").skip(1).times(2));
        let fired: Vec<bool> = (0..5).map(|_| faults.take(&call("echo")).is_some()).collect();
        assert_eq!(fired, [false, true, true, false, false]);
    }

    #[test]
    fn a_fault_for_one_tool_leaves_others_alone() {
        let faults = Faults::default();
        faults.add(Fault::status(500).tool("echo"));
        assert!(faults.take(&call("blob")).is_none());
        assert!(faults.take(&call("echo")).is_some());
    }

    #[test]
    fn a_skipping_fault_does_not_hide_the_next_one() {
        let faults = Faults::default();
        faults.add(Fault::status(500).skip(1));
        faults.add(Fault::status(429));
        let status = |fault: Option<Fault>| match fault.map(|fault| fault.effect) {
            Some(Effect::Answer { status, .. }) => Some(status),
            _ => None,
        };
        assert_eq!(status(faults.take(&call("echo"))), Some(429));
        assert_eq!(status(faults.take(&call("echo"))), Some(500));
    }
}
