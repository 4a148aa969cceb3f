//! The token endpoint (RFC 6749, 3.2): a code or a refresh token in, an access token or a faithful error out.
//!
//! The exchange itself is `oauth2`'s. It insists on status 200, JSON and whole numbers, and forgets what it did not
//! understand, so the answer is normalized first, and the original is kept for the explanation.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use oauth2::basic::{BasicErrorResponseType, BasicTokenType};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, Client as OAuthClient, ClientId, ClientSecret, EndpointNotSet,
    EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::auth::answer_secrets::learn;
use crate::auth::discovery::metadata;
use crate::auth::discovery::metadata::DEVICE_GRANT;
use crate::auth::exchange::answer::{NoToken, is_bearer, plain};
use crate::auth::exchange::client_authentication;
use crate::auth::exchange::id_token;
use crate::auth::exchange::refusal;
use crate::auth::exchange::refusal::{ExchangeFailure, Refusal, Seen, Setback};
use crate::auth::exchange::request::{Endpoint, GrantRequest, Issued};
use crate::auth::registration::client::AuthMethod;
use crate::http::{Bounds, Http, NetError, Skew};
use crate::limits::TOKEN_ANSWER_BYTES;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// Bounds of the answers of the token endpoint and those beside it.
pub const TOKEN_ANSWER_BOUNDS: Bounds = Bounds { max_body: TOKEN_ANSWER_BYTES, timeout: Duration::from_secs(30) };
/// The pause before the second try; where there may be more, it grows from try to try.
pub const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Presents a code, a refresh token or the client itself; once more or twice when the connection was never made, and in no
/// other case: what the server may have got is not presented again here.
pub async fn request_token(
    http: &Http,
    endpoint: &Endpoint<'_>,
    presented: &GrantRequest<'_>,
) -> Result<Issued, Refusal> {
    let mut tried = 0;
    loop {
        let (refusal, tries) = match present_once(http, endpoint, presented).await {
            Ok(issued) => return Ok(issued),
            Err(Setback { refusal, tries, .. }) => (refusal, tries),
        };
        if tried >= tries {
            return Err(refusal);
        }
        tried += 1;
        tracing::debug!(tried, "the token endpoint is asked again");
        tokio::time::sleep(RETRY_PAUSE * tried).await;
    }
}

/// When the server refuses the client authentication, tries the other methods once each, at the same endpoint.
async fn present_once(http: &Http, endpoint: &Endpoint<'_>, presented: &GrantRequest<'_>) -> Result<Issued, Setback> {
    let first = attempt(http, endpoint, endpoint.method, presented).await;
    let Err(Setback { refusal: Refusal::Client(problem), .. }) = first else { return first };
    // The code or token was not looked at: the client is authenticated first (RFC 6749, 4.1.3).
    for other in endpoint.client.methods_after(endpoint.method) {
        match attempt(http, endpoint, other, presented).await {
            Err(Setback { refusal: Refusal::Client(_), .. }) => {}
            // The other method itself may be what is wrong with the request (RFC 6749, 5.2): the first answer stands.
            Err(Setback { refusal: Refusal::Other(_) | Refusal::Spent(_), code: Some(code), .. })
                if code == "invalid_request" => {}
            answered => return answered,
        }
    }
    Err(Refusal::Client(problem).into())
}

