//! One sign-in for a profile: takes the login lock or joins the sign-in that holds it, keeps the record by which the other
//! processes follow, and stores the grant.
//!
//! A bridge that keeps its tokens in memory signs in here, too, so nothing in it blocks its thread. In the `login` process
//! the command line may block where nothing else waits; the browser is answered on threads of its own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::bearer::cache::TokenCache;
use crate::auth::bearer::renewal::RenewedFor;
use crate::auth::bearer::tokens::Tokens;
use crate::auth::context::Context;
use crate::auth::coordination::observed::Observed;
use crate::auth::coordination::{join, link};
use crate::auth::discovery::challenge::Challenge;
use crate::auth::error::RenewalError;
use crate::auth::grants::grant::GrantSummary;
use crate::auth::grants::stored;
use crate::auth::login::attempt;
use crate::auth::login::attempt::{Attempt, Since};
use crate::auth::login::device_flow::LONGEST_DEVICE_CODE_LIFETIME;
use crate::auth::login::flow::Granted;
use crate::auth::login::ui::{LoginEvent, LoginOptions, LoginUi};
use crate::auth::login::{code_flow, flow};
use crate::blocking;
use crate::problem::{Problem, ProblemId};
use crate::store::{LockError, ProcessLock};

/// How long to wait for the login lock: processes that only check it hold it briefly.
const LOGIN_LOCK_WAIT: Duration = Duration::from_millis(500);
/// The time that a sign-in has in addition to the user's: for discovery before, and for exchanging and storing tokens
/// after.
const TIME_BESIDE_THE_USER: Duration = Duration::from_secs(120);
/// The poll interval for a request to cancel the sign-in.
const STOP_REQUEST_POLL: Duration = Duration::from_millis(200);
/// How long a sign-in may take to stop on request.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long each attempt waits for the login lock while a sign-in has to stop.
const STOP_POLL: Duration = Duration::from_millis(200);

/// Signs in, with a person at it, and stores the tokens. Only the success of a `login` that a person has typed lifts the brake.
pub(crate) async fn login(
    tokens: &Tokens,
    challenge: &Arc<Challenge>,
    options: LoginOptions,
    ui: &mut dyn LoginUi,
) -> Result<GrantSummary, Problem> {
    let (ctx, by_person) = (&tokens.ctx, options.by_person);
    if by_person {
        ctx.brake.person_signs_in();
    }
    let result = login_or_join(tokens, challenge, options, ui).await;
    if by_person && result.is_ok() {
        ctx.brake.lift().await;
    }
    result
}

