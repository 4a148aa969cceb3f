//! The token endpoint (RFC 6749, 3.2): a code or a refresh token in, an access token or a faithful error out.
//!
//! The exchange itself is `oauth2`'s. It insists on status 200, JSON and whole numbers, and forgets what it did not
//! understand, so the answer is made plain first, and what the server really said is kept for the explanation.

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
use serde_json::Value;

use crate::auth::discovery::metadata;
use crate::auth::exchange::answer::{learn, plain};
use crate::auth::exchange::client_authentication;
use crate::auth::exchange::client_authentication::Sender;
use crate::auth::exchange::id_token;
use crate::auth::exchange::refresh_verdict::RefreshVerdict;
use crate::auth::registration::client::{AuthMethod, Client};
use crate::http::{Bounds, Http, NetError, Skew, Step};
use crate::problem::{Problem, ProblemId};
use crate::secret::{Secret, Secrets, ServerWords};

/// Token answers are a few kilobytes.
pub const BOUNDS: Bounds = Bounds { max_body: 1024 * 1024, timeout: Duration::from_secs(30) };
/// The pause before the second try; it grows from try to try.
const PAUSE: Duration = Duration::from_millis(500);
/// How many further tries a fault of the server is worth, or a connection that was never made.
const AGAIN: u32 = 2;

/// The grant of RFC 8628 (3.4).
pub const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What is presented to the endpoint.
#[derive(Debug)]
pub enum GrantRequest<'a> {
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
    /// Nothing but who the client is (RFC 6749, 4.4).
    Client {
        /// What is asked for.
        scope: Option<&'a str>,
    },
    /// The code of a sign-in on another device (RFC 8628, 3.4).
    Device(&'a Secret),
}

impl GrantRequest<'_> {
    fn is_refresh(&self) -> bool {
        matches!(self, GrantRequest::Refresh(_))
    }
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
    /// The issuer it belongs to.
    pub issuer: &'a str,
    /// What the token is to be for (RFC 8707), unless that is to be left out.
    pub resource: Option<&'a str>,
    /// Whether the ID token is what counts.
    pub id_token: bool,
    /// Seconds since 1970.
    pub now: u64,
}

impl Endpoint<'_> {
    fn sender(&self, method: AuthMethod) -> Sender<'_> {
        Sender { client: self.client, method, audience: self.issuer, now: self.now }
    }
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
    /// Who signed in, where an ID token says so.
    pub person: Option<String>,
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
    /// The person on the other device is not done (RFC 8628, 3.5).
    Pending {
        /// Whether to ask less often from now on.
        slower: bool,
    },
    /// Anything else that does not pass by itself.
    Other(Problem),
}

impl Refusal {
    /// The problem, whichever kind it is.
    pub fn problem(self) -> Problem {
        match self {
            Refusal::Spent(p) | Refusal::Client(p) | Refusal::NotNow(p) | Refusal::Other(p) => p,
            Refusal::Pending { .. } => Problem::new(ProblemId::SignInPending),
        }
    }
}

/// Presents a code or a refresh token, and once more or twice when the endpoint is only stumbling: a person has just typed
/// a password, or a call waits for it.
pub async fn present(http: &Http, endpoint: &Endpoint<'_>, presented: &GrantRequest<'_>) -> Result<Issued, Refusal> {
    let mut tried = 0;
    loop {
        let (refusal, tries) = match present_once(http, endpoint, presented).await {
            Ok(issued) => return Ok(issued),
            Err(Setback { refusal, tries }) => (refusal, tries),
        };
        if tried >= tries {
            return Err(refusal);
        }
        tried += 1;
        tracing::debug!(tried, "the token endpoint is asked again");
        tokio::time::sleep(PAUSE * tried).await;
    }
}

/// A refusal, and how many further tries are worth it.
struct Setback {
    refusal: Refusal,
    tries: u32,
}

impl From<Refusal> for Setback {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, tries: 0 }
    }
}

