//! Owns the wall clock: token expiry, HTTP-dates and records take the time from here, so that a test can set it.
//!
//! Sleeping needs no trait here: a test can pause the runtime's timer.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, as the machine believes it to be.
    fn now(&self) -> SystemTime;

    /// Now, in whole seconds since 1970; 0 for a clock that is set before that.
    fn unix_seconds(&self) -> u64 {
        self.now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock to share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock, ready to share.
pub fn system() -> SharedClock {
    Arc::new(SystemClock)
}

/// A clock that stands still until a test moves it.
#[cfg(test)]
#[derive(Debug)]
pub struct ManualClock(std::sync::Mutex<SystemTime>);

#[cfg(test)]
impl ManualClock {
    /// A clock that shows `seconds` since 1970.
    pub fn at(seconds: u64) -> Arc<Self> {
        Arc::new(Self(std::sync::Mutex::new(UNIX_EPOCH + Duration::from_secs(seconds))))
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        *self.0.lock().expect("no holder panics") += by;
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().expect("no holder panics")
    }
}
