//! `notifications/initialized` as a barrier: later messages wait until the server has accepted it, within reason.

use std::sync::Arc;

use bytes::Bytes;

use crate::limits::INITIALIZED_ACCEPTANCE_WAIT;
use crate::remote::{Failure, Outgoing, Remote};

/// Sends `notifications/initialized`, and returns when the server has accepted it or takes too long.
///
/// # Errors A [`Failure`] if it did not reach the server.
pub async fn send_initialized(remote: &Arc<Remote>, body: Bytes) -> Result<(), Failure> {
    let out = Outgoing::unanswered(body);
    let send_state = Arc::clone(&out.send_state);
    let remote = Arc::clone(remote);
    let mut sending = Box::pin(async move { remote.exchange(&out).await.map(drop) });
    loop {
        let Ok(accepted) = tokio::time::timeout(INITIALIZED_ACCEPTANCE_WAIT, &mut sending).await else {
            // While a rate limit holds it back here, later messages would overtake it.
            if !send_state.may_be_at_server() {
                continue;
            }
            tracing::warn!("the server does not answer notifications/initialized; going on");
            // Dropping it would close its connection, and some servers would then not execute it.
            tokio::spawn(sending);
            return Ok(());
        };
        return match accepted {
            // A server that refuses the notification has still answered `initialize`; later messages will show whether
            // it works.
            Err(Failure::Refused { problem, .. }) => {
                tracing::warn!(%problem, "the server did not accept notifications/initialized");
                Ok(())
            }
            accepted => accepted,
        };
    }
}
