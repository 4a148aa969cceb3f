//! What an authorization page says to a browser without a session: whether it refuses the request before anybody signs in,
//! and whether it knows the client at all.

use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use url::Url;

use crate::auth::context::Context;
use crate::auth::discovery::search::Discovered;
use crate::http::{Answer, Bounds};
use crate::limits::METADATA_BYTES;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;

/// Authorization pages are searched for the words of a refusal.
const PAGE_BOUNDS: Bounds = Bounds { max_body: METADATA_BYTES, timeout: Duration::from_secs(8) };

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

/// Requests the authorization page as a browser without a session would; follows no redirect.
pub(crate) async fn ask(ctx: &Context, found: &Discovered, link: &Url) -> Result<Answer, Problem> {
    let mut request = reqwest::Request::new(Method::GET, link.clone());
    // As a browser does: servers that see JSON in it answer a program, with words for one.
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/html, */*;q=0.8"));
    Ok(ctx.http.named_by(found.named_by).exchange(request, PAGE_BOUNDS).await?)
}

/// Whether the page says that there is no such client. Only what speaks of the client counts: a new registration does not
/// mend anything else.
pub(crate) fn knows_no_client(link: &Url, answer: &Answer) -> bool {
    if answer.status.is_redirection() {
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let target = location.and_then(|location| link.join(location).ok());
        let field = |name: &str| {
            let found = target.as_ref()?.query_pairs().find(|(key, _)| key == name)?.1;
            Some(found.into_owned())
        };
        return field("error").is_some_and(|error| is_about_client(&error, field("error_description").as_deref()));
    }
    // A page that only shows something, or an overloaded server, says nothing of the client.
    if !answer.status.is_client_error() || answer.status == StatusCode::TOO_MANY_REQUESTS {
        return false;
    }
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(&answer.body) {
        let text = |name: &str| json[name].as_str();
        let words = ["error_description", "message", "detail"].into_iter().find_map(text);
        return match text("error") {
            Some(error) => is_about_client(error, words),
            None => words.is_some_and(speaks_of_no_client),
        };
    }
    let text = without_scripts(&String::from_utf8_lossy(&answer.body));
    text.contains(UNKNOWN_CLIENT) || speaks_of_no_client(&text)
}

/// RFC 6749, 5.2. `unauthorized_client` (4.1.2.1) is said of a client that is known, such as one that waits for an approval.
const UNKNOWN_CLIENT: &str = "invalid_client";

/// A page without what it does not show, such as a table of all errors.
fn without_scripts(page: &str) -> String {
    let mut shown = String::new();
    let mut rest = page;
    while let Some(start) = rest.find("<script") {
        shown.push_str(&rest[..start]);
        rest = rest[start..].split_once("</script>").map_or("", |(_, after)| after);
    }
    shown + rest
}

/// Several servers call an unknown client an invalid request, and name it in their words alone; or `error` is such words.
fn is_about_client(error: &str, description: Option<&str>) -> bool {
    let may_speak = error == "invalid_request" || error.contains(' ');
    error == UNKNOWN_CLIENT || may_speak && (speaks_of_no_client(error) || description.is_some_and(speaks_of_no_client))
}

/// Whether a text says that a client is unknown: the word, and beside it one of refusal.
fn speaks_of_no_client(text: &str) -> bool {
    const BESIDE: usize = 60;
    const REFUSALS: [&str; 10] = [
        "invalid",
        "unknown",
        "unregistered",
        "unrecogni",
        "not recogni",
        "not found",
        "not be found",
        "not registered",
        "not exist",
        "no such",
    ];
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let word: Vec<char> = "client".chars().collect();
    text.windows(word.len()).enumerate().filter(|(_, window)| *window == word).any(|(at, _)| {
        // "client error" is how servers call any 4xx.
        if text[at + word.len()..].starts_with(&[' ', 'e', 'r', 'r', 'o', 'r']) {
            return false;
        }
        let end = text.len().min(at + word.len() + BESIDE);
        let around: String = text[at.saturating_sub(BESIDE / 4)..end].iter().collect();
        REFUSALS.iter().any(|refusal| around.contains(refusal))
    })
}

/// What an authorization page says, as far as it can be parsed.
pub(crate) fn read(link: &Url, redirect_url: &str, answer: &Answer, sent: &Secrets) -> PageSays {
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

    fn answered(status: u16, location: Option<&str>, body: &str) -> (Url, Answer) {
        let mut headers = HeaderMap::new();
        if let Some(location) = location {
            headers.insert(LOCATION, location.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        let link = Url::parse("https://ws.example/oauth/authorize?x=1").unwrap();
        let (body, secrets) = (body.as_bytes().to_vec(), Secrets::none());
        (link, Answer { status, headers, body, namer: AddressSource::Insider, secrets })
    }

    fn says(status: u16, location: Option<&str>, body: &str) -> PageSays {
        let (link, answer) = answered(status, location, body);
        read(&link, BACK, &answer, &Secrets::none())
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

    #[test]
    fn an_unknown_client_is_recognised_by_what_speaks_of_the_client_and_by_nothing_else() {
        let forgotten = |status: u16, location: Option<&str>, body: &str| {
            let (link, answer) = answered(status, location, body);
            knows_no_client(&link, &answer)
        };
        // As the SDKs, FastMCP, better-auth, django-oauth-toolkit and Authlib say it.
        for (status, location, body) in [
            (400, None, r#"{"error":"invalid_client","error_description":"Invalid client_id"}"#),
            (400, None, r#"{"error":"invalid_request","error_description":"Client ID 'x' not found"}"#),
            (401, None, r#"{"error":"invalid_client"}"#),
            (302, Some("/api/auth/error?error=invalid_client"), ""),
            (302, Some("http://127.0.0.1:7526/callback?error=invalid_client&state=x"), ""),
            (400, None, "<p>Error: invalid_request</p> <p>Invalid client_id parameter value.</p>"),
            (400, None, "<h1>Client Not Registered</h1>"),
            (404, None, "Unknown client"),
            (422, None, r#"{"message":"Unrecognized client_id"}"#),
            (400, None, r#"{"error":"Client not recognised"}"#),
            (410, None, r#"{"error":"invalid_request","message":"The client could not be found."}"#),
        ] {
            assert!(forgotten(status, location, body), "{status} {location:?} {body}");
        }
        for (status, location, body) in [
            (302, Some("/login?client_id=x"), ""),
            (302, Some("http://127.0.0.1:7526/callback?code=canary&state=x"), ""),
            (302, Some("http://127.0.0.1:7526/callback?error=invalid_scope&state=x"), ""),
            (200, None, "<p>Unknown client</p>"),
            (400, None, r#"{"error":"invalid_scope","error_description":"Client was not registered with scope x"}"#),
            (400, None, r#"{"error":"invalid_request","error_description":"code_challenge is missing"}"#),
            (404, None, "Cannot GET /authorize?client_id=x"),
            (403, None, "Your browser is not supported by this page"),
            (422, None, r#"{"message":"Unrecognized scope"}"#),
            (302, Some("http://127.0.0.1:7526/callback?error=unauthorized_client&state=x"), ""),
            (
                400,
                None,
                "something that is perceived to be a client error (e.g., malformed request syntax, invalid request)",
            ),
            (400, None, "<h1>Bad scope</h1><script>const errors = {invalid_client: 'Unknown client'}</script>"),
            (429, None, "Too many requests: client is unknown to the gate"),
            (500, None, "invalid_client"),
        ] {
            assert!(!forgotten(status, location, body), "{status} {location:?} {body}");
        }
    }
}
