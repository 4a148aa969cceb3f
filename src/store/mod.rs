//! Owns where tokens are stored: the operating system's keychain, a file on request, or memory; and the locks between
//! processes.
//!
//! A backend ([`CredentialStore`]) blocks and may show the user a dialog, so [`Store`] runs it on a separate thread
//! with a time-out. A store that is locked or does not answer means "not now", never "signed out".
//!
//! The state directory holds what processes share and is not secret: locks ([`lock`]), the store's generation number
//! ([`state::Generation`]), small records ([`state::Note`]), remembered answers ([`answers`]), and what is known of the
//! server ([`server_memory`]).

use std::time::Duration;

use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

pub mod answers;
pub mod chunked;
pub mod credential_store;
pub mod file;
pub mod keychain;
pub mod lock;
pub mod memory;
pub mod server_memory;
pub mod state;

pub use answers::{Answers, Owner};
pub use credential_store::{Backend, Store};
pub use lock::{LockError, ProcessLock};
pub use state::{Generation, Note, StateDir};

/// The account of the record for testing a store.
const PROBE_ACCOUNT: &str = "planhat-mcp check";

/// Why a call failed. None of these means that the record is absent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no such store on this machine (a headless Linux without a Secret Service).
    #[error("no credential store: {0}")]
    Absent(String),
    /// The store is locked.
    #[error("the credential store is locked")]
    Locked,
    /// The store did not answer in time; it may be showing a dialog.
    #[error("the credential store did not answer within {0:?}")]
    TimedOut(Duration),
    /// This program did not write the record.
    #[error("the stored record is damaged: {0}")]
    Corrupt(String),
    /// Another user could read or replace the token file.
    #[error("the token file is not private: {0}")]
    Exposed(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

impl StoreError {
    /// Whether the same call may succeed later without a configuration change.
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Locked | StoreError::TimedOut(_) | StoreError::Failed(_) => true,
            StoreError::Absent(_) | StoreError::Corrupt(_) | StoreError::Exposed(_) => false,
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            absent @ StoreError::Absent(_) => Problem::new(ProblemId::KeychainAbsent).because(absent),
            StoreError::Locked => Problem::new(ProblemId::KeychainLocked),
            StoreError::TimedOut(after) => {
                Problem::new(ProblemId::KeychainSlow).with("seconds", after.as_secs_f32().ceil())
            }
            StoreError::Corrupt(detail) => Problem::new(ProblemId::StoreDamaged).with("detail", detail),
            StoreError::Exposed(detail) => Problem::new(ProblemId::FileStoreUnsafe).with("detail", detail),
            StoreError::Failed(detail) => Problem::new(ProblemId::StoreFailed).with("detail", detail),
        }
    }
}

/// A store of small secret records by account name. Calls block.
pub trait CredentialStore: Send {
    /// The record, or `None` if the store certainly has none.
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError>;
    /// Creates or replaces the record.
    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError>;
    /// Removes the record; `false` when there was none.
    fn delete(&mut self, account: &str) -> Result<bool, StoreError>;
}

impl<S: CredentialStore + ?Sized> CredentialStore for Box<S> {
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        (**self).read(account)
    }

    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        (**self).write(account, record)
    }

    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        (**self).delete(account)
    }
}
