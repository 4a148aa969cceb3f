//! What the tenant counted, and waiting for it to count something.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::lock;

/// What happened since the tenant started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// TCP connections accepted.
    pub connections: u64,
    /// JSON-RPC methods that reached the MCP endpoint, refused ones included.
    pub methods: BTreeMap<String, u64>,
    /// Tools that were executed.
    pub tools: BTreeMap<String, u64>,
    /// Answers by place and status, as in `mcp 200`.
    pub statuses: BTreeMap<String, u64>,
    /// MCP requests refused for want of a valid token.
    pub unauthorized: u64,
    /// Sessions that `initialize` opened.
    pub sessions_created: u64,
    /// Sessions that a DELETE ended.
    pub sessions_deleted: u64,
    /// Sessions that the tenant lost on demand.
    pub sessions_lost: u64,
    /// Standing GET streams that are open now.
    pub streams_open: u64,
    /// Standing GET streams that were opened.
    pub streams_opened: u64,
    /// Streams taken up again with `Last-Event-ID`.
    pub streams_resumed: u64,
    /// Requests to the authorize endpoint.
    pub authorize_hits: u64,
    /// Of these, how many ended on one of the error pages.
    pub authorize_refused: u64,
    /// Consent pages shown.
    pub consents_shown: u64,
    /// Consents given, automatic ones included.
    pub consents_granted: u64,
    /// Consents refused.
    pub consents_denied: u64,
    /// Authorization codes exchanged for tokens.
    pub code_exchanges: u64,
    /// Authorization codes refused.
    pub code_refusals: u64,
    /// Refreshes that gave a token.
    pub refreshes: u64,
    /// Refreshes that were refused, reuse included.
    pub refresh_refusals: u64,
    /// Refresh tokens that were used a second time.
    pub refresh_reuse: u64,
    /// Token requests refused as `invalid_client`.
    pub client_refusals: u64,
    /// Requests without TLS to a listener that speaks https.
    pub without_tls: u64,
    /// What the proxy was asked for and does not know.
    pub proxy_refusals: u64,
    /// Faults that took effect.
    pub faults_fired: u64,
    /// Answers that a test scripted.
    pub raw_replies: u64,
}

impl Counters {
    /// How often a tool was executed.
    pub fn tool(&self, name: &str) -> u64 {
        self.tools.get(name).copied().unwrap_or_default()
    }

    /// How many tools were executed altogether.
    pub fn tool_executions(&self) -> u64 {
        self.tools.values().sum()
    }

    /// How often a JSON-RPC method reached the MCP endpoint.
    pub fn method(&self, name: &str) -> u64 {
        self.methods.get(name).copied().unwrap_or_default()
    }

    /// How often the MCP endpoint answered with a status.
    pub fn mcp_status(&self, status: u16) -> u64 {
        self.statuses.get(&format!("mcp {status}")).copied().unwrap_or_default()
    }

    /// How often the token endpoint answered with a status.
    pub fn token_status(&self, status: u16) -> u64 {
        self.statuses.get(&format!("token {status}")).copied().unwrap_or_default()
    }
}

/// A condition that did not come true in time.
#[derive(Debug, Clone)]
pub struct Timeout {
    /// How long it was waited for.
    pub after: Duration,
    /// What had been counted by then.
    pub counters: Box<Counters>,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing of the kind happened within {:?}; counted so far: {:#?}", self.after, self.counters)
    }
}

impl std::error::Error for Timeout {}

/// The counters and those who wait for them to change.
#[derive(Debug, Default)]
pub(crate) struct Board {
    counters: Mutex<Counters>,
    changed: Condvar,
    changed_async: Notify,
}

impl Board {
    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut lock(&self.counters));
        self.changed.notify_all();
        self.changed_async.notify_waiters();
    }

    pub(crate) fn snapshot(&self) -> Counters {
        lock(&self.counters).clone()
    }

    /// Blocks until `look` finds something; it is asked again after each change.
    pub(crate) fn wait<T>(&self, within: Duration, mut look: impl FnMut(&Counters) -> Option<T>) -> Result<T, Timeout> {
        let deadline = Instant::now() + within;
        let mut counters = lock(&self.counters);
        loop {
            if let Some(found) = look(&counters) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Timeout { after: within, counters: Box::new(counters.clone()) });
            }
            counters = self.changed.wait_timeout(counters, left).unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// The same without blocking the thread.
    pub(crate) async fn wait_async<T>(
        &self,
        within: Duration,
        mut look: impl FnMut(&Counters) -> Option<T>,
    ) -> Result<T, Timeout> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let mut changed = std::pin::pin!(self.changed_async.notified());
            changed.as_mut().enable();
            let found = look(&lock(&self.counters));
            if let Some(found) = found {
                return Ok(found);
            }
            if tokio::time::timeout_at(deadline, changed).await.is_err() {
                return Err(Timeout { after: within, counters: Box::new(self.snapshot()) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn waiting_ends_with_the_change_and_not_before() {
        let board = Arc::new(Board::default());
        let two = |counters: &Counters| (counters.refreshes == 2).then_some(());
        let early = board.wait_async(Duration::ZERO, two).await;
        assert_eq!(early.expect_err("nothing was counted").counters.refreshes, 0);
        assert!(board.wait(Duration::ZERO, two).is_err());
        let counting = board.clone();
        let (waited, ()) = tokio::join!(board.wait_async(Duration::from_secs(10), two), async move {
            for _ in 0..2 {
                counting.count(|counters| counters.refreshes += 1);
                tokio::task::yield_now().await;
            }
        });
        waited.expect("counted");
        board.wait(Duration::ZERO, two).expect("still so");
    }
}
