//! How much may be kept for the client: lines that wait for stdout, bodies that are being read, and batches that wait for
//! their last answer. Each has room of its own, in bytes, so that a slow body never holds up a line that is complete.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// How many bytes of each kind may wait; one larger message may go alone.
pub const ROOM_BYTES: usize = 8 * 1024 * 1024;
/// A body that is announced as longer than this shares its room with other long ones.
pub const SHORT_BODY_BYTES: usize = 64 * 1024;
/// How many bytes of short bodies are read at once.
const SHORT_BODIES_BYTES: usize = 64 * SHORT_BODY_BYTES;
/// How many bytes of answers wait for the rest of their batches; one larger answer may wait alone.
pub const BATCHES_BYTES: usize = 32 * 1024 * 1024;

/// All the room there is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rooms {
    /// Complete lines that wait for stdout.
    pub lines: Arc<Semaphore>,
    short_bodies: Arc<Semaphore>,
    long_bodies: Arc<Semaphore>,
    batches: Arc<Semaphore>,
    /// The right to take no further room for the rest of a body; it exists once.
    overdraft: Arc<Semaphore>,
}

/// Room that was taken for one line; dropping it gives the room back.
#[derive(Debug)]
pub struct Room {
    permit: OwnedSemaphorePermit,
    overdraft: Option<OwnedSemaphorePermit>,
    /// How long the line can become.
    most: usize,
}

impl Room {
    /// Room that is all that its line needs.
    pub fn of(permit: OwnedSemaphorePermit) -> Self {
        Self { permit, overdraft: None, most: 0 }
    }

    /// How long the line may be.
    pub fn bytes(&self) -> usize {
        let bytes = self.permit.num_permits();
        if bytes >= self.most.min(ROOM_BYTES) || self.overdraft.is_some() { usize::MAX } else { bytes }
    }

    /// Gives back what a line of this length does not need.
    pub fn shrink(&mut self, bytes: usize) {
        drop(self.permit.split(self.permit.num_permits().saturating_sub(bytes)));
    }

    /// Adds the room to what is given back together.
    pub fn give_back_with(self, together: &mut Vec<OwnedSemaphorePermit>) {
        let Self { permit, overdraft, .. } = self;
        match together.iter_mut().find(|other| Arc::ptr_eq(other.semaphore(), permit.semaphore())) {
            Some(same) => same.merge(permit),
            None => together.push(permit),
        }
        together.extend(overdraft);
    }

    /// Adds room of the same kind.
    pub fn merge(&mut self, more: Self) {
        self.permit.merge(more.permit);
    }
}

impl Default for Rooms {
    fn default() -> Self {
        let [lines, short_bodies, long_bodies, batches, overdraft] =
            [ROOM_BYTES, SHORT_BODIES_BYTES, ROOM_BYTES, BATCHES_BYTES, 1].map(|bytes| Arc::new(Semaphore::new(bytes)));
        Self { lines, short_bodies, long_bodies, batches, overdraft }
    }
}

impl Rooms {
    /// Nobody waits for room any more.
    pub fn close(&self) {
        for room in [&self.lines, &self.short_bodies, &self.long_bodies, &self.batches] {
            room.close();
        }
    }

    /// Takes room for a complete line, if there is any now.
    pub fn try_line(&self, bytes: usize) -> Result<Room, TryAcquireError> {
        Arc::clone(&self.lines).try_acquire_many_owned(permits_for(bytes)).map(Room::of)
    }

    /// Takes room for a complete line; waits while the client does not read.
    pub async fn line(&self, bytes: usize) -> Result<Room, AcquireError> {
        Arc::clone(&self.lines).acquire_many_owned(permits_for(bytes)).await.map(Room::of)
    }

    /// Takes what room there is, up to that of a complete line.
    pub fn rest_for_line(&self, bytes: usize) -> Option<Room> {
        // When another line took the room in between, this one counts as nothing.
        self.try_line(bytes.min(self.lines.available_permits())).ok()
    }

    /// Takes room for an answer that waits for the rest of its batch, if there is any now.
    pub fn try_batch_member(&self, bytes: usize) -> Option<Room> {
        let permits = u32::try_from(bytes.min(BATCHES_BYTES)).unwrap_or(u32::MAX);
        Arc::clone(&self.batches).try_acquire_many_owned(permits).ok().map(Room::of)
    }

