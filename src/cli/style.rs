//! Colors and columns for results; the text is the same without them.

use crate::problem::wrap;

/// The width that everything fits into, in characters, except URLs.
pub const WIDTH: usize = 80;

/// A paragraph of a result.
pub fn paragraph(text: &str) -> String {
    format!("{}\n", wrap(text, 0, WIDTH))
}

/// Whether results are colored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    color: bool,
}

impl Style {
    /// Without colors.
    pub const PLAIN: Self = Self { color: false };
    /// With colors.
    pub const COLORED: Self = Self { color: true };

    /// With colors or without.
    pub const fn new(color: bool) -> Self {
        Self { color }
    }

    /// A success.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Something that needs attention.
    pub fn attention(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// A failure.
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// A heading.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Minor information.
    pub fn quiet(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Rows of a label and a text, with the texts aligned.
    pub fn table(self, rows: &[(&str, String)]) -> String {
        let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0) + 4;
        let mut out = String::new();
        for (label, text) in rows {
            let space = " ".repeat(width - 2 - label.chars().count());
            out.push_str(&format!("  {}{space}{}\n", self.quiet(label), wrap(text, width, WIDTH)));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_change_nothing_but_colors() {
        let rows = [("server", "https://mcp.example.com/mcp".to_owned()), ("kept", "word ".repeat(40))];
        let plain = Style::PLAIN.table(&rows);
        let colored = Style::COLORED.table(&rows);
        assert_eq!(colored.replace("\u{1b}[2m", "").replace("\u{1b}[0m", ""), plain);
        assert!(colored.contains("\u{1b}[2mserver\u{1b}[0m  https"), "{colored:?}");
        assert!(plain.lines().all(|line| line.chars().count() <= WIDTH), "{plain}");
    }
}
