//! Owns signing in: from a 401 to an `Authorization` header, and keeping it fresh.
//!
//! The stations, in the order in which a token passes them: [`challenge`] (what a 401 says), [`discovery`] and
//! [`metadata`] (where to sign in), [`registration`] with [`dynamic`] and [`client`] with [`key`] (as whom), [`scope`] (for
//! what), [`authorize`] (the request to the user), [`login`] with [`browser`], [`callback`] behind its [`door`] (or with
//! another [`holder`]), and [`page`] (the user's answer), [`token`] (the exchange), [`record`] (what is stored),
//! [`refresh`] (its renewal), [`revocation`] (its end). Other ways lead through [`device`] and [`machine`], and
//! [`step_up`] widens what was granted. [`Authorizer`] owns the state and decides what happens when; [`spawn`] and
//! [`pending`] let a sign-in live in a process of its own, which others [`join`], and whose page a person may also open by
//! its link ([`by_link`]). [`memory`] keeps what the server answered with the sign-in that it answered to.
//! [`sign_in`] decides when a sign-in may start by itself, [`known`] and [`renewal`] which token is the one to use. For the
//! commands there are [`checkup`], [`profiles`] and [`reset`].

use crate::http::NetError;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::store::{LockError, StoreError};

pub mod answer;
pub mod authorize;
pub mod authorizer;
pub mod browser;
mod by_link;
pub mod callback;
pub mod challenge;
pub mod checkup;
pub mod client;
pub mod device;
pub mod discovery;
pub mod door;
pub mod dynamic;
pub mod form;
pub mod holder;
mod id_token;
mod inside;
mod interactive;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod join;
pub mod key;
mod known;
pub mod login;
mod machine;
mod memory;
pub mod metadata;
pub mod page;
pub mod pending;
pub mod profiles;
pub mod record;
pub mod refresh;
mod registration;
mod renewal;
pub mod reset;
pub mod revocation;
pub mod scope;
mod sign_in;
pub mod spawn;
mod step_up;
pub mod token;

#[cfg(test)]
mod tests;

pub use authorizer::{AuthState, Authorizer, Status};
pub use by_link::Way;
pub use challenge::Challenge;
pub use known::Renewable;
pub use login::{LoginEvent, LoginOptions, LoginUi, Silent};
pub use record::{GrantKind, GrantSummary};
pub use revocation::Revoked;
pub use sign_in::SignInReason;

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
