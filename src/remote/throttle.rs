//! The gate that a 429 closes, for the requests of this process.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use tokio::time::Duration;

use crate::auth::Bearer;
use crate::config::Settings;
use crate::http::Gate;
use crate::http::rate_limit_gate::Closed;

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
    /// The file that other processes write is first read on another thread: later looks find its state cached.
    first_look: OnceCell<()>,
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
        if !grant.first_look.initialized() {
            let look = || async {
                let gate = Arc::clone(&grant.gate);
                // If the thread fails, the next look happens on this one.
                let _ = spawn_blocking(move || gate.closed()).await;
            };
            grant.first_look.get_or_init(look).await;
        }
        grant.gate.closed()
    }

    /// Closes the gate for `wait`, because the server asked for `asked`. The file is written on another thread.
    pub(super) async fn close(&self, bearer: Option<&Bearer>, wait: Duration, asked: Duration) {
        let gate = Arc::clone(&self.gate_of(bearer).gate);
        // If the thread fails, the server's next 429 closes the gate.
        let _ = spawn_blocking(move || gate.close_for(wait, asked)).await;
    }

    /// The gate that this token's grant shares with the other processes that use it.
    fn gate_of(&self, bearer: Option<&Bearer>) -> Arc<GrantGate> {
        let tag = bearer.map(|bearer| bearer.tag);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(grant) if grant.tag == tag => Arc::clone(grant),
            _ => {
                let gate = Arc::new(Gate::shared(&self.settings.paths, &self.settings.url, tag));
                let grant = Arc::new(GrantGate { tag, gate, first_look: OnceCell::new() });
                *current = Some(Arc::clone(&grant));
                grant
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use url::Url;

    use super::*;
    use crate::config::Paths;

    fn throttle(directory: &tempfile::TempDir) -> Throttle {
        let paths = Paths { config_file: directory.path().join("c"), state_dir: directory.path().join("state") };
        Throttle::new(Arc::new(Settings::for_url(Url::parse("https://a.example/mcp").unwrap(), paths)))
    }

    /// Whether the future gives the thread back before it is over; it is over then.
    async fn gives_way<T>(future: impl Future<Output = T>) -> (bool, T) {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => (false, value),
            Poll::Pending => (true, future.await),
        }
    }

    #[tokio::test]
    async fn the_file_of_a_gate_is_first_read_and_always_written_on_another_thread() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (mine, other) = (throttle(&directory), throttle(&directory));
        let minute = Duration::from_secs(60);
        assert_eq!(gives_way(other.close(None, minute, minute)).await, (true, ()));
        let (gave_way, closed) = gives_way(mine.closed(None)).await;
        assert!(gave_way && closed.is_some(), "{closed:?}");
        let (gave_way, closed) = gives_way(mine.closed(None)).await;
        assert!(!gave_way && closed.is_some(), "a request pays for another thread only once");
        assert!(mine.is_closed());
    }
}
