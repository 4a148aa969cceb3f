//! Asks the MCP endpoint without a token, as the bridge would, for the challenge that says where to sign in.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::http::with_scheme_of;
use crate::limits::MAX_REDIRECTS;
use crate::secret::Secrets;

/// How long the MCP endpoint may take for all answers.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// What a session starts with (MCP, "Initialization"). Servers that offer no GET challenge this alone.
const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"#,
    r#""clientInfo":{"name":"planhat-mcp","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);
/// The header of a session's id.
const SESSION_ID: &str = "mcp-session-id";

/// What the MCP endpoint says without a token.
#[derive(Debug, Clone, Default)]
pub(crate) struct Probed {
    /// Its challenge, merged over the one that a request has met.
    pub(crate) challenge: Challenge,
    /// Whether it starts a session without one.
    pub(crate) is_open: bool,
}

/// The challenge that a request has met, or else that of a request without a token.
pub(crate) async fn challenge(ctx: &Context, met: &Challenge) -> Challenge {
    probe(ctx, met).await.challenge
}

/// The same, and whether the endpoint wants a token at all.
pub(crate) async fn probe(ctx: &Context, met: &Challenge) -> Probed {
    let known = Probed { challenge: met.clone(), is_open: false };
    if !met.is_empty() {
        return known;
    }
    match tokio::time::timeout(PROBE_TIMEOUT, ask(ctx, met)).await {
        Ok(Some(probed)) => probed,
        Ok(None) | Err(_) => known,
    }
}

/// A GET, and where that is not challenged, the POST of `initialize`; a session that it starts is ended. `None` if the
/// endpoint does not answer.
async fn ask(ctx: &Context, met: &Challenge) -> Option<Probed> {
    let mut answer = send(ctx, Method::GET, None).await?;
    // The one stream of HTTP+SSE is opened by GET, and a POST there is none of that transport's.
    let is_streamed = answer.status() == StatusCode::OK && is_event_stream(answer.headers());
    if answer.status() != StatusCode::UNAUTHORIZED {
        answer = send(ctx, Method::POST, None).await?;
    }
    // Who has met a 401 already needs a sign-in, though not for every request.
    let is_open = met.from.is_none()
        && (answer.status().is_success() || is_streamed && answer.status() != StatusCode::UNAUTHORIZED);
    if let Some(session) = answer.headers().get(SESSION_ID).filter(|_| is_open) {
        let _ = send(ctx, Method::DELETE, Some(session.clone())).await;
    }
    let found = match answer.status() {
        StatusCode::UNAUTHORIZED => Challenge::from_headers(answer.headers(), &Secrets::none()),
        _ => Challenge::default(),
    };
    Some(Probed { challenge: found.sent_by(ctx.http.namer(&answer)).after(met), is_open })
}

/// The head of the answer, after redirects within the origin; a stream is dropped.
async fn send(ctx: &Context, method: Method, session: Option<HeaderValue>) -> Option<Response> {
    let mut url = ctx.settings.url.clone();
    let client = ctx.http.client(&url).await.ok()?;
    for _ in 0..=MAX_REDIRECTS {
        let mut request = reqwest::Request::new(method.clone(), url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(session) = &session {
            headers.insert(SESSION_ID, session.clone());
        }
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(INITIALIZE.into());
        }
        let answer = client.execute(request).await.ok()?;
        match target(&url, answer.status(), answer.headers()) {
            Some(next) => url = next,
            None => return Some(answer),
        }
    }
    None
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream"))
}

/// Where a redirect leads that is followed: within the origin, as the bridge does.
fn target(url: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(LOCATION).filter(|_| matches!(status.as_u16(), 301 | 302 | 307 | 308))?;
    let next = url.join(location.to_str().ok()?).ok()?;
    Some(with_scheme_of(url, &next).unwrap_or(next)).filter(|next| next.origin() == url.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_followed_within_the_origin_alone() {
        let url = Url::parse("https://h/mcp").expect("a constant");
        for (status, location, expected) in [
            (307, "/mcp/", Some("https://h/mcp/")),
            (308, "https://h/mcp/", Some("https://h/mcp/")),
            (302, "mcp/", Some("https://h/mcp/")),
            (307, "http://h/mcp/", Some("https://h/mcp/")),
            (307, "http://h:8080/mcp/", None),
            (307, "https://other/mcp", None),
            (303, "/mcp/", None),
            (200, "/mcp/", None),
        ] {
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
            let found = target(&url, StatusCode::from_u16(status).expect("a constant"), &headers);
            assert_eq!(found.as_ref().map(Url::as_str), expected, "{status} {location}");
        }
    }

    #[test]
    fn what_is_posted_is_an_initialize_request() {
        let sent: serde_json::Value = serde_json::from_str(INITIALIZE).expect("JSON");
        assert_eq!((&sent["method"], &sent["id"]), (&"initialize".into(), &0.into()));
    }
}
