//! The session with the server (Streamable HTTP, "Session Management").

use reqwest::header::HeaderValue;

/// The state that every request of a session carries.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// `Mcp-Session-Id`, when the server gave one.
    pub id: Option<HeaderValue>,
    /// `MCP-Protocol-Version`: what the server answered to `initialize`.
    pub version: Option<HeaderValue>,
    /// Counts the sessions of this process: a message whose session was lost and replaced must not lose the new one.
    pub epoch: u64,
    /// The interactive grant under which it was opened; another grant may be another user's.
    pub grant: Option<u64>,
}

impl Session {
    /// The session after this one, before the server has said anything about it.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self { epoch: self.epoch + 1, ..Self::default() }
    }
}

/// How many requests of the server the client has not answered yet. While there is one, silence is the client's doing.
pub type OwedAnswers = std::sync::Arc<tokio::sync::watch::Sender<usize>>;
