//! The listeners: connections in, requests to their place, answers out.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::body::{Answer, Hangup, answer, json, set_header};
use crate::fault::{Effect, Fault, Place, Seen, fault_answer};
use crate::mcp::{endpoint, http_sse, stream};
use crate::oauth::{authorize, metadata, pages, registration, token};
use crate::quirks;
use crate::state::Tenant;

/// Which listener a request came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Issuer, tokens, MCP.
    Api,
    /// The web application that people sign in to.
    Ws,
}

/// What a listener is told.
pub(crate) enum DoorCommand {
    /// Close the listener and every connection.
    Shut,
    /// Listen again on the same port.
    Open,
}

/// A command and whom to tell that it is done.
pub(crate) type DoorOrder = (DoorCommand, std::sync::mpsc::Sender<std::io::Result<()>>);

/// Accepts until the runtime ends.
pub(crate) async fn keep(
    tenant: Arc<Tenant>,
    door: Door,
    listener: TcpListener,
    address: SocketAddr,
    mut orders: mpsc::UnboundedReceiver<DoorOrder>,
) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = accept(listener.as_ref()) => {
                if let Ok((stream, _)) = accepted {
                    let _ = stream.set_nodelay(true);
                    tenant.board.count(|counters| counters.connections += 1);
                    connections.spawn(converse(tenant.clone(), door, stream));
                }
            }
            Some(_) = connections.join_next() => {}
            order = orders.recv() => {
                let Some((command, done)) = order else { return };
                let outcome = match command {
                    DoorCommand::Shut => {
                        listener = None;
                        connections.shutdown().await;
                        Ok(())
                    }
                    DoorCommand::Open if listener.is_none() => {
                        TcpListener::bind(address).await.map(|again| listener = Some(again))
                    }
                    DoorCommand::Open => Ok(()),
                };
                let _ = done.send(outcome);
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(tokio::net::TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn converse(tenant: Arc<Tenant>, door: Door, stream: tokio::net::TcpStream) {
    match tenant.tls.clone() {
        None => serve(tenant, door, stream).await,
        Some(acceptor) => {
            let mut first = [0];
            // A TLS record of a handshake begins with 22 (RFC 8446, 5.1).
            if matches!(stream.peek(&mut first).await, Ok(1)) && first != [22] {
                tenant.board.count(|counters| counters.without_tls += 1);
                return;
            }
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(tenant, door, stream).await;
            }
        }
    }
}

async fn serve(tenant: Arc<Tenant>, door: Door, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let service = service_fn(move |request| answer_to(tenant.clone(), door, request));
    // A connection that breaks, on purpose or not, concerns nobody here.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer_to(tenant: Arc<Tenant>, door: Door, request: Request<Incoming>) -> Result<Answer, Hangup> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Hangup)?.to_bytes();
    let place = place(door, parts.uri.path());
    if tenant.config().record {
        tenant.recorder.record(place, &parts, &body);
        tenant.board.count(|_| {});
    }
    let number = tenant.next_number();
    let mut answer = match place {
        Place::Mcp => endpoint::answer(&tenant, parts, body).await?,
        other => {
            let seen = Seen { place: other, http: parts.method.as_str(), method: None, tool: None, before_auth: false };
            let early = tenant.faults.take(&Seen { before_auth: true, ..seen });
            let fault = early.or_else(|| tenant.faults.take(&seen)).map(|fault| fault.meeting(&parts.headers, &body));
            let run = async { Ok(elsewhere(&tenant, other, &parts, &body)) };
            with_fault(&tenant, fault, run).await?
        }
    };
    set_header(&mut answer, "x-request-id", &format!("req_{number}"));
    let status = answer.status().as_u16();
    tenant.board.count(|counters| {
        *counters.statuses.entry(format!("{} {status}", place.as_str())).or_default() += 1;
    });
    Ok(answer)
}

fn place(door: Door, path: &str) -> Place {
    match (door, path) {
        (Door::Api, "/v1/mcp" | "/v1/mcp/" | http_sse::MESSAGES) => Place::Mcp,
        (Door::Api, "/oauth/token") => Place::Token,
        (Door::Api, "/oauth/register") => Place::Registration,
        (Door::Ws, "/oauth/authorize" | "/oauth/consent") => Place::Authorize,
        (_, path) if path.contains("/.well-known/") => Place::Metadata,
        _ => Place::Elsewhere,
    }
}

fn elsewhere(tenant: &Tenant, place: Place, parts: &Parts, body: &Bytes) -> Answer {
    let path = parts.uri.path();
    if let Some(document) = quirks::document(tenant, &parts.method, path) {
        return document;
    }
    match (place, parts.method.as_str()) {
        (Place::Token, "POST") => token::token(tenant, &parts.headers, body),
        (Place::Authorize, "GET") if path == "/oauth/authorize" => {
            authorize::authorize(tenant, parts.uri.query().unwrap_or_default())
        }
        (Place::Authorize, "POST") if path == "/oauth/consent" => authorize::consent(tenant, body),
        (Place::Metadata, "GET") => metadata::well_known(tenant, path),
        (Place::Registration, "POST") => registration::register(tenant, body),
        (Place::Registration | Place::Token | Place::Authorize | Place::Metadata, _) => {
            answer(405, "text/plain", "Method Not Allowed")
        }
        _ if path == "/favicon.ico" => answer(404, "", Bytes::new()),
        _ if parts.headers.get("accept").is_some_and(|accept| accept.as_bytes().starts_with(b"text/html")) => {
            pages::refused(404, "There is nothing here.")
        }
        _ => json(404, &serde_json::json!({ "statusCode": 404, "error": "Not Found" })),
    }
}

/// Lets a fault have its way with a request; `run` does what was asked.
pub(crate) async fn with_fault(
    tenant: &Arc<Tenant>,
    fault: Option<Fault>,
    run: impl Future<Output = Result<Answer, Hangup>>,
) -> Result<Answer, Hangup> {
    let Some(fault) = fault else { return run.await };
    if let Some(gate) = fault.gate() {
        gate.pass().await;
    }
    if let Some(change) = fault.change() {
        tenant.change(change).await;
    }
    tenant.board.count(|counters| counters.faults_fired += 1);
    if fault.executed() {
        // Read to its end: an answer that streams is executed only then.
        let _ = run.await?.into_body().collect().await;
        return match fault.effect() {
            Effect::Answer { status, headers, retry_after, body } => {
                Ok(fault_answer(*status, headers, *retry_after, body.as_deref()))
            }
            _ => Err(Hangup),
        };
    }
    match fault.effect() {
        Effect::Nothing => run.await,
        Effect::Answer { status, headers, retry_after, body } => {
            Ok(fault_answer(*status, headers, *retry_after, body.as_deref()))
        }
        Effect::HangUp => Err(Hangup),
        Effect::Cut { events, clean } => Ok(stream::cut(tenant, run.await?, *events, *clean).await),
    }
}
