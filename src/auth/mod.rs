//! Owns signing in: from a 401 to an `Authorization` header, and keeping it fresh.

use crate::problem::Problem;
use crate::secret::Secret;

/// An access token as it goes on the wire, and which one it is.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The token itself.
    pub token: Secret,
    /// Grows with every token that this process has used: tells a rejected token from its successor.
    pub serial: u64,
    /// Grows with every interactive grant, which may be another user's: a new one starts a new session.
    pub grant: u64,
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
#[derive(Debug, Clone)]
pub struct Challenge;
impl Challenge {
    pub fn from_headers(_: &reqwest::header::HeaderMap) -> Self {
        Self
    }
}
#[derive(Debug, Clone)]
pub enum AuthState {
    SignedOut,
    SigningIn { link: Option<String> },
    SignedIn { grant: u64 },
}
#[derive(Debug, Clone, Copy)]
pub enum SignInReason {
    FirstList,
    Call,
    UserAsked,
}
#[derive(Debug)]
pub struct Authorizer;
impl Authorizer {
    pub async fn bearer(&self) -> Result<Option<Bearer>, AuthError> {
        Ok(None)
    }
    pub async fn unauthorized(&self, _r: Option<&Bearer>, _c: Challenge) -> Result<Bearer, AuthError> {
        unreachable!()
    }
    pub fn note_challenge(&self, _c: Challenge) {}
    pub fn start_sign_in(&self, _r: SignInReason) -> Result<(), Problem> {
        Ok(())
    }
    pub async fn wait_signed_in(&self, _w: std::time::Duration) -> Result<(), AuthError> {
        Ok(())
    }
    pub fn watch(&self) -> tokio::sync::watch::Receiver<AuthState> {
        unreachable!()
    }
    pub fn sign_in_link(&self) -> Option<String> {
        None
    }
}
