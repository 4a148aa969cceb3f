//! Finds the authorization server for an MCP URL (and its 401, if any), in the order that MCP prescribes.
//!
//! One bad answer never ends the search: a 401, 403, 404 or an HTML page at a well-known URL means that there is no
//! document. A document that breaks the rules is refused, unless the user has consented to it. Where a barrier in front of
//! the server answers for it, nobody knows what lies behind, and nothing is assumed.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use url::{Origin, Url};

use crate::auth::AuthError;
use crate::auth::discovery::barrier::{Barrier, Barriers};
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::hint::FoundBy;
use crate::auth::discovery::metadata::{Consents, Flow, ResourceMetadata, ServerMetadata, Sought};
use crate::auth::discovery::{hint, metadata, safe_url};
use crate::auth::endpoints;
use crate::auth::endpoints::Elsewhere;
use crate::auth::error::unreached;
use crate::auth::issuer;
use crate::auth::resource;
use crate::config::{Product, Settings};
use crate::http::{AddressSource, Bounds, Http, NetError, host_of};
use crate::limits::{DISCOVERY_WAIT, MAX_AUTHORIZATION_SERVERS, MAX_REDIRECTS, METADATA_BYTES};
use crate::problem::{Problem, ProblemId, printable};

const METADATA_BOUNDS: Bounds = Bounds { max_body: METADATA_BYTES, timeout: Duration::from_secs(15) };

/// Where to sign in, and for what.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The `resource` of every token request (RFC 8707).
    pub resource: String,
    /// The authorization server.
    pub server: ServerMetadata,
    /// How many servers the protected resource lists.
    pub listed: usize,
    /// The scopes that the protected resource lists.
    pub resource_scopes: Option<Vec<String>>,
    /// Who named all of this.
    pub named_by: AddressSource,
    /// The server's own token endpoint, if the settings have put another in its place.
    pub replaced: Option<String>,
    /// Since when requests leave out `resource`, if the server takes no token that was asked for with it.
    pub without_resource_since: Option<u64>,
    /// What else is known of how it was found.
    pub by: FoundBy,
}

impl Discovered {
    /// The address that the token endpoint would share its origin with but for the settings: the server's own token endpoint,
    /// if they have put one at another origin in its place, or the issuer that they pin.
    pub fn expected_token_endpoint(&self) -> Option<&str> {
        let pinned = self.by.pin.then_some(self.server.issuer.as_str());
        let is_elsewhere = |expected: &&str| !endpoints::share_origin(expected, &self.server.token_endpoint);
        [self.replaced.as_deref(), pinned].into_iter().flatten().find(is_elsewhere)
    }

    /// That no sign-in is asked for, if nothing describes one and the MCP endpoint takes requests without (`is_open`).
    pub fn check_wanted(&self, settings: &Settings, is_open: bool) -> Result<(), Problem> {
        if is_open && self.server.is_assumed {
            return Err(Problem::new(ProblemId::SignInNotWanted).with("host", host_of(&settings.url)));
        }
        Ok(())
    }

    /// The parts of the server that lie at other origins than its issuer.
    pub fn elsewhere(&self) -> Elsewhere {
        let server = &self.server;
        Elsewhere::of(&server.issuer, server.authorization_endpoint.as_deref(), &server.token_endpoint)
    }

    /// The authorization server in words, noting that it was chosen if there are several.
    pub fn chosen(&self) -> String {
        let issuer = printable(&self.server.issuer);
        match self.listed {
            0 | 1 => issuer,
            listed => format!("{issuer} (one of {listed} that the server names)"),
        }
    }
}

/// A URL that was tried for metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedPlace {
    /// The URL.
    pub place: String,
    /// What was found, in words.
    pub outcome: String,
}

/// The outcome of trying a metadata URL.
enum Probe<T> {
    Found(T),
    /// No such document; why, in words.
    NotThere(String),
    /// It may exist, but cannot be fetched now.
    NotNow(Problem),
    /// The URL must not be fetched.
    Refused(Problem),
}

