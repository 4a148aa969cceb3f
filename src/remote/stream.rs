//! An open event stream: server-sent events in, whole messages out.

use bytes::Bytes;
use reqwest::Response;
use tokio::time::Duration;
use url::Url;

use crate::http::{Http, NetError, Step};
use crate::problem::{Problem, ProblemId};

use super::failure::Failure;
use super::patience::Patience;
use super::sse::Decoder;

/// An open stream of events.
#[derive(Debug)]
pub struct EventStream {
    http: Http,
    url: Url,
    response: Response,
    decoder: Decoder,
    max_event: usize,
    patience: Patience,
    /// Whether it continues a broken stream.
    resumed: bool,
    /// Whether the server has sent anything after the headers.
    has_data: bool,
    /// Whether the server has closed the stream.
    ended: bool,
    /// Whether an event was over the bound: where the next one starts is unknown.
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
    /// # Errors When the stream breaks, stalls for too long or carries an event over the bound.
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
                    // Events that were complete before the large one are still delivered.
                    self.overflowed = self.decoder.push(piece).is_err();
                }
            }
        }
    }

    /// The next message of those that have come whole.
    pub(super) fn take_decoded(&mut self) -> Option<Bytes> {
        self.decoder.next_event()
    }

    /// The data of the last event of type `error`: not a message, but some servers refuse with it.
    pub(super) fn take_error(&mut self) -> Option<Bytes> {
        self.decoder.take_error()
    }

    /// Marks the stream as continuing one that ended after the event `id`.
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

    /// Whether there is nothing after the last event: a server that has forgotten a stream closes a resumed one at
    /// once, without any data, while one that makes clients poll sends an event first.
    pub fn is_spent(&self) -> bool {
        self.resumed && self.ended && !self.has_data
    }

    /// The event after which to resume the stream.
    pub fn last_event_id(&self) -> Option<&str> {
        self.decoder.last_event_id()
    }

    /// How long the server asks to wait before resuming.
    pub fn retry(&self) -> Option<Duration> {
        self.decoder.retry()
    }
}

/// The failure of a stream that was cut off.
fn cut(error: NetError) -> Failure {
    match error {
        NetError::Failed { host, step: Step::Sent | Step::Body, detail, .. } => {
            let problem = Problem::new(ProblemId::StreamCut).with("host", host).because(detail);
            Failure::Unclear { problem, wait: None }
        }
        error => error.into(),
    }
}
