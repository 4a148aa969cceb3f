//! The client as the rest of the bridge sees it.

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::bridge::cancellation;
use crate::message::IdKey;

use super::in_flight::{RequestsInFlight, Ticket};
use super::output::Output;
use super::own_ids::OwnIds;
use super::room::Room;

/// The client: its output, its requests in flight, and whether it is closing.
#[derive(Debug)]
pub struct Client {
    /// Where its lines go.
    pub output: Output,
    /// Its requests in flight.
    pub in_flight: RequestsInFlight,
    /// The ids of the bridge's own requests, on either side.
    pub own_ids: OwnIds,
    /// Set when stdin has ended.
    closing: watch::Sender<bool>,
}

impl Client {
    /// A client without requests.
    pub fn new(output: Output) -> Self {
        Self {
            output,
            in_flight: RequestsInFlight::default(),
            own_ids: OwnIds::new(),
            closing: watch::Sender::new(false),
        }
    }

    /// Records that stdin has ended: no more requests come, and nobody waits for a person any more.
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

    /// Gives a request its one answer, unless it was already cancelled or answered; `room` is what was reserved for the
    /// line.
    ///
    /// It takes the right to answer only once there is room, and writes the line in the same step: if the caller stops
    /// waiting, another can still answer the request.
    pub async fn answer(&self, key: &IdKey, ticket: &Ticket, line: Bytes, room: Option<Room>) {
        let room = match room {
            Some(room) => Some(room),
            None => self.output.reserve_line(line.len()).await,
        };
        let Some(mut guard) = self.in_flight.answer(key, ticket) else { return };
        match (guard.take_batch_slot(), room) {
            (Some(slot), _) => slot.fill(line),
            (None, Some(room)) => self.output.write_reserved(line, room),
            // The client has closed its side and reads nothing more.
            (None, None) => {}
        }
    }

    /// The same without waiting for room, for a short line of the bridge's own.
    pub fn answer_at_once(&self, key: &IdKey, ticket: &Ticket, line: impl FnOnce() -> Bytes) {
        let Some(mut guard) = self.in_flight.answer(key, ticket) else { return };
        match guard.take_batch_slot() {
            Some(slot) => slot.fill(line()),
            None => self.output.push(line()),
        }
    }

    /// Takes back a request that was passed on to the client, after that request.
    pub fn cancel(&self, id: &RawValue, reason: &str) {
        drop(self.output.enqueue(cancellation::notification(id, reason), ()));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn an_answer_that_waits_for_room_leaves_the_right_to_answer_to_others() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let client = Client::new(output);
        let key = IdKey::Number("1".to_owned());
        let ticket = client.in_flight.admit(key.clone(), 1, false, None).expect("the id is free");
        // All the room there is, and nobody reads.
        client.output.push_counted(Bytes::from("x".repeat(8 * 1024 * 1024)));
        let mut answering = Box::pin(client.answer(&key, &ticket, Bytes::from_static(b"late"), None));
        assert!(answering.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(answering);
        client.answer_at_once(&key, &ticket, || Bytes::from_static(b"the time is over"));
        client.in_flight.drained().await;
        client.output.finish();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        written.wait().await;
        drop(client);
        let text = reading.join().expect("no panic").expect("readable");
        assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), ["the time is over"]);
    }
}
