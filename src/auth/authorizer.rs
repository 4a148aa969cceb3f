//! The owner of the sign-in's state: which token is in use, since when, and who is told.
//!
//! A token is read from the store once and then lives here. Another process that changes the store raises the
//! generation number, which is looked at once a second at most, so that a request usually costs no system call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::challenge::Challenge;
use super::record::{Accounts, Grant, GrantSummary};
use super::renewal::Renewals;
use super::sign_in::SignIns;
use super::spawn::Program;
use super::{AuthError, Bearer, client, pending};
use crate::clock::SharedClock;
use crate::config::{Product, Settings};
use crate::http::Http;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;
use crate::store::{Backend, ProcessLock, StateDir, Store};

/// How often the generation number is looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
/// How long a store that failed is left alone: a locked keychain may show a question each time.
const LEAVE_ALONE: Duration = Duration::from_secs(3);
/// How long the token lock is waited for.
pub(super) const TOKEN_LOCK: Duration = Duration::from_secs(20);

/// Whether somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthState {
    /// Nobody is.
    SignedOut,
    /// A sign-in is under way.
    SigningIn {
        /// The page to sign in at, once it is known.
        link: Option<String>,
    },
    /// Somebody is.
    SignedIn {
        /// As [`Bearer::grant`].
        grant: u64,
    },
}

/// What `status` shows.
#[derive(Debug, Clone)]
pub struct Status {
    /// The sign-in, when there is one.
    pub grant: Option<GrantSummary>,
    /// Whether a static token is used instead.
    pub static_token: bool,
    /// Whether a sign-in is under way in some process.
    pub signing_in: bool,
    /// Where tokens lie.
    pub backend: Backend,
    /// Why the store could not be asked.
    pub store_problem: Option<Problem>,
}

/// The one source of tokens in a process.
#[derive(Debug)]
pub struct Authorizer {
    pub(super) settings: Arc<Settings>,
    pub(super) http: Http,
    pub(super) store: Store,
    pub(super) clock: SharedClock,
    pub(super) files: StateDir,
    pub(super) account: String,
    pub(super) renewals: Renewals,
    pub(super) sign_ins: SignIns,
    memory: Mutex<Memory>,
    loading: tokio::sync::Mutex<()>,
    state: watch::Sender<AuthState>,
    program: Option<Program>,
}

/// What is known of the token.
#[derive(Debug, Default)]
struct Memory {
    current: Option<Current>,
    /// The generation that `current` was read at; `None` before the first reading.
    generation: Option<u64>,
    looked: Option<Instant>,
    failed: Option<(Instant, AuthError)>,
    challenge: Challenge,
    serial: u64,
    grants: u64,
    last_grant: String,
    /// Holds the token lock for a rotated token that could not be saved yet.
    unsaved: Option<Arc<ProcessLock>>,
}

/// The token in use.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) grant: Arc<Grant>,
    pub(super) bearer: Bearer,
    /// The server takes neither it nor its refresh token any more.
    pub(super) dead: bool,
}

impl Authorizer {
    /// The authorizer of this process; reads nothing yet.
    pub fn new(settings: Arc<Settings>, http: Http, store: Store, clock: SharedClock) -> Arc<Self> {
        Self::with_program(settings, http, store, clock, Program::this().ok())
    }

    /// The same with another program to start for a sign-in.
    pub fn with_program(
        settings: Arc<Settings>,
        http: Http,
        store: Store,
        clock: SharedClock,
        program: Option<Program>,
    ) -> Arc<Self> {
        Arc::new(Self {
            files: StateDir::new(&settings.paths.state_dir, &settings.profile),
            account: Accounts::grant(&settings),
            settings,
            http,
            store,
            clock,
            renewals: Renewals::default(),
            sign_ins: SignIns::default(),
            memory: Mutex::default(),
            loading: tokio::sync::Mutex::default(),
            state: watch::Sender::new(AuthState::SignedOut),
            program,
        })
    }

    /// The token to send, renewed ahead of its end; `None` when nobody is signed in, so that the request goes without
    /// one and earns a challenge.
    pub async fn bearer(self: &Arc<Self>) -> Result<Option<Bearer>, AuthError> {
        if let Some(token) = &self.settings.static_token {
            return Ok(Some(static_bearer(token)));
        }
        if self.is_due() {
            self.look().await?;
        }
        let Some(current) = self.current().filter(|current| !current.dead) else {
            self.follow();
            return Ok(None);
        };
        let now = self.clock.unix_seconds();
        if current.grant.refresh_token.is_none() || !current.grant.ends_within(now, current.grant.margin()) {
            // Without a refresh token the server decides whether it is still good; our clock may be wrong.
            return Ok(Some(current.bearer));
        }
        if current.grant.ends_within(now, 0) {
            return self.renew(Some(current.bearer.serial)).await.map(Some);
        }
        self.renew_ahead(current.bearer.serial);
        Ok(Some(current.bearer))
    }

