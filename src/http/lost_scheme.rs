//! Addresses that have lost their https in a proxy.

use url::Url;

/// The https form of a target at the same host, where only the scheme was lost: a server behind a proxy that ends TLS does not
/// know how it was asked, and adds a slash to the address that it knows. The form with http is never asked.
pub fn with_scheme_of(url: &Url, target: &Url) -> Option<Url> {
    let port = url.port_or_known_default();
    let is_lost = url.scheme() == "https"
        && target.scheme() == "http"
        && url.host() == target.host()
        && target.username().is_empty()
        && target.password().is_none()
        && (target.port().is_none() || target.port() == port);
    if !is_lost {
        return None;
    }
    let mut mended = target.clone();
    mended.set_scheme("https").ok()?;
    mended.set_port(url.port()).ok()?;
    (url.origin() == mended.origin()).then_some(mended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_that_lost_its_scheme_behind_a_proxy_is_followed_in_its_https_form_alone() {
        let at = |text: &str| Url::parse(text).expect("test URL");
        for (from, to, mended) in [
            ("https://a.example/mcp", "http://a.example/mcp/", Some("https://a.example/mcp/")),
            ("https://a.example/mcp", "http://a.example:80/mcp/?x=1", Some("https://a.example/mcp/?x=1")),
            ("https://a.example/mcp", "http://a.example:443/mcp/", Some("https://a.example/mcp/")),
            ("https://a.example:8443/mcp", "http://a.example/mcp/", Some("https://a.example:8443/mcp/")),
            ("https://a.example:8443/mcp", "http://a.example:8443/mcp/", Some("https://a.example:8443/mcp/")),
            ("https://a.example/mcp", "http://a.example:8080/mcp/", None),
            ("https://a.example/mcp", "http://b.example/mcp/", None),
            ("https://a.example/mcp", "http://u:p@a.example/mcp/", None),
            ("https://a.example/mcp", "ftp://a.example/mcp/", None),
            ("http://127.0.0.1/mcp", "http://127.0.0.1/mcp/", None),
        ] {
            assert_eq!(with_scheme_of(&at(from), &at(to)), mended.map(at), "{from} {to}");
        }
    }
}
