//! The operating system's keychain: Secret Service, macOS Keychain, Windows Credential Manager, through `keyring`.

use keyring::{Entry, Error};

use super::{CredentialStore, StoreError};
use crate::secret::Secret;

/// Under which all items of this program stand.
const SERVICE: &str = "planhat-mcp";

/// The platform's keychain.
#[derive(Debug)]
pub struct Keychain(());

impl Keychain {
    /// What people call it.
    pub const NAME: &'static str = if cfg!(target_os = "macos") {
        "the macOS keychain"
    } else if cfg!(windows) {
        "the Windows Credential Manager"
    } else {
        "the keychain (Secret Service)"
    };

    /// Connects to it.
    pub fn open() -> Result<Self, StoreError> {
        match Entry::store_status() {
            Ok(()) => Ok(Self(())),
            Err(error) => Err(StoreError::Absent(detail(error))),
        }
    }
}

impl CredentialStore for Keychain {
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        match entry(account)?.get_secret() {
            Ok(secret) => Ok(Some(Secret::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        entry(account)?.set_secret(record.expose()).map_err(failure)
    }

    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        match entry(account)?.delete_credential() {
            Ok(()) => Ok(true),
            Err(Error::NoEntry) => Ok(false),
            Err(error) => Err(failure(error)),
        }
    }
}

fn entry(account: &str) -> Result<Entry, StoreError> {
    Entry::new(SERVICE, account).map_err(failure)
}

fn failure(error: Error) -> StoreError {
    match error {
        Error::NoStorageAccess(_) => StoreError::Locked,
        Error::NoDefaultStore => StoreError::Absent("no keychain could be opened".into()),
        // Their texts would show the stored bytes.
        Error::BadEncoding(_) | Error::BadDataFormat(..) => StoreError::Corrupt("the keychain cannot decode it".into()),
        Error::Ambiguous(items) => StoreError::Corrupt(format!("{} items have its name", items.len())),
        other => StoreError::Failed(detail(&other)),
    }
}

/// The error and what is behind it, once each.
fn detail(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

/// Against the real keychain of the machine, which `tests/interop/keychain.sh` sets up: these are not run by themselves.
#[cfg(test)]
mod tests {
    use super::super::parts::{LARGEST_ITEM, Parts};
    use super::*;

    fn secret(length: usize) -> Secret<Vec<u8>> {
        Secret::new((0..length).map(|i| b'a' + (i % 26) as u8).collect())
    }

    #[test]
    #[ignore = "needs tests/interop/keychain.sh"]
    fn explore() {
        let mut ring = match Keychain::open() {
            Ok(ring) => ring,
            Err(e) => panic!("open: {e:?}"),
        };
        let t = std::time::Instant::now();
        for what in std::env::var("EXPLORE").unwrap().split(',') {
            let result = match what {
                "read" => format!("{:?}", ring.read("planhat test").map(|r| r.map(|r| r.expose().len()))),
                "missing" => format!("{:?}", ring.read("planhat nothing").map(|r| r.map(|r| r.expose().len()))),
                "write" => format!("{:?}", ring.write("planhat test", &secret(5000))),
                "writenew" => format!("{:?}", ring.write("planhat new", &secret(5000))),
                "delete" => format!("{:?}", ring.delete("planhat test")),
                "pause" => {
                    std::thread::sleep(std::time::Duration::from_secs(3));
                    String::new()
                }
                other => format!("?? {other}"),
            };
            std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("{what}: {result} {:?}\n", t.elapsed()).as_bytes(),
            )
            .unwrap();
        }
        let _ = LARGEST_ITEM;
        let _ = Parts::new(super::super::memory::Memory::default(), 1);
    }
}
