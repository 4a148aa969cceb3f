//! An open event stream: server-sent events in, whole messages out.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use reqwest::Response;
use tokio::time::{Duration, Instant};
use url::Url;

use crate::http::{Http, NetError, Step, host_of};
use crate::limits::Yielding;
use crate::problem::{Problem, ProblemId};

use super::body::Reading;
use super::body_room::{BodyRoom, Message};
use super::failure::Failure;
use super::patience::{Pace, Patience};
use super::sse::Decoder;

/// About the shortest member of a batch that costs as much as an item of a loop.
const BYTES_OF_AN_ITEM: usize = 4;

/// An open stream of events.
#[derive(Debug)]
pub struct EventStream {
    http: Http,
    url: Url,
    response: Response,
    decoder: Decoder,
    reading: Reading,
    /// The room for the event that has come in part, or for the next one that is whole.
    room: BodyRoom,
    pace: Pace,
    patience: Patience,
    /// Whether an answer is awaited on it.
    answers: bool,
    /// Whether it continues a broken stream.
    resumed: bool,
    /// Whether the server has sent anything after the headers.
    has_data: bool,
    /// Whether the server has closed the stream.
    ended: bool,
    /// How the stream ended, while the event that came without its end is handed on first.
    end: Option<Result<(), Failure>>,
    /// Whether an event was over the bound: where the next one starts is unknown.
    overflowed: bool,
    /// Bytes may come faster than from any network: a stream unpacks to a thousand times its size.
    yielding: Yielding,
    /// What the event that was taken last counts for besides: it may be a batch.
    items_in_event: usize,
    /// For others who judge its silence.
    last_data: Option<Arc<LastData>>,
}

/// When a stream last brought anything.
#[derive(Debug)]
pub(super) struct LastData(Mutex<Instant>);

impl Default for LastData {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl LastData {
    fn is_now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether that was not longer ago.
    pub(super) fn is_within(&self, time: Duration) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).elapsed() < time
    }
}

impl EventStream {
    /// Reads `response` as events within these bounds.
    pub fn new(http: Http, response: Response, reading: Reading, patience: Patience) -> Self {
        Self {
            http,
            url: response.url().clone(),
            response,
            decoder: Decoder::new(reading.max),
            room: BodyRoom::default(),
            pace: Pace::new(reading.idle),
            reading,
            patience,
            answers: false,
            resumed: false,
            has_data: false,
            ended: false,
            end: None,
            overflowed: false,
            yielding: Yielding::default(),
            items_in_event: 0,
            last_data: None,
        }
    }

    /// The next whole message; `None` when the server closed the stream. Waits for room for it.
    ///
    /// # Errors When the stream breaks, stalls for too long or carries an event over the bound.
    pub async fn next(&mut self) -> Result<Option<Message>, Failure> {
        let next = self.next_event().await;
        if !matches!(next, Ok(Some(_))) {
            // What follows, such as taking up the stream again, may need the room.
            self.decoder.forget_partial_event();
            self.room = BodyRoom::default();
        }
        next
    }

    async fn next_event(&mut self) -> Result<Option<Message>, Failure> {
        loop {
            // Before an event is taken, which would be lost with a caller that stops waiting here.
            self.yielding.items(1 + std::mem::take(&mut self.items_in_event)).await;
            if let Some(bytes) = self.decoder.next_event_bytes() {
                self.items_in_event = bytes / BYTES_OF_AN_ITEM;
                self.take_room(bytes).await;
                if let Some(message) = self.take_decoded() {
                    return Ok(Some(message));
                }
                continue;
            }
            if self.answers && self.decoder.names_endpoint() {
                return Err(Problem::new(ProblemId::OldTransport).with("host", host_of(&self.url)).into());
            }
            if let Some(end) = self.end.take() {
                return end.map(|()| None);
            }
            if self.overflowed {
                return Err(NetError::too_large(&self.url, self.reading.max).into());
            }
            self.read_on().await;
        }
    }

