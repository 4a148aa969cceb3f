//! Notifications and responses of the client on their way to the server, in the order of stdin.
//!
//! The outbox is bounded. A full one pauses the reading of stdin, which loses nothing while the server is only slow; if
//! that does not help for a while, the oldest messages are dropped, so that requests are still read and answered.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::sync::{Notify, watch};
use tokio::time::Duration;

use crate::bridge::client::in_flight::{StopReason, Ticket};
use crate::message::IdKey;

use crate::bridge::client::session_stage::SessionStage;

/// How many messages may wait.
const MAX_OUTBOX_MESSAGES: usize = 1_000;
/// How many bytes may wait; one larger message may wait alone.
const MAX_OUTBOX_BYTES: usize = 64 * 1024 * 1024;
/// How long a full outbox pauses the reading of stdin before the oldest messages are dropped.
const LONGEST_STDIN_PAUSE: Duration = Duration::from_secs(10);

/// A message for the server that is not a request.
#[derive(Debug)]
pub struct OutboxMessage {
    /// As the client wrote it.
    pub body: Bytes,
    /// The stage that the session must have reached.
    pub stage: SessionStage,
    /// In the stateless era: the headers that repeat parts of the body.
    pub mcp_headers: Option<HeaderMap>,
    /// For an answer to the server: the request that it answers.
    pub answers: Option<IdKey>,
    /// For a cancellation: the request to stop once the server has been notified.
    pub cancels: Option<Ticket>,
}

impl OutboxMessage {
    /// A message that waits only for the session.
    pub fn new(body: Bytes, stage: SessionStage) -> Self {
        Self { body, stage, mcp_headers: None, answers: None, cancels: None }
    }
}

/// The queue of messages.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    pushed: Notify,
    load: watch::Sender<Load>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<OutboxMessage>,
    /// Whether pausing has not helped, and the outbox has stayed full since.
    is_overdue: bool,
}

/// What is waiting, including the message in delivery.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    messages: usize,
    bytes: usize,
}

impl Load {
    fn add(&mut self, message: &OutboxMessage) {
        self.messages += 1;
        self.bytes += message.body.len();
    }

    fn remove(&mut self, bytes: usize) {
        self.messages -= 1;
        self.bytes -= bytes;
    }

    fn has_room(&self) -> bool {
        self.messages < MAX_OUTBOX_MESSAGES && (self.bytes < MAX_OUTBOX_BYTES || self.messages <= 1)
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self { queue: Mutex::default(), pushed: Notify::new(), load: watch::Sender::new(Load::default()) }
    }
}

impl Outbox {
    /// Puts a message at the end.
    pub fn push(&self, message: OutboxMessage) {
        let mut queue = self.lock();
        self.load.send_modify(|load| load.add(&message));
        queue.messages.push_back(message);
        self.pushed.notify_one();
    }

    /// The next message, for the one delivering task, which calls [`Outbox::delivered`] afterwards.
    pub async fn next(&self) -> OutboxMessage {
        loop {
            // A separate statement, so that the lock is not held while waiting.
            let next = self.lock().messages.pop_front();
            match next {
                Some(message) => return message,
                None => self.pushed.notified().await,
            }
        }
    }

    /// Records that a message of this length was delivered or given up.
    pub fn delivered(&self, bytes: usize) {
        self.load.send_modify(|load| load.remove(bytes));
    }

    /// Returns when nothing waits.
    pub async fn drained(&self) {
        let _ = self.load.subscribe().wait_for(|load| load.messages == 0).await;
    }

    /// Returns when there is room for another message: at once, when the server has accepted some, or eventually by
    /// dropping the oldest.
    pub async fn room(&self) {
        if self.load.borrow().has_room() {
            self.lock().is_overdue = false;
            return;
        }
        let was_overdue = self.lock().is_overdue;
        let mut load = self.load.subscribe();
        if !was_overdue && tokio::time::timeout(LONGEST_STDIN_PAUSE, load.wait_for(Load::has_room)).await.is_ok() {
            return;
        }
        let mut queue = self.lock();
        if !was_overdue {
            queue.is_overdue = true;
            tracing::warn!("the server accepts no messages; the oldest that wait for it are dropped");
        }
        while !self.load.borrow().has_room() {
            let Some(oldest) = queue.messages.pop_front() else { return };
            if let Some(cancelled) = oldest.cancels {
                cancelled.stop(StopReason::Cancelled);
            }
            self.load.send_modify(|load| load.remove(oldest.body.len()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn message(n: usize) -> OutboxMessage {
        OutboxMessage::new(Bytes::from(n.to_string()), SessionStage::Open)
    }

    async fn deliver_one(outbox: &Outbox) -> Bytes {
        let message = outbox.next().await;
        outbox.delivered(message.body.len());
        message.body
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_outbox_pauses_the_client_until_a_message_is_delivered_and_loses_nothing() {
        let outbox = Outbox::default();
        for n in 0..MAX_OUTBOX_MESSAGES {
            outbox.room().await;
            outbox.push(message(n));
        }
        let start = Instant::now();
        let slow_server = async {
            tokio::time::sleep(LONGEST_STDIN_PAUSE / 2).await;
            deliver_one(&outbox).await
        };
        let (first, ()) = tokio::join!(slow_server, outbox.room());
        assert_eq!((first, start.elapsed()), (Bytes::from("0"), LONGEST_STDIN_PAUSE / 2));
        for n in 1..MAX_OUTBOX_MESSAGES {
            assert_eq!(deliver_one(&outbox).await, n.to_string());
        }
        outbox.drained().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_server_that_accepts_nothing_is_sent_stays_bounded_and_stdin_is_paused_once() {
        let outbox = Outbox::default();
        let start = Instant::now();
        for n in 0..3 * MAX_OUTBOX_MESSAGES {
            outbox.push(message(n));
            outbox.room().await;
        }
        assert_eq!(start.elapsed(), LONGEST_STDIN_PAUSE);
        assert_eq!(outbox.lock().messages.len(), MAX_OUTBOX_MESSAGES - 1);
        assert_eq!(deliver_one(&outbox).await, (2 * MAX_OUTBOX_MESSAGES + 1).to_string(), "the newest are kept");
    }

    #[tokio::test(start_paused = true)]
    async fn large_messages_are_bounded_by_their_bytes_and_one_may_wait_alone() {
        let outbox = Outbox::default();
        let large = || OutboxMessage::new(Bytes::from(vec![b' '; MAX_OUTBOX_BYTES]), SessionStage::Open);
        let start = Instant::now();
        outbox.push(large());
        outbox.room().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        outbox.push(large());
        outbox.room().await;
        assert_eq!((start.elapsed(), outbox.lock().messages.len()), (LONGEST_STDIN_PAUSE, 1));
    }
}
