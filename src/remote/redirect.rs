//! Redirects of the MCP endpoint, followed by hand: only within the origin, and never with another method.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use url::Url;

use crate::config::{Settings, masked_url};
use crate::http::host_of;
use crate::problem::{Problem, ProblemId};
use crate::secret::Secrets;

/// The target of a redirect that keeps the method, or of one that servers use to add a missing slash.
pub(super) fn redirect_target(url: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Url> {
    if !matches!(status.as_u16(), 301 | 302 | 307 | 308) {
        return None;
    }
    url.join(headers.get(LOCATION)?.to_str().ok()?).ok()
}

/// Words that the path of a page has where people sign in, as a whole segment of it.
const SIGN_IN_WORDS: [&str; 14] = [
    "login",
    "log-in",
    "log_in",
    "logon",
    "signin",
    "sign-in",
    "sign_in",
    "sso",
    "saml",
    "saml2",
    "authorize",
    "authenticate",
    "openid-connect",
    "adfs",
];

/// The target, if it is a page where people sign in: no address that the same message should go to.
pub(super) fn sign_in_page(url: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Url> {
    if !matches!(status.as_u16(), 301..=303 | 307 | 308) {
        return None;
    }
    let target = url.join(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    let asks = |name: &str| target.query_pairs().any(|(key, _)| key.eq_ignore_ascii_case(name));
    let is_page = has_sign_in_word(&target) || asks("response_type") || asks("SAMLRequest");
    (is_page && !has_sign_in_word(url)).then_some(target)
}

fn has_sign_in_word(url: &Url) -> bool {
    url.path().split('/').any(|segment| {
        let name = segment.split(['.', ';']).next().unwrap_or(segment).to_ascii_lowercase();
        SIGN_IN_WORDS.contains(&name.as_str())
    })
}

/// Whether a redirect with this status is for this request alone, and says nothing of where the endpoint is from now on.
pub(super) fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 302 | 303 | 307)
}

/// Whether the two differ in a slash at the end of the path alone.
pub(super) fn is_slash_apart(a: &Url, b: &Url) -> bool {
    a.path().trim_end_matches('/') == b.path().trim_end_matches('/')
}

/// The page where people sign in that came in the place of an answer.
pub(super) fn instead_of_answer(settings: &Settings, url: &Url, page: &Url, sent: &Secrets) -> Problem {
    Problem::new(ProblemId::SignInPage)
        .with("host", host_of(url))
        .with("command", settings.command("login"))
        .with("url", settings.shown_url())
        .said("location", sent.words(&masked_url(page)))
}

/// Why a redirect was not followed.
pub(super) fn refused_redirect(url: &Url, target: &Url, sent: &Secrets) -> Problem {
    let insecure = url.scheme() == "https" && target.scheme() == "http";
    let id = if insecure { ProblemId::RedirectInsecure } else { ProblemId::RedirectElsewhere };
    Problem::new(id).with("host", host_of(url)).said("location", sent.words(&masked_url(target)))
}

/// Whether a bearer token for one may be sent to the other.
pub(super) fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_stays_within_the_origin_it_was_made_for() {
        let at = |text: &str| Url::parse(text).expect("test URL");
        assert!(same_origin(&at("https://a.example/mcp"), &at("https://a.example/mcp/")));
        for other in ["http://a.example/mcp", "https://b.example/mcp", "https://a.example:8443/mcp"] {
            assert!(!same_origin(&at("https://a.example/mcp"), &at(other)), "{other}");
        }
    }

    #[test]
    fn the_whole_target_of_a_redirect_is_named_and_nothing_secret_in_it() {
        let at = |text: &str| Url::parse(text).expect("test URL");
        let problem =
            refused_redirect(&at("https://a.example/mcp"), &at("https://b.example/mcp/?k=s3cret"), &Secrets::none());
        let location = problem.fact("location").unwrap_or_default();
        assert!(location.starts_with("https://b.example/mcp/?k=") && !location.contains("s3cret"), "{location}");
    }

    #[test]
    fn a_redirect_to_where_people_sign_in_is_told_from_one_to_an_endpoint() {
        let page = |from: &str, status: u16, to: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, to.parse().expect("a header"));
            let status = StatusCode::from_u16(status).expect("a status");
            sign_in_page(&Url::parse(from).expect("test URL"), status, &headers).map(String::from)
        };
        let mcp = "https://a.example/mcp";
        for (status, to, is_page) in [
            (302, "/login", true),
            (303, "/accounts/login/?next=/mcp", true),
            (307, "https://idp.example/users/sign_in", true),
            (302, "/Login.aspx?ReturnUrl=%2fmcp", true),
            (302, "https://t.cloudflareaccess.com/cdn-cgi/access/login/a.example?kid=1", true),
            (302, "https://as.example/oauth2/v2?response_type=code&client_id=1", true),
            (302, "https://idp.example/x?SAMLRequest=1", true),
            (301, "/login", true),
            (308, "/login", true),
            (307, "/mcp/", false),
            (302, "/v2/mcp", false),
            (307, "https://b.example/mcp", false),
            (302, "/blogin", false),
            (200, "/login", false),
            (304, "/login", false),
        ] {
            assert_eq!(page(mcp, status, to).is_some(), is_page, "{status} {to}");
        }
        assert_eq!(page("https://a.example/login/mcp", 307, "/login/mcp/"), None);
        assert!(
            [302, 303, 307].map(|status| StatusCode::from_u16(status).is_ok_and(is_temporary)).iter().all(|is| *is)
        );
        assert!(![301, 308].map(|status| StatusCode::from_u16(status).is_ok_and(is_temporary)).iter().any(|is| *is));
    }

    #[test]
    fn a_redirect_to_plain_http_is_called_that() {
        let at = |text: &str| Url::parse(text).expect("test URL");
        let from = at("https://a.example/mcp");
        for (to, id) in [
            ("http://a.example/mcp", ProblemId::RedirectInsecure),
            ("http://127.0.0.1/mcp", ProblemId::RedirectInsecure),
            ("https://b.example/mcp", ProblemId::RedirectElsewhere),
        ] {
            assert!(!same_origin(&from, &at(to)), "{to}");
            assert_eq!(refused_redirect(&from, &at(to), &Secrets::none()).id, id, "{to}");
        }
    }
}
