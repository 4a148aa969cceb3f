//! The gate that a 429 closes, for the requests of this process.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Duration, Instant, timeout};

use crate::auth::Bearer;
use crate::blocking;
use crate::config::Settings;
use crate::http::Gate;
use crate::http::rate_limit_gate::Closed;
use crate::limits::{MAX_THROTTLED_ATTEMPTS, SHARED_GATE_WAIT};

/// The gate of the grant that was used last.
#[derive(Debug)]
pub(super) struct Throttle {
    settings: Arc<Settings>,
    current: Mutex<Option<Arc<GrantGate>>>,
}

#[derive(Debug)]
struct GrantGate {
    /// The grant that shares the gate; the tag of its tokens.
    tag: Option<u64>,
    gate: Arc<Gate>,
    /// No request goes before the first look.
    first_look: OnceCell<()>,
    /// One look at a time: a file that does not answer holds one thread.
    turn: Arc<Semaphore>,
}

impl GrantGate {
    /// Looks at the file that other processes write, if it is time. The thread that this takes costs more than the look, but
    /// where requests are many, only a few of them come to pay for it; and even the time of a file's last change can be a
    /// question to a server that is away.
    async fn look(&self) {
        if !self.gate.is_look_due() {
            return;
        }
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else { return };
        let gate = Arc::clone(&self.gate);
        let look = blocking::run(move || {
            let _turn = turn;
            gate.look();
        });
        if timeout(SHARED_GATE_WAIT, look).await.is_err() {
            tracing::debug!("the file of the gate does not answer; other processes' rate limits are not known");
        }
    }
}

impl Throttle {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, current: Mutex::default() }
    }

    /// Whether a 429 currently holds requests back.
    pub(super) fn is_closed(&self) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        current.is_some_and(|grant| grant.gate.closed().is_some())
    }

    /// How long the gate of this token's grant stays closed, for this process or another one; `None` when it is open.
    pub(super) async fn closed(&self, bearer: Option<&Bearer>) -> Option<Closed> {
        let grant = self.gate_of(bearer);
        if grant.first_look.initialized() {
            grant.look().await;
        } else {
            grant.first_look.get_or_init(|| grant.look()).await;
        }
        grant.gate.closed()
    }

    /// Closes the gate for `wait`, because the server asked for `asked`. The file is written on another thread, and nobody
    /// waits for it longer than for a look.
    pub(super) async fn close(&self, bearer: Option<&Bearer>, wait: Duration, asked: Duration) {
        let gate = Arc::clone(&self.gate_of(bearer).gate);
        if gate.close(wait, asked) {
            let _ = timeout(SHARED_GATE_WAIT, blocking::run(move || gate.share(wait, asked))).await;
        }
    }

    /// The gate that this token's grant shares with the other processes that use it.
    fn gate_of(&self, bearer: Option<&Bearer>) -> Arc<GrantGate> {
        let tag = bearer.map(|bearer| bearer.tag);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(grant) if grant.tag == tag => Arc::clone(grant),
            _ => {
                let gate = Arc::new(Gate::shared(&self.settings.paths, &self.settings.url, tag));
                let grant =
                    Arc::new(GrantGate { tag, gate, first_look: OnceCell::new(), turn: Arc::new(Semaphore::new(1)) });
                *current = Some(Arc::clone(&grant));
                grant
            }
        }
    }
}

/// Whether a request that was throttled `times` is sent again at that time, when it is given up at another.
pub(super) fn is_tried_again(times: u32, until: Option<Instant>, give_up: Instant) -> bool {
    times <= MAX_THROTTLED_ATTEMPTS && until.is_some_and(|until| until <= give_up)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::config::Paths;
    #[cfg(target_os = "linux")]
    use crate::files::stuck::Stuck;

    fn throttle(directory: &tempfile::TempDir) -> Throttle {
        let paths = Paths { config_file: directory.path().join("c"), state_dir: directory.path().join("state") };
        Throttle::new(Arc::new(Settings::for_url(Url::parse("https://a.example/mcp").unwrap(), paths)))
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_gate_that_another_process_has_closed_holds_back_the_first_request() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (mine, other) = (throttle(&directory), throttle(&directory));
        other.close(None, MINUTE, MINUTE).await;
        assert!(mine.closed(None).await.is_some());
        assert!(mine.is_closed());
    }

    /// On the one thread of the runtime: while something blocks it, no timer goes off.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_gate_whose_file_does_not_answer_holds_up_the_request_alone_and_not_for_long() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let throttle = throttle(&directory);
        let file = Gate::file(&throttle.settings.paths, &throttle.settings.url, None);
        let _stuck = Stuck::in_place_of(file);
        // The first look, the next one, which is due by now, and a write.
        assert_eq!(throttle.closed(None).await, None);
        assert_eq!(throttle.closed(None).await, None);
        throttle.close(None, MINUTE, MINUTE).await;
        assert!(throttle.closed(None).await.is_some(), "what this process knows counts all the same");
    }

    #[tokio::test]
    async fn a_request_that_is_throttled_again_and_again_ends_with_the_refusal() {
        let now = Instant::now();
        let again = |times, until| is_tried_again(times, until, now + MINUTE);
        assert!((1..=MAX_THROTTLED_ATTEMPTS).all(|times| again(times, Some(now))));
        assert!(!again(MAX_THROTTLED_ATTEMPTS + 1, Some(now)), "however short the waits");
        assert!(again(1, Some(now + MINUTE)) && !again(1, Some(now + 2 * MINUTE)) && !again(1, None));
    }
}