async fn login_or_join(
    tokens: &Tokens,
    challenge: &Arc<Challenge>,
    mut options: LoginOptions,
    ui: &mut dyn LoginUi,
) -> Result<GrantSummary, Problem> {
    let ctx = &tokens.ctx;
    if ctx.settings.static_token.is_some() {
        return Err(Problem::new(ProblemId::StaticTokenSet));
    }
    if ctx.uses_client_credentials() {
        return try_client_credentials(tokens, challenge).await;
    }
    if let Some(problem) = stored::moved(ctx).await {
        return Err(ctx.explain(problem));
    }
    loop {
        if std::mem::take(&mut options.restart) {
            stop(ctx).await?;
        }
        match ProcessLock::acquire(&ctx.files.login_lock(), "a sign-in", LOGIN_LOCK_WAIT).await {
            Ok(lock) => return login_locked(lock, tokens, challenge, options, ui).await,
            Err(LockError::Held { .. }) if options.since.is_some() => {
                let problem = Problem::new(ProblemId::SignInPending);
                return Err(ctx.explain(match link::current(&tokens.cache, ctx).await {
                    Some(link) => problem.with("link", link),
                    None => problem,
                }));
            }
            Err(LockError::Held { .. }) => {
                if let Some(summary) = join::join(tokens, &mut options, ui).await.map_err(|p| ctx.explain(p))? {
                    return Ok(summary);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// No person is needed; this only shows whether it works.
async fn try_client_credentials(tokens: &Tokens, challenge: &Arc<Challenge>) -> Result<GrantSummary, Problem> {
    match tokens.renew(RenewedFor::Request, None, challenge).await {
        Ok(_) => {}
        Err(RenewalError::Other(error)) => return Err(tokens.ctx.explain(error.into())),
        Err(RenewalError::RejectedAfresh) => return Err(tokens.rejected()),
        Err(RenewalError::NoGrant) => return Err(link::sign_in_needed(&tokens.cache, &tokens.ctx).await),
    }
    match tokens.cache.current() {
        Some(current) => Ok(GrantSummary::from(&*current.grant)),
        None => Err(link::sign_in_needed(&tokens.cache, &tokens.ctx).await),
    }
}

/// Signs in, now that nobody else of this profile does.
async fn login_locked(
    _lock: ProcessLock,
    tokens: &Tokens,
    challenge: &Challenge,
    mut options: LoginOptions,
    ui: &mut dyn LoginUi,
) -> Result<GrantSummary, Problem> {
    let ctx = &tokens.ctx;
    let before = attempt::load(&ctx.files).await;
    if let Some(since) = &options.since
        && let Some(outcome) = outcome_since(ctx, since, before.as_ref()).await
    {
        return outcome;
    }
    let sign_in = ctx.settings.limits.sign_in;
    let within = if options.device { sign_in.max(LONGEST_DEVICE_CODE_LIFETIME) } else { sign_in };
    let opens = options.open_browser && !options.device;
    let mut attempt = Attempt::after(before.as_ref(), ctx.now(), within, opens);
    // Remove an old request to stop an earlier sign-in.
    let stop = attempt::stop(&ctx.files);
    blocking::run(move || stop.remove()).await;
    attempt::save(ctx, &attempt).await?;
    let number = attempt.number;
    let mut ui = Announced { ui, cache: &tokens.cache };
    let sign_in = sign_in_and_store(tokens, challenge, &mut options, &mut ui, &mut attempt);
    let result = tokio::select! {
        result = sign_in => result,
        () = stop_requested(ctx, number) => Err(Problem::new(ProblemId::SignInStopped)),
        // Each step has its own bound; this one is for the unforeseen.
        () = tokio::time::sleep(within + TIME_BESIDE_THE_USER) => Err(code_flow::timed_out(ctx, None)),
    };
    let result = result.map_err(|problem| ctx.explain(ended_by(problem)));
    attempt.end(ctx.now(), result.as_ref().err());
    if let Err(problem) = attempt::save(ctx, &attempt).await {
        tracing::warn!(%problem, "the record of how the sign-in ended could not be written");
    }
    result
}

/// Why the sign-in ended. "Try again, no sign-in is needed" is no advice to somebody whose sign-in has just ended.
fn ended_by(problem: Problem) -> Problem {
    match problem.id {
        ProblemId::TokenEndpointUnavailable => Problem { id: ProblemId::SignInUnavailable, ..problem },
        _ => problem,
    }
}

async fn sign_in_and_store(
    tokens: &Tokens,
    challenge: &Challenge,
    options: &mut LoginOptions,
    ui: &mut dyn LoginUi,
    attempt: &mut Attempt,
) -> Result<GrantSummary, Problem> {
    let Granted { grant, last_page } = flow::sign_in(&tokens.ctx, challenge, options, ui, attempt).await?;
    let stored = tokens.keep(grant).await;
    // Only now can the page say that somebody is signed in.
    last_page.show(&tokens.ctx, stored.as_ref().err()).await;
    stored
}

/// Publishes the link to this process's requests before the user sees it.
struct Announced<'a> {
    ui: &'a mut dyn LoginUi,
    cache: &'a TokenCache,
}

impl LoginUi for Announced<'_> {
    fn event(&mut self, event: LoginEvent<'_>) {
        if let LoginEvent::Waiting { link, .. } = &event {
            self.cache.set_signing_in(Some((*link).to_owned()));
        }
        self.ui.event(event);
    }
}

/// The outcome of a sign-in that has completed since this one was ordered.
async fn outcome_since(ctx: &Context, since: &Since, last: Option<&Attempt>) -> Option<Result<GrantSummary, Problem>> {
    let stored = stored::read(ctx).await.ok().flatten();
    if let Some(grant) = stored.filter(|grant| since.grant.as_ref() != Some(&grant.id)) {
        tracing::debug!("somebody has signed in since");
        return Some(Ok(GrantSummary::from(&grant)));
    }
    let failure = last.filter(|last| last.number > since.number)?.failure.clone()?;
    Some(Err(Problem::from(failure)))
}

/// Returns when somebody asks to stop the sign-in with this number.
async fn stop_requested(ctx: &Context, number: u64) {
    loop {
        tokio::time::sleep(STOP_REQUEST_POLL).await;
        let stop = attempt::stop(&ctx.files);
        if blocking::run(move || stop.read()).await == Some(number) {
            return;
        }
    }
}

/// Stops another process's sign-in, if one is running.
///
/// # Errors When that process does not release the lock.
pub(crate) async fn stop(ctx: &Context) -> Result<(), Problem> {
    let begun = Instant::now();
    loop {
        let observed = Observed::now(ctx).await;
        if !observed.is_locked? {
            return Ok(());
        }
        let attempt = observed.attempt.unwrap_or_default();
        let (stop, number) = (attempt::stop(&ctx.files), attempt.number);
        // Without a record it has only just started; the record is about to appear.
        blocking::run(move || stop.write(&number)).await?;
        match ProcessLock::acquire(&ctx.files.login_lock(), "a sign-in", STOP_POLL).await {
            Ok(_) => {
                let stop = attempt::stop(&ctx.files);
                blocking::run(move || stop.remove()).await;
            }
            Err(LockError::Held { path, purpose, .. }) if begun.elapsed() > STOP_TIMEOUT => {
                let after = begun.elapsed();
                let problem = Problem::from(LockError::Held { path, purpose, after });
                return Err(ctx.explain(problem.with("process", attempt.process)));
            }
            Err(LockError::Held { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
