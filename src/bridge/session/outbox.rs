//! The lane: notifications and responses of the client, which keep the order of stdin.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use tokio::time::{Duration, Instant};

use crate::http::retry_after;
use crate::message::IdKey;
use crate::remote::{Failure, Outgoing};

use crate::bridge::Bridge;
use crate::bridge::session::connection::SessionStage;

/// How long the server may take to accept one of them before the next one goes.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(30);

/// One message in the lane.
#[derive(Debug)]
pub struct OutboxMessage {
    /// As the client wrote it.
    pub body: Bytes,
    /// How far the session must be.
    pub need: SessionStage,
    /// In the stateless era: the headers that repeat parts of it.
    pub mirrored: Option<HeaderMap>,
    /// For an answer to the server: what it answers.
    pub answers: Option<IdKey>,
    /// For a cancellation: what stops once the server has been told.
    pub then_stop: Option<Arc<Notify>>,
}

/// Where the lane begins.
#[derive(Debug)]
pub struct Outbox {
    items: mpsc::UnboundedSender<OutboxMessage>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<OutboxMessage>>>,
    waiting: watch::Sender<usize>,
}

impl OutboxMessage {
    /// A message that waits for nothing but the session.
    pub fn new(body: Bytes, need: SessionStage) -> Self {
        Self { body, need, mirrored: None, answers: None, then_stop: None }
    }
}

impl Default for Outbox {
    fn default() -> Self {
        let (items, receiver) = mpsc::unbounded_channel();
        Self { items, receiver: Mutex::new(Some(receiver)), waiting: watch::Sender::new(0) }
    }
}

impl Outbox {
    /// Puts a message at the end.
    pub fn push(&self, item: OutboxMessage) {
        self.waiting.send_modify(|n| *n += 1);
        if self.items.send(item).is_err() {
            self.waiting.send_modify(|n| *n -= 1);
        }
    }

    /// Returns when everything has gone.
    pub async fn drained(&self) {
        let _ = self.waiting.subscribe().wait_for(|n| *n == 0).await;
    }
}

impl Bridge {
    /// Sends what is in the lane, one after the other, for as long as the bridge lives.
    pub(crate) async fn run_lane(self: Arc<Self>) {
        let Some(mut items) = self.lane.receiver.lock().await.take() else { return };
        while let Some(item) = items.recv().await {
            let then_stop = item.then_stop.clone();
            self.deliver(item).await;
            if let Some(stop) = then_stop {
                stop.notify_one();
            }
            self.lane.waiting.send_modify(|n| *n -= 1);
        }
    }

    /// Sends one message. What surely did not reach the server is sent again within the time that connecting may take, and
    /// once in the session after a lost one; but not a cancellation, whose request is not executed then either.
    async fn deliver(self: &Arc<Self>, item: OutboxMessage) {
        let mut since = None;
        let mut tries = 0;
        let mut sessions = 0;
        let OutboxMessage { body, need, mirrored, answers, then_stop } = item;
        let within = Some(self.accepted_within());
        let mut out = Outgoing { mcp_headers: mirrored, accepted_within: within, ..Outgoing::unanswered(body) };
        loop {
            let outcome = match self.ready(need).await {
                // Asked only now: the session may have been replaced while the message waited.
                Ok(()) if answers.as_ref().is_some_and(|key| !self.server_requests.is_wanted(key)) => {
                    return tracing::debug!("an answer was dropped: the session that asked is gone");
                }
                Ok(()) => {
                    out.epoch = self.epoch_for(need);
                    self.post(&out).await
                }
                Err(failure) => Err(failure),
            };
            match outcome {
                Ok(()) => return,
                Err(Failure::SessionLost { epoch, .. }) => {
                    self.session_lost(epoch);
                    sessions += 1;
                    out.reopened = true;
                    if sessions > 1 || answers.is_some() || then_stop.is_some() {
                        return tracing::debug!("what was said in a lost session is not repeated in the next one");
                    }
                }
                Err(Failure::NotSent(problem)) if then_stop.is_none() => {
                    let since = *since.get_or_insert_with(Instant::now);
                    tries += 1;
                    let wait = retry_after::wait(None, tries.min(4), retry_after::noise());
                    if since.elapsed() + wait > self.settings.limits.connecting {
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

    fn accepted_within(&self) -> Duration {
        ACCEPTED_WITHIN.min(self.settings.limits.idle)
    }

    async fn post(&self, out: &Outgoing) -> Result<(), Failure> {
        let mut exchange = self.remote.exchange(out).await?;
        // Usually 202; a stream or a body here can only hold messages of the server's own.
        let rest = async {
            while let Ok(Some(message)) = exchange.next().await {
                if let Err(problem) = self.hear(message, None, None).await {
                    tracing::debug!(%problem, "dropped in answer to a notification");
                }
            }
        };
        let _ = tokio::time::timeout(self.accepted_within(), rest).await;
        Ok(())
    }
}
