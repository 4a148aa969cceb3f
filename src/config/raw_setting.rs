//! A value from a flag, a variable or the file: its text and its source.

use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

use super::key::Key;
use super::origin::Origin;

/// A value before it is parsed.
#[derive(Debug, Clone)]
pub struct RawSetting {
    /// The setting.
    pub key: Key,
    /// Its text; handled like a secret, because some settings are.
    pub text: Secret,
    /// Its source.
    pub origin: Origin,
}

impl RawSetting {
    /// A value before it is parsed.
    pub fn new(key: Key, text: &str, origin: Origin) -> Self {
        Self { key, text: Secret::unlisted(text.to_owned()), origin }
    }

    /// The text, for the parser.
    pub fn text(&self) -> &str {
        self.text.expose()
    }

    /// The text as a secret, for a setting that is one: nothing that is shown can contain it.
    pub fn secret(&self) -> Secret {
        Secret::from(self.text())
    }

    /// The parsed value, or the problem that explains why there is none.
    pub fn parsed<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Problem> {
        parse(self.text()).ok_or_else(|| self.bad_value())
    }

    /// The problem for a wrong value, which it shows.
    pub fn bad_value(&self) -> Problem {
        match self.text() {
            _ if self.key.is_secret() => self.bad_unseen_value("a value that is not shown"),
            "" => self.bad_unseen_value("nothing"),
            text => self.bad_unseen_value(text),
        }
    }

    /// The problem for a wrong value that must not be shown; `found` describes it.
    pub fn bad_unseen_value(&self, found: &str) -> Problem {
        // A form has a field for the secret beside those for other settings, and what is shown here goes to the client's log.
        let is_secret = self.text().contains("sk_") && found.contains(self.text());
        let found = if is_secret { "what looks like the client secret (sk_...)" } else { found };
        Problem::new(ProblemId::BadValue)
            .with("setting", self.key.info().name)
            .with("origin", &self.origin)
            .with("found", found)
            .with("expected", self.key.info().expected)
    }

    /// The source, with the name of the setting unless the source implies it.
    pub fn label(&self) -> String {
        match &self.origin {
            Origin::File { .. } | Origin::Organisation { .. } => format!("{} ({})", self.key.info().name, self.origin),
            origin => origin.to_string(),
        }
    }
}
