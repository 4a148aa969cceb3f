//! What the server says: answers, its own requests and notifications.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::message::peek::{Params, peek_object};
use crate::message::{IdKey, Kind, Peek, peek, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::session::OwedAnswers;

use crate::bridge::Bridge;
use crate::bridge::client::output::{Output, Reserved};
use crate::bridge::session::outbox::OutboxMessage;

/// The requests of the server that the client has not answered yet.
#[derive(Debug, Default)]
pub struct ServerRequests {
    asked: Mutex<Asked>,
    /// How many are open; read by what measures the server's silence.
    owed: OwedAnswers,
}

#[derive(Debug, Default)]
struct Asked {
    open: HashMap<IdKey, Box<RawValue>>,
    /// Asked in a session that is gone; the answers are for nobody.
    void: HashSet<IdKey>,
    /// The client has closed its side and cannot answer any more.
    client_gone: bool,
}

impl ServerRequests {
    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server asks; `false` when nobody is there to answer.
    fn asked(&self, key: IdKey, id: &RawValue) -> bool {
        let mut asked = self.lock();
        asked.void.remove(&key);
        if asked.client_gone {
            return false;
        }
        asked.open.insert(key, id.to_owned());
        self.owed.send_replace(asked.open.len());
        true
    }

    /// The client cannot answer any more: what it still owes, by its id.
    fn client_gone(&self) -> Vec<Box<RawValue>> {
        let mut asked = self.lock();
        asked.client_gone = true;
        self.owed.send_replace(0);
        asked.open.drain().map(|(_, id)| id).collect()
    }

    /// The number of answers that the client owes, as it changes.
    pub fn owed(&self) -> OwedAnswers {
        Arc::clone(&self.owed)
    }

    /// Whether somebody wants an answer that has come to its turn; not when the session that asked is gone.
    pub fn is_wanted(&self, key: &IdKey) -> bool {
        !self.lock().void.remove(key)
    }

    /// No answer is owed any more: the client has given it, or the server has taken the question back, and none should
    /// come (MCP, "Cancellation").
    pub fn settled(&self, key: &IdKey) {
        let mut asked = self.lock();
        asked.open.remove(key);
        self.owed.send_replace(asked.open.len());
    }

    /// The session is gone: what it had asked is cancelled at the client.
    pub fn abandon(&self, output: &Output) {
        let mut asked = self.lock();
        let open: Vec<_> = asked.open.drain().collect();
        for (key, id) in open {
            let cancelled = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"The session with the server was lost."}}}}"#
            );
            output.push(Bytes::from(cancelled));
            asked.void.insert(key);
        }
        self.owed.send_replace(0);
    }
}

/// What to do with one message of the server.
enum Step {
    /// The answer that was waited for, with this line to deliver.
    Answer(Bytes),
    /// For the client, as it is.
    Pass,
    /// A question for the client.
    Ask(IdKey, Box<RawValue>),
    /// An answer to another request that is in flight.
    Other(IdKey, Box<RawValue>),
    /// For nobody.
    Drop(&'static str),
}

/// What a body or an event of the server held, beside what was passed on.
#[derive(Debug, Default)]
pub struct Received {
    /// The answer that was waited for, as a line.
    pub answer: Option<Bytes>,
    /// The id of an answer that nobody waits for.
    pub stray: Option<Box<RawValue>>,
}

impl Received {
    fn and(self, later: Self) -> Self {
        Self { answer: self.answer.or(later.answer), stray: later.stray.or(self.stray) }
    }
}

impl Bridge {
    /// Takes a body or an event of the server: passes on what is for the client, and returns the answer to `awaited`
    /// if it is in there. An answer without an id is given `id`.
    ///
    /// # Errors
    /// A problem when it is no JSON-RPC message.
    pub(crate) async fn hear(
        &self,
        body: Bytes,
        awaited: Option<&IdKey>,
        id: Option<&RawValue>,
    ) -> Result<Received, Problem> {
        self.hear_with(body, awaited, id, &mut None).await
    }

