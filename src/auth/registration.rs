//! How this program becomes a client of the authorization server: today by a client id that an administrator gave out.

use super::AuthError;
use super::client::{self, Client};
use super::metadata::ServerMetadata;
use crate::config::Settings;
use crate::problem::{Problem, ProblemId};
use crate::store::Store;

/// Planhat registers nobody by itself, so without a client id there is nothing to begin.
pub fn planhat_id_missing(settings: &Settings) -> Option<Problem> {
    let missing = settings.product.is_planhat() && settings.oauth.client_id.as_ref().is_none_or(String::is_empty);
    missing.then(|| {
        Problem::new(ProblemId::PlanhatClientIdMissing)
            .with("redirect_url", settings.oauth.callback.redirect_url())
            .with("config_file", settings.paths.config_file.display())
    })
}

/// The client to sign in as.
pub async fn client(settings: &Settings, store: &Store, server: &ServerMetadata) -> Result<Client, AuthError> {
    let Some(id) = settings.oauth.client_id.clone().filter(|id| !id.is_empty()) else {
        return Err(AuthError::Failed(
            Problem::new(if settings.product.is_planhat() {
                ProblemId::PlanhatClientIdMissing
            } else {
                ProblemId::ClientIdMissing
            })
            .with("issuer", &server.issuer)
            .with("redirect_url", settings.oauth.callback.redirect_url())
            .with("config_file", settings.paths.config_file.display()),
        ));
    };
    let secret = client::secret(settings, store, &id).await?;
    Ok(Client { id, secret })
}
