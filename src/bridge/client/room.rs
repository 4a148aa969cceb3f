//! How much may be kept for the client: lines that wait for stdout, and batches that wait for their last answer. A long
//! message of the server brings its own room ([`crate::remote::BodyRoom`]).

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::limits::{BATCH_ANSWERS_BYTES, WAITING_LINE_OVERHEAD_BYTES, WAITING_LINES_BYTES};
use crate::remote::BodyRoom;

/// All the room there is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rooms {
    /// Complete lines that wait for stdout.
    pub lines: Arc<Semaphore>,
    batches: Arc<Semaphore>,
}

/// Room that was taken for one line; dropping it gives the room back.
#[derive(Debug)]
pub enum Room {
    /// Among the lines or the batches.
    Line(OwnedSemaphorePermit),
    /// That of the body that it came in.
    Body(BodyRoom),
    /// The same, for several lines.
    Shared(Arc<BodyRoom>),
}

impl Room {
    /// The room of a message of the server; `None` if it has none of its own.
    pub fn of_body(room: BodyRoom) -> Option<Self> {
        room.is_counted().then_some(Self::Body(room))
    }

    /// The same room, for several lines.
    #[must_use]
    pub fn shared(self) -> Self {
        match self {
            Self::Body(room) => Self::Shared(Arc::new(room)),
            room => room,
        }
    }

    /// Takes the room for one line, or a part in it if several lines share it.
    pub fn take_for_one(room: &mut Option<Self>) -> Option<Self> {
        match room {
            Some(Self::Shared(shared)) => Some(Self::Shared(Arc::clone(shared))),
            room => room.take(),
        }
    }

    /// Gives back what a line of this length does not need.
    pub fn shrink(&mut self, bytes: usize) {
        if let Self::Line(permit) = self {
            drop(permit.split(permit.num_permits().saturating_sub(bytes.saturating_add(WAITING_LINE_OVERHEAD_BYTES))));
        }
    }

    /// Adds the room to what is given back together.
    pub fn give_back_with(self, together: &mut Vec<Self>) {
        if let Self::Line(permit) = self {
            let same = together.iter_mut().find_map(|other| match other {
                Self::Line(other) if Arc::ptr_eq(other.semaphore(), permit.semaphore()) => Some(other),
                _ => None,
            });
            match same {
                Some(same) => same.merge(permit),
                None => together.push(Self::Line(permit)),
            }
        } else {
            together.push(self);
        }
    }

    /// Adds room of the same kind.
    pub fn merge(&mut self, more: Self) {
        if let (Self::Line(permit), Self::Line(more)) = (self, more) {
            permit.merge(more);
        }
    }
}

impl Default for Rooms {
    fn default() -> Self {
        let [lines, batches] = [WAITING_LINES_BYTES, BATCH_ANSWERS_BYTES].map(|bytes| Arc::new(Semaphore::new(bytes)));
        Self { lines, batches }
    }
}

impl Rooms {
    /// Nobody waits for room any more.
    pub fn close(&self) {
        for room in [&self.lines, &self.batches] {
            room.close();
        }
    }

    /// Takes room for a complete line, if there is any now.
    pub fn try_line(&self, bytes: usize) -> Result<Room, TryAcquireError> {
        Arc::clone(&self.lines).try_acquire_many_owned(permits_for(bytes)).map(Room::Line)
    }

    /// Takes room for a complete line; waits while the client does not read.
    pub async fn line(&self, bytes: usize) -> Result<Room, AcquireError> {
        Arc::clone(&self.lines).acquire_many_owned(permits_for(bytes)).await.map(Room::Line)
    }

    /// Takes what room there is, up to that of a complete line.
    pub fn rest_for_line(&self, bytes: usize) -> Option<Room> {
        let permits = permits_for(bytes).min(u32::try_from(self.lines.available_permits()).unwrap_or(u32::MAX));
        // When another line took the room in between, this one counts as nothing.
        Arc::clone(&self.lines).try_acquire_many_owned(permits).ok().map(Room::Line)
    }

    /// Takes room for an answer that waits for the rest of its batch, if there is any now.
    pub fn try_batch_member(&self, bytes: usize) -> Option<Room> {
        let permits = u32::try_from(bytes.saturating_add(WAITING_LINE_OVERHEAD_BYTES)).unwrap_or(u32::MAX);
        Arc::clone(&self.batches).try_acquire_many_owned(permits).ok().map(Room::Line)
    }
}

/// The room that a message takes; one that is larger than all of it goes alone.
fn permits_for(bytes: usize) -> u32 {
    u32::try_from(bytes.saturating_add(WAITING_LINE_OVERHEAD_BYTES).min(WAITING_LINES_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_line_counts_for_what_keeping_it_costs() {
        let rooms = Rooms::default();
        let mut lines = 0;
        let mut held = Vec::new();
        while let Ok(room) = rooms.try_line(2) {
            held.push(room);
            lines += 1;
        }
        assert_eq!(lines, WAITING_LINES_BYTES / (2 + WAITING_LINE_OVERHEAD_BYTES));
        held.clear();
        let mut together = Vec::new();
        for _ in 0..3 {
            let mut room = rooms.try_line(1_000_000).expect("room");
            room.shrink(100);
            room.give_back_with(&mut together);
        }
        assert_eq!(together.len(), 1);
        assert_eq!(rooms.lines.available_permits(), WAITING_LINES_BYTES - 3 * (100 + WAITING_LINE_OVERHEAD_BYTES));
        together.clear();
        assert_eq!(rooms.lines.available_permits(), WAITING_LINES_BYTES);
    }
}
