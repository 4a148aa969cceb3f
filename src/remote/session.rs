//! The session with the server (Streamable HTTP, "Session Management").

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::header::HeaderValue;
use url::Url;

use crate::auth::Bearer;
use crate::problem::{Problem, ProblemId};

use super::failure::Failure;

/// What every request of a session carries.
#[derive(Debug, Clone, Default)]
pub struct RemoteSession {
    /// `Mcp-Session-Id`, when the server gave one.
    pub id: Option<HeaderValue>,
    /// `MCP-Protocol-Version`: the revision in the server's answer to `initialize`.
    pub version: Option<HeaderValue>,
    /// The number of this session in this process: a late failure of an old session must not end its replacement.
    pub epoch: u64,
    /// The interactive grant that it was opened under; another grant may be another user's.
    pub grant: Option<u64>,
    /// Where its messages are posted, if not at the configured address.
    pub endpoint: Option<Url>,
}

impl RemoteSession {
    /// The next session, still without an id.
    #[must_use]
    pub fn successor(&self) -> Self {
        Self { epoch: self.epoch + 1, ..Self::default() }
    }
}

/// The current session of this process, and the last interactive grant used.
#[derive(Debug, Default)]
pub(super) struct CurrentSession {
    session: Mutex<Arc<RemoteSession>>,
    /// 0 before the first grant.
    last_grant: AtomicU64,
}

impl CurrentSession {
    pub(super) fn get(&self) -> Arc<RemoteSession> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, session: RemoteSession) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(session);
    }

    /// The session in which to send a message with this token; `epoch` is that of the message's own session.
    ///
    /// # Errors `SessionLost` if another grant has opened the session, or its epoch is different.
    pub(super) fn get_for(&self, bearer: Option<&Bearer>, epoch: Option<u64>) -> Result<Arc<RemoteSession>, Failure> {
        let session = self.get();
        let is_anothers = matches!((session.grant, bearer), (Some(opened), Some(now)) if opened != now.grant);
        let epoch = epoch.unwrap_or(session.epoch);
        if is_anothers || epoch != session.epoch {
            return Err(Failure::SessionLost { epoch, otherwise: Box::new(Problem::new(ProblemId::SessionLost)) });
        }
        Ok(session)
    }

    /// Records the grant in use; returns whether it replaces a different one, which may be another user's.
    pub(super) fn is_new_grant(&self, grant: u64) -> bool {
        let before = self.last_grant.swap(grant, Ordering::Relaxed);
        before != 0 && before != grant
    }
}

/// How many of the server's requests the client has not answered yet. Until it has, the server's silence does not
/// count.
pub type OwedAnswers = Arc<tokio::sync::watch::Sender<usize>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_in_its_own_session_and_under_the_grant_that_opened_it() {
        let sessions = CurrentSession::default();
        sessions.set(RemoteSession { epoch: 2, grant: Some(7), ..RemoteSession::default() });
        let bearer = |grant| Bearer { token: "t".into(), serial: 1, grant, signed_in_at: 0, tag: 0 };
        for (grant, wanted, epoch) in [
            (None, None, Ok(2)),
            (Some(7), None, Ok(2)),
            (Some(7), Some(2), Ok(2)),
            (Some(7), Some(1), Err(1)),
            (Some(8), None, Err(2)),
            (Some(8), Some(2), Err(2)),
        ] {
            let got = match sessions.get_for(grant.map(bearer).as_ref(), wanted) {
                Ok(session) => Ok(session.epoch),
                Err(Failure::SessionLost { epoch, .. }) => Err(epoch),
                Err(failure) => panic!("{failure:?}"),
            };
            assert_eq!(got, epoch, "{grant:?} {wanted:?}");
        }
    }

    #[test]
    fn a_grant_is_new_only_beside_another_one_before_it() {
        let sessions = CurrentSession::default();
        assert_eq!([7, 7, 8, 8, 7].map(|grant| sessions.is_new_grant(grant)), [false, false, true, false, true]);
    }
}
