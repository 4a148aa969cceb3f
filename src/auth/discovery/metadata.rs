//! The two discovery documents and the rules they must follow: protected resource metadata (RFC 9728) and authorization
//! server metadata (RFC 8414, OpenID Connect Discovery).

use serde::{Deserialize, Deserializer};
use url::Url;

use crate::auth::discovery::{hint, safe_url};
use crate::auth::issuer;
use crate::auth::resource;
use crate::config::Settings;
use crate::config::consent;
use crate::config::key::Key;
use crate::config::masked_url;
use crate::problem::{Problem, ProblemId};

/// The grant of RFC 8628 (3.4).
pub const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Protected resource metadata (RFC 9728, 2).
#[derive(Debug, Clone, Deserialize)]
pub struct ResourceMetadata {
    /// Its identifier, which becomes the `resource` parameter (RFC 8707).
    pub resource: String,
    /// The issuers of tokens for it.
    #[serde(default, deserialize_with = "or_default")]
    pub authorization_servers: Vec<String>,
    /// The scopes it supports.
    pub scopes_supported: Option<Vec<String>>,
}

/// Authorization server metadata (RFC 8414, 2), as far as this program uses it.
#[derive(Debug, Clone, Deserialize)]
pub struct ServerMetadata {
    /// Its identifier.
    pub issuer: String,
    /// Where a person signs in; a server for clients alone has none.
    pub authorization_endpoint: Option<String>,
    /// Exchanges codes and refresh tokens for access tokens.
    pub token_endpoint: String,
    /// How a client authenticates there; absence means client_secret_basic (RFC 8414, 2).
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// The PKCE methods.
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// The scopes it supports.
    pub scopes_supported: Option<Vec<String>>,
    /// Where clients register themselves (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Where a sign-in on another device starts (RFC 8628, 4).
    pub device_authorization_endpoint: Option<String>,
    /// The grant types that the token endpoint accepts.
    pub grant_types_supported: Option<Vec<String>>,
    /// Whether a client id may be the URL of a client metadata document.
    #[serde(default, deserialize_with = "or_default")]
    pub client_id_metadata_document_supported: bool,
    /// Whether its answers carry `iss` (RFC 9207, 3).
    #[serde(default, deserialize_with = "or_default")]
    pub authorization_response_iss_parameter_supported: bool,
    /// Whether no document says any of this.
    #[serde(skip)]
    pub is_assumed: bool,
}

/// How a token is obtained, which decides what the server must offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// A person in a browser of this machine (RFC 6749, 4.1).
    Code,
    /// A person on another device (RFC 8628).
    Device,
    /// Nobody: the client for itself (RFC 6749, 4.4).
    Client,
}

/// The authorization server to find.
#[derive(Debug, Clone, Copy)]
pub enum Sought<'a> {
    /// The server that the protected resource names by its issuer.
    Issuer(&'a str),
    /// The server at the MCP server's own origin (MCP 2025-03-26). Nothing names its issuer, which may have a path.
    Origin(&'a str),
}

impl<'a> Sought<'a> {
    /// The URL that its metadata URL is derived from.
    pub fn place(self) -> &'a str {
        match self {
            Sought::Issuer(issuer) => issuer,
            Sought::Origin(origin) => origin,
        }
    }

    /// Whether metadata with this issuer is authoritative for it.
    fn is(self, found: &str) -> bool {
        match self {
            Sought::Issuer(named) => issuer::is_same(named, found),
            Sought::Origin(origin) => {
                let url = Url::parse(found).ok().filter(|url| url.query().is_none() && url.fragment().is_none());
                url.is_some_and(|url| url.origin().ascii_serialization() == origin)
            }
        }
    }
}

/// What the user has consented to for this profile, in place of the rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Consents<'a> {
    /// The one identifier that the resource may have.
    pub resource: Option<&'a str>,
    /// The one issuer that the authorization server may have.
    pub issuer: Option<&'a str>,
    /// Whether PKCE methods that the server does not list are taken to include S256.
    pub unlisted_s256: bool,
}

