//! The token endpoint (RFC 6749, 3.2): a code or a refresh token in, an access token or a faithful error out.
//!
//! The exchange itself is `oauth2`'s. It insists on status 200, JSON and whole numbers, and forgets what it did not
//! understand, so the answer is made plain first, and what the server really said is kept for the explanation.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oauth2::basic::{BasicErrorResponseType, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, Client as OAuthClient, ClientId, ClientSecret, EmptyExtraTokenFields,
    EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, StandardErrorResponse, StandardTokenResponse, TokenResponse, TokenUrl,
};
use serde_json::{Map, Value};

use super::client::{AuthMethod, Client};
use super::metadata;
use crate::http::{Bounds, Http};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// Token answers are a few kilobytes.
const BOUNDS: Bounds = Bounds { max_body: 1024 * 1024, timeout: Duration::from_secs(30) };

/// What is presented to the endpoint.
#[derive(Debug)]
pub enum Presented<'a> {
    /// The code of a sign-in, with what proves that it was ours.
    Code {
        /// The authorization code.
        code: &'a Secret,
        /// The PKCE verifier (RFC 7636).
        verifier: &'a Secret,
        /// The redirect URL, exactly as in the authorization request.
        redirect_url: &'a str,
    },
    /// A refresh token.
    Refresh(&'a Secret),
}

/// Where and as whom.
#[derive(Debug)]
pub struct Endpoint<'a> {
    /// The token endpoint.
    pub url: &'a str,
    /// Who asks.
    pub client: &'a Client,
    /// How the secret is shown.
    pub method: AuthMethod,
    /// What the token is to be for (RFC 8707).
    pub resource: &'a str,
}

/// A token as it was given.
#[derive(Debug)]
pub struct Issued {
    /// The access token.
    pub access_token: Secret,
    /// A new refresh token, where one was given.
    pub refresh_token: Option<Secret>,
    /// How long the access token lasts, where that was said.
    pub expires_in: Option<Duration>,
    /// What it allows, where that was said.
    pub scope: Option<String>,
    /// How the client proved itself in the end.
    pub method: AuthMethod,
}

/// Why no token was given.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// What was presented is no longer good (`invalid_grant`): never present it again.
    Spent(Problem),
    /// The server does not know this client or its secret.
    Client(Problem),
    /// A passing reason: the same may succeed later.
    NotNow(Problem),
    /// Anything else that does not pass by itself.
    Other(Problem),
}

impl Refusal {
    /// The problem, whichever kind it is.
    pub fn problem(self) -> Problem {
        match self {
            Refusal::Spent(p) | Refusal::Client(p) | Refusal::NotNow(p) | Refusal::Other(p) => p,
        }
    }
}

/// Presents a code or a refresh token; when the server refuses how the client proves itself, tries the other way once.
pub async fn present(http: &Http, endpoint: &Endpoint<'_>, presented: &Presented<'_>) -> Result<Issued, Refusal> {
    let first = attempt(http, endpoint, endpoint.method, presented).await;
    match (first, endpoint.method.other()) {
        (Err(Refusal::Client(problem)), Some(other)) => {
            // The code or token was not looked at: the client is authenticated first (RFC 6749, 4.1.3).
            match attempt(http, endpoint, other, presented).await {
                Err(Refusal::Client(_)) => Err(Refusal::Client(problem)),
                second => second,
            }
        }
        (first, _) => first,
    }
}

type Basic = OAuthClient<
    StandardErrorResponse<BasicErrorResponseType>,
    StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType>,
    oauth2::basic::BasicTokenIntrospectionResponse,
    oauth2::StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

