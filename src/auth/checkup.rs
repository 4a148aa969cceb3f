//! What `doctor` checks of signing in: each step separately, without starting, storing or changing anything.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::auth::authorizer::Authorizer;
use crate::auth::context::Context;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::metadata::Flow;
use crate::auth::discovery::search::{Discovered, ProbedPlace};
use crate::auth::discovery::{probe, scope, search};
use crate::auth::login::authorization_request::Request;
use crate::auth::login::loopback::listener::Callback;
use crate::auth::registration::choose;
use crate::auth::registration::client::{AuthMethod, Client, ClientOrigin};
use crate::auth::registration::{client, dynamic};
use crate::config::CallbackSettings;
use crate::http::{Answer, Bounds};
use crate::limits::METADATA_BYTES;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;
use crate::store::{ProcessLock, StoreError};

/// Authorization pages are searched for the words of a refusal.
const PAGE_BOUNDS: Bounds = Bounds { max_body: METADATA_BYTES, timeout: Duration::from_secs(8) };

/// How the authorization server was found.
#[derive(Debug)]
pub struct Route {
    /// Each URL that was tried, in order.
    pub probed: Vec<ProbedPlace>,
    /// The result.
    pub found: Result<Discovered, Problem>,
}

/// The client that a sign-in would use.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The client, if already known; `None` if the next sign-in registers one.
    pub client: Option<Client>,
    /// The redirect URL.
    pub callback: CallbackSettings,
}

/// What the authorization page says before anybody signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageSays {
    /// It refuses the client id, the redirect URL or the scope.
    Refused(Problem),
    /// It continues to the sign-in: nothing is refused so far.
    GoesOn,
    /// It shows a page without a known refusal.
    Unknown(StatusCode),
}

impl Identity {
    /// How the client got its id, in words.
    pub fn origin(&self) -> &'static str {
        match self.client.as_ref().map(|client| client.origin) {
            Some(ClientOrigin::PreRegistered) => "given by the settings",
            Some(ClientOrigin::MetadataDocument) => "a metadata document",
            Some(ClientOrigin::Registered { .. }) => "registered by this program",
            None => "the next sign-in registers one",
        }
    }

    /// How it authenticates, in words.
    pub fn proof(&self) -> &'static str {
        match &self.client {
            Some(client) if client.key.is_some() => "with a private key",
            Some(client) if client.secret.is_some() => "with a secret",
            Some(client) if client.method == Some(AuthMethod::None) || !client.lacks_secret() => "a public client",
            Some(_) => "without a secret",
            None => "",
        }
    }
}

/// The checks of `doctor` for signing in.
#[derive(Debug)]
pub struct Checkup {
    ctx: Arc<Context>,
    /// The server's challenge, if met.
    challenge: Arc<Challenge>,
}

impl Checkup {
    /// The checks for this authorizer, with the challenge that it has met.
    pub fn of(auth: &Authorizer) -> Self {
        Self { ctx: Arc::clone(&auth.ctx), challenge: auth.sign_ins.challenge() }
    }

    /// Finds the authorization server, as a sign-in would.
    pub async fn route(&self) -> Route {
        let flow = if self.ctx.uses_client_credentials() { Flow::Client } else { Flow::Code };
        let probe::Probed { challenge, is_open } = probe::probe(&self.ctx, &self.challenge).await;
        let mut probed = Vec::new();
        let bound_issuer = choose::bound_issuer(&self.ctx).await;
        let (settings, bound_issuer) = (&self.ctx.settings, bound_issuer.as_deref());
        let found =
            search::discover_by_steps(&self.ctx.http, settings, &challenge, flow, bound_issuer, &mut probed).await;
        let found =
            found.map_err(Problem::from).and_then(|found| found.check_wanted(settings, is_open).map(|()| found));
        Route { probed, found: found.map_err(|problem| self.ctx.explain(problem)) }
    }

    /// The client that a sign-in at this server would use.
    pub async fn identity(&self, found: &Discovered) -> Result<Identity, Problem> {
        let settings = &self.ctx.settings.oauth.callback;
        let scope = scope::choose(&self.ctx.settings, &self.challenge().await, found, Flow::Code);
        let client = choose::known_client(&self.ctx, found, scope.as_deref())
            .await
            .map_err(|error| self.ctx.explain(error.into()))?;
        if client.is_none() && found.server.registration_endpoint.is_none() {
            return Err(self.ctx.explain(choose::client_id_missing(&self.ctx.settings, found)));
        }
        let port = match client.as_ref().map(|client| client.origin) {
            Some(ClientOrigin::Registered { port }) => port,
            _ => settings.port,
        };
        let path = client.as_ref().and_then(|client| client.redirect_path.clone());
        let path = path.unwrap_or_else(|| settings.path.clone());
        Ok(Identity { client, callback: CallbackSettings { port, path, ..settings.clone() } })
    }