/// What an OpenID provider adds.
#[derive(Debug, Serialize, Deserialize)]
struct IdToken {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl ExtraTokenFields for IdToken {}

type Answered = StandardTokenResponse<IdToken, BasicTokenType>;
type Refused = StandardErrorResponse<BasicErrorResponseType>;

type Basic = OAuthClient<
    Refused,
    Answered,
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
    presented: &GrantRequest<'_>,
) -> Result<Issued, Setback> {
    metadata::endpoint(endpoint.url, "token endpoint").map_err(Refusal::Other)?;
    match presented {
        GrantRequest::Device(_) => {} // It polls for the user's answer, at a pace of its own (RFC 8628, 3.5).
        GrantRequest::Code { .. } => endpoint.brake.count_code_exchange().await,
        GrantRequest::Refresh(_) | GrantRequest::Client { .. } => {
            endpoint.brake.admit_token_request().await.map_err(Refusal::NotNow)?;
        }
    }
    let client = client(endpoint, method).map_err(Refusal::Other)?;
    let mut extra = endpoint.sender(method).assertion().map_err(Refusal::Other)?;
    extra.extend(endpoint.resource.map(|resource| ("resource", resource.into())));
    if method.is_basic() && endpoint.client.secret.is_some() {
        // `oauth2` leaves it out beside Basic; `Sender::post` says why it is wanted.
        extra.push(("client_id", endpoint.client.id.as_str().into()));
    }
    // Two kinds of builders with the same method.
    macro_rules! with_extra {
        ($request:expr) => {
            extra.iter().fold($request, |request, (name, value)| request.add_extra_param(*name, value.expose().clone()))
        };
    }
    // `oauth2` knows the encoded form alone.
    let raw = (method == AuthMethod::ClientSecretBasicRaw).then(|| endpoint.sender(method).basic()).flatten();
    let exchange = Exchange { http: http.clone(), seen: Arc::default(), basic: raw };
    let answer = match presented {
        GrantRequest::Code { code, verifier, redirect_url } => {
            let redirect = RedirectUrl::new((*redirect_url).to_owned())
                .map_err(|e| refusal::unreadable(endpoint, &Seen::default(), &e.to_string()))?;
            let client = client.set_redirect_uri(redirect);
            let request = client
                .exchange_code(AuthorizationCode::new(code.expose().clone()))
                .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().clone()));
            with_extra!(request).request_async(&exchange).await
        }
        GrantRequest::Refresh(token) => {
            let token = RefreshToken::new(token.expose().clone());
            with_extra!(client.exchange_refresh_token(&token)).request_async(&exchange).await
        }
        GrantRequest::Client { scope } => {
            let scopes = scope.map(|scope| Scope::new(scope.to_owned()));
            with_extra!(client.exchange_client_credentials().add_scopes(scopes)).request_async(&exchange).await
        }
        GrantRequest::Device(code) => device(endpoint, method, code, &exchange).await,
    };
    let seen = exchange.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match answer {
        // It need not give one again (OpenID Connect Core, 12.2), and then only a person gets another.
        Ok(token) if endpoint.id_token && token.extra_fields().id_token.is_none() && presented.is_refresh() => {
            let problem = Problem::new(ProblemId::GrantExpired);
            Err(Refusal::Spent(problem.with("detail", "a renewal returns no new ID token")).into())
        }
        Ok(token) => issued(&token, method, endpoint.id_token, &seen)
            .map_err(|why| refusal::setback(endpoint, presented, &seen, ExchangeFailure::NoToken(why))),
        Err(error) => Err(refusal::setback(endpoint, presented, &seen, failure(error))),
    }
}

fn client(endpoint: &Endpoint<'_>, method: AuthMethod) -> Result<Basic, Problem> {
    let url = TokenUrl::new(endpoint.url.to_owned())
        .map_err(|e| Problem::new(ProblemId::UnsafeEndpoint).with("purpose", "token endpoint").with("detail", e))?;
    let auth_type = match method {
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretBasicRaw => AuthType::BasicAuth,
        AuthMethod::None | AuthMethod::ClientSecretPost | AuthMethod::PrivateKeyJwt => AuthType::RequestBody,
    };
    let client =
        OAuthClient::new(ClientId::new(endpoint.client.id.clone())).set_auth_type(auth_type).set_token_uri(url);
    Ok(match (&endpoint.client.secret, method) {
        (None, _) | (_, AuthMethod::None | AuthMethod::PrivateKeyJwt) => client,
        (Some(secret), _) => client.set_client_secret(ClientSecret::new(secret.expose().clone())),
    })
}

/// The library would poll by itself, without a way to stop it.
async fn device(
    endpoint: &Endpoint<'_>,
    method: AuthMethod,
    code: &Secret,
    exchange: &Exchange,
) -> Result<Answered, ExchangeError> {
    let mut fields = vec![("grant_type", DEVICE_GRANT), ("device_code", code.expose().as_str())];
    fields.extend(endpoint.resource.map(|resource| ("resource", resource)));
    let request = endpoint.sender(method).post(endpoint.url, "token endpoint", &fields);
    let request =
        request.map_err(|problem| RequestTokenError::Request(SendError::Network(NetError::Unusable(problem))))?;
    let answer = exchange.call(request).await.map_err(RequestTokenError::Request)?;
    let unreadable = |error: serde_json::Error| RequestTokenError::Other(error.to_string());
    if answer.status().is_success() {
        return serde_json::from_slice(answer.body()).map_err(unreadable);
    }
    Err(RequestTokenError::ServerResponse(serde_json::from_slice(answer.body()).map_err(unreadable)?))
}

