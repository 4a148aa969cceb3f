//! One renewal at a time, for all requests of this process and all processes of the profile.
//!
//! Lock, re-read the store, refresh, save, use. A renewal runs in its own task: the request that started it may be
//! cancelled at any moment, and a rotated refresh token must not be lost with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::bearer::cache::{Current, TokenCache};
use crate::auth::bearer::client_credentials::ClientTokens;
use crate::auth::bearer::renewal_decision::{EndReason, Renewal, RenewalFacts};
use crate::auth::bearer::state::Bearer;
use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::error::{AuthError, RenewalError, static_token_rejected};
use crate::auth::exchange::refusal::Refusal;
use crate::auth::exchange::request::{Endpoint, GrantRequest};
use crate::auth::exchange::token_endpoint;
use crate::auth::grants::grant::Grant;
use crate::auth::grants::notes::Spent;
use crate::auth::grants::presented::Presentations;
use crate::auth::grants::{notes, stored};
use crate::auth::registration::client::Client;
use crate::auth::registration::{choose, dynamic};
use crate::blocking;
use crate::limits::{REJECTED_RENEWAL_BUDGET, REJECTED_RENEWAL_WINDOW};
use crate::pacing::{Backoff, RateWindow};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;
use crate::store::ProcessLock;
use crate::tasks;

/// How long after a failed renewal ahead of time to wait before the next.
const RENEWAL_AHEAD_PAUSE: Duration = Duration::from_secs(10);
/// The pauses between attempts to save a rotated token.
const SAVE_PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// What needs the renewed token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RenewedFor {
    /// A request that somebody waits for, who may be asked to sign in.
    Request,
    /// The listening stream or a notification: if the renewal fails, the current token stays in use.
    Background,
}

/// Renews tokens, one at a time.
#[derive(Debug)]
pub(crate) struct Renewals {
    ctx: Arc<Context>,
    cache: Arc<TokenCache>,
    turn: tokio::sync::Mutex<()>,
    shared: Mutex<Shared>,
    presentations: Presentations,
    client_tokens: ClientTokens,
}

#[derive(Debug)]
struct Shared {
    /// Counts the attempts, so that concurrent callers share a result.
    attempts: u64,
    /// How the last attempt failed, and what it was made for.
    last_failure: Option<(RenewedFor, RenewalError)>,
    ahead_not_before: Option<Instant>,
    ahead_running: bool,
    /// The renewals of rejected tokens.
    rejected: RateWindow,
    /// The grant's client, with its credentials.
    client: Option<Client>,
}

impl Renewals {
    pub(crate) fn new(ctx: Arc<Context>, cache: Arc<TokenCache>) -> Self {
        let shared = Mutex::new(Shared {
            attempts: 0,
            last_failure: None,
            ahead_not_before: None,
            ahead_running: false,
            rejected: RateWindow::new(REJECTED_RENEWAL_BUDGET, REJECTED_RENEWAL_WINDOW),
            client: None,
        });
        let (turn, presentations, client_tokens) = Default::default();
        Self { ctx, cache, turn, shared, presentations, client_tokens }
    }

    /// A token newer than `rejected`. `challenge` is for discovery with client credentials.
    pub(crate) async fn renew(
        self: &Arc<Self>,
        renewed_for: RenewedFor,
        rejected: Option<u64>,
        challenge: &Arc<Challenge>,
    ) -> Result<Bearer, RenewalError> {
        if let Some(bearer) = self.cache.newer_than(rejected) {
            return Ok(bearer);
        }
        let seen = self.shared().attempts;
        let (this, challenge) = (Arc::clone(self), Arc::clone(challenge));
        let task = tokio::spawn(async move { this.renew_in_turn(renewed_for, rejected, seen, &challenge).await });
        task.await.unwrap_or_else(|_| {
            let problem = Problem::new(ProblemId::InternalError).with("detail", "the renewal broke down");
            Err(AuthError::NotNow(problem).into())
        })
    }

