//! Posts a form to the authorization server, with client authentication (RFC 6749, 2.3.1; RFC 7523, 2.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use oauth2::HttpRequest;
use oauth2::http::header::InvalidHeaderValue;
use oauth2::http::{HeaderValue, header};
use url::form_urlencoded;

use crate::auth::discovery::metadata;
use crate::auth::registration::client::{AuthMethod, Client};
use crate::auth::registration::private_key::ASSERTION_TYPE;
use crate::http::{Answer, Bounds, Http, NetError};
use crate::problem::{Problem, ProblemId};
use crate::secret::Secret;

/// Sends a request from [`Sender::post`] or `oauth2`, and returns the whole answer.
pub async fn exchange(http: &Http, request: HttpRequest, bounds: Bounds) -> Result<Answer, NetError> {
    let (parts, body) = request.into_parts();
    let url = parts
        .uri
        .to_string()
        .parse()
        .map_err(|error| NetError::Unusable(Problem::new(ProblemId::UnsafeEndpoint).with("detail", error)))?;
    let mut outgoing = reqwest::Request::new(parts.method, url);
    *outgoing.headers_mut() = parts.headers;
    *outgoing.body_mut() = Some(body.into());
    http.exchange(outgoing, bounds).await
}

/// The client that posts, and how it authenticates.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// The client.
    pub client: &'a Client,
    /// How it authenticates.
    pub method: AuthMethod,
    /// The audience of an assertion: the issuer.
    pub audience: &'a str,
    /// Seconds since 1970.
    pub now: u64,
}

impl Sender<'_> {
    /// The assertion's form fields; none with the other methods.
    pub fn assertion(&self) -> Result<Vec<(&'static str, Secret)>, Problem> {
        match (self.method, &self.client.key) {
            (AuthMethod::PrivateKeyJwt, Some(key)) => Ok(vec![
                ("client_assertion_type", ASSERTION_TYPE.into()),
                ("client_assertion", key.assertion(&self.client.id, self.audience, self.now)?),
            ]),
            (AuthMethod::PrivateKeyJwt, None) => {
                Err(Problem::new(ProblemId::ClientKeyUnusable).with("detail", "none is configured for this run"))
            }
            _ => Ok(Vec::new()),
        }
    }

    /// The credentials of HTTP Basic, in the form of the method; `None` with other methods.
    pub fn basic(&self) -> Option<Secret> {
        let secret = self.client.secret.as_ref().filter(|_| self.method.is_basic())?;
        let form = |text: &str| match self.method {
            AuthMethod::ClientSecretBasicRaw => text.to_owned(),
            _ => form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        };
        let pair = Secret::new(format!("{}:{}", form(&self.client.id), form(secret.expose())));
        Some(Secret::new(format!("Basic {}", STANDARD.encode(pair.expose()))))
    }

    /// The request that posts `fields` to `endpoint`; `purpose` names the endpoint in errors.
    pub fn post(&self, endpoint: &str, purpose: &'static str, fields: &[(&str, &str)]) -> Result<HttpRequest, Problem> {
        let endpoint = metadata::endpoint(endpoint, purpose)?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        for (name, value) in self.assertion()? {
            form.append_pair(name, value.expose());
        }
        // Even with Basic: it only identifies the client (RFC 6749, 3.2.1), and some servers look for it only here.
        form.append_pair("client_id", &self.client.id);
        if let (AuthMethod::ClientSecretPost, Some(secret)) = (self.method, &self.client.secret) {
            form.append_pair("client_secret", secret.expose());
        }
        let mut request = HttpRequest::new(form.finish().into_bytes());
        let wrong = |detail: &dyn std::fmt::Display| {
            Problem::new(ProblemId::UnsafeEndpoint).with("purpose", purpose).with("detail", detail)
        };
        *request.method_mut() = oauth2::http::Method::POST;
        *request.uri_mut() = endpoint.as_str().parse().map_err(|error| wrong(&error))?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if let Some(basic) = self.basic() {
            headers.insert(header::AUTHORIZATION, header_value(&basic).map_err(|error| wrong(&error))?);
        }
        Ok(request)
    }
}

/// The value of a header that is a secret.
pub fn header_value(secret: &Secret) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose())?;
    value.set_sensitive(true);
    Ok(value)
}
