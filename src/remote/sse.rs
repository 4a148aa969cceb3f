//! Server-sent events: bytes in, events out, however the bytes are split.
//!
//! It follows the HTML standard's "event stream interpretation", with a bound on the size of an event. A line that is
//! complete in one chunk is not copied, so a large result costs one buffer.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use crate::limits::{ENDPOINT_EVENT_BYTES, ERROR_EVENT_BYTES, EVENT_ID_BYTES, MAX_IDLE_EVENTS, RESERVED_BYTES};
use crate::message::{PeekError, aside, peek};

/// An event exceeds the bound of this many bytes; where the next one starts is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than {0} bytes")]
pub struct EventTooLarge(pub usize);

/// Turns the bytes of a `text/event-stream` into the data of its events.
#[derive(Debug)]
pub struct Decoder {
    max_event: usize,
    /// The start of an incomplete line.
    partial: Vec<u8>,
    /// Whether the last chunk ended in CR: an LF at the start of the next belongs to it.
    after_cr: bool,
    first_line: bool,
    data: Data,
    /// The type of the current event.
    kind: EventKind,
    /// The `id` line of the current event.
    id: Option<String>,
    last_id: Option<String>,
    retry: Option<Duration>,
    ready: VecDeque<Bytes>,
    /// The data of the last event of type `error`.
    error: Option<Bytes>,
    /// The data of the first event of type `endpoint`.
    endpoint: Option<Bytes>,
    /// Whether this is a JSON text under the wrong name: no line of an event stream begins like one.
    is_json: bool,
}

/// The type of an event.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum EventKind {
    /// The default, which carries messages.
    #[default]
    Message,
    /// `error`: not a message, but some servers refuse with it.
    Error,
    /// `endpoint`: where HTTP+SSE, the transport of 2024-11-05, has the client's messages posted.
    Endpoint,
    /// Any other type: servers send some to keep a connection alive.
    Other,
}

/// The data lines of the current event, joined by line feeds.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// The usual case, which needs no copy.
    One(Bytes),
    Several(BytesMut),
}

impl Data {
    /// Adds a line, if the data then has at most `max` bytes.
    fn add(&mut self, line: Bytes, max: usize) -> Result<(), EventTooLarge> {
        let before = match self {
            Self::None => 0,
            Self::One(first) => first.len() + 1,
            Self::Several(lines) => lines.len() + 1,
        };
        if before + line.len() > max {
            return Err(EventTooLarge(max));
        }
        let mut lines = match std::mem::take(self) {
            Self::None => {
                *self = Self::One(line);
                return Ok(());
            }
            Self::One(first) => BytesMut::from(&first[..]),
            Self::Several(lines) => lines,
        };
        lines.extend_from_slice(b"\n");
        lines.extend_from_slice(&line);
        *self = Self::Several(lines);
        Ok(())
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len(),
            Self::Several(lines) => lines.len(),
        }
    }

    fn take(&mut self) -> Bytes {
        match std::mem::take(self) {
            Self::None => Bytes::new(),
            Self::One(line) => line,
            Self::Several(lines) => lines.freeze(),
        }
    }
}

impl Decoder {
    /// A decoder at the start of a stream. `max_event` is in bytes.
    pub fn new(max_event: usize) -> Self {
        Self {
            max_event,
            partial: Vec::new(),
            after_cr: false,
            first_line: true,
            data: Data::default(),
            kind: EventKind::default(),
            id: None,
            last_id: None,
            retry: None,
            ready: VecDeque::new(),
            error: None,
            endpoint: None,
            is_json: false,
        }
    }

    /// The id of the last complete event with one, after which to resume the stream (`Last-Event-ID`).
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The time to wait before reconnecting, if the server has named one.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Continues another stream: until this one has its own ids, it resumes at the same event.
    pub fn continue_after(&mut self, id: &str, retry: Option<Duration>) {
        self.last_id = Some(id.to_owned());
        self.retry = retry;
    }

    /// The data of the next complete event; its lines are joined by a line feed. Events without data are not reported.
    pub fn next_event(&mut self) -> Option<Bytes> {
        let event = self.ready.pop_front();
        if self.ready.is_empty() && self.ready.capacity() > MAX_IDLE_EVENTS {
            self.ready = VecDeque::new();
        }
        event
    }

    /// The size of the event that [`Decoder::next_event`] returns next.
    pub fn next_event_bytes(&self) -> Option<usize> {
        self.ready.front().map(Bytes::len)
    }

    /// How much is held of an event that is not complete.
    pub fn partial_event_bytes(&self) -> usize {
        self.partial.len() + self.data.len()
    }

    /// Drops what has come of an event that will not be complete.
    pub fn forget_partial_event(&mut self) {
        self.partial = Vec::new();
        self.data = Data::None;
    }

    /// Makes place for the rest of the largest event at once instead of by doubling, which copies: what is not written to
    /// takes no memory.
    pub fn reserve(&mut self) {
        let rest = self.max_event.min(RESERVED_BYTES);
        match &mut self.data {
            Data::Several(lines) => lines.reserve(rest.saturating_sub(lines.len())),
            Data::None | Data::One(_) => self.partial.reserve(rest.saturating_sub(self.partial.len())),
        }
    }

    /// How much memory the event that is not complete has.
    #[cfg(test)]
    pub(super) fn reserved_bytes(&self) -> usize {
        self.partial.capacity()
    }

    /// Whether the stream is one of the HTTP+SSE transport of 2024.
    pub fn names_endpoint(&self) -> bool {
        self.endpoint.is_some()
    }

    /// The data of the last event of type `error`, once.
    pub fn take_error(&mut self) -> Option<Bytes> {
        self.error.take()
    }

