//! The token in use, kept in step with the store and the other processes.
//!
//! A token is read from the store once and then cached here. A process that changes the store increments the generation
//! number, which is read at most once a second, so a request usually costs no system call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::auth::bearer::state::{AuthState, Bearer, Renewable};
use crate::auth::context::Context;
use crate::auth::error::AuthError;
use crate::auth::grants::grant::Grant;
use crate::auth::grants::stored;
use crate::blocking;
use crate::limits::STORE_WAIT_WITH_TOKEN;
use crate::store::{LockError, ProcessLock};

/// The minimum time between two reads of the generation number.
const GENERATION_POLL: Duration = Duration::from_secs(1);
/// How long a failed store is left alone: a locked keychain may show a dialog each time.
const STORE_RETRY_PAUSE: Duration = Duration::from_secs(3);
/// How long after a sign-in the rejection of its tokens is blamed on the server, not on expiry.
const FRESH_GRANT_AGE: Duration = Duration::from_secs(300);

/// The token in use, kept in step with the store.
#[derive(Debug)]
pub(crate) struct TokenCache {
    ctx: Arc<Context>,
    memory: Mutex<Memory>,
    /// Serialises reads of the store.
    loading: tokio::sync::Mutex<()>,
    state: watch::Sender<AuthState>,
}

#[derive(Debug, Default)]
struct Memory {
    current: Option<Current>,
    /// The generation at which `current` was read; `None` before the first read.
    generation: Option<u64>,
    generation_read: Option<Instant>,
    failed: Option<(Instant, AuthError)>,
    serial: u64,
    grants: u64,
    last_grant: String,
    /// The newest grant and token that the server has accepted, as their numbers.
    accepted: (u64, u64),
    /// Holds the token lock for a rotated token that could not be saved yet.
    unsaved: Option<Arc<ProcessLock>>,
}

/// The token in use.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) grant: Arc<Grant>,
    pub(crate) bearer: Bearer,
    /// The server accepts neither it nor its refresh token any more.
    pub(crate) is_ended: bool,
}

impl TokenCache {
    pub(crate) fn new(ctx: Arc<Context>) -> Self {
        Self {
            ctx,
            memory: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            state: watch::Sender::new(AuthState::SignedOut),
        }
    }

    /// The newest token, even if it has ended.
    pub(crate) fn current(&self) -> Option<Current> {
        self.memory().current.clone()
    }

    /// The token for requests.
    pub(crate) fn usable(&self) -> Option<Current> {
        self.current().filter(|current| !current.is_ended)
    }

    /// The usable token, if it is newer than the rejected one.
    pub(crate) fn newer_than(&self, rejected: Option<u64>) -> Option<Bearer> {
        let current = self.usable()?;
        (rejected.is_none_or(|serial| current.bearer.serial > serial)).then_some(current.bearer)
    }

    /// Whether another token after this one can be obtained without a person.
    pub(crate) fn renewable(&self, bearer: &Bearer) -> Renewable {
        match self.usable() {
            Some(current) if current.bearer.serial > bearer.serial => Renewable::Already,
            Some(current) if current.grant.refresh_token.is_some() || self.ctx.uses_client_credentials() => {
                Renewable::Now
            }
            _ => Renewable::Never,
        }
    }

    /// Follows the store, without making a request wait longer than necessary: the current token is good enough while a
    /// slow store is read.
    pub(crate) async fn follow_store(self: &Arc<Self>) -> Result<(), AuthError> {
        let has_token = {
            let mut memory = self.memory();
            let is_read = memory.generation.is_some() && memory.failed.is_none();
            if is_read && memory.generation_read.is_some_and(|at| at.elapsed() < GENERATION_POLL) {
                return Ok(());
            }
            memory.generation_read = Some(Instant::now());
            memory.current.as_ref().is_some_and(|current| !current.is_ended)
        };
        if !has_token {
            return self.reload_if_changed().await;
        }
        if self.loading.try_lock().is_err() {
            // It is already being read.
            return Ok(());
        }
        let this = Arc::clone(self);
        let reloading = tokio::spawn(async move { this.reload_if_changed().await });
        if let Ok(Ok(Err(error))) = tokio::time::timeout(STORE_WAIT_WITH_TOKEN, reloading).await {
            tracing::debug!(%error, "the store does not answer; the token from before is used");
        }
        Ok(())
    }

