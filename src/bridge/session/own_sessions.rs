//! Bounds how often the bridge opens a session by itself after one that was lost: a server can lose each of them at once.

use std::sync::{Mutex, PoisonError};

use tokio::time::Duration;

use crate::limits::{LONGEST_REOPENING_WAIT, MAX_OWN_SESSIONS, SESSION_LIFE, SHORTEST_REOPENING_WAIT};
use crate::pacing::{Backoff, Reopening, noise};

/// The sessions that nobody asked for.
#[derive(Debug)]
pub struct OwnSessions(Mutex<Reopening>);

impl Default for OwnSessions {
    fn default() -> Self {
        Self(Mutex::new(Reopening::new(Backoff::new(SHORTEST_REOPENING_WAIT, LONGEST_REOPENING_WAIT))))
    }
}

impl OwnSessions {
    /// How long to wait before another one is opened, after one that lasted so long; `None` to leave that to the client.
    /// A request of the client changes nothing about it: only a session that lives shows that the next one is worth it.
    pub fn after_loss(&self, lasted: Duration) -> Option<Duration> {
        let mut reopening = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = reopening.after_end(lasted >= SESSION_LIFE, None, noise());
        (reopening.short_lived() <= MAX_OWN_SESSIONS).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_lost_again_and_again_is_left_to_the_client_s_next_request() {
        let own = OwnSessions::default();
        let short = SESSION_LIFE / 2;
        for times in [1, 2, 4, 8, 16] {
            let wait = own.after_loss(short).expect("not too often yet");
            let least = times * SHORTEST_REOPENING_WAIT;
            assert!(wait >= least && wait <= least * 11 / 10, "{wait:?} for {least:?}");
        }
        assert_eq!(own.after_loss(short), None);
        let wait = own.after_loss(SESSION_LIFE).expect("that one has lived");
        assert!(wait >= SHORTEST_REOPENING_WAIT && wait < 2 * SHORTEST_REOPENING_WAIT);
    }
}
