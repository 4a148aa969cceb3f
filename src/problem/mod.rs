//! Owns what a person or a model is told when something went wrong.
//!
//! An error type beside the code says what failed; it turns into a [`Problem`]: the id of an entry in the
//! [`catalogue`], the facts of this case, and the underlying cause. The texts live in the catalogue alone; [`render`]
//! turns a problem into terminal text, a JSON-RPC error, a tool result.

use std::fmt;

pub mod catalogue;
pub mod render;
mod template;

pub use catalogue::ProblemId;

use crate::secret::ServerWords;

/// Something that went wrong, with everything that is needed to explain it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which entry of the catalogue explains it.
    pub id: ProblemId,
    /// What the texts of the entry name, as `{key}`, and what `data` of a JSON-RPC error carries.
    pub facts: Vec<(&'static str, String)>,
    /// The lower-level message, for those who want to know more (already free of secrets and of control characters).
    pub source: Option<String>,
}

impl Problem {
    /// A problem without facts.
    pub fn new(id: ProblemId) -> Self {
        Self { id, facts: Vec::new(), source: None }
    }

    /// Adds a fact; control characters are replaced, because facts may come from a server and end up in a terminal.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.facts.push((key, printable(&value.to_string())));
        self
    }

    /// Adds what a server said, where it said anything. Facts that carry a server's words take them in this way alone:
    /// servers quote what they were sent.
    #[must_use]
    pub fn said(self, key: &'static str, words: impl Into<Option<ServerWords>>) -> Self {
        match words.into() {
            Some(words) => self.with(key, words),
            None => self,
        }
    }

    /// Adds the underlying error, made printable in the same way.
    #[must_use]
    pub fn because(mut self, source: impl fmt::Display) -> Self {
        self.source = Some(printable(&source.to_string()));
        self
    }

    /// The fact called `key`.
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.facts.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str())
    }
}

impl fmt::Display for Problem {
    /// One line: what happened, and the underlying error where there is one. For logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what())?;
        match &self.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// An error and what caused it, in one line, each text once.
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

/// `text` without control characters and bidirectional overrides, and no longer than 2,000 characters: what a server
/// sent must not be able to drive a terminal or flood a log.
pub fn printable(text: &str) -> String {
    const LONGEST: usize = 2_000;
    let clean = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c) => {
            '\u{fffd}'
        }
        c => c,
    };
    let mut out: String = text.chars().take(LONGEST).map(clean).collect();
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}
