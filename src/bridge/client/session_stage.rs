//! How far the session is, and how far it must be before a message may go.

use crate::remote::Failure;

/// How far the session must be before a message may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionStage {
    /// The client has not sent `initialize`, so its messages need no session.
    NotNeeded,
    /// The server has answered `initialize`.
    Answered,
    /// The server has also accepted `notifications/initialized`.
    Open,
}

/// How far the session is.
#[derive(Debug, Clone)]
pub enum State {
    /// No `initialize` yet.
    Idle,
    /// An attempt to open it is under way.
    Opening,
    /// The server has answered `initialize`.
    Answered,
    /// The server has also accepted `notifications/initialized`.
    Open,
    /// The last attempt failed, or the session was lost; the next message that needs it causes another attempt.
    Down(Failure),
}

impl State {
    /// Whether there is a server to ask.
    pub fn is_up(&self) -> bool {
        matches!(self, Self::Answered | Self::Open)
    }
}