impl<'a> Consents<'a> {
    /// Those of these settings.
    pub fn of(settings: &'a Settings) -> Self {
        let oauth = &settings.oauth;
        let (resource, issuer) = (oauth.resource.as_deref(), oauth.issuer.as_deref());
        Self { resource, issuer, unlisted_s256: oauth.allow_unlisted_s256 }
    }
}

impl ResourceMetadata {
    /// Whether it is authoritative for `url`.
    pub fn covers(&self, url: &Url) -> bool {
        resource::covers(&self.resource, url)
    }

    /// Refuses a description of another resource than the one at `url` (RFC 9728, 3.3), or than the accepted one.
    pub fn check(&self, url: &Url, place: &Url, consents: Consents<'_>) -> Result<(), Problem> {
        if resource::is_accepted(&self.resource, url, consents.resource) {
            return Ok(());
        }
        let problem = if covers_but_for_scheme(&self.resource, url) {
            hint::scheme_dropped("resource", &self.resource, url)
        } else {
            let shown = masked_url(url);
            let problem = Problem::new(ProblemId::ResourceMismatch);
            let problem = problem.with("expected", consents.resource.unwrap_or(&shown));
            problem.with("place", place).with("found", &self.resource).with("url", &shown)
        };
        Err(offering(problem, Key::Resource, &self.resource))
    }
}

/// Whether the resource would cover `url` with https in place of its http.
fn covers_but_for_scheme(identifier: &str, url: &Url) -> bool {
    let rest = identifier.strip_prefix("http://").filter(|_| url.scheme() == "https");
    rest.is_some_and(|rest| resource::covers(&format!("https://{rest}"), url))
}

/// The problem with the option that lifts it, if the setting would take the value.
fn offering(problem: Problem, key: Key, value: &str) -> Problem {
    match consent::offer(key, value) {
        Some(option) => problem.with("setting", option),
        None => problem,
    }
}

impl ServerMetadata {
    /// The endpoints of a server that publishes nothing (MCP 2025-03-26, "Fallbacks for servers without metadata").
    pub fn assumed(origin: &str) -> Self {
        Self {
            issuer: origin.to_owned(),
            authorization_endpoint: Some(format!("{origin}/authorize")),
            registration_endpoint: Some(format!("{origin}/register")),
            // That revision requires native apps to be public clients.
            token_endpoint_auth_methods_supported: Some(vec!["none".to_owned()]),
            is_assumed: true,
            ..Self::with_token_endpoint(origin, format!("{origin}/token"))
        }
    }