async fn attempt(
    http: &Http,
    endpoint: &Endpoint<'_>,
    method: AuthMethod,
    presented: &Presented<'_>,
) -> Result<Issued, Refusal> {
    metadata::endpoint(endpoint.url, "token endpoint").map_err(Refusal::Other)?;
    let client = client(endpoint, method).map_err(Refusal::Other)?;
    let exchange = Exchange { http: http.clone(), seen: Arc::default() };
    let answer = match presented {
        Presented::Code { code, verifier, redirect_url } => {
            let redirect =
                RedirectUrl::new((*redirect_url).to_owned()).map_err(|e| unreadable(endpoint, 0, &e.to_string()))?;
            let client = client.set_redirect_uri(redirect);
            let request = client
                .exchange_code(AuthorizationCode::new(code.expose().clone()))
                .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().clone()))
                .add_extra_param("resource", endpoint.resource);
            request.request_async(&exchange).await
        }
        Presented::Refresh(token) => {
            let token = RefreshToken::new(token.expose().clone());
            let request = client.exchange_refresh_token(&token).add_extra_param("resource", endpoint.resource);
            request.request_async(&exchange).await
        }
    };
    let seen = exchange.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match answer {
        Ok(token) => issued(&token, method).ok_or_else(|| {
            unreadable(endpoint, seen.status, &format!("its token type is {}", token.token_type().as_ref()))
        }),
        Err(error) => Err(refusal(endpoint, presented, &seen, error)),
    }
}

fn client(endpoint: &Endpoint<'_>, method: AuthMethod) -> Result<Basic, Problem> {
    let url = TokenUrl::new(endpoint.url.to_owned())
        .map_err(|e| Problem::new(ProblemId::UnsafeEndpoint).with("purpose", "token endpoint").with("detail", e))?;
    let auth_type = match method {
        AuthMethod::ClientSecretBasic => AuthType::BasicAuth,
        AuthMethod::None | AuthMethod::ClientSecretPost => AuthType::RequestBody,
    };
    let client =
        OAuthClient::new(ClientId::new(endpoint.client.id.clone())).set_auth_type(auth_type).set_token_uri(url);
    Ok(match (&endpoint.client.secret, method) {
        (None, _) | (_, AuthMethod::None) => client,
        (Some(secret), _) => client.set_client_secret(ClientSecret::new(secret.expose().clone())),
    })
}

/// What the server really said, for the explanation.
#[derive(Debug, Clone, Default)]
struct Seen {
    status: u16,
    error: Option<String>,
    description: Option<String>,
}

/// How `oauth2` reaches the network.
struct Exchange {
    http: Http,
    seen: Arc<Mutex<Seen>>,
}

impl<'c> AsyncHttpClient<'c> for Exchange {
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, SendError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(send(&self.http, request, &self.seen))
    }
}

/// Why an answer does not even reach `oauth2`.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{0}")]
    Network(Problem),
    #[error("no token answer")]
    NoTokenAnswer(String),
}

async fn send(http: &Http, request: HttpRequest, seen: &Mutex<Seen>) -> Result<HttpResponse, SendError> {
    let (parts, body) = request.into_parts();
    let unsendable = |e: &dyn std::fmt::Display| SendError::NoTokenAnswer(e.to_string());
    let url = parts.uri.to_string().parse().map_err(|e| unsendable(&e))?;
    let mut outgoing = reqwest::Request::new(parts.method, url);
    *outgoing.headers_mut() = parts.headers;
    *outgoing.body_mut() = Some(body.into());
    let answer = http.exchange(outgoing, BOUNDS).await.map_err(|error| SendError::Network(error.into()))?;
    let plain = plain(answer.status.as_u16(), &answer.body);
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.status = answer.status.as_u16();
    let (status, fields) = plain.map_err(SendError::NoTokenAnswer)?;
    let word = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    seen.error = word("error");
    seen.description = word("error_description");
    let mut response = HttpResponse::new(Value::Object(fields).to_string().into_bytes());
    *response.status_mut() = oauth2::http::StatusCode::from_u16(status).map_err(|e| unsendable(&e))?;
    Ok(response)
}

