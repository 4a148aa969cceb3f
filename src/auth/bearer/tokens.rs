//! The tokens of this process: sending, renewing, storing and revoking them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use crate::auth::bearer::cache::TokenCache;
use crate::auth::bearer::old_token::{self, Age, OldToken, OldTokens, Step};
use crate::auth::bearer::remembered_answers::RememberedAnswers;
use crate::auth::bearer::renewal::{Renewals, RenewedFor};
use crate::auth::bearer::renewal_decision::RenewalDue;
use crate::auth::bearer::state::Bearer;
use crate::auth::bearer::static_token;
use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::error::{AuthError, RenewalError, static_token_rejected};
use crate::auth::grants::grant::{Grant, GrantKind, GrantSummary};
use crate::auth::grants::revocation;
use crate::auth::grants::revocation::Revoked;
use crate::auth::grants::{notes, presented, profiles, stored};
use crate::auth::registration::{choose, client, client_home, dynamic};
use crate::blocking;
use crate::http::host_of;
use crate::message::Revision;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;
use crate::store::Owner;

/// The poll interval for an unsaved token, at the end of the process.
const SAVED_POLL: Duration = Duration::from_millis(20);

/// The tokens of this process.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) ctx: Arc<Context>,
    pub(crate) cache: Arc<TokenCache>,
    pub(crate) answers: RememberedAnswers,
    renewals: Arc<Renewals>,
    static_tag: OnceCell<u64>,
    old_tokens: OldTokens,
}

impl Tokens {
    pub(crate) fn new(ctx: Arc<Context>) -> Self {
        let cache = Arc::new(TokenCache::new(Arc::clone(&ctx)));
        Self {
            answers: RememberedAnswers::new(&ctx),
            renewals: Arc::new(Renewals::new(Arc::clone(&ctx), Arc::clone(&cache))),
            cache,
            ctx,
            static_tag: OnceCell::new(),
            old_tokens: OldTokens::default(),
        }
    }

    /// The token to send, renewed before it expires; `None` if nobody is signed in.
    pub(crate) async fn bearer(&self, challenge: &Arc<Challenge>) -> Result<Option<Bearer>, RenewalError> {
        if let (Some(token), Some(tag)) = (&self.ctx.settings.static_token, self.static_tag().await) {
            return Ok(Some(static_token::bearer(token, tag)));
        }
        self.cache.follow_store().await?;
        let Some(current) = self.cache.usable() else { return Ok(None) };
        let is_renewable = current.grant.refresh_token.is_some() || self.ctx.uses_client_credentials();
        let serial = current.bearer.serial;
        match RenewalDue::of(&current.grant, is_renewable, self.ctx.now()) {
            RenewalDue::No => {}
            RenewalDue::Ahead => self.renewals.renew_ahead(serial, challenge),
            RenewalDue::Now => return self.renew(RenewedFor::Request, Some(serial), challenge).await.map(Some),
        }
        Ok(Some(current.bearer))
    }

    /// As [`Bearer::tag`], for the token in the settings.
    pub(crate) async fn static_tag(&self) -> Option<u64> {
        let token = self.ctx.settings.static_token.as_ref()?;
        Some(*self.static_tag.get_or_init(|| static_token::tag(token.clone(), self.ctx.files.clone())).await)
    }

    /// A token newer than `rejected`.
    pub(crate) async fn renew(
        &self,
        renewed_for: RenewedFor,
        rejected: Option<u64>,
        challenge: &Arc<Challenge>,
    ) -> Result<Bearer, RenewalError> {
        if self.ctx.settings.static_token.is_some() {
            return Err(static_token_rejected(&self.ctx.settings, None).into());
        }
        self.renewals.renew(renewed_for, rejected, challenge).await
    }

    /// Whether this token may have ended, as far as this machine can tell.
    pub(crate) fn may_have_ended(&self, bearer: &Bearer) -> bool {
        self.step_if_old(bearer) != Step::Tell(OldToken::Young)
    }

