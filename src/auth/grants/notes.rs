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

/// A sign-in whose tokens the MCP server refused from the start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefusedAfresh {
    /// The id of the grant.
    pub grant: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// The note of the sign-in that was refused from the start.
pub fn refused_afresh(files: &StateDir) -> Note {
    files.note("refused.json")
}

/// The note that the stored refresh token is spent.
pub fn spent(files: &StateDir) -> Note {
    files.note("spent.json")
}

/// The note of the account of the stored sign-in, so that its absence can be doubted.
pub fn stored_account(files: &StateDir) -> Note {
    files.note("stored")
}
