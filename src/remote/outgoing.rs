//! A message on its way, and the ways in which it may not get through.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use tokio::time::Duration;

use crate::auth::{AuthError, Authorizer, Bearer};
use crate::http::{NetError, Step};
use crate::message::{IdKey, Kind, Peek, peek};
use crate::problem::{Problem, ProblemId};

/// One message on its way to the server.
#[derive(Clone)]
pub struct Outgoing {
    /// The message as the client wrote it.
    pub body: Bytes,
    /// The id of the answer, for a message that expects one.
    pub expects: Option<IdKey>,
    /// The user in whose name the message may be sent.
    pub bound_user: Arc<BoundUser>,
    /// How far the message has got; shared with those who may withdraw it.
    pub send_state: Arc<SendState>,
    /// The epoch of the session that the message belongs to, if any: the session may be replaced while the message waits.
    pub epoch: Option<u64>,
    /// The message is sent again in a new session, because an answer spoke of a lost one.
    pub reopened: bool,
    /// Headers that repeat parts of the body. Messages of the stateless era have them, and no session.
    pub mcp_headers: Option<HeaderMap>,
    /// The message opens a stream that is silent by nature.
    pub listens: bool,
    /// How long the server may take to begin its answer, when that is less than a request is given.
    pub accepted_within: Option<Duration>,
    /// Called with the time left, each time the message has to wait.
    pub on_wait: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("bytes", &self.body.len())
            .field("expects", &self.expects)
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// A message that expects no answer.
    pub fn unanswered(body: Bytes) -> Self {
        Self {
            body,
            expects: None,
            bound_user: Arc::default(),
            send_state: Arc::default(),
            epoch: None,
            reopened: false,
            mcp_headers: None,
            listens: false,
            accepted_within: None,
            on_wait: None,
        }
    }
}

/// The user in whose name a message may be sent. It does not go out in the name of another user who signs in while it
/// waits.
#[derive(Debug, Default)]
pub struct BoundUser {
    /// The interactive grant; 0: any user who is signed in when the message is sent.
    grant: AtomicU64,
    /// When the message arrived, in seconds since 1970.
    arrived_at: u64,
}

impl BoundUser {
    /// Binds to the user who is signed in now; to nobody in particular when nobody is.
    pub fn the_user_of(auth: &Authorizer) -> Self {
        let (grant, arrived_at) = auth.signed_in_now();
        Self { grant: AtomicU64::new(grant.unwrap_or_default()), arrived_at }
    }

    /// Any user will do from here on: the sender was asked to sign in, as anybody.
    pub fn release(&self) {
        self.grant.store(0, Ordering::Relaxed);
    }

    /// Whether the message may be sent with this token. This process learns late of a sign-in in another one: only a
    /// message that arrived before the sign-in belongs to the user before.
    pub(super) fn allows(&self, bearer: &Bearer) -> bool {
        let bound = self.grant.load(Ordering::Relaxed);
        if bound != 0 && bound != bearer.grant && self.arrived_at < bearer.signed_in_at {
            return false;
        }
        self.grant.store(bearer.grant, Ordering::Relaxed);
        true
    }
}

/// How far a message has got, shared by those who send it and those who may withdraw it.
#[derive(Debug, Default)]
pub struct SendState {
    at_server: AtomicBool,
    withdrawn: AtomicBool,
}

/// The message was withdrawn before it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawn;

impl SendState {
    /// Whether the server may have the message. Not while it waits here, nor after a refusal that means "not executed".
    pub fn may_be_at_server(&self) -> bool {
        self.at_server.load(Ordering::Relaxed)
    }

    /// Nobody wants the message any more: it is not sent, nor sent again.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }

