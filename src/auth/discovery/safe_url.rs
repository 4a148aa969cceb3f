//! The rule for an address that somebody else has named and that may be opened in a browser or asked by this program.

use url::Url;

use crate::config::server;

/// The URL in its parsed form, when it may be opened or sent secrets to: https, or http to this machine; a host, no user
/// name, no control characters. Otherwise what is wrong with it, in words.
pub fn check(text: &str) -> Result<Url, String> {
    // The parser would silently drop some of these.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("it contains control characters or spaces".into());
    }
    let url = Url::parse(text).map_err(|e| format!("it is no URL ({e})"))?;
    let Some(host) = url.host() else { return Err(format!("it is a {} address", url.scheme())) };
    match url.scheme() {
        "https" => {}
        "http" if server::is_loopback(&url) => {}
        scheme => return Err(format!("it is a {scheme} address of {host}")),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it contains a user name".into());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use crate::auth::discovery::safe_url::*;

    #[test]
    fn only_https_and_http_to_this_machine_may_be_opened() {
        for good in [
            "https://h/authorize?x=1",
            "http://127.0.0.1:8080/a",
            "http://localhost/a",
            "http://[::1]:1/",
            "HTTPS://H/",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "http://h/",
            "https://user@h/",
            "https://u:p@h/",
            "https://h/\u{7f}",
            "https://h/\nx",
            "-x",
            "",
            "data:text/html,x",
            "\\\\host\\share",
            "https://",
            "http://127.0.0.1.evil.example/",
            "http://localhost.evil.example/",
            "vscode://x",
            "https://h/a b",
            "\u{0}https://h",
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
