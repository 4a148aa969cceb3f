//! The thread that writes to stdout: waiting lines are written together, and each line whole.

use std::io::{self, ErrorKind, IoSlice, Write};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::room::Room;

/// Small waiting lines are written together, up to about this many bytes.
pub const COALESCED_BYTES: usize = 64 * 1024;
/// An item for the writing thread.
#[derive(Debug)]
pub enum Item {
    /// A line, and the room that it takes until it is written.
    Line(Bytes, Option<Room>),
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
pub fn write_lines(output: &mut impl Write, mut batches: mpsc::Receiver<Vec<Item>>) -> io::Result<()> {
    let mut together = Vec::new();
    let mut taken = Vec::new();
    while let Some(batch) = batches.blocking_recv() {
        let mut items = batch.into_iter().peekable();
        while let Some(item) = items.next() {
            let Item::Line(line, room) = item else { return Ok(()) };
            if let Some(room) = room {
                room.give_back_with(&mut taken);
            }
            let written = if line.len() >= COALESCED_BYTES {
                // Not copied: it may be most of this process's memory.
                write_with_end(output, &line)
            } else {
                append(&mut together, &line);
                while let Some(Item::Line(line, room)) =
                    items.next_if(|item| item.fits(COALESCED_BYTES.saturating_sub(together.len())))
                {
                    append(&mut together, &line);
                    if let Some(room) = room {
                        room.give_back_with(&mut taken);
                    }
                }
                output.write_all(&together)
            };
            drop(line);
            together.clear();
            taken.clear();
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
