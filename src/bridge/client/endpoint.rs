//! The client as the rest of the bridge sees it.

use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::bridge::cancellation;

use super::in_flight::RequestsInFlight;
use super::output::Output;
use super::own_ids::OwnIds;

/// The client: where its lines go, what it waits for, and whether it is still there to ask.
#[derive(Debug)]
pub struct Client {
    /// Where its lines go.
    pub output: Output,
    /// The requests that it waits for.
    pub in_flight: RequestsInFlight,
    /// The ids of what the bridge asks by itself, on either side.
    pub own_ids: OwnIds,
    /// Set when stdin has ended.
    closing: watch::Sender<bool>,
}

impl Client {
    /// A client that has not asked for anything yet.
    pub fn new(output: Output) -> Self {
        Self {
            output,
            in_flight: RequestsInFlight::default(),
            own_ids: OwnIds::new(),
            closing: watch::Sender::new(false),
        }
    }

    /// Stdin has ended: the client asks for nothing more, and nobody waits for a person any more.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Whether stdin has ended.
    pub fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Returns when stdin has ended.
    pub async fn closing(&self) {
        // The sender lives as long as `self`.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Takes back a request that was passed on to the client.
    pub fn cancel(&self, id: &RawValue, reason: &str) {
        self.output.push(cancellation::notification(id, reason));
    }
}
