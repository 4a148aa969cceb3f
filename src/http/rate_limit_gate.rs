//! The gate that a 429 closes for as long as the server asks: for every request of this process, and through a file in
//! the state directory for every process with the same server and grant, so that eight clients do not hammer one
//! tenant.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::{Duration, Instant};
use url::Url;

use crate::config::Paths;
use crate::files::private;
use crate::hash::fnv1a;
use crate::limits::{ASKED_RATE_LIMIT_WAIT, RATE_LIMIT_WAIT};

/// The minimum time between two reads of the shared file.
const SHARED_FILE_POLL: Duration = Duration::from_millis(20);

/// Open until [`Gate::close_for`], then closed for that time.
#[derive(Debug, Default)]
pub struct Gate {
    /// Avoids the lock while this process has never closed the gate.
    used: AtomicBool,
    state: Mutex<GateState>,
    /// The file that the processes share: two times, in milliseconds since 1970.
    shared: Option<SharedFile>,
}

/// How long a gate is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Until it opens.
    pub left: Duration,
    /// Until the time that the server asked for is over; longer than `left` if that exceeds the cap.
    pub asked: Duration,
}

#[derive(Debug)]
struct SharedFile {
    paths: Paths,
    file: PathBuf,
}

#[derive(Debug, Default)]
struct GateState {
    closed_until: Option<Instant>,
    asked_until: Option<Instant>,
    /// When the file was last looked at.
    looked: Option<Instant>,
    /// The file's modification time at the last check.
    modified: Option<SystemTime>,
}

impl Gate {
    /// A gate that this process shares with all others that use the same grant (`tag`) at the same server. (The default
    /// one is this process's alone.)
    pub fn shared(paths: &Paths, server: &Url, tag: Option<u64>) -> Self {
        let file = Self::file(paths, server, tag);
        Self { shared: Some(SharedFile { paths: paths.clone(), file }), ..Self::default() }
    }

    /// The file that the processes share.
    pub fn file(paths: &Paths, server: &Url, tag: Option<u64>) -> PathBuf {
        // The limit is the tenant's, across paths and this program's profiles.
        let scope = format!("{} {}", server.origin().ascii_serialization(), tag.unwrap_or_default());
        paths.state_dir.join(format!("{:016x}.gate", fnv1a(scope.as_bytes())))
    }

