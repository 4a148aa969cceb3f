//! The one source of tokens in a process, as a facade: [`Tokens`] has the token and renews it, [`SignIns`] gets
//! somebody signed in, and this connects the two.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::auth::bearer::renewal::RenewedFor;
use crate::auth::bearer::state::{AuthState, Bearer, Renewable};
use crate::auth::bearer::step_up::{StepUps, wanted};
use crate::auth::bearer::tokens::Tokens;
use crate::auth::brake::{Brake, TabAdmission};
use crate::auth::context::Context;
use crate::auth::coordination::process::Program;
use crate::auth::coordination::sign_ins::SignIns;
use crate::auth::coordination::start::SignInReason;
use crate::auth::coordination::{link, login, logout, wait};
use crate::auth::discovery::challenge::Challenge;
use crate::auth::error::{AuthError, RenewalError};
use crate::auth::grants::grant::{Grant, GrantSummary};
use crate::auth::grants::revocation::Revoked;
use crate::auth::login::sign_in_page::PageOpening;
use crate::auth::login::ui::{LoginOptions, LoginUi};
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::http::Http;
use crate::problem::Problem;
use crate::secret::Secret;
use crate::store::{Backend, Store};

/// The one source of tokens in a process.
#[derive(Debug)]
pub struct Authorizer {
    pub(crate) ctx: Arc<Context>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) sign_ins: Arc<SignIns>,
    step_ups: StepUps,
}

impl Authorizer {
    /// The authorizer of this process; reads nothing yet.
    pub fn new(settings: Arc<Settings>, http: Http, store: Store, clock: SharedClock) -> Arc<Self> {
        let ctx = Context::new(settings, http, store, clock);
        let tokens = Arc::new(Tokens::new(Arc::clone(&ctx)));
        let sign_ins = SignIns::new(Arc::clone(&ctx), Arc::clone(&tokens), Program::this().ok());
        Arc::new(Self { sign_ins: Arc::new(sign_ins), tokens, ctx, step_ups: StepUps::default() })
    }

    /// The token to send, renewed before it expires; `None` if nobody is signed in, so that the request goes without
    /// one.
    pub async fn bearer(&self) -> Result<Option<Bearer>, AuthError> {
        let bearer = self.tokens.bearer(&self.sign_ins.challenge()).await;
        self.sign_ins.follow_while_signed_out();
        match bearer {
            Ok(bearer) => Ok(bearer),
            // Boxed, because it is rarely needed and each request has room for all that its future may hold.
            Err(error) => Err(Box::pin(self.explained(error)).await),
        }
    }

    /// A token newer than the rejected one; all requests and processes share one renewal.
    pub async fn unauthorized(&self, rejected: Option<&Bearer>, challenge: Challenge) -> Result<Bearer, AuthError> {
        self.renew(RenewedFor::Request, rejected, challenge).await.inspect_err(|error| {
            if let (Some(rejected), AuthError::SignInNeeded(_)) = (rejected, error) {
                // The shared renewal may have been a background one, which does not end the token.
                self.tokens.cache.end(rejected.serial);
            }
        })
    }

    /// The same in the background: without a newer token the current one stays in use, because it may work for other
    /// requests.
    pub async fn unauthorized_in_background(
        &self,
        rejected: &Bearer,
        challenge: Challenge,
    ) -> Result<Bearer, AuthError> {
        self.renew(RenewedFor::Background, Some(rejected), challenge).await
    }

    async fn renew(
        &self,
        renewed_for: RenewedFor,
        rejected: Option<&Bearer>,
        challenge: Challenge,
    ) -> Result<Bearer, AuthError> {
        let challenge = self.sign_ins.note_challenge(challenge);
        let renewed = self.tokens.renew(renewed_for, rejected.map(|bearer| bearer.serial), &challenge).await;
        self.sign_ins.follow_while_signed_out();
        match renewed {
            Ok(bearer) => Ok(bearer),
            Err(error) => Err(Box::pin(self.explained(error)).await),
        }
    }

    /// What to do about a token that was renewed for this very request and is rejected again.
    pub async fn refused_again(&self, rejected: Option<&Bearer>, challenge: Challenge) -> AuthError {
        self.sign_ins.note_challenge(challenge);
        self.explained(self.tokens.refused_again(rejected)).await
    }

    /// A token that may have more scope than the one that the server found too narrow. `SignInNeeded`: a person has to
    /// consent, and the next sign-in requests the wider scope. `Failed`: that cannot help.
    pub async fn step_up(&self, narrow: Option<&Bearer>, challenge: Challenge) -> Result<Bearer, AuthError> {
        let wanted = wanted(&self.ctx, &challenge);
        if let Some(bearer) = self.tokens.cache.newer_than(narrow.map(|bearer| bearer.serial)) {
            return Ok(bearer);
        }
        let Some(wider) = self.step_ups.next(&self.tokens, narrow, challenge) else {
            return Err(AuthError::Failed(wanted));
        };
        if self.ctx.uses_client_credentials() {
            return self.renew(RenewedFor::Request, narrow, wider).await;
        }
        self.sign_ins.note_challenge(wider);
        Err(AuthError::SignInNeeded(wanted))
    }

