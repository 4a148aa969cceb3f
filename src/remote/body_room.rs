//! The budget of memory for everything that the server sends and that is held here: JSON bodies, events that are being put
//! together, refusals, and messages until the client has them.
//!
//! Each body has a small share of its own, so that ordinary answers wait for nobody. A longer one takes room as it grows,
//! short ones and long ones from separate stocks. Long bodies that wait for each other's room would wait for ever, so one at
//! a time, the one that has waited longest, gets the turn to go on without more room. A body that holds room and stalls is
//! given up ([`super::patience::Pace`]). So what is held is bounded by the stocks and one message of the largest size.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{
    BODY_SHARE_BYTES, COPIED_MESSAGE_BYTES, LONG_BODIES_BYTES, MAX_LARGE_BODIES, SHORT_BODIES_BYTES, SHORT_BODY_BYTES,
};

/// The room for all bodies of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BodyRooms {
    short: Arc<Semaphore>,
    long: Arc<Semaphore>,
    /// The right to go on without further room.
    turn: Arc<Semaphore>,
}

/// The room of one body; dropping it gives the room back.
#[derive(Debug, Default)]
pub struct BodyRoom {
    permit: Option<OwnedSemaphorePermit>,
    turn: Option<OwnedSemaphorePermit>,
}

/// A whole message of the server, with the room that it takes for as long as it is held.
#[derive(Debug)]
pub struct Message {
    /// The message, without white space around it.
    pub body: Bytes,
    /// Its room: none for a short one.
    pub room: BodyRoom,
}

impl Default for BodyRooms {
    fn default() -> Self {
        let [short, long, turn] =
            [SHORT_BODIES_BYTES, LONG_BODIES_BYTES, MAX_LARGE_BODIES].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { short, long, turn }
    }
}

impl BodyRooms {
    /// Takes room for a body of which `here` bytes have come, if it has less. It waits while other bodies, or messages that
    /// the client has not read, take the room. Cancel-safe: what `room` has, it keeps or has given back.
    pub async fn grow(&self, room: &mut BodyRoom, here: usize) {
        if here <= room.bytes() {
            return;
        }
        let wanted = here.max(2 * room.bytes());
        if wanted <= SHORT_BODY_BYTES {
            room.permit = take(&self.short, SHORT_BODY_BYTES).await;
            return;
        }
        if room.permit.as_ref().is_some_and(|permit| Arc::ptr_eq(permit.semaphore(), &self.short)) {
            // It is long after all, and must not take the place of short ones while it waits.
            room.permit = None;
        }
        let more = wanted.min(LONG_BODIES_BYTES).saturating_sub(room.held());
        tokio::select! {
            biased;
            more = take(&self.long, more), if here <= LONG_BODIES_BYTES => match (&mut room.permit, more) {
                (Some(held), Some(more)) => held.merge(more),
                (held, more) => *held = more,
            },
            turn = take(&self.turn, 1) => {
                room.turn = turn;
                room.permit = None;
            }
        }
    }
}

/// Nobody closes these semaphores, so the result is always there.
async fn take(stock: &Arc<Semaphore>, permits: usize) -> Option<OwnedSemaphorePermit> {
    Arc::clone(stock).acquire_many_owned(u32::try_from(permits).unwrap_or(u32::MAX)).await.ok()
}

impl BodyRoom {
    /// How many bytes it is good for.
    pub fn bytes(&self) -> usize {
        if self.turn.is_some() { usize::MAX } else { self.held().max(BODY_SHARE_BYTES) }
    }

    /// Whether it is more than the share that each body has.
    pub fn is_counted(&self) -> bool {
        self.permit.is_some() || self.turn.is_some()
    }

    /// Whether the body goes on without further room.
    pub fn has_turn(&self) -> bool {
        self.turn.is_some()
    }

