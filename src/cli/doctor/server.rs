//! Runs a real `tools/list` on the path of the bridge's messages: bearer, renewal, headers, streams.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::row::Row;
use crate::auth::Authorizer;
use crate::bridge::session::ask::{PrivateAnswer, ask as ask_server};
use crate::bridge::session::incoming::Incoming;
use crate::cli::remembered::{self, Fact};
use crate::clock;
use crate::config::Settings;
use crate::http::Http;
use crate::limits::INITIALIZED_ACCEPTANCE_WAIT;
use crate::message::{IdKey, Revision, offered_in_refusal, revisions_after_refusal};
use crate::problem::{Problem, ProblemId};
use crate::remote::request::{PROTOCOL_VERSION, SESSION_ID};
use crate::remote::{Failure, Outgoing, Remote, RemoteSession};
use crate::secret::Secrets;

const NAME: &str = "tools";
/// How long the handshake and the list may take together.
const TOOLS_TIMEOUT: Duration = Duration::from_secs(12);
/// `UnsupportedProtocolVersionError` (MCP 2026-07-28).
const UNSUPPORTED_PROTOCOL_VERSION: i64 = -32022;
/// The prefix of MCP's own members of `_meta`.
const META_PREFIX: &str = "io.modelcontextprotocol";

/// Lists the tools.
pub async fn check(settings: &Arc<Settings>, http: &Http, auth: &Arc<Authorizer>) -> Row {
    let remote =
        Remote::new(Arc::clone(settings), http.clone(), Arc::clone(auth), clock::system(), Arc::default(), false);
    let start = Instant::now();
    let listed = tokio::time::timeout(TOOLS_TIMEOUT, list(&remote)).await;
    let took = start.elapsed().as_millis();
    let host = settings.service_name();
    let row = match listed {
        Ok(Ok(tools)) => {
            // As a first start of the bridge finds it.
            let learnt = remembered::of_memory(settings, &remote.remembered().learnt());
            let details = learnt.iter().map(Fact::statement).collect();
            Row::ok(NAME, format!("{tools} listed within {took} ms")).with_details(details)
        }
        Ok(Err(failure)) => {
            let problem = failure.into_problem();
            let has_command = problem.fact("command").is_some();
            Row::fail(NAME, if has_command { problem } else { problem.with("command", settings.command("login")) })
        }
        // The time went into waiting for a rate limit to end.
        Err(_) if remote.is_throttled() => Row::warn(NAME, Problem::new(ProblemId::RateLimited).with("status", 429)),
        Err(_) => {
            let problem = Problem::new(ProblemId::AnswerTimedOut).with("host", host);
            Row::fail(NAME, problem.with("seconds", TOOLS_TIMEOUT.as_secs()))
        }
    };
    remote.end_session().await;
    row
}

/// How many tools there are, in words.
async fn list(remote: &Remote) -> Result<String, Failure> {
    let client_info = json!({ "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") });
    let (incoming, answer) = negotiate(remote, &client_info).await?;
    let mut params = json!({});
    if let Some(revision) = other_revision(&answer) {
        params["_meta"] = json!({
            format!("{META_PREFIX}/protocolVersion"): revision,
            format!("{META_PREFIX}/clientInfo"): client_info,
            format!("{META_PREFIX}/clientCapabilities"): {},
        });
        return listed(remote, &params, Some(stateless_headers(&revision))).await;
    }
    let version = result(&answer, &incoming.exchange.sent)?["protocolVersion"]
        .as_str()
        .and_then(|text| HeaderValue::from_str(text).ok());
    let session = remote.session();
    remote.set_session(RemoteSession {
        id: incoming.exchange.headers.get(SESSION_ID).cloned(),
        version,
        ..(*session).clone()
    });
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    let initialized = Outgoing::unanswered(Bytes::from_static(initialized.as_bytes()));
    let mut sending = Box::pin(remote.exchange(&initialized));
    match tokio::time::timeout(INITIALIZED_ACCEPTANCE_WAIT, &mut sending).await {
        // As in a bridge, what follows shows whether it works.
        Ok(Ok(_) | Err(Failure::Refused { .. })) | Err(_) => {}
        Ok(Err(failure)) => return Err(failure),
    }
    listed(remote, &params, None).await
}

