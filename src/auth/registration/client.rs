//! Who this program is to the authorization server: client id, credentials, and how it authenticates at the token
//! endpoint.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::auth::accounts::Accounts;
use crate::auth::registration::private_key::ClientKey;
use crate::config::Settings;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;
use crate::store::{Store, StoreError};

/// A registered client.
#[derive(Debug, Clone)]
pub struct Client {
    /// The client id (RFC 6749, 2.2).
    pub id: String,
    /// The secret of a confidential client.
    pub secret: Option<Secret>,
    /// The private key that it authenticates with instead.
    pub key: Option<Arc<ClientKey>>,
    /// How it authenticates, if its registration says so.
    pub method: Option<AuthMethod>,
    /// The scope that it is limited to, if its registration says so (RFC 7591, 3.2.1).
    pub allowed_scope: Option<String>,
    /// The path of its redirect URL, if its registration has one of its own.
    pub redirect_path: Option<String>,
    /// How it got its id.
    pub origin: ClientOrigin,
}

/// How a client got its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientOrigin {
    /// An administrator issued it.
    PreRegistered,
    /// It is the URL of a client ID metadata document.
    MetadataDocument,
    /// The server issued it to this program by dynamic registration (RFC 7591), for a redirect URL with this port.
    Registered {
        /// The port.
        port: u16,
    },
}

impl Client {
    /// How to authenticate to a server that supports these methods.
    pub fn auth_method(&self, supported: Option<&[String]>) -> AuthMethod {
        match (self.method, &self.key) {
            (Some(method), _) => method,
            (None, Some(_)) => AuthMethod::PrivateKeyJwt,
            (None, None) => AuthMethod::choose(self.secret.is_some(), supported),
        }
    }

    /// Whether it has a secret or a key to authenticate with.
    pub fn proves_itself(&self) -> bool {
        self.secret.is_some() || self.key.is_some()
    }

    /// Whether it may have a secret that is not known here.
    pub fn lacks_secret(&self) -> bool {
        self.origin == ClientOrigin::PreRegistered && self.secret.is_none() && self.key.is_none()
    }

    /// Whether it was registered dynamically.
    pub fn is_registered(&self) -> bool {
        matches!(self.origin, ClientOrigin::Registered { .. })
    }

    /// A refusal of this client, explained according to how it got its id: nobody configured one that was registered
    /// dynamically.
    pub fn explained(&self, problem: Problem) -> Problem {
        let is_about_the_client = matches!(problem.id, ProblemId::InvalidClient | ProblemId::RedirectUrlNotRegistered);
        let id =
            if is_about_the_client && self.is_registered() { ProblemId::RegisteredClientRefused } else { problem.id };
        Problem { id, ..problem }
    }

    /// The same for an error at the redirect URL whose code is about the client.
    pub fn explained_at_redirect(&self, problem: Problem) -> Problem {
        let is_unknown = problem.id == ProblemId::AuthorizationFailed && self.is_registered();
        let id = if is_unknown { ProblemId::RegisteredClientRefused } else { problem.id };
        self.explained(Problem { id, ..problem })
    }
}

/// How the client authenticates at the token endpoint (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client does not authenticate.
    None,
    /// HTTP Basic.
    ClientSecretBasic,
    /// In the form.
    ClientSecretPost,
    /// An assertion signed with its private key (RFC 7523, 2.2).
    PrivateKeyJwt,
}

impl AuthMethod {
    /// The method to try first: what the metadata lists, or Basic if it lists none (RFC 8414, 2).
    pub fn choose(has_secret: bool, supported: Option<&[String]>) -> Self {
        if !has_secret {
            return AuthMethod::None;
        }
        let lists = |name: &str| supported.is_some_and(|methods| methods.iter().any(|m| m == name));
        if !lists("client_secret_basic") && lists("client_secret_post") {
            AuthMethod::ClientSecretPost
        } else {
            AuthMethod::ClientSecretBasic
        }
    }

    /// Whether this method sends the secret.
    pub fn sends_secret(self) -> bool {
        matches!(self, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost)
    }

    /// The method to try once after the server refused this one.
    pub fn other(self) -> Option<Self> {
        match self {
            AuthMethod::None | AuthMethod::PrivateKeyJwt => None,
            AuthMethod::ClientSecretBasic => Some(AuthMethod::ClientSecretPost),
            AuthMethod::ClientSecretPost => Some(AuthMethod::ClientSecretBasic),
        }
    }
}

/// The secret of this run, or else the one that `login` put into the store.
pub async fn secret(settings: &Settings, store: &Store, client_id: &str) -> Result<Option<Secret>, StoreError> {
    if let Some(secret) = settings.oauth.client_secret.clone().filter(|s| !s.is_empty()) {
        return Ok(Some(secret));
    }
    let Some(bytes) = store.read(&Accounts::client_secret(settings, client_id)).await? else { return Ok(None) };
    let text =
        std::str::from_utf8(bytes.expose()).map_err(|_| StoreError::Corrupt("the client secret is no text".into()))?;
    Ok(Some(Secret::from(text)))
}

/// Stores a client secret for later runs.
pub async fn keep_secret(
    settings: &Settings,
    store: &Store,
    client_id: &str,
    secret: &Secret,
) -> Result<(), StoreError> {
    let account = Accounts::client_secret(settings, client_id);
    store.write(&account, Secret::new(secret.expose().clone().into_bytes())).await
}

#[cfg(test)]
mod tests {
    use crate::auth::registration::client::*;

    #[test]
    fn basic_is_the_default_and_post_only_where_the_server_lists_nothing_else() {
        let list = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        for (has_secret, supported, expected) in [
            (false, None, AuthMethod::None),
            (false, list(&["client_secret_post"]), AuthMethod::None),
            (true, None, AuthMethod::ClientSecretBasic),
            (true, list(&[]), AuthMethod::ClientSecretBasic),
            (true, list(&["none", "client_secret_post"]), AuthMethod::ClientSecretPost),
            (true, list(&["client_secret_post", "client_secret_basic"]), AuthMethod::ClientSecretBasic),
            (true, list(&["private_key_jwt"]), AuthMethod::ClientSecretBasic),
        ] {
            assert_eq!(AuthMethod::choose(has_secret, supported.as_deref()), expected, "{supported:?}");
        }
    }
}