    /// Renews in the background while the old token is still valid.
    pub(crate) fn renew_ahead(self: &Arc<Self>, serial: u64, challenge: &Arc<Challenge>) {
        {
            let mut shared = self.shared();
            if shared.ahead_running || shared.ahead_not_before.is_some_and(|at| Instant::now() < at) {
                return;
            }
            shared.ahead_running = true;
        }
        let (this, challenge) = (Arc::clone(self), Arc::clone(challenge));
        tasks::spawn(async move {
            let seen = this.shared().attempts;
            let result = this.renew_in_turn(RenewedFor::Request, Some(serial), seen, &challenge).await;
            let mut shared = this.shared();
            shared.ahead_running = false;
            shared.ahead_not_before = result.is_err().then(|| Instant::now() + RENEWAL_AHEAD_PAUSE);
        });
    }

    /// Waits until no renewal is running.
    pub(crate) async fn finished(&self) {
        drop(self.turn.lock().await);
    }

    /// Resets the limit: the server has accepted the renewed token.
    pub(crate) fn accepted(&self) {
        self.shared().rejected.clear();
    }

    async fn renew_in_turn(
        self: &Arc<Self>,
        renewed_for: RenewedFor,
        rejected: Option<u64>,
        seen: u64,
        challenge: &Challenge,
    ) -> Result<Bearer, RenewalError> {
        let _turn = self.turn.lock().await;
        if let Some(bearer) = self.cache.newer_than(rejected) {
            return Ok(bearer);
        }
        {
            let shared = self.shared();
            if shared.attempts != seen
                && let Some((failed_for, failure)) = &shared.last_failure
                // Each kind ends a sign-in in its own way; to find out again that it has ended costs next to nothing.
                && (*failed_for == renewed_for || !failure.ends_sign_in())
            {
                return Err(failure.clone());
            }
        }
        let result = self.renew_locked(renewed_for, rejected, challenge).await;
        let mut shared = self.shared();
        shared.attempts += 1;
        shared.last_failure = result.as_ref().err().map(|failure| (renewed_for, failure.clone()));
        result
    }

    async fn renew_locked(
        self: &Arc<Self>,
        renewed_for: RenewedFor,
        rejected: Option<u64>,
        challenge: &Challenge,
    ) -> Result<Bearer, RenewalError> {
        let lock = self.cache.token_lock().await.map_err(AuthError::from)?;
        if !self.cache.is_unsaved() {
            self.read_store_again().await?;
        }
        let current = self.cache.current();
        if current.is_none() && !self.ctx.uses_client_credentials() {
            return Err(RenewalError::NoGrant);
        }
        let facts = current.as_ref().map(|current| RenewalFacts::of(current, rejected, self.ctx.now()));
        let renewal = if self.ctx.uses_client_credentials() {
            RenewalFacts::decide_for_client(facts.as_ref())
        } else {
            facts.map_or(Renewal::Refresh, |facts| facts.decide())
        };
        if matches!(renewal, Renewal::Refresh | Renewal::RefreshRejected) {
            // First: an authorization server that cannot answer says nothing about the token.
            self.may_ask_now(current.as_ref()).await?;
        }
        match (renewal, current) {
            (Renewal::Use, Some(current)) => Ok(current.bearer),
            (Renewal::RejectTyped, _) => {
                Err(static_token_rejected(&self.ctx.settings, Some(self.ctx.store.backend())).into())
            }
            (Renewal::End(why), Some(current)) => Err(self.ended(&current, why, renewed_for)),
            (Renewal::RefreshRejected, Some(current)) if !self.may_renew_rejected() => {
                if self.ctx.uses_client_credentials() {
                    return Err(AuthError::Failed(self.rejected()).into());
                }
                Err(self.ended(&current, EndReason::RejectsWhatItIssues, renewed_for))
            }
            (_, Some(current)) if !self.ctx.uses_client_credentials() => {
                self.refresh(&current, renewed_for, lock).await
            }
            _ => {
                let grant = self.client_tokens.grant(&self.ctx, challenge).await?;
                Ok(self.keep(grant, lock).await)
            }
        }
    }

    /// Whether the authorization server may be asked now.
    ///
    /// # Errors It could not answer the last time, and is left alone for a while.
    async fn may_ask_now(&self, current: Option<&Current>) -> Result<(), AuthError> {
        if self.ctx.uses_client_credentials() {
            return self.client_tokens.may_ask();
        }
        let Some(current) = current else { return Ok(()) };
        let pause = self.presentations.of(&self.ctx.files, &current.grant).await.pause(self.ctx.now());
        if pause.is_zero() { Ok(()) } else { Err(AuthError::NotNow(held_back(&current.grant, pause))) }
    }

