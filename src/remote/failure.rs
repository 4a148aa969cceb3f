//! Why a message did not get through, and what the server may have done with it.

use reqwest::StatusCode;
use tokio::time::Duration;

use crate::auth::AuthError;
use crate::http::{NetError, Step};
use crate::message::Revision;
use crate::problem::{Problem, ProblemId};

use super::outgoing::Withdrawn;

/// Why a message did not get through, sorted by what the server may have done.
#[derive(Debug, Clone)]
pub enum Failure {
    /// Somebody has to sign in; nothing was executed.
    SignIn(Problem),
    /// Somebody has to consent to a wider scope; nothing was executed.
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
    /// The server certainly did not get the message.
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
        /// The revisions that the server lists, if it refuses the one that was asked for.
        revisions: Option<Vec<Revision>>,
    },
    /// The server redirects to a page where people sign in, or for now to another origin; nothing was executed.
    Redirected(Problem),
    /// Any other problem; trying again cannot help.
    Explained(Problem),
    /// The message was withdrawn before it was sent (again); nobody waits for an answer.
    Withdrawn,
}

impl Failure {
    /// The problem, without the rest.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::SignIn(problem)
            | Self::Scope { problem, .. }
            | Self::NotSent(problem)
            | Self::Unclear { problem, .. }
            | Self::Refused { problem, .. }
            | Self::Redirected(problem)
            | Self::Explained(problem) => problem,
            Self::SessionLost { otherwise, .. } => *otherwise,
            // Nobody reads it: a withdrawn message needs no answer.
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
        let (is_final, was_never_sent) = match &error {
            NetError::Unusable(_) => (true, true),
            NetError::Failed { step, .. } => (matches!(step, Step::TooLarge(_) | Step::Timeout(_)), error.never_sent()),
        };
        let problem = Problem::from(error);
        match (is_final, was_never_sent) {
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
