//! The back-off for a message whose server cannot be reached.

use std::time::Duration;

use crate::pacing::Backoff;

/// For all messages.
pub const RECONNECTION_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
