//! Waiting for the sign-in that is under way, in whatever process: for its token, or for its link.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::auth::bearer::cache::TokenCache;
use crate::auth::context::Context;
use crate::auth::coordination::observed::Observed;
use crate::auth::coordination::sign_ins::{SIGN_IN_POLL, SignIns};
use crate::auth::coordination::start::SignInReason;
use crate::auth::error::AuthError;
use crate::auth::login::attempt::Attempt;
use crate::auth::login::browser;
use crate::auth::login::sign_in_page::PageOpening;
use crate::problem::{Problem, ProblemId};

/// The poll interval for the link, which exists as soon as the callback port is bound.
const LINK_POLL: Duration = Duration::from_millis(50);

/// Waits until there is a token newer than `than`, the sign-in fails, or the time is over.
///
/// # Errors
/// `Failed` with the reason when the sign-in ended without success, `SignInNeeded` (with the link, where there is one)
/// when none is under way or the time is over, `NotNow` when the store cannot be asked.
pub(crate) async fn for_token(
    sign_ins: &Arc<SignIns>,
    cache: &TokenCache,
    ctx: &Context,
    than: Option<u64>,
    within: Duration,
) -> Result<(), AuthError> {
    let needed = async || AuthError::SignInNeeded(sign_ins.sign_in_needed().await);
    let deadline = Instant::now() + within;
    let mut state = cache.watch();
    let mut may_restart = true;
    let mut opening = if browser::is_expected() { PageOpening::Browser } else { PageOpening::Link };
    let first = Observed::now(ctx).await;
    // Seen when the request wanted a sign-in: since then its process may have been killed, perhaps before it had a record.
    let joined = sign_ins.joined();
    let mut was_under_way = joined.is_some() || sign_ins.is_under_way_in(&first);
    let awaited = joined.unwrap_or_else(|| Attempt::awaited(first.attempt.as_ref()));
    if let Some(attempt) = first.attempt.filter(|last| last.number >= awaited && last.ended.is_none()) {
        opening = sign_ins.opening_of(Some(&attempt));
    }
    let mut reloaded = cache.reload().await;
    loop {
        if cache.newer_than(than).is_some() {
            sign_ins.left(awaited);
            return Ok(());
        }
        let observed = Observed::now(ctx).await;
        if sign_ins.is_under_way_in(&observed) {
            was_under_way = true;
            opening = sign_ins.opening_of(observed.attempt.as_ref());
            cache.set_signing_in(observed.link());
        } else {
            // A store that does not answer is no reason to stop waiting, but it is the error to end with.
            reloaded?;
            let failure = sign_ins.failure();
            // Its process was killed. The sign-in is still needed, so start another one; once.
            if was_under_way
                && !observed.attempt.as_ref().is_some_and(|last| last.number >= awaited && last.ended.is_some())
                && failure.as_ref().is_none_or(|failure| failure.id == ProblemId::SignInProcessFailed)
                && std::mem::take(&mut may_restart)
            {
                let started = sign_ins.start(SignInReason::Call, opening).await;
                // Not before: others who wait for the same one would take it for one that never was.
                sign_ins.left(awaited);
                started.map_err(AuthError::Failed)?;
                reloaded = Ok(());
                continue;
            }
            sign_ins.left(awaited);
            let recorded = || observed.attempt.filter(|_| was_under_way)?.failure.map(Problem::from);
            return Err(match failure.or_else(recorded) {
                Some(failure) => AuthError::Failed(failure),
                None => needed().await,
            });
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(needed().await);
        }
        state.borrow_and_update();
        tokio::select! {
            _ = state.changed() => {}
            () = tokio::time::sleep(left.min(SIGN_IN_POLL)) => {}
        }
        reloaded = cache.reload_if_changed().await;
    }
}

/// The link of the sign-in that is under way, as soon as there is one; `None` when somebody has signed in.
///
/// # Errors
/// As [`for_token`].
pub(crate) async fn for_link(
    sign_ins: &Arc<SignIns>,
    cache: &TokenCache,
    ctx: &Context,
    than: Option<u64>,
    within: Duration,
) -> Result<Option<String>, AuthError> {
    let deadline = Instant::now() + within;
    loop {
        let observed = Observed::now(ctx).await;
        let link = cache.state().link().or_else(|| observed.link().filter(|_| observed.is_under_way()));
        if link.is_some() {
            return Ok(link);
        }
        let is_over = !sign_ins.is_under_way_in(&observed) || cache.newer_than(than).is_some();
        if is_over || Instant::now() >= deadline {
            // Says how it ended, or puts another in the place of one whose process was killed.
            let ended = for_token(sign_ins, cache, ctx, than, Duration::ZERO).await;
            let goes_on = matches!(ended, Err(AuthError::SignInNeeded(_)))
                && Instant::now() < deadline
                && sign_ins.is_under_way_in(&Observed::now(ctx).await);
            if !goes_on {
                return ended.map(|()| None);
            }
        }
        tokio::time::sleep(LINK_POLL).await;
    }
}
