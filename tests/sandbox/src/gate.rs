//! A gate that holds requests until the test opens it, so that no test needs a sleep.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::lock;

/// Holds whoever arrives until it is opened; clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    open: watch::Sender<bool>,
    arrivals: Mutex<u64>,
    arrived: Condvar,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        let inner = Inner { open: watch::Sender::new(false), arrivals: Mutex::new(0), arrived: Condvar::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.inner.open.send_replace(true);
    }

    /// Holds those who arrive from now on.
    pub fn close(&self) {
        self.inner.open.send_replace(false);
    }

    /// How many have arrived so far.
    pub fn arrivals(&self) -> u64 {
        *lock(&self.inner.arrivals)
    }

    /// Blocks until `count` have arrived; false when they did not within that time.
    #[must_use = "a gate that nobody reached tests nothing"]
    pub fn wait_arrivals(&self, count: u64, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        let mut arrivals = lock(&self.inner.arrivals);
        while *arrivals < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            arrivals = self.inner.arrived.wait_timeout(arrivals, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(crate) async fn pass(&self) {
        *lock(&self.inner.arrivals) += 1;
        self.inner.arrived.notify_all();
        // The sender lives in `self`, so waiting can end only by the gate's opening.
        let _ = self.inner.open.subscribe().wait_for(|open| *open).await;
    }
}
