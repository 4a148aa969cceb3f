//! Writes lines to stdout, on a separate thread because a pipe blocks: the only writer of stdout in bridge mode.
//!
//! The lines that wait for a client that does not read are bounded in bytes. Answers that arrive together go to the
//! writing thread together: waking it for each would cost more than writing them.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::writer::{Item, gather, write_lines};

/// How many bytes may wait for the client to read them; one larger message may go alone.
const OUTPUT_ROOM_BYTES: usize = 8 * 1024 * 1024;
/// The room that is first reserved for an answer of unknown length.
const FIRST_ROOM_BYTES: usize = 16 * 1024;

/// Accepts lines for the client. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Output {
    lines: mpsc::UnboundedSender<Item>,
    room: Arc<Semaphore>,
    /// The single permit to exceed the room for the rest of a line.
    overdraft: Arc<Semaphore>,
    closed: watch::Receiver<bool>,
}

/// Room reserved for one line; dropping it releases the room.
#[derive(Debug)]
pub struct Room {
    permit: OwnedSemaphorePermit,
    overdraft: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// How long the line may be.
    pub fn bytes(&self) -> usize {
        let bytes = self.permit.num_permits();
        if bytes >= OUTPUT_ROOM_BYTES || self.overdraft.is_some() { usize::MAX } else { bytes }
    }
}

/// A line that was handed over; resolves when there is room for it. Dropping it does not affect the line.
#[derive(Debug)]
#[must_use = "a caller that produces more lines has to wait for room"]
pub struct Enqueued(Option<JoinHandle<()>>);

impl Future for Enqueued {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(task) => Pin::new(task).poll(context).map(|_| ()),
            None => Poll::Ready(()),
        }
    }
}

/// The room that a line takes; one that is larger than the whole room goes alone.
fn permits_for(bytes: usize) -> u32 {
    u32::try_from(bytes.min(OUTPUT_ROOM_BYTES)).unwrap_or(u32::MAX)
}

/// Resolves when the last line is written.
#[derive(Debug)]
pub struct Written(oneshot::Receiver<()>);

