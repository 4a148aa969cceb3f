//! The operating system's keychain: Secret Service, macOS Keychain, Windows Credential Manager, through `keyring`.
//!
//! macOS and Windows use its `Entry`; Linux uses `keyring-core` and its Secret Service store directly, because `Entry`
//! connects once per process: it would never reach a keychain service that starts, or restarts, after us.

use keyring::{Entry, Error};

use crate::problem::error_chain;
use crate::secret::Secret;
use crate::store::{CredentialStore, StoreError};

/// The service name of all this program's items.
const SERVICE: &str = "planhat-mcp";

/// The platform's keychain.
#[derive(Debug)]
pub struct Keychain {
    connection: platform::Connection,
}

impl Keychain {
    /// Its name, for people.
    pub const NAME: &'static str = if cfg!(target_os = "macos") {
        "the macOS keychain"
    } else if cfg!(windows) {
        "the Windows Credential Manager"
    } else {
        "the desktop's keychain (Secret Service)"
    };

    /// Connects to it.
    pub fn open() -> Result<Self, StoreError> {
        Ok(Self { connection: platform::connect().map_err(|error| StoreError::Absent(error_chain(&error)))? })
    }

    /// Makes a call, and repeats it on a new connection if this one is broken, as after a restart of the keychain
    /// service. All these calls are idempotent. Where there is no connection, a repeated call would repeat its dialog.
    fn with_entry<T>(&mut self, account: &str, call: impl Fn(&Entry) -> keyring::Result<T>) -> keyring::Result<T> {
        match platform::entry(&self.connection, account).and_then(|entry| call(&entry)) {
            Err(Error::PlatformFailure(first)) if platform::CONNECTION_CAN_BREAK => {
                tracing::debug!(error = %first, "the keychain is connected to anew");
                self.connection = platform::connect()?;
                platform::entry(&self.connection, account).and_then(|entry| call(&entry))
            }
            result => result,
        }
    }
}

impl CredentialStore for Keychain {
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        match self.with_entry(account, Entry::get_secret) {
            Ok(secret) => Ok(Some(Secret::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        self.with_entry(account, |entry| entry.set_secret(record.expose())).map_err(failure)
    }

    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        match self.with_entry(account, Entry::delete_credential) {
            // It stands there several times, as after a keyring was restored: each of them goes.
            Err(Error::Ambiguous(items)) => deleted(items.iter().map(|item| item.delete_credential())),
            outcome => deleted([outcome]),
        }
    }
}

/// Whether anything was deleted, when each of these was to be.
fn deleted(outcomes: impl IntoIterator<Item = keyring::Result<()>>) -> Result<bool, StoreError> {
    outcomes.into_iter().try_fold(false, |any, outcome| match outcome {
        Ok(()) => Ok(true),
        Err(Error::NoEntry) => Ok(any),
        Err(error) => Err(failure(error)),
    })
}

/// The Secret Service, on the session bus that the environment names or, if an MCP client has stripped the environment,
/// on the one in this user's runtime directory.
#[cfg(all(unix, not(target_os = "macos")))]
mod platform {
    use std::sync::Arc;

    use keyring::{Entry, Result};
    use keyring_core::api::CredentialStoreApi;
    use zbus_secret_service_keyring_store::Store;

    pub type Connection = Arc<Store>;
    pub const CONNECTION_CAN_BREAK: bool = true;

    pub fn connect() -> Result<Connection> {
        Store::new()
    }

    /// The Secret Service says so in an error of its own.
    pub fn is_refusal(_: &(dyn std::error::Error + 'static)) -> bool {
        false
    }

    pub fn entry(connection: &Connection, account: &str) -> Result<Entry> {
        // The label in the desktop's password manager.
        let label = format!("planhat-mcp: {account}");
        let modifiers = [("label", label.as_str())].into();
        Ok(Entry { inner: connection.build(super::SERVICE, account, Some(&modifiers))? })
    }
}

/// Keychains that need no connection.
#[cfg(not(all(unix, not(target_os = "macos"))))]
mod platform {
    use keyring::{Entry, Error, Result};

    pub type Connection = ();
    pub const CONNECTION_CAN_BREAK: bool = false;

    pub fn connect() -> Result<Connection> {
        match Entry::store_status() {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::NoDefaultStore),
        }
    }

    pub fn entry(_: &Connection, account: &str) -> Result<Entry> {
        Entry::new(super::SERVICE, account)
    }

    /// Whether somebody did not let us have the item: the keychain is locked and nobody could be asked, as over SSH, or its
    /// question was answered with no.
    #[cfg(target_os = "macos")]
    pub fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
        /// `errSecUserCanceled`, `errSecAuthFailed`, `errSecInteractionNotAllowed`, `errSecInteractionRequired`.
        const REFUSALS: [i32; 4] = [-128, -25293, -25308, -25315];
        let error = error.downcast_ref::<security_framework::base::Error>();
        error.is_some_and(|error| REFUSALS.contains(&error.code()))
    }

    /// The Credential Manager is open to whoever is signed in to Windows.
    #[cfg(not(target_os = "macos"))]
    pub fn is_refusal(_: &(dyn std::error::Error + 'static)) -> bool {
        false
    }
}

fn failure(error: Error) -> StoreError {
    match error {
        Error::NoStorageAccess(_) => StoreError::Locked,
        Error::PlatformFailure(error) if platform::is_refusal(&*error) => StoreError::Locked,
        Error::NoDefaultStore => StoreError::Absent("no keychain could be opened".into()),
        // Their messages contain the stored bytes.
        Error::BadEncoding(_) | Error::BadDataFormat(..) => StoreError::Corrupt("the keychain cannot decode it".into()),
        Error::Ambiguous(items) => StoreError::Corrupt(format!("{} items have its name", items.len())),
        other => StoreError::Failed(error_chain(&other)),
    }
}

#[cfg(all(test, windows))]
mod credential_manager_tests;
#[cfg(all(test, target_os = "macos"))]
mod macos_tests;
#[cfg(all(test, unix, not(target_os = "macos")))]
mod tests;