    /// Whether the port of the redirect URL is free; `Ok(false)` if another sign-in of this program holds it.
    pub async fn port(&self, callback: &CallbackSettings) -> Result<bool, Problem> {
        if ProcessLock::is_held(&self.ctx.files.port_lock(callback.port))? {
            return Ok(false);
        }
        Callback::bind(callback).map(|_| true).map_err(|problem| self.ctx.explain(problem))
    }

    /// Requests the authorization page as a browser without a session would; follows no redirect. Nobody could use the
    /// answer: the verifier is discarded.
    pub async fn page(&self, found: &Discovered, identity: &Identity) -> Result<PageSays, Problem> {
        let Some(client) = &identity.client else { return Ok(PageSays::GoesOn) };
        let redirect_url = identity.callback.redirect_url();
        let scope = scope::choose(&self.ctx.settings, &self.challenge().await, found, Flow::Code);
        let scope = scope::bounded(&self.ctx.settings, scope.as_deref(), client.allowed_scope.as_deref());
        let request_to_page = Request::new(&self.ctx.settings, found, client, &redirect_url, scope.as_deref())?;
        let mut request = reqwest::Request::new(Method::GET, request_to_page.link.clone());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/html, application/json;q=0.9"));
        let answer = self.ctx.http.named_by(found.named_by).exchange(request, PAGE_BOUNDS).await?;
        let says = read_page(&request_to_page.link, &redirect_url, &answer, &request_to_page.expected.secrets);
        Ok(match says {
            PageSays::Refused(problem) => {
                let problem = client.explained(problem.with("client_id", &client.id));
                let problem = scope::explained(problem, scope.as_deref(), found);
                PageSays::Refused(self.ctx.explain(problem))
            }
            says => says,
        })
    }

    /// Whether the store accepts records.
    pub async fn store(&self) -> Result<(), Problem> {
        // Before the dummy record: writing it sets a damaged file aside.
        if let Err(error @ StoreError::Corrupt(_)) = self.ctx.store.read(&self.ctx.account).await {
            return Err(self.ctx.explain(error.into()));
        }
        self.ctx.store.check().await.map_err(|error| self.ctx.explain(error.into()))
    }

    /// All secrets that this program knows of these settings: what the user gave, and what is stored. A store that does not
    /// answer adds none.
    pub async fn secrets(auth: &Authorizer) -> Secrets {
        let (settings, store) = (&auth.ctx.settings, &auth.ctx.store);
        let current = auth.tokens.cache.current();
        let mut secrets = current.as_ref().map_or_else(Secrets::none, |current| current.grant.secrets());
        if let Some(grant) = current.map(|current| current.grant) {
            let registered = dynamic::by_id(settings, store, &grant.issuer, &grant.client_id).await.ok().flatten();
            let given = client::secret(settings, store, &grant.client_id).await.ok().flatten();
            let both = registered.and_then(|client| client.secret).into_iter().chain(given);
            both.for_each(|secret| secrets.add_pair(&grant.client_id, secret.expose()));
        }
        let given = [&settings.static_token, &settings.oauth.client_secret];
        given.into_iter().flatten().for_each(|secret| secrets.add(secret.expose()));
        let proxy = settings.network.proxy.as_ref().and_then(|proxy| Url::parse(proxy.expose()).ok());
        proxy.iter().filter_map(Url::password).for_each(|password| secrets.add(password));
        secrets
    }

    async fn challenge(&self) -> Challenge {
        probe::challenge(&self.ctx, &self.challenge).await
    }
}

