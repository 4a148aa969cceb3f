//! The identifier of a protected resource (RFC 8707; MCP, "Canonical Server URI"), and the URLs that it covers.

use url::Url;

/// The identifier of a resource that does not state one (MCP, "Canonical Server URI"): without a fragment, or the slash
/// of an empty path.
pub fn canonical(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    let text = url.to_string();
    if url.path() == "/" && url.query().is_none() { text.trim_end_matches('/').to_owned() } else { text }
}

/// Whether the resource with this identifier covers `url`: same origin, and a path that contains `url`.
pub fn covers(identifier: &str, url: &Url) -> bool {
    let Ok(resource) = Url::parse(identifier) else { return false };
    let path = resource.path().trim_end_matches('/');
    resource.origin() == url.origin()
        && resource.fragment().is_none()
        && (url.path() == path || url.path().strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
        && resource.query().is_none_or(|query| url.query() == Some(query))
}

/// Whether the resource with this identifier is the one at `url`: the `accepted` one alone, or else one that covers `url`.
pub fn is_accepted(identifier: &str, url: &Url, accepted: Option<&str>) -> bool {
    accepted.map_or_else(|| covers(identifier, url), |accepted| identifier == accepted)
}

/// The identifier to ask tokens for where the server does not state one. It has no query (RFC 8707, 2), which may hold a key:
/// the identifier stands in the link of the sign-in page and goes to the authorization server.
pub fn assumed(url: &Url, accepted: Option<&str>) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    accepted.map_or_else(|| canonical(&bare), str::to_owned)
}

#[cfg(test)]
mod tests {
    use crate::auth::resource::*;

    #[test]
    fn the_canonical_form_has_no_fragment_and_no_lonely_slash() {
        for (given, expected) in [
            ("https://H/v1/mcp#x", "https://h/v1/mcp"),
            ("https://h", "https://h"),
            ("https://h:443/", "https://h"),
            ("https://h/a/", "https://h/a/"),
            ("https://h/?t=1", "https://h/?t=1"),
        ] {
            assert_eq!(canonical(&Url::parse(given).unwrap()), expected);
        }
    }

    #[test]
    fn an_assumed_identifier_holds_no_key_and_covers_the_server_all_the_same() {
        let url = Url::parse("https://h/mcp?key=secret").unwrap();
        assert_eq!(assumed(&url, None), "https://h/mcp");
        assert!(covers(&assumed(&url, None), &url));
        assert_eq!(assumed(&Url::parse("https://h/?key=secret").unwrap(), None), "https://h");
        assert_eq!(assumed(&url, Some("api://1")), "api://1");
    }

    #[test]
    fn a_resource_speaks_for_what_lies_under_it_only() {
        let mcp = Url::parse("https://h/v1/mcp").unwrap();
        for good in
            ["https://h/v1/mcp", "https://h/v1/mcp/", "https://h/v1", "https://h", "https://h/", "https://h:443/v1/mcp"]
        {
            assert!(covers(good, &mcp), "{good}");
        }
        for bad in [
            "https://h/v1/mc",
            "https://h/v1/mcp/x",
            "https://h2/v1/mcp",
            "http://h/v1/mcp",
            "h",
            "https://h/v1/mcp?x=1",
            "https://h/#f",
        ] {
            assert!(!covers(bad, &mcp), "{bad}");
        }
    }
}
