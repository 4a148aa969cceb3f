//! A message on its way, and the ways in which it may not get through.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::time::Duration;

use crate::auth::{AuthError, Authorizer, Bearer};
use crate::http::{NetError, Step};
use crate::message::{IdKey, Kind, Peek, peek};
use crate::problem::Problem;

/// One message on its way to the server.
#[derive(Clone)]
pub struct Outgoing {
    /// As the client wrote it.
    pub body: Bytes,
    /// Whether an answer is expected, and under which id.
    pub expects: Option<IdKey>,
    /// In whose name it is meant.
    pub meant: Arc<BoundUser>,
    /// Where it is, for whoever may take it back.
    pub whereabouts: Arc<SendState>,
    /// The session that it belongs to, by its epoch, where it belongs to one: it may wait here until that one is replaced.
    pub epoch: Option<u64>,
    /// Whether it is sent again in a new session, because an answer spoke of a lost one.
    pub reopened: bool,
    /// Headers that repeat parts of the body; a message of the stateless era has them and no session.
    pub mirrored: Option<HeaderMap>,
    /// Whether it opens a stream that is silent by nature.
    pub listens: bool,
    /// How long the server may take to begin to answer, when that is less than for a request.
    pub accepted_within: Option<Duration>,
    /// Is told how long the message has to wait, each time it has to.
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
            meant: Arc::default(),
            whereabouts: Arc::default(),
            epoch: None,
            reopened: false,
            mirrored: None,
            listens: false,
            accepted_within: None,
            on_wait: None,
        }
    }
}

/// In whose name a message is meant: not to be sent in that of another user, who has signed in while it waited.
#[derive(Debug, Default)]
pub struct BoundUser {
    /// The interactive grant; 0: whoever is signed in when it is sent.
    grant: AtomicU64,
    /// When it came, in seconds since 1970.
    came: u64,
}

impl BoundUser {
    /// Whoever is signed in now; nobody in particular when nobody is.
    pub fn the_user_of(auth: &Authorizer) -> Self {
        let (grant, came) = auth.signed_in_now();
        Self { grant: AtomicU64::new(grant.unwrap_or_default()), came }
    }

    /// Its sender was told to sign in, and is content with whoever does.
    pub fn anybody(&self) {
        self.grant.store(0, Ordering::Relaxed);
    }

    /// Whether it may be sent with this token. A sign-in in another process is noticed late: only what came before it was
    /// meant for the one before.
    pub(super) fn allows(&self, bearer: &Bearer) -> bool {
        let meant = self.grant.load(Ordering::Relaxed);
        if meant != 0 && meant != bearer.grant && self.came < bearer.signed_in_at {
            return false;
        }
        self.grant.store(bearer.grant, Ordering::Relaxed);
        true
    }
}

/// Where a message is, shared by those who send it and those who may take it back.
#[derive(Debug, Default)]
pub struct SendState {
    at_server: AtomicBool,
    withdrawn: AtomicBool,
}

impl SendState {
    /// Whether the server may have it. Not while it waits here, nor after a refusal that says "not executed".
    pub fn is_at_server(&self) -> bool {
        self.at_server.load(Ordering::Relaxed)
    }

    /// Nobody wants it any more: wherever it is, it is not sent again.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }

    /// It is about to be sent. What was withdrawn stays here, until its task is stopped.
    pub async fn leave(&self) {
        if self.withdrawn.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.at_server.store(true, Ordering::Relaxed);
    }

    /// It surely was not executed.
    pub(super) fn came_back(&self) {
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
    /// The session of this epoch is gone, as far as its server says so; nothing was executed.
    SessionLost {
        /// Which one.
        epoch: u64,
        /// What the answer means if a new session does not help.
        otherwise: Box<Problem>,
    },
    /// The server surely did not get it.
    NotSent(Problem),
    /// The server may have executed it, and may be able to answer later.
    Unclear {
        /// What happened.
        problem: Problem,
        /// How long the server asks to wait, uncapped.
        wait: Option<Duration>,
    },
    /// Anything else; trying again cannot help.
    Explained(Problem),
}

impl Failure {
    /// The problem, whatever else there is to say.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::SignIn(problem)
            | Self::Scope { problem, .. }
            | Self::NotSent(problem)
            | Self::Unclear { problem, .. }
            | Self::Explained(problem) => problem,
            Self::SessionLost { otherwise, .. } => *otherwise,
        }
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