/// How many tools the first page of the list has.
async fn listed(remote: &Remote, params: &Value, mcp_headers: Option<HeaderMap>) -> Result<String, Failure> {
    let (incoming, answer) = ask(remote, 2, "tools/list", params, mcp_headers).await?;
    let result = result(&answer, &incoming.exchange.sent)?;
    let count = result["tools"].as_array().map_or(0, Vec::len);
    let more = if result["nextCursor"].is_string() { " or more" } else { "" };
    Ok(format!("{count}{more} tool{}", if count == 1 { "" } else { "s" }))
}

/// The answer to `initialize`; a server that refuses the revision is asked for older ones, as the bridge does.
async fn negotiate(remote: &Remote, client_info: &Value) -> Result<(Incoming, Value), Failure> {
    let mut revision = Revision::V_2025_11_25;
    let mut left: Option<VecDeque<Revision>> = None;
    loop {
        let initialize = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": client_info });
        let answered = ask(remote, 1, "initialize", &initialize, None).await;
        let offered = match &answered {
            Ok((_, answer)) if answer.get("error").is_some() && other_revision(answer).is_none() => {
                offered_in_refusal(answer.to_string().as_bytes())
            }
            Err(Failure::Refused { revisions, .. }) => revisions.clone(),
            Ok(_) | Err(_) => None,
        };
        let next = offered.and_then(|offered| {
            left.get_or_insert_with(|| revisions_after_refusal(&revision, &offered).into()).pop_front()
        });
        let Some(next) = next else {
            if left.is_some() && answered.is_ok() {
                remote.remembered().takes_revision(Some(revision));
            }
            return answered;
        };
        revision = next;
    }
}

/// Sends a request and returns its answer, with where it came from.
async fn ask(
    remote: &Remote,
    number: u64,
    method: &str,
    params: &Value,
    mcp_headers: Option<HeaderMap>,
) -> Result<(Incoming, Value), Failure> {
    let id = format!("planhat-mcp/doctor/{number}");
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
    let body = Bytes::from(body);
    let out = Outgoing { expects: Some(IdKey::Text(id)), mcp_headers, ..Outgoing::unanswered(body) };
    // Other messages on the stream are for a client, and there is none.
    let PrivateAnswer { line, incoming, .. } = ask_server(remote, None, &out, None).await?;
    let answer =
        serde_json::from_slice(&line).map_err(|error| Problem::new(ProblemId::InvalidAnswer).with("detail", error))?;
    Ok((incoming, answer))
}

/// The result in an answer, or the server's error.
fn result<'a>(answer: &'a Value, sent: &Secrets) -> Result<&'a Value, Failure> {
    if let Some(error) = answer.get("error") {
        let server_said = error["message"].as_str().unwrap_or("an error without words");
        return Err(Problem::new(ProblemId::HttpStatus).said("server_said", sent.words(server_said)).into());
    }
    Ok(&answer["result"])
}

/// The revision for a server that refuses this one because it has no handshake.
fn other_revision(answer: &Value) -> Option<Revision> {
    let error = answer.get("error").filter(|error| error["code"] == UNSUPPORTED_PROTOCOL_VERSION)?;
    let listed = error["data"]["supported"].as_array().into_iter().flatten().find_map(Value::as_str);
    Some(listed.map_or(Revision::V_2026_07_28, Revision::parse))
}

fn stateless_headers(revision: &Revision) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(revision.as_str()) {
        headers.insert(PROTOCOL_VERSION, value);
    }
    headers.insert(HeaderName::from_static("mcp-method"), HeaderValue::from_static("tools/list"));
    headers
}
