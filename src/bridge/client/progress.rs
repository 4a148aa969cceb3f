//! The bridge's own progress notifications: a client that gave a progress token learns that its request waits, and for
//! what.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::Duration;

use super::flag::Flag;
use super::output::Output;

/// The interval at which a client learns that its request still waits.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Reports the progress of one request.
#[derive(Debug)]
pub struct Progress {
    /// The token in its original spelling.
    token: Box<RawValue>,
    output: Output,
    /// Progress must increase across all waits of the request, and the server's must continue from there, so our values
    /// stay close to zero (MCP, "Progress").
    sent: AtomicU32,
    /// Once the server has sent something about the request, only the server reports progress.
    server_has_begun: Arc<Flag>,
}

impl Progress {
    /// For a request with this token.
    pub fn new(token: &RawValue, output: &Output, server_has_begun: &Arc<Flag>) -> Self {
        let server_has_begun = Arc::clone(server_has_begun);
        Self { token: token.to_owned(), output: output.clone(), sent: AtomicU32::new(0), server_has_begun }
    }

    /// Reports what the request waits for.
    pub fn send(&self, message: &str) {
        if self.server_has_begun.is_raised() {
            return;
        }
        let n = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let params = json!({ "progress": f64::from(n) * 1e-6, "message": message }).to_string();
        let params = params.replacen('{', &format!("{{\"progressToken\":{},", self.token), 1);
        self.output
            .push(Bytes::from(format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)));
    }

    /// A callback that reports each time a rate limit makes the request wait.
    pub fn on_throttled(self: Arc<Self>) -> Arc<dyn Fn(Duration) + Send + Sync> {
        Arc::new(move |wait| {
            self.send(&format!("The server is rate-limiting; waiting {} s.", wait.as_secs().max(1)));
        })
    }
}

/// Waits for `awaited`. Meanwhile reports what for: after `first`, and then every [`PROGRESS_INTERVAL`].
pub async fn while_waiting<T>(
    progress: Option<&Progress>,
    first: Duration,
    message: impl Fn() -> String,
    awaited: impl Future<Output = T>,
) -> T {
    let Some(progress) = progress else { return awaited.await };
    tokio::pin!(awaited);
    let mut pause = first;
    loop {
        tokio::select! {
            biased;
            value = &mut awaited => return value,
            () = tokio::time::sleep(pause) => {
                pause = PROGRESS_INTERVAL;
                progress.send(&message());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_waiting_client_hears_of_it_every_ten_seconds_until_the_server_has_begun() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let (output, written) = Output::start(writer);
        let server_has_begun = Arc::<Flag>::default();
        let token: &RawValue = serde_json::from_str("\"t\"").expect("JSON");
        let progress = Progress::new(token, &output, &server_has_begun);
        let second = Duration::from_secs(1);
        let waiting = || "Waiting.".to_owned();
        while_waiting(Some(&progress), 2 * second, waiting, tokio::time::sleep(second)).await;
        while_waiting(Some(&progress), 2 * second, waiting, tokio::time::sleep(13 * second)).await;
        server_has_begun.raise();
        while_waiting(Some(&progress), second, waiting, tokio::time::sleep(20 * second)).await;
        output.finish();
        written.wait().await;
        drop((progress, output));
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("readable");
        let line = |value: &str| {
            format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":\"t\",\"message\":\"Waiting.\",\"progress\":{value}}}}}\n"
            )
        };
        assert_eq!(text, line("1e-6") + &line("2e-6"));
    }
}
