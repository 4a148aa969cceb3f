//! A message on its way to the server: the user and the session it belongs to, and how far it has got.

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
    /// The id of the answer, for a message that expects one.
    pub expects: Option<IdKey>,
    /// The user in whose name the message may be sent.
    pub bound_user: Arc<BoundUser>,
    /// How far the message has got; shared with those who may withdraw it.
    pub send_state: Arc<SendState>,
    /// The epoch of the session that the message belongs to, if any: the session may be replaced while the message waits.
    pub epoch: Option<u64>,
    /// The message is sent again in a new session, because an answer spoke of a lost one.
    pub reopened: bool,
    /// Headers that repeat parts of the body. Messages of the stateless era have them, and no session.
    pub mcp_headers: Option<HeaderMap>,
    /// The message opens a stream that is silent by nature.
    pub listens: bool,
    /// How long the server may take to begin its answer, when that is less than a request is given.
    pub accepted_within: Option<Duration>,
    /// Called with the time left, each time the message has to wait.
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

/// The user in whose name a message may be sent. It does not go out in the name of another user who signs in while it
/// waits.
#[derive(Debug, Default)]
pub struct BoundUser {
    /// The interactive grant; 0: any user who is signed in when the message is sent.
    grant: AtomicU64,
    /// When the message arrived, in seconds since 1970.
    arrived_at: u64,
}

impl BoundUser {
    /// Binds to the user who is signed in now; to nobody in particular when nobody is.
    pub fn the_user_of(auth: &Authorizer) -> Self {
        let (grant, arrived_at) = auth.signed_in_now();
        Self { grant: AtomicU64::new(grant.unwrap_or_default()), arrived_at }
    }

    /// Any user will do from here on: the sender was asked to sign in, as anybody.
    pub fn release(&self) {
        self.grant.store(0, Ordering::Relaxed);
    }

    /// Whether the message may be sent with this token. This process learns late of a sign-in in another one: only a
    /// message that arrived before the sign-in belongs to the user before.
    pub(super) fn allows(&self, bearer: &Bearer) -> bool {
        let bound = self.grant.load(Ordering::Relaxed);
        if bound != 0 && bound != bearer.grant && self.arrived_at < bearer.signed_in_at {
            return false;
        }
        self.grant.store(bearer.grant, Ordering::Relaxed);
        true
    }
}

/// How far a message has got, shared by those who send it and those who may withdraw it.
#[derive(Debug, Default)]
pub struct SendState {
    at_server: AtomicBool,
    withdrawn: AtomicBool,
}

/// The message was withdrawn before it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Withdrawn;

impl SendState {
    /// Whether the server may have the message. Not while it waits here, nor after a refusal that means "not executed".
    pub fn may_be_at_server(&self) -> bool {
        self.at_server.load(Ordering::Relaxed)
    }

    /// Nobody wants the message any more: it is not sent, nor sent again.
    pub fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Relaxed);
    }

    /// From here on the server may have the message.
    ///
    /// # Errors
    /// [`Withdrawn`]: it must not be sent.
    pub fn start_sending(&self) -> Result<(), Withdrawn> {
        if self.withdrawn.load(Ordering::Relaxed) {
            return Err(Withdrawn);
        }
        self.at_server.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The server surely did not execute the message.
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
