//! Dynamic client registration (RFC 7591), and the stored registration: bound to the server that issued it and to the
//! port of its redirect URL.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::auth::AuthError;
use crate::auth::accounts::Accounts;
use crate::auth::answer_secrets::learn;
use crate::auth::discovery::metadata;
use crate::auth::discovery::metadata::DEVICE_GRANT;
use crate::auth::discovery::metadata::ServerMetadata;
use crate::auth::discovery::scope;
use crate::auth::issuer;
use crate::auth::registration::client::{AuthMethod, Client, ClientOrigin};
use crate::config::{CallbackHost, CallbackSettings, Settings};
use crate::http::{Bounds, Http};
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secret, Secrets, ServerWords};
use crate::store::{Store, StoreError};

/// The name on the consent page.
const CLIENT_NAME: &str = "planhat-mcp";
/// Registrations are a few kilobytes.
const REGISTRATION_ANSWER_BOUNDS: Bounds = Bounds { max_body: 256 * 1024, timeout: Duration::from_secs(30) };

/// A registration as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    issuer: String,
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// In seconds since 1970; 0 means never (`client_secret_expires_at`, RFC 7591, 3.2.1).
    #[serde(default, rename = "secret_ends_at")]
    secret_expires_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_method: Option<AuthMethod>,
    localhost: bool,
    port: u16,
    /// The scope in the registration request, granted or not.
    #[serde(default, rename = "asked", skip_serializing_if = "Option::is_none")]
    requested_scope: Option<String>,
    /// The scope that the client is limited to, if the answer names one (RFC 7591, 3.2.1).
    #[serde(default, rename = "bound", skip_serializing_if = "Option::is_none")]
    allowed_scope: Option<String>,
    /// The registration behind the current sign-in, whose renewal needs it until this one has signed in.
    #[serde(default, rename = "before", skip_serializing_if = "Option::is_none")]
    previous: Option<Box<Stored>>,
}

/// The sign-in that a client is registered for.
#[derive(Debug, Clone, Copy)]
pub struct RegistrationRequest<'a> {
    /// The redirect URL.
    pub callback: &'a CallbackSettings,
    /// The scope that the sign-in will ask for.
    pub scope: Option<&'a str>,
    /// The client id of the current sign-in.
    pub in_use: Option<&'a str>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.client_secret);
    }
}

/// The stored client with this id at this server, whether or not it fits these settings.
pub async fn by_id(settings: &Settings, store: &Store, issuer: &str, id: &str) -> Result<Option<Client>, StoreError> {
    let stored = read(settings, store, issuer).await?.and_then(|stored| stored.with_id(id));
    Ok(stored.map(|stored| stored.client()))
}

/// The stored client for this server, if it has not expired, fits these settings, and may request this scope.
pub async fn usable(
    settings: &Settings,
    store: &Store,
    issuer: &str,
    scope: Option<&str>,
    now: u64,
) -> Result<Option<Client>, StoreError> {
    let callback = &settings.oauth.callback;
    let stored = read(settings, store, issuer).await?.filter(|stored| {
        let same_host = stored.localhost == (callback.host == CallbackHost::Localhost);
        let secret_is_good = stored.secret_expires_at == 0 || stored.secret_expires_at > now;
        !stored.is_too_narrow(scope) && same_host && secret_is_good && (callback.free || stored.port == callback.port)
    });
    Ok(stored.map(|stored| stored.client()))
}

async fn read(settings: &Settings, store: &Store, issuer: &str) -> Result<Option<Stored>, StoreError> {
    for account in Accounts::registrations(settings, issuer) {
        let Some(bytes) = store.read(&account).await? else { continue };
        // The next registration replaces one that cannot be read.
        let stored = serde_json::from_slice::<Stored>(bytes.expose()).ok();
        if let Some(stored) = stored.filter(|stored| issuer::is_same(&stored.issuer, issuer)) {
            return Ok(Some(stored));
        }
    }
    Ok(None)
}

/// Stores this registration, and removes any other for this server.
async fn write(settings: &Settings, store: &Store, issuer: &str, kept: Option<&Stored>) -> Result<(), StoreError> {
    for (at, account) in Accounts::registrations(settings, issuer).into_iter().enumerate() {
        match kept.filter(|_| at == 0) {
            Some(stored) => store.write(&account, stored.bytes()).await?,
            None => _ = store.delete(&account).await?,
        }
    }
    Ok(())
}

/// Forgets the client with this id, which the server no longer knows; any other one stays.
pub async fn forget(settings: &Settings, store: &Store, issuer: &str, id: &str) {
    let remaining = match read(settings, store, issuer).await {
        Ok(stored) => stored.and_then(|stored| stored.without_id(id)),
        // Nobody can use it any more.
        Err(StoreError::Corrupt(_)) => None,
        // It may hold an earlier client, which renews the sign-in in use.
        Err(error) => {
            tracing::debug!(%error, "a registration that is no longer good stays in the store");
            return;
        }
    };
    if let Err(error) = write(settings, store, issuer, remaining.as_ref()).await {
        tracing::debug!(%error, "a registration that is no longer good stays in the store");
    }
}

