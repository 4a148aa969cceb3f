//! Locks between processes, on dedicated files; the operating system releases them when their holder dies.
//!
//! A process that acquires a lock has to re-read what it protects: the previous holder may have changed it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use crate::blocking;
use crate::files::private::{self, own_dir};
use crate::pacing::Backoff;
use crate::problem::{Problem, ProblemId};

/// The system does not notify when a lock is free, so it is polled.
const LOCK_POLL: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));

/// A lock, held until dropped.
#[derive(Debug)]
pub struct ProcessLock {
    _file: File,
}

/// Why a lock was not acquired.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LockError {
    /// Another process held it for the whole time.
    #[error("{} is held by another process for more than {after:?}", path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What the lock is for, in words.
        purpose: &'static str,
        /// How long this process waited.
        after: Duration,
    },
    /// The folder of the lock file cannot be used.
    #[error("{}: {detail}", dir.display())]
    NoFolder {
        /// The folder.
        dir: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The lock file itself cannot be used.
    #[error("{}: {detail}", path.display())]
    Unusable {
        /// The lock file.
        path: PathBuf,
        /// The system's error.
        detail: String,
    },
}

impl ProcessLock {
    /// Waits for the lock, at most `within`.
    pub async fn acquire(path: &Path, purpose: &'static str, within: Duration) -> Result<Self, LockError> {
        let deadline = Instant::now() + within;
        let mut attempts = 0;
        loop {
            // If the caller gives up meanwhile, the attempt still completes, and drops the lock if it gets one.
            let lock = path.to_owned();
            if let Some(lock) = blocking::run(move || Self::try_acquire(&lock)).await? {
                return Ok(lock);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LockError::Held { path: path.to_owned(), purpose, after: within });
            }
            attempts += 1;
            tokio::time::sleep(LOCK_POLL.ceiling(attempts).min(left)).await;
        }
    }

    /// The lock, if nobody holds it. Blocks for as long as a file takes to open.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>, LockError> {
        loop {
            let file = open(path)?;
            if !try_lock(&file, path)? {
                return Ok(None);
            }
            if is_at(&file, path) {
                return Ok(Some(Self { _file: file }));
            }
        }
    }

    /// Whether any process, including this one, holds it now. Blocks for as long as a file takes to open. Processes
    /// that ask at the same time do not mistake each other for holders.
    pub fn is_held(path: &Path) -> Result<bool, LockError> {
        let file = match private::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(unusable(path, &error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(unusable(path, &error)),
        }
    }
}

impl From<LockError> for Problem {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held { path, purpose, after } => Problem::new(ProblemId::LockTimedOut)
                .with("purpose", purpose)
                .with("seconds", after.as_secs())
                .with("path", path.display()),
            LockError::NoFolder { dir, detail } => {
                Problem::new(ProblemId::StateDirUnusable).with("dir", dir.display()).with("detail", detail)
            }
            LockError::Unusable { path, detail } => {
                Problem::new(ProblemId::StateFileFailed).with("path", path.display()).with("detail", detail)
            }
        }
    }
}

fn open(path: &Path) -> Result<File, LockError> {
    if let Some(dir) = path.parent() {
        own_dir(dir).map_err(|error| LockError::NoFolder { dir: dir.to_owned(), detail: error.to_string() })?;
    }
    private::open_lock(path).map_err(|error| unusable(path, &error))
}

fn try_lock(file: &File, path: &Path) -> Result<bool, LockError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(unusable(path, &error)),
    }
}

/// Whether the path still names this file: `reset` removes lock files, and a lock on a removed file excludes nobody.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let at = |found: io::Result<std::fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
    at(file.metadata()).is_some_and(|own| at(std::fs::symlink_metadata(path)) == Some(own))
}

/// The same on Windows, which removes open files since Windows 10.
#[cfg(windows)]
fn is_at(file: &File, path: &Path) -> bool {
    let index = |file: &File| {
        winapi_util::file::information(file).map(|found| (found.volume_serial_number(), found.file_index()))
    };
    index(file).is_ok_and(|own| private::open(path).and_then(|there| index(&there)).is_ok_and(|there| there == own))
}

fn unusable(path: &Path, error: &io::Error) -> LockError {
    LockError::Unusable { path: path.to_owned(), detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lock_has_one_holder_and_a_wait_that_times_out_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/x.lock");
        let held = ProcessLock::acquire(&path, "a test", Duration::ZERO).await.unwrap();
        assert!(ProcessLock::try_acquire(&path).unwrap().is_none());
        assert!(ProcessLock::is_held(&path).unwrap());
        let error = ProcessLock::acquire(&path, "a test", Duration::from_secs(3)).await.unwrap_err();
        let problem = Problem::from(error);
        assert_eq!(problem.fact("path"), path.to_str());
        assert_eq!(problem.fact("seconds"), Some("3"));
        drop(held);
        assert!(!ProcessLock::is_held(&path).unwrap());
        assert!(ProcessLock::try_acquire(&path).unwrap().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_whose_lock_file_is_removed_gets_the_lock_that_keeps_others_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let held = ProcessLock::try_acquire(&path).unwrap().unwrap();
        let (waiting, ()) = tokio::join!(ProcessLock::acquire(&path, "a test", Duration::from_secs(60)), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            std::fs::remove_file(&path).unwrap();
            drop(held);
        });
        let waiting = waiting.unwrap();
        assert!(ProcessLock::try_acquire(&path).unwrap().is_none());
        drop(waiting);
    }

    #[test]
    fn a_process_that_looks_is_not_taken_for_a_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        assert!(!ProcessLock::is_held(&path).unwrap());
        drop(ProcessLock::try_acquire(&path).unwrap());
        // In the middle of a look.
        let looking = File::open(&path).unwrap();
        looking.try_lock_shared().unwrap();
        assert!(!ProcessLock::is_held(&path).unwrap());
    }
}
