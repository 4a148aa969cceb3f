//! `/v1/mcp`: faults, the bearer token, scripted answers, refusals, and then the server proper.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use hyper::{Method, Request};
use serde_json::{Map, Value, json};

use super::server::McpService;
use super::{http_sse, stream};
use crate::body::{Answer, Hangup, answer as plain, is_event_stream, json, set_header};
use crate::config::{AnswerMode, Config, Refusals};
use crate::fault::{Place, Seen};
use crate::front::with_fault;
use crate::oauth::metadata::{PROTECTED_RESOURCE, protected_resource_path};
use crate::peek::Peek;
use crate::quirks;
use crate::state::{Caller, Tenant};
use crate::tenant::actions;
use crate::tenant::permission::Permission;

/// The body as it came, for tools that give it back to the byte.
#[derive(Debug, Clone)]
pub(crate) struct Arguments(pub(crate) Option<String>);

pub(crate) async fn answer(tenant: &Arc<Tenant>, parts: Parts, body: Bytes) -> Result<Answer, Hangup> {
    let peek = Peek::of(&body);
    if let Some(method) = &peek.method {
        tenant.board.count(|counters| *counters.methods.entry(method.clone()).or_default() += 1);
    }
    let http = parts.method.as_str().to_owned();
    let (headers, sent) = (parts.headers.clone(), body.clone());
    let fault = |before_auth| {
        let (method, tool) = (peek.method.as_deref(), peek.tool.as_deref());
        let fault = tenant.faults.take(&Seen { place: Place::Mcp, http: &http, method, tool, before_auth });
        fault.map(|fault| fault.meeting(&headers, &sent))
    };
    with_fault(tenant, fault(true), async {
        if tenant.config().answers == AnswerMode::HttpSse && !http_sse::has_route(&parts) {
            // Frameworks look for a route before they look at a token.
            return Ok(plain(404, "text/html", "<pre>Cannot POST</pre>"));
        }
        if let Some(moved) = quirks::redirect(tenant, &parts) {
            return Ok(moved);
        }
        if tenant.config().quirks.hides_challenge_from_get && parts.method == Method::GET {
            return Ok(plain(405, "text/plain", "Method Not Allowed"));
        }
        match authorize(tenant, &parts, &peek) {
            Ok(caller) => with_fault(tenant, fault(false), serve(tenant, caller, &peek, parts, body)).await,
            Err(refused) => {
                tenant.board.count(|counters| counters.unauthorized += 1);
                Ok(*refused)
            }
        }
    })
    .await
}

fn authorize(tenant: &Tenant, parts: &Parts, peek: &Peek) -> Result<Caller, Box<Answer>> {
    let config = tenant.config();
    let is_guarded = peek.tool.as_ref().is_some_and(|tool| config.guarded_tools.contains(tool));
    if !config.auth_required && !is_guarded {
        return Ok(Caller { granted: Permission::all().into_iter().collect() });
    }
    let token = parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    if let Some(token) = token {
        if config.private_app_tokens.iter().any(|known| known == token) {
            return Ok(Caller { granted: Permission::all().into_iter().collect() });
        }
        if let Some(granted) = tenant.grants.granted(token) {
            return Ok(Caller { granted });
        }
    }
    Err(Box::new(unauthorized(tenant, &config, token.is_some())))
}

fn unauthorized(tenant: &Tenant, config: &Config, had_token: bool) -> Answer {
    if let Some((status, location)) = config.bad_token_answer.as_ref().filter(|_| had_token) {
        let mut answer = plain(*status, "text/html", "<h1>Something went wrong</h1>");
        if let Some(location) = location {
            set_header(&mut answer, "location", location);
        }
        return answer;
    }
    let message = if had_token { "Invalid or expired access token" } else { "Missing access token" };
    let body = json!({ "statusCode": 401, "error": "Unauthorized", "message": message });
    let mut refused = json(401, &body);
    if config.challenge.header {
        let mut parameters = Vec::new();
        if let Some(hint) = &config.challenge.hint {
            parameters.push(format!("resource_metadata=\"{}\"", hint.replace("{api}", &tenant.api)));
        } else if config.challenge.resource_metadata {
            let path = protected_resource_path(config.protected_resource);
            let path = path.as_deref().unwrap_or(PROTECTED_RESOURCE);
            parameters.push(format!("resource_metadata=\"{}{path}\"", tenant.api));
        }
        if config.challenge.error && had_token {
            parameters.push("error=\"invalid_token\"".to_owned());
        }
        if let Some(scope) = &config.challenge.scope {
            parameters.push(format!("scope=\"{scope}\""));
        }
        set_header(&mut refused, "www-authenticate", format!("Bearer {}", parameters.join(", ")).trim_end());
    }
    refused
}

