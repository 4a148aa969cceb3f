//! How this program becomes a client of the authorization server: today by a client id that an administrator gave out.

use super::AuthError;
use super::client::{self, Client};
use super::metadata::ServerMetadata;
use crate::config::Settings;
use crate::problem::{Problem, ProblemId};
use crate::store::Store;

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
