//! Formats text for people and logs: wraps it, makes it printable, and chains the causes of an error.

use crate::limits::{SEARCHED_WORDS_BYTES, SHOWN_WORDS_CHARS};
use crate::secret::{visible_up_to, without_held_secrets};

/// `text` wrapped at white space to fit `width`; lines after the first are indented. A word longer than a line (a URL
/// to click on) stays whole.
pub fn wrap(text: &str, indent: usize, width: usize) -> String {
    let mut out = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        if out.is_empty() {
            column += length;
        } else if column + 1 + length > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent + length;
        } else {
            out.push(' ');
            column += 1 + length;
        }
        out.push_str(word);
    }
    out
}

/// An error and its causes on one line, without repetition.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// `text` on one line, without any secret that this process holds, with everything visible that could hide in it, and no
/// longer than [`SHOWN_WORDS_CHARS`]: text from outside must not control a terminal or flood a log.
pub fn printable(text: &str) -> String {
    // What follows is not shown, and costs time to look through.
    let end = (0..=SEARCHED_WORDS_BYTES.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    visible_up_to(&without_held_secrets(&text[..end.unwrap_or_default()]), SHOWN_WORDS_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_before_the_width_and_only_a_longer_word_does_not() {
        for (text, indent, width, wrapped) in [
            ("", 2, 10, ""),
            ("one two three", 2, 10, "one two\n  three"),
            ("  one\n two  ", 0, 10, "one two"),
            ("one two", 0, 7, "one two"),
            ("one two", 0, 6, "one\ntwo"),
            ("see https://h.example/path now", 4, 10, "see\n    https://h.example/path\n    now"),
        ] {
            assert_eq!(wrap(text, indent, width), wrapped, "{text:?}");
        }
    }

    #[test]
    fn what_could_drive_a_terminal_or_flood_a_log_is_written_out_and_bounded() {
        assert_eq!(printable("a\tb\nc"), "a b c");
        assert_eq!(printable("a\u{1b}[2J\u{202e}b\u{2066}\u{7f}"), r"a\u001b[2J\u202eb\u2066\u007f");
        let long = printable(&"å".repeat(3_000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (2_001, true));
    }
}
