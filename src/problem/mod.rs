//! Owns what people and models read when something goes wrong.
//!
//! Each module's error type says what failed, and converts into a [`Problem`]: the id of an entry in the [`catalogue`],
//! the facts of this case, and the underlying cause. The texts are only in the catalogue; a problem renders them as
//! terminal text, a JSON-RPC error, or a tool result.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use template::fill;

pub mod catalogue;
pub mod desk;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod template;
mod text;

pub use catalogue::ProblemId;
pub use text::{error_chain, printable, wrap};

/// Facts that are numbers in `data`.
const NUMBERS: &[&str] =
    &["column", "days", "limit", "line", "minutes", "port", "retry_after_seconds", "seconds", "status"];

use crate::secret::ServerWords;

/// Something that went wrong, with everything needed to explain it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which entry of the catalogue explains it.
    pub id: ProblemId,
    /// Values for the `{key}`s in the entry's texts and for `data` of a JSON-RPC error.
    pub facts: Vec<(&'static str, String)>,
    /// The lower-level message, free of secrets and of characters that hide.
    pub source: Option<String>,
}

impl Problem {
    /// A problem without facts.
    pub fn new(id: ProblemId) -> Self {
        Self { id, facts: Vec::new(), source: None }
    }

    /// Adds a fact. It is bounded, and shows what hides in it, because facts may come from outside and end up in a terminal.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.facts.push((key, printable(&value.to_string())));
        self
    }

    /// Adds a server's words, if any. This is the only way for a server's words to become a fact, because servers quote
    /// what they were sent.
    #[must_use]
    pub fn said(self, key: &'static str, words: impl Into<Option<ServerWords>>) -> Self {
        match words.into() {
            Some(words) => self.with(key, words),
            None => self,
        }
    }

    /// Adds the underlying cause, made printable in the same way.
    #[must_use]
    pub fn because(mut self, source: impl Cause) -> Self {
        self.source = Some(printable(&source.to_string()));
        self
    }

    /// The fact called `key`.
    pub fn fact(&self, key: &str) -> Option<&str> {
        self.facts.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str())
    }

    /// What happened.
    pub fn what(&self) -> String {
        self.fill(self.id.entry().what)
    }

    /// The likely cause; may be empty if facts are missing.
    pub fn cause(&self) -> String {
        self.fill(self.id.entry().cause)
    }

    /// What to do now.
    pub fn fix(&self) -> String {
        self.fill(&desk::fix(self.id, self.id.entry().fix))
    }

    /// What a model should do or tell its user.
    pub fn model_line(&self) -> String {
        self.fill(&desk::model(self.id, self.id.entry().model))
    }

    /// What only somebody who looks into the cause wants to know; may be empty.
    pub fn more(&self) -> String {
        let asked = self.fact("endpoint").map(|endpoint| format!("the request went to {endpoint}"));
        self.source.iter().chain(&asked).map(String::as_str).collect::<Vec<_>>().join("; ")
    }

    /// The exit code of a command that ends with this problem.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.id.entry().exit)
    }

    /// The text for a terminal: labelled, wrapped at 80 columns, ending in a line break.
    pub fn to_terminal(&self, color: bool) -> String {
        let mut out = String::new();
        let mut row = |label: &str, style: &str, text: &str| {
            if !text.is_empty() {
                let label = format!("{label:>6}");
                let label = if color { format!("\u{1b}[{style}m{label}\u{1b}[0m") } else { label };
                out.push_str(&label);
                out.push(' ');
                out.push_str(&wrap(text, 7, 80));
                out.push('\n');
            }
        };
        row("error:", "1;31", &self.what());
        row("why:", "1", &self.cause());
        row("fix:", "1;32", &self.fix());
        row("more:", "2", &self.more());
        row("name:", "2", self.id.entry().name);
        out
    }

    /// The `error` member of a JSON-RPC response: the message stands alone, and `data` holds the parts and the facts.
    pub fn to_json_rpc_error(&self) -> Value {
        let mut data = Map::new();
        for (key, value) in &self.facts {
            let number = NUMBERS.contains(key).then(|| value.parse::<u64>().ok()).flatten();
            data.insert((*key).to_owned(), number.map_or_else(|| json!(value), |n| json!(n)));
        }
        if let Some(source) = &self.source {
            data.insert("source".to_owned(), json!(source));
        }
        data.insert("problem".to_owned(), json!(self.id.entry().name));
        data.insert("cause".to_owned(), json!(self.cause()));
        data.insert("fix".to_owned(), json!(self.fix()));
        json!({ "code": self.id.entry().code, "message": format!("{} {}", self.what(), self.fix()), "data": data })
    }

    /// A `CallToolResult` with `isError`, in words that a model can act on.
    pub fn to_tool_result(&self) -> Value {
        let mut text = self.model_line();
        for (key, label) in [("link", "Link"), ("server_request_id", "The server's request id")] {
            if let Some(value) = self.fact(key).filter(|value| !text.contains(*value)) {
                text.push_str(&format!("\n{label}: {value}"));
            }
        }
        json!({ "content": [{ "type": "text", "text": text }], "isError": true })
    }

    fn fill(&self, template: &str) -> String {
        fill(template, &|key| self.fact(key))
    }
}

/// What may be the cause of a problem: an error of this program and its libraries, or a server's words without the secrets
/// of the exchange. Plain text is neither, so that nothing which a server wrote gets there unmasked.
pub trait Cause: fmt::Display {}

impl<E: std::error::Error> Cause for E {}
impl Cause for ServerWords {}

impl From<ProblemId> for Problem {
    fn from(id: ProblemId) -> Self {
        Self::new(id)
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

#[cfg(test)]
mod tests;