    /// Takes room for a short body or for the beginning of a longer one. `None` when the client has closed its side.
    pub async fn body(&self, announced: Option<u64>) -> Option<Room> {
        let most = announced.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let is_long = announced.is_some() && most > SHORT_BODY_BYTES;
        let room = if is_long { &self.long_bodies } else { &self.short_bodies };
        let permit = Arc::clone(room).acquire_many_owned(permits_for(most.min(SHORT_BODY_BYTES))).await.ok()?;
        Some(Room { permit, overdraft: None, most })
    }

    /// Takes more room for a body of which `here` bytes are read.
    ///
    /// Bodies that wait for each other's room would wait for ever, so one of them at a time goes on without more: what is
    /// held stays bounded by the room and one body of the largest size.
    pub async fn grow(&self, room: &mut Room, here: usize) {
        let wanted = here.max(2 * room.permit.num_permits()).min(room.most);
        if !Arc::ptr_eq(room.permit.semaphore(), &self.long_bodies) {
            // It is long after all, and must not take the place of short ones while it waits.
            room.shrink(0);
        }
        let more = permits_for(wanted).saturating_sub(permits_for(room.permit.num_permits()));
        tokio::select! {
            biased;
            more = Arc::clone(&self.long_bodies).acquire_many_owned(more) => match more {
                Ok(more) if room.permit.num_permits() == 0 => room.permit = more,
                Ok(more) => room.permit.merge(more),
                // Nobody reads any more, so nothing waits.
                Err(_) => room.most = 0,
            },
            overdraft = Arc::clone(&self.overdraft).acquire_owned() => room.overdraft = overdraft.ok(),
        }
    }
}

/// The room that a message takes; one that is larger than all of it goes alone.
fn permits_for(bytes: usize) -> u32 {
    u32::try_from(bytes.min(ROOM_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    const KIB: usize = 1024;

    #[tokio::test]
    async fn a_body_takes_room_as_it_is_read_and_gives_back_what_it_does_not_need() {
        let rooms = Rooms::default();
        for announced in [None, Some(1024 * KIB as u64)] {
            let mut room = rooms.body(announced).await.expect("open");
            assert_eq!(room.bytes(), SHORT_BODY_BYTES);
            rooms.grow(&mut room, SHORT_BODY_BYTES + 1).await;
            assert_eq!(room.bytes(), 2 * SHORT_BODY_BYTES);
            rooms.grow(&mut room, 900 * KIB).await;
            assert_eq!(rooms.long_bodies.available_permits(), ROOM_BYTES - 900 * KIB);
            room.shrink(800 * KIB);
            assert_eq!(rooms.long_bodies.available_permits(), ROOM_BYTES - 800 * KIB);
            assert_eq!(rooms.short_bodies.available_permits(), SHORT_BODIES_BYTES);
        }
        let whole = rooms.body(Some(1000)).await.expect("open");
        assert_eq!(whole.bytes(), usize::MAX, "a short one needs no more");
    }

    #[tokio::test]
    async fn long_bodies_that_are_still_read_leave_room_for_lines_and_for_short_bodies() {
        let rooms = Rooms::default();
        let mut long = Vec::new();
        for _ in 0..ROOM_BYTES / SHORT_BODY_BYTES {
            long.push(rooms.body(Some(10 * 1024 * KIB as u64)).await.expect("open"));
        }
        let mut waiting = Box::pin(rooms.body(Some(10 * 1024 * KIB as u64)));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "what is read is bounded");
        assert!(rooms.body(Some(SHORT_BODY_BYTES as u64)).await.is_some());
        assert!(rooms.body(None).await.is_some());
        assert!(rooms.line(ROOM_BYTES).await.is_ok());
    }

    #[tokio::test]
    async fn growing_bodies_that_fill_the_room_go_on_one_at_a_time() {
        let rooms = Rooms::default();
        let (mut first, mut second) = (rooms.body(None).await.expect("open"), rooms.body(None).await.expect("open"));
        rooms.grow(&mut first, ROOM_BYTES / 2).await;
        rooms.grow(&mut second, ROOM_BYTES / 2).await;
        rooms.grow(&mut first, ROOM_BYTES).await;
        assert_eq!(first.bytes(), usize::MAX, "one goes on without more room");
        let mut growing = Box::pin(rooms.grow(&mut second, ROOM_BYTES));
        assert!(growing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(first);
        growing.await;
        assert_eq!(second.bytes(), usize::MAX);
        drop(second);
        assert_eq!((rooms.long_bodies.available_permits(), rooms.overdraft.available_permits()), (ROOM_BYTES, 1));
    }
}
