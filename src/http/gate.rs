//! The gate that a 429 closes for every request of this process until the server's time is over.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{Duration, Instant};

/// Open until [`Gate::close_for`]; then closed until that time is over.
#[derive(Debug, Default)]
pub struct Gate {
    /// Spares the lock while the gate has never been closed.
    used: AtomicBool,
    closed_until: Mutex<Option<Instant>>,
}

impl Gate {
    /// Closes the gate for `wait` from now; a later opening time that is already set stays.
    pub fn close_for(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut closed = self.closed_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if closed.is_none_or(|t| t < until) {
            *closed = Some(until);
        }
        self.used.store(true, Ordering::Release);
    }

    /// How long it stays closed; zero when it is open.
    pub fn remaining(&self) -> Duration {
        if !self.used.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        let closed = self.closed_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        closed.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Returns when the gate is open.
    pub async fn pass(&self) {
        loop {
            match self.remaining() {
                Duration::ZERO => return,
                wait => tokio::time::sleep(wait).await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_passes_before_the_latest_time_that_was_set() {
        let gate = Gate::default();
        gate.pass().await;
        let start = Instant::now();
        gate.close_for(Duration::from_secs(5));
        gate.close_for(Duration::from_secs(2));
        gate.pass().await;
        assert!(start.elapsed() >= Duration::from_secs(5));
        assert_eq!(gate.remaining(), Duration::ZERO);
    }
}
