//! The state of the session, and the stage that a message needs.

use crate::remote::Failure;

/// The stage that the session must have reached before a message may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionStage {
    /// The client has not sent `initialize`, so its messages need no session.
    NotNeeded,
    /// The server has answered `initialize`.
    Answered,
    /// The server has also accepted `notifications/initialized`.
    Open,
}

/// The state of the session.
#[derive(Debug, Clone)]
pub enum State {
    /// No `initialize` yet.
    Idle,
    /// An attempt to open it is in progress.
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
