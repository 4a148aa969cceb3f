//! One renewal at a time, for all requests of this process and all processes of the profile.
//!
//! Lock, read the store again, refresh, save, use. A renewal runs as a task of its own: the request that began it may be
//! cancelled at any moment, and a rotated refresh token must not be lost with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::authorizer::Authorizer;
use crate::auth::bearer::cache::Current;
use crate::auth::bearer::refresh;
use crate::auth::exchange::token_endpoint::{Endpoint, Refusal};
use crate::auth::grants::grant::{Grant, GrantKind};
use crate::auth::login::attempt;
use crate::auth::login::attempt::Spent;
use crate::auth::registration::client::Client;
use crate::auth::registration::dynamic;
use crate::auth::{AuthError, Bearer, Challenge};
use crate::http::host_of;
use crate::problem::{Problem, ProblemId};
use crate::store::ProcessLock;

/// A server that rejects what it has just given out is not asked more often than this many times in [`REPEATS_WITHIN`].
const REPEATS: usize = 3;
/// See [`REPEATS`].
const REPEATS_WITHIN: Duration = Duration::from_secs(60);
/// How long after a failed renewal ahead of time the next one is tried.
const AHEAD_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause between two attempts to save a rotated token.
const SAVE_PAUSE: Duration = Duration::from_secs(60);

/// What a token is renewed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Somebody waits, and may be asked to sign in.
    Waits,
    /// The standing stream, a notification: without another token, the one in use stays.
    Nobody,
}

/// The state of renewing.
#[derive(Debug, Default)]
pub(crate) struct Renewals {
    turn: tokio::sync::Mutex<()>,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Counts the attempts, so that who waited for one shares its result.
    attempts: u64,
    last_failure: Option<AuthError>,
    ahead_not_before: Option<Instant>,
    ahead_running: bool,
    /// When tokens were renewed because the server rejected one.
    rejections: VecDeque<Instant>,
    /// The client of the sign-in, with what it proves itself with.
    client: Option<Client>,
}

impl Renewals {
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorizer {
    /// A token newer than `rejected`, for somebody who waits.
    pub(crate) async fn renew(self: &Arc<Self>, rejected: Option<u64>) -> Result<Bearer, AuthError> {
        self.renew_for(Asker::Waits, rejected).await
    }

    /// A token newer than `rejected`.
    pub(crate) async fn renew_for(self: &Arc<Self>, asker: Asker, rejected: Option<u64>) -> Result<Bearer, AuthError> {
        if let Some(bearer) = self.newer_than(rejected) {
            return Ok(bearer);
        }
        let seen = self.renewals.shared().attempts;
        let this = Arc::clone(self);
        let task = tokio::spawn(async move { this.renew_in_turn(rejected, seen, asker).await });
        let renewed = task.await.unwrap_or_else(|_| {
            let problem = Problem::new(ProblemId::InternalError).with("detail", "the renewal broke down");
            Err(AuthError::NotNow(problem))
        });
        if self.current().is_none_or(|current| current.dead) {
            // Somebody may sign in elsewhere.
            self.follow();
        }
        renewed.map_err(|error| error.map(|problem| self.explain(problem)))
    }

    /// Renews in the background while the old token is still good.
    pub(crate) fn renew_ahead(self: &Arc<Self>, serial: u64) {
        {
            let mut shared = self.renewals.shared();
            if shared.ahead_running || shared.ahead_not_before.is_some_and(|at| Instant::now() < at) {
                return;
            }
            shared.ahead_running = true;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let seen = this.renewals.shared().attempts;
            let result = this.renew_in_turn(Some(serial), seen, Asker::Waits).await;
            let mut shared = this.renewals.shared();
            shared.ahead_running = false;
            shared.ahead_not_before = result.is_err().then(|| Instant::now() + AHEAD_PAUSE);
        });
    }

    async fn renew_in_turn(
        self: &Arc<Self>,
        rejected: Option<u64>,
        seen: u64,
        asker: Asker,
    ) -> Result<Bearer, AuthError> {
        let _turn = self.renewals.turn().await;
        if let Some(bearer) = self.newer_than(rejected) {
            return Ok(bearer);
        }
        {
            let shared = self.renewals.shared();
            if shared.attempts != seen
                && let Some(failure) = &shared.last_failure
            {
                return Err(failure.clone());
            }
        }
        let result = self.renew_alone(rejected, asker).await;
        let mut shared = self.renewals.shared();
        shared.attempts += 1;
        shared.last_failure = result.as_ref().err().cloned();
        result
    }