    /// A server with only a known token endpoint.
    pub fn with_token_endpoint(issuer: &str, token_endpoint: String) -> Self {
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: None,
            token_endpoint,
            token_endpoint_auth_methods_supported: None,
            code_challenge_methods_supported: None,
            scopes_supported: None,
            registration_endpoint: None,
            revocation_endpoint: None,
            device_authorization_endpoint: None,
            grant_types_supported: None,
            client_id_metadata_document_supported: false,
            authorization_response_iss_parameter_supported: false,
            is_assumed: false,
        }
    }

    /// Whether it lists this grant type.
    pub fn lists_grant(&self, grant: &str) -> bool {
        self.grant_types_supported.as_ref().is_some_and(|listed| listed.iter().any(|one| one == grant))
    }

    /// Whether the rules give this document to another issuer than it names (RFC 8414, 3.3), so that only a pin makes it
    /// usable.
    pub fn stands_elsewhere(&self, sought: Sought<'_>) -> bool {
        !sought.is(&self.issuer)
    }

    /// Refuses a server that must not be used: another issuer, an unsafe endpoint, no PKCE.
    pub fn check(&self, sought: Sought<'_>, place: &Url, flow: Flow, consents: Consents<'_>) -> Result<(), Problem> {
        self.check_issuer(sought, place, consents.issuer)?;
        let endpoint = |text: &str, purpose| {
            safe_url::check(text).map(|_| ()).map_err(|why| hint::refused(purpose, text, &why, place))
        };
        endpoint(&self.token_endpoint, "token endpoint")?;
        match (&self.authorization_endpoint, flow) {
            (Some(page), _) => endpoint(page, "authorization endpoint")?,
            (None, Flow::Code) => return Err(refused("authorization endpoint", "there is none")),
            (None, Flow::Device | Flow::Client) => {}
        }
        if flow != Flow::Code {
            return Ok(());
        }
        match self.code_challenge_methods_supported.as_deref().unwrap_or_default() {
            [] if consents.unlisted_s256 => Ok(()),
            [] => {
                let problem = Problem::new(ProblemId::S256Unlisted).with("issuer", &self.issuer);
                Err(offering(problem, Key::AllowUnlistedS256, "true"))
            }
            listed if listed.iter().any(|method| method == "S256") => Ok(()),
            listed => {
                let problem = Problem::new(ProblemId::NoS256).with("issuer", &self.issuer);
                Err(problem.with("found", listed.join(", ")))
            }
        }
    }

    /// The pinned issuer alone, or the one that was asked for.
    fn check_issuer(&self, sought: Sought<'_>, place: &Url, pinned: Option<&str>) -> Result<(), Problem> {
        let (expected, is_good) = match pinned {
            Some(pinned) => (pinned, issuer::is_pinned(pinned, &self.issuer)),
            None => (sought.place(), sought.is(&self.issuer)),
        };
        if is_good {
            return Ok(());
        }
        let problem = if hint::drops_scheme(&self.issuer, place) {
            hint::scheme_dropped("issuer", &self.issuer, place)
        } else {
            let problem = Problem::new(ProblemId::IssuerMismatch).with("expected", expected);
            problem.with("place", place).with("found", &self.issuer)
        };
        Err(offering(problem, Key::Issuer, &self.issuer))
    }
}

/// An endpoint that secrets may be sent to: https, or http to this machine.
pub fn endpoint(text: &str, purpose: &'static str) -> Result<Url, Problem> {
    safe_url::check(text).map_err(|why| refused(purpose, &why))
}

/// The URLs to try for protected resource metadata, in order (RFC 9728, 3.1).
pub fn resource_places(url: &Url) -> Vec<Url> {
    well_known(url, &["oauth-protected-resource"], url.path(), false)
}

/// The URLs to try for authorization server metadata, in the order that MCP prescribes.
pub fn server_places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let mut places = Vec::new();
    let mut add = |path: String| {
        let mut place = issuer.clone();
        place.set_query(None);
        place.set_fragment(None);
        place.set_path(&path);
        if !places.contains(&place) {
            places.push(place);
        }
    };
    add(format!("/.well-known/oauth-authorization-server{path}"));
    add(format!("/.well-known/openid-configuration{path}"));
    add(format!("{path}/.well-known/openid-configuration"));
    // No specification names it, but some servers with a path keep the document there.
    add(format!("{path}/.well-known/oauth-authorization-server"));
    places
}

fn well_known(url: &Url, names: &[&str], path: &str, query: bool) -> Vec<Url> {
    let mut places = Vec::new();
    for path in [path.trim_end_matches('/'), ""] {
        for name in names {
            let mut place = url.clone();
            place.set_fragment(None);
            if !query {
                place.set_query(None);
            }
            place.set_path(&format!("/.well-known/{name}{path}"));
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    places
}

/// Some servers write `null` instead of leaving a member out.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn refused(purpose: &'static str, why: &str) -> Problem {
    Problem::new(ProblemId::UnsafeEndpoint).with("purpose", purpose).with("detail", why)
}

#[cfg(test)]
mod tests;
