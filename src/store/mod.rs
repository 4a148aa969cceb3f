//! Owns where tokens lie: the operating system's keychain, a file on request, or memory; and the locks between processes.
//!
//! A backend ([`CredentialStore`]) blocks and may put a dialog before the user, so [`Store`] runs it on a thread of its
//! own with a time-out. A store that is locked or does not answer means "not now", never "signed out".

use crate::problem::Problem;
use crate::secret::Secret;

/// Why a store could not do what was asked. None of these means that the record is absent.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such store on this machine (a headless Linux without a Secret Service).
    #[error("no credential store: {0}")]
    Absent(String),
    /// The store is there and locked.
    #[error("the credential store is locked")]
    Locked,
    /// The store did not answer in time; it may be showing a dialog.
    #[error("the credential store did not answer within {0:?}")]
    TimedOut(std::time::Duration),
    /// A record is there, but is not what this program wrote.
    #[error("the stored record is damaged: {0}")]
    Corrupt(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl From<StoreError> for Problem {
    fn from(_: StoreError) -> Self {
        unreachable!()
    }
}

/// A place for small secret records, by account name. Calls block.
pub trait CredentialStore: Send {
    /// The record, or `None` when the store surely has none.
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError>;
    /// Creates or replaces the record.
    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError>;
    /// Removes the record; `false` when there was none.
    fn delete(&mut self, account: &str) -> Result<bool, StoreError>;
}
