//! Server-sent events: bytes in, events out, however the bytes are split.
//!
//! It follows the HTML standard's "event stream interpretation", with a bound on the size of an event. A line that is
//! complete in one chunk is not copied, so a large result costs one buffer.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use crate::limits::{ENDPOINT_EVENT_BYTES, ERROR_EVENT_BYTES, EVENT_ID_BYTES, MAX_IDLE_EVENTS, RESERVED_BYTES};

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

    /// The data of the last event of type `error`, once.
    pub fn take_error(&mut self) -> Option<Bytes> {
        self.error.take()
    }

    /// The data of the first event of type `endpoint`, once.
    pub fn take_endpoint(&mut self) -> Option<Bytes> {
        self.endpoint.take()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> (Vec<String>, Option<String>, Option<Duration>) {
        let mut decoder = Decoder::new(1_000);
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(Bytes::copy_from_slice(piece)).expect("within the bound");
            while let Some(event) = decoder.next_event() {
                events.push(String::from_utf8(event.to_vec()).expect("UTF-8"));
            }
        }
        (events, decoder.last_event_id().map(str::to_owned), decoder.retry())
    }

    const STREAM: &[u8] =
        b"\xef\xbb\xbf: hello\r\nid: 1\r\nretry: 1500\r\ndata: \r\n\r\nevent: message\ndata:{\"a\":1}\nid: 2\n\n\
        data: x\rdata: y\r\rdata\n\ndata: lost, for its end never came";

    #[test]
    fn any_split_of_the_bytes_gives_the_same_events() {
        let expected =
            (vec!["{\"a\":1}".to_owned(), "x\ny".to_owned()], Some("2".to_owned()), Some(Duration::from_millis(1_500)));
        assert_eq!(decode(&[STREAM]), expected);
        for first in 0..STREAM.len() {
            for second in first..STREAM.len() {
                let pieces = [&STREAM[..first], &STREAM[first..second], &STREAM[second..]];
                assert_eq!(decode(&pieces), expected, "split at {first} and {second}");
            }
        }
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(decode(&bytes), expected);
    }

    #[test]
    fn events_of_other_types_are_not_messages_but_their_ids_count() {
        let (events, id, _) = decode(&[b"event: ping\nid: 7\ndata: {}\n\nevent: message\ndata: a\n\ndata: b\n\n"]);
        assert_eq!((events, id.as_deref()), (vec!["a".to_owned(), "b".to_owned()], Some("7")));
    }

    #[test]
    fn an_event_of_type_error_is_no_message_and_can_be_asked_for() {
        let mut decoder = Decoder::new(100);
        decoder
            .push(Bytes::from_static(b"event: error\ndata: no\n\nevent: ping\ndata: x\n\n"))
            .expect("within the bound");
        assert_eq!(decoder.next_event(), None);
        assert_eq!(decoder.take_error().as_deref(), Some(&b"no"[..]));
        assert_eq!(decoder.take_error(), None);
    }

    #[test]
    fn an_id_counts_only_once_its_event_is_complete() {
        let (_, id, _) = decode(&[b"id: 1\ndata: a\n\nid: 2\ndata: b\n"]);
        assert_eq!(id.as_deref(), Some("1"));
    }

    #[test]
    fn an_empty_id_forgets_the_last_one() {
        let (_, id, _) = decode(&[b"id: 1\ndata: a\n\nid\ndata: b\n\n"]);
        assert_eq!(id, None);
    }

    #[test]
    fn an_id_that_no_header_could_carry_is_not_kept() {
        let id = |bytes: usize| format!("id: 1\ndata: a\n\nid: {}\ndata: b\n\n", "x".repeat(bytes));
        let kept = |bytes: usize| {
            let mut decoder = Decoder::new(1 << 20);
            decoder.push(Bytes::from(id(bytes))).expect("within the bound");
            decoder.last_event_id().map(str::len)
        };
        assert_eq!(kept(EVENT_ID_BYTES), Some(EVENT_ID_BYTES));
        assert_eq!(kept(EVENT_ID_BYTES + 1), None, "nor is the one before, which is no longer the last");
    }

    #[test]
    fn an_event_over_the_bound_is_refused_before_it_is_whole() {
        let mut decoder = Decoder::new(10);
        decoder.push(Bytes::from_static(b"data: 0123456789\n\n")).expect("at the bound");
        assert_eq!(decoder.next_event().as_deref(), Some(&b"0123456789"[..]));
        assert_eq!(decoder.push(Bytes::from_static(b"data: 0123456789a")), Err(EventTooLarge(10)));
        let mut decoder = Decoder::new(10);
        assert_eq!(decoder.push(Bytes::from_static(b"data: 01234\ndata: 012345\n")), Err(EventTooLarge(10)));
    }

    #[test]
    fn lines_without_content_count_too() {
        let mut decoder = Decoder::new(10);
        assert_eq!(decoder.push(Bytes::from("data\n".repeat(11))), Ok(()), "ten line feeds");
        assert_eq!(decoder.push(Bytes::from_static(b"data\n")), Err(EventTooLarge(10)));
    }

    #[test]
    fn a_line_that_is_no_data_is_bounded_however_it_comes() {
        let comment = format!(": {}\n\n", "x".repeat(100));
        for step in [1, 50, comment.len()] {
            let mut decoder = Decoder::new(10);
            let mut pieces = comment.as_bytes().chunks(step);
            assert!(pieces.any(|piece| decoder.push(Bytes::copy_from_slice(piece)).is_err()), "in steps of {step}");
        }
    }

    #[test]
    fn a_time_to_wait_that_is_no_number_of_ours_leaves_the_one_before() {
        let (_, _, retry) = decode(&[b"retry: 7\nretry: 99999999999999999999\n\n"]);
        assert_eq!(retry, Some(Duration::from_millis(7)));
    }

    #[test]
    fn what_a_stream_keeps_beside_its_messages_is_small() {
        let mut decoder = Decoder::new(1 << 20);
        let mut push = |text: String| {
            decoder.push(Bytes::from(text)).expect("within the bound");
            decoder.take_error().map(|error| error.len())
        };
        let error = |bytes: usize| format!("event: error\ndata: {}\n\n", "e".repeat(bytes));
        assert_eq!(push(error(ERROR_EVENT_BYTES)), Some(ERROR_EVENT_BYTES));
        assert_eq!(push(error(ERROR_EVENT_BYTES + 1)), None);
        push("data: 1\n\n".repeat(50_000));
        while decoder.next_event().is_some() {}
        assert!(decoder.ready.capacity() <= MAX_IDLE_EVENTS);
    }
}
