//! Notes about the stored grant in the state directory, so that processes can inform each other without the keychain.

use serde::{Deserialize, Serialize};

use crate::store::{Note, StateDir};

/// How often a sign-in was renewed although its newest token could not be saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spent {
    /// The id of the grant.
    pub grant: String,
    /// The number of that renewal: the refresh tokens before it are spent.
    pub renewals: u64,
}

/// The note that the stored refresh token is spent.
pub fn spent(files: &StateDir) -> Note {
    files.note("spent.json")
}

/// The note of the account of the stored sign-in, so that its absence can be doubted.
pub fn stored_account(files: &StateDir) -> Note {
    files.note("stored")
}