/// When the server refuses how the client proves itself, tries the other way once.
async fn present_once(http: &Http, endpoint: &Endpoint<'_>, presented: &GrantRequest<'_>) -> Result<Issued, Setback> {
    let first = attempt(http, endpoint, endpoint.method, presented).await;
    match (first, endpoint.method.other()) {
        (Err(Setback { refusal: Refusal::Client(problem), .. }), Some(other)) => {
            // The code or token was not looked at: the client is authenticated first (RFC 6749, 4.1.3).
            match attempt(http, endpoint, other, presented).await {
                Err(Setback { refusal: Refusal::Client(_), .. }) => Err(Refusal::Client(problem).into()),
                // The other way itself may be what is wrong with the request (RFC 6749, 5.2): the first answer stands.
                Err(Setback { refusal: Refusal::Other(second) | Refusal::Spent(second), .. })
                    if second.fact("error") == Some("invalid_request") =>
                {
                    Err(Refusal::Client(problem).into())
                }
                second => second,
            }
        }
        (first, _) => first,
    }
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
    let client = client(endpoint, method).map_err(Refusal::Other)?;
    let mut extra = endpoint.sender(method).assertion().map_err(Refusal::Other)?;
    extra.extend(endpoint.resource.map(|resource| ("resource", resource.into())));
    if method == AuthMethod::ClientSecretBasic && endpoint.client.secret.is_some() {
        // `oauth2` leaves it out beside Basic; `Sender::post` says why it is wanted.
        extra.push(("client_id", endpoint.client.id.as_str().into()));
    }
    // Two kinds of builders with the same method.
    macro_rules! with_extra {
        ($request:expr) => {
            extra.iter().fold($request, |request, (name, value)| request.add_extra_param(*name, value.expose().clone()))
        };
    }
    let exchange = Exchange { http: http.clone(), seen: Arc::default() };
    let answer = match presented {
        GrantRequest::Code { code, verifier, redirect_url } => {
            let redirect = RedirectUrl::new((*redirect_url).to_owned())
                .map_err(|e| unreadable(endpoint, &Seen::default(), &e.to_string()))?;
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
            Err(Refusal::Spent(problem.with("detail", "with a renewal comes no new ID token")).into())
        }
        Ok(token) => {
            issued(&token, method, endpoint.id_token, &seen).map_err(|why| unreadable(endpoint, &seen, &why).into())
        }
        Err(error) => Err(refusal(endpoint, presented, &seen, error)),
    }
}

fn client(endpoint: &Endpoint<'_>, method: AuthMethod) -> Result<Basic, Problem> {
    let url = TokenUrl::new(endpoint.url.to_owned())
        .map_err(|e| Problem::new(ProblemId::UnsafeEndpoint).with("purpose", "token endpoint").with("detail", e))?;
    let auth_type = match method {
        AuthMethod::ClientSecretBasic => AuthType::BasicAuth,
        AuthMethod::None | AuthMethod::ClientSecretPost | AuthMethod::PrivateKeyJwt => AuthType::RequestBody,
    };
    let client =
        OAuthClient::new(ClientId::new(endpoint.client.id.clone())).set_auth_type(auth_type).set_token_uri(url);
    Ok(match (&endpoint.client.secret, method) {
        (None, _) | (_, AuthMethod::None | AuthMethod::PrivateKeyJwt) => client,
        (Some(secret), _) => client.set_client_secret(ClientSecret::new(secret.expose().clone())),
    })
}

/// The library would ask again and again by itself, and could not be told to stop.
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

/// What the server really said, for the explanation.
#[derive(Debug, Clone, Default)]
struct Seen {
    status: u16,
    is_object: bool,
    error: Option<ServerWords>,
    description: Option<ServerWords>,
    /// What was sent and what came, of which nothing is left in the words.
    secrets: Secrets,
    /// How far the clocks are apart, in words, when that matters.
    clock: Option<String>,
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
    Network(NetError),
    #[error("no token answer")]
    NoTokenAnswer(String),
}