    fn rejected(&self) -> Problem {
        Problem::new(ProblemId::TokenRejected).with("host", self.ctx.settings.service_name())
    }

    /// Re-reads the store: another process may have renewed the token or signed in while this one waited for the lock.
    async fn read_store_again(&self) -> Result<(), AuthError> {
        match stored::read(&self.ctx).await? {
            Some(stored) if self.cache.is_older(&stored) => {
                // No process may present the older one again: a server with reuse detection would revoke the newer one
                // too.
                if let Some(current) = self.cache.current() {
                    tracing::warn!("the stored token is older than the one in use, which is stored again");
                    self.cache.save(&current.grant).await?;
                }
            }
            stored => _ = self.cache.adopt(stored),
        }
        Ok(())
    }

    async fn refresh(
        self: &Arc<Self>,
        current: &Current,
        renewed_for: RenewedFor,
        lock: Arc<ProcessLock>,
    ) -> Result<Bearer, RenewalError> {
        let Some(token) = &current.grant.refresh_token else { return Err(RenewalError::NoGrant) };
        let client = self.client_once(&current.grant).await?;
        loop {
            let before = self.presentations.of(&self.ctx.files, &current.grant).await;
            let presented = before.once_more(self.ctx.now());
            self.presentations.note(&self.ctx.files, presented.clone()).await;
            match self.present(&current.grant, token, &client).await {
                Ok(grant) => return Ok(self.keep(grant, lock).await),
                Err(Refusal::Unclear { problem, is_brief: true }) if presented.may_be_repeated() => {
                    tracing::info!(%problem, "it is not known what became of the refresh token; it is presented once more");
                    tokio::time::sleep(token_endpoint::RETRY_PAUSE).await;
                }
                Err(refusal) => {
                    if !matches!(refusal, Refusal::Unclear { .. }) {
                        // The server has answered, or was not reached.
                        self.presentations.note(&self.ctx.files, before).await;
                    }
                    return Err(self.refused(current, &client, refusal, renewed_for).await.into());
                }
            }
        }
    }

    /// Presents the refresh token at the endpoint that issued it.
    async fn present(&self, grant: &Grant, token: &Secret, client: &Client) -> Result<Grant, Refusal> {
        let oauth = &self.ctx.settings.oauth;
        // The settings may name another place at the same origin; a grant that came from elsewhere is not used at all.
        let configured = oauth.token_endpoint.as_ref().filter(|url| grant.is_from(Some(url)));
        let endpoint = Endpoint {
            url: configured.map_or(grant.token_endpoint.as_str(), |url| url.as_str()),
            client,
            method: grant.method_at(self.ctx.now()),
            issuer: &grant.issuer,
            resource: self.ctx.resource_parameter(&grant.resource, grant.without_resource_since),
            id_token: oauth.id_token,
            now: self.ctx.now(),
            brake: &self.ctx.brake,
        };
        let http = self.ctx.http_to_token_endpoint(grant.named_by);
        let issued = token_endpoint::request_token(&http, &endpoint, &GrantRequest::Refresh(token)).await?;
        Ok(grant.renewed(issued, endpoint.now))
    }

    /// The client of this grant, read once: a keychain that is locked later must not prevent renewals.
    async fn client_once(&self, grant: &Grant) -> Result<Client, AuthError> {
        let known = self.shared().client.clone().filter(|client| client.id == grant.client_id);
        if let Some(client) = known {
            return Ok(client);
        }
        let client = choose::client_of(&self.ctx, &grant.issuer, &grant.client_id, grant.auth_method).await?;
        self.shared().client = Some(client.clone());
        Ok(client)
    }

