//! The two discovery documents and the rules they must follow: protected resource metadata (RFC 9728) and authorization
//! server metadata (RFC 8414, OpenID Connect Discovery).

use serde::{Deserialize, Deserializer};
use url::Url;

use crate::auth::discovery::safe_url;
use crate::auth::issuer;
use crate::auth::resource;
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

impl ResourceMetadata {
    /// Whether it is authoritative for `url`.
    pub fn covers(&self, url: &Url) -> bool {
        resource::covers(&self.resource, url)
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

    /// Refuses a server that must not be used: another issuer, an unsafe endpoint, no PKCE.
    pub fn check(&self, sought: Sought<'_>, place: &Url, flow: Flow) -> Result<(), Problem> {
        if !sought.is(&self.issuer) {
            return Err(Problem::new(ProblemId::IssuerMismatch)
                .with("place", place)
                .with("expected", sought.place())
                .with("found", &self.issuer));
        }
        endpoint(&self.token_endpoint, "token endpoint")?;
        match (&self.authorization_endpoint, flow) {
            (Some(page), _) => _ = endpoint(page, "authorization endpoint")?,
            (None, Flow::Code) => return Err(refused("authorization endpoint", "there is none")),
            (None, Flow::Device | Flow::Client) => {}
        }
        if flow != Flow::Code {
            return Ok(());
        }
        let methods = self.code_challenge_methods_supported.as_deref().unwrap_or_default();
        if !methods.iter().any(|method| method == "S256") {
            return Err(Problem::new(ProblemId::NoS256).with("issuer", &self.issuer));
        }
        Ok(())
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
mod tests {
    use crate::auth::discovery::metadata::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn metadata(change: serde_json::Value) -> ServerMetadata {
        let mut value = serde_json::json!({
            "issuer": "https://as.example", "authorization_endpoint": "https://ws.example/oauth/authorize",
            "token_endpoint": "https://as.example/token", "code_challenge_methods_supported": ["S256"],
        });
        for (key, new) in change.as_object().unwrap() {
            value[key] = new.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn places_are_path_aware_first() {
        let places: Vec<String> = resource_places(&url("https://h/v1/mcp?x=1")).iter().map(Url::to_string).collect();
        assert_eq!(
            places,
            ["https://h/.well-known/oauth-protected-resource/v1/mcp", "https://h/.well-known/oauth-protected-resource"]
        );
        assert_eq!(resource_places(&url("https://h/")).len(), 1);
        let places: Vec<String> = server_places(&url("https://h/t/1/")).iter().map(Url::to_string).collect();
        assert_eq!(
            places,
            [
                "https://h/.well-known/oauth-authorization-server/t/1",
                "https://h/.well-known/openid-configuration/t/1",
                "https://h/t/1/.well-known/openid-configuration"
            ]
        );
        assert_eq!(server_places(&url("https://h")).len(), 2);
    }

    #[test]
    fn the_issuer_must_be_the_one_that_was_asked() {
        let place = url("https://as.example/x");
        assert!(
            metadata(serde_json::json!({})).check(Sought::Issuer("https://as.example"), &place, Flow::Code).is_ok()
        );
        assert!(
            metadata(serde_json::json!({})).check(Sought::Issuer("https://as.example/"), &place, Flow::Code).is_ok()
        );
        for asked in [
            "https://as.example/t",
            "https://AS.example",
            "http://as.example",
            "https://as.example.evil",
            "https://as.example//",
        ] {
            assert!(
                metadata(serde_json::json!({})).check(Sought::Issuer(asked), &place, Flow::Code).is_err(),
                "{asked}"
            );
        }
        let with_path = metadata(serde_json::json!({"issuer": "https://as.example/t"}));
        assert!(with_path.check(Sought::Issuer("https://as.example/t/"), &place, Flow::Code).is_err());
    }

    #[test]
    fn what_a_document_calls_null_is_absent_and_no_reason_to_pass_it_over() {
        let server = metadata(serde_json::json!({
            "scopes_supported": null, "registration_endpoint": null, "client_id_metadata_document_supported": null,
            "authorization_response_iss_parameter_supported": null,
        }));
        assert!(!server.client_id_metadata_document_supported);
        assert!(!server.authorization_response_iss_parameter_supported);
        let resource = r#"{"resource":"https://h","authorization_servers":null,"scopes_supported":null}"#;
        let resource: ResourceMetadata = serde_json::from_str(resource).unwrap();
        assert!(resource.authorization_servers.is_empty() && resource.scopes_supported.is_none());
    }

    #[test]
    fn metadata_without_s256_is_refused() {
        let place = url("https://as.example/x");
        for methods in [serde_json::json!(null), serde_json::json!([]), serde_json::json!(["plain"])] {
            let problem = metadata(serde_json::json!({"code_challenge_methods_supported": methods}))
                .check(Sought::Issuer("https://as.example"), &place, Flow::Code)
                .unwrap_err();
            assert_eq!(problem.id, ProblemId::NoS256);
        }
    }

    #[test]
    fn unsafe_endpoints_are_refused() {
        let place = url("https://as.example/x");
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "http://as.example/a",
            "https://u:p@as.example/",
            "//as.example",
            "\\\\host\\share",
        ] {
            for field in ["authorization_endpoint", "token_endpoint"] {
                let problem = metadata(serde_json::json!({field: bad}))
                    .check(Sought::Issuer("https://as.example"), &place, Flow::Code)
                    .unwrap_err();
                assert_eq!(problem.id, ProblemId::UnsafeEndpoint, "{field} {bad}");
            }
        }
        assert!(
            metadata(serde_json::json!({"token_endpoint": "http://127.0.0.1:1/t"}))
                .check(Sought::Issuer("https://as.example"), &place, Flow::Code)
                .is_ok()
        );
    }

    #[test]
    fn where_nobody_names_an_issuer_any_of_the_same_origin_will_do() {
        let place = url("https://as.example/.well-known/oauth-authorization-server");
        let with_issuer = |issuer: &str| metadata(serde_json::json!({ "issuer": issuer }));
        let sought = Sought::Origin("https://as.example");
        for good in ["https://as.example", "https://as.example/", "https://as.example/oauth"] {
            assert!(with_issuer(good).check(sought, &place, Flow::Code).is_ok(), "{good}");
        }
        for bad in ["https://as.example.evil.example", "http://as.example", "https://as.example/?t=1", "as.example"] {
            assert!(with_issuer(bad).check(sought, &place, Flow::Code).is_err(), "{bad}");
        }
        assert!(
            with_issuer("https://as.example/oauth")
                .check(Sought::Issuer("https://as.example"), &place, Flow::Code)
                .is_err()
        );
    }
}