    /// The files of reopened gates, of all profiles; they can be deleted safely.
    pub fn opened(paths: &Paths) -> Vec<PathBuf> {
        let files = std::fs::read_dir(&paths.state_dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_gate = |path: &PathBuf| path.extension().is_some_and(|end| end == "gate");
        let is_open = |path: &PathBuf| times(&content(path)).next().is_none_or(|until| until <= SystemTime::now());
        let mut opened: Vec<PathBuf> = files.filter(|path| is_gate(path) && is_open(path)).collect();
        opened.sort();
        opened
    }

    /// Closes the gate for `wait` from now, because the server asked for `asked`. A later opening time stays.
    pub fn close_for(&self, wait: Duration, asked: Duration) {
        if self.close(wait, asked) {
            self.share(wait, asked);
        }
    }

    /// The same for this process alone; whether the others should hear of it ([`Gate::share`]).
    pub fn close(&self, wait: Duration, asked: Duration) -> bool {
        let longer = self.lock().close(wait, asked.max(wait));
        self.used.store(true, Ordering::Release);
        longer
    }

    /// Writes the file of the other processes. Blocks for as long as a file takes to write.
    pub fn share(&self, wait: Duration, asked: Duration) {
        if let Some(shared) = &self.shared {
            let millis = |wait: Duration| {
                let until = SystemTime::now() + wait.min(ASKED_RATE_LIMIT_WAIT);
                until.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
            };
            let text = format!("{} {}", millis(wait), millis(asked.max(wait)));
            let written =
                shared.paths.prepare_state_dir().map(|_| private::replace_brief(&shared.file, text.as_bytes()));
            // Without the file, the other processes just get their own 429.
            if !matches!(written, Ok(Ok(()))) {
                tracing::debug!(?written, "the gate could not be shared with other processes");
            }
        }
    }

    /// How long it stays closed, as far as this process knows; `None` when it is open.
    pub fn closed(&self) -> Option<Closed> {
        if self.shared.is_none() && !self.used.load(Ordering::Acquire) {
            return None;
        }
        let state = self.lock();
        let now = Instant::now();
        let left = |until: Option<Instant>| until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        let closed = Closed { left: left(state.closed_until), asked: left(state.asked_until) };
        (!closed.left.is_zero()).then_some(closed)
    }

    /// Whether it is time to look at the file of the other processes, for one caller.
    pub fn is_look_due(&self) -> bool {
        if self.shared.is_none() {
            return false;
        }
        let mut state = self.lock();
        let is_due = state.looked.is_none_or(|looked| looked.elapsed() >= SHARED_FILE_POLL);
        if is_due {
            state.looked = Some(Instant::now());
        }
        is_due
    }

    /// Looks at the file of the other processes. Blocks for as long as a file takes to read; others may ask
    /// [`Gate::closed`] all the same.
    pub fn look(&self) {
        let Some(SharedFile { file: path, .. }) = &self.shared else { return };
        let Ok(modified) = std::fs::symlink_metadata(path).and_then(|file| file.modified()) else { return };
        if self.lock().modified == Some(modified) {
            return;
        }
        let text = content(path);
        let mut state = self.lock();
        state.modified = Some(modified);
        let mut times = times(&text).map_while(|until| until.duration_since(SystemTime::now()).ok());
        // A wrong clock or a foreign file must not close the gate for a year.
        if let Some(wait) = times.next() {
            state.close(wait.min(RATE_LIMIT_WAIT), times.next().unwrap_or(wait).max(wait));
        }
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GateState {
    /// Closes the gate; returns whether this extends the time.
    fn close(&mut self, wait: Duration, asked: Duration) -> bool {
        let now = Instant::now();
        let still = self.closed_until.filter(|before| *before > now);
        let until = now + wait;
        let longer = still.is_none_or(|before| before < until);
        if longer {
            self.closed_until = Some(until);
        }
        // An earlier request of the server counts only while the gate is still closed: it has been asked again since.
        let asked = now + asked.min(ASKED_RATE_LIMIT_WAIT);
        self.asked_until = Some(self.asked_until.filter(|_| still.is_some()).map_or(asked, |before| before.max(asked)));
        longer
    }
}

/// The times in a gate's file, up to the first word that is not one.
fn times(text: &str) -> impl Iterator<Item = SystemTime> {
    let time = |millis: &str| UNIX_EPOCH.checked_add(Duration::from_millis(millis.parse().ok()?));
    text.split_whitespace().map_while(time)
}

/// The text of a gate's file; empty if it cannot be read.
fn content(file: &Path) -> String {
    private::read(file).ok().flatten().and_then(|content| String::from_utf8(content).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::http::rate_limit_gate::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn left(gate: &Gate) -> Duration {
        gate.look();
        gate.closed().map_or(Duration::ZERO, |closed| closed.left)
    }

    fn server(text: &str) -> Url {
        Url::parse(text).expect("test URL")
    }

    fn paths(directory: &tempfile::TempDir) -> Paths {
        Paths { config_file: PathBuf::new(), state_dir: directory.path().join("state") }
    }

    #[tokio::test(start_paused = true)]
    async fn the_gate_stays_closed_until_the_latest_time_that_was_set() {
        let gate = Gate::default();
        assert_eq!(gate.closed(), None);
        gate.close_for(5 * SECOND, 5 * SECOND);
        gate.close_for(2 * SECOND, 2 * SECOND);
        assert_eq!(left(&gate), 5 * SECOND);
        tokio::time::advance(5 * SECOND).await;
        assert_eq!(gate.closed(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_server_asked_for_is_known_beyond_the_cap_until_it_is_asked_again() {
        let gate = Gate::default();
        gate.close_for(120 * SECOND, 86_400 * SECOND);
        assert_eq!(gate.closed(), Some(Closed { left: 120 * SECOND, asked: 86_400 * SECOND }));
        gate.close_for(SECOND, Duration::MAX);
        assert_eq!(gate.closed().map(|closed| closed.left), Some(120 * SECOND));
        tokio::time::advance(120 * SECOND).await;
        gate.close_for(3 * SECOND, 3 * SECOND);
        assert_eq!(gate.closed(), Some(Closed { left: 3 * SECOND, asked: 3 * SECOND }));
    }

    #[test]
    fn a_gate_that_one_process_closes_is_closed_for_those_of_the_same_server_and_grant_alone() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let gate = |url: &str, tag| Gate::shared(&paths(&directory), &server(url), tag);
        gate("https://a.example/v1/mcp", Some(1)).close_for(60 * SECOND, 600 * SECOND);
        // Another path, and so another profile, is the same tenant.
        for url in ["https://a.example/v1/mcp", "https://a.example/other"] {
            let gate = gate(url, Some(1));
            gate.look();
            let closed = gate.closed().expect("closed");
            assert!(closed.left > 55 * SECOND && closed.left <= 60 * SECOND, "{closed:?}");
            assert!(closed.asked > 595 * SECOND && closed.asked <= 600 * SECOND, "{closed:?}");
        }
        for (url, tag) in [
            ("https://a.example/v1/mcp", Some(2)),
            ("https://a.example/v1/mcp", None),
            ("https://b.example/v1/mcp", Some(1)),
            ("https://a.example:8443/v1/mcp", Some(1)),
        ] {
            assert_eq!(left(&gate(url, tag)), Duration::ZERO, "{url} {tag:?}");
        }
    }

    #[test]
    fn the_files_of_gates_that_are_open_again_are_told_from_the_others() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let paths = paths(&directory);
        assert!(Gate::opened(&paths).is_empty());
        let url = server("https://a.example/");
        Gate::shared(&paths, &url, Some(1)).close_for(60 * SECOND, 60 * SECOND);
        Gate::shared(&paths, &url, Some(2)).close_for(Duration::ZERO, 600 * SECOND);
        std::fs::write(paths.state_dir.join("p.generation"), "1").expect("our own file");
        assert_eq!(Gate::opened(&paths), [Gate::file(&paths, &url, Some(2))]);
    }

    #[test]
    fn nonsense_in_the_shared_file_closes_nothing_and_a_year_is_cut_short() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let fresh = || Gate::shared(&paths(&directory), &server("https://a.example/"), None);
        let file = fresh().shared.expect("shared").file;
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("our own folder");
        for text in ["soon", "", "1 2", "-5"] {
            std::fs::write(&file, text).expect("our own file");
            assert_eq!(left(&fresh()), Duration::ZERO, "{text}");
        }
        for text in [u64::MAX.to_string(), "99999999999999 x".to_owned()] {
            std::fs::write(&file, &text).expect("our own file");
            assert!(left(&fresh()) <= RATE_LIMIT_WAIT, "{text}");
        }
    }
}
