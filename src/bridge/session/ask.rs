//! Sends the bridge's own requests to the server; this is the only place that does.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::message::{Kind, Peek, peek};
use crate::problem::{Problem, ProblemId};
use crate::remote::{Exchange, Failure, Outgoing, Remote};

use super::server_messages::{ServerMessages, answer_in};

/// The answer to one of the bridge's own requests.
#[derive(Debug)]
pub struct PrivateAnswer {
    /// The whole answer.
    pub line: Bytes,
    /// Its exchange: headers, grant, and the secrets that were sent.
    pub exchange: Exchange,
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
/// A [`Failure`] when there is no answer.
pub async fn ask(
    remote: &Remote,
    others: Option<&ServerMessages>,
    out: &Outgoing,
    id: Option<&RawValue>,
) -> Result<PrivateAnswer, Failure> {
    let mut exchange = remote.exchange(out).await?;
    while let Some(message) = exchange.next().await? {
        let answer = match others {
            Some(others) => others.receive(message, out.expects.as_ref(), id, &mut None).await?.answer,
            None => answer_in(&message, out.expects.as_ref()).then_some(message),
        };
        if let Some(line) = answer {
            return Ok(PrivateAnswer { line, exchange });
        }
    }
    Err(Problem::new(ProblemId::NoAnswer).into())
}