async fn send(http: &Http, request: HttpRequest, seen: &Mutex<Seen>) -> Result<HttpResponse, SendError> {
    let answer = client_authentication::exchange(http, request, BOUNDS).await.map_err(SendError::Network)?;
    let plain = plain(answer.status.as_u16(), &answer.body);
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.status = answer.status.as_u16();
    seen.is_object = matches!(serde_json::from_slice(&answer.body), Ok(Value::Object(_)));
    seen.secrets = answer.secrets;
    seen.clock = Skew::of(&answer.headers, SystemTime::now()).map(|skew| skew.to_string());
    let (status, fields) = plain.map_err(SendError::NoTokenAnswer)?;
    learn(&mut seen.secrets, &fields);
    let word = |name: &str| fields.get(name).and_then(Value::as_str).map(|text| seen.secrets.words(text));
    (seen.error, seen.description) = (word("error"), word("error_description"));
    let mut response = HttpResponse::new(Value::Object(fields).to_string().into_bytes());
    *response.status_mut() =
        oauth2::http::StatusCode::from_u16(status).map_err(|e| SendError::NoTokenAnswer(e.to_string()))?;
    Ok(response)
}

fn issued(token: &Answered, method: AuthMethod, wants_id_token: bool, seen: &Seen) -> Result<Issued, String> {
    let (mut access_token, mut expires_in) = (token.access_token().secret(), token.expires_in());
    if wants_id_token {
        access_token = token.extra_fields().id_token.as_ref().ok_or("it holds no ID token")?;
        expires_in = id_token::life(access_token).or(expires_in);
    } else if !matches!(token.token_type(), BasicTokenType::Bearer)
        && !token.token_type().as_ref().eq_ignore_ascii_case("bearer")
    {
        return Err(format!("its token type is {}", token.token_type().as_ref()));
    }
    let scope = token.scopes().map(|scopes| scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(" "));
    // Both are shown by `status`; one that quotes a secret says nothing.
    let harmless = |text: &String| !text.is_empty() && seen.secrets.words(text).as_str() == text;
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

fn refusal(endpoint: &Endpoint<'_>, presented: &GrantRequest<'_>, seen: &Seen, error: ExchangeError) -> Setback {
    let said = |problem: Problem| {
        // Planhat's own words say more than the error code beside them.
        let known = seen.description.as_ref().and_then(|words| ProblemId::in_words(words.as_str()));
        let problem = Problem { id: known.unwrap_or(problem.id), ..problem };
        let problem = match &seen.clock {
            Some(clock) => problem.with("clock", clock),
            None => problem,
        };
        problem
            .said("error", seen.error.clone())
            .said("detail", seen.error.clone())
            .said("error_description", seen.description.clone())
    };
    let unavailable = || {
        let problem = Problem::new(ProblemId::TokenEndpointUnavailable)
            .with("status", seen.status)
            .with("endpoint", endpoint.url);
        Refusal::NotNow(said(problem))
    };
    let registered = endpoint.client.is_registered();
    let verdict =
        || RefreshVerdict::of(seen.status, seen.error.as_ref().map(ServerWords::as_str), seen.is_object, registered);
    let verdict = presented.is_refresh().then(verdict);
    let passing_status = seen.status >= 500 || matches!(seen.status, 408 | 425 | 429);
    let response = match error {
        RequestTokenError::Request(SendError::Network(NetError::Unusable(problem))) => {
            return Refusal::Other(problem).into();
        }
        RequestTokenError::Request(SendError::Network(error)) => {
            let tries = match &error {
                error if error.never_sent() => AGAIN,
                // It may have been taken. Servers that rotate refresh tokens bear the same one once more for a while; and
                // without this the next call would present it.
                NetError::Failed { step: Step::Sent | Step::Body, .. } => 1,
                _ => 0,
            };
            return Setback { refusal: Refusal::NotNow(unreached(error, endpoint.url)), tries };
        }
        _ if passing_status => {
            let tries = if seen.status >= 500 { AGAIN } else { 0 };
            return Setback { refusal: unavailable(), tries };
        }
        _ if verdict == Some(RefreshVerdict::Ended) => {
            return Refusal::Spent(said(Problem::new(ProblemId::GrantExpired))).into();
        }
        RequestTokenError::ServerResponse(_) if verdict == Some(RefreshVerdict::Passing) => {
            return unavailable().into();
        }
        RequestTokenError::Request(SendError::NoTokenAnswer(why)) => {
            return unreadable(endpoint, seen, &why).into();
        }
        RequestTokenError::Parse(error, _) => {
            let place = error.path().to_string();
            return unreadable(endpoint, seen, &format!("its field {place} cannot be read")).into();
        }
        RequestTokenError::Other(why) => return unreadable(endpoint, seen, &why).into(),
        RequestTokenError::ServerResponse(response) => response,
    };
    let refusal = match response.error() {
        BasicErrorResponseType::InvalidGrant => Refusal::Spent(said(match presented {
            GrantRequest::Code { redirect_url, .. } => {
                Problem::new(ProblemId::CodeRejected).with("redirect_url", redirect_url)
            }
            GrantRequest::Device(_) => Problem::new(ProblemId::DeviceCodeExpired),
            GrantRequest::Refresh(_) | GrantRequest::Client { .. } => Problem::new(ProblemId::GrantExpired),
        })),
        // The code came for this client id, so it is known; what is missing is its secret.
        BasicErrorResponseType::InvalidClient
            if endpoint.client.lacks_secret() && matches!(presented, GrantRequest::Code { .. }) =>
        {
            Refusal::Client(said(Problem::new(ProblemId::ClientSecretMissing).with("client_id", &endpoint.client.id)))
        }
        BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
            let problem = Problem::new(ProblemId::InvalidClient).with("client_id", &endpoint.client.id);
            Refusal::Client(endpoint.client.explained(said(problem)))
        }
        BasicErrorResponseType::Extension(code) if matches!(presented, GrantRequest::Device(_)) => {
            match code.as_str() {
                "authorization_pending" => Refusal::Pending { slower: false },
                "slow_down" => Refusal::Pending { slower: true },
                "expired_token" => Refusal::Spent(Problem::new(ProblemId::DeviceCodeExpired)),
                "access_denied" => Refusal::Other(said(Problem::new(ProblemId::AccessDenied))),
                "temporarily_unavailable" | "server_error" => unavailable(),
                _ => Refusal::Other(said(Problem::new(ProblemId::TokenEndpointError))),
            }
        }
        BasicErrorResponseType::Extension(code)
            if matches!(code.as_str(), "temporarily_unavailable" | "server_error" | "slow_down") =>
        {
            unavailable()
        }
        BasicErrorResponseType::InvalidScope => Refusal::Other(said(Problem::new(ProblemId::InvalidScope))),
        _ => Refusal::Other(said(Problem::new(ProblemId::TokenEndpointError))),
    };
    refusal.into()
}

/// A place of the authorization server that could not be asked. The texts about the MCP server would mislead here: nothing
/// was executed, and `--url` is not what is wrong. Certificates and proxies are explained by what they say themselves.
pub(crate) fn unreached(error: NetError, place: &str) -> Problem {
    match &error {
        NetError::Unusable(_) | NetError::Failed { step: Step::Tls(_) | Step::Proxy, .. } => error.into(),
        NetError::Failed { .. } => {
            let problem = Problem::new(ProblemId::TokenEndpointUnavailable).with("endpoint", place);
            problem.because(Problem::from(error))
        }
    }
}

/// Something else answered, or the server is broken. Tokens are kept: nothing says that they are bad.
fn unreadable(endpoint: &Endpoint<'_>, seen: &Seen, why: &str) -> Refusal {
    Refusal::NotNow(
        Problem::new(ProblemId::TokenAnswerInvalid)
            .with("endpoint", endpoint.url)
            .with("status", seen.status)
            .said("detail", seen.secrets.words(why)),
    )
}
