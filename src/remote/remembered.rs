//! What this process knows of the server beyond the settings, and what is kept of it for the next one
//! ([`crate::store::server_memory`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;
use url::Url;

use crate::blocking::InOrder;
use crate::clock::SharedClock;
use crate::config::{Settings, TokenStoreKind, TransportKind};
use crate::limits::{REMEMBERED_ANSWER_WAIT, SESSION_END_WAIT};
use crate::message::Revision;
use crate::store::StateDir;
use crate::store::server_memory::{Known, KnownTransport, ServerMemory, ServerMemoryNote};

/// What is remembered of the server.
#[derive(Debug)]
pub struct Remembered {
    settings: Arc<Settings>,
    clock: SharedClock,
    /// `None` where nothing is kept for another process.
    note: Option<ServerMemoryNote>,
    read: OnceCell<()>,
    memory: Mutex<ServerMemory>,
    /// Whether the address that redirects led to has answered in this process.
    is_proven: AtomicBool,
    /// Whether the configured address is asked first, to see whether it leads there still.
    is_doubted: AtomicBool,
    in_order: InOrder,
}

impl Remembered {
    /// What is remembered for these settings; reads nothing yet. A user who keeps tokens in memory wants to leave nothing
    /// behind.
    pub(super) fn new(settings: Arc<Settings>, clock: SharedClock, is_kept: bool) -> Arc<Self> {
        let is_kept = is_kept && settings.token_store != TokenStoreKind::Memory;
        let note = is_kept.then(|| {
            let files = StateDir::new(&settings.paths.state_dir, &settings.profile);
            ServerMemoryNote::new(&files, settings.shown_url())
        });
        let (read, memory, is_proven, is_doubted, in_order) = Default::default();
        Arc::new(Self { settings, clock, note, read, memory, is_proven, is_doubted, in_order })
    }

    /// Reads the record, once. A state directory that does not answer has nothing.
    pub async fn load(&self) {
        let Some(note) = self.note.as_ref().filter(|_| !self.read.initialized()) else { return };
        let read = async {
            let (note, now) = (note.clone(), self.clock.unix_seconds());
            let reading = self.in_order.run(move || note.good(now));
            if let Ok(found) = tokio::time::timeout(REMEMBERED_ANSWER_WAIT, reading).await {
                *self.lock() = found;
            }
        };
        // Boxed, because it is needed once, and each request has room for all that its future may hold.
        Box::pin(self.read.get_or_init(|| read)).await;
    }

    /// Where permanent redirects lead, unless that is doubted.
    pub(super) fn address(&self) -> Option<Url> {
        if self.is_doubted.load(Ordering::Acquire) { None } else { self.lock().address(&self.settings.url) }
    }

    /// A message to the configured address was answered from there, after permanent redirects if `moved`.
    pub(super) fn answered_from(&self, moved: Option<&Url>) {
        let was_doubted = self.is_doubted.swap(false, Ordering::AcqRel);
        if let Some(target) = moved {
            self.prove();
            let path = ServerMemory::path_of(&self.settings.url, target);
            self.set(path, |memory| &mut memory.path);
        } else if was_doubted {
            self.has_not_moved();
        }
    }

    /// What was known of another address does not work.
    pub(super) fn has_not_moved(&self) {
        self.is_proven.store(false, Ordering::Release);
        self.set(None, |memory| &mut memory.path);
    }

    /// Whether the remembered address has answered in this process.
    pub(super) fn is_proven(&self) -> bool {
        self.is_proven.load(Ordering::Acquire)
    }

    /// The remembered address has answered.
    pub(super) fn prove(&self) {
        self.is_proven.store(true, Ordering::Release);
    }

    /// The configured address says whether it leads there still.
    pub(super) fn doubt(&self) {
        self.is_doubted.store(true, Ordering::Release);
    }

    /// The revision to ask for in the place of this newer one.
    pub fn revision_instead_of(&self, asked: &Revision) -> Option<Revision> {
        let known = self.lock().revision.clone().map(|known| known.value);
        known.filter(|known| known < asked && known.is_known() && !known.is_stateless())
    }

    /// The server has refused newer revisions and taken this one; `None` when it has taken the client's, or refuses what
    /// was known.
    pub fn takes_revision(&self, revision: Option<Revision>) {
        self.set(revision, |memory| &mut memory.revision);
    }

    /// Whether the server has spoken HTTP+SSE, and the settings leave the choice.
    pub(super) fn speaks_http_sse(&self) -> bool {
        self.settings.transport == TransportKind::Auto && self.lock().transport.is_some()
    }

    /// Whether the server speaks HTTP+SSE.
    pub(super) fn set_http_sse(&self, speaks: bool) {
        self.set(speaks.then_some(KnownTransport::HttpSse), |memory| &mut memory.transport);
    }

    /// Sets one thing, here and in the record. Nobody waits for the writing.
    fn set<T: PartialEq + Clone + Send + 'static>(
        &self,
        value: Option<T>,
        of: impl Fn(&mut ServerMemory) -> &mut Option<Known<T>> + Send + 'static,
    ) {
        let now = self.clock.unix_seconds();
        let known = value.map(|value| Known { value, since: now });
        {
            let mut memory = self.lock();
            let held = of(&mut memory);
            if held.as_ref().map(|known| &known.value) == known.as_ref().map(|known| &known.value) {
                return;
            }
            held.clone_from(&known);
        }
        let Some(note) = self.note.clone() else { return };
        self.in_order.spawn(move || {
            if let Err(problem) = note.change(now, |memory| *of(memory) = known) {
                tracing::debug!(%problem, "what was learnt of the server is not remembered");
            }
        });
    }

    /// All that is known now.
    pub fn learnt(&self) -> ServerMemory {
        self.lock().clone()
    }

    /// Waits until everything is written, no longer than for the end of the session.
    pub async fn written(&self) {
        let _ = tokio::time::timeout(SESSION_END_WAIT, self.in_order.run(|| ())).await;
    }

    fn lock(&self) -> MutexGuard<'_, ServerMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
