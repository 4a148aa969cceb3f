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

    /// Gives a request its one answer, unless it was cancelled or answered before; `room` is what was taken for the line
    /// before.
    ///
    /// The right to answer is taken only when there is room, and the line is written in the same step: a caller that stops
    /// waiting leaves the request to be answered by another.
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

    /// The same without waiting for room, for a line that is short and of the bridge's own.
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
