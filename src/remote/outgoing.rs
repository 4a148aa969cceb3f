//! A message on its way to the server: its user, its session, and how far it has got.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::time::Duration;

use crate::auth::{Authorizer, Bearer};
use crate::message::IdKey;

/// One message on its way to the server.
#[derive(Clone)]
pub struct Outgoing {
    /// The message as the client wrote it.
    pub body: Bytes,
    /// The id of the expected answer, if any.
    pub expects: Option<IdKey>,
    /// The user on whose behalf the message may be sent.
    pub bound_user: Arc<BoundUser>,
    /// How far the message has got; shared with whatever may withdraw it.
    pub send_state: Arc<SendState>,
    /// The epoch of the message's session, if any: the session may be replaced while the message waits.
    pub epoch: Option<u64>,
    /// Whether it is sent again in a new session because an answer said that the session was lost.
    pub reopened: bool,
    /// Headers that repeat parts of the body. Messages of the stateless era have them instead of a session.
    pub mcp_headers: Option<HeaderMap>,
    /// Whether it opens a stream that may stay silent.
    pub listens: bool,
    /// How long the server may take to start its answer, if less than the default.
    pub accepted_within: Option<Duration>,
    /// Called with the remaining time, each time the message has to wait.
    pub on_wait: Option<Arc<dyn Fn(Duration) + Send + Sync>>,
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("bytes", &self.body.len())
            .field("expects", &self.expects)
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// A message that expects no answer.
    pub fn unanswered(body: Bytes) -> Self {
        Self {
            body,
            expects: None,
            bound_user: Arc::default(),
            send_state: Arc::default(),
            epoch: None,
            reopened: false,
            mcp_headers: None,
            listens: false,
            accepted_within: None,
            on_wait: None,
        }
    }
}

/// The user on whose behalf a message may be sent: never a different user who signs in while it waits.
#[derive(Debug, Default)]
pub struct BoundUser {
    /// The interactive grant; 0 for any user who is signed in when the message is sent.
    grant: AtomicU64,
    /// When the message arrived, in seconds since 1970.
    arrived_at: u64,
}

impl BoundUser {
    /// Binds to the user who is signed in now, if anybody.
    pub fn current_user_of(auth: &Authorizer) -> Self {
        let (grant, arrived_at) = auth.signed_in_now();
        Self { grant: AtomicU64::new(grant.unwrap_or_default()), arrived_at }
    }

    /// From now on any user will do: the sender was asked to sign in, as anybody.
    pub fn release(&self) {
        self.grant.store(0, Ordering::Relaxed);
    }

    /// Whether the message may be sent with this token. This process may learn late of a sign-in in another one: only a
    /// message that arrived before that sign-in belongs to the previous user.
    pub(super) fn allows(&self, bearer: &Bearer) -> bool {
        let bound = self.grant.load(Ordering::Relaxed);
        if bound != 0 && bound != bearer.grant && self.arrived_at < bearer.signed_in_at {
            return false;
        }
        self.grant.store(bearer.grant, Ordering::Relaxed);
        true
    }
}

/// How far a message has got, shared by its sender and whatever may withdraw it.
#[derive(Debug, Default)]
pub struct SendState {
    at_server: AtomicBool,
    withdrawn: AtomicBool,
}

/// The message was withdrawn before it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawn;

impl SendState {
    /// Whether the server may have the message: not while it waits here, nor after a refusal that means "not executed".
    pub fn may_be_at_server(&self) -> bool {
        self.at_server.load(Ordering::Relaxed)
    }

    /// Withdraws the message: it is not sent, nor sent again.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }

    /// Records that the server may have the message from now on.
    ///
    /// # Errors [`Withdrawn`], if it must not be sent.
    pub fn start_sending(&self) -> Result<(), Withdrawn> {
        if self.withdrawn.load(Ordering::Relaxed) {
            return Err(Withdrawn);
        }
        self.at_server.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Records that the server certainly did not execute the message.
    pub(super) fn mark_not_executed(&self) {
        self.at_server.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_withdrawn_is_not_sent_and_what_was_sent_may_be_at_the_server_until_it_is_refused() {
        let state = SendState::default();
        assert!(!state.may_be_at_server());
        assert_eq!(state.start_sending(), Ok(()));
        assert!(state.may_be_at_server());
        state.mark_not_executed();
        assert!(!state.may_be_at_server());
        state.withdraw();
        assert_eq!(state.start_sending(), Err(Withdrawn));
        assert!(!state.may_be_at_server());
    }
}
