//! Renewing a token: an old grant in, a new one out. Who may do so and when is the [`crate::auth::authorizer`]'s business.

use crate::auth::exchange::token_endpoint;
use crate::auth::exchange::token_endpoint::{Endpoint, GrantRequest, Issued, Refusal};
use crate::auth::grants::grant::Grant;
use crate::http::Http;
use crate::secret::Secret;

/// Presents the refresh token of `grant` at the endpoint that gave it.
pub async fn refresh(http: &Http, grant: &Grant, token: &Secret, endpoint: &Endpoint<'_>) -> Result<Grant, Refusal> {
    let issued = token_endpoint::present(http, endpoint, &GrantRequest::Refresh(token)).await?;
    Ok(renewed(grant, issued, endpoint.now))
}

/// What was not said again stays as it was (RFC 6749, 6).
fn renewed(old: &Grant, issued: Issued, now: u64) -> Grant {
    Grant {
        renewals: old.renewals + 1,
        auth_method: issued.method,
        access_token: issued.access_token,
        refresh_token: issued.refresh_token.or_else(|| old.refresh_token.clone()),
        obtained_at: now,
        expires_at: issued.expires_in.map(|life| now.saturating_add(life.as_secs())),
        scope: issued.scope.or_else(|| old.scope.clone()),
        ..old.clone()
    }
}
