//! The token file: all records in one JSON file of mode 0600, only when the user asked for it.
//!
//! All profiles share it, and their own locks keep only the processes of one profile apart. So each change locks the
//! file itself, and re-reads it under the lock.

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::{CredentialStore, PROBE_ACCOUNT, StoreError};
use crate::files::private::{self, own_dir};
use crate::secret::Secret;

/// The version of the file's format; a newer program may write a higher one.
const FORMAT_VERSION: u32 = 1;
/// How long to wait for another process's change, which normally takes milliseconds.
const FILE_LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between two attempts to get the lock.
const FILE_LOCK_POLL: Duration = Duration::from_millis(5);

/// A file that only this user can read; otherwise it is refused.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    records: BTreeMap<String, String>,
}

impl Content {
    fn empty() -> Self {
        Self { version: FORMAT_VERSION, records: BTreeMap::new() }
    }
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
        let dir = self.path.parent().unwrap_or(&self.path);
        if !dir.exists() {
            return Ok(Content::empty());
        }
        if let Some(why) = private::exposure(dir, &self.path).map_err(|e| self.failed(&e))? {
            return Err(StoreError::Exposed(why));
        }
        let Some(bytes) = private::read(&self.path).map_err(|e| self.failed(&e))? else {
            return Ok(Content::empty());
        };
        let bytes = Secret::new(bytes);
        let content: Content = serde_json::from_slice(bytes.expose()).map_err(|e| {
            StoreError::Corrupt(format!("{} is not what it should be ({:?})", self.path.display(), e.classify()))
        })?;
        if content.version > FORMAT_VERSION {
            return Err(StoreError::Failed(format!(
                "{} was written by a newer version of planhat-mcp",
                self.path.display()
            )));
        }
        Ok(content)
    }

    /// The content to change, and the lock to hold until it is saved.
    fn lock_and_load(&self) -> Result<(Result<Content, StoreError>, File), StoreError> {
        if let Some(dir) = self.path.parent() {
            own_dir(dir).map_err(|e| self.failed(&e))?;
        }
        let path = self.path.with_extension("lock");
        let lock = private::open_lock(&path).map_err(|e| self.failed(&e))?;
        let end = Instant::now() + FILE_LOCK_TIMEOUT;
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok((self.load(), lock)),
                // Not indefinitely: the caller gives up eventually, and a late write could replace a new token with an
                // old one.
                Err(TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(FILE_LOCK_POLL),
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Failed(format!("another process keeps {} locked", path.display())));
                }
                Err(TryLockError::Error(error)) => return Err(self.failed(&error)),
            }
        }
    }

    /// Where a damaged file is kept when a new one replaces it.
    fn set_aside(&self) -> PathBuf {
        self.path.with_extension("json.damaged")
    }

    fn save(&self, content: &Content) -> Result<(), StoreError> {
        if let Some(dir) = self.path.parent()
            && let Some(why) = private::exposure(dir, &self.path).map_err(|e| self.failed(&e))?
        {
            return Err(StoreError::Exposed(why));
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
        let (content, _lock) = self.lock_and_load()?;
        let mut content = match content {
            // It is useless, and must not prevent a sign-in.
            Err(StoreError::Corrupt(why)) => {
                let aside = self.set_aside();
                tracing::warn!(%why, kept = %aside.display(), "the damaged token file is replaced");
                private::rename(&self.path, &aside).map_err(|e| self.failed(&e))?;
                Content::empty()
            }
            content => content?,
        };
        content.records.insert(account.to_owned(), text.to_owned());
        self.save(&content)
    }

    fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        let is_there = |path: &std::path::Path| path.symlink_metadata().is_ok();
        if !is_there(&self.path) && !is_there(&self.set_aside()) {
            return Ok(false);
        }
        let (content, _lock) = self.lock_and_load()?;
        if account != PROBE_ACCOUNT {
            // After a sign-out no token may remain.
            private::remove(&self.set_aside()).map_err(|e| self.failed(&e))?;
        }
        let mut content = match content {
            Err(StoreError::Corrupt(_)) => return private::remove(&self.path).map_err(|e| self.failed(&e)),
            content => content?,
        };
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

    #[test]
    fn damage_is_in_the_way_neither_of_a_sign_in_nor_of_a_sign_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        let aside = dir.path().join("tokens.json.damaged");
        let mut file = TokenFile::new(path.clone());
        private::replace(&path, b"{broken").unwrap();
        file.write("a", &secret("1")).unwrap();
        assert_eq!(file.read("a").unwrap().unwrap().expose(), b"1");
        assert_eq!(std::fs::read(&aside).unwrap(), b"{broken", "kept, in case somebody can read it");
        assert!(file.delete("a").unwrap());
        assert!(!aside.exists(), "it may hold tokens");
        private::replace(&path, b"{broken").unwrap();
        assert!(file.delete("a").unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn changes_by_several_processes_at_once_are_all_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens.json");
        std::thread::scope(|scope| {
            // Not many, for the last of them waits for all the others, on a slow disk too.
            for profile in 0..4 {
                // Each with a lock of its own, as a process has.
                let mut file = TokenFile::new(path.clone());
                scope.spawn(move || {
                    for round in 0..5 {
                        file.write(&format!("{profile} {round}"), &secret("x")).unwrap();
                    }
                    assert!(file.delete(&format!("{profile} 0")).unwrap());
                });
            }
        });
        assert_eq!(TokenFile::new(path).load().unwrap().records.len(), 4 * 4);
    }
}
