//! One attempt: sends a request once, and reads the answer, across as many streams as it takes.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use crate::bridge::client::own_ids::OwnId;
use crate::bridge::client::progress::Progress;
use crate::bridge::client::request::InFlight;
use crate::bridge::client::room::Room;
use crate::bridge::lists::served::Lists;
use crate::bridge::session::incoming::Incoming;
use crate::bridge::session::live::Session;
use crate::limits::QUOTED_WORDS_CHARS;
use crate::message::{IdKey, Kind, Peek, aside, peek, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::{Exchange, Failure, Message, Outgoing, Resumption};

use super::readiness::ready_for;

/// A request as it goes over the wire in one attempt.
#[derive(Debug)]
pub struct WireRequest {
    body: Bytes,
    key: IdKey,
    /// In the stateless era: the headers that repeat parts of it.
    pub mcp_headers: Option<HeaderMap>,
    /// Whether the client's id must be put back into the answer.
    is_renamed: bool,
    /// Whether it reopens a stream: the client need not learn that it opens.
    pub reopens: bool,
    /// Whether it is sent again because its session was lost.
    pub reopened: bool,
}

impl WireRequest {
    /// The request as the client wrote it.
    pub fn first(request: &InFlight) -> Self {
        Self {
            body: request.body.clone(),
            key: request.key.clone(),
            mcp_headers: request.mcp_headers.clone(),
            is_renamed: false,
            reopens: false,
            reopened: false,
        }
    }

    /// Switches the request to an id of ours: the server may still have the previous attempt.
    pub fn rename(&mut self, request: &InFlight, id: &OwnId) {
        if let Ok(text) = std::str::from_utf8(&request.body) {
            self.key = id.key();
            self.body = write::with_id(text, &id.to_raw());
            self.is_renamed = true;
            request.ticket.set_sent_as(id.to_raw());
        }
    }

    /// The answer under the client's id.
    pub async fn with_client_id(&self, request: &InFlight, answer: Bytes) -> Bytes {
        if !self.is_renamed {
            return answer;
        }
        let id = request.id.clone();
        let bytes = answer.len();
        let with_id = move || match std::str::from_utf8(&answer) {
            Ok(text) => write::with_id(text, &id),
            Err(_) => answer,
        };
        aside(bytes, with_id).await
    }
}

/// An answer, and what belongs to it.
#[derive(Debug)]
pub struct Answered {
    /// The answer, under the id that was sent.
    pub line: Bytes,
    /// Where it came from, and what may follow it on its stream; `None` when it is the bridge's own.
    pub incoming: Option<Incoming>,
    /// The room that it brings.
    pub room: Option<Room>,
}

/// Sends requests.
#[derive(Debug)]
pub struct Attempter {
    session: Arc<Session>,
    lists: Arc<Lists>,
}

impl Attempter {
    /// Sends in this session.
    pub fn new(session: Arc<Session>, lists: Arc<Lists>) -> Self {
        Self { session, lists }
    }

    /// Sends the request once and reads until its answer.
    ///
    /// # Errors
    /// A [`Failure`] when there is no answer.
    pub async fn attempt(&self, request: &InFlight, wire: &WireRequest) -> Result<Answered, Failure> {
        let session = &self.session;
        ready_for(session, &self.lists, request).await?;
        if let Some(line) = self.lists.answer_not_offered(request) {
            return Ok(Answered { line, incoming: None, room: None });
        }
        let out = Outgoing {
            epoch: session.epoch_for(request.stage),
            reopened: wire.reopened,
            body: wire.body.clone(),
            expects: Some(wire.key.clone()),
            bound_user: Arc::clone(&request.bound_user),
            send_state: Arc::clone(&request.ticket.send_state),
            mcp_headers: wire.mcp_headers.clone(),
            listens: request.listens(),
            on_wait: request.progress.clone().map(Progress::on_throttled),
            ..Outgoing::unanswered(Bytes::new())
        };
        let exchange = session.remote.exchange(&out).await?;
        let id = if wire.is_renamed { None } else { Some(&*request.id) };
        let mut incoming = Incoming::new(exchange, Some(Arc::clone(&session.server_messages)));
        let mut stray = None;
        let mut unreadable = None;
        let mut last_received = Instant::now();
        let mut has_begun = false;
        let mut resumption = Resumption::default();
        loop {
            let end = match incoming.next().await {
                Ok(Some(message)) if wire.reopens && is_acknowledgement(&message.body) => continue,
                Ok(Some(Message { body, room })) => {
                    let mut room = Room::of_body(room);
                    last_received = Instant::now();
                    has_begun = true;
                    if !(request.listens() && is_acknowledgement(&body)) {
                        request.server_has_begun.raise();
                    }
                    match incoming.receive(body, Some(&wire.key), id, &mut room).await {
                        Ok(received) => {
                            if let Some(line) = received.answer {
                                return Ok(Answered { line, incoming: Some(incoming), room });
                            }
                            if received.stray.is_none() {
                                resumption.progressed();
                            }
                            stray = received.stray.or(stray);
                        }
                        // The answer may still come on the stream.
                        Err(problem) => unreadable = Some(problem),
                    }
                    continue;
                }
                Ok(None) => match (unreadable.take(), &stray) {
                    (Some(problem), _) => Failure::Explained(problem),
                    (None, Some(id)) => {
                        let id = incoming.exchange.sent.words(id.get()).shortened(QUOTED_WORDS_CHARS);
                        Failure::Explained(Problem::new(ProblemId::WrongAnswerId).said("found", id))
                    }
                    (None, None) => {
                        let id = if has_begun { ProblemId::StreamCut } else { ProblemId::NoAnswer };
                        Failure::Unclear { problem: id.into(), wait: None }
                    }
                },
                Err(failure) => failure,
            };
            match end {
                // The stateless era has no resumption.
                Failure::Unclear { .. } if wire.mcp_headers.is_none() => {
                    if incoming.exchange.has_data() {
                        last_received = Instant::now();
                    }
                    let Some(next) = Box::pin(self.resume(&mut resumption, &incoming.exchange, last_received)).await
                    else {
                        return Err(end);
                    };
                    incoming.exchange = next;
                }
                end => return Err(end),
            }
        }
    }

    /// Resumes a stream that ended before its answer. `None` if that is impossible for any reason: the request was
    /// sent, and a session or sign-in lost since does not undo that.
    async fn resume(&self, resumption: &mut Resumption, broken: &Exchange, last_received: Instant) -> Option<Exchange> {
        let deadline = last_received + self.session.settings.limits.idle;
        if Instant::now() >= deadline {
            return None;
        }
        match resumption.resume(&self.session.remote, broken, deadline).await {
            Ok(next) => next,
            Err(failure) => {
                tracing::debug!(?failure, "the stream cannot be resumed");
                if let Failure::SessionLost { epoch, .. } = failure {
                    self.session.lost(epoch);
                }
                None
            }
        }
    }
}

/// Whether it acknowledges a listening stream.
fn is_acknowledgement(message: &[u8]) -> bool {
    // An acknowledgement is short, and long messages are not looked through twice.
    !aside::is_long(message.len())
        && matches!(
            peek(message),
            Ok(Peek::One(Kind::Notification { method, .. })) if method == "notifications/subscriptions/acknowledged"
        )
}
