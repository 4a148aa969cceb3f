//! Writes lines to stdout, on a separate thread because a pipe blocks: the only writer of stdout in bridge mode.
//!
//! What waits for a client that does not read is bounded in bytes ([`super::room`]). Answers that come together are handed to the writing
//! thread together: waking it for each would cost more than writing them.

use std::io::Write;

use bytes::Bytes;
use tokio::sync::{TryAcquireError, mpsc, oneshot, watch};

use super::room::{Room, Rooms};
use super::waiting_lines::WaitingLines;
use super::writer::{Item, gather, write_lines};

use crate::tasks;

pub use super::waiting_lines::Enqueued;

/// Accepts lines for the client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Output {
    lines: mpsc::UnboundedSender<Item>,
    rooms: Rooms,
    waiting: WaitingLines,
    closed: watch::Receiver<bool>,
}

/// Ends with the last line written.
#[derive(Debug)]
pub struct Written(oneshot::Receiver<()>);

impl Output {
    /// Starts the thread that writes to `output`. Must be called inside the runtime.
    pub fn start(mut output: impl Write + Send + 'static) -> (Self, Written) {
        let (lines, gathered) = mpsc::unbounded_channel();
        let (batches, receiver) = mpsc::channel(1);
        tasks::spawn(gather(gathered, batches));
        let rooms = Rooms::default();
        let waiting = WaitingLines::start(rooms.clone(), lines.clone());
        let (closed, closed_receiver) = watch::channel(false);
        let (done, written) = oneshot::channel();
        let freed = rooms.clone();
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || {
                if let Err(e) = write_lines(&mut output, receiver) {
                    tracing::info!("standard output is closed: {e}");
                    let _ = closed.send(true);
                    // No task may wait for room that never becomes free.
                    freed.close();
                }
                let _ = done.send(());
                // Dropped last: a watcher that sees it closed has seen the final state.
                drop(closed);
            })
            .expect("a thread can be started at the start of the program");
        (Self { lines, rooms, waiting, closed: closed_receiver }, Written(written))
    }

    /// Writes a line when there is room for it; waits while the client does not read. The line is written even if the
    /// caller stops waiting.
    pub async fn send(&self, line: Bytes) {
        self.enqueue(line, ()).await;
    }

    /// Hands over a line, to be written when there is room for it, after all lines that were handed over before; `held` is
    /// dropped then. What it returns ends when there was room, for callers that must not produce more before.
    pub fn enqueue(&self, line: Bytes, held: impl Send + 'static) -> Enqueued {
        self.enqueue_with(line, None, held)
    }

    /// The same for a line that may bring its own room; then it waits only for the lines before it.
    pub fn enqueue_with(&self, line: Bytes, room: Option<Room>, held: impl Send + 'static) -> Enqueued {
        if !self.waiting.is_empty() {
            return self.waiting.push(line, room, held);
        }
        let room = match room {
            Some(room) => Ok(room),
            None => self.rooms.try_line(line.len()),
        };
        match room {
            Ok(room) => {
                let _ = self.lines.send(Item::Line(line, Some(room)));
                Enqueued::AT_ONCE
            }
            // Nobody reads any more.
            Err(TryAcquireError::Closed) => Enqueued::AT_ONCE,
            Err(TryAcquireError::NoPermits) => self.waiting.push(line, None, held),
        }
    }

    /// The same for a line that may get lost when the client has not read for long.
    pub fn enqueue_notification(&self, line: Bytes, room: Option<Room>) -> Enqueued {
        if self.waiting.is_full() { self.waiting.drop_one() } else { self.enqueue_with(line, room, ()) }
    }

    /// Returns at once, unless the client has left so much unread that nothing more may be asked for.
    pub async fn may_ask_for_more(&self) {
        self.waiting.not_full().await;
    }

    /// Takes room for a line that is complete; waits while the client does not read. `None` when the client has closed its
    /// side.
    pub async fn reserve_line(&self, bytes: usize) -> Option<Room> {
        self.rooms.line(bytes).await.ok()
    }

    /// Takes room for an answer that has to wait for the rest of its batch; `None` when too much waits like that.
    pub fn reserve_batch_member(&self, bytes: usize) -> Option<Room> {
        self.rooms.try_batch_member(bytes)
    }

    /// Writes a line that room was taken for, without waiting; room that it does not need is given back.
    pub fn write_reserved(&self, line: Bytes, mut room: Room) {
        room.shrink(line.len());
        let _ = self.lines.send(Item::Line(line, Some(room)));
    }

    /// Writes one of the bridge's own short lines at once.
    pub fn push(&self, line: Bytes) {
        let _ = self.lines.send(Item::Line(line, None));
    }

    /// Writes a line that cannot wait at once, and takes what room there is, so that other lines wait for this one too.
    pub fn push_counted(&self, line: Bytes) {
        let room = self.rooms.rest_for_line(line.len());
        let _ = self.lines.send(Item::Line(line, room));
    }

    /// Ends the output; earlier lines are still written.
    pub fn finish(&self) {
        let _ = self.lines.send(Item::End);
    }

    /// Returns when the client has closed its side.
    pub async fn closed(&self) {
        let mut closed = self.closed.clone();
        if closed.wait_for(|closed| *closed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Written {
    /// Returns when the last line before [`Output::finish`] is written, or cannot be.
    pub async fn wait(self) {
        let _ = self.0.await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use crate::bridge::client::writer::COALESCED_BYTES;
    use crate::limits::{WAITING_LINE_OVERHEAD_BYTES, WAITING_LINES_BYTES};

    use super::*;

    #[tokio::test]
    async fn output_ends_when_the_last_line_is_written() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        output.send(Bytes::from_static(b"{\"a\":1}")).await;
        output.push(Bytes::from_static(b"{\"b\":2}"));
        output.finish();
        written.wait().await;
        drop(output);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("readable");
        assert_eq!(text, "{\"a\":1}\n{\"b\":2}\n");
    }

    /// Takes a little at a time, as a pipe may.
    struct Sip(std::io::PipeWriter);

    impl Write for Sip {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(&bytes[..bytes.len().min(COALESCED_BYTES - 1)])
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    #[tokio::test]
    async fn lines_of_all_sizes_come_out_whole_and_in_order() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let lines: Vec<String> = [
            1,
            COALESCED_BYTES - 1,
            2,
            COALESCED_BYTES,
            3 * COALESCED_BYTES + 1,
            3,
            COALESCED_BYTES / 2,
            COALESCED_BYTES / 2,
        ]
        .map(|n| "x".repeat(n))
        .into();
        let (output, written) = Output::start(Sip(writer));
        for line in &lines {
            output.push(Bytes::from(line.clone()));
        }
        output.finish();
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        written.wait().await;
        drop(output);
        let text = reading.join().expect("no panic").expect("readable");
        assert!(text.lines().eq(&lines));
    }

    #[tokio::test]
    async fn a_closed_output_is_noticed_and_no_line_waits_for_it() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let (output, _written) = Output::start(writer);
        drop(reader);
        output.push(Bytes::from_static(b"{}"));
        output.closed().await;
        output.send(Bytes::from(vec![b' '; WAITING_LINES_BYTES])).await;
        output.send(Bytes::from(vec![b' '; WAITING_LINES_BYTES])).await;
    }

    #[tokio::test]
    async fn a_counted_line_takes_what_room_there_is_and_waits_for_none() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let line = Bytes::from(vec![b' '; WAITING_LINES_BYTES - WAITING_LINE_OVERHEAD_BYTES - 1]);
        output.push_counted(line.clone());
        assert_eq!(output.rooms.lines.available_permits(), 1, "nobody reads, so nothing is written out");
        output.push_counted(line);
        assert_eq!(output.rooms.lines.available_permits(), 0);
        output.finish();
        let reading = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        written.wait().await;
        assert_eq!(output.rooms.lines.available_permits(), WAITING_LINES_BYTES, "what is written takes no room");
        drop(output);
        reading.join().expect("no panic").expect("readable");
    }

    #[tokio::test]
    async fn a_line_is_written_in_its_turn_although_its_sender_stops_waiting_for_room() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let all = "x".repeat(WAITING_LINES_BYTES);
        output.push_counted(Bytes::from(all.clone()));
        let guard = Arc::new(());
        // Both would fit into what is left after the first, and must not overtake each other.
        let (long, short) = ("y".repeat(1000), "z");
        drop(output.enqueue(Bytes::from(long.clone()), Arc::clone(&guard)));
        let mut sending = Box::pin(output.send(Bytes::from(short)));
        assert!(sending.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(sending);
        assert_eq!(Arc::strong_count(&guard), 2, "it is not written yet");
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        while Arc::strong_count(&guard) == 2 {
            tokio::task::yield_now().await;
        }
        // Room is there in the order of the lines, so this one is the last.
        output.send(Bytes::from_static(b"end")).await;
        output.finish();
        written.wait().await;
        drop(output);
        let text = reading.join().expect("no panic").expect("readable");
        assert_eq!(text.lines().collect::<Vec<_>>(), [&*all, &*long, short, "end"]);
    }

    #[tokio::test]
    async fn a_line_that_finds_room_does_not_overtake_one_that_waited() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        output.push_counted(Bytes::from("x".repeat(WAITING_LINES_BYTES)));
        let first = output.enqueue(Bytes::from_static(b"first"), ());
        let mut first_line = vec![0; WAITING_LINES_BYTES + 1];
        tokio::task::yield_now().await; // the long line goes out, and the first one waits for its room
        // Blocks the one thread of the runtime: there is room, and no task has seen it yet.
        reader.read_exact(&mut first_line).expect("readable");
        while output.rooms.lines.available_permits() + "first".len() + WAITING_LINE_OVERHEAD_BYTES < WAITING_LINES_BYTES
        {
            std::thread::yield_now();
        }
        let second = output.enqueue(Bytes::from_static(b"second"), ());
        tokio::join!(first, second);
        output.finish();
        written.wait().await;
        drop(output);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("readable");
        assert_eq!(text, "first\nsecond\n");
    }

    #[tokio::test]
    async fn lines_that_nobody_waits_for_any_more_are_bounded_and_only_notifications_are_lost() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        output.push_counted(Bytes::from("x".repeat(WAITING_LINES_BYTES)));
        let line = Bytes::from("y".repeat(1024 * 1024));
        for _ in 0..200 {
            drop(output.enqueue_notification(line.clone(), None));
        }
        let mut reading_on = Box::pin(output.may_ask_for_more());
        assert!(reading_on.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(output.enqueue(Bytes::from_static(b"a request"), ()));
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        reading_on.await;
        output.send(Bytes::from_static(b"end")).await;
        output.finish();
        written.wait().await;
        drop(output);
        let text = reading.join().expect("no panic").expect("readable");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), &lines[lines.len() - 2..]), (1 + 8 + 2, &["a request", "end"][..]));
    }
}