    /// The same, while room for the answer is held; it is given back when something else has to be written first.
    pub(crate) async fn hear_with(
        &self,
        body: Bytes,
        awaited: Option<&IdKey>,
        id: Option<&RawValue>,
        room: &mut Option<Reserved>,
    ) -> Result<Received, Problem> {
        let members: Vec<Bytes> = match peek(&body) {
            Ok(Peek::One(kind)) => {
                let step = self.sort(&kind, &body, awaited, id);
                return Ok(self.act(step, body, room).await);
            }
            // Revision 2025-03-26 lets a server send several messages in one array; each is passed on by itself.
            Ok(Peek::Batch(members)) => members.iter().map(|m| body.slice_ref(m.get().as_bytes())).collect(),
            Err(error) => return Err(Problem::new(ProblemId::InvalidAnswer).with("detail", error)),
        };
        let mut heard = Received::default();
        for member in members {
            let text = std::str::from_utf8(&member).unwrap_or_default();
            match peek_object(text) {
                Ok(kind) => {
                    let step = self.sort(&kind, &member, awaited, id);
                    heard = heard.and(self.act(step, member, room).await);
                }
                Err(error) => tracing::warn!(%error, "a member of a server's batch was dropped"),
            }
        }
        Ok(heard)
    }

    /// The client has closed its side: who waits for its answer must not wait in vain.
    pub(crate) fn answer_for_client(&self) {
        for id in self.server_requests.client_gone() {
            self.refuse_for_client(&id);
        }
    }

    fn refuse_for_client(&self, id: &RawValue) {
        let line = write::error(Some(id), &Problem::new(ProblemId::ShuttingDown).to_json_rpc_error());
        self.lane.push(OutboxMessage::new(line, self.connection.need()));
    }

    fn sort(&self, kind: &Kind<'_>, body: &Bytes, awaited: Option<&IdKey>, id: Option<&RawValue>) -> Step {
        match kind {
            Kind::Notification { method, params } => {
                if method == "notifications/cancelled"
                    && let Some(key) = Params::of(*params).ok().and_then(|params| IdKey::parse(params.request_id?))
                {
                    self.server_requests.settled(&key);
                }
                Step::Pass
            }
            Kind::Request { key, id, .. } => Step::Ask(key.clone(), (*id).to_owned()),
            Kind::Response { id: Some((_, key)), .. } if awaited == Some(key) => Step::Answer(body.clone()),
            Kind::Response { id: Some((id, key)), .. } => Step::Other(key.clone(), (*id).to_owned()),
            Kind::Response { id: None, .. } => match (awaited, id) {
                (Some(_), Some(id)) => Step::Answer(write::with_id(std::str::from_utf8(body).unwrap_or_default(), id)),
                (Some(_), None) => Step::Answer(body.clone()),
                (None, _) => Step::Drop("an answer without an id"),
            },
        }
    }

    async fn act(&self, step: Step, body: Bytes, room: &mut Option<Reserved>) -> Received {
        if !matches!(step, Step::Answer(_)) {
            // Who waits for room while holding some could wait for ever.
            *room = None;
        }
        match step {
            Step::Answer(line) => return Received { answer: Some(write::one_line(line)), stray: None },
            Step::Pass => self.output.send(write::one_line(body)).await,
            Step::Ask(key, id) => {
                self.output.send(write::one_line(body)).await;
                // Counted only now: one that is dropped on its way to the client would be owed for ever.
                if !self.server_requests.asked(key, &id) {
                    self.refuse_for_client(&id);
                }
            }
            Step::Other(key, id) => match self.pending.answer_for(&key) {
                Some(_answering) => self.output.send(write::one_line(body)).await,
                None => {
                    tracing::warn!("the server answered a request that nobody waits for; dropped");
                    return Received { answer: None, stray: Some(id) };
                }
            },
            Step::Drop(what) => tracing::warn!("the server sent {what}; dropped"),
        }
        Received::default()
    }
}