/// The answer in the one form that RFC 6749 (5.1, 5.2) prescribes, whatever form it came in.
fn plain(status: u16, body: &[u8]) -> Result<(u16, Map<String, Value>), String> {
    let mut fields = match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err("it is JSON, but no object".into()),
        Err(_) if body.iter().all(u8::is_ascii_whitespace) => return Err("it is empty".into()),
        Err(_) => form(body).ok_or_else(|| "it is no JSON".to_owned())?,
    };
    fields.retain(|_, value| !value.is_null());
    if !(200..300).contains(&status) || fields.contains_key("error") {
        // Some wrap the error, or send it with status 200.
        if let Some(Value::Object(inner)) = fields.get("error").cloned() {
            let code = inner.get("code").or_else(|| inner.get("type")).cloned().unwrap_or(Value::Null);
            let text = inner.get("message").cloned().unwrap_or(Value::Null);
            fields.insert("error".into(), code);
            fields.insert("error_description".into(), text);
        }
        if !fields.get("error").is_some_and(Value::is_string) {
            return Err("it says neither token nor error".into());
        }
        for name in ["error_description", "error_uri"] {
            if fields.get(name).is_some_and(|value| !value.is_string()) {
                fields.remove(name);
            }
        }
        return Ok((400, fields));
    }
    if fields.get("access_token").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err("it holds no access token".into());
    }
    fields.entry("token_type").or_insert_with(|| "bearer".into());
    if fields.get("refresh_token").is_some_and(|value| value.as_str().is_none_or(str::is_empty)) {
        fields.remove("refresh_token");
    }
    if let Some(value) = fields.remove("expires_in")
        && let Some(seconds) = seconds(&value)
    {
        fields.insert("expires_in".into(), seconds.into());
    }
    match fields.remove("scope") {
        Some(Value::String(scope)) => _ = fields.insert("scope".into(), Value::String(scope)),
        Some(Value::Array(scopes)) => {
            let scopes: Vec<&str> = scopes.iter().filter_map(Value::as_str).collect();
            fields.insert("scope".into(), scopes.join(" ").into());
        }
        _ => {}
    }
    Ok((200, fields))
}

/// `access_token=…&token_type=…`, as some servers answer whatever was asked for.
fn form(body: &[u8]) -> Option<Map<String, Value>> {
    let text = std::str::from_utf8(body).ok()?;
    if text.contains(['<', '{', '\n']) {
        return None;
    }
    let fields: Map<String, Value> =
        url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    (fields.contains_key("access_token") || fields.contains_key("error")).then_some(fields)
}

/// Whole seconds, from a number or a string, with or without a fraction; nonsense counts as silence.
fn seconds(value: &Value) -> Option<u64> {
    /// Ten years: enough for anybody, and safe to add to a date.
    const LONGEST: f64 = 315_360_000.0;
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just before")]
    number.is_finite().then(|| number.clamp(0.0, LONGEST) as u64)
}

fn issued(token: &StandardTokenResponse<EmptyExtraTokenFields, BasicTokenType>, method: AuthMethod) -> Option<Issued> {
    let bearer = match token.token_type() {
        BasicTokenType::Bearer => true,
        other => other.as_ref().eq_ignore_ascii_case("bearer"),
    };
    let scope = token.scopes().map(|scopes| scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" "));
    bearer.then(|| Issued {
        access_token: Secret::new(token.access_token().secret().clone()),
        refresh_token: token.refresh_token().map(|token| Secret::new(token.secret().clone())),
        expires_in: token.expires_in(),
        scope: scope.filter(|scope| !scope.is_empty()),
        method,
    })
}

type ExchangeError = RequestTokenError<SendError, StandardErrorResponse<BasicErrorResponseType>>;

