//! Where a value came from, so that an error can point there and `planhat-mcp config` can show it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::key::Key;

/// The place that gave a value; a later variant wins over an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Nobody gave it.
    Default,
    /// The built-in profile of Planhat's production or demo environment.
    BuiltIn,
    /// A line of the user's configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
    },
    /// An environment variable.
    Variable(Key),
    /// A flag.
    Flag(Key),
}

impl Origin {
    /// Which layer this is; the higher one wins.
    pub const fn rank(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::BuiltIn => 1,
            Origin::File { .. } => 2,
            Origin::Variable(_) => 3,
            Origin::Flag(_) => 4,
        }
    }

    /// Whether somebody chose it, and not the program.
    pub const fn is_chosen(&self) -> bool {
        !matches!(self, Origin::Default | Origin::BuiltIn)
    }

    /// Whether it was given for this run, by flag or variable.
    pub const fn is_of_this_run(&self) -> bool {
        matches!(self, Origin::Variable(_) | Origin::Flag(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::BuiltIn => f.write_str("built in"),
            Origin::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Origin::Variable(key) => f.write_str(key.info().variable),
            Origin::Flag(key) => f.write_str(key.flag().unwrap_or(key.info().name)),
        }
    }
}

/// Where each setting has its value from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins(BTreeMap<Key, Origin>);

impl Origins {
    /// Where this setting has its value from.
    pub fn of(&self, key: Key) -> &Origin {
        self.0.get(&key).unwrap_or(&Origin::Default)
    }

    /// Whether somebody chose its value, and not the program.
    pub fn is_chosen(&self, key: Key) -> bool {
        self.of(key).is_chosen()
    }

    /// Notes where a value comes from.
    pub fn set(&mut self, key: Key, origin: Origin) {
        self.0.insert(key, origin);
    }
}
