//! Formats text for people and logs: wraps it, makes it printable, and chains the causes of an error.

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

/// `text` without control characters and bidirectional overrides, and no longer than 2,000 characters: text from a
/// server must not control a terminal or flood a log.
pub fn printable(text: &str) -> String {
    const LONGEST_TEXT_CHARS: usize = 2_000;
    let clean = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) => {
            '\u{fffd}'
        }
        c => c,
    };
    let mut out: String = text.chars().take(LONGEST_TEXT_CHARS).map(clean).collect();
    if text.chars().nth(LONGEST_TEXT_CHARS).is_some() {
        out.push('…');
    }
    out
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
    fn what_could_drive_a_terminal_or_flood_a_log_is_taken_out() {
        assert_eq!(printable("a\tb\nc"), "a b c");
        assert_eq!(printable("a\u{1b}[2J\u{202e}b\u{2066}\u{7f}"), "a\u{fffd}[2J\u{fffd}b\u{fffd}\u{fffd}");
        let long = printable(&"å".repeat(3_000));
        assert_eq!((long.chars().count(), long.ends_with('…')), (2_001, true));
    }
}
