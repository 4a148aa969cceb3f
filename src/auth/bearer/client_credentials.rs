//! A token for the client itself, without a person (RFC 6749, 4.4): for scripts and servers.

use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::metadata::Flow;
use crate::auth::discovery::{probe, scope, search};
use crate::auth::error::AuthError;
use crate::auth::exchange::refusal::Refusal;
use crate::auth::exchange::request::{Endpoint, GrantRequest};
use crate::auth::exchange::token_endpoint;
use crate::auth::grants::grant::{Grant, GrantKind};
use crate::auth::grants::stored;
use crate::auth::registration::choose;
use crate::auth::registration::client::AuthMethod;
use crate::problem::{Problem, ProblemId};

/// A grant that needs no consent.
pub(crate) async fn grant(ctx: &Context, challenge: &Challenge) -> Result<Grant, AuthError> {
    let challenge = probe::challenge(ctx, challenge).await;
    let bound_issuer = choose::bound_issuer(ctx).await;
    let found = search::discover(&ctx.http, &ctx.settings, &challenge, Flow::Client, bound_issuer.as_deref()).await?;
    stored::settle_client(ctx).await;
    let Some(client) = choose::known_client(ctx, &found, None).await?.filter(|client| !client.is_registered()) else {
        return Err(AuthError::Failed(choose::client_id_missing(&ctx.settings, &found)));
    };
    let endpoint = Endpoint::of(ctx, &found, &client);
    if endpoint.method == AuthMethod::None {
        let problem = Problem::new(ProblemId::ClientSecretMissing).with("client_id", &client.id);
        return Err(AuthError::Failed(problem));
    }
    let scope = scope::choose(&ctx.settings, &challenge, &found, Flow::Client);
    let request = GrantRequest::Client { scope: scope.as_deref() };
    let http = ctx.http_to_token_endpoint(found.named_by);
    let issued = token_endpoint::request_token(&http, &endpoint, &request).await.map_err(|refusal| match refusal {
        Refusal::NotNow(problem) => AuthError::NotNow(problem),
        refusal => AuthError::Failed(refusal.problem()),
    })?;
    choose::bind(ctx, &client, &found).await;
    // The same id for every token: there is no user who could change.
    let id = format!("client {}", client.id);
    Ok(Grant { id, kind: GrantKind::Client, ..Grant::issued(&found, &client, issued, scope, ctx.now()) })
}