    async fn renew_alone(self: &Arc<Self>, rejected: Option<u64>, asker: Asker) -> Result<Bearer, AuthError> {
        let lock = self.token_lock().await?;
        if !self.is_unsaved() {
            // Another process may have renewed it, or signed in anew, while this one waited.
            match self.read_grant().await? {
                Some(stored) if self.is_older(&stored) => {
                    // Never to be presented again, by nobody: a server with reuse detection would revoke the newer one too.
                    if let Some(current) = self.current() {
                        tracing::warn!("the stored token is older than the one in use, which is stored again");
                        self.save(&current.grant).await?;
                    }
                }
                stored => _ = self.adopt(stored),
            }
        }
        if self.is_machine() {
            return self.renew_as_client(rejected, lock).await;
        }
        let Some(current) = self.current() else { return Err(AuthError::SignInNeeded(self.sign_in_needed())) };
        let now = self.clock.unix_seconds();
        let newer = !current.dead && rejected.is_none_or(|serial| current.bearer.serial > serial);
        if newer && !current.grant.ends_within(now, 0) {
            return Ok(current.bearer);
        }
        if current.grant.kind == GrantKind::Static {
            return Err(AuthError::Failed(self.static_token_rejected(Some(self.backend()))));
        }
        let Some(token) = current.grant.refresh_token.clone().filter(|_| !current.dead) else {
            return Err(self.ended(&current, "it gave no refresh token", asker));
        };
        if !current.grant.ends_within(now, current.grant.margin()) && !self.may_renew_again() {
            return Err(self.ended(&current, "it rejects the tokens that it gives out", asker));
        }
        let client = self.client_once(&current.grant).await?;
        let oauth = &self.settings.oauth;
        let endpoint = Endpoint {
            url: oauth.token_endpoint.as_ref().map_or(current.grant.token_endpoint.as_str(), |url| url.as_str()),
            client: &client,
            method: current.grant.auth_method,
            issuer: &current.grant.issuer,
            resource: (!oauth.no_resource).then_some(current.grant.resource.as_str()),
            id_token: oauth.id_token,
            now,
        };
        let http = self.to_token_endpoint(current.grant.named_by);
        match refresh::refresh(&http, &current.grant, &token, &endpoint).await {
            Ok(grant) => Ok(self.keep(grant, lock).await),
            Err(refusal) => Err(self.refused(&current, &client, refusal, asker).await),
        }
    }

    /// Whether a token that the server rejected may be renewed once more; counts.
    pub(crate) fn may_renew_again(&self) -> bool {
        self.renewals.shared().may_repeat()
    }

    /// The client of this grant, read once: a keychain that is locked later must not stop renewing.
    async fn client_once(&self, grant: &Grant) -> Result<Client, AuthError> {
        let known = self.renewals.shared().client.clone().filter(|client| client.id == grant.client_id);
        if let Some(client) = known {
            return Ok(client);
        }
        let client = self.client_of(grant).await?;
        self.renewals.shared().client = Some(client.clone());
        Ok(client)
    }

    /// Saves a renewed grant before it is used; when that fails, uses it all the same and goes on trying.
    pub(crate) async fn keep(self: &Arc<Self>, grant: Grant, lock: Arc<ProcessLock>) -> Bearer {
        tracing::debug!("token renewed");
        match self.save(&grant).await {
            Ok(()) => self.set_unsaved(None),
            Err(error) => {
                tracing::warn!(%error, "a renewed token could not be saved yet");
                let spent = Spent { grant: grant.id.clone(), renewals: grant.renewals };
                if let Err(problem) = attempt::spent(&self.files).write(&spent) {
                    tracing::debug!(%problem, "other processes are not told that the stored token is spent");
                }
                if !self.is_unsaved() {
                    tokio::spawn(save_until_it_works(Arc::downgrade(self)));
                }
                self.set_unsaved(Some(lock));
            }
        }
        let token = grant.access_token.clone();
        let bearer = Bearer { token, serial: 0, grant: 0, signed_in_at: 0, tag: 0 };
        self.adopt(Some(grant)).unwrap_or(bearer)
    }