/// The client with this id has signed in: nothing needs the registration before it any more.
pub async fn forget_earlier(settings: &Settings, store: &Store, issuer: &str, id: &str) {
    let forgotten = match read(settings, store, issuer).await {
        Ok(Some(mut stored)) if stored.client_id == id && stored.previous.is_some() => {
            stored.previous = None;
            write(settings, store, issuer, Some(&stored)).await
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = forgotten {
        tracing::debug!(%error, "a registration that nothing needs any more stays in the store");
    }
}

/// Registers a client, and keeps it. `None`: the server registers nobody by itself.
pub async fn register(
    http: &Http,
    settings: &Settings,
    store: &Store,
    server: &ServerMetadata,
    request: RegistrationRequest<'_>,
) -> Result<Option<Client>, AuthError> {
    let Some(endpoint) = &server.registration_endpoint else { return Ok(None) };
    let url = metadata::endpoint(endpoint, "registration endpoint").map_err(AuthError::Failed)?;
    let mut answer = post(http, &url, &client_metadata(server, request.callback, request.scope)).await?;
    if request.scope.is_some() && answer.may_be_about_scope() {
        // The scope counts at sign-in, so it may be absent here: the server then applies its default.
        let error = answer.word("error").map(|text| answer.secrets.words(text).to_string());
        tracing::info!(error, "the registration is refused and tried without a scope");
        answer = post(http, &url, &client_metadata(server, request.callback, None)).await?;
    }
    let word = |name: &str| answer.word(name);
    let status = answer.status;
    let (200..300, Some(id)) = (status, word("client_id")) else {
        return match status {
            // MCP 2025-03-26 assumes this endpoint; here the server turns out to have none.
            404 | 405 | 501 => Ok(None),
            _ => {
                let words = |name: &str| word(name).map(|text| answer.secrets.words(text));
                Err(refused(status, server, words("error"), words("error_description")))
            }
        };
    };
    let secret_expires_at = answer.fields.get("client_secret_expires_at").and_then(Value::as_u64).unwrap_or(0);
    let previous = read(settings, store, &server.issuer).await?.zip(request.in_use);
    let stored = Stored {
        issuer: server.issuer.clone(),
        client_id: id.to_owned(),
        client_secret: word("client_secret").map(str::to_owned),
        secret_expires_at,
        auth_method: method(word("token_endpoint_auth_method"), word("client_secret").is_some()),
        localhost: request.callback.host == CallbackHost::Localhost,
        port: request.callback.port,
        requested_scope: request.scope.map(str::to_owned),
        allowed_scope: scope_in(answer.fields.get("scope")),
        previous: previous.and_then(|(previous, in_use)| previous.with_id(in_use)).map(Box::new),
    };
    tracing::info!(issuer = server.issuer, client_id = id, "registered as a client");
    write(settings, store, &server.issuer, Some(&stored)).await?;
    Ok(Some(stored.client()))
}

/// The registration endpoint's answer.
struct RegistrationAnswer {
    status: u16,
    fields: Value,
    /// The secrets of this exchange, to mask in the server's words.
    secrets: Secrets,
}

impl RegistrationAnswer {
    fn word(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Whether the scope may be the reason; RFC 7591 (3.2.2) has one code for every field except the redirect URL.
    fn may_be_about_scope(&self) -> bool {
        matches!(self.status, 400..=499)
            && matches!(self.word("error"), Some("invalid_client_metadata" | "invalid_scope"))
    }
}

async fn post(http: &Http, url: &Url, metadata: &Value) -> Result<RegistrationAnswer, AuthError> {
    let mut request = reqwest::Request::new(Method::POST, url.clone());
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = Some(metadata.to_string().into());
    let answer = http.exchange(request, REGISTRATION_ANSWER_BOUNDS).await?;
    let fields: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let mut secrets = answer.secrets;
    fields.as_object().into_iter().for_each(|fields| learn(&mut secrets, fields));
    Ok(RegistrationAnswer { status: answer.status.as_u16(), fields, secrets })
}

/// The scope in the answer. Servers that write `""` or `null` mean that they store none; then the requested scope
/// counts.
fn scope_in(value: Option<&Value>) -> Option<String> {
    let scopes = match value? {
        Value::String(text) => text.split_ascii_whitespace().collect::<Vec<_>>().join(" "),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => return None,
    };
    (!scopes.trim().is_empty()).then_some(scopes)
}

/// The client metadata to register (RFC 7591, 2).
fn client_metadata(server: &ServerMetadata, callback: &CallbackSettings, scope: Option<&str>) -> Value {
    let supported = server.token_endpoint_auth_methods_supported.as_deref();
    let lists = |name: &str| supported.is_some_and(|methods| methods.iter().any(|method| method == name));
    // A native app cannot keep a secret from its user (RFC 8252, 8.5), but the server may insist on issuing one.
    // Silence means Basic (RFC 8414, 2).
    let method = ["none", "client_secret_basic", "client_secret_post"].into_iter().find(|name| lists(name));
    let method = method.unwrap_or("client_secret_basic");
    let mut grants = vec!["authorization_code", "refresh_token"];
    // A server that does not know the grant might refuse the whole registration.
    if server.lists_grant(DEVICE_GRANT) {
        grants.push(DEVICE_GRANT);
    }
    let mut metadata = json!({
        "client_name": CLIENT_NAME,
        "application_type": "native",
        "redirect_uris": [callback.redirect_url()],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": method,
    });
    if let Some(scope) = scope {
        // Some servers refuse, at sign-in, any scope that the registration did not name.
        metadata["scope"] = scope.into();
    }
    metadata
}

/// How the client authenticates: as the answer says, or as it implies.
fn method(named: Option<&str>, has_secret: bool) -> Option<AuthMethod> {
    match (named, has_secret) {
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
    let transient = status >= 500 || matches!(status, 408 | 425 | 429);
    let id = if transient { ProblemId::TokenEndpointUnavailable } else { ProblemId::RegistrationRefused };
    let problem = Problem::new(id).with("issuer", &server.issuer).with("status", status);
    let problem = problem.said("error", error).said("error_description", description);
    if transient { AuthError::NotNow(problem) } else { AuthError::Failed(problem) }
}

impl Stored {
    /// Whether the sign-in would request more than this registration did. A scope that the server did not grant then
    /// counts as requested: asking again would not help.
    fn is_too_narrow(&self, scope: Option<&str>) -> bool {
        let covered = scope::union(
            self.requested_scope.as_deref().unwrap_or_default(),
            self.allowed_scope.as_deref().unwrap_or_default(),
        );
        !scope::covers(&covered, scope.unwrap_or_default())
    }

    /// The registration with this id, without the other: this one or the previous.
    fn with_id(mut self, id: &str) -> Option<Self> {
        let previous = self.previous.take();
        let found = if self.client_id == id { Some(self) } else { previous.map(|previous| *previous) };
        found.filter(|found| found.client_id == id)
    }

    /// The registrations that remain without this id.
    fn without_id(mut self, id: &str) -> Option<Self> {
        if self.client_id == id {
            return self.previous.take().map(|previous| *previous);
        }
        self.previous = self.previous.take().filter(|previous| previous.client_id != id);
        Some(self)
    }

    fn bytes(&self) -> Secret<Vec<u8>> {
        Secret::new(serde_json::to_vec(self).expect("strings and numbers always serialize"))
    }

    fn client(&self) -> Client {
        Client {
            id: self.client_id.clone(),
            secret: self.client_secret.as_deref().map(Secret::from),
            key: None,
            method: self.auth_method,
            allowed_scope: self.allowed_scope.clone(),
            origin: ClientOrigin::Registered { port: self.port },
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::registration::dynamic::*;
    use crate::config::Paths;

    fn asked(methods: Option<&[&str]>, grants: Option<&[&str]>) -> Value {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let url = Url::parse("https://h/mcp").unwrap();
        let settings = Settings::for_url(url, Paths { config_file: "/c".into(), state_dir: "/s".into() });
        let mut server = ServerMetadata::with_token_endpoint("https://h", "https://h/token".into());
        server.token_endpoint_auth_methods_supported = methods.map(list);
        server.grant_types_supported = grants.map(list);
        client_metadata(&server, &settings.oauth.callback, Some("a b"))
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
    fn the_scope_that_will_be_asked_for_is_named_and_the_answer_s_is_understood_in_every_form() {
        assert_eq!(asked(None, None)["scope"], "a b");
        for (value, expected) in [
            (json!("a  b"), Some("a b")),
            (json!(["a", "b", 5]), Some("a b")),
            (json!(""), None),
            (json!([]), None),
            (Value::Null, None),
            (json!(5), None),
        ] {
            assert_eq!(scope_in(Some(&value)).as_deref(), expected, "{value}");
        }
        assert_eq!(scope_in(None), None);
    }

    #[test]
    fn a_stored_registration_keeps_the_names_of_its_members() {
        let members = json!({
            "issuer": "https://h", "client_id": "new", "secret_ends_at": 7, "localhost": false, "port": 7526,
            "asked": "a", "bound": "b",
            "before": { "issuer": "https://h", "client_id": "old", "secret_ends_at": 0, "localhost": false, "port": 1 },
        });
        let stored: Stored = serde_json::from_value(members.clone()).unwrap();
        assert_eq!((stored.secret_expires_at, stored.requested_scope.as_deref()), (7, Some("a")));
        assert_eq!(serde_json::to_value(&stored).unwrap(), members);
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
