//! What the `resource_metadata` of a challenge (RFC 9728, 5.1) is good for: a place to ask, or a reason to pass it over. A
//! hint never ends the search, because the well-known places are there without it.

use url::{ParseError, Url};

use crate::auth::discovery::safe_url;
use crate::config::safe_url::UnsafeUrl;
use crate::config::safe_url::check;
use crate::problem::{Problem, ProblemId};

/// What this is called in problems.
pub const PURPOSE: &str = "resource metadata";

/// The place that the hint names for the server at `url`, or why it is passed over. A path is meant for the server itself:
/// RFC 9728 wants a URL, and several servers send less.
pub fn place(hint: &str, url: &Url) -> Result<Url, Problem> {
    let absolute = match check(hint) {
        Err(UnsafeUrl::Unparsable(ParseError::RelativeUrlWithoutBase)) if !hint.contains('\\') => {
            url.join(hint).map_or_else(|_| hint.to_owned(), String::from)
        }
        _ => hint.to_owned(),
    };
    safe_url::check(&absolute).map_err(|why| refused(PURPOSE, &absolute, &why, url))
}

/// An address that a server at `by` names and that must not be used; `why` is what is wrong with it.
pub fn refused(purpose: &'static str, named: &str, why: &str, by: &Url) -> Problem {
    if drops_scheme(named, by) {
        return scheme_dropped(purpose, named, by);
    }
    Problem::new(ProblemId::UnsafeEndpoint).with("purpose", purpose).with("detail", why)
}

/// Whether `named` lies at the host of the https address `by`, but with http: the mark of a server behind a proxy that ends
/// TLS and does not tell it so.
pub fn drops_scheme(named: &str, by: &Url) -> bool {
    by.scheme() == "https" && Url::parse(named).is_ok_and(|url| url.scheme() == "http" && url.host() == by.host())
}

/// The problem of an address in which `by` has lost its scheme.
pub fn scheme_dropped(purpose: &'static str, named: &str, by: &Url) -> Problem {
    let host = by.host_str().unwrap_or_default();
    Problem::new(ProblemId::SchemeDropped).with("purpose", purpose).with("found", named).with("host", host)
}

/// What is known of how an authorization server was found, beside its document.
#[derive(Debug, Clone, Default)]
pub struct FoundBy {
    /// Whether its document stands where only the user's pin of the issuer makes it usable.
    pub pin: bool,
    /// Why the hint of the challenge was passed over.
    pub passed_over: Option<Problem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_resolved_against_the_server_or_passed_over_with_its_reason() {
        let server = Url::parse("https://mcp.example/v1/mcp?tenant=1").unwrap();
        for (hint, wanted) in [
            ("https://mcp.example/meta", "https://mcp.example/meta"),
            ("https://other.example/meta", "https://other.example/meta"),
            (
                "/mcp/.well-known/oauth-protected-resource",
                "https://mcp.example/mcp/.well-known/oauth-protected-resource",
            ),
            (".well-known/oauth-protected-resource", "https://mcp.example/v1/.well-known/oauth-protected-resource"),
            ("//mcp.example/meta", "https://mcp.example/meta"),
            ("?meta=1", "https://mcp.example/v1/mcp?meta=1"),
        ] {
            assert_eq!(place(hint, &server).unwrap().as_str(), wanted, "{hint}");
        }
        for (hint, id) in [
            ("http://mcp.example/meta", ProblemId::SchemeDropped),
            ("http://mcp.example:8080/meta", ProblemId::SchemeDropped),
            ("http://other.example/meta", ProblemId::UnsafeEndpoint),
            ("javascript:alert(1)", ProblemId::UnsafeEndpoint),
            ("file:///etc/passwd", ProblemId::UnsafeEndpoint),
            ("https://u:p@mcp.example/meta", ProblemId::UnsafeEndpoint),
            ("\\\\host\\share", ProblemId::UnsafeEndpoint),
            ("/meta data", ProblemId::UnsafeEndpoint),
        ] {
            assert_eq!(place(hint, &server).unwrap_err().id, id, "{hint}");
        }
        let local = Url::parse("http://127.0.0.1:8080/mcp").unwrap();
        assert_eq!(place("/meta", &local).unwrap().as_str(), "http://127.0.0.1:8080/meta");
        assert_eq!(place("//mcp.example/meta", &local).unwrap_err().id, ProblemId::UnsafeEndpoint, "http goes nowhere");
    }

    #[test]
    fn an_address_that_differs_by_its_scheme_alone_is_called_that() {
        let server = Url::parse("https://mcp.example/mcp").unwrap();
        let problem = refused("token endpoint", "http://mcp.example/token", "it is an http address", &server);
        assert_eq!(problem.id, ProblemId::SchemeDropped);
        assert!(problem.what().contains("http://mcp.example/token") && problem.fix().contains("X-Forwarded-Proto"));
        assert!(problem.fix().contains("mcp.example"), "whose proxy: {}", problem.fix());
        for (named, by) in [
            ("http://as.example/token", "https://mcp.example/mcp"),
            ("ftp://mcp.example/token", "https://mcp.example/mcp"),
            ("http://127.0.0.1/token", "http://127.0.0.1/mcp"),
        ] {
            assert!(!drops_scheme(named, &Url::parse(by).unwrap()), "{named}");
        }
    }
}
