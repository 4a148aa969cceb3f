//! The one source of tokens in a process: what a request asks for its bearer, and tells when one was refused.
//!
//! What is known of the token, and how it is kept in step with the store, is in [`crate::auth::bearer::cache`]; renewing it in
//! [`crate::auth::bearer::renewal`]; signing in for it in [`crate::auth::coordination::start`] and [`crate::auth::login::flow`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, watch};

use super::{AuthError, Bearer};
use crate::auth::bearer::cache::Memory;
use crate::auth::bearer::renewal::{Asker, Renewals};
use crate::auth::bearer::static_token;
use crate::auth::coordination::process::Program;
use crate::auth::coordination::start::SignIns;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::exchange::revocation::Revoked;
use crate::auth::grants::grant::{Accounts, Grant, GrantKind, GrantSummary};
use crate::auth::grants::profiles;
use crate::auth::login::attempt;
use crate::auth::login::attempt::Pending;
use crate::auth::registration::client;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::http::{Http, NamedBy};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;
use crate::store::{Backend, StateDir, Store};

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

/// The command that keeps another token of this kind.
const TOKEN_COMMAND: &str = "login --token-from-stdin";

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
    /// When this process began, in seconds since 1970.
    pub(super) born: u64,
    memory: Mutex<Memory>,
    static_tag: OnceCell<u64>,
    pub(super) loading: tokio::sync::Mutex<()>,
    state: watch::Sender<AuthState>,
    program: Option<Program>,
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
            renewals: Renewals::default(),
            sign_ins: SignIns::default(),
            born: clock.unix_seconds(),
            clock,
            memory: Mutex::default(),
            static_tag: OnceCell::new(),
            loading: tokio::sync::Mutex::default(),
            state: watch::Sender::new(AuthState::SignedOut),
            program,
        })
    }

    /// The token to send, renewed ahead of its end; `None` when nobody is signed in, so that the request goes without
    /// one and earns a challenge.
    pub async fn bearer(self: &Arc<Self>) -> Result<Option<Bearer>, AuthError> {
        if let Some(token) = &self.settings.static_token {
            return Ok(Some(static_token::bearer(token, self.static_tag(token).await)));
        }
        self.keep_up().await?;
        let Some(current) = self.current().filter(|current| !current.dead) else {
            // What is had without a person comes with the challenge.
            if !self.is_machine() {
                self.follow();
            }
            return Ok(None);
        };
        let now = self.clock.unix_seconds();
        let renews = current.grant.refresh_token.is_some() || self.is_machine();
        if !renews || !current.grant.ends_within(now, current.grant.margin()) {
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
            return Err(AuthError::Failed(self.explain(self.static_token_rejected(None))));
        }
        self.note_challenge(challenge);
        let serial = rejected.map(|bearer| bearer.serial);
        let renewed = self.renew(serial).await;
        if let (Some(serial), Err(AuthError::SignInNeeded(_))) = (serial, &renewed) {
            // The renewal may have been one that nobody waited for, which leaves the token in use.
            self.bury(serial);
        }
        renewed
    }

    /// The same for what nobody waits for: when there is no other token, the one in use stays, because the server may take
    /// it for other requests.
    pub async fn unauthorized_in_background(
        self: &Arc<Self>,
        rejected: &Bearer,
        challenge: Challenge,
    ) -> Result<Bearer, AuthError> {
        if self.settings.static_token.is_some() {
            return Err(AuthError::Failed(self.explain(self.static_token_rejected(None))));
        }
        self.note_challenge(challenge);
        self.renew_for(Asker::Nobody, Some(rejected.serial)).await
    }

    /// Remembers what the server asks for, so that the next sign-in goes to the right place.
    pub fn note_challenge(&self, challenge: Challenge) {
        let known = &mut self.memory().challenge;
        *known = challenge.after(known);
    }

    /// Tells every change of the sign-in's state.
    pub fn watch(&self) -> watch::Receiver<AuthState> {
        self.state.subscribe()
    }

    /// Under which interactive grant requests go now, as far as it is known here, and when that is, in seconds since 1970.
    pub fn signed_in_now(&self) -> (Option<u64>, u64) {
        let grant = match *self.state.borrow() {
            AuthState::SignedIn { grant } => Some(grant),
            AuthState::SignedOut | AuthState::SigningIn { .. } => None,
        };
        (grant, self.clock.unix_seconds())
    }

    /// The page of the sign-in that is under way in some process.
    pub fn sign_in_link(&self) -> Option<String> {
        match &*self.state.borrow() {
            AuthState::SigningIn { link: Some(link) } => return Some(link.clone()),
            // Somebody who is signed in may be asked for a wider scope.
            AuthState::SigningIn { link: None } | AuthState::SignedOut | AuthState::SignedIn { .. } => {}
        }
        let record = self.record()?;
        let under_way = record.ended.is_none() && self.files.login_is_under_way().unwrap_or(false);
        record.link.filter(|_| under_way)
    }

    /// Keeps an access token that is sent as it is, in place of a sign-in.
    pub async fn keep_token(&self, token: Secret) -> Result<GrantSummary, Problem> {
        let now = self.clock.unix_seconds();
        let grant = Grant {
            id: oauth2::CsrfToken::new_random_len(16).into_secret(),
            kind: GrantKind::Static,
            renewals: 0,
            signed_in_at: now,
            issuer: String::new(),
            client_id: String::new(),
            resource: crate::auth::discovery::search::canonical(&self.settings.url),
            token_endpoint: String::new(),
            revocation_endpoint: None,
            named_by: NamedBy::Insider,
            auth_method: client::AuthMethod::None,
            access_token: token,
            refresh_token: None,
            obtained_at: now,
            expires_at: None,
            scope: None,
            person: None,
        };
        self.keep_grant(grant).await.map_err(|problem| self.explain(problem))
    }

    /// Stores what a sign-in has brought, and uses it from now on.
    pub(super) async fn keep_grant(&self, grant: Grant) -> Result<GrantSummary, Problem> {
        let summary = GrantSummary::from(&grant);
        let lock = self.token_lock().await?;
        let given = self.settings.oauth.client_id.as_ref() == Some(&grant.client_id);
        if let Some(secret) = self.settings.oauth.client_secret.as_ref().filter(|secret| given && !secret.is_empty()) {
            // Renewing needs it, also in runs that are not given it.
            client::keep_secret(&self.settings, &self.store, &grant.client_id, secret).await?;
        }
        // Before the token can be used: what it is answered is kept under its name.
        self.begin_answers(&grant);
        self.save(&grant).await?;
        self.set_unsaved(None);
        drop(lock);
        self.adopt(Some(grant));
        Ok(summary)
    }

    /// Withdraws the sign-in at the server, where that is possible, and forgets it, here and in the store. `None`: there
    /// was none.
    pub async fn logout(&self) -> Result<Option<Revoked>, Problem> {
        self.logout_in_turn().await.map_err(|problem| self.explain(problem))
    }

    async fn logout_in_turn(&self) -> Result<Option<Revoked>, Problem> {
        // Else its end would sign in again.
        if let Err(problem) = self.stop_sign_in().await {
            tracing::warn!(%problem, "a sign-in that is under way could not be ended");
        }
        let _lock = self.token_lock().await?;
        // A record that cannot be read any more can still be removed.
        let grant = self.read_grant().await.ok().flatten();
        let revoked = match &grant {
            Some(grant) => self.revoke(grant).await,
            None => Revoked::Nothing,
        };
        // Nothing secret stays behind; the next sign-in is given it again, or registers anew.
        let (mut removed, mut failed) = (false, None);
        for account in profiles::accounts(&self.files, &self.settings, grant.as_ref()) {
            match self.store.delete(&account).await {
                Ok(was_there) => removed |= was_there,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        self.issuers().remove();
        profiles::forget(&self.files);
        attempt::kept(&self.files).remove();
        attempt::spent(&self.files).remove();
        if let Some(record) = self.record().filter(|record| record.ended.is_some()) {
            // What has failed before counts no more; the numbers go on.
            let over = Pending { number: record.number, ended: record.ended, ..Pending::default() };
            attempt::note(&self.files).write(&over)?;
        }
        self.end_answers();
        if let Err(problem) = self.files.generation().bump() {
            // What counts is done.
            tracing::warn!(%problem, "other processes are not told that the sign-in is gone");
        }
        self.memory().unsaved = None;
        self.adopt(None);
        Ok(removed.then_some(revoked))
    }

    /// What there is to show.
    pub async fn status(&self) -> Status {
        let looked = if self.settings.static_token.is_some() { Ok(()) } else { self.look_again().await };
        Status {
            grant: self.current().filter(|current| !current.dead).map(|current| GrantSummary::from(&*current.grant)),
            static_token: self.settings.static_token.is_some(),
            signing_in: self.files.login_is_under_way().unwrap_or(false),
            backend: self.store.backend().clone(),
            store_problem: looked.err().map(|error| self.explain(error.into())),
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
            tracing::error!(
                "the renewed sign-in could not be saved before the end; the stored one is spent, so somebody may have to \
                 sign in again"
            );
        }
    }

    /// Where tokens lie.
    pub fn backend(&self) -> &Backend {
        self.store.backend()
    }

    /// The way to a token endpoint that `by` has named, unless the user has named another.
    pub(super) fn to_token_endpoint(&self, by: NamedBy) -> Http {
        let by = if self.settings.oauth.token_endpoint.is_some() { NamedBy::Insider } else { by };
        self.http.named_by(by)
    }

    pub(super) fn program(&self) -> Option<&Program> {
        self.program.as_ref()
    }

    pub(super) fn challenge(&self) -> Challenge {
        self.memory().challenge.clone()
    }

    /// As [`Bearer::tag`], for the token of the settings.
    pub(super) async fn static_tag(&self, token: &Secret) -> u64 {
        *self.static_tag.get_or_init(|| static_token::tag(token.clone(), self.files.clone())).await
    }

    /// `kept` is where the token lies, unless it came from the environment.
    pub(super) fn static_token_rejected(&self, kept: Option<&Backend>) -> Problem {
        let problem = if self.settings.product.is_planhat() {
            Problem::new(ProblemId::PlanhatStaticTokenRejected)
        } else {
            Problem::new(ProblemId::StaticTokenRejected).with("host", self.settings.service_name())
        };
        match kept {
            Some(kept) => problem.with("place", &kept.place).with("command", self.settings.command(TOKEN_COMMAND)),
            None => problem,
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
        match problem.id {
            ProblemId::StoreDamaged | ProblemId::FileStoreUnsafe if !has(&problem, "logout_command") => {
                problem.with("logout_command", self.settings.command("logout"))
            }
            ProblemId::InvalidScope if !has(&problem, "scope") => match &self.settings.oauth.scope {
                Some(scope) => problem.with("scope", scope),
                None => problem,
            },
            _ => problem,
        }
    }

    /// "Somebody has to sign in", with the link where there is one.
    pub fn sign_in_needed(&self) -> Problem {
        let problem = Problem::new(ProblemId::SignInNeeded).with("service", self.settings.service_name());
        self.explain(match self.sign_in_link() {
            Some(link) => problem.with("link", link),
            None => problem,
        })
    }

    pub(super) fn tell(&self, state: AuthState) {
        self.state.send_if_modified(|old| {
            let changed = *old != state;
            *old = state;
            changed
        });
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
