//! From an MCP URL (and a 401, where there is one) to the authorization server, in the order that MCP prescribes.
//!
//! One bad answer never ends the search: a 401, 403, 404 or a page of HTML at a well-known place means that nothing is
//! there. What is there and breaks the rules is refused.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use url::{Origin, Url};

use crate::auth::AuthError;
use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::metadata;
use crate::auth::discovery::metadata::{Flow, ResourceMetadata, ServerMetadata, Sought};
use crate::auth::exchange::token_endpoint::unreached;
use crate::auth::login::browser;
use crate::config::{Product, Settings};
use crate::http::{Bounds, Http, NamedBy, NetError};
use crate::problem::{Problem, ProblemId, printable};

/// Documents of this kind are a few kilobytes.
const BOUNDS: Bounds = Bounds { max_body: 512 * 1024, timeout: Duration::from_secs(15) };
/// How often a document may point elsewhere on its own origin.
const REDIRECTS: usize = 3;
/// How many authorization servers of one resource are asked.
const SERVERS: usize = 5;
/// How long all of it may take: a server that names many places must not have somebody wait for each.
const WHOLE: Duration = Duration::from_secs(90);

/// Where and for what to sign in.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The `resource` of every request for a token (RFC 8707).
    pub resource: String,
    /// The authorization server.
    pub server: ServerMetadata,
    /// How many the protected resource lists.
    pub listed: usize,
    /// The scopes that the protected resource lists.
    pub resource_scopes: Option<Vec<String>>,
    /// Who has named all of this.
    pub named_by: NamedBy,
}

impl Discovered {
    /// The authorization server in words, and that it was chosen where there are several.
    pub fn chosen(&self) -> String {
        let issuer = printable(&self.server.issuer);
        match self.listed {
            0 | 1 => issuer,
            listed => format!("{issuer} (one of {listed} that the server names)"),
        }
    }
}

/// One place that was asked on the way, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The address.
    pub place: String,
    /// What it said, in words.
    pub said: String,
}

/// What one place said.
enum Probe<T> {
    Found(T),
    /// Nothing of the kind is there; in words, why that was concluded.
    NotThere(String),
    /// It may be there, but cannot be had now.
    NotNow(Problem),
    /// It must not be looked for there.
    Refused(Problem),
}

/// Finds the authorization server; among several, the first that can be used, or `home`, the issuer that the client id
/// belongs to.
pub async fn discover(
    http: &Http,
    settings: &Settings,
    challenge: &Challenge,
    flow: Flow,
    home: Option<&str>,
) -> Result<Discovered, AuthError> {
    discover_by_steps(http, settings, challenge, flow, home, &mut Vec::new()).await
}

/// The same, and each place that was asked.
pub async fn discover_by_steps(
    http: &Http,
    settings: &Settings,
    challenge: &Challenge,
    flow: Flow,
    home: Option<&str>,
    steps: &mut Vec<Asked>,
) -> Result<Discovered, AuthError> {
    let configured = settings.oauth.token_endpoint.as_ref().map(Url::to_string);
    if let (Flow::Client, Some(endpoint)) = (flow, &configured) {
        // All that is needed is known; servers that want this often publish nothing.
        let server = ServerMetadata::with_token_endpoint(endpoint, endpoint.clone());
        return Ok(Discovered {
            resource: canonical(&settings.url),
            server,
            listed: 0,
            resource_scopes: None,
            named_by: NamedBy::Insider,
        });
    }
    let searched = tokio::time::timeout(WHOLE, search(http, settings, challenge, flow, home, steps)).await;
    let mut found = searched.unwrap_or_else(|_| {
        let last = steps.last().map_or(settings.url.as_str(), |asked| asked.place.as_str());
        Err(AuthError::NotNow(Problem::new(ProblemId::TokenEndpointUnavailable).with("endpoint", last)))
    })?;
    if let Some(endpoint) = configured {
        found.server.token_endpoint = endpoint;
    }
    Ok(found)
}

