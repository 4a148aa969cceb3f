//! Every line of stdin, in order: what it is, and what it starts.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::message::peek::{Params, peek_object};
use crate::message::{IdKey, Kind, Peek, PeekError, Revision, peek, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::BoundUser;

use crate::bridge::Bridge;
use crate::bridge::client::batch;
use crate::bridge::client::batch::BatchSlot;
use crate::bridge::client::client_info::ClientInfo;
use crate::bridge::client::in_flight::Cancelled;
use crate::bridge::client::input::Line;
use crate::bridge::client::progress::Progress;
use crate::bridge::client::responder::{Handler, InFlight};
use crate::bridge::session::connection::SessionStage;
use crate::bridge::session::initialize::InitializeRequest;
use crate::bridge::session::outbox::OutboxMessage;
use crate::bridge::session::subscriptions::UNSUBSCRIBE;
use crate::bridge::sign_in::elicitation;
use crate::bridge::sign_in::policy::SIGN_IN_TOOL;

/// The first revision without `initialize` and sessions.
pub(crate) const STATELESS: &str = "2026-07-28";

/// A cancellation as the client wrote it, of the id under which the server has the request.
fn cancellation_of(body: &Bytes, params: Option<&RawValue>, id: &RawValue) -> Bytes {
    let found = Params::of(params).ok().and_then(|params| params.request_id);
    match (std::str::from_utf8(body), found) {
        (Ok(text), Some(old)) => Bytes::from(write::replaced(text, old, id.get())),
        _ => body.clone(),
    }
}

impl Bridge {
    /// Takes the next line; returns when there is room for the next one. A client that sends nonsense and does not read
    /// what is said about it has to wait.
    pub(crate) async fn take(self: &Arc<Self>, line: Line) {
        self.sort_line(line);
        let refused = std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner));
        for line in refused {
            self.output.send(line).await;
        }
    }

    fn sort_line(self: &Arc<Self>, line: Line) {
        let text = match line {
            Line::Text(text) => text,
            Line::TooLong(id) => {
                let limit = self.settings.limits.max_message_bytes;
                let problem =
                    Problem::new(ProblemId::MessageTooLarge).with("direction", "from the client").with("limit", limit);
                return self.refuse(id.as_deref(), &problem, None);
            }
        };
        match peek(&text) {
            Ok(Peek::One(kind)) => self.take_one(&text, kind, None),
            Ok(Peek::Batch(members)) => self.take_batch(&text, &members),
            Err(error) => self.refuse_malformed(&error, None),
        }
    }

    fn take_batch(self: &Arc<Self>, text: &Bytes, members: &[&RawValue]) {
        let told = self.connection.told_or_asked();
        if told.as_deref() != Some(batch::REVISION) {
            let problem = Problem::new(ProblemId::BatchNotAllowed);
            let problem = told.into_iter().fold(problem, |problem, revision| problem.with("revision", revision));
            return self.refuse(None, &problem, None);
        }
        let seat = BatchSlot::first(self.output.clone());
        for member in members {
            let body = text.slice_ref(member.get().as_bytes());
            match peek_object(member.get()) {
                Ok(kind) => self.take_one(&body, kind, Some(&seat)),
                Err(error) => self.refuse_malformed(&error, Some(&seat)),
            }
        }
    }

    fn take_one(self: &Arc<Self>, body: &Bytes, kind: Kind<'_>, seat: Option<&BatchSlot>) {
        match kind {
            Kind::Request { id, key, method, params } => self.take_request(body, id, key, &method, params, seat),
            Kind::Notification { method, params } => self.take_notification(body, &method, params),
            // Without an id it can only be an error about something unreadable; the server may know what it is about. An
            // answer is never answered.
            Kind::Response { id: Some((_, key)), result } if self.conversation.answered(&key, result) => {}
            Kind::Response { id, .. } => {
                let answers = id.map(|(_, key)| key);
                if let Some(key) = &answers {
                    self.server_requests.settled(key);
                }
                self.lane.push(OutboxMessage { answers, ..OutboxMessage::new(body.clone(), self.connection.need()) });
            }
        }
    }

    fn take_request(
        self: &Arc<Self>,
        body: &Bytes,
        id: &RawValue,
        key: IdKey,
        method: &str,
        params: Option<&RawValue>,
        seat: Option<&BatchSlot>,
    ) {
        let looked_at = match Params::of(params) {
            Ok(looked_at) => looked_at,
            Err(member) => {
                return self.refuse(Some(id), &Problem::new(ProblemId::DuplicateMember).with("member", member), seat);
            }
        };
        if method == "initialize" && seat.is_some() {
            let detail = "`initialize` must not be part of a batch";
            return self.refuse(Some(id), &Problem::new(ProblemId::NotJsonRpc).with("detail", detail), seat);
        }
        let revision = looked_at.revision().filter(Revision::is_stateless).map(|revision| revision.as_str().to_owned());
        let Some(ticket) = self.pending.add(key.clone(), revision.is_some()) else {
            return self.refuse(Some(id), &Problem::new(ProblemId::DuplicateId).with("id", id.get()), seat);
        };
        let (body, shown) = match elicitation::taken_up(body, &looked_at).filter(|_| revision.is_some()) {
            Some(taken_up) => taken_up,
            None => (body.clone(), None),
        };
        let begun = Arc::<crate::bridge::Flag>::default();
        let request = InFlight {
            body,
            id: id.to_owned(),
            key,
            method: method.to_owned(),
            progress: looked_at.progress_token().map(|token| Arc::new(Progress::new(token, &self.output, &begun))),
            begun,
            caller: ClientInfo::new(looked_at.client_info(), looked_at.client_capabilities()),
            cursor: looked_at.cursor.map(ToOwned::to_owned),
            shown,
            need: if revision.is_some() { SessionStage::Nothing } else { self.connection.need() },
            mirrored: revision.as_ref().map(|revision| self.mirrors.headers(method, &looked_at, revision)),
            revision,
            tool: if method == "tools/call" { looked_at.name() } else { None },
            meant: Arc::new(BoundUser::the_user_of(&self.auth)),
            ticket,
            seat: Mutex::new(seat.cloned()),
        };
        if method == UNSUBSCRIBE
            && let Some(uri) = looked_at.uri()
        {
            self.subscriptions.ended(&uri);
        }
        tracing::debug!(method, tool = request.tool, "request");
        let work = match method {
            "initialize" => {
                let hello =
                    InitializeRequest::new(request.body.clone(), request.id.clone(), request.key.clone(), params);
                self.subscriptions.clear();
                self.begin_initialize(hello)
            }
            "server/discover" => Handler::Discover,
            // Clients ask whether this process lives; while the server cannot be asked, that is answered here.
            "ping" if request.mirrored.is_none() && (!self.connection.is_up() || self.remote.is_throttled()) => {
                Handler::Pong
            }
            "tools/call" if request.tool.as_deref() == Some(SIGN_IN_TOOL) => Handler::SignIn,
            _ => Handler::Carry,
        };
        tokio::spawn(Arc::clone(self).work(request, work));
    }

    fn take_notification(self: &Arc<Self>, body: &Bytes, method: &str, params: Option<&RawValue>) {
        let mut item = OutboxMessage::new(body.clone(), self.connection.need());
        match method {
            // The session takes it from there: it may not be open yet, and may be opened again. Without `initialize` there
            // is no session that could wait for it.
            "notifications/initialized" if item.need != SessionStage::Nothing => {
                return self.connection.client_initialized(body.clone());
            }
            "notifications/cancelled" => {
                let key = Params::of(params).ok().and_then(|params| IdKey::parse(params.request_id?));
                match key.map(|key| self.pending.cancel(&key)) {
                    Some(Cancelled::Unsent) => return,
                    Some(Cancelled::Sent(ticket)) => {
                        if let Some(id) = ticket.sent_as() {
                            item.body = cancellation_of(body, params, &id);
                        }
                        item.then_stop = Some(ticket.stop);
                    }
                    Some(Cancelled::Unknown) | None => {}
                }
            }
            _ => {}
        }
        if item.need == SessionStage::Nothing
            && let Ok(looked_at) = Params::of(params)
        {
            item.mirrored = self.mirrors.headers_without_request(method, &looked_at);
            if item.mirrored.is_some() && method == "notifications/cancelled" {
                // Closing a stream is what cancels in the stateless era; of one that is closed there is nothing to say.
                return;
            }
        }
        tracing::debug!(method, "notification");
        self.lane.push(item);
    }

    fn refuse_malformed(&self, error: &PeekError, seat: Option<&BatchSlot>) {
        match error {
            PeekError::NotJson(detail) => {
                self.refuse(None, &Problem::new(ProblemId::NotJson).with("detail", detail), seat);
            }
            PeekError::NotJsonRpc { id, reason } => {
                self.refuse(id.as_deref(), &Problem::new(ProblemId::NotJsonRpc).with("detail", reason), seat);
            }
            PeekError::EmptyBatch => self.refuse(None, &Problem::new(ProblemId::EmptyBatch), seat),
            PeekError::Duplicate { id, member } => {
                self.refuse(id.as_deref(), &Problem::new(ProblemId::DuplicateMember).with("member", member), seat);
            }
        }
    }

    /// Answers what was never taken in.
    fn refuse(&self, id: Option<&RawValue>, problem: &Problem, seat: Option<&BatchSlot>) {
        tracing::warn!(%problem, "refused");
        let line = write::error(id, &problem.to_json_rpc_error());
        match seat {
            Some(seat) => seat.clone().fill(line),
            None => self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(line),
        }
    }
}
