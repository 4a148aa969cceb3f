//! Patterns of host names, for `--allow-private`.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::Host;

use super::shown::Shown;

/// The hosts that one name, address or `*.` pattern matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostPattern {
    /// This host.
    Name(String),
    /// All subdomains of this name, but not the name itself, as in a certificate (RFC 9525, 6.3).
    Below(String),
    /// This IP address, in a URL without a host name.
    Address(IpAddr),
}

impl HostPattern {
    /// Parses `auth.corp.example`, `*.corp.example`, `10.0.0.1` or `fd00::1`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(address) = text.parse() {
            return Some(Self::Address(address));
        }
        let below = text.strip_prefix("*.");
        let name = below.unwrap_or(text).trim_end_matches('.');
        match (Host::parse(name).ok()?, below) {
            // As in URLs: in lower case and punycode.
            (Host::Domain(name), _) if name.is_empty() || !name.bytes().all(is_part_of_a_name) => None,
            (Host::Domain(name), Some(_)) => Some(Self::Below(name)),
            (Host::Domain(name), None) => Some(Self::Name(name)),
            (Host::Ipv4(address), None) => Some(Self::Address(address.into())),
            (Host::Ipv6(address), None) => Some(Self::Address(address.into())),
            (_, Some(_)) => None,
        }
    }

    /// Parses several, separated by commas.
    pub fn parse_all(text: &str) -> Option<Vec<Self>> {
        text.split(',').map(Self::parse).collect()
    }

    /// Whether it matches this host of a URL.
    pub fn matches(&self, host: &Host<&str>) -> bool {
        match (self, host) {
            (Self::Name(name), Host::Domain(host)) => *name == plain(host),
            (Self::Below(name), Host::Domain(host)) => {
                plain(host).strip_suffix(name.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (Self::Address(address), Host::Ipv4(host)) => *address == IpAddr::V4(*host),
            (Self::Address(address), Host::Ipv6(host)) => *address == IpAddr::V6(*host),
            _ => false,
        }
    }
}

/// The bytes of host names in DNS; URLs allow more.
fn is_part_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// A trailing dot, for the DNS root, names the same host.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

impl Shown for Vec<HostPattern> {
    fn shown(&self) -> Option<String> {
        let patterns: Vec<String> = self.iter().map(ToString::to_string).collect();
        (!patterns.is_empty()).then(|| patterns.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_the_hosts_below_a_name_and_a_name_means_itself() {
        for (pattern, host, meant) in [
            ("auth.corp.example", "auth.corp.example", true),
            ("Auth.Corp.Example.", "auth.corp.example", true),
            ("auth.corp.example", "auth.corp.example.", true),
            ("auth.corp.example", "x.auth.corp.example", false),
            ("*.corp.example", "auth.corp.example", true),
            ("*.corp.example", "a.b.corp.example", true),
            ("*.corp.example", "corp.example", false),
            ("*.corp.example", ".corp.example", false),
            ("*.corp.example", "evilcorp.example", false),
            ("*.corp.example", "corp.example.evil.example", false),
            ("*.bücher.example", "a.xn--bcher-kva.example", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.10", false),
            ("fd00::1", "[fd00:0::1]", true),
            ("[fd00::1]", "[fd00::1]", true),
        ] {
            let parsed = HostPattern::parse(pattern).unwrap();
            let host = Host::parse(host).unwrap();
            let host = match &host {
                Host::Domain(name) => Host::Domain(name.as_str()),
                Host::Ipv4(address) => Host::Ipv4(*address),
                Host::Ipv6(address) => Host::Ipv6(*address),
            };
            assert_eq!(parsed.matches(&host), meant, "{pattern} {host}");
            assert_eq!(HostPattern::parse(&parsed.to_string()), Some(parsed), "{pattern}");
        }
    }

    #[test]
    fn what_would_mean_everything_or_nothing_is_no_pattern() {
        for text in ["", "*", "*.", "*.*", "a*.example", "*.10.0.0.1", "10.0.0.0/8", "https://h", "a b", "a,b"] {
            assert_eq!(HostPattern::parse(text), None, "{text}");
        }
        assert_eq!(HostPattern::parse_all("a, *.b").map(|all| all.len()), Some(2));
        assert_eq!(HostPattern::parse_all("a,"), None);
    }
}
