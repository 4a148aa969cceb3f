//! Makes visible what a text could hide: characters that drive a terminal, turn the order of what follows, look like
//! nothing, or end a line.
//!
//! Each is written in the notation of JSON (RFC 8259, 7), `\u001b`, so that JSON in which it happens stays JSON.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character shows nothing by itself: it directs what surrounds it (Unicode, 23.2, 23.3 and UAX #9), or carries
/// text that no person reads (tags, Unicode 23.9).
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        // Soft hyphen; combining grapheme joiner; Arabic letter mark; fillers of Hangul; Khmer and Mongolian vowels.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        // Zero-width spaces and joiners, marks of direction; separators of lines, embeddings and overrides.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        // Word joiner, invisible operators, isolates, and what is out of date beside them.
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        // Shorthand and musical controls; tags and variation selectors beyond the sixteenth.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// `text` on one line, with all that could hide in it written out; a tab or the end of a line becomes a space.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_visible(&mut out, c));
    Cow::Owned(out)
}

/// Adds `c` as [`visible`] shows it.
pub fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' | '\t' => out.push(' '),
        c if c.is_control() || is_invisible(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        c => out.push(c),
    }
}

/// The first `most` characters of what [`visible`] makes of `text`, and `…` if there were more.
pub fn visible_up_to(text: &str, most: usize) -> String {
    let shown = visible(text);
    match shown.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &shown[..end]),
        None => shown.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_drive_a_terminal_or_hide_in_a_text_is_written_out() {
        for (hidden, shown) in [
            ("a\tb\nc", "a b c"),
            ("\u{1b}[2J\u{7}\r\0\u{7f}", r"\u001b[2J\u0007\u000d\u0000\u007f"),
            ("\u{9b}31m\u{90}\u{9d}", r"\u009b31m\u0090\u009d"),
            ("\u{202a}\u{202e}\u{2066}\u{2069}", r"\u202a\u202e\u2066\u2069"),
            ("\u{200e}\u{200f}\u{61c}", r"\u200e\u200f\u061c"),
            ("\u{200b}\u{200c}\u{200d}\u{feff}\u{2060}", r"\u200b\u200c\u200d\ufeff\u2060"),
            ("\u{2028}\u{2029}\u{85}", r"\u2028\u2029\u0085"),
            ("\u{e0001}\u{e0041}", r"\udb40\udc01\udb40\udc41"),
        ] {
            assert_eq!(visible(hidden), shown);
            let json = format!("\"{}\"", shown.replace(' ', "_"));
            let back: String = serde_json::from_str(&json).expect("it stays JSON");
            assert_eq!(back, hidden.replace(['\t', '\n'], "_"));
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in ["", "plain ~", "Åsa Öberg, 東京, \u{1f600}\u{fe0f}, שלום, مرحبا", "1 < 2 & \"x\" \\u"]
        {
            assert_eq!(visible(text), text);
        }
    }

    #[test]
    fn what_is_longer_than_its_bound_ends_in_dots() {
        assert_eq!(visible_up_to("åäö", 3), "åäö");
        assert_eq!(visible_up_to("åäöü", 3), "åäö…");
        assert_eq!(visible_up_to("a\u{1b}\u{1b}", 4), r"a\u0…");
    }
}