    /// Reads the store if the generation number says that it has changed.
    pub(crate) async fn reload_if_changed(&self) -> Result<(), AuthError> {
        self.reload_in_turn().await.map_err(|error| error.map(|problem| self.ctx.explain(problem)))
    }

    /// The same, even if the store failed a moment ago.
    pub(crate) async fn reload(&self) -> Result<(), AuthError> {
        self.memory().failed = None;
        self.reload_if_changed().await
    }

    async fn reload_in_turn(&self) -> Result<(), AuthError> {
        let _turn = self.loading.lock().await;
        let files = self.ctx.files.clone();
        let generation = blocking::run(move || files.generation().read()).await;
        {
            let memory = self.memory();
            // While this process holds the lock, nobody else can have a newer one.
            if memory.generation == Some(generation) || memory.unsaved.is_some() {
                return Ok(());
            }
            if let Some((at, error)) = &memory.failed
                && at.elapsed() < STORE_RETRY_PAUSE
            {
                return if memory.current.is_some() { Ok(()) } else { Err(error.clone()) };
            }
        }
        match stored::read(&self.ctx).await {
            // The store has gone back, as after restoring a backup. The next renewal corrects that.
            Ok(Some(stored)) if self.is_older(&stored) => {
                tracing::warn!("the stored token is older than the one in use, which is kept");
                self.memory().generation = Some(generation);
                Ok(())
            }
            Ok(grant) => {
                self.adopt_at(grant, Some(generation));
                Ok(())
            }
            Err(error) => {
                let mut memory = self.memory();
                memory.failed = Some((Instant::now(), error.clone()));
                // The current token stays valid: the store just does not answer.
                if memory.current.is_some() { Ok(()) } else { Err(error) }
            }
        }
    }

    /// The generation at which the store was last read.
    pub(crate) fn generation(&self) -> Option<u64> {
        self.memory().generation
    }

    /// Whether the current token was renewed from this stored one, which is therefore spent.
    pub(crate) fn is_older(&self, stored: &Grant) -> bool {
        self.current().is_some_and(|current| current.grant.replaces(stored))
    }

    /// The token lock, or the one that is already held for a token that could not be saved.
    pub(crate) async fn token_lock(&self) -> Result<Arc<ProcessLock>, LockError> {
        if let Some(lock) = self.memory().unsaved.clone() {
            return Ok(lock);
        }
        Ok(Arc::new(stored::lock(&self.ctx).await?))
    }

    /// Saves the grant, so that the other processes notice; the caller holds the token lock.
    pub(crate) async fn save(&self, grant: &Grant) -> Result<(), AuthError> {
        if let Some(generation) = stored::write(&self.ctx, grant).await? {
            self.memory().generation = Some(generation);
        }
        Ok(())
    }

    /// Keeps the token lock for a token that could not be saved, or releases it.
    pub(crate) fn set_unsaved(&self, lock: Option<Arc<ProcessLock>>) {
        self.memory().unsaved = lock;
    }

    /// Whether the current token still has to be saved.
    pub(crate) fn is_unsaved(&self) -> bool {
        self.memory().unsaved.is_some()
    }

    /// Uses this grant from now on.
    pub(crate) fn adopt(&self, grant: Option<Grant>) -> Option<Bearer> {
        self.adopt_at(grant, None)
    }

    fn adopt_at(&self, grant: Option<Grant>, generation: Option<u64>) -> Option<Bearer> {
        let bearer = {
            let mut memory = self.memory();
            memory.failed = None;
            if generation.is_some() {
                memory.generation = generation;
            }
            let old = memory.current.take();
            memory.current = grant.map(|grant| memory.number(old, grant));
            memory.current.as_ref().filter(|current| !current.is_ended).map(|current| current.bearer.clone())
        };
        match &bearer {
            Some(bearer) => self.set_state(AuthState::SignedIn { grant: bearer.grant }),
            None if matches!(*self.state.borrow(), AuthState::SigningIn { .. }) => {}
            None => self.set_state(AuthState::SignedOut),
        }
        bearer
    }

