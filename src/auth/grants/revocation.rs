//! Revokes a sign-in at the server (RFC 7009), where it offers that.

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

/// The outcome of revoking a sign-in at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revoked {
    /// The server has revoked it.
    Yes,
    /// The server has no revocation endpoint; the user has to do it there.
    NotOffered {
        /// The issuer.
        issuer: String,
    },
    /// The user typed the access token in; only its issuer can revoke it.
    Typed,
    /// There was nothing to revoke.
    Nothing,
    /// The server refuses to, and will again; what it issued ends by itself.
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// Revoking it failed.
    Failed(Problem),
}

/// Revokes the refresh token, and with it the tokens issued from it; without one, the access token.
pub(crate) async fn revoke(ctx: &Context, grant: &Grant) -> Revoked {
    let Some(endpoint) = grant.revoked_at() else {
        return match grant.kind {
            GrantKind::Person => Revoked::NotOffered { issuer: grant.issuer.clone() },
            GrantKind::Static => Revoked::Typed,
            // It is short-lived, and no person consented to it.
            GrantKind::Client => Revoked::Nothing,
        };
    };
    match tokio::time::timeout(REVOCATION_TIMEOUT, revoke_at(ctx, endpoint, grant)).await {
        Ok(Ok(revoked)) => revoked,
        Ok(Err(problem)) => Revoked::Failed(problem),
        Err(_) => Revoked::Failed(Problem::new(ProblemId::TokenEndpointUnavailable).with("endpoint", endpoint)),
    }
}

async fn revoke_at(ctx: &Context, endpoint: &str, grant: &Grant) -> Result<Revoked, Problem> {
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
    match answer.status.as_u16() {
        // An unknown token is not an error (RFC 7009, 2.2).
        200..=299 => return Ok(Revoked::Yes),
        408 | 425 | 429 => {}
        status @ 400..=499 => return Ok(Revoked::Refused { status }),
        _ => {}
    }
    Err(Problem::new(ProblemId::TokenEndpointUnavailable)
        .with("status", answer.status.as_u16())
        .with("endpoint", endpoint))
}
