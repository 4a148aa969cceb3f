//! What the state directory says of the stored grant, so that processes can tell each other without asking the keychain.

use serde::{Deserialize, Serialize};

use crate::store::{Note, StateDir};

/// How far a sign-in has been renewed although its newest token could not be saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spent {
    /// The sign-in, as its grant is called.
    pub grant: String,
    /// The refresh tokens of all earlier renewals than this one are spent.
    pub renewals: u64,
}

/// That what lies in the store is spent.
pub fn spent(files: &StateDir) -> Note {
    files.note("spent.json")
}

/// Under which name a sign-in was stored, so that its absence can be doubted.
pub fn kept(files: &StateDir) -> Note {
    files.note("stored")
}
