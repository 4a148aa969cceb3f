//! Why there is no token, and the problem of an endpoint of the authorization server that could not be reached.

use crate::config::Settings;
use crate::http::{NetError, Step};
use crate::problem::{Problem, ProblemId};
use crate::store::{Backend, LockError, StoreError};

/// The command that stores another typed token.
const TOKEN_COMMAND: &str = "login --token-from-stdin";

/// Why there is no token to send.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// Somebody has to sign in; nothing is being done about it yet.
    #[error("{0}")]
    SignInNeeded(Problem),
    /// A transient reason (network, a 5xx, a locked keychain): the grant is kept, and trying again later makes sense.
    #[error("{0}")]
    NotNow(Problem),
    /// Only a configuration change helps.
    #[error("{0}")]
    Failed(Problem),
}

impl AuthError {
    /// The problem behind it.
    pub fn problem(&self) -> &Problem {
        match self {
            AuthError::SignInNeeded(problem) | AuthError::NotNow(problem) | AuthError::Failed(problem) => problem,
        }
    }
}

impl AuthError {
    /// The same with another problem.
    pub(crate) fn map(self, change: impl FnOnce(Problem) -> Problem) -> Self {
        match self {
            AuthError::SignInNeeded(problem) => AuthError::SignInNeeded(change(problem)),
            AuthError::NotNow(problem) => AuthError::NotNow(change(problem)),
            AuthError::Failed(problem) => AuthError::Failed(change(problem)),
        }
    }
}

impl From<NetError> for AuthError {
    /// The network recovers on its own; an unusable proxy or CA file does not.
    fn from(error: NetError) -> Self {
        match error {
            NetError::Unusable(problem) => AuthError::Failed(problem),
            error @ NetError::Failed { .. } => AuthError::NotNow(error.into()),
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::SignInNeeded(problem) | AuthError::NotNow(problem) | AuthError::Failed(problem) => problem,
        }
    }
}

impl From<StoreError> for AuthError {
    fn from(error: StoreError) -> Self {
        if error.is_transient() { AuthError::NotNow(error.into()) } else { AuthError::Failed(error.into()) }
    }
}

impl From<LockError> for AuthError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held { .. } => AuthError::NotNow(error.into()),
            LockError::NoFolder { .. } | LockError::Unusable { .. } => AuthError::Failed(error.into()),
        }
    }
}

/// Why a renewal brought no token: a case for the facade and the sign-ins, or a final error.
#[derive(Debug, Clone)]
pub(crate) enum RenewalError {
    /// Nobody is signed in.
    NoGrant,
    /// The server rejects the tokens of a recent sign-in: another one would bring another such token, and another tab,
    /// so only the user may start it.
    RejectedAfresh,
    /// Anything else.
    Other(AuthError),
}

impl RenewalError {
    /// Whether the sign-in is over, and a person has to begin another.
    pub(crate) fn ends_sign_in(&self) -> bool {
        matches!(self, RenewalError::RejectedAfresh | RenewalError::Other(AuthError::SignInNeeded(_)))
    }
}

impl From<AuthError> for RenewalError {
    fn from(error: AuthError) -> Self {
        RenewalError::Other(error)
    }
}

/// The server rejects an access token that the user typed in; `kept` is where it is stored, unless it came from the
/// environment.
pub(crate) fn static_token_rejected(settings: &Settings, kept: Option<&Backend>) -> AuthError {
    let problem = if settings.product.is_planhat() {
        Problem::new(ProblemId::PlanhatStaticTokenRejected)
    } else {
        Problem::new(ProblemId::StaticTokenRejected).with("host", settings.service_name())
    };
    AuthError::Failed(match kept {
        Some(kept) => problem.with("place", &kept.place).with("token_command", settings.command(TOKEN_COMMAND)),
        None => problem,
    })
}

/// An endpoint of the authorization server that could not be reached. The texts about the MCP server would mislead
/// here: nothing was executed, and `--url` is not at fault. Certificate and proxy problems explain themselves.
pub(crate) fn unreached(error: NetError, place: &str) -> Problem {
    match &error {
        NetError::Unusable(_) | NetError::Failed { step: Step::Tls(_) | Step::Proxy, .. } => error.into(),
        NetError::Failed { .. } => {
            let problem = Problem::new(ProblemId::TokenEndpointUnavailable).with("endpoint", place);
            problem.because(Problem::from(error))
        }
    }
}
