//! The body of an answer: its declared kind, and reading it whole.

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use tokio::time::Duration;

use crate::http::{Http, NetError};
use crate::limits::{ANNOUNCED_BODY_BYTES, RESERVED_BYTES, SHORT_BODY_BYTES, Yielding};

use super::body_room::{BodyRoom, BodyRooms, Message};
use super::patience::{Pace, Patience};

/// The kind of body that an answer declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// `application/json`, or nothing declared.
    Json,
    /// `text/event-stream`.
    Events,
    /// A kind that MCP does not use.
    Other,
}

impl Media {
    /// Reads `Content-Type`.
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()) else { return Self::Json };
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") {
            Self::Events
        } else if essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json") {
            Self::Json
        } else {
            Self::Other
        }
    }
}

/// What bounds the reading of all bodies.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The room that they share.
    pub rooms: BodyRooms,
    /// The largest message, in bytes.
    pub max: usize,
    /// The longest silence of a body that holds room.
    pub idle: Duration,
}

/// The part of a body received so far, and its room.
#[derive(Debug)]
pub struct PartialBody {
    reading: Reading,
    first: Bytes,
    /// All of it, from the second piece on.
    whole: BytesMut,
    room: BodyRoom,
    pace: Pace,
}

impl PartialBody {
    /// Nothing yet.
    pub fn new(reading: Reading) -> Self {
        let pace = Pace::new(reading.idle);
        Self { reading, first: Bytes::new(), whole: BytesMut::new(), room: BodyRoom::default(), pace }
    }

    fn len(&self) -> usize {
        if self.whole.is_empty() { self.first.len() } else { self.whole.len() }
    }

    /// Reads until the body is complete, however slowly, as long as it does not stall; waits for room as it grows. It may
    /// be called again when the future was dropped.
    ///
    /// # Errors
    /// A [`NetError`] when the body is cut off, larger than `max` bytes or than a message may be, or stalls for too long.
    pub async fn read(
        &mut self,
        http: &Http,
        response: &mut Response,
        max: usize,
        patience: &Patience,
    ) -> Result<(), NetError> {
        let url = response.url().clone();
        let max = max.min(self.reading.max);
        let announced = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > max {
            return Err(NetError::too_large(&url, max));
        }
        // A body may unpack to a thousand times what comes from the network.
        let mut yielding = Yielding::default();
        loop {
            let here = self.len();
            if here > self.room.bytes() {
                // A long body that says how long it is takes all its room at once, and is put together without copying.
                let wanted = if here > SHORT_BODY_BYTES { here.max(announced) } else { here };
                self.reading.rooms.grow(&mut self.room, wanted).await;
                self.pace.restart();
            }
            if self.whole.is_empty() && announced > 0 && here == announced {
                return Ok(());
            }
            let in_room = self.room.is_counted().then_some(here);
            let Some(piece) = self.pace.wait(patience, in_room, response.chunk()).await else {
                return Err(NetError::timed_out(&url, patience.idle.unwrap_or(self.reading.idle)));
            };
            let Some(piece) = piece.map_err(|e| http.explain(&url, &e))? else { return Ok(()) };
            if here + piece.len() > max {
                return Err(NetError::too_large(&url, max));
            }
            let bytes = piece.len();
            self.add(piece, announced);
            yielding.bytes(bytes).await;
        }
    }

    fn add(&mut self, piece: Bytes, announced: usize) {
        if self.whole.is_empty() {
            if self.first.is_empty() {
                self.first = piece;
                return;
            }
            self.whole.reserve(announced.min(ANNOUNCED_BODY_BYTES).max(self.first.len() + piece.len()));
            self.whole.extend_from_slice(&std::mem::take(&mut self.first));
        }
        if announced > self.whole.capacity() && announced <= self.room.bytes() {
            self.whole.reserve(announced - self.whole.len());
        } else if announced == 0 && self.room.has_turn() {
            self.reserve();
        }
        self.whole.extend_from_slice(&piece);
    }

    /// Makes place for the rest at once instead of by doubling, which copies: what is not written to takes no memory, and an
    /// allocation of this size goes back to the system whole.
    fn reserve(&mut self) {
        self.whole.reserve(self.reading.max.saturating_sub(self.whole.len()).min(RESERVED_BYTES));
    }

    /// The body, once it is complete; `None` when it is blank.
    pub fn take(&mut self) -> Option<Message> {
        let whole = std::mem::take(&mut self.whole);
        let first = std::mem::take(&mut self.first);
        Message::new(if whole.is_empty() { first } else { whole.freeze() }, std::mem::take(&mut self.room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::sse::Decoder;

    #[tokio::test]
    async fn a_body_that_has_room_for_all_that_it_announced_is_not_copied_as_it_grows() {
        let (max, announced) = (RESERVED_BYTES, 10_000_000);
        let mut body = PartialBody::new(Reading { rooms: BodyRooms::default(), max, idle: Duration::from_secs(300) });
        body.reading.rooms.grow(&mut body.room, announced).await;
        let mut places = std::collections::HashSet::new();
        for _ in 0..100 {
            body.add(Bytes::from(vec![b'x'; announced / 100]), announced);
            places.insert(body.whole.as_ptr());
        }
        assert_eq!((body.len(), places.len()), (announced, 2), "nowhere, with the first piece, and then in one place");
    }

    #[test]
    fn what_a_body_announces_reserves_no_more_than_its_bound() {
        let max = 4 * RESERVED_BYTES;
        let reading = Reading { rooms: BodyRooms::default(), max, idle: Duration::from_secs(300) };
        let mut body = PartialBody::new(reading);
        for piece in [b"one", b"two"] {
            body.add(Bytes::from_static(piece), 64 * ANNOUNCED_BODY_BYTES);
        }
        assert!(body.whole.capacity() <= ANNOUNCED_BODY_BYTES, "{}", body.whole.capacity());
        body.reserve();
        assert!(body.whole.capacity() <= RESERVED_BYTES + "onetwo".len(), "{}", body.whole.capacity());
        let mut events = Decoder::new(max);
        events.reserve();
        assert!(events.reserved_bytes() <= RESERVED_BYTES, "{}", events.reserved_bytes());
    }
}