    /// The data of the first event of type `endpoint`, once.
    pub fn take_endpoint(&mut self) -> Option<Bytes> {
        self.endpoint.take()
    }

    /// The stream is over. A last event whose blank line never came counts if its data is a whole message, and so does a
    /// JSON text in the place of a stream; anything else may have been cut. Returns whether there is something to take.
    pub fn finish(&mut self) -> bool {
        if self.is_json {
            let text = Bytes::from(std::mem::take(&mut self.partial));
            self.is_json = false;
            if is_whole(&text) {
                self.ready.push_back(text);
            }
            return !self.ready.is_empty();
        }
        let rest = Bytes::from(std::mem::take(&mut self.partial));
        if !rest.is_empty() && self.line(rest).is_err() {
            self.forget_partial_event();
        }
        // A long one is not looked through here, and is taken up again where it broke.
        let is_whole = match &self.data {
            Data::None => false,
            Data::One(data) => !aside::is_long(data.len()) && is_whole(data),
            Data::Several(data) => !aside::is_long(data.len()) && is_whole(data),
        };
        if is_whole && self.kind == EventKind::Message {
            self.end_of_event();
        }
        !self.ready.is_empty()
    }

    /// Reads the next bytes of the stream.
    ///
    /// # Errors
    /// [`EventTooLarge`]; events that were complete before it can still be taken.
    pub fn push(&mut self, mut chunk: Bytes) -> Result<(), EventTooLarge> {
        if chunk.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
            chunk = chunk.slice(1..);
        }
        // No line needs to be longer than the data line of the largest event.
        let longest = self.max_event + "data: ".len();
        if self.first_line && self.partial.is_empty() {
            self.is_json = begins_like_json(&chunk);
        }
        if self.is_json {
            if self.partial.len() + chunk.len() > self.max_event {
                return Err(EventTooLarge(self.max_event));
            }
            self.partial.extend_from_slice(&chunk);
            return Ok(());
        }
        while let Some(end) = memchr2(b'\n', b'\r', &chunk) {
            if self.partial.len() + end > longest {
                return Err(EventTooLarge(self.max_event));
            }
            let line = if self.partial.is_empty() {
                chunk.slice(..end)
            } else {
                self.partial.extend_from_slice(&chunk[..end]);
                Bytes::from(std::mem::take(&mut self.partial))
            };
            let mut next = end + 1;
            if chunk[end] == b'\r' {
                match chunk.get(next) {
                    Some(b'\n') => next += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            chunk = chunk.slice(next..);
            self.line(line)?;
        }
        if self.partial.len() + chunk.len() > longest {
            return Err(EventTooLarge(self.max_event));
        }
        self.partial.extend_from_slice(&chunk);
        Ok(())
    }

    fn line(&mut self, mut line: Bytes) -> Result<(), EventTooLarge> {
        if std::mem::take(&mut self.first_line) && line.starts_with(b"\xef\xbb\xbf") {
            line = line.slice(3..);
        }
        if line.is_empty() {
            self.end_of_event();
            return Ok(());
        }
        let (name, mut value) = match memchr::memchr(b':', &line) {
            Some(colon) => (line.slice(..colon), line.slice(colon + 1..)),
            None => (line, Bytes::new()),
        };
        if value.first() == Some(&b' ') {
            value = value.slice(1..);
        }
        match &name[..] {
            b"data" => self.data.add(value, self.max_event)?,
            b"event" => {
                self.kind = match &value[..] {
                    b"" | b"message" => EventKind::Message,
                    b"error" => EventKind::Error,
                    b"endpoint" => EventKind::Endpoint,
                    _ => EventKind::Other,
                }
            }
            // As if it were empty: resuming after an earlier event would bring what has come already.
            b"id" if value.len() > EVENT_ID_BYTES => self.id = Some(String::new()),
            b"id" if !value.contains(&0) => self.id = String::from_utf8(value.to_vec()).ok().or(self.id.take()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let millis = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
                self.retry = millis.map(Duration::from_millis).or(self.retry);
            }
            _ => {} // comments, and what the standard may add
        }
        Ok(())
    }

    fn end_of_event(&mut self) {
        if let Some(id) = self.id.take() {
            // An empty id resets the last one (HTML standard).
            self.last_id = (!id.is_empty()).then_some(id);
        }
        let data = self.data.take();
        match std::mem::take(&mut self.kind) {
            _ if data.is_empty() => {}
            EventKind::Message => self.ready.push_back(data),
            EventKind::Error if data.len() <= ERROR_EVENT_BYTES => self.error = Some(Bytes::copy_from_slice(&data)),
            EventKind::Endpoint if data.len() <= ENDPOINT_EVENT_BYTES => {
                self.endpoint.get_or_insert_with(|| Bytes::copy_from_slice(&data));
            }
            EventKind::Error | EventKind::Endpoint | EventKind::Other => {}
        }
    }
}

/// Whether a stream is a JSON text under the wrong name. This alone departs from the standard, which passes over such a line
/// and reads on; its first byte decides, so that it does not matter how the stream is split.
pub(super) fn begins_like_json(stream: &[u8]) -> bool {
    matches!(stream.first(), Some(b'{' | b'['))
}

/// Whether the text is a JSON-RPC message and not the start of one. The end of a long one is looked at alone: all of it is
/// read later, where that holds up nobody.
fn is_whole(text: &[u8]) -> bool {
    let end = text.trim_ascii_end().last();
    matches!(end, Some(b'}' | b']'))
        && (aside::is_long(text.len()) || !matches!(peek(text), Err(PeekError::NotJson(_))))
}

#[cfg(test)]
mod tests;