async fn search(
    http: &Http,
    settings: &Settings,
    challenge: &Challenge,
    flow: Flow,
    home: Option<&str>,
    steps: &mut Vec<Asked>,
) -> Result<Discovered, AuthError> {
    let mut search = Search {
        http,
        own: settings.url.origin(),
        by: challenge.from,
        token_endpoint_given: settings.oauth.token_endpoint.is_some(),
        last: "nothing".into(),
        not_now: None,
        refused: None,
        steps,
    };
    let resource = search.resource(&settings.url, challenge).await.map_err(AuthError::Failed)?;
    let origin = settings.url.origin().ascii_serialization();
    let (identifier, issuers, resource_scopes) = match resource {
        Some(found) => (found.resource, found.authorization_servers, found.scopes_supported),
        None => (canonical(&settings.url), Vec::new(), None),
    };
    // A client id that belongs to one of them is unknown to the others.
    let home = issuers.iter().find(|issuer| home.is_some_and(|home| metadata::same_issuer(issuer, home)));
    let mut all: Vec<Sought<'_>> = match home {
        Some(home) => vec![Sought::Issuer(home)],
        None => issuers.iter().take(SERVERS).map(|issuer| Sought::Issuer(issuer)).collect(),
    };
    if all.is_empty() {
        all.push(Sought::Origin(&origin));
    }
    let listed = issuers.len();
    for sought in &all {
        if let Some(server) = search.server(*sought, flow).await {
            if listed > 1 {
                let issuer = &server.issuer;
                tracing::info!(%issuer, of = listed, "one of several authorization servers is chosen");
            }
            let named_by = search.named_by();
            return Ok(Discovered { resource: identifier, server, listed, resource_scopes, named_by });
        }
    }
    if let Some(problem) = search.refused {
        return Err(AuthError::Failed(problem));
    }
    if let Some(problem) = search.not_now {
        return Err(AuthError::NotNow(problem));
    }
    // MCP 2025-03-26: without any metadata, the default endpoints of the origin. A product that is known to publish
    // metadata is rather misconfigured than old.
    if settings.product == Product::Other && (issuers.is_empty() || issuers == [origin.clone()]) {
        let (server, named_by) = (ServerMetadata::assumed(&origin), search.named_by());
        return Ok(Discovered { resource: identifier, server, listed, resource_scopes, named_by });
    }
    Err(AuthError::Failed(
        Problem::new(ProblemId::NoAuthorizationServer).with("url", &settings.url).with("detail", search.last),
    ))
}

/// The identifier of a resource that does not state one (MCP, "Canonical Server URI"): no fragment, no slash on its own.
pub fn canonical(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    let text = url.to_string();
    if url.path() == "/" && url.query().is_none() { text.trim_end_matches('/').to_owned() } else { text }
}

/// The state of one search: what is worth telling when nothing is found.
struct Search<'a> {
    http: &'a Http,
    /// Where the MCP server itself is.
    own: Origin,
    /// Who it is, as soon as that is known.
    by: Option<NamedBy>,
    /// Whether the user has named another token endpoint than the server's.
    token_endpoint_given: bool,
    last: String,
    not_now: Option<Problem>,
    refused: Option<Problem>,
    steps: &'a mut Vec<Asked>,
}

