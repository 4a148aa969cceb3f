//! Handles the server's messages: answers, and its own requests and notifications.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::bridge::client::endpoint::Client;
use crate::bridge::client::output::Enqueued;
use crate::bridge::client::room::Room;
use crate::limits::OWED_ANSWER_WAIT;
use crate::message::{IdKey, write};
use crate::problem::{Problem, ProblemId};
use crate::remote::Message;

use super::handshake::Handshake;
use super::outbox::{Outbox, OutboxMessage};
use super::server_requests::{Admission, ServerRequests};
use super::sorted::{Role, Sorted, SortedMessage, sort, sorted};

/// What a body or an event of the server held, besides the forwarded messages.
#[derive(Debug, Default)]
pub struct Received {
    /// The awaited answer, on one line.
    pub answer: Option<Bytes>,
    /// The id of an answer that no request waits for.
    pub stray: Option<Box<RawValue>>,
}

impl Received {
    fn and(self, later: Self) -> Self {
        Self { answer: self.answer.or(later.answer), stray: later.stray.or(self.stray) }
    }
}

/// Handles the server's messages and forwards those for the client.
#[derive(Debug)]
pub struct ServerMessages {
    client: Arc<Client>,
    requests: ServerRequests,
    handshake: Arc<Handshake>,
    outbox: Arc<Outbox>,
}

impl ServerMessages {
    /// Forwards messages to `client`; once it has closed its side, refuses on its behalf through `outbox`.
    pub fn new(client: Arc<Client>, requests: ServerRequests, handshake: Arc<Handshake>, outbox: Arc<Outbox>) -> Self {
        Self { client, requests, handshake, outbox }
    }

    /// Handles a body or an event of the server: forwards what is for the client, and returns the answer to `awaited`
    /// if there. An answer without an id gets `id`. `room` is what the body brings; the answer leaves it.
    ///
    /// # Errors A problem, if it is not a JSON-RPC message.
    pub async fn receive(
        &self,
        body: Bytes,
        awaited: Option<&IdKey>,
        id: Option<&RawValue>,
        room: &mut Option<Room>,
    ) -> Result<Received, Problem> {
        let messages = sorted(body, awaited, id).await?;
        let mut all_enqueued = Vec::new();
        let received = self.take(messages, room, &mut all_enqueued);
        for enqueued in all_enqueued {
            enqueued.await;
        }
        Ok(received)
    }

    /// The same for a message whose reader has ended; waits for nothing.
    pub fn pass_on(&self, message: Message) {
        let mut room = Room::of_body(message.room);
        match sort(message.body, None, None) {
            Ok(messages) => drop(self.take(messages, &mut room, &mut Vec::new())),
            Err(problem) => tracing::debug!(%problem, "a message whose reader has ended was dropped"),
        }
    }

    /// Hands over `messages`, and adds what there was no room for yet to `all_enqueued`.
    fn take(&self, messages: Sorted, room: &mut Option<Room>, all_enqueued: &mut Vec<Enqueued>) -> Received {
        let batch = match messages {
            Sorted::One(message) => {
                let (received, enqueued) = self.act(message, room);
                all_enqueued.extend(enqueued);
                return received;
            }
            Sorted::Batch(batch) => batch,
        };
        if batch.dropped > 0 {
            let (members, reason) = (batch.dropped, batch.reason.map(|reason| reason.to_string()));
            tracing::warn!(members, reason, "members of a server's batch were dropped");
        }
        *room = room.take().map(Room::shared);
        let mut received = Received::default();
        for message in batch.messages {
            let (one, enqueued) = self.act(message, room);
            received = received.and(one);
            all_enqueued.extend(enqueued);
        }
        received
    }

    /// Refuses the server's open requests: the client has closed its side and cannot answer.
    pub fn close(&self) {
        for id in self.requests.close() {
            self.refuse(&id, &Problem::new(ProblemId::ShuttingDown));
        }
    }

    /// Refuses what the client has not answered in time, and takes it back from the client, for the life of the bridge.
    pub async fn follow_overdue(&self) {
        loop {
            for id in self.requests.overdue().await {
                let problem = Problem::new(ProblemId::ClientSilent).with("seconds", OWED_ANSWER_WAIT.as_secs());
                tracing::warn!(%problem, "a request of the server is refused");
                self.client.cancel(&id, "No answer in time.");
                self.refuse(&id, &problem);
            }
        }
    }

    /// Cancels the requests of a lost session at the client.
    pub fn abandon_requests(&self) {
        for id in self.requests.abandon() {
            self.client.cancel(&id, "The session with the server was lost.");
        }
    }

    /// Records that the client has answered a request of the server.
    pub fn client_answered(&self, key: &IdKey) {
        self.requests.settle(key);
    }

    /// Whether the server still wants this answer.
    pub fn is_wanted(&self, key: &IdKey) -> bool {
        self.requests.is_wanted(key)
    }

    fn refuse(&self, id: &RawValue, problem: &Problem) {
        let line = write::error(Some(id), &problem.to_json_rpc_error());
        self.outbox.push_refusal(OutboxMessage::new(line, self.handshake.stage()));
    }

