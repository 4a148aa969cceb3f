//! What this process knows of the token, and how it stays in step with the store and the other processes.
//!
//! A token is read from the store once and then lives here. Another process that changes the store raises the
//! generation number, which is looked at once a second at most, so that a request usually costs no system call.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::authorizer::{AuthState, Authorizer};
use crate::auth::bearer::step_up::StepUps;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::grants::grant::Grant;
use crate::auth::grants::profiles;
use crate::auth::login::attempt;
use crate::auth::login::attempt::Spent;
use crate::auth::{AuthError, Bearer};
use crate::store::{LockError, ProcessLock};

/// How often the generation number is looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
/// How long a request that has a token waits for news from the store.
const WITH_TOKEN: Duration = Duration::from_millis(250);
/// How long a store that failed is left alone: a locked keychain may show a question each time.
const LEAVE_ALONE: Duration = Duration::from_secs(3);
/// How long after a sign-in a refusal of its tokens is laid to the server and not to time.
const AFRESH: Duration = Duration::from_secs(300);
/// How long the token lock is waited for.
const TOKEN_LOCK: Duration = Duration::from_secs(20);

/// What is known of the token.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    current: Option<Current>,
    /// The generation that `current` was read at; `None` before the first reading.
    pub(crate) generation: Option<u64>,
    pub(crate) looked: Option<Instant>,
    failed: Option<(Instant, AuthError)>,
    pub(crate) challenge: Challenge,
    pub(crate) step_ups: StepUps,
    serial: u64,
    grants: u64,
    last_grant: String,
    /// The newest grant and token that the server has taken, by their numbers.
    accepted: (u64, u64),
    /// Holds the token lock for a rotated token that could not be saved yet.
    pub(crate) unsaved: Option<Arc<ProcessLock>>,
}

/// Whether there can be another token without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewable {
    /// It is there.
    Already,
    /// A renewal may bring it.
    Now,
    /// Only a sign-in can.
    Never,
}

/// The token in use.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) grant: Arc<Grant>,
    pub(crate) bearer: Bearer,
    /// The server takes neither it nor its refresh token any more.
    pub(crate) dead: bool,
}

impl Authorizer {
    /// The token lock, or the one that is already held for a token that could not be saved.
    pub(crate) async fn token_lock(&self) -> Result<Arc<ProcessLock>, LockError> {
        if let Some(lock) = self.memory().unsaved.clone() {
            return Ok(lock);
        }
        let lock = ProcessLock::acquire(&self.files.token_lock(), "renewing or saving a sign-in", TOKEN_LOCK).await?;
        Ok(Arc::new(lock))
    }

    pub(crate) fn current(&self) -> Option<Current> {
        self.memory().current.clone()
    }

    /// The token, if it is newer than the one that was rejected.
    pub(crate) fn newer_than(&self, rejected: Option<u64>) -> Option<Bearer> {
        let current = self.current().filter(|current| !current.dead)?;
        (rejected.is_none_or(|serial| current.bearer.serial > serial)).then_some(current.bearer)
    }

    /// Follows the store without making a request wait for it longer than it must: a token that is known is good enough
    /// while a slow store is asked for its successor.
    pub(crate) async fn keep_up(self: &Arc<Self>) -> Result<(), AuthError> {
        let has_token = {
            let mut memory = self.memory();
            let knows = memory.generation.is_some() && memory.failed.is_none();
            if knows && memory.looked.is_some_and(|at| at.elapsed() < LOOK) {
                return Ok(());
            }
            memory.looked = Some(Instant::now());
            memory.current.as_ref().is_some_and(|current| !current.dead)
        };
        if !has_token {
            return self.look().await;
        }
        if self.memory().generation == Some(self.files.generation().read()) {
            return Ok(());
        }
        let this = Arc::clone(self);
        let looking = tokio::spawn(async move { this.look().await });
        if let Ok(Ok(Err(error))) = tokio::time::timeout(WITH_TOKEN, looking).await {
            tracing::debug!(%error, "the store is silent; the known token is used");
        }
        Ok(())
    }

