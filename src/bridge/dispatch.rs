//! Handles every line of stdin, in order: what it is, and what it starts.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::config::Settings;
use crate::limits::HANDSHAKE_BYTES;
use crate::message::peek::{Params, peek_object};
use crate::message::{IdKey, Kind, Peek, PeekError, Revision, peek, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::BoundUser;
use crate::remote::mcp_headers::McpHeaders;

use super::cancellation;
use super::client::batch::BatchSlot;
use super::client::client_info::ClientInfo;
use super::client::endpoint::Client;
use super::client::flag::Flag;
use super::client::in_flight::{CancelOutcome, NotAdmitted};
use super::client::input::Line;
use super::client::progress::Progress;
use super::client::request::InFlight;
use super::forward::forwarder::{Forwarder, Handler};
use super::session::initialize::InitializeRequest;
use super::session::live::Session;
use super::session::outbox::OutboxMessage;
use super::session::subscriptions::Subscriptions;
use super::sign_in::elicitation::{Elicitation, resumed_call};
use super::sign_in::tool::SIGN_IN_TOOL;
use crate::bridge::client::session_stage::SessionStage;

/// Takes the lines of stdin.
#[derive(Debug)]
pub struct Dispatcher {
    settings: Arc<Settings>,
    client: Arc<Client>,
    session: Arc<Session>,
    subscriptions: Arc<Subscriptions>,
    elicitation: Arc<Elicitation>,
    header_marks: Arc<McpHeaders>,
    forwarder: Arc<Forwarder>,
}

/// A peeked-at request.
struct Peeked<'a> {
    body: &'a Bytes,
    id: &'a RawValue,
    key: IdKey,
    method: &'a str,
    params: Option<&'a RawValue>,
}

/// The answers to requests that are not admitted, and where they go.
struct Refusals<'a> {
    lines: &'a mut Vec<Bytes>,
    batch_slot: Option<&'a BatchSlot>,
}

impl Refusals<'_> {
    fn add(&mut self, id: Option<&RawValue>, problem: &Problem) {
        tracing::warn!(%problem, "refused");
        let line = write::error(id, &problem.to_json_rpc_error());
        match self.batch_slot {
            Some(slot) => slot.clone().fill(line),
            None => self.lines.push(line),
        }
    }

    fn add_malformed(&mut self, error: &PeekError) {
        match error {
            PeekError::NotJson(detail) => self.add(None, &Problem::new(ProblemId::NotJson).with("detail", detail)),
            PeekError::NotJsonRpc { id, reason } => {
                self.add(id.as_deref(), &Problem::new(ProblemId::NotJsonRpc).with("detail", reason));
            }
            PeekError::EmptyBatch => self.add(None, &Problem::new(ProblemId::EmptyBatch)),
            PeekError::Duplicate { id, member } => {
                self.add(id.as_deref(), &Problem::new(ProblemId::DuplicateMember).with("member", member));
            }
        }
    }
}

impl Dispatcher {
    /// Handles the lines of this session's client.
    pub fn new(
        session: Arc<Session>,
        subscriptions: Arc<Subscriptions>,
        elicitation: Arc<Elicitation>,
        header_marks: Arc<McpHeaders>,
        forwarder: Arc<Forwarder>,
    ) -> Self {
        let (settings, client) = (Arc::clone(&session.settings), Arc::clone(&session.client));
        Self { settings, client, session, subscriptions, elicitation, header_marks, forwarder }
    }

