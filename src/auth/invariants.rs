//! Invariants of everything that a server, or a peer on the callback port, may send; fuzz targets look for input that
//! breaks one.

use reqwest::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use serde_json::Value;
use url::{Host, Url, form_urlencoded};

use crate::auth::discovery::challenge::Challenge;
use crate::auth::discovery::metadata::{
    Consents, Flow, ResourceMetadata, ServerMetadata, Sought, endpoint, resource_places, server_places,
};
use crate::auth::exchange::answer;
use crate::auth::login::authorization_request::{Expected, Rejection};
use crate::auth::login::loopback::door::{Head, PartialHead};
use crate::limits::CALLBACK_HEAD_BYTES;
use crate::secret::Secrets;

const STATE: &str = "s3cret";
const ISSUER: &str = "https://as.example";

/// Challenges (one header per line) are parsed without a panic and within a bound, and survive a round trip through the
/// form that RFC 9110 prescribes.
pub fn challenge(lines: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(WWW_AUTHENTICATE, value);
        }
    }
    let read = Challenge::from_headers(&headers, &Secrets::none());
    let Challenge { resource_metadata, scope, error, error_description, from } = &read;
    assert!(from.is_none(), "who has said it does not stand in it");
    let members = [
        ("resource_metadata", resource_metadata),
        ("scope", scope),
        ("error", error),
        ("error_description", error_description),
    ];
    let mut written = "Negotiate abc==, Bearer realm=\"a, \\\"b\\\"\"".to_owned();
    for (name, value) in members {
        if let Some(value) = value {
            assert!(!value.is_empty());
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            written.push_str(&format!(", {name}=\"{quoted}\""));
        }
    }
    assert!(written.len() <= 40 * 1024);
    if written.len() < 16 * 1024
        && let Ok(value) = HeaderValue::from_bytes(written.as_bytes())
    {
        let again = Challenge::from_headers(&HeaderMap::from_iter([(WWW_AUTHENTICATE, value)]), &Secrets::none());
        assert_eq!(again, read, "{written}");
    }
}

/// However a request is split, its head is found whole or refused; and a query yields a code only with our state once,
/// the right issuer and exactly one code.
pub fn callback(request: &[u8]) {
    let mut whole = PartialHead::default();
    let head = whole.add(request);
    for step in [1, 3, 64] {
        let mut partial = PartialHead::default();
        let found = request.chunks(step).find_map(|piece| partial.add(piece));
        assert_eq!(found, head, "in steps of {step}");
    }
    match &head {
        Some(Head::Whole(head)) => {
            assert!(head.len() <= CALLBACK_HEAD_BYTES && request.starts_with(head) && head.ends_with(b"\r\n\r\n"));
            assert_eq!(memchr::memmem::find_iter(head, b"\r\n\r\n").count(), 1);
        }
        Some(Head::TooLarge) => assert!(request.len() >= CALLBACK_HEAD_BYTES),
        Some(Head::Nothing) | None => assert!(request.len() < CALLBACK_HEAD_BYTES),
    }
    let text = String::from_utf8_lossy(request);
    let target = text.split_whitespace().nth(1).unwrap_or(&text);
    let query = target.split_once('?').map_or(target, |(_, query)| query);
    for iss_required in [false, true] {
        let (state, issuer, path) = (STATE.into(), ISSUER.to_owned(), "/callback".to_owned());
        let expected = Expected { state, issuer, is_pinned: false, iss_required, path, secrets: Secrets::none() };
        let outcome = expected.code(query);
        let all = |name: &str| -> Vec<String> {
            let pairs = form_urlencoded::parse(query.as_bytes());
            pairs.filter(|(n, _)| n == name).map(|(_, value)| value.into_owned()).collect()
        };
        let ours = all("state") == [STATE];
        assert_eq!(!ours, outcome == Err(Rejection::Foreign));
        if let Ok(code) = &outcome {
            let iss = all("iss");
            assert!(iss == [ISSUER] || iss.is_empty() && !iss_required);
            assert!(all("error").is_empty());
            assert_eq!(all("code"), [code.expose().as_str()]);
            assert!(!code.is_empty());
        }
        if outcome == Err(Rejection::Empty) {
            assert!(all("code").iter().chain(&all("error")).all(String::is_empty));
        }
    }
}

