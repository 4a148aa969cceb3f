//! Invariants of all bytes on stdin; the fuzz target `lines` looks for input that breaks one.

use crate::bridge::client::input::{Framer, Line};

#[derive(Debug, PartialEq)]
enum Seen {
    Text(Vec<u8>),
    TooLong,
}

/// However stdin is split, the same lines come out: those that a reader of the whole would find, trimmed, not blank,
/// within the bound. The first byte of `data` is the bound.
pub fn lines(data: &[u8]) {
    let Some((max, input)) = data.split_first() else { return };
    let max = usize::from(*max);
    let expected = by_the_whole(max, input);
    for step in [1, 2, 3, 7, 64, input.len().max(1)] {
        assert_eq!(framed(max, input, step), expected, "in steps of {step}");
    }
}

fn framed(max: usize, input: &[u8], step: usize) -> Vec<Seen> {
    let mut framer = Framer::new(max);
    let mut seen = Vec::new();
    let mut emit = |line: Line| {
        seen.push(match line {
            Line::Text(text) => Seen::Text(text.to_vec()),
            Line::TooLong(_) => Seen::TooLong,
        });
        true
    };
    for piece in input.chunks(step) {
        assert!(framer.feed(piece, &mut emit).is_ok());
        // One extra byte, for a CR.
        assert!(framer.partial.len() <= max + 1);
    }
    assert!(framer.finish(&mut emit).is_ok());
    seen
}

fn by_the_whole(max: usize, input: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (n, line) in input.split(|byte| *byte == b'\n').enumerate() {
        let text = if n == 0 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        if line.len() > max + 1 {
            seen.push(Seen::TooLong);
        } else if !text.trim_ascii().is_empty() {
            seen.push(Seen::Text(text.trim_ascii().to_vec()));
        }
    }
    seen
}