    async fn refused(&self, current: &Current, client: &Client, refusal: Refusal, asker: Asker) -> AuthError {
        match refusal {
            Refusal::NotNow(problem) => AuthError::NotNow(problem),
            Refusal::Client(problem) if client.is_registered() => {
                // The server has forgotten the client; the next sign-in registers another.
                dynamic::forget(&self.settings, &self.store, &current.grant.issuer, &client.id).await;
                self.bury_for(asker, current.bearer.serial);
                AuthError::SignInNeeded(problem)
            }
            refusal @ (Refusal::Client(_) | Refusal::Other(_) | Refusal::Pending { .. }) => {
                AuthError::Failed(refusal.problem())
            }
            Refusal::Spent(problem) => {
                // Never presented again, by nobody: a server with reuse detection would revoke more than this.
                // And it was withdrawn, not refused from the start: signing in again helps.
                let spent = Grant { refresh_token: None, signed_in_at: 0, ..(*current.grant).clone() };
                if let Err(error) = self.save(&spent).await {
                    tracing::debug!(%error, "a spent refresh token stays in the store");
                }
                self.adopt(Some(spent));
                self.bury_for(asker, current.bearer.serial);
                AuthError::SignInNeeded(problem.with("service", self.settings.service_name()))
            }
        }
    }

    fn ended(&self, current: &Current, why: &str, asker: Asker) -> AuthError {
        if asker == Asker::Waits && self.is_refused_afresh(current) {
            return self.refused_afresh(current.bearer.serial);
        }
        self.bury_for(asker, current.bearer.serial);
        let problem =
            Problem::new(ProblemId::GrantExpired).with("service", self.settings.service_name()).with("detail", why);
        AuthError::SignInNeeded(problem)
    }

    /// What nobody waits for may be refused to a token that is good for everything else.
    fn bury_for(&self, asker: Asker, serial: u64) {
        if asker == Asker::Waits {
            self.bury(serial);
        }
    }
}

impl Authorizer {
    /// What to do about a token that was renewed for this very request and is refused again.
    pub fn refused_again(self: &Arc<Self>, rejected: Option<&Bearer>, challenge: Challenge) -> AuthError {
        self.note_challenge(challenge);
        let current = self.current().filter(|current| rejected.is_none_or(|r| r.serial <= current.bearer.serial));
        match current {
            Some(current) if self.is_refused_afresh(&current) => self.refused_afresh(current.bearer.serial),
            current => {
                // Else it would be taken for what the next sign-in brings.
                if let Some(current) = current {
                    self.bury(current.bearer.serial);
                }
                AuthError::SignInNeeded(self.token_rejected())
            }
        }
    }

    /// The server takes the renewed token: it may reject it later.
    pub(crate) fn renewal_was_good(&self) {
        self.renewals.shared().rejections.clear();
    }

    /// A sign-in would bring another such token, and a tab each time: only the user starts the next one.
    fn refused_afresh(&self, serial: u64) -> AuthError {
        self.bury(serial);
        let problem = self.token_rejected();
        self.sign_in_was_in_vain(problem.clone());
        AuthError::Failed(problem)
    }

    fn token_rejected(&self) -> Problem {
        self.explain(Problem::new(ProblemId::TokenRejected).with("host", host_of(&self.settings.url)))
    }
}

impl Shared {
    /// Counts a renewal that a rejection caused; `false` when there were too many of late.
    fn may_repeat(&mut self) -> bool {
        let now = Instant::now();
        while self.rejections.front().is_some_and(|at| now.duration_since(*at) > REPEATS_WITHIN) {
            self.rejections.pop_front();
        }
        let may = self.rejections.len() < REPEATS;
        if may {
            self.rejections.push_back(now);
        }
        may
    }
}

/// Tries to save the newest token until it works. The token lock stays held: whoever refreshed with the stored token
/// meanwhile would present one that is spent.
async fn save_until_it_works(authorizer: Weak<Authorizer>) {
    let mut pause = Duration::from_secs(1);
    loop {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(SAVE_PAUSE);
        let Some(authorizer) = authorizer.upgrade() else { return };
        let _turn = authorizer.renewals.turn().await;
        if !authorizer.is_unsaved() {
            return;
        }
        let Some(current) = authorizer.current() else { return };
        match authorizer.save(&current.grant).await {
            Ok(()) => {
                authorizer.set_unsaved(None);
                tracing::info!("the renewed token is saved");
                return;
            }
            Err(error) => tracing::debug!(%error, "a renewed token could not be saved yet"),
        }
    }
}
