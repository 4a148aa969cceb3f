//! An event stream that is being read: server-sent events in, whole messages out.

use bytes::Bytes;
use reqwest::Response;
use tokio::time::Duration;
use url::Url;

use crate::http::{Http, NetError, Step};
use crate::problem::{Problem, ProblemId};

use super::failure::Failure;
use super::patience::Patience;
use super::sse::Decoder;

/// The longest wait before a stream is resumed, whatever the server's `retry:` asks for.
pub(super) const LONGEST_RECONNECT_WAIT: Duration = Duration::from_secs(60);

/// A stream of events that is being read.
#[derive(Debug)]
pub struct EventStream {
    http: Http,
    url: Url,
    response: Response,
    decoder: Decoder,
    max_event: usize,
    patience: Patience,
    /// The stream continues one that broke.
    resumed: bool,
    /// The server has sent something after the headers.
    has_data: bool,
    /// The server has closed the stream.
    ended: bool,
    /// An event was over the bound: where the next one begins is no longer known.
    overflowed: bool,
}

impl EventStream {
    /// Reads `response` as events of at most `max_event` bytes.
    pub fn new(http: Http, response: Response, max_event: usize, patience: Patience) -> Self {
        Self {
            http,
            url: response.url().clone(),
            response,
            decoder: Decoder::new(max_event),
            max_event,
            patience,
            resumed: false,
            has_data: false,
            ended: false,
            overflowed: false,
        }
    }

    /// The next whole message; `None` when the server closed the stream.
    ///
    /// # Errors
    /// When the stream breaks, stands still for too long or carries an event over the bound.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            if let Some(event) = self.decoder.next_event() {
                return Ok(Some(event));
            }
            if self.overflowed {
                return Err(NetError::too_large(&self.url, self.max_event).into());
            }
            let Some(piece) = self.patience.wait(self.response.chunk()).await else {
                return Err(NetError::timed_out(&self.url, self.patience.idle.unwrap_or_default()).into());
            };
            match piece.map_err(|e| cut(self.http.explain(&self.url, &e)))? {
                None => {
                    self.ended = true;
                    return Ok(None);
                }
                Some(piece) => {
                    self.has_data = true;
                    // Events that were complete before it are still delivered.
                    self.overflowed = self.decoder.push(piece).is_err();
                }
            }
        }
    }

    /// The next message of those that have come whole.
    pub(super) fn take_decoded(&mut self) -> Option<Bytes> {
        self.decoder.next_event()
    }

    /// The data of the last event of type `error`: no message, but some servers refuse with it.
    pub(super) fn take_error(&mut self) -> Option<Bytes> {
        self.decoder.take_error()
    }

    /// The same stream, known to continue one that ended after the event `id`.
    #[must_use]
    pub fn after(mut self, id: &str, retry: Option<Duration>) -> Self {
        self.decoder.continue_after(id, retry);
        self.resumed = true;
        self
    }

    /// Whether the server has sent anything after the headers.
    pub fn has_data(&self) -> bool {
        self.has_data
    }

    /// Whether there is nothing to be had after the last event: servers that have forgotten a stream close it at once and
    /// without a word when it is resumed, while those that make clients poll send an event first.
    pub fn is_spent(&self) -> bool {
        self.resumed && self.ended && !self.has_data
    }

    /// The event after which the stream would be resumed.
    pub fn last_event_id(&self) -> Option<&str> {
        self.decoder.last_event_id()
    }

    /// How long the server asks to wait before that.
    pub fn retry(&self) -> Option<Duration> {
        self.decoder.retry()
    }
}

/// The failure of a stream that had begun and was cut.
fn cut(error: NetError) -> Failure {
    match error {
        NetError::Failed { host, step: Step::Sent | Step::Body, detail, .. } => {
            let problem = Problem::new(ProblemId::StreamCut).with("host", host).because(detail);
            Failure::Unclear { problem, wait: None }
        }
        error => error.into(),
    }
}