    fn held(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Gives back what this many bytes do not need.
    fn shrink(&mut self, bytes: usize) {
        if bytes <= BODY_SHARE_BYTES {
            *self = Self::default();
        } else if let Some(permit) = &mut self.permit {
            drop(permit.split(permit.num_permits().saturating_sub(bytes)));
        }
    }
}

impl Message {
    /// A message whose body is whole, and for which `room` was taken; `None` when it is blank.
    ///
    /// One that is not large gets memory of its own: a part of the network's buffer would keep all of that, and little
    /// text with much white space around it all of the body.
    pub fn new(body: Bytes, mut room: BodyRoom) -> Option<Self> {
        let text = without_outer_space(&body);
        if text.is_empty() {
            return None;
        }
        let body = if text.len() <= COPIED_MESSAGE_BYTES {
            room.shrink(text.len());
            Bytes::copy_from_slice(text)
        } else {
            room.shrink(body.len());
            body.slice_ref(text)
        };
        Some(Self { body, room })
    }
}

/// The text without JSON's white space around it (RFC 8259, 2).
fn without_outer_space(text: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let start = text.iter().position(is_text).unwrap_or(text.len());
    let end = text.iter().rposition(is_text).map_or(start, |last| last + 1);
    &text[start..end]
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn now<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn free(rooms: &BodyRooms) -> (usize, usize, usize) {
        (rooms.short.available_permits(), rooms.long.available_permits(), rooms.turn.available_permits())
    }

    const ALL_FREE: (usize, usize, usize) = (SHORT_BODIES_BYTES, LONG_BODIES_BYTES, MAX_LARGE_BODIES);

    async fn grown(rooms: &BodyRooms, bytes: usize) -> BodyRoom {
        let mut room = BodyRoom::default();
        rooms.grow(&mut room, bytes).await;
        room
    }

    #[tokio::test]
    async fn a_body_takes_room_as_it_grows_and_gives_back_what_its_message_does_not_need() {
        let rooms = BodyRooms::default();
        let mut room = BodyRoom::default();
        for (here, left) in [
            (BODY_SHARE_BYTES, ALL_FREE),
            (BODY_SHARE_BYTES + 1, (SHORT_BODIES_BYTES - SHORT_BODY_BYTES, LONG_BODIES_BYTES, 1)),
            (SHORT_BODY_BYTES + 1, (SHORT_BODIES_BYTES, LONG_BODIES_BYTES - 2 * SHORT_BODY_BYTES, 1)),
            (2 * SHORT_BODY_BYTES, (SHORT_BODIES_BYTES, LONG_BODIES_BYTES - 2 * SHORT_BODY_BYTES, 1)),
            (900 * 1024, (SHORT_BODIES_BYTES, LONG_BODIES_BYTES - 900 * 1024, 1)),
            (LONG_BODIES_BYTES + 1, (SHORT_BODIES_BYTES, LONG_BODIES_BYTES, 0)),
        ] {
            rooms.grow(&mut room, here).await;
            assert_eq!(free(&rooms), left, "{here}");
        }
        let text = "x".repeat(800 * 1024);
        let message = Message::new(Bytes::from(text.clone()), grown(&rooms, 1024 * 1024).await).expect("text");
        assert_eq!(free(&rooms).1, LONG_BODIES_BYTES - text.len());
        drop((message, room));
        assert_eq!(free(&rooms), ALL_FREE);
    }

    #[tokio::test]
    async fn bodies_that_fill_the_room_go_on_one_at_a_time_and_none_waits_for_ever() {
        let rooms = BodyRooms::default();
        let mut bodies = Vec::new();
        for _ in 0..8 {
            bodies.push(grown(&rooms, LONG_BODIES_BYTES / 8).await);
        }
        assert_eq!(free(&rooms).1, 0);
        // All of them want more than there is.
        let mut last = bodies.pop().expect("eight");
        rooms.grow(&mut last, LONG_BODIES_BYTES / 8 + 1).await;
        assert_eq!(last.bytes(), usize::MAX, "one goes on without more room");
        let mut done = vec![last];
        for mut body in bodies {
            // What the one before gave back with its turn is there for others.
            let mut wanted = LONG_BODIES_BYTES / 8 + 1;
            while !body.has_turn() {
                let is_held_up = now(pin!(rooms.grow(&mut body, wanted))).is_pending();
                if is_held_up {
                    drop(done.pop().expect("the one with the turn ends"));
                    rooms.grow(&mut body, wanted).await;
                }
                wanted = body.bytes().saturating_add(1);
            }
            done.push(body);
        }
        drop(done);
        assert_eq!(free(&rooms), ALL_FREE);
    }

    #[tokio::test]
    async fn long_bodies_that_wait_hold_up_no_short_one_and_no_ordinary_answer() {
        let rooms = BodyRooms::default();
        let large = grown(&rooms, LONG_BODIES_BYTES + 1).await;
        let full = grown(&rooms, LONG_BODIES_BYTES).await;
        let mut waiting = BodyRoom::default();
        assert!(now(pin!(rooms.grow(&mut waiting, SHORT_BODY_BYTES + 1))).is_pending());
        assert!(!waiting.is_counted(), "who waits keeps no room from short ones");
        assert!(grown(&rooms, SHORT_BODY_BYTES).await.is_counted());
        assert!(!grown(&rooms, BODY_SHARE_BYTES).await.is_counted());
        drop((large, full));
        assert_eq!(free(&rooms), ALL_FREE);
    }

    #[tokio::test]
    async fn a_message_holds_the_memory_that_its_room_counts() {
        let rooms = BodyRooms::default();
        let padded = |text: &str, bytes: usize| Bytes::from(format!("\r\n {text}{}", " ".repeat(bytes)));
        let small = Message::new(padded("{}", 2 * COPIED_MESSAGE_BYTES), grown(&rooms, LONG_BODIES_BYTES + 1).await);
        let small = small.expect("text");
        assert_eq!((&small.body[..], small.room.is_counted()), (&b"{}"[..], false));
        let buffer = Bytes::from(vec![b'x'; 64 * 1024]);
        let part = Message::new(buffer.slice(..10), BodyRoom::default()).expect("text");
        assert!(buffer.is_unique(), "a message keeps no buffer of the network");
        let large = padded(&"x".repeat(COPIED_MESSAGE_BYTES + 1), 100);
        let bytes = large.len();
        let large = Message::new(large, grown(&rooms, 2 * bytes).await).expect("text");
        assert_eq!(free(&rooms).1, LONG_BODIES_BYTES - bytes, "what is around the text is held, too");
        assert!(Message::new(Bytes::from_static(b" \t\r\n"), BodyRoom::default()).is_none());
        assert!(Message::new(Bytes::from_static(b"\x0c"), BodyRoom::default()).is_some(), "which is no JSON");
        drop((part, large));
        assert_eq!(free(&rooms), ALL_FREE);
    }
}