    /// A token that is newer than the one that the server rejected: another request's, another process's, or a renewed
    /// one. All requests and processes together renew once.
    pub async fn unauthorized(
        self: &Arc<Self>,
        rejected: Option<&Bearer>,
        challenge: Challenge,
    ) -> Result<Bearer, AuthError> {
        if self.settings.static_token.is_some() {
            return Err(AuthError::Failed(self.explain(self.static_token_rejected())));
        }
        self.note_challenge(challenge);
        self.renew(rejected.map(|bearer| bearer.serial)).await
    }

    /// Remembers what the server asks for, so that the next sign-in goes to the right place.
    pub fn note_challenge(&self, challenge: Challenge) {
        if challenge != Challenge::default() {
            self.memory().challenge = challenge;
        }
    }

    /// Tells every change of the sign-in's state.
    pub fn watch(&self) -> watch::Receiver<AuthState> {
        self.state.subscribe()
    }

    /// The page of the sign-in that is under way in some process.
    pub fn sign_in_link(&self) -> Option<String> {
        match &*self.state.borrow() {
            AuthState::SigningIn { link: Some(link) } => return Some(link.clone()),
            AuthState::SignedIn { .. } => return None,
            AuthState::SigningIn { link: None } | AuthState::SignedOut => {}
        }
        let record: pending::Pending = pending::note(&self.files).read()?;
        let under_way = record.failure.is_none() && self.files.login_is_under_way().unwrap_or(false);
        record.link.filter(|_| under_way)
    }

    /// Forgets the sign-in, here and in the store.
    pub async fn logout(&self) -> Result<bool, Problem> {
        let _lock = self.token_lock().await?;
        let removed = self.store.delete(&self.account).await?;
        self.files.generation().bump()?;
        pending::note(&self.files).remove();
        self.memory().unsaved = None;
        self.adopt(None);
        Ok(removed)
    }

    /// What there is to show.
    pub async fn status(&self) -> Status {
        let looked = if self.settings.static_token.is_some() { Ok(()) } else { self.look_again().await };
        Status {
            grant: self.current().filter(|current| !current.dead).map(|current| GrantSummary::from(&*current.grant)),
            static_token: self.settings.static_token.is_some(),
            signing_in: self.files.login_is_under_way().unwrap_or(false),
            backend: self.store.backend().clone(),
            store_problem: looked.err().map(Problem::from),
        }
    }

    /// Puts the client's secret into the store, for later runs without it.
    pub async fn keep_client_secret(&self, secret: &Secret) -> Result<(), Problem> {
        let id = self.settings.oauth.client_id.as_deref().unwrap_or_default();
        Ok(client::keep_secret(&self.settings, &self.store, id, secret).await?)
    }