    /// Saves a renewed grant before using it; if that fails, uses it anyway and keeps trying to save it.
    async fn keep(self: &Arc<Self>, grant: Grant, lock: Arc<ProcessLock>) -> Bearer {
        tracing::debug!("token renewed");
        match self.cache.save(&grant).await {
            Ok(()) => self.cache.set_unsaved(None),
            Err(error) => {
                tracing::warn!(%error, "a renewed token could not be saved yet");
                let spent = Spent { grant: grant.id.clone(), renewals: grant.renewals };
                let note = notes::spent(&self.ctx.files);
                if let Err(problem) = blocking::run(move || note.write(&spent)).await {
                    tracing::debug!(%problem, "the note that the stored token is spent could not be written");
                }
                if !self.cache.is_unsaved() {
                    tasks::spawn(save_until_it_works(Arc::downgrade(self)));
                }
                self.cache.set_unsaved(Some(lock));
            }
        }
        let token = grant.access_token.clone();
        let bearer = Bearer { token, serial: 0, grant: 0, signed_in_at: 0, tag: 0 };
        self.cache.adopt(Some(grant)).unwrap_or(bearer)
    }

    async fn refused(
        &self,
        current: &Current,
        client: &Client,
        refusal: Refusal,
        renewed_for: RenewedFor,
    ) -> AuthError {
        match refusal {
            Refusal::NotNow(problem) | Refusal::Unclear { problem, .. } => AuthError::NotNow(problem),
            Refusal::Client(problem) if client.is_registered() => {
                // The server has forgotten the client; the next sign-in registers another.
                let (settings, store) = (&self.ctx.settings, &self.ctx.store);
                dynamic::forget(settings, store, &current.grant.issuer, &client.id).await;
                self.end_for(renewed_for, current.bearer.serial);
                AuthError::SignInNeeded(problem)
            }
            refusal @ (Refusal::Client(_) | Refusal::Other(_) | Refusal::Pending { .. }) => {
                AuthError::Failed(refusal.problem())
            }
            Refusal::Spent(problem) => {
                // No process may present it again: a server with reuse detection would revoke more than this.
                // `signed_in_at: 0` because it was revoked rather than refused from the start, so signing in again
                // helps.
                let spent = Grant { refresh_token: None, signed_in_at: 0, ..(*current.grant).clone() };
                if let Err(error) = self.cache.save(&spent).await {
                    tracing::debug!(%error, "a spent refresh token stays in the store");
                }
                self.cache.adopt(Some(spent));
                self.end_for(renewed_for, current.bearer.serial);
                AuthError::SignInNeeded(problem.with("service", self.ctx.settings.service_name()))
            }
        }
    }

    fn ended(&self, current: &Current, why: EndReason, renewed_for: RenewedFor) -> RenewalError {
        if renewed_for == RenewedFor::Request && self.cache.is_rejected_afresh(current) {
            self.cache.end(current.bearer.serial);
            return RenewalError::RejectedAfresh;
        }
        self.end_for(renewed_for, current.bearer.serial);
        let problem = Problem::new(ProblemId::GrantExpired).with("service", self.ctx.settings.service_name());
        AuthError::SignInNeeded(match why.words() {
            Some(words) => problem.with("detail", words),
            None => problem,
        })
        .into()
    }

    /// A background request may be refused with a token that works for everything else.
    fn end_for(&self, renewed_for: RenewedFor, serial: u64) {
        if renewed_for == RenewedFor::Request {
            self.cache.end(serial);
        }
    }

    /// Whether a rejected token may be renewed once more; counts the renewal.
    fn may_renew_rejected(&self) -> bool {
        self.shared().rejected.admit(Instant::now())
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// "The token endpoint is left alone for a while."
fn held_back(grant: &Grant, pause: Duration) -> Problem {
    Problem::new(ProblemId::TokenEndpointUnavailable)
        .with("endpoint", &grant.token_endpoint)
        .with("retry_after_seconds", pause.as_secs().max(1))
}

/// Retries saving the newest token until it works. The token lock stays held meanwhile: a process that refreshed with
/// the stored token would present a spent one.
async fn save_until_it_works(renewals: Weak<Renewals>) {
    for attempts in 1.. {
        tokio::time::sleep(SAVE_PAUSES.ceiling(attempts)).await;
        let Some(renewals) = renewals.upgrade() else { return };
        let _turn = renewals.turn.lock().await;
        let cache = &renewals.cache;
        if !cache.is_unsaved() {
            return;
        }
        let Some(current) = cache.current() else { return };
        match cache.save(&current.grant).await {
            Ok(()) => {
                cache.set_unsaved(None);
                tracing::info!("the renewed token is saved");
                return;
            }
            Err(error) => tracing::debug!(%error, "a renewed token could not be saved yet"),
        }
    }
}