    /// Takes the next line, and returns the answers to any refused messages in it. The caller should write them before
    /// taking the next line: a client that sends nonsense and does not read has to wait.
    #[must_use]
    pub fn take(&self, line: Line) -> Vec<Bytes> {
        let mut lines = Vec::new();
        let mut refusals = Refusals { lines: &mut lines, batch_slot: None };
        match line {
            Line::Text(text) => match peek(&text) {
                Ok(Peek::One(kind)) => self.take_one(&text, kind, &mut refusals),
                Ok(Peek::Batch(members)) => self.take_batch(&members, &mut refusals),
                Err(error) => refusals.add_malformed(&error),
            },
            Line::TooLong(id) => {
                let limit = self.settings.limits.max_message_bytes;
                let problem = Problem::new(ProblemId::MessageTooLarge).with("direction", "from the client");
                refusals.add(id.as_deref(), &problem.with("limit", limit));
            }
        }
        lines
    }

    fn take_batch(&self, members: &[&RawValue], refusals: &mut Refusals<'_>) {
        let revision = self.session.handshake.revision();
        if !revision.as_ref().is_some_and(Revision::has_batches) {
            let problem = Problem::new(ProblemId::BatchNotAllowed);
            let problem = revision.iter().fold(problem, |problem, revision| problem.with("revision", revision));
            return refusals.add(None, &problem);
        }
        let slot = BatchSlot::in_new_batch(self.client.output.clone());
        let mut refusals = Refusals { lines: refusals.lines, batch_slot: Some(&slot) };
        for member in members {
            // A copy: a part would keep all of the batch for as long as one member waits.
            let body = Bytes::copy_from_slice(member.get().as_bytes());
            match peek_object(member.get()) {
                Ok(kind) => self.take_one(&body, kind, &mut refusals),
                Err(error) => refusals.add_malformed(&error),
            }
        }
    }

    fn take_one(&self, body: &Bytes, kind: Kind<'_>, refusals: &mut Refusals<'_>) {
        match kind {
            Kind::Request { id, key, method, params } => {
                self.take_request(Peeked { body, id, key, method: &method, params }, refusals);
            }
            Kind::Notification { method, params } => self.take_notification(body, &method, params),
            Kind::Response { id, result } => self.take_response(body, id.map(|(_, key)| key), result),
        }
    }

    fn take_request(&self, peeked: Peeked<'_>, refusals: &mut Refusals<'_>) {
        let Peeked { body, id, key, method, params: raw_params } = peeked;
        let params = match Params::of(raw_params) {
            Ok(params) => params,
            Err(member) => {
                return refusals.add(Some(id), &Problem::new(ProblemId::DuplicateMember).with("member", member));
            }
        };
        if method == "initialize" && refusals.batch_slot.is_some() {
            let detail = "`initialize` must not be part of a batch";
            return refusals.add(Some(id), &Problem::new(ProblemId::NotJsonRpc).with("detail", detail));
        }
        if method == "initialize" && body.len() > HANDSHAKE_BYTES {
            let problem = Problem::new(ProblemId::MessageTooLarge).with("direction", "from the client");
            return refusals.add(Some(id), &problem.with("limit", HANDSHAKE_BYTES));
        }
        let revision = params.revision().filter(Revision::is_stateless);
        let batch_slot = refusals.batch_slot.cloned();
        let admitted = {
            // The id is kept twice more.
            let bytes = body.len() + 2 * id.get().len();
            self.client.in_flight.admit(key.clone(), bytes, revision.is_some(), batch_slot)
        };
        let ticket = match admitted {
            Ok(ticket) => ticket,
            Err(NotAdmitted::DuplicateId) => {
                return refusals.add(Some(id), &Problem::new(ProblemId::DuplicateId).with("id", id.get()));
            }
            Err(NotAdmitted::Busy) => return refusals.add(Some(id), &Problem::new(ProblemId::TooManyInFlight)),
        };
        let (body, consent) = match resumed_call(body, &params).filter(|_| revision.is_some()) {
            Some(resumed) => resumed,
            None => (body.clone(), None),
        };
        let server_has_begun = Arc::<Flag>::default();
        let progress =
            params.progress_token().map(|token| Arc::new(Progress::new(token, &self.client.output, &server_has_begun)));
        let request = InFlight {
            body,
            id: id.to_owned(),
            key,
            method: method.to_owned(),
            progress,
            server_has_begun,
            client_info: ClientInfo::new(params.client_info(), params.client_capabilities()),
            cursor: params.cursor.map(ToOwned::to_owned),
            consent,
            stage: if revision.is_some() { SessionStage::NotNeeded } else { self.session.handshake.stage() },
            mcp_headers: revision.as_ref().map(|revision| self.header_marks.headers(method, &params, revision)),
            revision,
            tool: if method == "tools/call" { params.name() } else { None },
            bound_user: Arc::new(BoundUser::current_user_of(&self.session.auth)),
            ticket,
        };
        self.subscriptions.note_request(method, &params);
        tracing::debug!(method, tool = request.tool, "request");
        let handler = self.handler_of(&request, raw_params);
        tokio::spawn(Arc::clone(&self.forwarder).handle(request, handler));
    }