    /// What to do about a token that was answered as if it had ended.
    fn step_if_old(&self, bearer: &Bearer) -> Step {
        let current = self.cache.usable().filter(|current| current.bearer.serial == bearer.serial);
        self.old_tokens.step(Age {
            serial: bearer.serial,
            may_have_ended: current.is_some_and(|current| old_token::may_have_ended(&current.grant, self.ctx.now())),
            renewable: self.cache.renewable(bearer),
            is_accepted: self.cache.has_accepted_token(bearer.serial),
        })
    }

    /// Another token in its place, if there can be one without a person.
    pub(crate) async fn renew_if_old(&self, bearer: &Bearer) -> OldToken {
        match self.step_if_old(bearer) {
            Step::Tell(outcome) => outcome,
            Step::Renew => {
                tracing::info!("the server may have answered a token that has ended; it is renewed");
                let renewed = self.renew(RenewedFor::Background, Some(bearer.serial), &Arc::default()).await;
                self.old_tokens.tried(bearer.serial, renewed.ok().map(|renewed| renewed.serial))
            }
        }
    }

    /// Records that the server has accepted this token; returns whether that is new.
    pub(crate) fn accepted(&self, bearer: &Bearer) -> bool {
        let is_news = self.cache.accepted(bearer);
        if is_news {
            self.renewals.accepted();
        }
        is_news
    }

    /// Gives up a token that was renewed for this very request and refused again.
    pub(crate) fn refused_again(&self, rejected: Option<&Bearer>) -> RenewalError {
        let current = self.cache.current();
        let current = current.filter(|current| rejected.is_none_or(|r| r.serial <= current.bearer.serial));
        let Some(current) = current else { return AuthError::SignInNeeded(self.rejected()).into() };
        let is_afresh = self.cache.is_rejected_afresh(&current);
        // Otherwise it would be mistaken for the next sign-in's token.
        self.cache.end(current.bearer.serial);
        if is_afresh { RenewalError::RejectedAfresh } else { AuthError::SignInNeeded(self.rejected()).into() }
    }

    /// "The server rejects the token."
    pub(crate) fn rejected(&self) -> Problem {
        let host = host_of(&self.ctx.settings.url);
        self.ctx.explain(Problem::new(ProblemId::TokenRejected).with("host", host))
    }

    /// The same, with the server's words.
    pub(crate) fn rejected_by(&self, challenge: &Challenge) -> Problem {
        let said = challenge.error_description.as_deref();
        self.rejected().said("error_description", said.map(|text| Secrets::none().words(text)))
    }

    /// Whether somebody has to sign in before a request makes sense: the server is known to require it, and nobody is
    /// signed in.
    pub(crate) async fn needs_sign_in(&self) -> bool {
        let ctx = &self.ctx;
        if ctx.settings.static_token.is_some() || ctx.uses_client_credentials() {
            return false;
        }
        // A store that does not answer does not mean that nobody is signed in. Another process may have just signed in.
        let is_signed_out = self.cache.usable().is_none() && self.cache.reload_if_changed().await.is_ok();
        if !is_signed_out || self.cache.usable().is_some() {
            return false;
        }
        if ctx.settings.product.is_planhat() || self.answers.has_had_an_owner().await {
            return true;
        }
        let issuers = choose::issuers(&ctx.files);
        blocking::run(move || issuers.read::<Value>().is_some()).await
    }

    /// Stores the grant of a sign-in, and starts using it.
    pub(crate) async fn keep(&self, grant: Grant) -> Result<GrantSummary, Problem> {
        let ctx = &self.ctx;
        let summary = GrantSummary::from(&grant);
        let lock = self.cache.token_lock().await?;
        let oauth = &ctx.settings.oauth;
        let is_configured = oauth.client_id.as_ref() == Some(&grant.client_id);
        if let Some(secret) = oauth.client_secret.as_ref().filter(|secret| is_configured && !secret.is_empty()) {
            // Renewing needs the secret, even in runs without the setting.
            client::keep_secret(&ctx.settings, &ctx.store, &grant.client_id, secret).await?;
        }
        // Before the token is used: the server's answers are stored under its owner.
        self.answers.begin(&grant).await;
        self.cache.save(&grant).await?;
        self.cache.set_unsaved(None);
        if grant.kind == GrantKind::Person && !is_configured {
            dynamic::forget_earlier(&ctx.settings, &ctx.store, &grant.issuer, &grant.client_id).await;
        }
        drop(lock);
        self.cache.adopt(Some(grant));
        Ok(summary)
    }

