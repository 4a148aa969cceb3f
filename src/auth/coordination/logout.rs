//! Signs out: ends a running sign-in, gives up the grant, and forgets how earlier sign-ins ended.

use crate::auth::bearer::tokens::Tokens;
use crate::auth::coordination::{login, outcome};
use crate::auth::grants::revocation::Revoked;
use crate::problem::Problem;

/// Revokes the grant at the server, if possible, and removes it here and in the store. `None` if there was none.
pub(crate) async fn logout(tokens: &Tokens) -> Result<Option<Revoked>, Problem> {
    // Otherwise it would sign in again when it completes.
    if let Err(problem) = login::stop(&tokens.ctx).await {
        tracing::warn!(%problem, "a sign-in that is under way could not be ended");
    }
    let revoked = tokens.sign_out().await?;
    outcome::signed_out(&tokens.ctx).await?;
    Ok(revoked)
}