    /// Records that the server accepts neither this token nor its refresh token any more.
    pub(crate) fn end(&self, serial: u64) {
        let mut memory = self.memory();
        if let Some(current) = memory.current.as_mut().filter(|current| current.bearer.serial == serial) {
            current.is_ended = true;
            drop(memory);
            self.set_state(AuthState::SignedOut);
        }
    }

    /// Records that the server has accepted this token; returns whether that is new.
    pub(crate) fn accepted(&self, bearer: &Bearer) -> bool {
        let this = (bearer.grant, bearer.serial);
        let mut memory = self.memory();
        let is_news = memory.accepted < this;
        if is_news {
            memory.accepted = this;
        }
        is_news
    }

    /// Whether the server has accepted a token of this sign-in. An expired token that cannot be renewed does not count:
    /// it is refused because it has expired.
    pub(crate) fn has_accepted(&self, bearer: &Bearer) -> bool {
        let now = self.ctx.now();
        let is_over = |current: &Current| {
            current.bearer.serial == bearer.serial
                && current.grant.refresh_token.is_none()
                && current.grant.ends_within(now, 0)
        };
        self.memory().accepted.0 == bearer.grant && !self.current().is_some_and(|current| is_over(&current))
    }

    /// Whether the server has accepted this token, or a later one.
    pub(crate) fn has_accepted_token(&self, serial: u64) -> bool {
        self.memory().accepted.1 >= serial
    }

    /// Whether somebody signed in for this grant a moment ago, and the server has accepted none of its tokens: another
    /// sign-in would end the same way.
    pub(crate) fn is_rejected_afresh(&self, current: &Current) -> bool {
        let now = self.ctx.now();
        let is_fresh = now.saturating_sub(current.grant.signed_in_at) <= FRESH_GRANT_AGE.as_secs();
        let has_ended = current.grant.refresh_token.is_none() && current.grant.ends_within(now, 0);
        is_fresh && !has_ended && self.memory().accepted.0 != current.bearer.grant
    }

    /// Every change of the sign-in's state.
    pub(crate) fn watch(&self) -> watch::Receiver<AuthState> {
        self.state.subscribe()
    }

    pub(crate) fn state(&self) -> AuthState {
        self.state.borrow().clone()
    }

    pub(crate) fn set_state(&self, state: AuthState) {
        self.state.send_if_modified(|old| {
            let changed = *old != state;
            *old = state;
            changed
        });
    }

    /// Records that a sign-in is running, and its page if known. While the current token is usable, the state stays
    /// signed in: the sign-in is for a wider scope.
    pub(crate) fn set_signing_in(&self, link: Option<String>) {
        if self.newer_than(None).is_none() {
            self.set_state(AuthState::SigningIn { link });
        }
    }

    /// Makes the next request read the generation number.
    #[cfg(test)]
    pub(crate) fn forget_generation_read(&self) {
        self.memory().generation_read = None;
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Numbers the grant: the same token keeps its serial.
    fn number(&mut self, old: Option<Current>, grant: Grant) -> Current {
        if grant.id != self.last_grant || self.grants == 0 {
            self.grants += 1;
            self.last_grant.clone_from(&grant.id);
        }
        let same = old.filter(|old| old.grant.access_token == grant.access_token && old.grant.id == grant.id);
        let (serial, is_ended) = match same {
            Some(old) => (old.bearer.serial, old.is_ended),
            None => {
                self.serial += 1;
                (self.serial, false)
            }
        };
        let (token, signed_in_at, tag) = (grant.access_token.clone(), grant.signed_in_at, grant.tag());
        let bearer = Bearer { token, serial, grant: self.grants, signed_in_at, tag };
        Current { grant: Arc::new(grant), bearer, is_ended }
    }
}
