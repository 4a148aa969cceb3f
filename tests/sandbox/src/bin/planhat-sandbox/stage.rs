//! What is printed for a person, and how: the one place of this program that writes to the terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// The width that fits every terminal.
const WIDTH: usize = 80;
/// Time and speaker.
const INDENT: usize = 21;

/// Where a story is told.
#[derive(Clone)]
pub(crate) struct Stage {
    started: Instant,
    colour: bool,
}

impl Stage {
    pub(crate) fn of_stdout() -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { started: Instant::now(), colour }
    }

    /// The same, with a clock that starts now.
    pub(crate) fn anew(&self) -> Self {
        Self { started: Instant::now(), ..self.clone() }
    }

    /// A line as it is.
    pub(crate) fn line(&self, text: &str) {
        // A reader that went away is no reason to fail.
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    /// A line about what is wrong, to standard error.
    pub(crate) fn complain(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "planhat-sandbox: {text}");
    }

    pub(crate) fn heading(&self, text: &str) {
        let (on, off) = self.colours("1");
        self.line(&format!("\n{on}{text}{off}"));
    }

    /// Somebody says or does something: the time since the start, the speaker, and the text, wrapped.
    pub(crate) fn says(&self, who: &str, text: &str) {
        let elapsed = format!("{:>6} ms", self.started.elapsed().as_millis());
        let mut out = String::new();
        for (index, line) in wrap(text, WIDTH - INDENT).iter().enumerate() {
            if index == 0 {
                let (dim, bold, off) = (self.colours("2").0, self.colours("36").0, self.colours("").1);
                let _ = writeln!(out, "{dim}{elapsed}{off}  {bold}{who:<8}{off}  {line}");
            } else {
                let _ = writeln!(out, "{:INDENT$}{line}", "");
            }
        }
        let _ = io::stdout().lock().write_all(out.as_bytes());
    }

    /// A text with a word before it, or above it when the word is long.
    pub(crate) fn entry(&self, word: &str, text: &str) {
        const WORD: usize = 18;
        let (bold, off) = (self.colours("36").0, self.colours("").1);
        let is_long = word.chars().count() > WORD;
        if is_long {
            self.line(&format!("  {bold}{word}{off}"));
        }
        for (index, line) in wrap(text, WIDTH - INDENT).iter().enumerate() {
            let word = if index == 0 && !is_long { word } else { "" };
            self.line(&format!("  {bold}{word:<WORD$}{off} {line}"));
        }
    }

    /// A row of the summary; green or red.
    pub(crate) fn row(&self, fine: bool, text: &str) {
        let (on, off) = self.colours(if fine { "32" } else { "31" });
        self.line(&format!("  {on}{:<5}{off} {text}", if fine { "ok" } else { "WRONG" }));
    }

    fn colours(&self, code: &str) -> (String, &'static str) {
        if self.colour { (format!("\x1b[{code}m"), "\x1b[0m") } else { (String::new(), "") }
    }
}

/// A text of a table as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).chain(['.']).collect())
}

/// Breaks a text at spaces; a word that is wider than a line stays whole, because links must.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_at_spaces_and_long_words_stay_whole() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("see http://127.0.0.1/x y", 8), ["see", "http://127.0.0.1/x", "y"]);
    }
}
