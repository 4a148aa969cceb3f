//! One value that a flag, a variable or the file gives: its text, and where that stands.

use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

use super::key::Key;
use super::origin::Origin;

/// A value that nobody has parsed yet.
#[derive(Debug, Clone)]
pub struct RawSetting {
    /// The setting.
    pub key: Key,
    /// Its text; secret, because some of them are.
    pub text: Secret,
    /// Where it stands.
    pub origin: Origin,
}

impl RawSetting {
    /// The text, for whoever parses it.
    pub fn text(&self) -> &str {
        self.text.expose()
    }

    /// What `parse` makes of the text; where it makes nothing of it, the problem that says so.
    pub fn parsed<T>(&self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Problem> {
        parse(self.text()).ok_or_else(|| self.bad_value())
    }

    /// A value that is wrong.
    pub fn bad_value(&self) -> Problem {
        match self.text() {
            _ if self.key.is_secret() => self.bad_unseen_value("a value that is not shown"),
            "" => self.bad_unseen_value("nothing"),
            text => self.bad_unseen_value(text),
        }
    }

    /// A value that is wrong and must not be shown; `found` describes it.
    pub fn bad_unseen_value(&self, found: &str) -> Problem {
        Problem::new(ProblemId::BadValue)
            .with("setting", self.key.info().name)
            .with("origin", &self.origin)
            .with("found", found)
            .with("expected", self.key.info().expected)
    }

    /// Where it stands, with the name of the setting where the place alone does not say it.
    pub fn label(&self) -> String {
        match &self.origin {
            Origin::File { .. } => format!("{} ({})", self.key.info().name, self.origin),
            origin => origin.to_string(),
        }
    }
}
