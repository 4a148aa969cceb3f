//! Delivers the outbox, one message after the other.

use std::sync::Arc;

use tokio::time::{Duration, Instant};

use crate::bridge::client::in_flight::StopReason;
use crate::http::retry_after;
use crate::remote::{Failure, Outgoing};

use super::live::Session;
use super::outbox::OutboxMessage;

/// How long the server may take to accept one message before the next one goes.
const ACCEPTANCE: Duration = Duration::from_secs(30);
/// From which attempt on the wait for a connection does not grow any more.
const LONGEST_WAIT_ATTEMPT: u32 = 4;

/// Delivers for as long as the bridge lives.
pub async fn deliver_outbox(session: Arc<Session>) {
    let Some(mut messages) = session.outbox.receiver().await else { return };
    let delivery = Delivery { session };
    while let Some(message) = messages.recv().await {
        let cancels = message.cancels.clone();
        delivery.deliver(message).await;
        if let Some(cancelled) = cancels {
            cancelled.stop(StopReason::Cancelled);
        }
        delivery.session.outbox.done();
    }
}

#[derive(Debug)]
struct Delivery {
    session: Arc<Session>,
}

impl Delivery {
    /// Sends one message. What surely did not reach the server is sent again within the time that connecting may take, and
    /// once in the session after a lost one; but not a cancellation, whose request is not executed then either.
    async fn deliver(&self, message: OutboxMessage) {
        let session = &self.session;
        let mut unreachable_since = None;
        let mut attempts = 0;
        let mut lost_sessions = 0;
        let OutboxMessage { body, stage, mcp_headers, answers, cancels } = message;
        let accepted_within = Some(self.acceptance());
        let mut out = Outgoing { mcp_headers, accepted_within, ..Outgoing::unanswered(body) };
        loop {
            let outcome = match session.ready(stage).await {
                // Asked only now: the session may have been replaced while the message waited.
                Ok(()) if answers.as_ref().is_some_and(|key| !session.server_messages.is_wanted(key)) => {
                    return tracing::debug!("an answer was dropped: the session that asked is gone");
                }
                Ok(()) => {
                    out.epoch = session.epoch_for(stage);
                    self.post(&out).await
                }
                Err(failure) => Err(failure),
            };
            match outcome {
                Ok(()) => return,
                Err(Failure::SessionLost { epoch, .. }) => {
                    session.lost(epoch);
                    lost_sessions += 1;
                    out.reopened = true;
                    if lost_sessions > 1 || answers.is_some() || cancels.is_some() {
                        return tracing::debug!("a message of a lost session is not repeated in the next one");
                    }
                }
                Err(Failure::NotSent(problem)) if cancels.is_none() => {
                    let since = *unreachable_since.get_or_insert_with(Instant::now);
                    attempts += 1;
                    let wait = retry_after::wait(None, attempts.min(LONGEST_WAIT_ATTEMPT), retry_after::noise());
                    if since.elapsed() + wait > session.settings.limits.connecting {
                        return tracing::warn!(%problem, "a notification or an answer did not reach the server");
                    }
                    tracing::info!(%problem, "a notification or an answer waits for a connection");
                    tokio::time::sleep(wait).await;
                }
                Err(failure) => {
                    return tracing::warn!(?failure, "a notification or an answer did not reach the server");
                }
            }
        }
    }

    fn acceptance(&self) -> Duration {
        ACCEPTANCE.min(self.session.settings.limits.idle)
    }

    async fn post(&self, out: &Outgoing) -> Result<(), Failure> {
        let mut exchange = self.session.remote.exchange(out).await?;
        // Usually 202; a stream or a body here can only hold messages of the server's own.
        let rest = async {
            while let Ok(Some(message)) = exchange.next().await {
                if let Err(problem) = self.session.server_messages.receive(message, None, None, &mut None).await {
                    tracing::debug!(%problem, "dropped in answer to a notification");
                }
            }
        };
        let _ = tokio::time::timeout(self.acceptance(), rest).await;
        Ok(())
    }
}
