//! An answer of the server that is being read. Its stream may bring the answer to another request, and its reader may end at
//! any moment.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::bridge::client::room::Room;
use crate::message::{IdKey, aside};
use crate::problem::Problem;
use crate::remote::{Exchange, Failure, Message};
use crate::tasks;

use super::server_messages::{Received, ServerMessages};
use super::sorted::{Role, Sorted, SortedMessage, sorted};

/// An answer that is being read. Dropping it passes on what has come and was not taken yet: a request that waits for that
/// would wait for the rest of its time.
#[derive(Debug)]
pub struct Incoming {
    /// The answer.
    pub exchange: Exchange,
    messages: Option<Arc<ServerMessages>>,
}

impl Incoming {
    /// Reads this answer; other messages go to `messages`, or nowhere.
    pub fn new(exchange: Exchange, messages: Option<Arc<ServerMessages>>) -> Self {
        Self { exchange, messages }
    }

    /// The next whole message; `None` at the end.
    ///
    /// # Errors
    /// As [`Exchange::next`].
    pub async fn next(&mut self) -> Result<Option<Message>, Failure> {
        self.exchange.next().await
    }

    /// Takes a message of this answer, as [`ServerMessages::receive`].
    ///
    /// # Errors
    /// As [`ServerMessages::receive`].
    pub async fn receive(
        &self,
        message: Bytes,
        awaited: Option<&IdKey>,
        id: Option<&RawValue>,
        room: &mut Option<Room>,
    ) -> Result<Received, Problem> {
        match &self.messages {
            Some(messages) => messages.receive(message, awaited, id, room).await,
            None => Ok(match sorted(message, awaited, id).await {
                Ok(Sorted::One(SortedMessage { role: Role::Answer, line })) => {
                    Received { answer: Some(line), stray: None }
                }
                _ => Received::default(),
            }),
        }
    }

    /// Reads to the end and passes on what is for the client: no answer is awaited any more.
    pub async fn pass_on_the_rest(&mut self) {
        while let Ok(Some(Message { body, room })) = self.next().await {
            if let Err(problem) = self.receive(body, None, None, &mut Room::of_body(room)).await {
                tracing::debug!(%problem, "a message that nobody asked for was dropped");
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(messages) = &self.messages else { return };
        while let Some(message) = self.exchange.take_decoded() {
            if aside::is_long(message.body.len()) {
                let messages = Arc::clone(messages);
                tasks::spawn(async move {
                    let mut room = Room::of_body(message.room);
                    if let Err(problem) = messages.receive(message.body, None, None, &mut room).await {
                        tracing::debug!(%problem, "a long message whose reader has ended was dropped");
                    }
                });
            } else {
                messages.pass_on(message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use crate::bridge::client::endpoint::Client;
    use crate::bridge::client::output::Output;
    use crate::bridge::session::server_requests::ServerRequests;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_has_come_on_the_stream_of_a_request_that_ends_reaches_its_own_request() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let client = Arc::new(Client::new(output));
        let requests = ServerRequests::default();
        let messages = ServerMessages::new(Arc::clone(&client), requests, Arc::default(), Arc::default());
        let key = |n: u32| IdKey::Number(n.to_string());
        for n in [1, 2] {
            let ticket = client.in_flight.admit(key(n), 1, false, None).expect("the id is free");
            ticket.send_state.start_sending().expect("not withdrawn");
        }
        // All the room there is, and nobody reads.
        client.output.push_counted(Bytes::from("x".repeat(8 * 1024 * 1024)));
        let note = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
        let answer = r#"{"jsonrpc":"2.0","id":2,"result":{}}"#;
        let late = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
        let exchange = Exchange::of_events(format!("data: {note}\n\ndata: {answer}\n\ndata: {late}\n\n"));
        let mut incoming = Incoming::new(exchange, Some(Arc::new(messages)));
        let first = incoming.next().await.expect("readable").expect("a message");
        let (own, mut room) = (key(1), None);
        let mut receiving = Box::pin(incoming.receive(first.body, Some(&own), None, &mut room));
        assert!(receiving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(receiving);
        client.in_flight.cancel(&own);
        drop(incoming);
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        let drained = tokio::time::timeout(Duration::from_secs(20), client.in_flight.drained());
        drained.await.expect("the other request is answered");
        client.output.send(Bytes::from_static(b"end")).await;
        client.output.finish();
        written.wait().await;
        drop(client);
        let text = reading.join().expect("no panic").expect("readable");
        assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), [note, answer, "end"]);
    }
}
