//! How long a message waits for a server that cannot be reached before it is sent again.

use std::time::Duration;

use crate::pacing::Backoff;

/// For requests and other messages alike.
pub const RECONNECTION_BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
