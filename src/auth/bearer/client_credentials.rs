//! Signing in as the client itself, without a person (RFC 6749, 4.4): for scripts and servers.

use std::sync::Arc;

use crate::auth::authorizer::Authorizer;
use crate::auth::discovery::metadata::Flow;
use crate::auth::discovery::{scope, search};
use crate::auth::exchange::token_endpoint;
use crate::auth::exchange::token_endpoint::{GrantRequest, Refusal};
use crate::auth::grants::grant::{Grant, GrantKind};
use crate::auth::registration::client::AuthMethod;
use crate::auth::{AuthError, Bearer};
use crate::problem::{Problem, ProblemId};
use crate::store::ProcessLock;

impl Authorizer {
    /// Whether tokens are had without a person.
    pub(crate) fn is_machine(&self) -> bool {
        self.settings.oauth.client_credentials
    }

    /// A token newer than `rejected`; the caller holds the lock and has read the store again.
    pub(crate) async fn renew_as_client(
        self: &Arc<Self>,
        rejected: Option<u64>,
        lock: Arc<ProcessLock>,
    ) -> Result<Bearer, AuthError> {
        let now = self.clock.unix_seconds();
        if let Some(current) = self.current() {
            let newer = rejected.is_none_or(|serial| current.bearer.serial > serial);
            if newer && !current.grant.ends_within(now, 0) {
                return Ok(current.bearer);
            }
            if !current.grant.ends_within(now, current.grant.margin()) && !self.may_renew_again() {
                let problem = Problem::new(ProblemId::TokenRejected).with("host", self.settings.service_name());
                return Err(AuthError::Failed(problem));
            }
        }
        let grant = self.client_grant().await?;
        Ok(self.keep(grant, lock).await)
    }

    async fn client_grant(&self) -> Result<Grant, AuthError> {
        let challenge = self.learn_challenge().await;
        let home = self.home();
        let found = search::discover(&self.http, &self.settings, &challenge, Flow::Client, home.as_deref()).await?;
        let Some(client) = self.known_client(&found, None).await?.filter(|client| !client.is_registered()) else {
            return Err(AuthError::Failed(self.client_id_missing(&found)));
        };
        let endpoint = self.endpoint(&found, &client);
        if endpoint.method == AuthMethod::None {
            let problem = Problem::new(ProblemId::ClientSecretMissing).with("client_id", &client.id);
            return Err(AuthError::Failed(problem));
        }
        let scope = scope::choose(&self.settings, &challenge, &found, Flow::Client);
        let presented = GrantRequest::Client { scope: scope.as_deref() };
        let http = self.to_token_endpoint(found.named_by);
        let issued = token_endpoint::present(&http, &endpoint, &presented).await.map_err(|refusal| match refusal {
            Refusal::NotNow(problem) => AuthError::NotNow(problem),
            refusal => AuthError::Failed(refusal.problem()),
        })?;
        self.bind_to_issuer(&client, &found.server.issuer);
        // The same for each token: it is always the same user, namely none.
        let id = format!("client {}", client.id);
        Ok(Grant { id, kind: GrantKind::Client, ..self.granted(&found, &client, issued, scope) })
    }
}
