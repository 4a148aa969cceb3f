//! Collects the secrets in a request, to mask them in a response that quotes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION};
use url::form_urlencoded;

use crate::secret::{Secret, Secrets};

/// The public fields of a form for an authorization server; all others count as secrets.
const PUBLIC_FIELDS: &[&str] = &[
    "audience",
    "client_assertion_type",
    "client_id",
    "grant_type",
    "redirect_uri",
    "resource",
    "scope",
    "token_type_hint",
];
/// A shorter value of a cookie or a query is a machine's name or a number, which any text may contain.
const SHORTEST_SECRET_COOKIE_BYTES: usize = 8;

/// The secrets in the headers and the form of a request.
pub fn secrets_in(request: &reqwest::Request) -> Secrets {
    let mut secrets = Secrets::none();
    for pair in request.url().query().unwrap_or_default().split('&') {
        // Services take a key in the address, and quote it in either form.
        let (_, value) = pair.split_once('=').unwrap_or(("", pair));
        if value.len() >= SHORTEST_SECRET_COOKIE_BYTES {
            let text = format!("={value}");
            secrets.add(value);
            secrets.add(
                Secret::unlisted(form_urlencoded::parse(text.as_bytes()).map(|(_, v)| v).collect::<String>()).expose(),
            );
        }
    }
    for (name, value) in request.headers() {
        add_header(&mut secrets, name, value);
    }
    if is_form(request.headers())
        && let Some(body) = request.body().and_then(reqwest::Body::as_bytes)
    {
        for (name, value) in form_urlencoded::parse(body) {
            if !PUBLIC_FIELDS.contains(&&*name) {
                secrets.add(Secret::unlisted(value.into_owned()).expose());
            }
        }
    }
    secrets
}

/// The values in a `Cookie` header.
fn add_cookies(secrets: &mut Secrets, value: &HeaderValue) {
    for cookie in value.to_str().unwrap_or_default().split(';') {
        let (_, value) = cookie.split_once('=').unwrap_or_default();
        if value.trim().len() >= SHORTEST_SECRET_COOKIE_BYTES {
            secrets.add(value.trim());
        }
    }
}

fn add_header(secrets: &mut Secrets, name: &HeaderName, value: &HeaderValue) {
    if *name == COOKIE {
        return add_cookies(secrets, value);
    }
    if !value.is_sensitive() && *name != AUTHORIZATION && *name != PROXY_AUTHORIZATION {
        return;
    }
    let Ok(text) = value.to_str() else { return };
    let (scheme, credentials) = text.split_once(' ').unwrap_or(("", text));
    secrets.add(credentials.trim());
    if scheme.eq_ignore_ascii_case("basic")
        && let Some(pair) = STANDARD.decode(credentials.trim()).ok().and_then(|pair| String::from_utf8(pair).ok())
    {
        let pair = Secret::unlisted(pair);
        let (user, password) = pair.expose().split_once(':').unwrap_or(("", pair.expose()));
        // RFC 6749 (2.3.1) form-encodes both before joining them; a server may quote either form.
        let plain = |text: &str| {
            let text = format!("={text}");
            Secret::unlisted(form_urlencoded::parse(text.as_bytes()).map(|(_, value)| value).collect::<String>())
        };
        secrets.add_pair(user, password);
        secrets.add_pair(plain(user).expose(), plain(password).expose());
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(HeaderName, &str)], form: &str) -> reqwest::Request {
        let mut request = reqwest::Request::new(reqwest::Method::POST, "https://as.example/token".parse().unwrap());
        for (name, value) in headers {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        *request.body_mut() = Some(form.to_owned().into());
        request
    }

    #[test]
    fn everything_in_a_form_is_secret_but_what_is_known_not_to_be() {
        let kind = [(CONTENT_TYPE, "application/x-www-form-urlencoded")];
        let form = "grant_type=authorization_code&client_id=pk_1&code=canary-1%2F&code_verifier=canary-2&new=canary-3";
        let said = secrets_in(&request(&kind, form)).words("pk_1 authorization_code canary-1/ canary-2 canary-3");
        assert_eq!(said.as_str(), "pk_1 authorization_code [redacted] [redacted] [redacted]");
    }

    #[test]
    fn a_key_in_the_address_is_secret() {
        let mut request = request(&[], "");
        *request.url_mut() = "https://h.example/mcp?exaApiKey=canary%2F12345&n=7".parse().unwrap();
        let said = secrets_in(&request).words("canary/12345, canary%2F12345, 7");
        assert_eq!(said.as_str(), "[redacted], [redacted], 7");
    }

    #[test]
    fn credentials_and_cookies_are_secret_and_other_headers_are_not() {
        let basic = format!("Basic {}", STANDARD.encode("pk_1:canary%2F9"));
        let mut request = request(
            &[(AUTHORIZATION, "Bearer canary-1"), (AUTHORIZATION, &basic), (COOKIE, "a=canary-cookie; b=1")],
            "code=plain-body",
        );
        let mut key: HeaderValue = "canary-key".parse().unwrap();
        key.set_sensitive(true);
        request.headers_mut().insert("x-api-key", key);
        let said =
            secrets_in(&request).words("Bearer canary-1, pk_1, canary/9, canary%2F9, canary-key, canary-cookie, 1");
        assert_eq!(said.as_str(), "Bearer [redacted], pk_1, [redacted], [redacted], [redacted], [redacted], 1");
        assert_eq!(secrets_in(&request).words("plain-body").as_str(), "plain-body");
    }
}