    /// From here on the server may have the message.
    ///
    /// # Errors
    /// [`Withdrawn`]: it must not be sent.
    pub fn start_sending(&self) -> Result<(), Withdrawn> {
        if self.withdrawn.load(Ordering::Relaxed) {
            return Err(Withdrawn);
        }
        self.at_server.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The server surely did not execute the message.
    pub(super) fn mark_not_executed(&self) {
        self.at_server.store(false, Ordering::Relaxed);
    }
}

/// Why a message did not get through, sorted by what the server may have done.
#[derive(Debug, Clone)]
pub enum Failure {
    /// Somebody has to sign in; nothing was executed.
    SignIn(Problem),
    /// Somebody has to agree to a wider scope; nothing was executed.
    Scope {
        /// What is missing.
        problem: Problem,
        /// The token that is too narrow, as in [`Bearer::serial`](crate::auth::Bearer::serial).
        narrow: Option<u64>,
    },
    /// The server no longer knows the session; nothing was executed.
    SessionLost {
        /// The epoch of the session.
        epoch: u64,
        /// What the answer means if a new session does not help.
        otherwise: Box<Problem>,
    },
    /// The server surely did not get the message.
    NotSent(Problem),
    /// The server may have executed the message, and may be able to answer later.
    Unclear {
        /// What happened.
        problem: Problem,
        /// How long the server asks to wait, uncapped.
        wait: Option<Duration>,
    },
    /// The server answered with a status that means no; trying again cannot help.
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// What the refusal means.
        problem: Problem,
    },
    /// Anything else; trying again cannot help.
    Explained(Problem),
    /// The message was withdrawn before it was sent (again); nobody waits for an answer.
    Withdrawn,
}

impl Failure {
    /// The problem, whatever else there is to say.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::SignIn(problem)
            | Self::Scope { problem, .. }
            | Self::NotSent(problem)
            | Self::Unclear { problem, .. }
            | Self::Refused { problem, .. }
            | Self::Explained(problem) => problem,
            Self::SessionLost { otherwise, .. } => *otherwise,
            // Nobody reads it: what was withdrawn has no one left to answer.
            Self::Withdrawn => Problem::new(ProblemId::InternalError).with("detail", "the message was withdrawn"),
        }
    }
}

impl From<Withdrawn> for Failure {
    fn from(_: Withdrawn) -> Self {
        Self::Withdrawn
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Explained(problem)
    }
}

impl From<NetError> for Failure {
    fn from(error: NetError) -> Self {
        let (final_, never_sent) = match &error {
            NetError::Unusable(_) => (true, true),
            NetError::Failed { step, .. } => (matches!(step, Step::TooLarge(_) | Step::Timeout(_)), error.never_sent()),
        };
        let problem = Problem::from(error);
        match (final_, never_sent) {
            (true, _) => Self::Explained(problem),
            (false, true) => Self::NotSent(problem),
            (false, false) => Self::Unclear { problem, wait: None },
        }
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::SignInNeeded(problem) => Self::SignIn(problem),
            AuthError::NotNow(problem) | AuthError::Failed(problem) => Self::Explained(problem),
        }
    }
}

/// Whom a JSON-RPC answer names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The request that was posted.
    This,
    /// Nobody: its id is `null` or absent.
    Nobody,
}

/// The JSON-RPC answer to `out` that `body` is, if it is one.
pub(super) fn answer_in(body: &[u8], out: &Outgoing) -> Option<Names> {
    match peek(body) {
        Ok(Peek::One(Kind::Response { id: None, .. })) => Some(Names::Nobody),
        Ok(Peek::One(Kind::Response { id: Some((_, key)), .. })) if out.expects.as_ref() == Some(&key) => {
            Some(Names::This)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_recognised_by_its_id_or_by_the_lack_of_one() {
        let out = Outgoing { expects: Some(IdKey::Number("7".into())), ..Outgoing::unanswered(Bytes::new()) };
        let named = br#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no"}}"#;
        let nameless = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}"#;
        let other = br#"{"jsonrpc":"2.0","id":8,"error":{"code":-32601,"message":"no"}}"#;
        assert_eq!(answer_in(named, &out), Some(Names::This));
        assert_eq!(answer_in(nameless, &out), Some(Names::Nobody));
        for not in [&other[..], br#"{"error":"nope"}"#, b"<html>", b""] {
            assert_eq!(answer_in(not, &out), None);
        }
    }
}