/// Metadata documents are parsed without a panic, and accepted ones follow the rules. The first line is the URL of the
/// requested resource or issuer.
pub fn metadata(data: &[u8]) {
    let (asked, document) = data.split_at(memchr::memchr(b'\n', data).unwrap_or(0));
    let asked = String::from_utf8_lossy(asked);
    let Ok(url) = Url::parse(&asked) else { return };
    for place in resource_places(&url).iter().chain(&server_places(&url)) {
        assert_eq!(place.origin().ascii_serialization(), url.origin().ascii_serialization());
        assert!(place.path().contains("/.well-known/") || url.cannot_be_a_base(), "{place}");
        assert!(place.query().is_none() && place.fragment().is_none());
    }
    if let Ok(resource) = serde_json::from_slice::<ResourceMetadata>(document)
        && resource.covers(&url)
    {
        let own = Url::parse(&resource.resource).expect("it covers something");
        assert_eq!(own.origin().ascii_serialization(), url.origin().ascii_serialization());
        let own: Vec<&str> = own.path().trim_end_matches('/').split('/').collect();
        let asked: Vec<&str> = url.path().split('/').collect();
        assert!(asked.starts_with(&own), "{own:?} is not above {asked:?}");
    }
    let Ok(server) = serde_json::from_slice::<ServerMetadata>(document) else { return };
    for flow in [Flow::Code, Flow::Device, Flow::Client] {
        if server.check(Sought::Issuer(&asked), &url, flow, Consents::default()).is_err() {
            continue;
        }
        assert_eq!(server.issuer.trim_end_matches('/'), asked.trim_end_matches('/'));
        safe(&server.token_endpoint);
        server.authorization_endpoint.iter().for_each(|page| safe(page));
        if flow == Flow::Code {
            assert!(server.authorization_endpoint.is_some());
            assert!(server.code_challenge_methods_supported.iter().flatten().any(|method| method == "S256"));
        }
    }
    let listed = [&server.registration_endpoint, &server.revocation_endpoint, &server.device_authorization_endpoint];
    for text in listed.into_iter().flatten() {
        if endpoint(text, "endpoint").is_ok() {
            safe(text);
        }
    }
}

/// Panics on a URL that no secret or browser may be sent to.
fn safe(text: &str) {
    assert!(!text.chars().any(|c| c.is_control() || c.is_whitespace()));
    let url = Url::parse(text).expect("an endpoint is a URL");
    assert!(url.username().is_empty() && url.password().is_none());
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => panic!("{url} has no host"),
    };
    assert!(url.scheme() == "https" || url.scheme() == "http" && here, "{url}");
}

/// A token endpoint's answer becomes a token or an error in the form of RFC 6749. The first byte is the last digit of
/// the status, below 200, 400 or 500.
pub fn token_answer(data: &[u8]) {
    let Some((status, body)) = data.split_first() else { return };
    let status = [200, 302, 400, 401, 500][usize::from(*status) % 5];
    match answer::plain(status, body) {
        Ok((200, fields)) => {
            assert_eq!(status, 200);
            assert!(!fields.contains_key("error"));
            assert!(fields["access_token"].as_str().is_some_and(|token| !token.is_empty()));
            assert!(fields.get("refresh_token").is_none_or(|token| token.as_str().is_some_and(|t| !t.is_empty())));
            assert!(fields.get("expires_in").is_none_or(Value::is_u64));
            assert!(fields.get("scope").is_none_or(Value::is_string));
        }
        Ok((400, fields)) => assert!(fields["error"].is_string()),
        Ok((status, _)) => panic!("{status} is neither"),
        Err(answer::NoToken::Unreadable(why)) => assert!(!why.is_empty()),
        Err(answer::NoToken::Inside(_) | answer::NoToken::Type(_)) => {}
    }
}
