//! Dynamic client registration (RFC 7591), and the stored registration: bound to the server that issued it and to the
//! port of its redirect URL.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::auth::AuthError;
use crate::auth::accounts::Accounts;
use crate::auth::answer_secrets::learn;
use crate::auth::discovery::metadata;
use crate::auth::discovery::metadata::{Flow, ServerMetadata};
use crate::auth::discovery::scope;
use crate::auth::endpoints;
use crate::auth::issuer;
use crate::auth::registration::client::{AuthMethod, Client, ClientOrigin};
use crate::auth::registration::client_metadata::client_metadata;
use crate::config::{CallbackHost, CallbackSettings, Settings};
use crate::http::{Bounds, Http};
use crate::limits::REGISTRATION_ANSWER_BYTES;
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secret, Secrets, ServerWords};
use crate::store::{Store, StoreError};

const REGISTRATION_ANSWER_BOUNDS: Bounds =
    Bounds { max_body: REGISTRATION_ANSWER_BYTES, timeout: Duration::from_secs(30) };

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
    /// The path of its redirect URL; the fixed one in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redirect_path: Option<String>,
    /// The origin of the token endpoint that it is for; not known in records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_origin: Option<String>,
    /// The scope in the registration request, granted or not.
    #[serde(default, rename = "asked", skip_serializing_if = "Option::is_none")]
    requested_scope: Option<String>,
    /// The scope that the client is limited to, if the answer names one (RFC 7591, 3.2.1).
    #[serde(default, rename = "bound", skip_serializing_if = "Option::is_none")]
    allowed_scope: Option<String>,
    /// Whether the sign-in page refused it when it was new.
    #[serde(default, rename = "page_refuses_any", skip_serializing_if = "std::ops::Not::not")]
    is_refused_by_any_page: bool,
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
    /// How the sign-in gets its token.
    pub flow: Flow,
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

/// The stored client for this server, if it has not expired, fits these settings and the server's token endpoint, and may
/// request this scope.
pub async fn usable(
    settings: &Settings,
    store: &Store,
    server: &ServerMetadata,
    scope: Option<&str>,
    now: u64,
) -> Result<Option<Client>, StoreError> {
    let callback = &settings.oauth.callback;
    let stored = read(settings, store, &server.issuer).await?.filter(|stored| {
        let is_configured = settings.oauth.token_endpoint.is_some() || settings.oauth.issuer.is_some();
        let is_for_endpoint = stored.is_for(&server.token_endpoint, is_configured);
        let same_host = stored.localhost == (callback.host == CallbackHost::Localhost);
        let secret_is_good = stored.secret_expires_at == 0 || stored.secret_expires_at > now;
        is_for_endpoint
            && !stored.is_too_narrow(scope)
            && same_host
            && secret_is_good
            && (callback.free || stored.port == callback.port)
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
    let forget = |stored: &mut Stored| stored.previous.take().is_some();
    if let Err(error) = change(settings, store, issuer, id, forget).await {
        tracing::debug!(%error, "a registration that nothing needs any more stays in the store");
    }
}

/// The sign-in page refuses the client with this id, which was registered a moment ago: what it says of clients counts for
/// nothing.
pub async fn note_refused_by_any_page(settings: &Settings, store: &Store, issuer: &str, id: &str) {
    let note = |stored: &mut Stored| !std::mem::replace(&mut stored.is_refused_by_any_page, true);
    if let Err(error) = change(settings, store, issuer, id, note).await {
        tracing::debug!(%error, "the sign-in page will be asked about this client again");
    }
}

/// Changes the stored client with this id; `change` says whether it did.
async fn change(
    settings: &Settings,
    store: &Store,
    issuer: &str,
    id: &str,
    change: impl FnOnce(&mut Stored) -> bool,
) -> Result<(), StoreError> {
    let Some(mut stored) = read(settings, store, issuer).await?.filter(|stored| stored.client_id == id) else {
        return Ok(());
    };
    if change(&mut stored) { write(settings, store, issuer, Some(&stored)).await } else { Ok(()) }
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
    let mut callback = request.callback.for_issuer(issuer::canonical(&server.issuer));
    let mut answer = post(http, &url, &client_metadata(server, &callback, request.scope, request.flow)).await?;
    if answer.is_about_redirect_url() {
        // Some servers know the redirect URLs of native apps by heart.
        tracing::info!("the registration is refused and tried with the redirect URL that is the same for all servers");
        callback = request.callback.clone();
        answer = post(http, &url, &client_metadata(server, &callback, request.scope, request.flow)).await?;
    }
    if request.scope.is_some() && answer.may_be_about_scope() {
        // The scope counts at sign-in, so it may be absent here: the server then applies its default.
        let error = answer.word("error").map(|text| answer.secrets.words(text).to_string());
        tracing::info!(error, "the registration is refused and tried without a scope");
        answer = post(http, &url, &client_metadata(server, &callback, None, request.flow)).await?;
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
        redirect_path: Some(callback.path),
        token_origin: endpoints::origin(&server.token_endpoint),
        requested_scope: request.scope.map(str::to_owned),
        allowed_scope: scope_in(answer.fields.get("scope")),
        is_refused_by_any_page: false,
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

    /// Whether the redirect URL is the reason (RFC 7591, 3.2.2).
    fn is_about_redirect_url(&self) -> bool {
        matches!(self.status, 400..=499) && self.word("error") == Some("invalid_redirect_uri")
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
    /// Whether it may be used at this token endpoint, which the settings have a part in if `is_configured`.
    fn is_for(&self, token_endpoint: &str, is_configured: bool) -> bool {
        match &self.token_origin {
            Some(origin) => endpoints::share_origin(origin, token_endpoint),
            None => !is_configured || endpoints::share_origin(&self.issuer, token_endpoint),
        }
    }

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
            redirect_path: self.redirect_path.clone(),
            is_refused_by_any_page: self.is_refused_by_any_page,
            origin: ClientOrigin::Registered { port: self.port },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::auth::registration::dynamic::*;

    #[test]
    fn the_scope_of_the_answer_is_understood_in_every_form() {
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
    fn a_registration_is_for_the_origin_of_its_token_endpoint() {
        let stored = |token_origin: Option<&str>| -> Stored {
            let members = json!({
                "issuer": "https://h", "client_id": "c", "localhost": false, "port": 1, "token_origin": token_origin,
            });
            serde_json::from_value(members).unwrap()
        };
        for (token_origin, endpoint, is_configured, is_for) in [
            (Some("https://h"), "https://h/token", false, true),
            (Some("https://h"), "https://evil/token", false, false),
            (Some("https://h"), "https://evil/token", true, false),
            (Some("https://t"), "https://t/token", true, true),
            // An earlier version did not note it.
            (None, "https://t/token", false, true),
            (None, "https://h/v2/token", true, true),
            (None, "https://evil/token", true, false),
        ] {
            let stored = stored(token_origin);
            assert_eq!(stored.is_for(endpoint, is_configured), is_for, "{token_origin:?} {endpoint}");
            assert_eq!(stored.client().redirect_path, None, "the path of earlier versions");
        }
    }

    #[test]
    fn without_a_secret_there_is_nothing_to_show_whatever_the_answer_says() {
        assert_eq!(method(Some("client_secret_basic"), false), Some(AuthMethod::None));
        assert_eq!(method(Some("client_secret_post"), true), Some(AuthMethod::ClientSecretPost));
        assert_eq!(method(None, true), None);
    }
}