    /// Reads the store when the generation number says that it has changed.
    pub(crate) async fn look(&self) -> Result<(), AuthError> {
        self.look_in_turn().await.map_err(|error| error.map(|problem| self.explain(problem)))
    }

    async fn look_in_turn(&self) -> Result<(), AuthError> {
        let _turn = self.loading.lock().await;
        let generation = self.files.generation().read();
        {
            let memory = self.memory();
            // Nobody else can have a newer one while its lock is held here.
            if memory.generation == Some(generation) || memory.unsaved.is_some() {
                return Ok(());
            }
            if let Some((at, error)) = &memory.failed
                && at.elapsed() < LEAVE_ALONE
            {
                return if memory.current.is_some() { Ok(()) } else { Err(error.clone()) };
            }
        }
        match self.read_grant().await {
            // The store went back: a copy from before was put in its place. The next renewal puts that right.
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
                // What is known stays good: the store is only silent.
                if memory.current.is_some() { Ok(()) } else { Err(error) }
            }
        }
    }

    /// Whether the token in use was renewed from this stored one, which is therefore spent.
    pub(crate) fn is_older(&self, stored: &Grant) -> bool {
        self.current().is_some_and(|current| current.grant.replaces(stored))
    }

    /// The server has taken this token.
    pub fn accepted(&self, bearer: &Bearer) {
        let this = (bearer.grant, bearer.serial);
        {
            let mut memory = self.memory();
            if memory.accepted >= this {
                return;
            }
            memory.accepted = this;
        }
        self.sign_in_was_good();
        self.renewal_was_good();
    }

    /// Whether the server has taken a token of this sign-in. One that is over by the clock and cannot be renewed is
    /// refused for that reason, whatever was taken before.
    pub fn has_taken(&self, bearer: &Bearer) -> bool {
        let now = self.clock.unix_seconds();
        let is_over = |current: &Current| {
            current.bearer.serial == bearer.serial
                && current.grant.refresh_token.is_none()
                && current.grant.ends_within(now, 0)
        };
        self.memory().accepted.0 == bearer.grant && !self.current().is_some_and(|current| is_over(&current))
    }

    /// Whether there can be another token after this one without a person.
    pub fn renewable(&self, bearer: &Bearer) -> Renewable {
        match self.current().filter(|current| !current.dead) {
            Some(current) if current.bearer.serial > bearer.serial => Renewable::Already,
            Some(current) if current.grant.refresh_token.is_some() || self.is_machine() => Renewable::Now,
            _ => Renewable::Never,
        }
    }

    /// Whether somebody signed in for this grant a moment ago, and the server has taken none of its tokens since: another
    /// sign-in would end in the same way.
    pub(crate) fn is_refused_afresh(&self, current: &Current) -> bool {
        let now = self.clock.unix_seconds();
        let is_fresh = now.saturating_sub(current.grant.signed_in_at) <= AFRESH.as_secs();
        let has_ended = current.grant.refresh_token.is_none() && current.grant.ends_within(now, 0);
        is_fresh && !has_ended && self.memory().accepted.0 != current.bearer.grant
    }

    /// Looks now, whenever the last look was.
    pub(crate) async fn look_again(&self) -> Result<(), AuthError> {
        self.memory().failed = None;
        self.look().await
    }

    /// The stored grant for these settings.
    pub(crate) async fn read_grant(&self) -> Result<Option<Grant>, AuthError> {
        let Some(record) = self.store.read(&self.account).await? else {
            let kept = attempt::kept(&self.files);
            if kept.read::<String>().as_ref() == Some(&self.account) {
                // It was stored and not removed by us. Some keychains hide their items while they are locked.
                self.store.check().await?;
                kept.remove();
            }
            return Ok(None);
        };
        let mut grant = Grant::from_record(&record)?;
        let spent: Option<Spent> = attempt::spent(&self.files).read();
        if spent.is_some_and(|spent| spent.grant == grant.id && spent.renewals > grant.renewals) {
            // The process that had its successor has ended before it could save it. A server with reuse detection would
            // take the spent one for stolen. That was not refused from the start: signing in again helps.
            grant.refresh_token = None;
            grant.signed_in_at = 0;
        }
        Ok(Some(grant).filter(|grant| grant.fits(&self.settings)))
    }

    /// Saves the grant and tells the other processes. The caller holds the token lock.
    pub(crate) async fn save(&self, grant: &Grant) -> Result<(), AuthError> {
        self.store.write(&self.account, grant.to_record()).await?;
        let kept = attempt::kept(&self.files);
        if kept.read::<String>().as_ref() != Some(&self.account)
            && let Err(problem) = kept.write(&self.account)
        {
            tracing::debug!(%problem, "it is not noted that a sign-in is stored");
        }
        profiles::remember(&self.files, &self.settings, &grant.issuer);
        attempt::spent(&self.files).remove();
        match self.files.generation().bump() {
            Ok(generation) => self.memory().generation = Some(generation),
            Err(problem) => tracing::warn!(%problem, "other processes are not told of the new token"),
        }
        Ok(())
    }

    pub(crate) fn set_unsaved(&self, lock: Option<Arc<ProcessLock>>) {
        self.memory().unsaved = lock;
    }

    pub(crate) fn is_unsaved(&self) -> bool {
        self.memory().unsaved.is_some()
    }

    /// Uses this grant from now on.
    pub(crate) fn adopt(&self, grant: Option<Grant>) -> Option<Bearer> {
        self.adopt_at(grant, None)
    }

    fn adopt_at(&self, grant: Option<Grant>, generation: Option<u64>) -> Option<Bearer> {
        let (bearer, state) = {
            let mut memory = self.memory();
            memory.failed = None;
            if generation.is_some() {
                memory.generation = generation;
            }
            let old = memory.current.take();
            memory.current = grant.map(|grant| memory.wrap(old, grant));
            let bearer = memory.current.as_ref().filter(|c| !c.dead).map(|current| current.bearer.clone());
            let state = bearer.as_ref().map(|bearer| AuthState::SignedIn { grant: bearer.grant });
            (bearer, state)
        };
        match state {
            Some(state) => self.tell(state),
            None if matches!(*self.watch().borrow(), AuthState::SigningIn { .. }) => {}
            None => self.tell(AuthState::SignedOut),
        }
        bearer
    }

    /// The server takes neither this token nor its refresh token any more.
    pub(crate) fn bury(&self, serial: u64) {
        let mut memory = self.memory();
        if let Some(current) = memory.current.as_mut().filter(|current| current.bearer.serial == serial) {
            current.dead = true;
            drop(memory);
            self.tell(AuthState::SignedOut);
        }
    }
}

impl Memory {
    /// Numbers the grant: the same token keeps its serial.
    fn wrap(&mut self, old: Option<Current>, grant: Grant) -> Current {
        if grant.id != self.last_grant || self.grants == 0 {
            self.grants += 1;
            self.last_grant.clone_from(&grant.id);
        }
        let same = old.filter(|old| old.grant.access_token == grant.access_token && old.grant.id == grant.id);
        let (serial, dead) = match same {
            Some(old) => (old.bearer.serial, old.dead),
            None => {
                self.serial += 1;
                (self.serial, false)
            }
        };
        let (token, signed_in_at, tag) = (grant.access_token.clone(), grant.signed_in_at, grant.tag());
        let bearer = Bearer { token, serial, grant: self.grants, signed_in_at, tag };
        Current { grant: Arc::new(grant), bearer, dead }
    }
}