    /// Acts on a message without waiting: the stream that brought it belongs to a request that may end while the client
    /// does not read, and the message may be for another one.
    fn act(&self, message: SortedMessage, room: &mut Option<Room>) -> (Received, Option<Enqueued>) {
        let SortedMessage { role, line } = message;
        let output = &self.client.output;
        let mut received = Received::default();
        let mut enqueued = None;
        match role {
            Role::Answer => received.answer = Some(line),
            Role::Notification(None) => enqueued = Some(output.enqueue_notification(line, Room::take_for_one(room))),
            Role::Notification(Some(cancelled)) => {
                self.requests.settle(&cancelled);
                enqueued = Some(output.enqueue_with(line, Room::take_for_one(room), ()));
            }
            Role::Request(_, id, method) if !self.handshake.client_info().may_be_asked(&method) => {
                // The client would owe an answer that it does not know of.
                let problem = Problem::new(ProblemId::NotDeclared).with("method", method);
                tracing::warn!(%problem, "a request of the server is refused");
                self.refuse(&id, &problem);
            }
            Role::Request(_, id, _) if !self.outbox.takes_questions() => {
                self.refuse(&id, &Problem::new(ProblemId::TooManyInFlight));
            }
            Role::Request(key, id, _) => {
                let admission = self.requests.open(key, &id);
                if admission == Admission::TooMuch {
                    self.refuse(&id, &Problem::new(ProblemId::TooManyInFlight));
                    return (received, None);
                }
                enqueued = Some(output.enqueue_with(line, Room::take_for_one(room), ()));
                if admission == Admission::ClientIsGone {
                    self.refuse(&id, &Problem::new(ProblemId::ShuttingDown));
                }
            }
            Role::OtherAnswer(key, id) => match self.client.in_flight.answer_elsewhere(&key) {
                Some(mut guard) => match guard.take_batch_slot() {
                    Some(slot) => slot.fill(line),
                    // The request stays in flight until its answer is written.
                    None => enqueued = Some(output.enqueue_with(line, Room::take_for_one(room), guard)),
                },
                None => {
                    tracing::warn!("the server answered a request that is not in flight; dropped");
                    received.stray = Some(id);
                }
            },
            Role::WithoutId => tracing::warn!("the server sent an answer without an id; dropped"),
        }
        (received, enqueued)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::task::{Context, Waker};

    use crate::bridge::client::batch::BatchSlot;
    use crate::bridge::client::output::{Output, Written};

    use super::*;

    fn key(n: u32) -> IdKey {
        IdKey::Number(n.to_string())
    }

    fn server_messages() -> (ServerMessages, Written, std::io::PipeReader) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let messages = ServerMessages::new(
            Arc::new(Client::new(output)),
            ServerRequests::default(),
            Arc::default(),
            Arc::default(),
        );
        (messages, written, reader)
    }

    /// What the client reads, once it does.
    async fn lines(messages: ServerMessages, written: Written, mut reader: std::io::PipeReader) -> Vec<String> {
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        messages.client.in_flight.drained().await;
        // Lines get room in their order, so this one is the last.
        messages.client.output.send(Bytes::from_static(b"end")).await;
        messages.client.output.finish();
        written.wait().await;
        drop(messages);
        let text = reading.join().expect("no panic").expect("readable");
        text.lines().map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_message_reaches_the_client_although_the_request_on_whose_stream_it_came_ends_before_there_is_room() {
        let (messages, written, reader) = server_messages();
        let in_flight = &messages.client.in_flight;
        for n in [1, 2] {
            let ticket = in_flight.admit(key(n), 1, false, None).expect("the id is free");
            ticket.send_state.start_sending().expect("not withdrawn");
        }
        // All the room there is, and nobody reads.
        messages.client.output.push_counted(Bytes::from("x".repeat(8 * 1024 * 1024)));
        let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
        let ask = r#"{"jsonrpc":"2.0","id":"s","method":"ping"}"#;
        let answer = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
        let body = Bytes::from(format!("[{note},{ask},{answer}]"));
        let first = key(1);
        let mut room = None;
        let mut receiving = Box::pin(messages.receive(body, Some(&first), None, &mut room));
        assert!(receiving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(receiving);
        in_flight.cancel(&first);
        assert_eq!(*messages.requests.owed().borrow(), 1, "the client owes an answer from now on");
        let lines = lines(messages, written, reader).await;
        assert_eq!(lines[1..], [note, ask, answer, "end"]);
    }

    #[tokio::test]
    async fn a_request_that_waits_for_room_is_cancelled_after_it_and_not_before() {
        let (messages, written, reader) = server_messages();
        messages.client.output.push_counted(Bytes::from("x".repeat(8 * 1024 * 1024)));
        let ask = r#"{"jsonrpc":"2.0","id":"s","method":"ping"}"#;
        let mut room = None;
        let mut receiving = Box::pin(messages.receive(Bytes::from(ask), None, None, &mut room));
        assert!(receiving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(receiving);
        messages.abandon_requests();
        let lines = lines(messages, written, reader).await;
        assert_eq!((&*lines[1], lines[2].contains("notifications/cancelled"), lines.len()), (ask, true, 4));
    }

    #[tokio::test]
    async fn an_answer_on_another_stream_belongs_in_the_batch_of_its_request() {
        let (messages, written, reader) = server_messages();
        let slot = BatchSlot::in_new_batch(messages.client.output.clone());
        for n in [1, 2] {
            let ticket = messages.client.in_flight.admit(key(n), 1, false, Some(slot.clone())).expect("the id is free");
            ticket.send_state.start_sending().expect("not withdrawn");
        }
        drop(slot);
        for n in [1, 2] {
            let answer = format!(r#"{{"jsonrpc":"2.0","id":{n},"result":{{}}}}"#);
            messages.receive(Bytes::from(answer), None, None, &mut None).await.expect("a message");
        }
        let array = r#"[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"result":{}}]"#;
        assert_eq!(lines(messages, written, reader).await, [array, "end"]);
    }
}