async fn serve(
    tenant: &Arc<Tenant>,
    caller: Caller,
    peek: &Peek,
    mut parts: Parts,
    body: Bytes,
) -> Result<Answer, Hangup> {
    let config = tenant.config();
    if config.answers == AnswerMode::HttpSse {
        return Ok(http_sse::answer(tenant, caller, peek, parts, body).await);
    }
    if parts.method == Method::POST {
        if let Some(reply) = tenant.script.take(peek) {
            tenant.board.count(|counters| counters.raw_replies += 1);
            return Ok(tenant.script.answer(reply, peek.id.as_deref(), tenant.next_number()));
        }
        if tenant.script.is_answer(peek) {
            return Ok(plain(202, "", Bytes::new()));
        }
        if let Some((newest, reply)) = &config.quirks.newest_revision
            && peek.method.as_deref() == Some("initialize")
            && revision(&body).is_some_and(|asked| asked > *newest)
        {
            return Ok(tenant.script.answer(reply.clone(), peek.id.as_deref(), tenant.next_number()));
        }
        if config.refusals == Refusals::HttpStatus
            && let Some(refused) = refuse(peek, &caller)
        {
            return Ok(refused);
        }
    }
    let last_event_id = parts.headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let resumes = parts.method == Method::GET && last_event_id.is_some();
    if parts.method == Method::GET
        && let Some(reply) = tenant.script.take_stream(resumes)
    {
        tenant.board.count(|counters| counters.raw_replies += 1);
        return Ok(tenant.script.answer(reply, None, tenant.next_number()));
    }
    let off = match parts.method {
        Method::GET => !config.get_stream,
        Method::DELETE => !config.delete_session,
        _ => false,
    };
    if off {
        let mut refused = plain(405, "text/plain", "Method Not Allowed");
        set_header(&mut refused, "allow", "POST");
        return Ok(refused);
    }
    if tenant.script.plays_server() {
        match parts.method {
            Method::GET => {
                let mut silent = plain(200, "text/event-stream", Bytes::new());
                *silent.body_mut() = silence();
                return Ok(stream::standing(tenant, silent));
            }
            Method::DELETE => return Ok(plain(202, "", Bytes::new())),
            _ => {}
        }
    }
    if resumes && let Some(rest) = last_event_id.and_then(|id| stream::resume(tenant, id)) {
        tenant.board.count(|counters| counters.streams_resumed += 1);
        return Ok(rest);
    }
    let method = parts.method.clone();
    let in_session = parts.headers.contains_key(http_sse::SESSION_ID);
    parts.extensions.insert(caller);
    parts.extensions.insert(Arguments(peek.arguments.clone()));
    let service = McpService::of(tenant);
    let answer = service.handle(Request::from_parts(parts, Full::new(body))).await;
    if let Some(reply) = &config.quirks.lost_session
        && in_session
        && answer.status() == 404
    {
        return Ok(tenant.script.answer(reply.clone(), peek.id.as_deref(), tenant.next_number()));
    }
    let answer = answer.map(|body| body.map_err(|never| match never {}).boxed());
    Ok(afterwards(tenant, &config, &method, resumes, peek, answer).await)
}

async fn afterwards(
    tenant: &Arc<Tenant>,
    config: &Config,
    method: &Method,
    resumes: bool,
    peek: &Peek,
    answer: Answer,
) -> Answer {
    let success = answer.status().is_success();
    match *method {
        Method::GET if success && is_event_stream(&answer) => {
            if resumes {
                tenant.board.count(|counters| counters.streams_resumed += 1);
                return answer;
            }
            stream::standing(tenant, answer)
        }
        Method::DELETE if success => {
            tenant.board.count(|counters| counters.sessions_deleted += 1);
            answer
        }
        _ => {
            if peek.method.as_deref() == Some("initialize") && answer.headers().contains_key("mcp-session-id") {
                tenant.board.count(|counters| counters.sessions_created += 1);
            }
            match config.answers {
                AnswerMode::Json => stream::as_json(answer).await,
                AnswerMode::Sse | AnswerMode::HttpSse => answer,
            }
        }
    }
}

/// The revision that an `initialize` names; revisions are dates, and compare as such.
fn revision(body: &[u8]) -> Option<String> {
    let message: Value = serde_json::from_slice(body).ok()?;
    message["params"]["protocolVersion"].as_str().map(str::to_owned)
}

/// A body that stays open and says nothing.
fn silence() -> crate::body::AnswerBody {
    let (sender, body) = crate::body::streamed();
    tokio::spawn(async move { sender.closed().await });
    body
}

fn refuse(peek: &Peek, caller: &Caller) -> Option<Answer> {
    if peek.method.as_deref() != Some("tools/call") {
        return None;
    }
    let arguments: Map<String, Value> = match &peek.arguments {
        Some(arguments) => serde_json::from_str(arguments).ok()?,
        None => Map::new(),
    };
    let refusal = actions::parse(peek.tool.as_deref()?, &arguments, &caller.granted)?.err()?;
    let body = json!({ "statusCode": refusal.status, "message": refusal.text() });
    Some(json(refusal.status, &body))
}
