//! Dynamic registration (RFC 7591), and the registration as it is kept: bound to the server that gave it, with the port
//! of its redirect URL.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::AuthError;
use super::answer::learn;
use super::client::{AuthMethod, Client, ClientOrigin};
use super::metadata::{self, ServerMetadata};
use super::record::Accounts;
use super::token::DEVICE_GRANT;
use crate::config::{CallbackHost, CallbackSettings, Settings};
use crate::http::{Bounds, Http};
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secret, ServerWords};
use crate::store::{Store, StoreError};

/// What a person sees on the consent page.
const CLIENT_NAME: &str = "planhat-mcp";
/// Registrations are a few kilobytes.
const BOUNDS: Bounds = Bounds { max_body: 256 * 1024, timeout: Duration::from_secs(30) };

/// The stored form.
#[derive(Serialize, Deserialize)]
struct Stored {
    issuer: String,
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// In seconds since 1970; 0 is never (RFC 7591, 3.2.1).
    #[serde(default)]
    secret_ends_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_method: Option<AuthMethod>,
    localhost: bool,
    port: u16,
}

impl Drop for Stored {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.client_secret);
    }
}

/// The client that is kept for this server, whatever these settings ask for.
pub async fn record(settings: &Settings, store: &Store, issuer: &str) -> Result<Option<Client>, StoreError> {
    Ok(read(settings, store, issuer).await?.map(|stored| stored.client()))
}

/// The client that is kept for this server, as long as it is good and fits these settings.
pub async fn kept(settings: &Settings, store: &Store, issuer: &str, now: u64) -> Result<Option<Client>, StoreError> {
    let callback = &settings.oauth.callback;
    let stored = read(settings, store, issuer).await?.filter(|stored| {
        let same_host = stored.localhost == (callback.host == CallbackHost::Localhost);
        let secret_is_good = stored.secret_ends_at == 0 || stored.secret_ends_at > now;
        same_host && secret_is_good && (callback.free || stored.port == callback.port)
    });
    Ok(stored.map(|stored| stored.client()))
}

async fn read(settings: &Settings, store: &Store, issuer: &str) -> Result<Option<Stored>, StoreError> {
    let Some(bytes) = store.read(&Accounts::registration(settings, issuer)).await? else { return Ok(None) };
    // One that cannot be read is replaced by the next.
    Ok(serde_json::from_slice::<Stored>(bytes.expose()).ok().filter(|stored| stored.issuer == issuer))
}

/// Forgets the client: the server does not know it any more.
pub async fn forget(settings: &Settings, store: &Store, issuer: &str) {
    if let Err(error) = store.delete(&Accounts::registration(settings, issuer)).await {
        tracing::debug!(%error, "a registration that is no longer good stays in the store");
    }
}

/// Registers a client with the redirect URL of `callback`, and keeps it. `None`: the server registers nobody by itself.
pub async fn register(
    http: &Http,
    settings: &Settings,
    store: &Store,
    server: &ServerMetadata,
    callback: &CallbackSettings,
) -> Result<Option<Client>, AuthError> {
    let Some(endpoint) = &server.registration_endpoint else { return Ok(None) };
    let url = metadata::endpoint(endpoint, "registration endpoint").map_err(AuthError::Failed)?;
    let mut request = reqwest::Request::new(Method::POST, url);
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(wanted(settings, server, callback).to_string().into());
    let answer = http.exchange(request, BOUNDS).await?;
    let fields: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut secrets = answer.secrets;
    fields.as_object().into_iter().for_each(|fields| learn(&mut secrets, fields));
    let word = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let status = answer.status.as_u16();
    let (true, Some(id)) = (answer.status.is_success(), word("client_id")) else {
        return match status {
            // MCP 2025-03-26 assumes the endpoint; a server that has none there has none.
            404 | 405 | 501 => Ok(None),
            _ => {
                let words = |name: &str| word(name).map(|text| secrets.words(text));
                Err(refused(status, server, words("error"), words("error_description")))
            }
        };
    };
    let secret_ends_at = fields.get("client_secret_expires_at").and_then(Value::as_u64).unwrap_or(0);
    let stored = Stored {
        issuer: server.issuer.clone(),
        client_id: id.to_owned(),
        client_secret: word("client_secret").map(str::to_owned),
        secret_ends_at,
        auth_method: method(word("token_endpoint_auth_method"), word("client_secret").is_some()),
        localhost: callback.host == CallbackHost::Localhost,
        port: callback.port,
    };
    tracing::info!(issuer = server.issuer, client_id = id, "registered as a client");
    let bytes = Secret::new(serde_json::to_vec(&stored).expect("strings and numbers always serialize"));
    store.write(&Accounts::registration(settings, &server.issuer), bytes).await?;
    Ok(Some(stored.client()))
}

