//! The gate that a 429 closes until the server's time is over: for every request of this process, and through a file in
//! the state directory for every process of the same profile, so that eight windows do not hammer one tenant.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::{Duration, Instant};

use crate::config::Paths;

use super::retry_after::LONGEST_WAIT;

/// How often the file of the other processes is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Open until [`Gate::close_for`]; then closed until that time is over.
#[derive(Debug, Default)]
pub struct Gate {
    /// Spares the lock while the gate has never been closed by this process.
    used: AtomicBool,
    state: Mutex<State>,
    /// Where other processes read and write the same; holds milliseconds since 1970.
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    paths: Paths,
    file: PathBuf,
}

#[derive(Debug, Default)]
struct State {
    closed_until: Option<Instant>,
    looked: Option<Instant>,
    /// When the file was last changed, as it was last seen.
    changed: Option<SystemTime>,
}

impl Gate {
    /// A gate of this process, and of all others of the same profile. (The default is one of this process alone.)
    pub fn shared(paths: &Paths, profile: &str) -> Self {
        let file = paths.state_dir.join(format!("{profile}.gate"));
        Self { shared: Some(Shared { paths: paths.clone(), file }), ..Self::default() }
    }

    /// Closes the gate for `wait` from now; a later opening time that is already set stays.
    pub fn close_for(&self, wait: Duration) {
        let longer = self.lock().close(wait);
        self.used.store(true, Ordering::Release);
        if let (true, Some(shared)) = (longer, &self.shared) {
            let until = SystemTime::now() + wait;
            let text = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string();
            let written = shared.paths.prepare_state_dir().map(|_| std::fs::write(&shared.file, text));
            // Without it the others learn of it by their own 429.
            if !matches!(written, Ok(Ok(()))) {
                tracing::debug!(?written, "the gate could not be shared with other processes");
            }
        }
    }

    /// How long it stays closed; zero when it is open.
    pub fn remaining(&self) -> Duration {
        if self.shared.is_none() && !self.used.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        let mut state = self.lock();
        self.look(&mut state);
        state.closed_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Reads what other processes have said, when it has changed.
    fn look(&self, state: &mut State) {
        let Some(Shared { file: path, .. }) = &self.shared else { return };
        if state.looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
            return;
        }
        state.looked = Some(Instant::now());
        let Ok(changed) = std::fs::metadata(path).and_then(|file| file.modified()) else { return };
        if state.changed.replace(changed) == Some(changed) {
            return;
        }
        let until = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
        let until = until.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
        // A clock that was wrong, or a file that somebody else wrote, must not close the gate for a year.
        if let Some(wait) = until.and_then(|until| until.duration_since(SystemTime::now()).ok()) {
            state.close(wait.min(LONGEST_WAIT));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether that is later than what was set before.
    fn close(&mut self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let longer = self.closed_until.is_none_or(|before| before < until);
        if longer {
            self.closed_until = Some(until);
        }
        longer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_passes_before_the_latest_time_that_was_set() {
        let gate = Gate::default();
        assert_eq!(gate.remaining(), Duration::ZERO);
        gate.close_for(Duration::from_secs(5));
        gate.close_for(Duration::from_secs(2));
        assert_eq!(gate.remaining(), Duration::from_secs(5));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(gate.remaining(), Duration::ZERO);
    }

    #[test]
    fn a_gate_that_one_process_closes_is_closed_for_the_others() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let paths = Paths { config_file: PathBuf::new(), state_dir: directory.path().join("state") };
        let (one, other) = (Gate::shared(&paths, "p"), Gate::shared(&paths, "p"));
        one.close_for(Duration::from_secs(60));
        let remaining = other.remaining();
        assert!(remaining > Duration::from_secs(55) && remaining <= Duration::from_secs(60), "{remaining:?}");
    }

    #[test]
    fn nonsense_in_the_shared_file_closes_nothing_and_a_year_is_cut_short() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let paths = Paths { config_file: PathBuf::new(), state_dir: directory.path().to_owned() };
        let path = directory.path().join("p.gate");
        std::fs::write(&path, "soon").expect("our own file");
        assert_eq!(Gate::shared(&paths, "p").remaining(), Duration::ZERO);
        std::fs::write(&path, u64::MAX.to_string()).expect("our own file");
        assert!(Gate::shared(&paths, "p").remaining() <= LONGEST_WAIT);
        std::fs::write(&path, "99999999999999").expect("our own file");
        assert!(Gate::shared(&paths, "p").remaining() <= LONGEST_WAIT);
    }
}
