//! Reads lines from stdin, on a separate thread because a pipe blocks; each is at most as long as the largest message.

use std::io::{ErrorKind, Read};

use bytes::Bytes;
use memchr::memchr;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use crate::message::oversize::IdFinder;

#[cfg(any(test, fuzzing))]
pub mod invariants;

/// How many lines may be read ahead of the bridge.
const MAX_LINES_AHEAD: usize = 64;
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
pub fn read_lines(mut input: impl Read + Send + 'static, max: usize) -> mpsc::Receiver<Line> {
    let (lines, receiver) = mpsc::channel(MAX_LINES_AHEAD);
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
                if framer.feed(piece, &mut |line| lines.blocking_send(line).is_ok()).is_err() {
                    return;
                }
            }
            // A last line without a line end counts: shells and scripts write them.
            let _ = framer.finish(&mut |line| lines.blocking_send(line).is_ok());
        })
        .expect("a thread can be started at the start of the program");
    receiver
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
        if text.is_empty() || emit(Line::Text(line.slice_ref(text))) { Ok(()) } else { Err(Gone) }
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