    /// Waits until no renewal is under way and nothing is left to save, at most `within`; for the end of a process.
    pub async fn settle(&self, within: Duration) {
        let quiet = async {
            drop(self.renewals.turn().await);
            while self.memory().unsaved.is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(within, quiet).await.is_err() {
            tracing::warn!("a renewed sign-in may not have been saved");
        }
    }

    /// Where tokens lie.
    pub fn backend(&self) -> &Backend {
        self.store.backend()
    }

    /// What people call the service.
    pub(super) fn service(&self) -> String {
        match self.settings.product {
            Product::Planhat | Product::PlanhatDemo => "Planhat".into(),
            Product::Other => self.settings.url.host_str().unwrap_or("the server").to_owned(),
        }
    }

    pub(super) fn program(&self) -> Option<&Program> {
        self.program.as_ref()
    }

    pub(super) fn challenge(&self) -> Challenge {
        self.memory().challenge.clone()
    }

    fn static_token_rejected(&self) -> Problem {
        if self.settings.product.is_planhat() {
            Problem::new(ProblemId::PlanhatStaticTokenRejected)
        } else {
            Problem::new(ProblemId::StaticTokenRejected).with("host", self.service())
        }
    }

    /// Adds what only the settings know and many texts name: the command for a terminal, and the redirect URL.
    pub(super) fn explain(&self, problem: Problem) -> Problem {
        let mut problem = problem;
        let has = |problem: &Problem, key| problem.fact(key).is_some();
        if !has(&problem, "command") {
            problem = problem.with("command", self.settings.command("login"));
        }
        if !has(&problem, "redirect_url") && self.settings.static_token.is_none() {
            problem = problem.with("redirect_url", self.settings.oauth.callback.redirect_url());
        }
        problem
    }

    /// "Somebody has to sign in", with the link where there is one.
    pub(super) fn sign_in_needed(&self) -> Problem {
        let problem = Problem::new(ProblemId::SignInNeeded).with("service", self.service());
        self.explain(match self.sign_in_link() {
            Some(link) => problem.with("link", link),
            None => problem,
        })
    }

    /// The token lock, or the one that is already held for a token that could not be saved.
    pub(super) async fn token_lock(&self) -> Result<Arc<ProcessLock>, crate::store::LockError> {
        if let Some(lock) = self.memory().unsaved.clone() {
            return Ok(lock);
        }
        let lock = ProcessLock::acquire(&self.files.token_lock(), "renewing or saving a sign-in", TOKEN_LOCK).await?;
        Ok(Arc::new(lock))
    }

    pub(super) fn current(&self) -> Option<Current> {
        self.memory().current.clone()
    }

    /// The token, if it is newer than the one that was rejected.
    pub(super) fn newer_than(&self, rejected: Option<u64>) -> Option<Bearer> {
        let current = self.current().filter(|current| !current.dead)?;
        (rejected.is_none_or(|serial| current.bearer.serial > serial)).then_some(current.bearer)
    }

    /// Reads the store when the generation number says that it has changed.
    pub(super) async fn look(&self) -> Result<(), AuthError> {
        self.look_in_turn().await.map_err(|error| error.map(|problem| self.explain(problem)))
    }

    async fn look_in_turn(&self) -> Result<(), AuthError> {
        let _turn = self.loading.lock().await;
        let generation = self.files.generation().read();
        {
            let mut memory = self.memory();
            // Nobody else can have a newer one while its lock is held here.
            if memory.generation == Some(generation) || memory.unsaved.is_some() {
                memory.looked = Some(Instant::now());
                return Ok(());
            }
            if let Some((at, error)) = &memory.failed
                && at.elapsed() < LEAVE_ALONE
            {
                return if memory.current.is_some() { Ok(()) } else { Err(error.clone()) };
            }
        }
        match self.read_grant().await {
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

    /// Looks now, whenever the last look was.
    pub(super) async fn look_again(&self) -> Result<(), AuthError> {
        self.memory().failed = None;
        self.look().await
    }

    /// The stored grant for these settings.
    pub(super) async fn read_grant(&self) -> Result<Option<Grant>, AuthError> {
        let Some(record) = self.store.read(&self.account).await? else { return Ok(None) };
        let grant = Grant::from_record(&record)?;
        Ok(Some(grant).filter(|grant| grant.fits(&self.settings)))
    }

    /// Saves the grant and tells the other processes. The caller holds the token lock.
    pub(super) async fn save(&self, grant: &Grant) -> Result<(), AuthError> {
        self.store.write(&self.account, grant.to_record()).await?;
        match self.files.generation().bump() {
            Ok(generation) => self.memory().generation = Some(generation),
            Err(problem) => tracing::warn!(%problem, "other processes are not told of the new token"),
        }
        Ok(())
    }

    pub(super) fn set_unsaved(&self, lock: Option<Arc<ProcessLock>>) {
        self.memory().unsaved = lock;
    }

    pub(super) fn is_unsaved(&self) -> bool {
        self.memory().unsaved.is_some()
    }

    /// Uses this grant from now on.
    pub(super) fn adopt(&self, grant: Option<Grant>) -> Option<Bearer> {
        self.adopt_at(grant, None)
    }

    fn adopt_at(&self, grant: Option<Grant>, generation: Option<u64>) -> Option<Bearer> {
        let (bearer, state) = {
            let mut memory = self.memory();
            memory.looked = Some(Instant::now());
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
            None if matches!(*self.state.borrow(), AuthState::SigningIn { .. }) => {}
            None => self.tell(AuthState::SignedOut),
        }
        bearer
    }

    /// The server takes neither this token nor its refresh token any more.
    pub(super) fn bury(&self, serial: u64) {
        let mut memory = self.memory();
        if let Some(current) = memory.current.as_mut().filter(|current| current.bearer.serial == serial) {
            current.dead = true;
            drop(memory);
            self.tell(AuthState::SignedOut);
        }
    }

    pub(super) fn tell(&self, state: AuthState) {
        self.state.send_if_modified(|old| {
            let changed = *old != state;
            *old = state;
            changed
        });
    }

    fn is_due(&self) -> bool {
        self.memory().looked.is_none_or(|at| at.elapsed() >= LOOK)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
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
        let bearer = Bearer { token: grant.access_token.clone(), serial, grant: self.grants };
        Current { grant: Arc::new(grant), bearer, dead }
    }
}

fn static_bearer(token: &Secret) -> Bearer {
    Bearer { token: token.clone(), serial: 1, grant: 1 }
}
