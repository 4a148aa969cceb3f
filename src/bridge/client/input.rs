//! Reads lines from stdin, on a separate thread because a pipe blocks; each is at most as long as the largest message.

use std::io::{ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use memchr::memchr;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::limits::{LINES_AHEAD_BYTES, MAX_LINES_AHEAD};
use crate::message::oversize::IdFinder;

#[cfg(any(test, fuzzing))]
pub mod invariants;

/// How many bytes to read at once.
const STDIN_READ_BYTES: usize = 64 * 1024;

/// A line of stdin.
#[derive(Debug)]
pub enum Line {
    /// A line without its end; never blank.
    Text(Bytes),
    /// A line over the bound: its content is lost, but its id may be known.
    TooLong(Option<Box<RawValue>>),
}

/// Reads lines of at most `max` bytes on a separate thread, until the end of `input`.
pub fn read_lines(mut input: impl Read + Send + 'static, max: usize) -> LinesAhead {
    let (lines, receiver) = mpsc::channel(MAX_LINES_AHEAD);
    let ahead = Arc::<Ahead>::default();
    let read = Arc::clone(&ahead);
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let mut framer = Framer::new(max);
            let mut buffer = vec![0; STDIN_READ_BYTES];
            loop {
                let piece = match input.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(n) => &buffer[..n],
                    Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                    Err(e) => {
                        tracing::warn!("standard input cannot be read: {e}");
                        break;
                    }
                };
                if framer
                    .feed(piece, &mut |line| read.wait_for_room(&line) && lines.blocking_send(line).is_ok())
                    .is_err()
                {
                    return;
                }
            }
            // A last line without a line end counts: shells and scripts write them.
            let _ = framer.finish(&mut |line| read.wait_for_room(&line) && lines.blocking_send(line).is_ok());
        })
        .expect("a thread can be started at the start of the program");
    LinesAhead { lines: receiver, ahead }
}

/// The lines that are read ahead. Dropping it ends the reading.
#[derive(Debug)]
pub struct LinesAhead {
    lines: mpsc::Receiver<Line>,
    ahead: Arc<Ahead>,
}

/// The bytes that are read ahead.
#[derive(Debug, Default)]
struct Ahead {
    state: Mutex<AheadState>,
    taken: Condvar,
}

#[derive(Debug, Default)]
struct AheadState {
    bytes: usize,
    /// Whether nobody takes lines any more.
    is_over: bool,
}

impl AheadState {
    /// Whether so many more bytes may wait, or nobody takes any more.
    fn takes(&self, bytes: usize) -> bool {
        self.is_over || self.bytes == 0 || self.bytes + bytes <= LINES_AHEAD_BYTES
    }
}

impl Ahead {
    fn lock(&self) -> MutexGuard<'_, AheadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks while too much waits; one larger line may wait alone. `false` when nobody takes lines any more.
    fn wait_for_room(&self, line: &Line) -> bool {
        let bytes = line.bytes();
        let is_full = |state: &mut AheadState| !state.takes(bytes);
        let mut state = self.taken.wait_while(self.lock(), is_full).unwrap_or_else(PoisonError::into_inner);
        state.bytes += bytes;
        !state.is_over
    }
}

impl LinesAhead {
    /// The next line; `None` at the end.
    pub async fn recv(&mut self) -> Option<Line> {
        let line = self.lines.recv().await?;
        Some(self.taken(line))
    }

    /// The same outside the runtime.
    pub fn blocking_recv(&mut self) -> Option<Line> {
        let line = self.lines.blocking_recv()?;
        Some(self.taken(line))
    }

    fn taken(&self, line: Line) -> Line {
        self.ahead.lock().bytes -= line.bytes();
        self.ahead.taken.notify_one();
        line
    }
}

impl Drop for LinesAhead {
    fn drop(&mut self) {
        self.ahead.lock().is_over = true;
        self.ahead.taken.notify_one();
    }
}

impl Line {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::TooLong(_) => 0,
        }
    }
}

/// The receiver of the lines was dropped.
struct Gone;

/// Splits bytes into lines.
struct Framer {
    max: usize,
    partial: Vec<u8>,
    /// Present while the rest of a line over the bound is skipped.
    skipping: Option<IdFinder>,
    at_start: bool,
}

impl Framer {
    fn new(max: usize) -> Self {
        Self { max, partial: Vec::new(), skipping: None, at_start: true }
    }

    fn feed(&mut self, mut piece: &[u8], emit: &mut dyn FnMut(Line) -> bool) -> Result<(), Gone> {
        while let Some(end) = memchr(b'\n', piece) {
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            piece = rest;
            if self.skipping.is_none() && self.partial.is_empty() && line.len() <= self.max {
                self.emit(Bytes::copy_from_slice(line), emit)?;
                continue;
            }
            self.keep(line);
            self.finish(emit)?;
        }
        self.keep(piece);
        Ok(())
    }

