//! Delivers the outbox, one message at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Duration, Instant};

use crate::bridge::client::in_flight::{StopReason, Ticket};
use crate::bridge::client::session_stage::SessionStage;
use crate::bridge::reconnection::RECONNECTION_BACKOFF;
use crate::limits::{MAX_ANSWER_STREAMS, MESSAGE_ACCEPTANCE_WAIT};
use crate::pacing::noise;
use crate::remote::{Failure, Outgoing};

use super::incoming::Incoming;
use super::lasting::lasting;
use super::live::Session;
use super::outbox::OutboxMessage;

/// Delivers for the life of the bridge.
pub async fn deliver_outbox(session: Arc<Session>) {
    lasting("deliver the outbox", move |_| deliver_each(Arc::clone(&session))).await;
}

async fn deliver_each(session: Arc<Session>) {
    let mut delivery = Delivery { session: Arc::clone(&session), streams: JoinSet::new(), open: VecDeque::new() };
    loop {
        let message = session.outbox.next().await;
        let (bytes, cancels) = (message.body.len(), message.cancels.clone());
        let _under_way = UnderWay { session: &session, bytes, cancels };
        delivery.deliver(message).await;
    }
}

/// A message that is being delivered. Its end counts also when that is a panic.
struct UnderWay<'a> {
    session: &'a Session,
    bytes: usize,
    cancels: Option<Ticket>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(cancelled) = self.cancels.take() {
            cancelled.stop(StopReason::Cancelled);
        }
        self.session.outbox.delivered(self.bytes);
    }
}

#[derive(Debug)]
struct Delivery {
    session: Arc<Session>,
    /// The tasks that read the server's answers to earlier messages.
    streams: JoinSet<()>,
    /// The same tasks, oldest first.
    open: VecDeque<AbortHandle>,
}

impl Delivery {
    /// Sends one message. If it certainly did not reach the server, sends it again within the connecting budget, and
    /// once in the session after a lost one; but not a cancellation, because its request is not executed then either.
    async fn deliver(&mut self, message: OutboxMessage) {
        let session = Arc::clone(&self.session);
        let mut unreachable_since = None;
        let mut attempts = 0;
        let mut lost_sessions = 0;
        let OutboxMessage { body, stage, mcp_headers, answers, cancels, is_refusal } = message;
        // What a server asks for must not open sessions, nor send more than the bridge's own requests may be.
        let is_away = stage != SessionStage::NotNeeded && !session.handshake.is_up();
        if is_refusal && (is_away || !session.remote.own_requests().may_go()) {
            return tracing::debug!("a refusal of the server's request was left out");
        }
        let accepted_within = Some(self.acceptance());
        let mut out = Outgoing { mcp_headers, accepted_within, ..Outgoing::unanswered(body) };
        loop {
            let outcome = match session.ready(stage).await {
                // Check only now: the session may have been replaced while the message waited.
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
                    if lost_sessions > 1 || answers.is_some() || cancels.is_some() || is_refusal {
                        return tracing::debug!("a message of a lost session is not repeated in the next one");
                    }
                }
                Err(Failure::NotSent(problem)) if cancels.is_none() => {
                    let since = *unreachable_since.get_or_insert_with(Instant::now);
                    attempts += 1;
                    let wait = RECONNECTION_BACKOFF.wait(attempts, noise());
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
        acceptance(self.session.settings.limits.idle)
    }

    /// Returns when the server has accepted the message.
    async fn post(&mut self, out: &Outgoing) -> Result<(), Failure> {
        let exchange = self.session.remote.exchange(out).await?;
        self.read_beside(Incoming::new(exchange, Some(Arc::clone(&self.session.server_messages))));
        Ok(())
    }

    /// Reads the answer to a message beside the messages that follow: usually it is empty, but a server may send messages of
    /// its own there, and take its time.
    fn read_beside(&mut self, mut answer: Incoming) {
        while self.streams.try_join_next().is_some() {}
        self.open.retain(|stream| !stream.is_finished());
        if self.open.len() >= MAX_ANSWER_STREAMS
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.abort();
        }
        let limit = self.acceptance();
        self.open.push_back(self.streams.spawn(async move {
            let _ = tokio::time::timeout(limit, answer.pass_on_the_rest()).await;
        }));
    }
}

/// How long the server may take for a message, when it may be silent for `idle` elsewhere.
fn acceptance(idle: Duration) -> Duration {
    idle.min(MESSAGE_ACCEPTANCE_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_holds_up_the_next_one_for_long() {
        assert_eq!(acceptance(Duration::from_secs(86_400)), MESSAGE_ACCEPTANCE_WAIT);
        assert_eq!(acceptance(Duration::from_secs(1)), Duration::from_secs(1));
    }
}
