//! The GET stream of the server's own messages, reopened when it breaks.

use std::sync::Arc;

use tokio::time::Duration;

use super::body_room::Message;
use super::failure::Failure;
use super::one_stream::OneStream;
use super::send::Remote;
use super::stream::EventStream;
use super::stream_life::StreamLife;

/// The GET stream of one session, as a source of messages.
#[derive(Debug)]
pub struct ListenStream<'a> {
    remote: &'a Remote,
    /// The stream that brings everything, where the transport has one.
    one_stream: Option<Arc<OneStream>>,
    stream: Option<EventStream>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    life: StreamLife,
    was_open: bool,
}

/// Why there are no more messages.
#[derive(Debug)]
pub enum ListenEnd {
    /// The server offers no such stream.
    NotOffered,
    /// The session of this epoch is lost, and the stream with it.
    SessionLost(u64),
    /// Somebody has to sign in first; listening alone is not a reason to ask for that.
    SignedOut,
}

impl<'a> ListenStream<'a> {
    /// The stream of `remote`'s current session; the first [`ListenStream::next`] opens it.
    pub fn new(remote: &'a Remote) -> Self {
        let life = StreamLife::listening();
        let one_stream = remote.one_stream();
        Self { remote, one_stream, stream: None, last_event_id: None, retry: None, life, was_open: false }
    }

    /// The next message; waits as long as it takes, and reopens the stream when it breaks.
    ///
    /// # Errors [`ListenEnd`] when there are no more messages.
    pub async fn next(&mut self) -> Result<Message, ListenEnd> {
        if let Some(stream) = &self.one_stream {
            return stream.next_other().await.ok_or(ListenEnd::SessionLost(stream.epoch));
        }
        loop {
            let Some(stream) = &mut self.stream else {
                self.open().await?;
                continue;
            };
            match stream.next().await {
                Ok(Some(message)) => {
                    self.life.received(&message.body);
                    return Ok(message);
                }
                end => {
                    if let Err(failure) = end {
                        tracing::debug!(?failure, "the listening stream broke");
                    }
                    self.last_event_id = stream.last_event_id().map(str::to_owned).or(self.last_event_id.take());
                    self.retry = stream.retry().or(self.retry);
                    self.stream = None;
                    self.pause().await;
                }
            }
        }
    }

    async fn open(&mut self) -> Result<(), ListenEnd> {
        match self.remote.listen(self.last_event_id.as_deref(), None, None).await {
            Ok(Some(stream)) => {
                self.stream = Some(stream);
                self.life.opened();
                self.was_open = true;
                Ok(())
            }
            Ok(None) if self.was_open => {
                tracing::debug!("a listening stream that was open is not offered for now");
                self.pause().await;
                Ok(())
            }
            Ok(None) => Err(ListenEnd::NotOffered),
            // Servers without a GET route answer 404; so a 404 is about the session only if a stream was open before.
            Err(Failure::SessionLost { .. }) if !self.was_open => Err(ListenEnd::NotOffered),
            Err(Failure::SessionLost { epoch, .. }) => Err(ListenEnd::SessionLost(epoch)),
            Err(Failure::SignIn(_)) => Err(ListenEnd::SignedOut),
            // A proxy in front of a server that starts again answers like this, too: what was offered once comes back.
            Err(Failure::Refused { status, problem, .. })
                if !self.was_open && matches!(status.as_u16(), 400 | 404 | 406 | 501) =>
            {
                tracing::debug!(%problem, "the server does not offer a listening stream");
                Err(ListenEnd::NotOffered)
            }
            Err(failure) => {
                let problem = failure.into_problem();
                tracing::debug!(%problem, "the listening stream could not be opened");
                self.pause().await;
                Ok(())
            }
        }
    }

    /// Waits before the next attempt.
    async fn pause(&mut self) {
        if let Some(wait) = self.life.ended(self.retry) {
            tokio::time::sleep(wait).await;
        }
    }
}