impl Search<'_> {
    async fn resource(&mut self, url: &Url, challenge: &Challenge) -> Result<Option<ResourceMetadata>, Problem> {
        let named = challenge.resource_metadata.as_deref().map(browser::checked);
        if let Some(Err(why)) = &named {
            let problem = Problem::new(ProblemId::UnsafeEndpoint).with("purpose", "resource metadata");
            return Err(problem.with("detail", why));
        }
        let mut places: Vec<Url> = named.into_iter().flatten().collect();
        places.extend(metadata::resource_places(url));
        for place in places {
            let Some(found) = self.probe::<ResourceMetadata>(&place).await else {
                if let Some(problem) = self.refused.take() {
                    return Err(problem);
                }
                continue;
            };
            if found.covers(url) {
                return Ok(Some(found));
            }
            // RFC 9728, 3.3: it must not be used, and whoever publishes it may be after the token.
            return Err(Problem::new(ProblemId::ResourceMismatch)
                .with("place", &place)
                .with("expected", url)
                .with("found", &found.resource));
        }
        Ok(None)
    }

    async fn server(&mut self, sought: Sought<'_>, flow: Flow) -> Option<ServerMetadata> {
        let url = match browser::checked(sought.place()) {
            Ok(url) => url,
            Err(why) => {
                let problem = Problem::new(ProblemId::UnsafeEndpoint).with("purpose", "authorization server");
                self.refused.get_or_insert(problem.with("detail", why));
                return None;
            }
        };
        for place in metadata::server_places(&url) {
            let Some(found) = self.probe::<ServerMetadata>(&place).await else { continue };
            let checked = match found.check(sought, &place, flow) {
                Ok(()) => self.check_ways(&found, flow).await,
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

    /// Nobody should sign in on a page that lies inside, or for a code that cannot be exchanged. Where names lead is looked
    /// at when they are connected to; a page is opened by a browser, which asks nobody here.
    async fn check_ways(&self, found: &ServerMetadata, flow: Flow) -> Result<(), Problem> {
        let http = self.http.named_by(self.named_by());
        if !self.token_endpoint_given {
            http.client(&metadata::endpoint(&found.token_endpoint, "token endpoint")?).await?;
        }
        if let (Flow::Code, Some(page)) = (flow, &found.authorization_endpoint) {
            http.check_page(&metadata::endpoint(page, "authorization endpoint")?).await?;
        }
        Ok(())
    }

    /// Who names what is found; as long as nobody has answered, only the user has named anything.
    fn named_by(&self) -> NamedBy {
        self.by.unwrap_or(NamedBy::Insider)
    }

    async fn probe<T: DeserializeOwned>(&mut self, place: &Url) -> Option<T> {
        let probe = self.fetch(place).await;
        let said = match &probe {
            Probe::Found(_) => "found".to_owned(),
            Probe::NotThere(why) => why.clone(),
            Probe::NotNow(problem) | Probe::Refused(problem) => {
                problem.source.clone().unwrap_or_else(|| problem.what())
            }
        };
        self.steps.push(Asked { place: place.to_string(), said });
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
        for _ in 0..=REDIRECTS {
            let mut request = reqwest::Request::new(Method::GET, url.clone());
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
            let own = url.origin() == self.own;
            let by = self.by.unwrap_or(if own { NamedBy::Insider } else { NamedBy::Public });
            let answer = match self.http.named_by(by).exchange(request, BOUNDS).await {
                Ok(answer) => answer,
                Err(NetError::Unusable(problem)) if problem.id == ProblemId::InwardAddress => {
                    return Probe::Refused(problem);
                }
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
            return match answer.status {
                StatusCode::OK => match serde_json::from_slice(&answer.body) {
                    Ok(found) => Probe::Found(found),
                    Err(error) => Probe::NotThere(format!("no such document ({})", short(&error))),
                },
                status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => Probe::NotNow(
                    Problem::new(ProblemId::TokenEndpointUnavailable)
                        .with("status", status.as_u16())
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

#[cfg(test)]
mod tests {
    use crate::auth::discovery::search::*;

    #[test]
    fn the_canonical_form_has_no_fragment_and_no_lonely_slash() {
        for (given, expected) in [
            ("https://H/v1/mcp#x", "https://h/v1/mcp"),
            ("https://h", "https://h"),
            ("https://h:443/", "https://h"),
            ("https://h/a/", "https://h/a/"),
            ("https://h/?t=1", "https://h/?t=1"),
        ] {
            assert_eq!(canonical(&Url::parse(given).unwrap()), expected);
        }
    }
}