/// What an authorization page says, as far as it can be parsed.
fn read_page(link: &Url, redirect_url: &str, answer: &Answer, sent: &Secrets) -> PageSays {
    let mut secrets = sent.clone();
    if answer.status.is_redirection() {
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(target) = location.and_then(|location| link.join(location).ok()) else {
            return PageSays::Unknown(answer.status);
        };
        // Either straight back with an error (RFC 6749, 4.1.2.1), or to another page of the server, whose address may
        // carry one too.
        let fields: Vec<(String, String)> = target.query_pairs().into_owned().collect();
        fields.iter().filter(|(key, _)| key == "code").for_each(|(_, code)| secrets.add(code));
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        return match (field("error"), field("error_description")) {
            (None, _) if target.as_str().starts_with(redirect_url) => PageSays::GoesOn,
            (None, _) => known_words(target.query().unwrap_or_default()).map_or(PageSays::GoesOn, PageSays::Refused),
            (Some(error), description) => PageSays::Refused(refusal(error, description, &secrets)),
        };
    }
    let text = String::from_utf8_lossy(&answer.body);
    if let Some(problem) = known_words(&text) {
        return PageSays::Refused(problem);
    }
    if answer.status.is_client_error()
        && let Ok(json) = serde_json::from_slice::<serde_json::Value>(&answer.body)
        && let Some(error) = json["error"].as_str()
    {
        return PageSays::Refused(refusal(error, json["error_description"].as_str(), &secrets));
    }
    match PAGE_ERROR_CODES.iter().find(|code| answer.status.is_client_error() && text.contains(**code)) {
        Some(code) => PageSays::Refused(refusal(code, None, &secrets)),
        None => PageSays::Unknown(answer.status),
    }
}

/// Error codes that many servers' pages show, and that no page contains by chance.
const PAGE_ERROR_CODES: [&str; 5] =
    ["invalid_redirect_uri", "redirect_uri_mismatch", "invalid_client", "unauthorized_client", "invalid_scope"];

fn known_words(text: &str) -> Option<Problem> {
    ProblemId::in_words(text).map(Problem::new)
}

fn refusal(error: &str, description: Option<&str>, secrets: &Secrets) -> Problem {
    let by_words = description.and_then(ProblemId::in_words);
    let id = by_words.unwrap_or(match error {
        "invalid_redirect_uri" | "redirect_uri_mismatch" => ProblemId::RedirectUrlNotRegistered,
        "invalid_client" | "unauthorized_client" => ProblemId::InvalidClient,
        "invalid_scope" => ProblemId::InvalidScope,
        "access_denied" => ProblemId::AccessDenied,
        _ => ProblemId::AuthorizationFailed,
    });
    let words = description.map(|text| secrets.words(text));
    Problem::new(id).said("error", secrets.words(error)).said("error_description", words)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderMap;

    use crate::http::AddressSource;

    use super::*;

    const BACK: &str = "http://127.0.0.1:7526/callback";

    fn says(status: u16, location: Option<&str>, body: &str) -> PageSays {
        let mut headers = HeaderMap::new();
        if let Some(location) = location {
            headers.insert(LOCATION, location.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let link = Url::parse("https://ws.example/oauth/authorize?x=1").unwrap();
        let (body, secrets) = (body.as_bytes().to_vec(), Secrets::none());
        let answer = Answer { status, headers, body, namer: AddressSource::Insider, secrets };
        read_page(&link, BACK, &answer, &Secrets::none())
    }

    fn refused(status: u16, location: Option<&str>, body: &str) -> ProblemId {
        match says(status, location, body) {
            PageSays::Refused(problem) => problem.id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_refusal_is_recognised_wherever_a_server_says_it() {
        use ProblemId as Id;
        let page = "<p role=alert>Invalid client_id: OAuth client not found.</p>";
        assert_eq!(refused(400, None, page), Id::WrongEnvironment);
        assert_eq!(refused(200, None, page), Id::WrongEnvironment);
        let text = "Invalid redirect_uri: not registered for this client.";
        assert_eq!(refused(400, None, text), Id::RedirectUrlNotRegistered);
        let back = format!("{BACK}?error=invalid_scope&state=x");
        assert_eq!(refused(303, Some(&back), ""), Id::InvalidScope);
        assert_eq!(refused(302, Some("/error?error=invalid_client"), ""), Id::InvalidClient);
        assert_eq!(refused(400, None, r#"{"error":"unauthorized_client"}"#), Id::InvalidClient);
        assert_eq!(refused(400, None, "<pre>error: invalid_redirect_uri</pre>"), Id::RedirectUrlNotRegistered);
        assert_eq!(refused(400, None, r#"{"error":"invalid_request"}"#), Id::AuthorizationFailed);
    }

    #[test]
    fn what_cannot_be_read_is_neither_a_refusal_nor_a_consent() {
        assert_eq!(says(200, None, "<div id=app></div>"), PageSays::Unknown(StatusCode::OK));
        assert_eq!(says(200, None, "learn about invalid_scope here"), PageSays::Unknown(StatusCode::OK));
        assert_eq!(says(503, None, ""), PageSays::Unknown(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(says(302, None, ""), PageSays::Unknown(StatusCode::FOUND));
        assert_eq!(says(302, Some("/login?next=x"), ""), PageSays::GoesOn);
        assert_eq!(says(303, Some(&format!("{BACK}?code=canary&state=x")), ""), PageSays::GoesOn);
    }
}
