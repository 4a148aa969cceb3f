//! Notifications and responses of the client on their way to the server, in the order of stdin.
//!
//! The outbox is bounded. A full one pauses the reading of stdin, which loses nothing while the server is only slow; if
//! that does not help for a while, the oldest messages are dropped, so that requests are still read and answered.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::sync::{Notify, watch};

use crate::bridge::client::in_flight::{StopReason, Ticket};
use crate::limits::{
    MAX_OUTBOX_BEFORE_REFUSALS, MAX_OUTBOX_MESSAGES, MAX_OUTBOX_WITH_REFUSALS, OUTBOX_BYTES, STDIN_PAUSE,
};
use crate::message::IdKey;

use crate::bridge::client::session_stage::SessionStage;

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
    /// A refusal of the bridge's own: the server can cause any number, so it is left out rather than repeated.
    pub is_refusal: bool,
}

impl OutboxMessage {
    /// A message that waits only for the session.
    pub fn new(body: Bytes, stage: SessionStage) -> Self {
        Self { body, stage, mcp_headers: None, answers: None, cancels: None, is_refusal: false }
    }
}

/// The queue of messages.
#[derive(Debug)]
pub struct Outbox {
    messages: Mutex<VecDeque<OutboxMessage>>,
    pushed: Notify,
    load: watch::Sender<Load>,
    /// Whether pausing did not help, and the server has accepted nothing since.
    is_overdue: AtomicBool,
    /// The refusals that found no room, as far as the log does not say so yet.
    dropped_refusals: AtomicUsize,
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
        self.has_room_up_to(MAX_OUTBOX_MESSAGES)
    }

    fn has_room_up_to(&self, messages: usize) -> bool {
        self.messages < messages && (self.bytes < OUTBOX_BYTES || self.messages <= 1)
    }
}

impl Default for Outbox {
    fn default() -> Self {
        let (messages, is_overdue, dropped_refusals) = Default::default();
        Self {
            messages,
            pushed: Notify::new(),
            load: watch::Sender::new(Load::default()),
            is_overdue,
            dropped_refusals,
        }
    }
}

impl Outbox {
    /// Puts a message at the end.
    pub fn push(&self, message: OutboxMessage) {
        let mut messages = self.lock();
        self.load.send_modify(|load| load.add(&message));
        messages.push_back(message);
        self.pushed.notify_one();
    }

    /// Whether the server may ask the client something, which causes a further message. It can ask any number of questions,
    /// and pausing stdin does not slow it down.
    pub fn takes_questions(&self) -> bool {
        self.load.borrow().has_room_up_to(MAX_OUTBOX_BEFORE_REFUSALS)
    }

    /// Puts a refusal of the bridge's own at the end, unless so many messages wait that only the client's are taken.
    pub fn push_refusal(&self, message: OutboxMessage) {
        if self.load.borrow().has_room_up_to(MAX_OUTBOX_WITH_REFUSALS) {
            self.push(OutboxMessage { is_refusal: true, ..message });
        } else {
            self.dropped_refusals.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The next message, for the one task that delivers; followed by [`Outbox::delivered`].
    pub async fn next(&self) -> OutboxMessage {
        loop {
            // A statement of its own, so that the lock is not held while waiting.
            let next = self.lock().pop_front();
            match next {
                Some(message) => return message,
                None => self.pushed.notified().await,
            }
        }
    }

    /// Records that a message of this length was delivered or given up.
    pub fn delivered(&self, bytes: usize) {
        self.is_overdue.store(false, Ordering::Relaxed);
        self.load.send_modify(|load| load.remove(bytes));
        self.report_dropped_refusals();
    }

    fn report_dropped_refusals(&self) {
        let refusals = self.dropped_refusals.swap(0, Ordering::Relaxed);
        if refusals > 0 {
            tracing::warn!(refusals, "the server asks faster than it reads; refusals of its requests were dropped");
        }
    }

    /// Returns when nothing waits.
    pub async fn drained(&self) {
        let _ = self.load.subscribe().wait_for(|load| load.messages == 0).await;
    }

    /// Returns when there is room for another message: at once, when the server has accepted some, or eventually by
    /// dropping the oldest.
    pub async fn room(&self) {
        if self.load.borrow().has_room() {
            return;
        }
        let was_overdue = self.is_overdue.load(Ordering::Relaxed);
        let mut load = self.load.subscribe();
        if !was_overdue && tokio::time::timeout(STDIN_PAUSE, load.wait_for(Load::has_room)).await.is_ok() {
            return;
        }
        let mut messages = self.lock();
        if !was_overdue {
            self.is_overdue.store(true, Ordering::Relaxed);
            tracing::warn!("the server accepts no messages; the oldest that wait for it are dropped");
        }
        while !self.load.borrow().has_room() {
            let Some(oldest) = messages.pop_front() else { return };
            if let Some(cancelled) = oldest.cancels {
                cancelled.stop(StopReason::Cancelled);
            }
            self.load.send_modify(|load| load.remove(oldest.body.len()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<OutboxMessage>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.report_dropped_refusals();
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
            tokio::time::sleep(STDIN_PAUSE / 2).await;
            deliver_one(&outbox).await
        };
        let (first, ()) = tokio::join!(slow_server, outbox.room());
        assert_eq!((first, start.elapsed()), (Bytes::from("0"), STDIN_PAUSE / 2));
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
            outbox.room().await; // a line that brings no message
        }
        assert_eq!(start.elapsed(), STDIN_PAUSE);
        assert_eq!(outbox.lock().len(), MAX_OUTBOX_MESSAGES - 1);
        assert_eq!(deliver_one(&outbox).await, (2 * MAX_OUTBOX_MESSAGES + 1).to_string(), "the newest are kept");
    }

    #[tokio::test(start_paused = true)]
    async fn large_messages_are_bounded_by_their_bytes_and_one_may_wait_alone() {
        let outbox = Outbox::default();
        let large = || OutboxMessage::new(Bytes::from(vec![b' '; OUTBOX_BYTES]), SessionStage::Open);
        let start = Instant::now();
        outbox.push(large());
        outbox.room().await;
        assert_eq!(start.elapsed(), std::time::Duration::ZERO);
        outbox.push(large());
        outbox.room().await;
        assert_eq!((start.elapsed(), outbox.lock().len()), (STDIN_PAUSE, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_asks_faster_than_it_reads_never_pauses_the_client() {
        let outbox = Outbox::default();
        for n in 0..MAX_OUTBOX_BEFORE_REFUSALS {
            assert!(outbox.takes_questions());
            outbox.push(message(n));
        }
        assert!(!outbox.takes_questions());
        for n in 0..3 * MAX_OUTBOX_MESSAGES {
            outbox.push_refusal(message(n));
        }
        assert_eq!(outbox.lock().len(), MAX_OUTBOX_WITH_REFUSALS);
        assert!(outbox.dropped_refusals.load(Ordering::Relaxed) > MAX_OUTBOX_MESSAGES);
        let start = Instant::now();
        outbox.push(message(0));
        outbox.room().await;
        assert_eq!(start.elapsed(), std::time::Duration::ZERO);
    }
}