    fn finish(&mut self, emit: &mut dyn FnMut(Line) -> bool) -> Result<(), Gone> {
        match self.skipping.take() {
            Some(finder) => {
                self.at_start = false;
                if emit(Line::TooLong(finder.request_id())) { Ok(()) } else { Err(Gone) }
            }
            None => {
                let line = std::mem::take(&mut self.partial);
                self.emit(Bytes::from(line), emit)
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) {
        if let Some(finder) = &mut self.skipping {
            finder.feed(piece);
        } else if self.partial.len() + piece.len() > self.max + 1 {
            // The extra byte allows for a CR before the line end.
            let mut finder = IdFinder::default();
            finder.feed(&self.partial);
            finder.feed(piece);
            self.partial = Vec::new();
            self.skipping = Some(finder);
        } else {
            self.partial.extend_from_slice(piece);
        }
    }

    fn emit(&mut self, mut line: Bytes, emit: &mut dyn FnMut(Line) -> bool) -> Result<(), Gone> {
        if std::mem::take(&mut self.at_start) && line.starts_with(b"\xef\xbb\xbf") {
            line = line.slice(3..); // some shells start a pipe with a byte order mark
        }
        let text = line.trim_ascii();
        // Little text keeps no large buffer.
        let is_mostly_text = text.len() >= line.len() / 2;
        let text = if is_mostly_text { line.slice_ref(text) } else { Bytes::copy_from_slice(text) };
        if text.is_empty() || emit(Line::Text(text)) { Ok(()) } else { Err(Gone) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], max: usize, step: usize) -> Vec<String> {
        let mut framer = Framer::new(max);
        let mut seen = Vec::new();
        let mut emit = |line: Line| {
            seen.push(match line {
                Line::Text(text) => String::from_utf8_lossy(&text).into_owned(),
                Line::TooLong(id) => format!("too long: {}", id.map_or("?".to_owned(), |id| id.to_string())),
            });
            true
        };
        for piece in input.chunks(step) {
            assert!(framer.feed(piece, &mut emit).is_ok());
        }
        assert!(framer.finish(&mut emit).is_ok());
        seen
    }

    #[test]
    fn blank_lines_crlf_a_byte_order_mark_and_a_missing_end_are_no_obstacle() {
        let input = b"\xef\xbb\xbf{\"a\":1}\r\n\r\n\n  \n {\"b\":2} \n{\"c\":3}";
        for step in 1..input.len() {
            assert_eq!(lines(input, 100, step), ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"], "in steps of {step}");
        }
    }

    #[tokio::test]
    async fn lines_are_read_ahead_up_to_a_bound_in_bytes_and_a_larger_one_alone() {
        for (waits, more, fits) in [
            (0, 3 * LINES_AHEAD_BYTES, true),
            (1, LINES_AHEAD_BYTES - 1, true),
            (1, LINES_AHEAD_BYTES, false),
            (LINES_AHEAD_BYTES, 1, false),
            (3 * LINES_AHEAD_BYTES, 1, false),
        ] {
            assert_eq!(AheadState { bytes: waits, is_over: false }.takes(more), fits, "{more} beside {waits}");
            assert!(AheadState { bytes: waits, is_over: true }.takes(more), "nobody takes it");
        }
        // From here on, the thread waits for each line to be taken.
        let text = format!("{}\n", "y".repeat(LINES_AHEAD_BYTES)).repeat(3);
        let mut lines = read_lines(std::io::Cursor::new(text), 2 * LINES_AHEAD_BYTES);
        let mut seen = 0;
        while let Some(Line::Text(line)) = lines.recv().await {
            assert!(lines.ahead.lock().bytes <= LINES_AHEAD_BYTES);
            seen += line.len();
        }
        assert_eq!(seen, 3 * LINES_AHEAD_BYTES);
    }

    #[test]
    fn little_text_keeps_no_large_line() {
        let mut framer = Framer::new(10_000);
        let mut kept = None;
        let mut emit = |line: Line| {
            kept = Some(line);
            true
        };
        let line = Bytes::from(format!("{}{{}}", " ".repeat(9_000)));
        assert!(framer.emit(line.clone(), &mut emit).is_ok());
        assert!(line.is_unique() && matches!(kept, Some(Line::Text(text)) if &text[..] == b"{}"));
    }

    #[test]
    fn a_line_over_the_bound_is_reported_with_its_id_and_the_next_one_is_read() {
        let long = format!("{{\"method\":\"x\",\"params\":\"{}\",\"id\":42}}\n{{\"d\":4}}\n", "y".repeat(200));
        for step in [1, 3, 64, 1_000] {
            assert_eq!(lines(long.as_bytes(), 100, step), ["too long: 42", "{\"d\":4}"], "in steps of {step}");
        }
    }

    #[test]
    fn a_line_at_the_bound_is_not_over_it() {
        let line = "z".repeat(100);
        for end in ["\n", "\r\n", ""] {
            assert_eq!(lines(format!("{line}{end}").as_bytes(), 100, 7), std::slice::from_ref(&line));
        }
        assert_eq!(lines(format!("{line}zz\n").as_bytes(), 100, 7), ["too long: ?"]);
    }
}
