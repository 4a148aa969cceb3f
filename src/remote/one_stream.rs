//! The one stream of HTTP+SSE (revision 2024-11-05): it brings everything that the server says, answers and messages of its
//! own alike. A task reads it, hands each answer to whoever awaits it, and keeps the rest for the listener.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use url::Url;

use crate::http::NetError;
use crate::limits::MAX_UNREAD_SERVER_MESSAGES;
use crate::message::{IdKey, Kind, Peek, aside, peek, utf8};
use crate::problem::ProblemId;
use crate::tasks;

use super::body_room::Message;
use super::failure::Failure;
use super::patience::Patience;
use super::stream::{EventStream, LastData};

/// An open stream, and where the client's messages go meanwhile.
#[derive(Debug)]
pub struct OneStream {
    /// Where messages are posted.
    pub(super) endpoint: Url,
    /// The epoch of the session, which begins and ends with the stream.
    pub(super) epoch: u64,
    inbox: Arc<Inbox>,
    others: tokio::sync::Mutex<mpsc::Receiver<Message>>,
    reading: AbortHandle,
}

/// What the reader and those who wait share.
#[derive(Debug)]
struct Inbox {
    /// Who awaits which answer; `None` once the stream has ended.
    awaited: Mutex<Option<HashMap<IdKey, oneshot::Sender<Message>>>>,
    /// Whether somebody takes the other messages. Before that, they must not hold up the answer to `initialize`.
    has_listener: AtomicBool,
    /// When the stream last brought anything, a comment included.
    last_data: Arc<LastData>,
}

impl Inbox {
    fn awaited(&self) -> MutexGuard<'_, Option<HashMap<IdKey, oneshot::Sender<Message>>>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out whoever awaits this message.
    async fn who_awaits(&self, message: &Message) -> Option<oneshot::Sender<Message>> {
        let body = message.body.clone();
        let id = aside(body.len(), move || match peek(&utf8::mended(body)) {
            Ok(Peek::One(Kind::Response { id: Some((_, id)), .. })) => Some(id),
            _ => None,
        });
        let id = id.await?;
        self.awaited().as_mut()?.remove(&id)
    }
}

/// Ends all waiting with the task that reads, however that ends.
struct Reader(Arc<Inbox>);

impl Drop for Reader {
    fn drop(&mut self) {
        *self.0.awaited() = None;
    }
}

impl Reader {
    async fn run(self, mut stream: EventStream, others: mpsc::Sender<Message>) {
        let end = loop {
            let message = match stream.next().await {
                Ok(Some(message)) => message,
                end => break end,
            };
            if let Some(waiting) = self.0.who_awaits(&message).await {
                // Who has stopped waiting needs no answer.
                let _ = waiting.send(message);
            } else if self.0.has_listener.load(Ordering::Relaxed) {
                let _ = others.send(message).await;
            } else if others.try_send(message).is_err() {
                tracing::debug!("a message of the server came before anybody listens, and was dropped");
            }
        };
        tracing::debug!(?end, "the one stream of the server has ended");
    }
}

impl OneStream {
    /// Reads on in a stream whose first event has named this endpoint.
    pub(super) fn start(mut stream: EventStream, endpoint: Url, epoch: u64) -> Self {
        let inbox = Arc::new(Inbox {
            awaited: Mutex::new(Some(HashMap::new())),
            has_listener: AtomicBool::new(false),
            last_data: stream.last_data(),
        });
        let (sender, others) = mpsc::channel(MAX_UNREAD_SERVER_MESSAGES);
        let reading = tasks::spawn(Reader(Arc::clone(&inbox)).run(stream, sender)).abort_handle();
        Self { endpoint, epoch, inbox, others: others.into(), reading }
    }

    /// Whether it has not ended.
    pub(super) fn is_open(&self) -> bool {
        self.inbox.awaited().is_some()
    }

    /// Awaits the answer with this id, from before its request is sent. `None` if the stream has ended.
    pub(super) fn await_answer(&self, id: &IdKey, patience: Patience) -> Option<Box<AwaitedAnswer>> {
        let (sender, answer) = oneshot::channel();
        self.inbox.awaited().as_mut()?.insert(id.clone(), sender);
        let (url, inbox) = (self.endpoint.clone(), Arc::clone(&self.inbox));
        Some(Box::new(AwaitedAnswer { id: id.clone(), answer: Some(answer), inbox, url, patience }))
    }

    /// The server's next message that nobody awaits; `None` once the stream has ended.
    pub(super) async fn next_other(&self) -> Option<Message> {
        self.inbox.has_listener.store(true, Ordering::Relaxed);
        self.others.lock().await.recv().await
    }
}

impl Drop for OneStream {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

/// An answer that comes on the one stream.
#[derive(Debug)]
pub struct AwaitedAnswer {
    id: IdKey,
    /// `None` once it has come.
    answer: Option<oneshot::Receiver<Message>>,
    inbox: Arc<Inbox>,
    url: Url,
    patience: Patience,
}

impl AwaitedAnswer {
    /// The answer, once; then `None`.
    ///
    /// # Errors When the stream ends before it, or is silent for too long.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, Failure> {
        let Some(answer) = &mut self.answer else { return Ok(None) };
        let came = loop {
            match (self.patience.wait(&mut *answer).await, self.patience.idle) {
                (Some(came), _) => break came,
                // Others are being served, or comments come.
                (None, Some(idle)) if self.inbox.last_data.is_within(idle) => {}
                (None, idle) => {
                    // A stream that has brought nothing for so long may be dead: the next message opens another.
                    *self.inbox.awaited() = None;
                    return Err(NetError::timed_out(&self.url, idle.unwrap_or_default()).into());
                }
            }
        };
        self.answer = None;
        came.map(Some).map_err(|_| Failure::Unclear { problem: ProblemId::StreamCut.into(), wait: None })
    }

    /// The answer, if it has come.
    pub(super) fn take_now(&mut self) -> Option<Message> {
        let message = self.answer.as_mut()?.try_recv().ok()?;
        self.answer = None;
        Some(message)
    }
}

impl Drop for AwaitedAnswer {
    fn drop(&mut self) {
        if self.answer.is_some()
            && let Some(awaited) = self.inbox.awaited().as_mut()
        {
            awaited.remove(&self.id);
        }
    }
}
