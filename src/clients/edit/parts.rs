//! What the editors of all formats have in common.

use serde_json::Value;

/// Why a file cannot be changed. Never quotes the file, which may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Line and column, counted from 1, where they are known.
    pub place: Option<(usize, usize)>,
    /// What is wrong there.
    pub detail: String,
}

/// The members of an entry, in the order in which they are written.
pub type Members<'a> = &'a [(&'a str, Value)];

/// Where an entry stands: the keys that lead to its list, and its name.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The keys that lead to the list.
    pub list: &'a [String],
    /// The entry's name.
    pub name: &'a str,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl Fault {
    pub(super) fn new(detail: impl Into<String>) -> Self {
        Self { place: None, detail: detail.into() }
    }

    pub(super) fn no_table(key: &str) -> Self {
        Self::new(format!("what it has under \"{}\" is no table of names and values", crate::problem::printable(key)))
    }

    pub(super) fn twice(key: &str) -> Self {
        Self::new(format!("it has \"{}\" twice in one table", crate::problem::printable(key)))
    }
}

/// How the lines of a text end.
pub(super) fn line_end(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}