/// How `oauth2` reaches the network.
struct Exchange {
    http: Http,
    seen: Arc<Mutex<Seen>>,
    /// The Basic credentials to send in place of the library's.
    basic: Option<Secret>,
}

impl<'c> AsyncHttpClient<'c> for Exchange {
    type Error = SendError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, SendError>> + Send + 'c>>;

    fn call(&'c self, mut request: HttpRequest) -> Self::Future {
        if let Some(value) = self.basic.as_ref().and_then(|basic| client_authentication::header_value(basic).ok()) {
            request.headers_mut().insert(oauth2::http::header::AUTHORIZATION, value);
        }
        Box::pin(send(&self.http, request, &self.seen))
    }
}

/// Why an answer does not even reach `oauth2`.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{0}")]
    Network(NetError),
    #[error("no token answer")]
    NoToken(NoToken),
}

async fn send(http: &Http, request: HttpRequest, seen: &Mutex<Seen>) -> Result<HttpResponse, SendError> {
    let answer =
        client_authentication::exchange(http, request, TOKEN_ANSWER_BOUNDS).await.map_err(SendError::Network)?;
    let plain = plain(answer.status.as_u16(), &answer.body);
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.status = answer.status.as_u16();
    seen.is_object = matches!(serde_json::from_slice(&answer.body), Ok(Value::Object(_)));
    seen.secrets = answer.secrets;
    seen.clock = Skew::of(&answer.headers, SystemTime::now()).map(|skew| skew.to_string());
    let (status, fields) = plain.map_err(|why| {
        // What is told of the answer names a member of it.
        let fields = serde_json::from_slice::<Map<String, Value>>(&answer.body).unwrap_or_default();
        fields.values().filter_map(Value::as_object).for_each(|inner| learn(&mut seen.secrets, inner));
        SendError::NoToken(why)
    })?;
    learn(&mut seen.secrets, &fields);
    let word = |name: &str| fields.get(name).and_then(Value::as_str).map(|text| seen.secrets.words(text));
    (seen.error, seen.description) = (word("error"), word("error_description"));
    let mut response = HttpResponse::new(Value::Object(fields).to_string().into_bytes());
    *response.status_mut() = oauth2::http::StatusCode::from_u16(status)
        .map_err(|e| SendError::NoToken(NoToken::Unreadable(e.to_string())))?;
    Ok(response)
}

fn issued(token: &Answered, method: AuthMethod, wants_id_token: bool, seen: &Seen) -> Result<Issued, NoToken> {
    let (mut access_token, mut expires_in) = (token.access_token().secret(), token.expires_in());
    if wants_id_token {
        access_token = token.extra_fields().id_token.as_ref().ok_or("it contains no ID token")?;
        expires_in = id_token::lifetime(access_token).or(expires_in);
    } else if !is_bearer(token.token_type().as_ref()) {
        return Err(NoToken::Type(token.token_type().as_ref().to_owned()));
    }
    let scope = token.scopes().map(|scopes| scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" "));
    // Both are shown by `status`; one that quotes a secret says nothing.
    let harmless = |text: &String| !text.is_empty() && seen.secrets.masked(text) == **text;
    Ok(Issued {
        access_token: Secret::new(access_token.clone()),
        refresh_token: token.refresh_token().map(|token| Secret::new(token.secret().clone())),
        expires_in,
        scope: scope.filter(harmless),
        person: token.extra_fields().id_token.as_deref().and_then(id_token::person).filter(harmless),
        method,
    })
}

type ExchangeError = RequestTokenError<SendError, Refused>;

/// What `oauth2` could not turn into a token.
fn failure(error: ExchangeError) -> ExchangeFailure {
    match error {
        RequestTokenError::Request(SendError::Network(error)) => ExchangeFailure::Network(error),
        RequestTokenError::Request(SendError::NoToken(why)) => ExchangeFailure::NoToken(why),
        RequestTokenError::Other(why) => ExchangeFailure::NoToken(NoToken::Unreadable(why)),
        RequestTokenError::Parse(error, _) => {
            ExchangeFailure::NoToken(NoToken::Unreadable(format!("its field {} cannot be read", error.path())))
        }
        RequestTokenError::ServerResponse(response) => ExchangeFailure::Refused(response.error().as_ref().to_owned()),
    }
}
