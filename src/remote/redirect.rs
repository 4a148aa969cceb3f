//! Redirects of the MCP endpoint, followed by hand: only within the origin, and never with another method.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use url::Url;

use crate::config::masked_url;
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
