//! For tests alone: files that do not answer, as on a network drive that is away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The stuck files, each with the number of those that wait for it; one that answers again stays until nobody does.
static FILES: Mutex<BTreeMap<PathBuf, State>> = Mutex::new(BTreeMap::new());
static CHANGED: Condvar = Condvar::new();

#[derive(Default)]
struct State {
    is_stuck: bool,
    waiting: usize,
}

fn lock() -> MutexGuard<'static, BTreeMap<PathBuf, State>> {
    FILES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that holds up whatever opens it, until this is dropped. Its tests are Linux's.
#[cfg(target_os = "linux")]
pub(crate) struct Stuck(PathBuf);

#[cfg(target_os = "linux")]
impl Stuck {
    pub(crate) fn in_place_of(path: PathBuf) -> Self {
        std::fs::create_dir_all(path.parent().expect("a file")).expect("our own folder");
        std::fs::write(&path, "0").expect("our own file");
        lock().entry(path.clone()).or_default().is_stuck = true;
        Self(path)
    }
}

#[cfg(target_os = "linux")]
impl Drop for Stuck {
    /// Whoever waits reads what is there; whoever comes later finds no file.
    fn drop(&mut self) {
        let mut files = lock();
        files.entry(self.0.clone()).or_default().is_stuck = false;
        CHANGED.notify_all();
        while files.get(&self.0).is_some_and(|state| state.waiting > 0) {
            files = CHANGED.wait(files).unwrap_or_else(PoisonError::into_inner);
        }
        files.remove(&self.0);
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Waits while the file is stuck; hold the result until the file is open.
pub(super) fn wait_for(path: &Path) -> Option<Waited> {
    let mut files = lock();
    files.get_mut(path)?.waiting += 1;
    while files.get(path).is_some_and(|state| state.is_stuck) {
        files = CHANGED.wait(files).unwrap_or_else(PoisonError::into_inner);
    }
    Some(Waited(path.to_owned()))
}

/// Has waited for a file, and opens it now.
pub(super) struct Waited(PathBuf);

impl Drop for Waited {
    fn drop(&mut self) {
        if let Some(state) = lock().get_mut(&self.0) {
            state.waiting = state.waiting.saturating_sub(1);
        }
        CHANGED.notify_all();
    }
}
