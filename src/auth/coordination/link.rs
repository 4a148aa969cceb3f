//! The page of the sign-in that is under way, and "somebody has to sign in" with its link.

use crate::auth::bearer::cache::TokenCache;
use crate::auth::context::Context;
use crate::auth::coordination::observed::Observed;
use crate::auth::grants::stored;
use crate::problem::{Problem, ProblemId};

/// The page of the sign-in that is under way in some process.
pub(crate) async fn current(cache: &TokenCache, ctx: &Context) -> Option<String> {
    // Somebody who is signed in may be asked for a wider scope: then only the record has the link.
    if let Some(link) = cache.state().link() {
        return Some(link);
    }
    let observed = Observed::now(ctx).await;
    observed.link().filter(|_| observed.is_under_way())
}

/// "Somebody has to sign in", with the link where there is one.
pub(crate) async fn sign_in_needed(cache: &TokenCache, ctx: &Context) -> Problem {
    if let Some(problem) = stored::moved(ctx).await {
        return ctx.explain(problem);
    }
    let problem = Problem::new(ProblemId::SignInNeeded).with("service", ctx.settings.service_name());
    ctx.explain(match current(cache, ctx).await {
        Some(link) => problem.with("link", link),
        None => problem,
    })
}
