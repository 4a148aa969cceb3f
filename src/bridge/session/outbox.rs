//! Notifications and responses of the client on their way to the server, in the order of stdin.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use tokio::sync::{Mutex, mpsc, watch};

use crate::bridge::client::in_flight::Ticket;
use crate::message::IdKey;

use super::stage::SessionStage;

/// One message for the server that is no request.
#[derive(Debug)]
pub struct OutboxMessage {
    /// As the client wrote it.
    pub body: Bytes,
    /// How far the session must be.
    pub stage: SessionStage,
    /// In the stateless era: the headers that repeat parts of it.
    pub mcp_headers: Option<HeaderMap>,
    /// For an answer to the server: the request that it answers.
    pub answers: Option<IdKey>,
    /// For a cancellation: the request that stops once the server has heard of it.
    pub cancels: Option<Ticket>,
}

impl OutboxMessage {
    /// A message that waits for nothing but the session.
    pub fn new(body: Bytes, stage: SessionStage) -> Self {
        Self { body, stage, mcp_headers: None, answers: None, cancels: None }
    }
}

/// The queue of these messages.
#[derive(Debug)]
pub struct Outbox {
    messages: mpsc::UnboundedSender<OutboxMessage>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<OutboxMessage>>>,
    waiting: watch::Sender<usize>,
}

impl Default for Outbox {
    fn default() -> Self {
        let (messages, receiver) = mpsc::unbounded_channel();
        Self { messages, receiver: Mutex::new(Some(receiver)), waiting: watch::Sender::new(0) }
    }
}

impl Outbox {
    /// Puts a message at the end.
    pub fn push(&self, message: OutboxMessage) {
        self.waiting.send_modify(|n| *n += 1);
        if self.messages.send(message).is_err() {
            self.waiting.send_modify(|n| *n -= 1);
        }
    }

    /// The other end of the queue, for the one task that delivers.
    pub async fn receiver(&self) -> Option<mpsc::UnboundedReceiver<OutboxMessage>> {
        self.receiver.lock().await.take()
    }

    /// A message that was received has been delivered, or was given up.
    pub fn done(&self) {
        self.waiting.send_modify(|n| *n -= 1);
    }

    /// Returns when nothing waits.
    pub async fn drained(&self) {
        let _ = self.waiting.subscribe().wait_for(|n| *n == 0).await;
    }
}
