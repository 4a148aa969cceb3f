//! The token that a request carries, and whether somebody is signed in.

use crate::secret::Secret;

/// An access token to send, and its identity.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The token itself.
    pub token: Secret,
    /// Increases with every token that this process uses: distinguishes a rejected token from its successor.
    pub serial: u64,
    /// Increases with every interactive grant, which may be another user's: a new one starts a new session.
    pub grant: u64,
    /// When somebody consented to that grant, in seconds since 1970.
    pub signed_in_at: u64,
    /// Identifies the grant in all processes that use it; not a secret.
    pub tag: u64,
}

/// Whether somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthState {
    /// Nobody is.
    SignedOut,
    /// A sign-in is running.
    SigningIn {
        /// The page to sign in at, once it is known.
        link: Option<String>,
    },
    /// Somebody is.
    SignedIn {
        /// As [`Bearer::grant`].
        grant: u64,
    },
}

impl AuthState {
    /// The page of the running sign-in, once this process knows it.
    pub(crate) fn link(&self) -> Option<String> {
        match self {
            AuthState::SigningIn { link } => link.clone(),
            AuthState::SignedOut | AuthState::SignedIn { .. } => None,
        }
    }

    /// The interactive grant of the user who is signed in.
    pub(crate) fn grant(&self) -> Option<u64> {
        match self {
            AuthState::SignedIn { grant } => Some(*grant),
            AuthState::SignedOut | AuthState::SigningIn { .. } => None,
        }
    }
}

/// Whether another token can be obtained without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewable {
    /// It already exists.
    Already,
    /// A renewal may obtain it.
    Now,
    /// Only a sign-in can obtain it.
    Never,
}
