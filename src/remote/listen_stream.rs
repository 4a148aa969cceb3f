//! The standing GET stream: messages that the server sends on its own, taken up again when it breaks.

use bytes::Bytes;
use reqwest::StatusCode;
use tokio::time::{Duration, Instant};

use crate::http::retry_after;

use crate::remote::response::{Exchange, Stream};
use crate::remote::{Failure, Remote};

/// The first wait before the stream is opened again, when the server has not said one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The standing stream of one session, as a source of messages.
#[derive(Debug)]
pub struct ListenStream<'a> {
    remote: &'a Remote,
    stream: Option<Stream>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    failures: u32,
    was_open: bool,
}

/// Why the standing stream is over.
#[derive(Debug)]
pub enum ListenEnd {
    /// The server offers none.
    NotOffered,
    /// The session it belongs to is gone.
    SessionLost(u64),
    /// Somebody has to sign in first; listening alone is no reason to ask for it.
    SignedOut,
}

impl<'a> ListenStream<'a> {
    /// The stream of the session that `remote` has now; opened by the first [`ListenStream::next`].
    pub fn new(remote: &'a Remote) -> Self {
        Self { remote, stream: None, last_event_id: None, retry: None, failures: 0, was_open: false }
    }

    /// The next message; waits as long as it takes, re-opening the stream when it breaks.
    ///
    /// # Errors
    /// [`ListenEnd`] when there will be none any more.
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
                        tracing::debug!(?failure, "the standing stream broke");
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
                tracing::debug!(%problem, "the server does not offer a standing stream");
                Err(ListenEnd::NotOffered)
            }
            Err(failure) => {
                let problem = failure.into_problem();
                tracing::debug!(%problem, "the standing stream could not be opened");
                self.pause().await;
                Ok(())
            }
        }
    }

    /// Waits before the next attempt: what the server asked for, or longer from failure to failure.
    async fn pause(&mut self) {
        let wait = match self.retry.filter(|_| self.failures == 0) {
            Some(asked) => asked.min(LONGEST_WAIT),
            None => FIRST_WAIT.saturating_mul(1 << self.failures.min(6)).min(LONGEST_WAIT),
        };
        self.failures += 1;
        tokio::time::sleep(wait + wait.mul_f64(0.2 * retry_after::noise())).await;
    }
}

impl Remote {
    /// Takes up the stream of a POST that ended before its answer, after the last event that was received. `None` when the
    /// server gave no place to take it up at, or does not offer it.
    ///
    /// The wait is what the server asked for with `retry:`; a clean end is how servers make clients poll. A connection that
    /// cannot be made or breaks is tried again until `end`. In a session that replaces the stream's own there is nothing to
    /// take up: its server would give another stream, on which the answer never comes.
    ///
    /// # Errors
    /// A [`Failure`] when the server cannot be asked. It is about asking: whether the request was executed is as unclear as
    /// before.
    pub async fn resume(&self, broken: &Exchange, end: Instant) -> Result<Option<Exchange>, Failure> {
        let Some((id, retry)) = broken.resume_from() else { return Ok(None) };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let wait = match retry {
                Some(asked) if attempt == 1 => asked.min(LONGEST_WAIT),
                _ => retry_after::wait(None, attempt, retry_after::noise()),
            };
            tokio::time::sleep(wait).await;
            match self.listen(Some(id), Some(self.idle()), Some(broken.epoch)).await {
                Ok(Some(stream)) => {
                    let mut again = Exchange::stream(broken.headers.clone(), stream.after(id, retry));
                    (again.grant, again.epoch) = (broken.grant, broken.epoch);
                    return Ok(Some(again));
                }
                Ok(None) => return Ok(None),
                Err(Failure::NotSent(problem) | Failure::Unclear { problem, .. }) if Instant::now() < end => {
                    tracing::debug!(%problem, "the stream could not be taken up yet");
                }
                Err(Failure::Refused { status, problem }) if is_passing(status) && Instant::now() < end => {
                    tracing::debug!(%problem, "the stream could not be taken up yet");
                }
                Err(
                    Failure::Explained(problem) | Failure::Refused { problem, .. } | Failure::Unclear { problem, .. },
                ) => {
                    tracing::debug!(%problem, "the stream cannot be taken up");
                    return Ok(None);
                }
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Whether a refusal is likely to be over soon: a limit, or a server that is being restarted.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504)
}
