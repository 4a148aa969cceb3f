//! A store that lives as long as the process.

use std::collections::HashMap;

use super::{CredentialStore, StoreError};
use crate::secret::Secret;

/// Records in memory: for `--token-store memory`, and for tests.
#[derive(Debug, Default)]
pub struct Memory {
    records: HashMap<String, Secret<Vec<u8>>>,
}

impl CredentialStore for Memory {
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        Ok(self.records.get(account).cloned())
    }

    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        self.records.insert(account.to_owned(), record.clone());
        Ok(())
    }

    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        Ok(self.records.remove(account).is_some())
    }
}
