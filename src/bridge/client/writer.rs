//! The thread that writes to stdout: waiting lines are written together, and each line whole.

use std::io::{self, ErrorKind, IoSlice, Write};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Small waiting lines are written together, up to about this many bytes.
pub const COALESCED_BYTES: usize = 64 * 1024;
/// An item for the writing thread.
#[derive(Debug)]
pub enum Item {
    /// A line, the room that it took, and the overdraft if it needed it.
    Line(Bytes, u32, Option<OwnedSemaphorePermit>),
    /// Nothing more comes.
    End,
}

/// Hands all waiting lines to the writing thread at a time.
pub async fn gather(mut waiting: mpsc::UnboundedReceiver<Item>, batches: mpsc::Sender<Vec<Item>>) {
    while let Some(first) = waiting.recv().await {
        let Ok(place) = batches.reserve().await else { return };
        let mut batch = vec![first];
        while let Ok(item) = waiting.try_recv() {
            batch.push(item);
        }
        place.send(batch);
    }
}

/// Writes the lines until the end, and releases the room of each.
///
/// # Errors
/// When the client has closed its side.
pub fn write_lines(
    output: &mut impl Write,
    mut batches: mpsc::Receiver<Vec<Item>>,
    room: &Semaphore,
) -> io::Result<()> {
    let mut together = Vec::new();
    while let Some(batch) = batches.blocking_recv() {
        let mut items = batch.into_iter().peekable();
        while let Some(item) = items.next() {
            let Item::Line(line, permits, mut overdraft) = item else { return Ok(()) };
            let mut taken = permits as usize;
            let written = if line.len() >= COALESCED_BYTES {
                // Not copied: it may be most of this process's memory.
                write_with_end(output, &line)
            } else {
                append(&mut together, &line);
                while let Some(Item::Line(line, permits, also)) =
                    items.next_if(|item| item.fits(COALESCED_BYTES.saturating_sub(together.len())))
                {
                    append(&mut together, &line);
                    taken += permits as usize;
                    overdraft = overdraft.or(also);
                }
                output.write_all(&together)
            };
            drop((line, overdraft));
            together.clear();
            room.add_permits(taken);
            written.and_then(|()| output.flush())?;
        }
    }
    Ok(())
}

impl Item {
    /// Whether it is a line that fits into this many bytes, including its end.
    fn fits(&self, bytes: usize) -> bool {
        matches!(self, Self::Line(line, ..) if line.len() < bytes)
    }
}

fn append(together: &mut Vec<u8>, line: &[u8]) {
    together.extend_from_slice(line);
    together.push(b'\n');
}

/// Writes a line and its end, in one call if the output takes it.
fn write_with_end(output: &mut impl Write, line: &[u8]) -> io::Result<()> {
    let mut slices = [IoSlice::new(line), IoSlice::new(b"\n")];
    let mut rest = &mut slices[..];
    while !rest.is_empty() {
        match output.write_vectored(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut rest, n),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
