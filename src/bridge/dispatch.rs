//! Handles every line of stdin, in order: what it is, and what it starts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::config::Settings;
use crate::limits::{HANDSHAKE_BYTES, MAX_BATCH_MEMBERS};
use crate::message::peek::{Params, peek_object};
use crate::message::{Elements, IdKey, Kind, Peek, PeekError, Revision, peek, write};
use crate::problem::{Problem, ProblemId, desk};
use crate::remote::BoundUser;
use crate::remote::mcp_headers::McpHeaders;

use super::cancellation;
use super::client::batch::BatchSlot;
use super::client::client_info::ClientInfo;
use super::client::endpoint::Client;
use super::client::flag::Flag;
use super::client::in_flight::{CancelOutcome, NotAdmitted, Ticket};
use super::client::input::Line;
use super::client::progress::Progress;
use super::client::request::InFlight;
use super::forward::forwarder::{Forwarder, Handler};
use super::lists::own_tool::CHECK_TOOL;
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
    /// Whether the request that is being taken has been admitted, and is answered elsewhere.
    is_admitted: bool,
}

impl<'a> Refusals<'a> {
    fn to(lines: &'a mut Vec<Bytes>) -> Self {
        Self { lines, batch_slot: None, is_admitted: false }
    }

    /// Takes a message, the request `id` if it is one. A panic, which is a fault of this program and is logged, ends this
    /// message and not the bridge: a request still gets its one answer.
    fn contain(&mut self, id: Option<&RawValue>, take: impl FnOnce(&mut Self)) {
        self.is_admitted = false;
        let taken = catch_unwind(AssertUnwindSafe(|| take(self)));
        if taken.is_err() && id.is_some() && !self.is_admitted {
            self.add(id, &taking_failed());
        }
    }

    fn add(&mut self, id: Option<&RawValue>, problem: &Problem) {
        tracing::warn!(%problem, "refused");
        let line = write::error(id, &problem.to_json_rpc_error());
        match self.batch_slot {
            Some(slot) => slot.clone().fill(line),
            None => self.lines.push(line),
        }
    }

    fn add_malformed(&mut self, error: &PeekError) {
        let (id, problem) = malformed(error);
        self.add(id, &problem);
    }
}

/// What is wrong with a line that is no message, and the id that it has all the same.
pub(super) fn malformed(error: &PeekError) -> (Option<&RawValue>, Problem) {
    match error {
        PeekError::NotJson(detail) => (None, Problem::new(ProblemId::NotJson).with("detail", detail)),
        PeekError::NotJsonRpc { id, reason } => {
            (id.as_deref(), Problem::new(ProblemId::NotJsonRpc).with("detail", reason))
        }
        PeekError::EmptyBatch => (None, Problem::new(ProblemId::EmptyBatch)),
        PeekError::Duplicate { id, member } => {
            (id.as_deref(), Problem::new(ProblemId::DuplicateMember).with("member", member))
        }
    }
}

/// What a client reads when taking its request has panicked.
fn taking_failed() -> Problem {
    Problem::new(ProblemId::InternalError).with("detail", "a request was dropped")
}

/// A request between its admission and the task that handles it. Answers it when a panic ends the way there.
struct Admitted<'a> {
    client: &'a Client,
    id: &'a RawValue,
    ticket: Ticket,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(key) = IdKey::parse(self.id)
        {
            let line = || write::error(Some(self.id), &taking_failed().to_json_rpc_error());
            self.client.answer_at_once(&key, &self.ticket, line);
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
        let mut refusals = Refusals::to(&mut lines);
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

    fn take_batch(&self, members: &Elements<'_>, refusals: &mut Refusals<'_>) {
        let revision = self.session.handshake.revision();
        if !revision.as_ref().is_some_and(Revision::has_batches) {
            let problem = Problem::new(ProblemId::BatchNotAllowed);
            let problem = revision.iter().fold(problem, |problem, revision| problem.with("revision", revision));
            return refusals.add(None, &problem);
        }
        if members.excess > 0 {
            let detail = format!("a batch has {MAX_BATCH_MEMBERS} messages at most");
            return refusals.add(None, &Problem::new(ProblemId::NotJsonRpc).with("detail", detail));
        }
        let slot = BatchSlot::in_new_batch(self.client.output.clone());
        let mut refusals = Refusals { batch_slot: Some(&slot), ..Refusals::to(refusals.lines) };
        for member in &members.kept {
            // A copy: a part would keep all of the batch for as long as one member waits.
            let body = Bytes::copy_from_slice(member.get().as_bytes());
            match peek_object(member.get()) {
                Ok(kind) => self.take_one(&body, kind, &mut refusals),
                Err(error) => refusals.add_malformed(&error),
            }
        }
    }

    fn take_one(&self, body: &Bytes, kind: Kind<'_>, refusals: &mut Refusals<'_>) {
        let id = if let Kind::Request { id, .. } = &kind { Some(*id) } else { None };
        refusals.contain(id, |refusals| match kind {
            Kind::Request { id, key, method, params } => {
                self.take_request(Peeked { body, id, key, method: &method, params }, refusals);
            }
            Kind::Notification { method, params } => self.take_notification(body, &method, params),
            Kind::Response { id, result } => self.take_response(body, id.map(|(_, key)| key), result),
        });
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
        refusals.is_admitted = true;
        let _admitted = Admitted { client: &self.client, id, ticket: ticket.clone() };
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
            "tools/call" if request.tool.as_deref() == Some(CHECK_TOOL) && desk::is_in_extension() => {
                Handler::CheckTool
            }
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use crate::bridge::client::output::Output;

    use super::*;

    #[tokio::test]
    async fn a_panic_while_a_request_is_taken_answers_it_once_and_ends_nothing_else() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let client = Client::new(output);
        let mut lines = Vec::new();
        let mut refusals = Refusals::to(&mut lines);
        let id: Box<RawValue> = serde_json::from_str("7").expect("JSON");
        // `panic!` would print a backtrace of what is expected.
        let fault = || std::panic::resume_unwind(Box::new("the fault"));
        refusals.contain(None, |_| fault());
        refusals.contain(Some(&id), |_| fault());
        refusals.contain(Some(&id), |refusals| {
            let key = IdKey::parse(&id).expect("an id");
            let ticket = client.in_flight.admit(key, 1, false, None).expect("it is free");
            refusals.is_admitted = true;
            let _admitted = Admitted { client: &client, id: &id, ticket };
            fault();
        });
        let drained = tokio::time::timeout(std::time::Duration::from_secs(20), client.in_flight.drained());
        drained.await.expect("what was admitted is answered");
        client.output.finish();
        written.wait().await;
        drop(client);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("readable");
        assert_eq!(lines.len(), 1, "before its admission");
        for line in [&String::from_utf8_lossy(&lines[0]), &*text] {
            assert!(line.contains(r#""id":7"#) && line.contains("internal-error"), "{line}");
        }
        assert_eq!(text.lines().count(), 1, "after it");
    }
}
