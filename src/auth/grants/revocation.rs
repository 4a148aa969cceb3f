//! Withdrawing a sign-in at the server (RFC 7009), where it offers that.

use std::time::Duration;

use crate::auth::context::Context;
use crate::auth::exchange::client_authentication;
use crate::auth::exchange::client_authentication::Sender;
use crate::auth::exchange::token_endpoint;
use crate::auth::grants::grant::{Grant, GrantKind};
use crate::auth::registration::choose;
use crate::problem::{Problem, ProblemId};

/// Signing out must not hang on a server that does not answer.
const REVOCATION_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a sign-in at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// The server has withdrawn it.
    Yes,
    /// The server has no revocation endpoint; a person can do it there.
    NotOffered {
        /// The issuer that gave it.
        issuer: String,
    },
    /// It was an access token that the user typed: its issuer revokes it.
    Typed,
    /// There was nothing that could be withdrawn.
    Nothing,
    /// It could not be withdrawn.
    Failed(Problem),
}

/// Withdraws the refresh token, and with it what came of it; or the access token where there is none.
pub(crate) async fn revoke(ctx: &Context, grant: &Grant) -> Revoked {
    let Some(endpoint) = &grant.revocation_endpoint else {
        return match grant.kind {
            GrantKind::Person => Revoked::NotOffered { issuer: grant.issuer.clone() },
            GrantKind::Static => Revoked::Typed,
            // It lasts a while, and nobody has agreed to it.
            GrantKind::Client => Revoked::Nothing,
        };
    };
    match tokio::time::timeout(REVOCATION_TIMEOUT, revoke_at(ctx, endpoint, grant)).await {
        Ok(Ok(())) => Revoked::Yes,
        Ok(Err(problem)) => Revoked::Failed(problem),
        Err(_) => Revoked::Failed(Problem::new(ProblemId::TokenEndpointUnavailable).with("endpoint", endpoint)),
    }
}

async fn revoke_at(ctx: &Context, endpoint: &str, grant: &Grant) -> Result<(), Problem> {
    let client = choose::client_of(ctx, &grant.issuer, &grant.client_id, grant.auth_method).await?;
    let (token, hint) = match &grant.refresh_token {
        Some(token) => (token, "refresh_token"),
        None => (&grant.access_token, "access_token"),
    };
    let (method, audience, now) = (grant.auth_method, grant.issuer.as_str(), ctx.now());
    let sender = Sender { client: &client, method, audience, now };
    let fields = [("token", token.expose().as_str()), ("token_type_hint", hint)];
    let request = sender.post(endpoint, "revocation endpoint", &fields)?;
    let answer = client_authentication::exchange(
        &ctx.http.named_by(grant.named_by),
        request,
        token_endpoint::TOKEN_ANSWER_BOUNDS,
    )
    .await?;
    // A token that is not known any more is no error (RFC 7009, 2.2).
    if answer.status.is_success() {
        return Ok(());
    }
    Err(Problem::new(ProblemId::TokenEndpointUnavailable)
        .with("status", answer.status.as_u16())
        .with("endpoint", endpoint))
}
