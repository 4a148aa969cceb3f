//! Lines that found no room, in the order in which they came. One task takes room for them, so that none overtakes another.
//!
//! A line stays here when the request that brought it ends, because it may be for somebody else. Such lines have nobody who
//! waits for them, and are bounded in bytes: above that, callers read no further, and notifications of the server are lost.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::limits::{ABANDONED_LINES_BYTES, WAITING_LINE_OVERHEAD_BYTES};
use crate::tasks;

use super::room::{Room, Rooms};
use super::writer::Item;

/// The queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WaitingLines {
    queue: mpsc::UnboundedSender<WaitingLine>,
    load: Arc<Load>,
}

struct WaitingLine {
    /// Nothing for a line that was dropped, whose caller waits for its turn all the same.
    line: Option<Bytes>,
    /// The room that the line brings.
    room: Option<Room>,
    /// What it counts for while nobody waits for it.
    bytes: usize,
    /// Dropped when the line has room.
    held: Box<dyn Send>,
    has_room: oneshot::Sender<()>,
}

impl fmt::Debug for WaitingLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingLine").field("line", &self.line).finish_non_exhaustive()
    }
}

/// What waits.
#[derive(Debug, Default)]
struct Load {
    lines: AtomicUsize,
    abandoned_bytes: AtomicUsize,
    /// Notifications that were lost since the queue was last empty.
    dropped: AtomicUsize,
    written: Notify,
}

impl Load {
    fn is_full(&self) -> bool {
        self.abandoned_bytes.load(Ordering::Relaxed) >= ABANDONED_LINES_BYTES
    }
}

/// A line that was handed over; ends when there was room for it. Dropping it changes nothing.
#[derive(Debug)]
#[must_use = "a caller that produces more lines has to wait for room"]
pub struct Enqueued(Option<Turn>);

#[derive(Debug)]
struct Turn {
    has_room: oneshot::Receiver<()>,
    bytes: usize,
    load: Arc<Load>,
}

impl Enqueued {
    /// A line that found room at once.
    pub const AT_ONCE: Self = Self(None);
}

impl Future for Enqueued {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Some(turn) = &mut self.0 {
            // An error means that the runtime ends.
            let _ = ready!(Pin::new(&mut turn.has_room).poll(context));
            self.0 = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Enqueued {
    fn drop(&mut self) {
        let Some(Turn { has_room, bytes, load }) = &mut self.0 else { return };
        // Counted first: from the close on, the queue takes it off again.
        load.abandoned_bytes.fetch_add(*bytes, Ordering::Relaxed);
        has_room.close();
        if has_room.try_recv().is_ok() {
            load.abandoned_bytes.fetch_sub(*bytes, Ordering::Relaxed);
        }
    }
}

impl WaitingLines {
    /// Starts the task that takes room for each line and passes it to `lines`. Must be called inside the runtime.
    pub fn start(rooms: Rooms, lines: mpsc::UnboundedSender<Item>) -> Self {
        let (queue, waiting) = mpsc::unbounded_channel();
        let load = Arc::<Load>::default();
        tasks::spawn(pass_on(waiting, rooms, lines, Arc::clone(&load)));
        Self { queue, load }
    }

    /// Whether nothing waits, so that a line which finds room overtakes none.
    pub fn is_empty(&self) -> bool {
        self.load.lines.load(Ordering::Acquire) == 0
    }

    /// Whether too much waits that nobody waits for.
    pub fn is_full(&self) -> bool {
        self.load.is_full()
    }

    /// Puts a line at the end.
    pub fn push(&self, line: Bytes, room: Option<Room>, held: impl Send + 'static) -> Enqueued {
        let bytes = if room.is_some() { 0 } else { line.len() + WAITING_LINE_OVERHEAD_BYTES };
        self.wait_turn(bytes, Some(line), room, Box::new(held))
    }

    /// Counts a notification that is dropped instead; its caller waits as if it were there.
    pub fn drop_one(&self) -> Enqueued {
        self.load.dropped.fetch_add(1, Ordering::Relaxed);
        self.wait_turn(0, None, None, Box::new(()))
    }

    fn wait_turn(&self, bytes: usize, line: Option<Bytes>, room: Option<Room>, held: Box<dyn Send>) -> Enqueued {
        let (sender, has_room) = oneshot::channel();
        self.load.lines.fetch_add(1, Ordering::AcqRel);
        let _ = self.queue.send(WaitingLine { line, room, bytes, held, has_room: sender });
        Enqueued(Some(Turn { has_room, bytes, load: Arc::clone(&self.load) }))
    }

    /// Returns when no more waits than may.
    pub async fn not_full(&self) {
        while self.load.is_full() {
            let written = self.load.written.notified();
            tokio::pin!(written);
            written.as_mut().enable();
            if self.load.is_full() {
                written.await;
            }
        }
    }
}

async fn pass_on(
    mut waiting: mpsc::UnboundedReceiver<WaitingLine>,
    rooms: Rooms,
    lines: mpsc::UnboundedSender<Item>,
    load: Arc<Load>,
) {
    while let Some(WaitingLine { line, room, bytes, held, has_room }) = waiting.recv().await {
        if let Some(line) = line {
            let room = match room {
                Some(room) => Ok(room),
                None => rooms.line(line.len()).await,
            };
            if let Ok(room) = room {
                let _ = lines.send(Item::Line(line, Some(room)));
            }
        }
        drop(held);
        if has_room.send(()).is_err() {
            load.abandoned_bytes.fetch_sub(bytes, Ordering::Relaxed);
            load.written.notify_waiters();
        }
        // Only now, so that no later line goes before this one.
        if load.lines.fetch_sub(1, Ordering::AcqRel) == 1 {
            let dropped = load.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!(dropped, "the client did not read; notifications of the server were dropped");
            }
        }
    }
}