    /// Records that the server has accepted this token.
    pub fn accepted(&self, bearer: &Bearer) {
        if self.tokens.accepted(bearer) {
            self.sign_ins.accepted();
        }
    }

    /// Whether the server has accepted a token of this sign-in before.
    pub fn has_accepted(&self, bearer: &Bearer) -> bool {
        self.tokens.cache.has_accepted(bearer)
    }

    /// Whether another token after this one can be obtained without a person.
    pub fn renewable(&self, bearer: &Bearer) -> Renewable {
        self.tokens.cache.renewable(bearer)
    }

    /// The tokens, and what is remembered beside them.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// What this profile may spend of tabs and token requests.
    pub fn brake(&self) -> &Brake {
        &self.ctx.brake
    }

    /// The problem with what these settings say to do about it.
    pub fn explain(&self, problem: Problem) -> Problem {
        self.ctx.explain(problem)
    }

    /// Every change of the sign-in's state.
    pub fn watch(&self) -> watch::Receiver<AuthState> {
        self.tokens.cache.watch()
    }

    /// The current interactive grant, and the current time in seconds since 1970.
    pub fn signed_in_now(&self) -> (Option<u64>, u64) {
        (self.tokens.cache.state().grant(), self.ctx.now())
    }

    /// The page of the sign-in that is under way in some process.
    pub async fn sign_in_link(&self) -> Option<String> {
        link::current(&self.tokens.cache, &self.ctx).await
    }

    /// "Somebody has to sign in", with the link where there is one.
    pub async fn sign_in_needed(&self) -> Problem {
        self.sign_ins.sign_in_needed().await
    }

    /// Whether the client gets tokens for itself, without a person.
    pub fn needs_no_person(&self) -> bool {
        self.ctx.uses_client_credentials()
    }

    /// How the person gets to the page of the sign-in that is under way in some process; `None` when none is.
    pub async fn page_opening(&self) -> Option<PageOpening> {
        self.sign_ins.page_opening().await
    }

    /// Remembers what the server asks for, so that the next sign-in goes to the right place.
    pub fn note_challenge(&self, challenge: Challenge) {
        self.sign_ins.note_challenge(challenge);
    }

    /// Starts a sign-in, unless one is under way already in some process.
    pub async fn start_sign_in(&self, reason: SignInReason) -> Result<(), Problem> {
        self.sign_ins.start(reason, reason.page_opening()).await
    }

    /// The same, but no browser opens by itself: the client shows the link.
    pub async fn start_sign_in_by_link(&self, reason: SignInReason) -> Result<(), Problem> {
        self.sign_ins.start(reason, PageOpening::Link).await
    }

    /// Waits until there is a token newer than `than`; its errors are those of [`wait::for_token`].
    pub async fn wait_newer(&self, than: Option<u64>, within: Duration) -> Result<(), AuthError> {
        wait::for_token(&self.sign_ins, &self.tokens.cache, &self.ctx, than, within).await
    }

    /// The link of the sign-in that is under way; `None` when somebody has signed in.
    pub async fn wait_link(&self, than: Option<u64>, within: Duration) -> Result<Option<String>, AuthError> {
        wait::for_link(&self.sign_ins, &self.tokens.cache, &self.ctx, than, within).await
    }

    /// Permission to open this page, or to have the client open it; the problem has the link.
    pub async fn admit_tab(&self, link: &str) -> Result<TabAdmission, Problem> {
        self.sign_ins.pages.admit(link).await
    }

    /// Opens the browser after all, for a sign-in that was to do without; the problem has the link.
    pub async fn open_link(&self, link: &str, admission: TabAdmission) -> Result<(), Problem> {
        self.sign_ins.open_link(link, admission).await
    }

    /// Signs in interactively, and stores the tokens.
    pub async fn login(&self, options: LoginOptions, ui: &mut dyn LoginUi) -> Result<GrantSummary, Problem> {
        login::login(&self.tokens, &self.sign_ins.challenge(), options, ui).await
    }

    /// Stores an access token to send unchanged, instead of a sign-in.
    pub async fn keep_token(&self, token: Secret) -> Result<GrantSummary, Problem> {
        let grant = Grant::typed(token, &self.ctx.settings.url, self.ctx.now());
        self.tokens.keep(grant).await.map_err(|problem| self.ctx.explain(problem))
    }

    /// Revokes the grant, if the server can, and removes it. `None` if there was none.
    pub async fn logout(&self) -> Result<Option<Revoked>, Problem> {
        logout::logout(&self.tokens).await.map_err(|problem| self.ctx.explain(problem))
    }

    /// Where tokens are stored.
    pub fn backend(&self) -> &Backend {
        self.ctx.store.backend()
    }

    async fn explained(&self, error: RenewalError) -> AuthError {
        match error {
            RenewalError::NoGrant => AuthError::SignInNeeded(self.sign_in_needed().await),
            RenewalError::RejectedAfresh => {
                let problem = self.tokens.rejected_by(&self.sign_ins.challenge());
                self.sign_ins.rejected_afresh(problem.clone()).await;
                AuthError::Failed(problem)
            }
            RenewalError::Other(error) => error.map(|problem| self.ctx.explain(problem)),
        }
    }
}