    /// Revokes the grant at the server, if possible, and removes it here and in the store. `None` if there was none.
    pub(crate) async fn sign_out(&self) -> Result<Option<Revoked>, Problem> {
        let ctx = &self.ctx;
        let _lock = self.cache.token_lock().await?;
        // A record that cannot be read can still be removed.
        let grant = stored::read_from_anywhere(ctx).await.ok().flatten();
        let revoked = match &grant {
            Some(grant) => revocation::revoke(ctx, grant).await,
            None => Revoked::Nothing,
        };
        // Leave no secret behind; the next sign-in gets the secret again, or registers again.
        let (mut removed, mut failed) = (false, None);
        let (files, settings, held) = (ctx.files.clone(), Arc::clone(&ctx.settings), grant.clone());
        let accounts = move || profiles::accounts(&files, &settings, held.as_ref());
        for account in blocking::run(accounts).await {
            match ctx.store.delete(&account).await {
                Ok(was_there) => removed |= was_there,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        self.answers.end().await;
        let files = ctx.files.clone();
        let forget = move || {
            choose::issuers(&files).remove();
            client_home::note(&files).remove();
            profiles::forget(&files);
            notes::stored_account(&files).remove();
            notes::spent(&files).remove();
            notes::refused_afresh(&files).remove();
            presented::note(&files).remove();
            files.generation().bump()
        };
        if let Err(problem) = blocking::run(forget).await {
            // The sign-out itself has succeeded.
            tracing::warn!(%problem, "other processes will not notice that the sign-in is gone");
        }
        self.cache.set_unsaved(None);
        self.cache.adopt(None);
        Ok(removed.then_some(revoked))
    }

    /// Waits until no renewal is running and everything is saved, at most `within`.
    pub(crate) async fn settle(&self, within: Duration) {
        let settled = async {
            self.renewals.finished().await;
            self.answers.written().await;
            while self.cache.is_unsaved() {
                tokio::time::sleep(SAVED_POLL).await;
            }
        };
        if tokio::time::timeout(within, settled).await.is_err() {
            tracing::error!(
                "the renewed sign-in could not be saved before the end; the stored one is spent, so somebody may have to \
                 sign in again"
            );
        }
    }

    /// Remembers what the server answered under this grant, as in [`Bearer::grant`]. Nobody waits for the writing; what
    /// follows in this process finds it written.
    pub(crate) fn remember(&self, grant: Option<u64>, revision: &Revision, method: &str, answer: &RawValue) {
        if let Some(current) = self.cache.current().filter(|current| Some(current.bearer.grant) == grant) {
            self.answers.remember(&current.grant, revision, method, answer);
        }
    }

    /// What the server answered to `method` in this revision before.
    pub(crate) async fn remembered(&self, revision: &Revision, method: &str) -> Option<Box<RawValue>> {
        let (owner, revision, method) = (self.owner(), revision.clone(), method.to_owned());
        self.answers.read(move |answers| answers.get(owner.as_ref(), &revision, &method)).await
    }

    /// The same in any revision that `fits`, the newest first.
    pub(crate) async fn remembered_in(
        &self,
        method: &str,
        fits: impl Fn(&Revision) -> bool + Send + 'static,
    ) -> Option<Box<RawValue>> {
        let (owner, method) = (self.owner(), method.to_owned());
        self.answers.read(move |answers| answers.get_any(owner.as_ref(), &method, fits)).await
    }

    /// Whose answers may be remembered and served now.
    pub(crate) fn owner(&self) -> Option<Owner> {
        self.cache.current().map(|current| Owner::from(&*current.grant))
    }
}
