//! Owns how many requests the bridge makes by itself. A server can cause them without end (streams that end, sessions that
//! it loses, questions), so all of them share one allowance; what the client asks for never waits for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::limits::{MAX_OWN_REQUESTS_AT_ONCE, MAX_OWN_REQUESTS_PER_MINUTE};
use crate::pacing::Allowance;

/// The allowance of this process. A redirect within the origin, of which there are few in a row, counts as part of its
/// request.
#[derive(Debug)]
pub struct OwnRequests(Mutex<Allowance>);

impl Default for OwnRequests {
    fn default() -> Self {
        Self(Mutex::new(Allowance::new(MAX_OWN_REQUESTS_AT_ONCE, MAX_OWN_REQUESTS_PER_MINUTE)))
    }
}

impl OwnRequests {
    /// Waits for the turn of a request that has to be made.
    pub async fn turn(&self) {
        let wait = self.lock().spend(Instant::now());
        if !wait.is_zero() {
            tracing::debug!(?wait, "the server causes many requests; this one waits for its turn");
            tokio::time::sleep(wait).await;
        }
    }

    /// Whether a request that can be left out may be made now.
    pub fn may_go(&self) -> bool {
        self.lock().try_spend(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Allowance> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_server_makes_the_bridge_send_more_by_itself_than_its_allowance() {
        let own = OwnRequests::default();
        let start = Instant::now();
        let hour = Duration::from_secs(3600);
        let mut made = 0;
        while start.elapsed() < hour && made < 100_000 {
            own.turn().await;
            made += 1;
        }
        assert_eq!(made, MAX_OWN_REQUESTS_AT_ONCE + 60 * MAX_OWN_REQUESTS_PER_MINUTE);
        assert!(!own.may_go(), "what can be left out does not wait");
        tokio::time::advance(hour).await;
        assert_eq!((0..1_000).filter(|_| own.may_go()).count(), MAX_OWN_REQUESTS_AT_ONCE as usize);
    }
}