fn refusal(endpoint: &Endpoint<'_>, presented: &Presented<'_>, seen: &Seen, error: ExchangeError) -> Refusal {
    let said = |problem: Problem| {
        let problem = match &seen.error {
            Some(error) => problem.with("error", error).with("detail", error),
            None => problem,
        };
        match &seen.description {
            Some(text) => problem.with("error_description", text),
            None => problem,
        }
    };
    let unavailable = || {
        let problem = Problem::new(ProblemId::TokenEndpointUnavailable)
            .with("status", seen.status)
            .with("endpoint", endpoint.url);
        Refusal::NotNow(said(problem))
    };
    let passing_status = seen.status >= 500 || matches!(seen.status, 408 | 425 | 429);
    let response = match error {
        RequestTokenError::Request(SendError::Network(problem)) => return Refusal::NotNow(problem),
        _ if passing_status => return unavailable(),
        RequestTokenError::Request(SendError::NoTokenAnswer(why)) => return unreadable(endpoint, seen.status, &why),
        RequestTokenError::Parse(error, _) => {
            let place = error.path().to_string();
            return unreadable(endpoint, seen.status, &format!("its field {place} cannot be read"));
        }
        RequestTokenError::Other(why) => return unreadable(endpoint, seen.status, &why),
        RequestTokenError::ServerResponse(response) => response,
    };
    match response.error() {
        BasicErrorResponseType::InvalidGrant => Refusal::Spent(said(match presented {
            Presented::Code { redirect_url, .. } => {
                Problem::new(ProblemId::CodeRejected).with("redirect_url", redirect_url)
            }
            Presented::Refresh(_) => Problem::new(ProblemId::GrantExpired),
        })),
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
            Refusal::Client(said(Problem::new(ProblemId::InvalidClient).with("client_id", &endpoint.client.id)))
        }
        BasicErrorResponseType::Extension(code)
            if matches!(code.as_str(), "temporarily_unavailable" | "server_error" | "slow_down") =>
        {
            unavailable()
        }
        _ => Refusal::Other(said(Problem::new(ProblemId::TokenEndpointError))),
    }
}

/// Something else answered, or the server is broken. Tokens are kept: nothing says that they are bad.
fn unreadable(endpoint: &Endpoint<'_>, status: u16, why: &str) -> Refusal {
    Refusal::NotNow(
        Problem::new(ProblemId::TokenAnswerInvalid)
            .with("endpoint", endpoint.url)
            .with("status", status)
            .with("detail", why),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(body: &str) -> Map<String, Value> {
        let (status, fields) = plain(200, body.as_bytes()).unwrap();
        assert_eq!(status, 200, "{body}");
        fields
    }

    #[test]
    fn lifetimes_in_every_form_become_whole_seconds() {
        for (given, expected) in [
            ("3600", Some(3600)),
            ("3600.7", Some(3600)),
            ("\"3600\"", Some(3600)),
            ("\" 3600.0 \"", Some(3600)),
            ("0", Some(0)),
            ("-5", Some(0)),
            ("1e30", Some(315_360_000)),
            ("null", None),
            ("\"soon\"", None),
            ("{}", None),
        ] {
            let fields = ok(&format!(r#"{{"access_token":"t","expires_in":{given}}}"#));
            assert_eq!(fields.get("expires_in").and_then(Value::as_u64), expected, "{given}");
        }
    }

    #[test]
    fn what_servers_leave_out_or_write_differently_is_understood() {
        assert_eq!(ok(r#"{"access_token":"t"}"#)["token_type"], "bearer");
        assert!(!ok(r#"{"access_token":"t","refresh_token":null}"#).contains_key("refresh_token"));
        assert!(!ok(r#"{"access_token":"t","refresh_token":""}"#).contains_key("refresh_token"));
        assert_eq!(ok(r#"{"access_token":"t","scope":["a","b"]}"#)["scope"], "a b");
        assert_eq!(ok("access_token=t&token_type=bearer&expires_in=5")["expires_in"], 5);
    }

    #[test]
    fn an_error_is_an_error_whatever_its_status_and_wrapping() {
        for (status, body) in [
            (400, r#"{"error":"invalid_grant"}"#),
            (200, r#"{"error":"invalid_grant","access_token":"t"}"#),
            (401, r#"{"error":"invalid_grant","error_description":{"a":1}}"#),
            (400, r#"{"error":{"code":"invalid_grant","message":"m"}}"#),
            (400, "error=invalid_grant"),
        ] {
            let (status, fields) = plain(status, body.as_bytes()).unwrap();
            assert_eq!((status, &fields["error"]), (400, &Value::from("invalid_grant")), "{body}");
        }
    }

    #[test]
    fn what_is_no_token_answer_is_refused_in_words() {
        for (status, body) in [
            (200, ""),
            (200, "<html>"),
            (200, "[]"),
            (200, "{}"),
            (200, r#"{"access_token":5}"#),
            (200, r#"{"access_token":""}"#),
            (500, "{}"),
            (403, "no"),
        ] {
            assert!(plain(status, body.as_bytes()).is_err(), "{body}");
        }
    }
}