    fn handler_of(&self, request: &InFlight, params: Option<&RawValue>) -> Handler {
        match request.method.as_str() {
            "initialize" => {
                let (body, id, key) = (request.body.clone(), request.id.clone(), request.key.clone());
                let initialize = Arc::new(InitializeRequest::new(body, id, key, params));
                self.subscriptions.clear();
                let from_server = self.session.initialize(Arc::clone(&initialize));
                Handler::Initialize(initialize, from_server)
            }
            "server/discover" => Handler::Discover,
            // Clients check whether this process is alive; while the server cannot be asked, the bridge answers.
            "ping"
                if request.mcp_headers.is_none()
                    && (!self.session.handshake.is_up() || self.session.remote.is_throttled()) =>
            {
                Handler::Ping
            }
            "tools/call" if request.tool.as_deref() == Some(SIGN_IN_TOOL) => Handler::SignInTool,
            _ => Handler::Forward,
        }
    }

    fn take_notification(&self, body: &Bytes, method: &str, params: Option<&RawValue>) {
        let mut message = OutboxMessage::new(body.clone(), self.session.handshake.stage());
        match method {
            // The session forwards it: it may not be open yet, and may be reopened. Without `initialize` no session
            // waits for it.
            "notifications/initialized" if message.stage != SessionStage::NotNeeded => {
                let is_short = body.len() <= HANDSHAKE_BYTES;
                let body = if is_short { body.clone() } else { write::notification(method) };
                return self.session.handshake.client_initialized(body);
            }
            "notifications/cancelled" => {
                let key = Params::of(params).ok().and_then(|params| IdKey::parse(params.request_id?));
                match key.map(|key| self.client.in_flight.cancel(&key)) {
                    Some(CancelOutcome::Unsent) => return,
                    Some(CancelOutcome::Sent(ticket)) => {
                        if let Some(sent_as) = ticket.sent_as() {
                            message.body = cancellation::for_server(body, params, &sent_as);
                        }
                        message.cancels = Some(ticket);
                    }
                    Some(CancelOutcome::Unknown) | None => {}
                }
            }
            _ => {}
        }
        if message.stage == SessionStage::NotNeeded
            && let Ok(params) = Params::of(params)
        {
            message.mcp_headers = self.header_marks.headers_without_request(method, &params);
            if message.mcp_headers.is_some() && method == "notifications/cancelled" {
                // In the stateless era, closing a stream cancels its request; a closed one needs no message.
                return;
            }
        }
        tracing::debug!(method, "notification");
        self.session.outbox.push(message);
    }

    fn take_response(&self, body: &Bytes, key: Option<IdKey>, result: Option<&RawValue>) {
        if let Some(key) = &key {
            if self.elicitation.take_response(key, result) {
                return;
            }
            self.session.server_messages.client_answered(key);
        }
        // Without an id it can only be an error about something unreadable, which the server may recognise. A response
        // is never answered.
        let message = OutboxMessage::new(body.clone(), self.session.handshake.stage());
        self.session.outbox.push(OutboxMessage { answers: key, ..message });
    }
}
