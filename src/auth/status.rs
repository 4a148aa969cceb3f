//! What `status` shows of signing in.

use crate::auth::authorizer::Authorizer;
use crate::auth::coordination::observed::Observed;
use crate::auth::endpoints::Elsewhere;
use crate::auth::grants::grant::GrantSummary;
use crate::auth::grants::stored;
use crate::problem::Problem;
use crate::store::Backend;

/// What `status` shows.
#[derive(Debug, Clone)]
pub struct Status {
    /// The sign-in, when there is one.
    pub grant: Option<GrantSummary>,
    /// Whether a static token is used instead.
    pub static_token: bool,
    /// Whether a sign-in is running in some process.
    pub signing_in: bool,
    /// Where tokens are stored.
    pub backend: Backend,
    /// Why the store could not be read.
    pub store_problem: Option<Problem>,
    /// Why a sign-in that is stored is not used with these settings.
    pub not_used: Option<Problem>,
    /// The origin that its tokens come from, where that is not the issuer's.
    pub tokens_from: Option<String>,
}

impl Status {
    /// The status now.
    pub async fn of(auth: &Authorizer) -> Self {
        let (ctx, tokens) = (&auth.ctx, &auth.tokens);
        let static_token = ctx.settings.static_token.is_some();
        let reloaded = if static_token { Ok(()) } else { tokens.cache.reload().await };
        let current = tokens.cache.usable();
        let tokens_from = current.as_ref().and_then(|current| {
            let grant = &current.grant;
            Elsewhere::of(&grant.issuer, None, &grant.token_endpoint).tokens
        });
        Self {
            grant: current.map(|current| GrantSummary::from(&*current.grant)),
            static_token,
            signing_in: Observed::now(ctx).await.is_under_way(),
            backend: ctx.store.backend().clone(),
            store_problem: reloaded.err().map(|error| ctx.explain(error.into())),
            not_used: stored::moved(ctx).await.map(|problem| ctx.explain(problem)),
            tokens_from,
        }
    }
}
