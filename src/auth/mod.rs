//! Owns signing in: from a 401 to an `Authorization` header, and keeping it fresh.
//!
//! The stations, in the order in which a token passes them: [`discovery`] (what a 401 says, and where to sign in),
//! [`registration`] (as whom), [`login`] (the user's answer), [`exchange`] (a code becomes a token), [`grants`] (what is
//! stored), [`bearer`] (what requests carry, and its renewal). [`coordination`] lets one sign-in serve any number of
//! processes. [`Authorizer`] puts them together. For the commands there are [`checkup`] and [`reset`].

use crate::http::NetError;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::store::{LockError, StoreError};

pub mod authorizer;
pub mod bearer;
pub mod checkup;
pub mod coordination;
pub mod discovery;
pub mod exchange;
pub mod grants;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod login;
pub mod registration;
pub mod reset;

#[cfg(test)]
mod tests;

pub use authorizer::{AuthState, Authorizer, Status};
pub use bearer::cache::Renewable;
pub use coordination::link::PageOpening;
pub use coordination::start::SignInReason;
pub use discovery::challenge::Challenge;
pub use exchange::revocation::Revoked;
pub use grants::grant::{GrantKind, GrantSummary};
pub use login::flow::{LoginEvent, LoginOptions, LoginUi, Silent};

/// An access token as it goes on the wire, and which one it is.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The token itself.
    pub token: Secret,
    /// Grows with every token that this process has used: tells a rejected token from its successor.
    pub serial: u64,
    /// Grows with every interactive grant, which may be another user's: a new one starts a new session.
    pub grant: u64,
    /// When somebody agreed to that grant, in seconds since 1970.
    pub signed_in_at: u64,
    /// The same in every process that uses this grant, and another one for any other grant; no secret.
    pub tag: u64,
}

/// Why there is no token to send.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthError {
    /// Somebody has to sign in; nothing is being done about it yet.
    #[error("{0}")]
    SignInNeeded(Problem),
    /// A passing reason (network, a 5xx, a locked keychain): the grant is kept, trying again later makes sense.
    #[error("{0}")]
    NotNow(Problem),
    /// Only a change of configuration helps.
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
    fn map(self, change: impl FnOnce(Problem) -> Problem) -> Self {
        match self {
            AuthError::SignInNeeded(problem) => AuthError::SignInNeeded(change(problem)),
            AuthError::NotNow(problem) => AuthError::NotNow(change(problem)),
            AuthError::Failed(problem) => AuthError::Failed(change(problem)),
        }
    }
}

impl From<NetError> for AuthError {
    /// The network comes back by itself; a proxy or CA file that cannot be used does not.
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
        if error.is_passing() { AuthError::NotNow(error.into()) } else { AuthError::Failed(error.into()) }
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
