//! The source of a value, for errors to point to and `planhat-mcp config` to show.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::key::Key;

/// The source of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The default.
    Default,
    /// The built-in profile of Planhat's production or demo environment.
    BuiltIn,
    /// What the last sign-in was told.
    LastSignIn,
    /// A line of the user's configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
    },
    /// What the organisation decides for this machine.
    Organisation {
        /// The file, or the key of the registry.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// A user cannot change it.
        is_locked: bool,
    },
    /// An environment variable.
    Variable(Key),
    /// A flag.
    Flag(Key),
}

impl Origin {
    /// The precedence of its layer; the highest wins.
    pub const fn rank(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::BuiltIn => 1,
            Origin::Organisation { is_locked: false, .. } => 2,
            Origin::LastSignIn => 3,
            Origin::File { .. } => 4,
            Origin::Variable(_) => 5,
            Origin::Flag(_) => 6,
            Origin::Organisation { is_locked: true, .. } => 7,
        }
    }

    /// Whether the user chose the value, rather than the program.
    pub const fn is_chosen(&self) -> bool {
        !matches!(self, Origin::Default | Origin::BuiltIn)
    }

    /// Whether a user cannot change it.
    pub const fn is_locked(&self) -> bool {
        matches!(self, Origin::Organisation { is_locked: true, .. })
    }

    /// The same place in the organisation's file.
    pub(super) fn of_organisation(self, is_locked: bool) -> Self {
        match self {
            Origin::File { path, line, .. } => Origin::Organisation { path, line, is_locked },
            other => other,
        }
    }

    /// Whether it applies only to this run: a flag or a variable.
    pub const fn is_of_this_run(&self) -> bool {
        matches!(self, Origin::Variable(_) | Origin::Flag(_))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::BuiltIn => f.write_str("built in"),
            Origin::LastSignIn => f.write_str("the last sign-in"),
            Origin::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Origin::Organisation { path, line, is_locked } => {
                write!(f, "{}:{line}{}", path.display(), if *is_locked { " (locked)" } else { "" })
            }
            Origin::Variable(key) => f.write_str(key.info().variable),
            Origin::Flag(key) => f.write_str(key.flag().unwrap_or(key.info().name)),
        }
    }
}

/// The source of each setting.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins(BTreeMap<Key, Origin>);

impl Origins {
    /// The source of this setting.
    pub fn of(&self, key: Key) -> &Origin {
        self.0.get(&key).unwrap_or(&Origin::Default)
    }

    /// Whether the user chose this setting, rather than the program.
    pub fn is_chosen(&self, key: Key) -> bool {
        self.of(key).is_chosen()
    }

    /// Records the source of a setting.
    pub fn set(&mut self, key: Key, origin: Origin) {
        self.0.insert(key, origin);
    }
}
