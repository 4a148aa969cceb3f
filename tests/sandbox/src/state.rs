//! Everything that the parts of one running tenant share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use bytes::Bytes;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::counters::Board;
use crate::fault::{Change, Faults};
use crate::gate::Gate;
use crate::lock;
use crate::mcp::http_sse::OneStreams;
use crate::mcp::stream::KeptStreams;
use crate::oauth::grants::Grants;
use crate::raw::Script;
use crate::record::Recorder;
use crate::tenant::dataset::Dataset;

pub(crate) struct Tenant {
    config: RwLock<Arc<Config>>,
    /// Base URL of the API: issuer, token endpoint, MCP endpoint.
    pub(crate) api: String,
    /// Base URL of the web application: authorize endpoint.
    pub(crate) ws: String,
    /// How the listeners speak https, if they do.
    pub(crate) tls: Option<tokio_rustls::TlsAcceptor>,
    pub(crate) board: Board,
    pub(crate) faults: Faults,
    pub(crate) recorder: Recorder,
    pub(crate) script: Script,
    pub(crate) grants: Grants,
    pub(crate) data: Mutex<Dataset>,
    pub(crate) sessions: Arc<LocalSessionManager>,
    /// The standing GET streams, oldest first.
    pub(crate) streams: Mutex<Vec<mpsc::UnboundedSender<Bytes>>>,
    /// What is left of the streams that were cut.
    pub(crate) kept: KeptStreams,
    /// The streams of HTTP+SSE.
    pub(crate) one_streams: OneStreams,
    /// Holds the `slow` tool.
    pub(crate) slow: Gate,
    numbers: AtomicU64,
}

impl Tenant {
    pub(crate) fn new(
        config: Config,
        api: String,
        ws: String,
        tls: Option<tokio_rustls::TlsAcceptor>,
        sessions: LocalSessionManager,
    ) -> Self {
        Self {
            config: RwLock::new(Arc::new(config)),
            api,
            ws,
            tls,
            board: Board::default(),
            faults: Faults::default(),
            recorder: Recorder::new(),
            script: Script::default(),
            grants: Grants::default(),
            data: Mutex::new(Dataset::made_up()),
            sessions: Arc::new(sessions),
            streams: Mutex::default(),
            kept: KeptStreams::default(),
            one_streams: OneStreams::default(),
            slow: Gate::new(),
            numbers: AtomicU64::new(0),
        }
    }

    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(crate) fn configure(&self, change: impl FnOnce(&mut Config)) {
        let mut config = self.config.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(Arc::make_mut(&mut config));
    }

    pub(crate) fn mcp_url(&self) -> String {
        format!("{}/v1/mcp", self.api)
    }

    /// `value` with `{api}` and `{ws}` in its strings replaced by the base URLs.
    pub(crate) fn with_base_urls(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(text.replace("{api}", &self.api).replace("{ws}", &self.ws)),
            Value::Array(items) => items.iter().map(|item| self.with_base_urls(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, member)| (name.clone(), self.with_base_urls(member))).collect()
            }
            other => other.clone(),
        }
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) async fn change(&self, change: Change) {
        match change {
            Change::LoseSessions => self.lose_sessions().await,
            Change::ExpireAccessTokens => self.grants.expire_access_tokens(),
            Change::RevokeRefreshTokens => self.grants.revoke_refresh_tokens(),
            Change::RevokeGrants => self.grants.revoke_all(),
        }
    }

    /// Forgets every session; their workers end with the handles, and their streams with the workers.
    pub(crate) async fn lose_sessions(&self) {
        let lost = std::mem::take(&mut *self.sessions.sessions.write().await).len();
        lock(&self.streams).clear();
        self.kept.forget();
        self.one_streams.forget();
        self.board.count(|counters| counters.sessions_lost += lost as u64);
    }

    /// Writes to the newest standing stream that is still read; false when there is none.
    pub(crate) fn push(&self, bytes: &Bytes) -> bool {
        let mut streams = lock(&self.streams);
        while let Some(stream) = streams.last() {
            if stream.send(bytes.clone()).is_ok() {
                return true;
            }
            streams.pop();
        }
        false
    }
}

/// Who sends an MCP request, as the token says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    pub(crate) granted: BTreeSet<crate::tenant::permission::Permission>,
}
