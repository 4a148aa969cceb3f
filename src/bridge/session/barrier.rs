//! `notifications/initialized` as a barrier: what follows it waits until the server has taken it, within reason.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Duration;

use crate::remote::{Failure, Outgoing};

use crate::bridge::Bridge;

/// How long the server may take to accept `notifications/initialized` before what follows goes out all the same. Some
/// servers never answer it, and clients give the first list no more than ten seconds.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(3);

impl Bridge {
    /// Sends `notifications/initialized`, and returns when the server has taken it or does not answer.
    pub(crate) async fn say_initialized(self: &Arc<Self>, body: Bytes) -> Result<(), Failure> {
        let out = Outgoing::unanswered(body);
        let send_state = Arc::clone(&out.send_state);
        let bridge = Arc::clone(self);
        let mut said = Box::pin(async move { bridge.remote.exchange(&out).await.map(drop) });
        loop {
            let Ok(taken) = tokio::time::timeout(ACCEPTED_WITHIN, &mut said).await else {
                // While it waits here, for a limit of the rate, what follows would only overtake it.
                if !send_state.may_be_at_server() {
                    continue;
                }
                tracing::warn!("the server does not answer notifications/initialized; going on");
                // Dropping it would close its connection, and some servers would then not execute it.
                tokio::spawn(said);
                return Ok(());
            };
            return match taken {
                // A server that dislikes the notification has still answered `initialize`; what follows will show.
                Err(Failure::Refused { problem, .. }) => {
                    tracing::warn!(%problem, "the server did not take notifications/initialized");
                    Ok(())
                }
                taken => taken,
            };
        }
    }
}
