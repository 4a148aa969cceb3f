//! Decides, by their origins, which endpoints belong together: where a stored secret may go, and what a person should know
//! of a server whose parts lie apart.

use url::Url;

/// The origin of this URL (RFC 6454, 4); `None` when it has none that could be compared.
pub fn origin(url: &str) -> Option<String> {
    let origin = Url::parse(url).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// Whether both URLs have the same origin. URLs without one have nothing in common.
pub fn share_origin(one: &str, other: &str) -> bool {
    origin(one).is_some_and(|one| origin(other) == Some(one))
}

/// The parts of an authorization server that lie at another origin than its issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Elsewhere {
    /// The origin of the page that people sign in at.
    pub page: Option<String>,
    /// The origin of the token endpoint, where the code is sent to.
    pub tokens: Option<String>,
}

impl Elsewhere {
    /// The parts of the server with this issuer that lie apart; `page` is its authorization endpoint.
    pub fn of(issuer: &str, page: Option<&str>, token_endpoint: &str) -> Self {
        let apart = |url: &str| origin(url).filter(|origin| !share_origin(origin, issuer));
        Self { page: page.and_then(apart), tokens: apart(token_endpoint) }
    }

    /// One sentence; `None` when nothing lies apart.
    pub fn words(&self) -> Option<String> {
        Some(match (&self.page, &self.tokens) {
            (None, None) => return None,
            (Some(page), None) => format!("Its sign-in page is at {page}."),
            (None, Some(tokens)) => format!("Tokens come from {tokens}."),
            (Some(page), Some(tokens)) if page == tokens => {
                format!("Its sign-in page is at {page}, where tokens come from.")
            }
            (Some(page), Some(tokens)) => format!("Its sign-in page is at {page}, and tokens come from {tokens}."),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_shared_by_scheme_host_and_port_and_by_nothing_less() {
        for (other, shared) in [
            ("https://as.example/other?x=1", true),
            ("https://AS.example:443/", true),
            ("https://as.example:8443/token", false),
            ("http://as.example/token", false),
            ("https://as.example.evil.example/token", false),
            ("https://evil.example/https://as.example/token", false),
            ("https://as.example@evil.example/token", false),
            ("data:text/plain,x", false),
            ("", false),
        ] {
            assert_eq!(share_origin("https://as.example/token", other), shared, "{other}");
            assert_eq!(share_origin(other, "https://as.example/token"), shared, "{other}");
        }
        assert!(!share_origin("data:x", "data:x") && !share_origin("", ""));
    }

    #[test]
    fn parts_of_a_server_that_lie_apart_are_told_and_those_that_do_not_are_not() {
        let of = |page, tokens| Elsewhere::of("https://as.example/t", page, tokens).words();
        assert_eq!(of(Some("https://as.example/authorize"), "https://as.example/token"), None);
        assert_eq!(of(None, "https://as.example/token"), None);
        let told = of(Some("https://accounts.example/a"), "https://tokens.example/t").unwrap();
        assert_eq!(
            told,
            "Its sign-in page is at https://accounts.example, and tokens come from https://tokens.example."
        );
        assert!(of(Some("https://evil.example/a"), "https://as.example/token").unwrap().contains("evil.example"));
        assert!(of(Some("https://as.example/a"), "https://evil.example/token").unwrap().contains("evil.example"));
        assert!(
            of(Some("https://x.example/a"), "https://x.example/token").unwrap().ends_with("where tokens come from.")
        );
    }
}