/// The client as this program wants to be registered (RFC 7591, 2).
fn wanted(settings: &Settings, server: &ServerMetadata, callback: &CallbackSettings) -> Value {
    let supported = server.token_endpoint_auth_methods_supported.as_deref();
    let lists = |name: &str| supported.is_some_and(|methods| methods.iter().any(|method| method == name));
    // A program on people's machines can keep no secret from them; a server that wants one all the same may give one.
    // Silence means Basic (RFC 8414, 2).
    let method = ["none", "client_secret_basic", "client_secret_post"].into_iter().find(|name| lists(name));
    let method = method.unwrap_or("client_secret_basic");
    let mut grants = vec!["authorization_code", "refresh_token"];
    // A server that does not know the grant might refuse the whole registration.
    if server.lists_grant(DEVICE_GRANT) {
        grants.push(DEVICE_GRANT);
    }
    let mut wanted = json!({
        "client_name": CLIENT_NAME,
        "application_type": "native",
        "redirect_uris": [callback.redirect_url()],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    });
    if let Some(scope) = &settings.oauth.scope {
        wanted["scope"] = scope.as_str().into();
    }
    wanted
}

/// How to prove itself, as the answer says or lets one guess.
fn method(said: Option<&str>, has_secret: bool) -> Option<AuthMethod> {
    match (said, has_secret) {
        (_, false) => Some(AuthMethod::None),
        (Some("client_secret_post"), true) => Some(AuthMethod::ClientSecretPost),
        (Some("client_secret_basic"), true) => Some(AuthMethod::ClientSecretBasic),
        (Some("none"), true) => Some(AuthMethod::None),
        (_, true) => None,
    }
}

fn refused(
    status: u16,
    server: &ServerMetadata,
    error: Option<ServerWords>,
    description: Option<ServerWords>,
) -> AuthError {
    let passing = status >= 500 || matches!(status, 408 | 425 | 429);
    let id = if passing { ProblemId::TokenEndpointUnavailable } else { ProblemId::RegistrationRefused };
    let problem = Problem::new(id).with("issuer", &server.issuer).with("status", status);
    let problem = problem.said("error", error).said("error_description", description);
    if passing { AuthError::NotNow(problem) } else { AuthError::Failed(problem) }
}

impl Stored {
    fn client(&self) -> Client {
        Client {
            id: self.client_id.clone(),
            secret: self.client_secret.as_deref().map(Secret::from),
            key: None,
            method: self.auth_method,
            origin: ClientOrigin::Registered { port: self.port },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Paths;

    fn asked(methods: Option<&[&str]>, grants: Option<&[&str]>) -> Value {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let url = url::Url::parse("https://h/mcp").unwrap();
        let settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        let mut server = ServerMetadata::with_token_endpoint("https://h", "https://h/token".into());
        server.token_endpoint_auth_methods_supported = methods.map(list);
        server.grant_types_supported = grants.map(list);
        wanted(&settings, &server, &settings.oauth.callback)
    }

    #[test]
    fn a_native_client_is_registered_that_can_renew_its_tokens() {
        let asked = asked(None, None);
        assert_eq!(asked["application_type"], "native");
        assert_eq!(asked["grant_types"], json!(["authorization_code", "refresh_token"]));
        assert_eq!(asked["redirect_uris"], json!(["http://127.0.0.1:7526/callback"]));
    }

    #[test]
    fn the_method_is_one_that_the_server_supports_and_a_public_client_comes_first() {
        for (supported, expected) in [
            (None, "client_secret_basic"),
            (Some(&["client_secret_post", "none"][..]), "none"),
            (Some(&["client_secret_post"]), "client_secret_post"),
            (Some(&["client_secret_post", "client_secret_basic"]), "client_secret_basic"),
        ] {
            assert_eq!(asked(supported, None)["token_endpoint_auth_method"], expected, "{supported:?}");
        }
    }

    #[test]
    fn the_device_grant_is_asked_for_only_where_it_is_known() {
        let grants = asked(None, Some(&["authorization_code", DEVICE_GRANT]));
        assert_eq!(grants["grant_types"][2], DEVICE_GRANT);
    }

    #[test]
    fn without_a_secret_there_is_nothing_to_show_whatever_the_answer_says() {
        assert_eq!(method(Some("client_secret_basic"), false), Some(AuthMethod::None));
        assert_eq!(method(Some("client_secret_post"), true), Some(AuthMethod::ClientSecretPost));
        assert_eq!(method(None, true), None);
    }
}
