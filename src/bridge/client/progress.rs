//! Telling a client that gave a progress token that its request waits, and for what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::SemaphorePermit;
use tokio::time::Duration;

use crate::bridge::client::output::Output;
use crate::bridge::client::responder::InFlight;
use crate::bridge::{Bridge, Flag};

/// How often a client is told that its request still waits.
pub const TELL_EVERY: Duration = Duration::from_secs(10);

/// How long a request waits for its turn before its client is told: most are served sooner.
const FIRST_TOLD: Duration = Duration::from_secs(1);

/// Where the client wants to hear of a request's progress.
#[derive(Debug)]
pub struct Progress {
    /// As it was written.
    token: Box<RawValue>,
    output: Output,
    /// Our own progress must rise through all waits of the request, and the server's go on rising from where it ends; so
    /// it stays close to nothing.
    told: AtomicU32,
    /// The server has begun to speak of it; from then on it is the server's alone.
    begun: Arc<Flag>,
}

impl Progress {
    /// For a request with this token.
    pub fn new(token: &RawValue, output: &Output, begun: &Arc<Flag>) -> Self {
        Self { token: token.to_owned(), output: output.clone(), told: AtomicU32::new(0), begun: Arc::clone(begun) }
    }

    /// Says what the request waits for.
    pub fn tell(&self, message: &str) {
        if self.begun.is_raised() {
            return;
        }
        let n = self.told.fetch_add(1, Ordering::Relaxed) + 1;
        let params = json!({ "progress": f64::from(n) * 1e-6, "message": message }).to_string();
        let params = params.replacen('{', &format!("{{\"progressToken\":{},", self.token), 1);
        self.output
            .push(Bytes::from(format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)));
    }

    /// Says that the server limits the rate of calls.
    pub fn tell_throttled(&self, wait: Duration) {
        self.tell(&format!("The server limits the rate of calls; waiting {} s.", wait.as_secs().max(1)));
    }
}

impl Bridge {
    /// Waits for a place among the requests that the server takes at once, and tells the request's progress token so.
    pub(crate) async fn place(&self, request: &InFlight) -> Option<SemaphorePermit<'_>> {
        let place = self.places.acquire();
        tokio::pin!(place);
        let mut pause = FIRST_TOLD;
        loop {
            tokio::select! {
                biased;
                place = &mut place => return place.ok(),
                () = tokio::time::sleep(pause), if request.progress.is_some() => {
                    pause = TELL_EVERY;
                    let text = "As many calls as the server takes are under way; this one waits for one of them to end.";
                    request.progress.iter().for_each(|progress| progress.tell(text));
                }
            }
        }
    }
}
