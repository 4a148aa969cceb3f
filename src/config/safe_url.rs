//! The single rule for addresses that this program may open in a browser or send a request to: https, or http to this
//! machine; a host, no user name, no control characters.

use std::fmt;

use url::{Host, Url};

/// What is wrong with an address; `Display` says it in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnsafeUrl {
    /// It contains control characters or spaces, some of which a parser silently drops.
    Characters,
    /// It is not a URL.
    Unparsable(url::ParseError),
    /// It has no host.
    NoHost {
        /// Its scheme.
        scheme: String,
    },
    /// It contains a user name or a password.
    UserName,
    /// Plain http to another machine, or another scheme.
    Scheme {
        /// The scheme.
        scheme: String,
        /// The host.
        host: String,
    },
}

impl fmt::Display for UnsafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnsafeUrl::Characters => f.write_str("it contains control characters or spaces"),
            UnsafeUrl::Unparsable(error) => write!(f, "it is not a URL ({error})"),
            UnsafeUrl::NoHost { scheme } => write!(f, "it is a {scheme} address"),
            UnsafeUrl::UserName => f.write_str("it contains a user name"),
            UnsafeUrl::Scheme { scheme, host } => write!(f, "it is a {scheme} address of {host}"),
        }
    }
}

/// The parsed URL, if the rule allows it.
pub fn check(text: &str) -> Result<Url, UnsafeUrl> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(UnsafeUrl::Characters);
    }
    let url = Url::parse(text).map_err(UnsafeUrl::Unparsable)?;
    let scheme = url.scheme().to_owned();
    let Some(host) = url.host() else { return Err(UnsafeUrl::NoHost { scheme }) };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UnsafeUrl::UserName);
    }
    match scheme.as_str() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        _ => Err(UnsafeUrl::Scheme { host: host.to_string(), scheme }),
    }
}

/// Whether the address is this machine: 127.0.0.0/8, ::1 or localhost.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
