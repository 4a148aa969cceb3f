//! Sends the bridge's own requests to the server; this is the only place that does.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::bridge::client::room::Room;
use crate::limits::OWN_ANSWER_BYTES;
use crate::message::{Kind, Peek, peek};
use crate::problem::{Problem, ProblemId};
use crate::remote::{Failure, Message, Outgoing, Remote};

use super::incoming::Incoming;
use super::server_messages::ServerMessages;

/// The answer to one of the bridge's own requests.
#[derive(Debug)]
pub struct PrivateAnswer {
    /// The whole answer.
    pub line: Bytes,
    /// The room that it takes.
    pub room: Option<Room>,
    /// Where it came from: its headers, its grant, the secrets that were sent.
    pub incoming: Incoming,
}

impl PrivateAnswer {
    /// The result; `None` when the server answered with an error.
    pub fn result(&self) -> Option<&RawValue> {
        match peek(&self.line) {
            Ok(Peek::One(Kind::Response { result, .. })) => result,
            _ => None,
        }
    }
}

/// Sends `out` and reads until its answer, which gets `id` if the server left the id out. Other messages on its stream
/// go to `others`, if given.
///
/// # Errors
/// A [`Failure`] when there is no answer, or one of more than [`OWN_ANSWER_BYTES`].
pub async fn ask(
    remote: &Remote,
    others: Option<&Arc<ServerMessages>>,
    out: &Outgoing,
    id: Option<&RawValue>,
) -> Result<PrivateAnswer, Failure> {
    let mut incoming = Incoming::new(remote.exchange(out).await?, others.cloned());
    while let Some(Message { body, room }) = incoming.next().await? {
        let mut room = Room::of_body(room);
        if let Some(line) = incoming.receive(body, out.expects.as_ref(), id, &mut room).await?.answer {
            if line.len() > OWN_ANSWER_BYTES {
                return Err(Problem::new(ProblemId::AnswerTooLarge).with("limit", OWN_ANSWER_BYTES).into());
            }
            return Ok(PrivateAnswer { line, room, incoming });
        }
    }
    Err(Problem::new(ProblemId::NoAnswer).into())
}
