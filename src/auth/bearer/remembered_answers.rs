//! The server's answers under a grant, remembered for times when nobody is signed in.

use serde_json::value::RawValue;

use crate::auth::context::Context;
use crate::auth::grants::grant::Grant;
use crate::config::TokenStoreKind;
use crate::hash::fnv1a;
use crate::store::{Answers, Owner};

impl From<&Grant> for Owner {
    fn from(grant: &Grant) -> Self {
        Self {
            resource: grant.resource.clone(),
            issuer: grant.issuer.clone(),
            client: grant.client_id.clone(),
            grant: grant.id.clone(),
        }
    }
}

/// Remembers what the server answered to a request that was sent under this grant.
pub(crate) fn remember(ctx: &Context, grant: &Grant, revision: &str, method: &str, answer: &RawValue) {
    let Some(answers) = answers(ctx) else { return };
    if let Err(problem) = answers.keep(&Owner::from(grant), revision, method, answer) {
        tracing::debug!(%problem, "an answer is not remembered");
    }
}

/// A new grant: forgets the server's answers under the previous one.
pub(crate) fn begin(ctx: &Context, grant: &Grant) {
    let begun = answers(ctx).map_or(Ok(()), |answers| answers.begin(Owner::from(grant)));
    if let Err(problem) = begun {
        tracing::warn!(%problem, "the server's earlier answers are not forgotten");
    }
}

/// After a sign-out: forgets the server's answers.
pub(crate) fn end(ctx: &Context) {
    let ended = answers(ctx).filter(Answers::has_had_an_owner).map_or(Ok(()), |answers| answers.end());
    if let Err(problem) = ended {
        tracing::warn!(%problem, "the server's earlier answers are not forgotten");
    }
}

/// `None` where nothing is to be remembered: a token from the environment may be another user's each time, and nothing
/// of it should be written down to tell them apart; a user who keeps tokens in memory wants to leave nothing behind.
pub(crate) fn answers(ctx: &Context) -> Option<Answers> {
    if ctx.settings.static_token.is_some() || ctx.settings.token_store == TokenStoreKind::Memory {
        return None;
    }
    let name = format!("answers-{:016x}.json", fnv1a(ctx.account.as_bytes()));
    Some(Answers::new(ctx.files.note(&name)))
}
