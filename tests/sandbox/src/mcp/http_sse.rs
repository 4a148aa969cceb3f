//! HTTP+SSE, the transport of revision 2024-11-05, in front of the same server: one GET stream, whose first event names the
//! address for the client's messages, brings every message of the server.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{ACCEPT, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request};
use tokio::sync::mpsc;

use super::endpoint::Arguments;
use super::server::McpService;
use super::stream::{Events, data, standing};
use crate::body::{Answer, AnswerBody, answer as plain, streamed};
use crate::lock;
use crate::peek::Peek;
use crate::state::{Caller, Tenant};

/// Where the client's messages go.
pub(crate) const MESSAGES: &str = "/v1/mcp/messages";
pub(crate) const SESSION_ID: &str = "mcp-session-id";

/// The open streams, by the number in their endpoint.
#[derive(Default)]
pub(crate) struct OneStreams(Mutex<HashMap<u64, Arc<OneStream>>>);

struct OneStream {
    events: mpsc::Sender<io::Result<Bytes>>,
    /// The session that the server proper opened for it.
    session: Mutex<Option<HeaderValue>>,
}

impl OneStreams {
    pub(crate) fn forget(&self) {
        lock(&self.0).clear();
    }

    fn find(&self, query: Option<&str>) -> Option<Arc<OneStream>> {
        let number = query?.strip_prefix("sessionId=")?.parse().ok()?;
        lock(&self.0).get(&number).cloned()
    }
}

/// Whether anything listens to this method at this address.
pub(crate) fn has_route(parts: &Parts) -> bool {
    (parts.method == Method::POST) == (parts.uri.path() == MESSAGES)
        && matches!(parts.method, Method::GET | Method::POST)
}

pub(crate) async fn answer(tenant: &Arc<Tenant>, caller: Caller, peek: &Peek, mut parts: Parts, body: Bytes) -> Answer {
    if parts.method == Method::GET {
        return open(tenant);
    }
    let Some(stream) = tenant.one_streams.find(parts.uri.query()) else {
        return plain(404, "text/plain", "Could not find session");
    };
    parts.extensions.insert(caller);
    parts.extensions.insert(Arguments(peek.arguments.clone()));
    parts.headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if let Some(session) = lock(&stream.session).clone() {
        parts.headers.insert(SESSION_ID, session);
    }
    let begins = peek.method.as_deref() == Some("notifications/initialized");
    let listen = begins.then(|| parts.clone());
    let said = ask(tenant, parts, body).await;
    if let Some(session) = said.headers().get(SESSION_ID) {
        *lock(&stream.session) = Some(session.clone());
        tenant.board.count(|counters| counters.sessions_created += 1);
    }
    tokio::spawn(pass_on(said.into_body(), stream.clone()));
    if let Some(mut parts) = listen {
        parts.method = Method::GET;
        let own = ask(tenant, parts, Bytes::new()).await;
        tokio::spawn(pass_on(own.into_body(), stream));
    }
    plain(202, "text/plain", "Accepted")
}

fn open(tenant: &Arc<Tenant>) -> Answer {
    let number = tenant.next_number();
    let (events, body) = streamed();
    let endpoint = format!("event: endpoint\ndata: {MESSAGES}?sessionId={number}\n\n");
    // There is room for the first one.
    let _ = events.try_send(Ok(Bytes::from(endpoint)));
    let closing = (events.clone(), tenant.clone());
    tokio::spawn(async move {
        let (events, tenant) = closing;
        events.closed().await;
        lock(&tenant.one_streams.0).remove(&number);
    });
    lock(&tenant.one_streams.0).insert(number, Arc::new(OneStream { events, session: Mutex::default() }));
    let mut answer = plain(200, "text/event-stream", Bytes::new());
    *answer.body_mut() = body;
    standing(tenant, answer)
}

/// Asks the server proper.
async fn ask(tenant: &Arc<Tenant>, parts: Parts, body: Bytes) -> Answer {
    let answer = McpService::of(tenant).handle(Request::from_parts(parts, Full::new(body))).await;
    answer.map(|body| body.map_err(|never| match never {}).boxed())
}

/// Writes the messages of an answer to the stream.
async fn pass_on(body: AnswerBody, stream: Arc<OneStream>) {
    let mut events = Events::of(body);
    while let Some(event) = events.next().await {
        let data = data(&event);
        if !data.is_empty() {
            let event = format!("event: message\ndata: {data}\n\n");
            if stream.events.send(Ok(Bytes::from(event))).await.is_err() {
                return;
            }
        }
    }
}