/// Finds the authorization server: of several, `bound_issuer`, the issuer that the client id belongs to, or else the
/// first usable one.
pub async fn discover(
    http: &Http,
    settings: &Settings,
    challenge: &Challenge,
    flow: Flow,
    bound_issuer: Option<&str>,
) -> Result<Discovered, AuthError> {
    discover_by_steps(http, settings, challenge, flow, bound_issuer, &mut Vec::new()).await
}

/// The same, recording each URL that was tried.
pub async fn discover_by_steps(
    http: &Http,
    settings: &Settings,
    challenge: &Challenge,
    flow: Flow,
    bound_issuer: Option<&str>,
    steps: &mut Vec<ProbedPlace>,
) -> Result<Discovered, AuthError> {
    let configured = settings.oauth.token_endpoint.as_ref().map(Url::to_string);
    if let (Flow::Client, Some(endpoint)) = (flow, &configured) {
        // Everything is known already, and servers for client credentials often publish no metadata.
        let server = ServerMetadata::with_token_endpoint(endpoint, endpoint.clone());
        return Ok(Discovered {
            resource: resource::assumed(&settings.url, settings.oauth.resource.as_deref()),
            server,
            listed: 0,
            resource_scopes: None,
            named_by: AddressSource::Insider,
            replaced: None,
            without_resource_since: None,
            by: FoundBy::default(),
        });
    }
    let searched =
        tokio::time::timeout(DISCOVERY_WAIT, search(http, settings, challenge, flow, bound_issuer, steps)).await;
    let mut found = searched.unwrap_or_else(|_| {
        let last = steps.last().map_or_else(|| settings.shown_url(), |asked| asked.place.clone());
        Err(AuthError::NotNow(Problem::new(ProblemId::TokenEndpointUnavailable).with("endpoint", last)))
    })?;
    if let Some(endpoint) = configured {
        found.replaced = Some(std::mem::replace(&mut found.server.token_endpoint, endpoint));
    }
    Ok(found)
}

async fn search(
    http: &Http,
    settings: &Settings,
    challenge: &Challenge,
    flow: Flow,
    bound_issuer: Option<&str>,
    steps: &mut Vec<ProbedPlace>,
) -> Result<Discovered, AuthError> {
    let mut search = Search {
        http,
        url: settings.url.clone(),
        own: settings.url.origin(),
        by: challenge.from,
        has_configured_token_endpoint: settings.oauth.token_endpoint.is_some(),
        last: "nothing".into(),
        not_now: None,
        refused: None,
        passed_over: None,
        met: Barriers::default(),
        consents: Consents::of(settings),
        steps,
    };
    let described = search.resource(&settings.url, challenge).await.map_err(AuthError::Failed)?;
    let origin = settings.url.origin().ascii_serialization();
    let (identifier, issuers, resource_scopes) = match described {
        Some(found) => (found.resource, found.authorization_servers, found.scopes_supported),
        None => (resource::assumed(&settings.url, search.consents.resource), Vec::new(), None),
    };
    let pinned = search.consents.issuer;
    let chosen = pinned.and_then(|pinned| issuers.iter().find(|listed| issuer::is_pinned(pinned, listed)));
    let bound_issuer =
        issuers.iter().find(|listed| bound_issuer.is_some_and(|bound_issuer| issuer::is_same(listed, bound_issuer)));
    let all = sought(&issuers, chosen.or(bound_issuer), &origin);
    let listed = issuers.len();
    let found = |server, named_by, by| Discovered {
        resource: identifier,
        server,
        listed,
        resource_scopes,
        named_by,
        replaced: None,
        without_resource_since: None,
        by,
    };
    for sought in &all {
        if let Some(server) = search.server(*sought, flow).await {
            if listed > 1 {
                let issuer = &server.issuer;
                tracing::info!(%issuer, of = listed, "one of several authorization servers is chosen");
            }
            let pin = pinned.is_some() && server.stands_elsewhere(*sought);
            let by = FoundBy { pin, passed_over: search.passed_over.take() };
            let named_by = search.named_by();
            return Ok(found(server, named_by, by));
        }
    }
    if let Some(problem) = search.refused {
        return Err(AuthError::Failed(problem));
    }
    if let Some(problem) = search.not_now {
        return Err(AuthError::NotNow(problem));
    }
    // A server that hints at its description is no old one without, and so is one behind a barrier.
    if let Some(problem) = search.met.problem().or(search.passed_over.take()) {
        return Err(AuthError::Failed(problem));
    }
    // MCP 2025-03-26: without any metadata, the default endpoints of the origin. A product known to publish metadata is
    // more likely misconfigured than old, and a pinned issuer is found by its document alone.
    if settings.product == Product::Other && pinned.is_none() && (issuers.is_empty() || issuers == [origin.clone()]) {
        let (server, named_by) = (ServerMetadata::assumed(&origin), search.named_by());
        return Ok(found(server, named_by, FoundBy::default()));
    }
    Err(AuthError::Failed(
        Problem::new(ProblemId::NoAuthorizationServer).with("url", settings.shown_url()).with("detail", search.last),
    ))
}

