//! The gate that a 429 closes, for the requests of this process.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Duration, Instant, timeout};

use crate::auth::{Authorizer, Bearer};
use crate::blocking;
use crate::config::Settings;
use crate::http::rate_limit_gate::Closed;
use crate::http::{Gate, host_of};
use crate::limits::{MAX_THROTTLED_ATTEMPTS, SHARED_GATE_WAIT};
use crate::pacing::{noise, spread};
use crate::problem::{Problem, ProblemId};

use super::failure::Failure;
use super::outgoing::Outgoing;
use super::refusal::with_wait;

/// The interval at which a client learns that its request still waits at a closed gate.
const WAIT_NOTICE_INTERVAL: Duration = Duration::from_secs(10);
/// The most that is added to a wait at the gate, so that waiting requests do not all leave at once.
const GATE_SPREAD: Duration = Duration::from_millis(250);

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

    /// Waits until the gate is open, notifying the sender of `out` from time to time; returns the token to send.
    ///
    /// # Errors When the gate cannot open before `give_up`, and as [`Authorizer::bearer`].
    pub(super) async fn pass(
        &self,
        auth: &Authorizer,
        out: Option<&Outgoing>,
        give_up: Option<Instant>,
    ) -> Result<Option<Bearer>, Failure> {
        loop {
            let bearer = auth.bearer().await?;
            let Some(closed) = self.closed(bearer.as_ref()).await else { return Ok(bearer) };
            if give_up.is_some_and(|end| end.saturating_duration_since(Instant::now()) < closed.asked) {
                let problem = Problem::new(ProblemId::RateLimited).with("host", host_of(&self.settings.url));
                return Err(with_wait(problem, Some(closed.asked)).into());
            }
            if let Some(notify) = out.and_then(|out| out.on_wait.as_ref()) {
                notify(closed.left);
            }
            let pause = closed.left.min(WAIT_NOTICE_INTERVAL);
            let jitter = spread(closed.left, GATE_SPREAD, noise()).saturating_sub(closed.left);
            tokio::time::sleep(pause + jitter).await;
        }
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