    /// Reads what comes next, or notes how the stream has ended.
    async fn read_on(&mut self) {
        let here = self.room_for_partial_event().await;
        let Some(piece) = self.pace.wait(&self.patience, here, self.response.chunk()).await else {
            let idle = self.patience.idle.unwrap_or(self.reading.idle);
            return self.finish(Err(NetError::timed_out(&self.url, idle).into()));
        };
        match piece {
            Err(error) => self.finish(Err(cut(self.http.explain(&self.url, &error)))),
            Ok(None) => {
                self.ended = true;
                self.finish(Ok(()));
            }
            Ok(Some(piece)) => {
                self.has_data = true;
                if let Some(last_data) = &self.last_data {
                    last_data.is_now();
                }
                let bytes = piece.len();
                // Events that were complete before the large one are still delivered.
                self.overflowed = self.decoder.push(piece).is_err();
                self.yielding.bytes(bytes).await;
            }
        }
    }

    /// The data of the event `endpoint`, with which a server of HTTP+SSE opens its one stream; `None` if a message comes
    /// first, or the end. What has come besides is not lost.
    pub(super) async fn endpoint(&mut self) -> Option<Bytes> {
        loop {
            if let Some(endpoint) = self.decoder.take_endpoint() {
                return Some(endpoint);
            }
            if self.decoder.next_event_bytes().is_some() || self.overflowed || self.end.is_some() {
                return None;
            }
            self.read_on().await;
        }
    }

    /// When this stream last brought anything, from now on.
    pub(super) fn last_data(&mut self) -> Arc<LastData> {
        Arc::clone(self.last_data.get_or_insert_default())
    }

    /// Nothing more comes. What has come of the last event may be all of it.
    fn finish(&mut self, end: Result<(), Failure>) {
        self.decoder.finish();
        self.end = Some(end);
    }

    async fn take_room(&mut self, bytes: usize) {
        if bytes > self.room.bytes() {
            self.reading.rooms.grow(&mut self.room, bytes).await;
            self.pace.restart();
        }
    }

    /// Takes room for what has come of an event; returns how much that is, if it holds room of its own.
    async fn room_for_partial_event(&mut self) -> Option<usize> {
        let here = self.decoder.partial_event_bytes();
        if here == 0 {
            self.room = BodyRoom::default();
        }
        self.take_room(here).await;
        if self.room.has_turn() {
            self.decoder.reserve();
        }
        self.room.is_counted().then_some(here)
    }

    /// The next message of those that have come whole.
    pub(super) fn take_decoded(&mut self) -> Option<Message> {
        loop {
            let event = self.decoder.next_event()?;
            if let Some(message) = Message::new(event, std::mem::take(&mut self.room)) {
                return Some(message);
            }
        }
    }

    /// The data of the last event of type `error`: not a message, but some servers refuse with it.
    pub(super) fn take_error(&mut self) -> Option<Bytes> {
        self.decoder.take_error()
    }

    /// Marks the stream as one on which an answer is awaited: in the transport of 2024 it would come on another.
    #[must_use]
    pub fn answering(mut self) -> Self {
        self.answers = true;
        self
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

#[cfg(test)]
mod tests {
    use crate::limits::{YIELD_AFTER_BYTES, YIELD_AFTER_ITEMS};
    use crate::remote::Exchange;

    /// How often another task ran while these events were read, and how many messages there were.
    async fn turns_and_messages(events: String) -> (usize, usize) {
        let turns = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = std::sync::Arc::clone(&turns);
        let other = tokio::spawn(async move {
            loop {
                counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let (mut exchange, mut messages) = (Exchange::of_events(events), 0);
        while let Ok(Some(_)) = exchange.next().await {
            messages += 1;
        }
        other.abort();
        (turns.load(std::sync::atomic::Ordering::Relaxed), messages)
    }

    #[tokio::test]
    async fn a_stream_lets_others_run_however_much_has_come_at_once() {
        let (turns, messages) = turns_and_messages("data: 1\n\n".repeat(20 * YIELD_AFTER_ITEMS)).await;
        assert!(turns >= 20 && messages == 20 * YIELD_AFTER_ITEMS, "{turns} for {messages} events");
        // An event may be a batch, of which each member costs as much.
        let batches = format!("data: [1{}]\n\n", ",1".repeat(99)).repeat(1_000);
        let (turns, _) = turns_and_messages(batches).await;
        assert!(turns >= 50, "{turns} for 100,000 members");
        for nothing in [": a comment\n", "\n", "id: 7\n", "retry: 5\n", "event: ping\ndata: 1\n\n", "data\n\n"] {
            let times = 3 * YIELD_AFTER_BYTES / nothing.len();
            let (turns, messages) = turns_and_messages(nothing.repeat(times)).await;
            assert!(turns >= 1 && messages == 0, "{turns} for {nothing:?}");
        }
    }
}