/// The state of one search: what to report if nothing is found.
struct Search<'a> {
    http: &'a Http,
    /// The address of the MCP server, and its origin.
    url: Url,
    own: Origin,
    /// As whom the MCP server names addresses, once known.
    by: Option<AddressSource>,
    /// Whether the user configured a different token endpoint.
    has_configured_token_endpoint: bool,
    last: String,
    not_now: Option<Problem>,
    refused: Option<Problem>,
    /// Why the hint of the challenge leads nowhere.
    passed_over: Option<Problem>,
    met: Barriers,
    consents: Consents<'a>,
    steps: &'a mut Vec<ProbedPlace>,
}

impl Search<'_> {
    async fn resource(&mut self, url: &Url, challenge: &Challenge) -> Result<Option<ResourceMetadata>, Problem> {
        let mut places = Vec::new();
        match challenge.resource_metadata.as_deref().map(|named| hint::place(named, url)) {
            Some(Ok(place)) => places.push(place),
            Some(Err(problem)) => self.pass_over(problem),
            None => {}
        }
        let hinted = places.len();
        for place in metadata::resource_places(url) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        for (at, place) in places.into_iter().enumerate() {
            let Some(found) = self.probe::<ResourceMetadata>(&place).await else {
                match self.refused.take() {
                    Some(problem) if at < hinted => self.pass_over(problem),
                    Some(problem) => return Err(problem),
                    None => {}
                }
                continue;
            };
            // RFC 9728, 3.3: another must not be used; its publisher may be after the token.
            return found.check(url, &place, self.consents).map(|()| Some(found));
        }
        Ok(None)
    }

    fn pass_over(&mut self, problem: Problem) {
        tracing::warn!(%problem, "the challenge's resource_metadata is passed over; the well-known places are asked");
        self.passed_over = Some(problem);
    }

    async fn server(&mut self, sought: Sought<'_>, flow: Flow) -> Option<ServerMetadata> {
        let url = match safe_url::check(sought.place()) {
            Ok(url) => url,
            Err(why) => {
                let problem = hint::refused("authorization server", sought.place(), &why, &self.url);
                self.refused.get_or_insert(problem);
                return None;
            }
        };
        for place in metadata::server_places(&url) {
            let Some(found) = self.probe::<ServerMetadata>(&place).await else { continue };
            let checked = match found.check(sought, &place, flow, self.consents) {
                Ok(()) => self.check_endpoints(&found, flow).await,
                refused => refused,
            };
            match checked {
                Ok(()) => return Some(found),
                Err(problem) => {
                    self.refused.get_or_insert(problem);
                }
            }
        }
        None
    }

    /// Nobody should sign in at an inward page, or for a code that cannot be exchanged. Other host names are checked
    /// when we connect; but a browser opens the page, beyond our control.
    async fn check_endpoints(&self, found: &ServerMetadata, flow: Flow) -> Result<(), Problem> {
        let http = self.http.named_by(self.named_by());
        if !self.has_configured_token_endpoint {
            http.client(&metadata::endpoint(&found.token_endpoint, "token endpoint")?).await?;
        }
        if let (Flow::Code, Some(page)) = (flow, &found.authorization_endpoint) {
            http.check_page(&metadata::endpoint(page, "authorization endpoint")?).await?;
        }
        Ok(())
    }

    /// Who named what is found; until a server has answered, only the user has named anything.
    fn named_by(&self) -> AddressSource {
        self.by.unwrap_or(AddressSource::Insider)
    }

    async fn probe<T: DeserializeOwned>(&mut self, place: &Url) -> Option<T> {
        let probe = self.fetch(place).await;
        let outcome = match &probe {
            Probe::Found(_) => "found".to_owned(),
            Probe::NotThere(why) => why.clone(),
            Probe::NotNow(problem) | Probe::Refused(problem) => {
                problem.source.clone().unwrap_or_else(|| problem.what())
            }
        };
        self.steps.push(ProbedPlace { place: place.to_string(), outcome });
        match probe {
            Probe::Found(found) => Some(found),
            Probe::NotThere(why) => {
                tracing::debug!(%place, %why, "no metadata");
                self.last = format!("{place}: {why}");
                None
            }
            Probe::NotNow(problem) => {
                tracing::debug!(%place, %problem, "metadata not to be had now");
                self.not_now.get_or_insert(problem);
                None
            }
            Probe::Refused(problem) => {
                tracing::debug!(%place, %problem, "metadata not looked for");
                self.refused.get_or_insert(problem);
                None
            }
        }
    }

    async fn fetch<T: DeserializeOwned>(&mut self, place: &Url) -> Probe<T> {
        let mut url = place.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut request = reqwest::Request::new(Method::GET, url.clone());
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
            let own = url.origin() == self.own;
            let by = self.by.unwrap_or(if own { AddressSource::Insider } else { AddressSource::Public });
            let answer = match self.http.named_by(by).exchange(request, METADATA_BOUNDS).await {
                Ok(answer) => answer,
                Err(NetError::Unusable(problem)) if problem.id == ProblemId::InwardAddress => {
                    return Probe::Refused(problem);
                }
                // The texts about an authorization server would mislead where the MCP server itself is out of reach.
                Err(error) if own && error.never_sent() => return Probe::NotNow(error.into()),
                Err(error) => return Probe::NotNow(unreached(error, url.as_str())),
            };
            if own {
                self.by.get_or_insert(answer.namer);
            }
            if answer.status.is_redirection()
                && let Some(next) =
                    answer.headers.get(LOCATION).and_then(|v| v.to_str().ok()).and_then(|v| url.join(v).ok())
                && next.origin() == url.origin()
            {
                url = next;
                continue;
            }
            let barrier = Barrier::of(answer.status, &answer.headers);
            self.met.note(barrier.clone(), &url);
            if let Some(barrier) = barrier {
                return Probe::NotThere(barrier.words());
            }
            return match answer.status {
                StatusCode::OK => match serde_json::from_slice(&answer.body) {
                    Ok(found) => Probe::Found(found),
                    Err(error) => Probe::NotThere(format!("no such document ({})", short(&error))),
                },
                status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => Probe::NotNow(
                    Problem::new(ProblemId::TokenEndpointUnavailable)
                        .with("status", status.as_u16())
                        .with("host", host_of(&url))
                        .with("endpoint", &url),
                ),
                status => Probe::NotThere(format!("status {}", status.as_u16())),
            };
        }
        Probe::NotThere("too many redirects".into())
    }
}

fn short(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "a field is missing or of the wrong kind",
        _ => "no JSON",
    }
}

/// What is looked at: the server that the client belongs to, or the first few of those that the resource lists, or its
/// origin. A client id that belongs to one of them is unknown to the rest.
fn sought<'a>(issuers: &'a [String], bound_issuer: Option<&'a String>, origin: &'a str) -> Vec<Sought<'a>> {
    let listed = bound_issuer.map_or(issuers, std::slice::from_ref);
    match listed {
        [] => vec![Sought::Origin(origin)],
        _ => listed.iter().take(MAX_AUTHORIZATION_SERVERS).map(|issuer| Sought::Issuer(issuer)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_names_ever_more_authorization_servers_has_a_few_looked_at() {
        let origin = "https://mcp.example";
        let issuers: Vec<String> = (0..1_000).map(|n| format!("https://{n}.example")).collect();
        assert_eq!(sought(&issuers, None, origin).len(), MAX_AUTHORIZATION_SERVERS);
        assert_eq!(sought(&issuers, issuers.last(), origin).len(), 1);
        assert!(matches!(sought(&[], None, origin)[..], [Sought::Origin(_)]));
    }
}
