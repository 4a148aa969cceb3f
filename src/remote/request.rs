//! Builds the requests of Streamable HTTP: one POST per message, one GET to listen, one DELETE to end the session.

use bytes::Bytes;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Request};
use url::Url;

use crate::auth::Bearer;

use super::RemoteSession;

/// The session's id, from `initialize` on.
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The negotiated revision, on every request after `initialize`.
pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The event after which a broken stream is resumed.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const JSON_OR_STREAM: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
const STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Posts a message; `body` goes out unchanged.
pub fn post(url: &Url, session: &RemoteSession, bearer: Option<&Bearer>, body: Bytes) -> Request {
    let mut request = Request::new(Method::POST, url.clone());
    let headers = request.headers_mut();
    headers.reserve(8);
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT, JSON_OR_STREAM);
    common(headers, session, bearer);
    *request.body_mut() = Some(body.into());
    request
}

/// Opens the stream of the server's own messages, or resumes a broken stream after `last_event_id`.
pub fn listen(url: &Url, session: &RemoteSession, bearer: Option<&Bearer>, last_event_id: Option<&str>) -> Request {
    let mut request = Request::new(Method::GET, url.clone());
    let headers = request.headers_mut();
    headers.insert(ACCEPT, STREAM);
    common(headers, session, bearer);
    if let Some(id) = last_event_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert(LAST_EVENT_ID, id);
    }
    request
}

/// Ends the session at the server.
pub fn end_session(url: &Url, session: &RemoteSession, bearer: Option<&Bearer>) -> Request {
    let mut request = Request::new(Method::DELETE, url.clone());
    common(request.headers_mut(), session, bearer);
    request
}

fn common(headers: &mut HeaderMap, session: &RemoteSession, bearer: Option<&Bearer>) {
    if let Some(id) = &session.id {
        headers.insert(SESSION_ID, id.clone());
    }
    if let Some(version) = &session.version {
        headers.insert(PROTOCOL_VERSION, version.clone());
    }
    if let Some(value) = bearer.and_then(authorization) {
        headers.insert(AUTHORIZATION, value);
    }
}

/// `Bearer <token>` (RFC 6750, 2.1). A token that is not a valid header value cannot be sent; the 401 that follows
/// shows it.
fn authorization(bearer: &Bearer) -> Option<HeaderValue> {
    let mut text = zeroize::Zeroizing::new(String::with_capacity(7 + bearer.token.expose().len()));
    text.push_str("Bearer ");
    text.push_str(bearer.token.expose());
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
