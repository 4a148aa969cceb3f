//! The token file: all records in one JSON file of mode 0600, only when the user asked for it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::{CredentialStore, StoreError, private};
use crate::secret::Secret;

/// The file's form; a newer program may write a higher one.
const VERSION: u32 = 1;

/// A file that only this user can read; refused when that is not so.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    records: BTreeMap<String, String>,
}

impl Drop for Content {
    fn drop(&mut self) {
        self.records.values_mut().for_each(Zeroize::zeroize);
    }
}

impl TokenFile {
    /// The file at `path`; it and its folder are created by the first write.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    fn load(&self) -> Result<Content, StoreError> {
        let empty = Content { version: VERSION, records: BTreeMap::new() };
        let dir = self.path.parent().unwrap_or(&self.path);
        if !dir.exists() {
            return Ok(empty);
        }
        if let Some(why) = private::exposure(dir, &self.path).map_err(|e| self.failed(&e))? {
            return Err(StoreError::Exposed(why));
        }
        let Some(bytes) = private::read(&self.path).map_err(|e| self.failed(&e))? else { return Ok(empty) };
        let bytes = Secret::new(bytes);
        let content: Content = serde_json::from_slice(bytes.expose()).map_err(|e| {
            StoreError::Corrupt(format!("{} is not what it should be ({:?})", self.path.display(), e.classify()))
        })?;
        if content.version > VERSION {
            return Err(StoreError::Failed(format!(
                "{} was written by a newer version of planhat-mcp",
                self.path.display()
            )));
        }
        Ok(content)
    }

    fn save(&self, content: &Content) -> Result<(), StoreError> {
        if let Some(dir) = self.path.parent() {
            private::make_dir(dir).map_err(|e| self.failed(&e))?;
            if let Some(why) = private::exposure(dir, &self.path).map_err(|e| self.failed(&e))? {
                return Err(StoreError::Exposed(why));
            }
        }
        let bytes = Secret::new(serde_json::to_vec(content).map_err(|e| StoreError::Failed(e.to_string()))?);
        private::replace(&self.path, bytes.expose()).map_err(|e| self.failed(&e))
    }

    fn failed(&self, error: &std::io::Error) -> StoreError {
        StoreError::Failed(format!("{}: {error}", self.path.display()))
    }
}

impl CredentialStore for TokenFile {
    fn read(&mut self, account: &str) -> Result<Option<Secret<Vec<u8>>>, StoreError> {
        Ok(self.load()?.records.get(account).map(|record| Secret::new(record.clone().into_bytes())))
    }

    fn write(&mut self, account: &str, record: &Secret<Vec<u8>>) -> Result<(), StoreError> {
        let text =
            std::str::from_utf8(record.expose()).map_err(|_| StoreError::Failed("a record is not text".into()))?;
        let mut content = self.load()?;
        content.records.insert(account.to_owned(), text.to_owned());
        self.save(&content)
    }

    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        let mut content = self.load()?;
        let Some(mut record) = content.records.remove(account) else { return Ok(false) };
        record.zeroize();
        if content.records.is_empty() {
            private::remove(&self.path).map_err(|e| self.failed(&e))?;
        } else {
            self.save(&content)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<Vec<u8>> {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn records_are_kept_apart_and_the_last_one_takes_the_file_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/tokens.json");
        let mut file = TokenFile::new(path.clone());
        assert!(file.read("a").unwrap().is_none());
        file.write("a", &secret("1")).unwrap();
        file.write("b", &secret("2")).unwrap();
        assert_eq!(file.read("a").unwrap().unwrap().expose(), b"1");
        assert!(file.delete("a").unwrap());
        assert!(!file.delete("a").unwrap());
        assert_eq!(TokenFile::new(path.clone()).read("b").unwrap().unwrap().expose(), b"2");
        assert!(file.delete("b").unwrap());
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_neither_read_nor_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let mut file = TokenFile::new(path.clone());
        file.write("a", &secret("1")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(file.read("a"), Err(StoreError::Exposed(_))));
        assert!(matches!(file.write("a", &secret("2")), Err(StoreError::Exposed(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(file.read("a").unwrap().unwrap().expose(), b"1");
    }

    #[test]
    fn a_file_that_is_not_ours_is_damage_and_not_absence() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        private::replace(&path, b"{\"version\":1,\"records\":{\"a\":\"canary").unwrap();
        let error = TokenFile::new(path).read("a").unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
        assert!(!error.to_string().contains("canary"));
    }
}
