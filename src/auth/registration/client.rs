//! Who this program is to the authorization server: client id, credentials, and how it authenticates at the token
//! endpoint.

use std::sync::Arc;

use url::form_urlencoded;

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
    /// Whether the sign-in page refused it a moment after its registration, as it may any client.
    pub is_refused_by_any_page: bool,
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

    /// The methods to try, once each, after the server has refused this one. A registered client keeps to the method that
    /// its registration names (RFC 7591, 2); of Basic, only the form is varied.
    pub fn methods_after(&self, refused: AuthMethod) -> Vec<AuthMethod> {
        use AuthMethod::{ClientSecretBasic, ClientSecretBasicRaw, ClientSecretPost};
        let candidates = match refused {
            AuthMethod::None | AuthMethod::PrivateKeyJwt => &[][..],
            ClientSecretBasic => &[ClientSecretBasicRaw, ClientSecretPost],
            ClientSecretBasicRaw => &[ClientSecretBasic, ClientSecretPost],
            ClientSecretPost => &[ClientSecretBasic, ClientSecretBasicRaw],
        };
        let is_named = self.is_registered() && self.method.is_some();
        let may_be_tried = |method: &AuthMethod| {
            (!is_named || method.is_basic() == refused.is_basic())
                && (*method != ClientSecretBasicRaw || self.has_raw_basic_form())
        };
        candidates.iter().copied().filter(may_be_tried).collect()
    }

    /// Whether its Basic credentials are others without the encoding of RFC 6749 (2.3.1), and can be told apart at the colon.
    fn has_raw_basic_form(&self) -> bool {
        let is_encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>() == text;
        let secret = self.secret.as_ref().is_some_and(|secret| !is_encoded(secret.expose()));
        !self.id.contains(':') && (secret || !is_encoded(&self.id))
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
    /// HTTP Basic with id and secret as they are (RFC 7617). Some servers compare what comes without undoing the encoding of
    /// RFC 6749 (2.3.1). In records it is Basic: the grant notes since when.
    #[serde(rename = "client_secret_basic", skip_deserializing)]
    ClientSecretBasicRaw,
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
        self.is_basic() || self == AuthMethod::ClientSecretPost
    }

    /// Whether it is HTTP Basic, in whichever form.
    pub fn is_basic(self) -> bool {
        matches!(self, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretBasicRaw)
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
    fn after_a_refusal_each_other_method_is_tried_once_and_none_that_the_registration_rules_out() {
        use AuthMethod::{ClientSecretBasic as Basic, ClientSecretBasicRaw as Raw, ClientSecretPost as Post};
        let client = |id: &str, secret: &str, origin, method| Client {
            id: id.to_owned(),
            secret: Some(secret.into()),
            key: None,
            method,
            allowed_scope: None,
            redirect_path: None,
            is_refused_by_any_page: false,
            origin,
        };
        let (given, registered) = (ClientOrigin::PreRegistered, ClientOrigin::Registered { port: 1 });
        for (secret, origin, named, refused, expected) in [
            ("plain-1", given, None, Basic, &[Post][..]),
            ("plain-1", given, None, Post, &[Basic]),
            ("a$+/=:%~", given, None, Basic, &[Raw, Post]),
            ("a$+/=:%~", given, None, Raw, &[Basic, Post]),
            ("a$+/=:%~", given, None, Post, &[Basic, Raw]),
            ("a$+/=:%~", given, None, AuthMethod::None, &[]),
            ("plain-1", registered, Some(Basic), Basic, &[]),
            ("plain-1", registered, Some(Post), Post, &[]),
            ("plain-1", registered, None, Basic, &[Post]),
            ("a+b", registered, Some(Basic), Basic, &[Raw]),
        ] {
            let client = client("pk_1", secret, origin, named);
            assert_eq!(client.methods_after(refused), expected, "{secret} {origin:?} {named:?} {refused:?}");
        }
        assert_eq!(
            client("a:b", "c+d", given, None).methods_after(Basic),
            [Post],
            "the colon would be taken for the end"
        );
    }

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