impl Output {
    /// Starts the thread that writes to `output`. Must be called inside the runtime.
    pub fn start(mut output: impl Write + Send + 'static) -> (Self, Written) {
        let (lines, waiting) = mpsc::unbounded_channel();
        let (batches, receiver) = mpsc::channel(1);
        tokio::spawn(gather(waiting, batches));
        let room = Arc::new(Semaphore::new(OUTPUT_ROOM_BYTES));
        let overdraft = Arc::new(Semaphore::new(1));
        let (closed, closed_receiver) = watch::channel(false);
        let (done, written) = oneshot::channel();
        let freed = Arc::clone(&room);
        std::thread::Builder::new()
            .name("stdout".to_owned())
            .spawn(move || {
                if let Err(e) = write_lines(&mut output, receiver, &freed) {
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
        (Self { lines, room, overdraft, closed: closed_receiver }, Written(written))
    }

    /// Writes a line when there is room for it; waits while the client does not read. The line is written even if the
    /// caller stops waiting.
    pub async fn send(&self, line: Bytes) {
        self.enqueue(line, ()).await;
    }

    /// Hands over a line, to be written when there is room for it; `held` is dropped then. The call itself hands it
    /// over; the returned future resolves when there is room, for callers that must not produce more before.
    pub fn enqueue(&self, line: Bytes, held: impl Send + 'static) -> Enqueued {
        let permits = permits_for(line.len());
        match self.room.try_acquire_many(permits) {
            Ok(permit) => {
                permit.forget();
                let _ = self.lines.send(Item::Line(line, permits, None));
                Enqueued(None)
            }
            // The client no longer reads.
            Err(TryAcquireError::Closed) => Enqueued(None),
            Err(TryAcquireError::NoPermits) => {
                let lines = self.lines.clone();
                let mut room = Box::pin(Arc::clone(&self.room).acquire_many_owned(permits));
                // Poll now rather than when the task first runs, so that lines keep their order.
                let is_there = room.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                Enqueued(Some(tokio::spawn(async move {
                    let permit = match is_there {
                        Poll::Ready(permit) => permit,
                        Poll::Pending => room.await,
                    };
                    if let Ok(permit) = permit {
                        permit.forget();
                        let _ = lines.send(Item::Line(line, permits, None));
                    }
                    drop(held);
                })))
            }
        }
    }

    /// Reserves room for a line of `bytes` before it is read from the network, or for the start of one of unknown
    /// length; waits while the client does not read, so that answers pile up at the server rather than here. `None` if
    /// the client has closed its side.
    pub async fn reserve(&self, bytes: Option<u64>) -> Option<Room> {
        let bytes = bytes.map_or(FIRST_ROOM_BYTES, |bytes| usize::try_from(bytes).unwrap_or(OUTPUT_ROOM_BYTES));
        let permit = Arc::clone(&self.room).acquire_many_owned(permits_for(bytes)).await.ok()?;
        Some(Room { permit, overdraft: None })
    }

    /// Reserves more room for a line of which `received` bytes have been read; waits while the client does not read.
    ///
    /// Lines that wait for each other's room would wait forever, so one at a time continues without more: memory stays
    /// bounded by the room plus one line of the largest size.
    pub async fn grow(&self, room: &mut Room, received: usize) {
        let wanted = permits_for(received.max(2 * room.permit.num_permits()));
        let more = wanted.saturating_sub(u32::try_from(room.permit.num_permits()).unwrap_or(u32::MAX));
        tokio::select! {
            biased;
            more = Arc::clone(&self.room).acquire_many_owned(more) => match more {
                Ok(more) => room.permit.merge(more),
                // The client no longer reads, so nothing is kept.
                Err(_) => room.overdraft = Arc::clone(&self.overdraft).try_acquire_owned().ok(),
            },
            overdraft = Arc::clone(&self.overdraft).acquire_owned() => room.overdraft = overdraft.ok(),
        }
    }

    /// Writes a line with its reserved room, without waiting; releases room that it does not need.
    pub fn write_reserved(&self, line: Bytes, room: Room) {
        let Room { mut permit, overdraft } = room;
        let excess = permit.num_permits().saturating_sub(line.len());
        drop(permit.split(excess));
        let permits = u32::try_from(permit.num_permits()).unwrap_or(u32::MAX);
        permit.forget();
        let _ = self.lines.send(Item::Line(line, permits, overdraft));
    }

    /// Writes one of the bridge's own short lines at once.
    pub fn push(&self, line: Bytes) {
        let _ = self.lines.send(Item::Line(line, 0, None));
    }

    /// Writes a line that cannot wait at once, and takes what room there is, so that other lines wait for this one too.
    pub fn push_counted(&self, line: Bytes) {
        let wanted = line.len().min(OUTPUT_ROOM_BYTES).min(self.room.available_permits());
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        // If another line took the room in between, this one takes none.
        let taken = self.room.try_acquire_many(wanted).map_or(0, |permit| {
            permit.forget();
            wanted
        });
        let _ = self.lines.send(Item::Line(line, taken, None));
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

    use crate::bridge::client::writer::COALESCED_BYTES;

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
        output.send(Bytes::from(vec![b' '; OUTPUT_ROOM_BYTES])).await;
        output.send(Bytes::from(vec![b' '; OUTPUT_ROOM_BYTES])).await;
    }

    #[tokio::test]
    async fn an_answer_of_unknown_length_takes_room_as_it_grows_and_gives_back_what_it_does_not_need() {
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        let (output, _written) = Output::start(writer);
        let mut room = output.reserve(None).await.expect("open");
        assert_eq!(
            (room.bytes(), output.room.available_permits()),
            (FIRST_ROOM_BYTES, OUTPUT_ROOM_BYTES - FIRST_ROOM_BYTES)
        );
        output.grow(&mut room, FIRST_ROOM_BYTES + 1).await;
        assert_eq!(room.bytes(), 2 * FIRST_ROOM_BYTES);
        output.grow(&mut room, 1024 * 1024).await;
        assert_eq!(room.bytes(), 1024 * 1024);
        // Larger than a pipe, so that it cannot be written out.
        let line = Bytes::from(vec![b' '; 900 * 1024]);
        output.write_reserved(line.clone(), room);
        assert_eq!(output.room.available_permits(), OUTPUT_ROOM_BYTES - line.len());
    }

    #[tokio::test]
    async fn growing_answers_that_fill_the_room_go_on_one_at_a_time() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let mut first = output.reserve(Some(OUTPUT_ROOM_BYTES as u64 / 2)).await.expect("open");
        let mut second = output.reserve(Some(OUTPUT_ROOM_BYTES as u64 / 2)).await.expect("open");
        output.grow(&mut first, OUTPUT_ROOM_BYTES).await;
        assert_eq!(first.bytes(), usize::MAX, "one goes on without more room");
        let mut growing = Box::pin(output.grow(&mut second, OUTPUT_ROOM_BYTES));
        assert!(growing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        output.write_reserved(Bytes::from(vec![b' '; OUTPUT_ROOM_BYTES]), first);
        assert!(growing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "it is not written yet");
        let reading = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        growing.await;
        output.write_reserved(Bytes::from(vec![b' '; OUTPUT_ROOM_BYTES]), second);
        output.finish();
        written.wait().await;
        assert_eq!(output.room.available_permits(), OUTPUT_ROOM_BYTES);
        assert_eq!(output.overdraft.available_permits(), 1);
        drop(output);
        reading.join().expect("no panic").expect("readable");
    }

    #[tokio::test]
    async fn a_counted_line_takes_what_room_there_is_and_waits_for_none() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let line = Bytes::from(vec![b' '; OUTPUT_ROOM_BYTES - 1]);
        output.push_counted(line.clone());
        assert_eq!(output.room.available_permits(), 1, "nobody reads, so nothing is written out");
        output.push_counted(line);
        assert_eq!(output.room.available_permits(), 0);
        output.finish();
        let reading = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
        written.wait().await;
        assert_eq!(output.room.available_permits(), OUTPUT_ROOM_BYTES, "what is written takes no room");
        drop(output);
        reading.join().expect("no panic").expect("readable");
    }

    #[tokio::test]
    async fn a_line_is_written_in_its_turn_although_its_sender_stops_waiting_for_room() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let all = "x".repeat(OUTPUT_ROOM_BYTES);
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
}
