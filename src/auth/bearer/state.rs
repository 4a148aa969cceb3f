//! The token that a request carries, and whether somebody is signed in.

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
    /// When somebody agreed to that grant, in seconds since 1970.
    pub signed_in_at: u64,
    /// The same in every process that uses this grant, and another one for any other grant; no secret.
    pub tag: u64,
}

/// Whether somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthState {
    /// Nobody is.
    SignedOut,
    /// A sign-in is under way.
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
    /// The page of the sign-in that is under way, once this process has heard of it.
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

/// Whether there can be another token without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewable {
    /// It is there.
    Already,
    /// A renewal may bring it.
    Now,
    /// Only a sign-in can.
    Never,
}
