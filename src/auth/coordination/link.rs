//! The page of the sign-in that is under way, and "somebody has to sign in" with its link.

use crate::auth::bearer::cache::TokenCache;
use crate::auth::context::Context;
use crate::auth::login::attempt;
use crate::auth::login::attempt::Attempt;
use crate::problem::{Problem, ProblemId};

/// The page of the sign-in that is under way in some process.
pub(crate) fn current(cache: &TokenCache, ctx: &Context) -> Option<String> {
    // Somebody who is signed in may be asked for a wider scope: then only the record has the link.
    if let Some(link) = cache.state().link() {
        return Some(link);
    }
    let attempt: Attempt = attempt::note(&ctx.files).read()?;
    let is_under_way = attempt.ended.is_none() && ctx.files.login_is_under_way().unwrap_or(false);
    attempt.link.filter(|_| is_under_way)
}

/// "Somebody has to sign in", with the link where there is one.
pub(crate) fn sign_in_needed(cache: &TokenCache, ctx: &Context) -> Problem {
    let problem = Problem::new(ProblemId::SignInNeeded).with("service", ctx.settings.service_name());
    ctx.explain(match current(cache, ctx) {
        Some(link) => problem.with("link", link),
        None => problem,
    })
}
