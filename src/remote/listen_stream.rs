//! The GET stream of the server's own messages, opened again when it breaks.

use bytes::Bytes;
use tokio::time::Duration;

use crate::pacing::{Backoff, noise, spread};

use super::failure::Failure;
use super::send::Remote;
use super::stream::{EventStream, LONGEST_RECONNECT_WAIT};

/// The waits before the stream is opened again, where the server has not named one.
const RECONNECT: Backoff = Backoff::new(Duration::from_secs(1), LONGEST_RECONNECT_WAIT);

/// The GET stream of one session, as a source of messages.
#[derive(Debug)]
pub struct ListenStream<'a> {
    remote: &'a Remote,
    stream: Option<EventStream>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    failures: u32,
    was_open: bool,
}

/// Why there will be no more messages.
#[derive(Debug)]
pub enum ListenEnd {
    /// The server offers no such stream.
    NotOffered,
    /// The session of this epoch is gone, and the stream with it.
    SessionLost(u64),
    /// Somebody has to sign in first; listening alone is no reason to ask for it.
    SignedOut,
}

impl<'a> ListenStream<'a> {
    /// The stream of the session that `remote` has now; opened by the first [`ListenStream::next`].
    pub fn new(remote: &'a Remote) -> Self {
        Self { remote, stream: None, last_event_id: None, retry: None, failures: 0, was_open: false }
    }

    /// The next message; waits as long as it takes, opening the stream again when it breaks.
    ///
    /// # Errors
    /// [`ListenEnd`] when there will be no more messages.
    pub async fn next(&mut self) -> Result<Bytes, ListenEnd> {
        loop {
            let Some(stream) = &mut self.stream else {
                self.open().await?;
                continue;
            };
            match stream.next().await {
                Ok(Some(message)) => {
                    self.failures = 0;
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
                self.was_open = true;
                Ok(())
            }
            Ok(None) => Err(ListenEnd::NotOffered),
            // Servers without a GET route answer 404 to it; only a stream that was open before says something about the
            // session.
            Err(Failure::SessionLost { .. }) if !self.was_open => Err(ListenEnd::NotOffered),
            Err(Failure::SessionLost { epoch, .. }) => Err(ListenEnd::SessionLost(epoch)),
            Err(Failure::SignIn(_)) => Err(ListenEnd::SignedOut),
            Err(Failure::Refused { status, problem }) if matches!(status.as_u16(), 400 | 404 | 406 | 501) => {
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

    /// Waits before the next attempt: as long as the server asked for, or longer from failure to failure.
    async fn pause(&mut self) {
        let asked = self.retry.filter(|_| self.failures == 0);
        self.failures += 1;
        let wait = asked.map_or_else(|| RECONNECT.ceiling(self.failures), |asked| asked.min(LONGEST_RECONNECT_WAIT));
        tokio::time::sleep(spread(wait, LONGEST_RECONNECT_WAIT, noise())).await;
    }
}
